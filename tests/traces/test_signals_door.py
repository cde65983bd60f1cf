"""Signals at the door: what is kept, replaced, refused, bound, and seen by nobody else."""

from __future__ import annotations

import gzip
import socket
from uuid import UUID

import orjson
import pytest
from django.db import connection, transaction

from telltale.lib.db import raw_cursor
from tests.traces.signal_door import OTHER, TRACE, consume, due, forget_due, rows, send
from traces import signalling
from traces.models import SignalDefinition
from traces.own_calls import JUDGE_SERVICE
from traces.read.session_rows import session_key
from traces.signals.names import Names
from traces.write import retention
from traces.write import signals as write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_names():
    signalling.forget()


@pytest.fixture
def sender(shop):
    return shop.key("signal")


def test_a_thumb_by_its_name_alone_is_kept_and_counts(shop, sender, otlp):
    otlp.send(otlp.span(TRACE, "a1" * 8, attributes={"session.id": "s1", "telltale.feature": "chat"}))

    answer = send(shop.nobody, {"name": "thumbs_up", "trace_id": TRACE}, sender)

    assert (answer["accepted"], answer["rejected"]) == (1, 0)
    assert answer["items"][0]["bound"] is True
    assert rows(shop.project.pk, "name", "kind", "vote", "value_bool", "feature") == [("thumbs_up", 1, 1, None, "chat")]
    assert due(shop.project.pk) == {"s1"}


def test_toggling_a_thumb_is_one_row(shop, sender):
    first = send(shop.nobody, {"name": "thumbs_up", "trace_id": TRACE, "client_id": "t1"}, sender)
    again = send(shop.nobody, {"name": "thumbs_up", "trace_id": TRACE, "client_id": "t1"}, sender)
    down = send(shop.nobody, {"name": "thumbs_down", "trace_id": TRACE, "id": "t1", "comment": "no"}, sender)

    assert [one["items"][0]["status"] for one in (first, again, down)] == ["accepted", "unchanged", "updated"]
    assert len({one["items"][0]["id"] for one in (first, again, down)}) == 1
    assert rows(shop.project.pk, "name", "vote", "comment", "revision") == [("thumbs_down", -1, "no", 2)]


def test_a_toggle_without_an_id_is_one_row_for_each_user(shop, sender):
    thumb = {"name": "thumbs_up", "trace_id": TRACE, "user_id": "u1"}
    send(shop.nobody, thumb, sender)
    send(shop.nobody, thumb, sender)
    send(shop.nobody, thumb | {"name": "thumbs_down"}, sender)
    send(shop.nobody, thumb | {"user_id": "u2"}, sender)

    assert rows(shop.project.pk, "author", "vote") == [("u1", -1), ("u2", 1)]


def test_what_happened_twice_at_different_times_is_two_rows_and_a_retry_one(shop, sender):
    retry = {"name": "retry", "trace_id": TRACE, "user_id": "u1", "happened_at": "2026-11-20T10:00:00Z"}
    send(shop.nobody, [retry, retry | {"happened_at": "2026-11-20T10:01:00+00:00"}], sender)
    again = send(shop.nobody, retry | {"happened_at": "2026-11-20T11:00:00+01:00"}, sender)
    said = {"name": "comment", "trace_id": TRACE}
    send(shop.nobody, [said | {"value": "Too long"}, said | {"value": "Wrong"}, said | {"value": "Wrong"}], sender)

    assert again["unchanged"] == 1
    assert rows(shop.project.pk, "name", "value_text") == [
        ("retry", None), ("retry", None), ("comment", "Too long"), ("comment", "Wrong"),
    ]  # fmt: skip


def test_a_late_retry_does_not_overwrite_what_happened_after_it(shop, sender):
    first = {"name": "thumb", "value": True, "trace_id": TRACE, "client_id": "c", "happened_at": "2026-11-20T10:00:00Z"}
    second = first | {"value": False, "happened_at": "2026-11-20T10:00:05Z"}
    send(shop.nobody, second, sender)

    late = send(shop.nobody, first, sender)

    assert (late["superseded"], late["items"][0]["status"]) == (1, "superseded")
    assert rows(shop.project.pk, "value_bool", "vote", "revision") == [(False, -1, 1)]


def test_of_two_items_with_one_id_the_last_counts(shop, sender):
    thumb = {"name": "thumb", "trace_id": TRACE, "client_id": "c"}

    answer = send(shop.nobody, {"signals": [thumb | {"value": True}, thumb | {"value": False}]}, sender)

    assert [item["status"] for item in answer["items"]] == ["superseded", "accepted"]
    assert rows(shop.project.pk, "value_bool") == [False]


