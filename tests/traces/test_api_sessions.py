"""REST of sessions, turns and users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from telltale.lib import clock
from tests.traces.session_rows import NOON, put_trace, refresh_all, remove_trace, trace_id
from traces.folding import fold_roll_ups
from traces.pages.addresses import write_id
from traces.read.sessions import SESSION_FIELDS, SESSION_SORTS
from traces.read.users import USER_FIELDS, USER_SORTS
from traces.write import rollup_memory, sessions

pytestmark = pytest.mark.django_db


def get(shop, path, status=200, key="read"):
    answer = shop.nobody.get(path, headers=shop.key(key))
    assert answer.status_code == status, answer.content
    return answer.json()


def hex_id(n):
    return f"{n:032x}"


@pytest.fixture
def talk(shop, otlp):
    """A session of two turns and one of one, folded."""
    rollup_memory.forget()
    for n, session, user, at_ms in ((1, "a/b", "ada", 1000), (2, "a/b", "ada", 4000), (3, "s_2", "bob", 2000)):
        otlp.send(
            otlp.generation(
                hex_id(n), f"{n:016x}", at_ms=at_ms, ms=1000, said=f"question {n} " + "x" * 300, answered=f"answer {n}",
                attributes={"session.id": session, "user.id": user, "telltale.feature": "help"},
            )
        )  # fmt: skip
    while fold_roll_ups().traces:
        pass
    return shop


def test_sessions_can_be_listed_and_read(talk):
    listed = get(talk, "/api/v1/sessions")
    one = get(talk, f"/api/v1/sessions/{write_id('a/b')}")

    assert [row["session_id"] for row in listed["items"]] == ["s_2", "a/b"]
    assert (listed["next"], listed["previous"]) == (None, None)
    assert {**listed["items"][1], "summed_at": None} == {**one, "summed_at": None}
    assert (one["turns"], one["user_id"], one["user_count"], one["features"]) == (2, "ada", 1, ["help"])
    assert (one["length_ms"], one["slowest_ms"], one["turns_with_errors"]) == (4000.0, 1000.0, 0)
    assert (one["input_tokens"], one["output_tokens"]) == (2000, 200)
    assert one["cost"]["usd"] == "0.00042"
    assert one["first_question"].startswith("question 1")
    assert one["last_answer"] == "answer 2"
    assert one["address"] == write_id("a/b")
    assert one["is_behind"] is False


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=ada", ["a/b"]),
        ("turns.min=2", ["a/b"]),
        ("turns.max=1", ["s_2"]),
        ("feature=help&sort=-turns", ["a/b", "s_2"]),
        ("sort=started_at", ["a/b", "s_2"]),
        ("sort=-last_at", ["a/b", "s_2"]),
        ("q=s_2", ["s_2"]),
        ("q=answer%202", ["a/b"]),
        ("from=2200-01-01T00:00:00Z", []),
        ("status=error", []),
    ],
)
def test_sessions_are_filtered_and_sorted(talk, query, found):
    assert [row["session_id"] for row in get(talk, f"/api/v1/sessions?{query}")["items"]] == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("turns.min=lots", "turns.min"),
        ("status=odd", "status"),
        ("sort=colour", "sort"),
        ("cursor=older.zzz", "cursor"),
        ("cursor=sideways.zzz", "cursor"),
        ("limit=0", "limit"),
        ("colour=red", "query"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("user.min=1", "query"),
    ],
)
def test_what_cannot_be_is_a_400_that_names_it(talk, query, field):
    found = get(talk, f"/api/v1/sessions?{query}", 400)

    assert found["errors"][0]["field"] == field


def test_sessions_page_both_ways_and_keep_the_filter(shop):
    start = (clock.now() - NOON).total_seconds() - 5000
    for n in range(7):
        put_trace(shop.project.pk, n, f"s{n}", at=start + n, user_id="ada")
    put_trace(shop.project.pk, 99, "other", at=start)
    refresh_all(shop.project.pk)

    first = get(shop, "/api/v1/sessions?user=ada&limit=3")
    second = get(shop, first["next"])
    third = get(shop, second["next"])

    seen = [row["session_id"] for page in (first, second, third) for row in page["items"]]
    assert seen == [f"s{n}" for n in range(6, -1, -1)]
    assert third["next"] is None
    assert get(shop, third["previous"])["items"] == second["items"]


def test_turns_come_in_order_with_what_was_said(talk):
    path = f"/api/v1/sessions/{write_id('a/b')}/turns"
    plain = get(talk, path)
    told = get(talk, path + "?include=text")

    assert [(turn["number"], turn["trace"]["trace_id"]) for turn in plain["items"]] == [(1, hex_id(1)), (2, hex_id(2))]
    assert "asked" not in plain["items"][0]
    assert told["items"][1]["asked"] == {"role": "user", "text": "question 2 " + "x" * 300}
    assert told["items"][1]["answered"] == [{"role": "assistant", "text": "answer 2"}]
    assert told["items"][1]["is_cut"] is False


def test_turns_page_both_ways(shop):
    for n in range(7):
        put_trace(shop.project.pk, n, "long", at=n // 2)

    first = get(shop, "/api/v1/sessions/long/turns?limit=3")
    second = get(shop, first["next"])
    third = get(shop, second["next"])

    seen = [turn["number"] for page in (first, second, third) for turn in page["items"]]
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert [turn["trace"]["trace_id"] for turn in third["items"]] == [trace_id(6).hex]
    assert get(shop, third["previous"])["items"] == second["items"]
    assert first["previous"] is None
    assert get(shop, "/api/v1/sessions/long/turns?cursor=older.xx", 400)["errors"][0]["field"] == "cursor"


def test_an_id_with_slashes_is_found_as_it_is_too(talk):
    assert get(talk, "/api/v1/sessions/" + quote("a/b", safe=""))["turns"] == 2
    assert len(get(talk, "/api/v1/sessions/a/b/turns")["items"]) == 2


@pytest.mark.parametrize(("path", "first"), [("sessions", "a/b"), ("users", "ada")])
def test_a_whole_list_is_a_file(talk, path, first):
    as_csv = talk.nobody.get(f"/api/v1/{path}?format=csv&sort=-cost", headers=talk.key("read"))
    as_lines = talk.nobody.get(f"/api/v1/{path}?format=ndjson&limit=1", headers=talk.key("read"))
    nothing = talk.nobody.head(f"/api/v1/{path}?format=csv", headers=talk.key("read"))

    assert as_csv["Content-Type"] == "text/csv; charset=utf-8"
    assert b"".join(as_csv.streaming_content).decode().splitlines()[1].startswith(first)
    assert len(b"".join(as_lines.streaming_content).splitlines()) == 2
    assert (nothing.status_code, nothing.content) == (200, b"")
    assert get(talk, f"/api/v1/{path}?format=xml", 400)["errors"][0]["field"] == "format"


def test_what_is_not_there_is_a_404(talk):
    for path in ("sessions/no", "sessions/no/turns", "users/no", "sessions/" + "x" * 2000, "users/%00"):
        assert get(talk, f"/api/v1/{path}", 404)["status"] == 404


def test_a_session_that_retention_took_is_told(shop):
    from telltale.lib.db import raw_cursor

    put_trace(shop.project.pk, 1, "old")
    refresh_all(shop.project.pk)
    remove_trace(shop.project.pk, 1)
    with raw_cursor() as cursor:
        sessions.refresh_removed(cursor, shop.project.pk, ["old"])

    one = get(shop, "/api/v1/sessions/old")

    assert (one["turns"], one["turns_removed"], one["cost"]["state"]) == (0, 1, "none")
    assert get(shop, "/api/v1/sessions/old/turns")["items"] == []


def test_users_can_be_listed_and_read(talk):
    listed = get(talk, "/api/v1/users")
    one = get(talk, "/api/v1/users/ada")
    today = datetime.now(UTC).date().isoformat()

    assert [row["user_id"] for row in listed["items"]] == ["ada", "bob"]
    assert (one["requests"], one["requests_with_errors"], one["cost_usd"]) == (2, 0, "0.00042")
    assert (one["input_tokens"], one["cached_tokens"], one["output_tokens"]) == (2000, 0, 200)
    assert one["step"] == "day"
    assert sum(point["requests"] for point in one["points"]) == 2
    assert one["end"] > today
    assert {name: listed["items"][0][name] for name in ("requests", "cost_usd", "cost_state", "first_at")} == {
        name: one[name] for name in ("requests", "cost_usd", "cost_state", "first_at")
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=cost", ["bob", "ada"]),
        ("sort=-requests", ["ada", "bob"]),
        ("requests.min=2", ["ada"]),
        ("cost.max=0.0003", ["bob"]),
        ("q=o", ["bob"]),
        ("errors.min=1", []),
        ("from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z", []),
    ],
)
def test_users_are_filtered_and_sorted(talk, query, found):
    assert [row["user_id"] for row in get(talk, f"/api/v1/users?{query}")["items"]] == found


def test_users_page_both_ways(shop, otlp):
    rollup_memory.forget()
    for n in range(5):
        otlp.send(otlp.span(hex_id(n + 1), f"{n + 1:016x}", attributes={"user.id": f"u/{n}"}))
    while fold_roll_ups().traces:
        pass

    first = get(shop, "/api/v1/users?limit=2&sort=-requests")
    second = get(shop, first["next"])
    third = get(shop, second["next"])

    seen = [row["user_id"] for page in (first, second, third) for row in page["items"]]
    assert seen == ["u/4", "u/3", "u/2", "u/1", "u/0"]
    assert get(shop, third["previous"])["items"] == second["items"]
    assert get(shop, "/api/v1/users?cursor=older.zz", 400)["errors"][0]["field"] == "cursor"
    assert get(shop, "/api/v1/users/ada?from=2026-01-02&to=2026-01-01", 400)["errors"][0]["field"] == "from"


def test_scopes_and_projects_keep_their_doors(talk):
    for path in ("sessions", "sessions/s_2", "sessions/s_2/turns", "users", "users/bob"):
        assert talk.nobody.get(f"/api/v1/{path}").status_code == 401
        assert get(talk, f"/api/v1/{path}", 403, key="ingest")
        far = talk.nobody.get(f"/api/v1/{path}", headers=talk.key("read", of=talk.elsewhere))
        assert far.status_code == (200 if path in {"sessions", "users"} else 404)
        assert "s_2" not in far.content.decode()


def test_every_filter_and_sort_is_in_the_document():
    from telltale.rest.schema import document

    paths = document()["paths"]
    for path, fields, sorts in (
        ("/api/v1/sessions", SESSION_FIELDS, SESSION_SORTS),
        ("/api/v1/users", USER_FIELDS, USER_SORTS),
    ):
        named = {parameter["name"]: parameter for parameter in paths[path]["get"]["parameters"]}
        assert {name.partition(".")[0] for name in named} >= set(fields)
        assert set(named["sort"]["schema"]["enum"]) == {sign + key for key in sorts for sign in ("", "-")}


def test_a_long_window_of_a_user_comes_by_month(talk):
    start = (datetime.now(UTC) - timedelta(days=900)).isoformat().replace("+00:00", "Z")

    one = get(talk, f"/api/v1/users/ada?from={start}")

    assert one["requests"] == 2
    assert sum(point["requests"] for point in one["points"]) == 2