def test_an_early_signal_is_bound_when_its_trace_comes_and_again_when_it_gets_a_session(shop, sender, otlp):
    pk = shop.project.pk
    early = send(shop.nobody, {"name": "thumbs_down", "trace_id": TRACE}, sender)
    assert early["items"][0]["bound"] is False
    assert due(pk) == set()

    otlp.send(otlp.span(TRACE, "a1" * 8, parent="ff" * 8))
    assert consume(pk) == {(UUID(TRACE), None)}
    assert due(pk) == {TRACE}
    forget_due()
    otlp.send(otlp.span(TRACE, "ff" * 8, attributes={"session.id": "s1"}))

    assert consume(pk) == {(session_key("s1"), "s1")}
    assert rows(pk, "unit_key", "bound_at IS NOT NULL") == [(session_key("s1"), True)]
    assert due(pk) == {"s1"}
    assert consume(pk) == set()


def test_signals_about_sessions_and_requests_wait_for_them(shop, sender, otlp):
    pk = shop.project.pk
    told = [
        {"name": "conversion", "value": 49.5, "session_id": "s1"},
        {"name": "copied", "request_id": "req-1"},
        {"name": "edited", "request_id": "chatcmpl-9"},
        {"name": "retry", "trace_id": "order/77"},
    ]
    assert send(shop.nobody, told, sender)["accepted"] == 4

    answer = {"telltale.metadata.request_id": "req-1", "gen_ai.response.id": "chatcmpl-9", "session.id": "s1"}
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes=answer))
    turn = {"id": "1", "name": "turn", "start": "2026-11-20T10:00:00Z"}
    assert shop.nobody.post("/api/v1/traces", {"trace_id": "order/77", "spans": [turn]}, "application/json",
                            headers=shop.key("ingest")).status_code == 200  # fmt: skip
    consume(pk)

    assert rows(pk, "target_kind", "trace_id", "bound_at IS NOT NULL")[:3] == [
        (3, None, True), (4, UUID(TRACE), True), (4, UUID(TRACE), True),
    ]  # fmt: skip
    kind, trace_id, is_bound = rows(pk, "target_kind", "trace_id", "bound_at IS NOT NULL")[3]
    assert (kind, is_bound, trace_id is not None) == (1, True, True)
    assert due(pk) == {"s1", trace_id.hex}


def test_what_comes_after_its_target_is_bound_at_once(shop, sender, otlp):
    answer = {"telltale.metadata.request_id": "req-1", "gen_ai.response.id": "chatcmpl-9", "session.id": "s1"}
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes=answer))
    about = [
        {"trace_id": TRACE}, {"trace_id": TRACE.upper(), "span_id": "a1" * 8}, {"session_id": "s1"},
        {"request_id": "req-1"}, {"request_id": "chatcmpl-9"},
    ]  # fmt: skip

    answer = send(shop.nobody, [{"name": "copied"} | one for one in about], sender)

    assert [item["bound"] for item in answer["items"]] == [True] * 5
    assert set(rows(shop.project.pk, "unit_key")) == {session_key("s1")}


def test_a_trace_of_another_project_is_no_target_and_nothing_leaks(shop, sender, otlp):
    told = {"session.id": "s1", "telltale.metadata.request_id": "req-1", "telltale.feature": "secret"}
    otlp.send(otlp.span(TRACE, "a1" * 8, attributes=told), project=shop.elsewhere)
    about = [{"trace_id": TRACE}, {"session_id": "s1"}, {"request_id": "req-1"}]

    ours = send(shop.nobody, [{"name": "thumbs_down"} | one for one in about], sender)
    consume(shop.elsewhere.pk)
    consume(shop.project.pk)

    assert [item["bound"] for item in ours["items"]] == [False] * 3
    assert rows(shop.project.pk, "feature", "unit_key") == [(None, None)] * 3
    assert rows(shop.elsewhere.pk) == []
    assert due(shop.elsewhere.pk) == due(shop.project.pk) == set()


def test_one_id_in_two_projects_is_two_signals(shop):
    for project in (shop.project, shop.elsewhere):
        send(shop.nobody, {"name": "thumbs_up", "session_id": "s", "client_id": "c"}, shop.key("signal", of=project))

    assert rows(shop.project.pk) == rows(shop.elsewhere.pk) == ["thumbs_up"]


def test_orphans_are_counted_and_listed_and_shown_as_such_after_seven_days(shop, sender):
    read_key = shop.key("read")
    send(shop.nobody, {"name": "thumbs_up", "trace_id": TRACE}, sender)
    send(shop.nobody, {"name": "retry", "trace_id": OTHER}, sender)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_signal SET received_at = received_at - interval '8 days' WHERE name = 'retry'")

    listed = shop.nobody.get("/api/v1/signals?bound=no", headers=read_key).json()
    orphans = shop.nobody.get("/api/v1/signals?state=orphan", headers=read_key).json()

    assert listed["unbound"] == {"waiting": 1, "orphans": 1}
    assert {item["name"]: item["state"] for item in listed["items"]} == {"thumbs_up": "waiting", "retry": "orphan"}
    assert [item["name"] for item in orphans["items"]] == ["retry"]
    assert shop.nobody.get("/api/v1/signals?bound=yes", headers=read_key).json()["items"] == []


def test_each_item_is_judged_alone_and_says_field_limit_and_value(shop, sender):
    items = [
        {"name": "thumbs_up", "trace_id": TRACE},
        {"name": "rating", "value": 1e300, "trace_id": TRACE},
        {"name": "rating", "trace_id": "0" * 32, "value": 4},
        {"name": "x" * 101, "value": 1, "session_id": "s"},
        {"name": "comment", "value": "a", "session_id": "s", "comment": "b" * 16_385},
        {"name": "comment", "value": "a", "session_id": "s", "metadata": {"a": "b" * 17_000}},
        {"name": "retry", "span_id": "a1" * 8},
        {"name": "retry"},
        {"name": "mood", "session_id": "s"},
        {"name": "retry", "session_id": "s", "source": "me", "happened_at": "soon", "trace": 1},
        {"name": "retry", "session_id": "s", "happened_at": "2190-01-01T00:00:00Z"},
        7,
    ]

    answer = send(shop.nobody, items, sender)

    assert (answer["accepted"], answer["rejected"]) == (1, len(items) - 1)
    wrong = [[error["field"] for error in item.get("errors", [])] for item in answer["items"]]
    assert wrong == [
        [], ["value"], ["trace_id"], ["name"], ["comment"], ["metadata"], ["span_id"], ["trace_id"], ["value"],
        ["trace", "source", "happened_at"], ["happened_at"], ["item"],
    ]  # fmt: skip
    assert answer["items"][1]["errors"] == [{
        "field": "value", "message": "is out of range", "limit": "a finite number from -1e+15 to 1e+15", "value": 1e300,
    }]  # fmt: skip
    assert rows(shop.project.pk) == ["thumbs_up"]


def test_where_nothing_can_be_kept_it_is_a_400_and_what_is_too_large_a_413(shop, sender):
    none = send(shop.nobody, [{"name": "retry"}, 1], sender, 400)
    send(shop.nobody, [], sender, 400)
    send(shop.nobody, {"signals": {}}, sender, 400)
    send(shop.nobody, {"signals": [], "more": 1}, sender, 400)
    send(shop.nobody, b"{", sender, 400)
    many = send(shop.nobody, [{"name": "retry", "session_id": "s"}] * 1001, sender, 400)
    large = send(shop.nobody, b'"' + b"a" * 8 * 1024 * 1024 + b'"', sender, 413)

    assert [error["field"] for error in none["errors"]] == ["signals[0].trace_id", "signals[1].item"]
    assert many["errors"][0]["limit"] == "1 to 1000 signals"
    assert large["status"] == 413
    assert rows(shop.project.pk) == []


def test_hostile_text_is_scrubbed_and_costs_nobody_anything(shop, sender):
    body = (
        b'[{"name":"comment","value":"a\\u0000b \\ud83d c","trace_id":"' + TRACE.encode() + b'","user_id":"\\u0000",'
        b'"metadata":{"a\\u0000":["\\ud800",1e999]}},{"name":"\xf0\x9f\x91\x8d","session_id":"' + b"s" * 600 + b'"}]'
    )

    answer = send(shop.nobody, body, sender)

    assert answer["accepted"] == 2
    assert rows(shop.project.pk, "value_text", "author", "vote") == [
        ("a\ufffdb \ufffd c", "\ufffd", None),
        (None, None, 1),
    ]
    listed = shop.nobody.get("/api/v1/signals?kind=text", headers=shop.key("read")).json()["items"]
    assert listed[0]["metadata"] == {"a\ufffd": ["\ufffd", "Infinity"]}


def test_every_kind_of_signal_is_known_by_its_name_and_others_are_kept(shop, sender):
    values = {
        "thumbs_up": None, "thumbs-down": None, "rating": 4, "correction": "It is 7", "follow_up": None, "retry": None,
        "copied": None, "edited": True, "abandoned": None, "escalated": None, "task_completed": True,
        "conversion": 129.9, "free_text": "Well", "Mood of the day": "sunny",
    }  # fmt: skip
    told = [{"name": name, "value": value, "session_id": "s", "client_id": name} for name, value in values.items()]
    send(shop.nobody, told, sender)
    send(shop.nobody, {"name": "thumb", "value": 0.2, "session_id": "s", "source": "model"}, sender)

    assert rows(shop.project.pk, "kind") == [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 20]
    assert [vote for vote in rows(shop.project.pk, "vote") if vote is not None] == [1, -1]


def test_a_projects_own_names_count_from_the_definition_and_stored_rows_follow(shop, sender):
    told = [
        {"name": "smiley", "value": True, "session_id": "s"},
        {"name": "remark", "value": "fine", "session_id": "s"},
    ]
    send(shop.nobody, told, sender)
    names = Names.parse({"Smiley": "thumb", "remark": "text"})
    SignalDefinition.objects.create(project=shop.project, version=1, spec={"names": names.to_json()})
    signalling.forget()

    after, changed = None, 0
    while True:
        with transaction.atomic(), raw_cursor() as cursor:
            after, n = write.rekind(cursor, shop.project.pk, names, after, 1)
        changed += n
        if after is None:
            break
    send(shop.nobody, {"name": "smiley", "value": False, "session_id": "s2"}, sender)

    assert changed == 2
    assert rows(shop.project.pk, "kind", "vote", "value_label", "value_text") == [
        (1, 1, None, None), (12, None, None, "fine"), (1, -1, None, None),
    ]  # fmt: skip


def test_signals_of_a_judges_own_trace_are_in_nobodys_behaviour(shop, sender, otlp):
    otlp.send(otlp.span(TRACE, "a1" * 8, attributes={"session.id": "s1"}), resource={"service.name": JUDGE_SERVICE})

    send(shop.nobody, {"name": "thumbs_up", "trace_id": TRACE}, sender)

    assert rows(shop.project.pk, "unit_key", "bound_at IS NOT NULL") == [(None, True)]
    assert due(shop.project.pk) == set()


def test_a_signal_that_moves_is_looked_at_in_both_places(shop, sender, otlp):
    pk = shop.project.pk
    otlp.send(otlp.span(TRACE, "a1" * 8), otlp.span(OTHER, "a1" * 8))
    send(shop.nobody, {"name": "thumbs_up", "trace_id": TRACE, "client_id": "c"}, sender)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_behaviour (project_id, unit_key, definition, first_at, last_at, closes_at, is_closed,"
            " turns, answers, facts, stratum) VALUES (%s, %s, 0, now(), now(), now(), true, 1, 1, 0, 0)", [pk, TRACE]
        )  # fmt: skip
    forget_due()

    send(shop.nobody, {"name": "thumbs_up", "trace_id": OTHER, "client_id": "c"}, sender)

    assert rows(pk, "unit_key") == [UUID(OTHER)]
    assert due(pk) == {TRACE, OTHER}


def test_removing_a_signal_leaves_nothing_of_it(shop, sender):
    told = send(shop.nobody, {"name": "thumbs_up", "session_id": "s"}, sender)["items"][0]["id"]
    path, writer = f"/api/v1/signals/{told}", shop.key("write")

    assert shop.nobody.get(path, headers=shop.key("read")).json()["name"] == "thumbs_up"
    assert shop.nobody.delete(path, headers=sender).status_code == 403
    assert shop.nobody.delete(path, headers=shop.key("write", of=shop.elsewhere)).status_code == 404
    assert shop.nobody.delete(path, headers=writer).status_code == 204
    assert shop.nobody.delete(path, headers=writer).status_code == 404
    assert rows(shop.project.pk) == []


def test_lists_go_on_by_cursor_and_come_as_files(shop, sender):
    at = "2026-11-20T10:00:00Z"
    told = [{"name": "retry", "value": n, "session_id": "s", "happened_at": at, "client_id": str(n)} for n in range(5)]
    send(shop.nobody, told, sender)
    headers = shop.key("read")

    seen, address = [], "/api/v1/signals?limit=2"
    while address:
        page = shop.nobody.get(address, headers=headers).json()
        seen += [item["value"] for item in page["items"]]
        address, back = page["next"], page["previous"]
    before = shop.nobody.get(back, headers=headers).json()
    csv = b"".join(shop.nobody.get("/api/v1/signals?format=csv", headers=headers).streaming_content).decode()

    assert seen == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert [item["value"] for item in before["items"]] == [2.0, 1.0]
    assert csv.splitlines()[0].startswith("id,client_id,name,kind,value")
    assert len(csv.splitlines()) == 6


def test_who_may_send_and_who_may_read(shop):
    thumb = {"name": "thumbs_up", "session_id": "s"}
    send(shop.nobody, thumb, shop.key("write"))
    send(shop.nobody, thumb, shop.key("ingest"), 403)
    send(shop.nobody, thumb, {}, 401)
    page = shop.nobody.get("/api/v1/signals", headers=shop.key("signal"))

    assert page.status_code == 403
    assert "scope read" in page.json()["detail"]


def test_every_signal_of_a_request_is_accounted_for(shop, sender):
    thumb = {"name": "thumbs_up", "trace_id": TRACE}
    send(shop.nobody, [thumb, thumb, {"name": "retry"}, {"name": "copied", "session_id": "s", "x": 1}], sender)
    send(shop.nobody, thumb, sender)
    send(shop.nobody, {"name": "retry"}, sender, 400)

    account = shop.nobody.get("/api/v1/accounting", headers=shop.key("read")).json()
    (flow,) = [row for row in account["by_source"] if row["source"] == "signals"]

    assert (flow["requests"], flow["received"], flow["stored"]) == (3, 6, 1)
    assert (flow["duplicate"], flow["rejected"], flow["unit"]) == (2, 3, "signals")
    assert flow["body_bytes"] > 100
    assert {row["reason"]: row["n"] for row in account["reasons"]} == {"bad_trace_id": 2, "bad_item": 1}
    assert "3 requests" in shop.alice.get("/p/shop/accounting/?source=signals").content.decode()


def test_signals_are_kept_as_long_as_traces_by_the_later_of_when_they_happened_and_came(shop, sender):
    told = [
        {"name": "retry", "session_id": "s", "happened_at": "2001-01-01T00:00:00Z", "client_id": str(at)}
        for at in range(3)
    ]
    send(shop.nobody, told, sender)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_signal SET received_at = now() - interval '91 days' WHERE client_id <> '0'")
        cursor.execute("UPDATE traces_signal SET happened_at = now() WHERE client_id = '1'")

    retention.sweep()

    assert sorted(rows(shop.project.pk, "client_id")) == ["0", "1"]


def test_a_body_is_read_whatever_its_framing_and_encoding(shop, sender):
    raw = orjson.dumps({"name": "thumbs_up", "trace_id": TRACE})
    packed = shop.nobody.post(
        "/api/v1/signals", gzip.compress(raw), "application/json", headers=sender | {"Content-Encoding": "gzip"}
    )
    bomb = gzip.compress(b" " * 9 * 1024 * 1024)
    large = shop.nobody.post("/api/v1/signals", bomb, "application/json", headers=sender | {"Content-Encoding": "gzip"})
    odd = shop.nobody.post("/api/v1/signals", raw, "application/json", headers=sender | {"Content-Encoding": "br"})
    xml = shop.nobody.post("/api/v1/signals", b"<a/>", "application/xml", headers=sender)
    empty = shop.nobody.post("/api/v1/signals", b"", "application/json", headers=sender)

    answers = (packed, large, odd, xml, empty)
    assert [answer.status_code for answer in answers] == [200, 413, 415, 415, 400]
    assert {answer["Content-Type"] for answer in answers[1:]} == {"application/problem+json"}
    # Nobody who sends signals has an exporter.
    assert large.json()["detail"] == "The body is larger than the limit of 8388608 bytes; send fewer at once."


@pytest.mark.process
def test_a_body_in_chunks_arrives(live, key, project):
    host, port = live.removeprefix("http://").split(":")
    head = f"POST /api/v1/signals HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.secret}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    raw = orjson.dumps({"name": "thumbs_up", "session_id": "s"})

    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall(head.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(raw), raw))
        answer = b"".join(iter(lambda: link.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 200")
    assert rows(project.pk) == ["thumbs_up"]
