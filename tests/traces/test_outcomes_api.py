"""Outcomes by REST, from real traces and signals to the figures, the days and the sessions behind them."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.behaviour_rows import settle as fold
from tests.traces.outcome_rows import NOON, booked, put_session, put_signal, recounted, run_jobs
from traces import behaving, measuring, signalling
from traces.behaviour.types import Fact
from traces.outcomes.spec import SpecRefused, parse_outcome, to_json
from traces.read import outcomes as read
from traces.write import behaviour as behaviour_write

CONVERSION = {"measure": "share", "of": [{"kind": "conversion"}]}
WINDOW = "from=2026-11-19T00:00:00Z&to=2026-11-20T00:00:00Z"


@pytest.fixture
def now(db):
    with time_machine.travel(NOON + timedelta(hours=1), tick=False) as traveller:
        yield traveller


@pytest.fixture
def rest(shop):
    """`rest(method, path, body=None, who="read write")`: the answer of REST to a key of these scopes."""

    def ask(method, path, body=None, who="read write", of=None, status=None):
        headers = shop.key(who, of=of or shop.project)
        data = b"" if body is None else json.dumps(body)
        answer = shop.nobody.generic(method, f"/api/v1{path}", data, "application/json", headers=headers)
        if status is not None:
            assert answer.status_code == status, answer.content
        return answer

    return ask


def test_real_sessions_with_signals_end_in_figures(shop, otlp, rest, now, monkeypatch):
    monkeypatch.setattr(behaving, "wake", lambda task: None)
    monkeypatch.setattr(behaving, "pause", lambda seconds: None)
    behaviour_write.forget()
    signalling.forget()
    now.move_to(NOON + timedelta(minutes=5))
    otlp.start_ns = int(NOON.timestamp() * 10**9)
    for preset in ("conversion", "order-value", "cost-per-resolved-query", "time-to-value"):
        rest("POST", "/outcomes", {"preset": preset}, status=201)
    answers = {"measure": "answers", "of": [{"kind": "conversion"}]}
    rest("POST", "/outcomes", {"name": "Answers to sale", "spec": answers}, status=201)
    run_jobs()
    for session in range(1, 5):
        for turn in range(3):
            number = session * 10 + turn
            otlp.send(
                otlp.generation(
                    f"{number:032x}", f"{number:016x}", said=f"Question {number} about shoes?", at_ms=turn * 60_000,
                    attributes={"session.id": f"s{session}", "telltale.feature": "shop"},
                )
            )  # fmt: skip
    sold = {"name": "purchase", "session_id": "s1", "value": 40, "happened_at": "2026-11-19T12:02:30Z"}
    rest("POST", "/signals", [sold, sold | {"session_id": "s2", "value": 60, "client_id": "c"}], "signal", status=200)
    fold(now)
    assert booked(shop.project.pk) == {}  # nobody is gone for long enough yet

    now.shift(timedelta(hours=2))
    fold(now)

    figures = {each["slug"]: each["figure"] for each in rest("GET", f"/outcomes?{WINDOW}").json()["items"]}
    told = {
        slug: (each["sessions"], each["unknown"], float(each["sum_x"]), float(each["sum_y"]))
        for slug, each in figures.items()
    }
    assert told["conversion"] == (4, 0, 4, 2)
    assert told["order-value"] == (2, 0, 2, 100)
    assert told["time-to-value"] == (2, 0, 2, 300)
    assert told["answers-to-sale"] == (2, 0, 2, 6)
    cost = told["cost-per-resolved-query"]
    assert cost[:3] == (4, 0, 2)
    # 12 calls of 1,000 tokens in and 100 out, at 0.15 and 0.60 a million.
    assert cost[3] == pytest.approx(12 * (1000 * 0.15 + 100 * 0.60) / 1e6)
    assert booked(shop.project.pk) == recounted(shop.project.pk)

    # The order is taken back: the same signal, told again, and the session is booked by its difference.
    rest("POST", "/signals", [sold | {"session_id": "s2", "value": 25, "client_id": "c"}], "signal", status=200)
    fold(now)
    value = {each["slug"]: each["figure"] for each in rest("GET", f"/outcomes?{WINDOW}").json()["items"]}
    assert (value["order-value"]["sessions"], value["order-value"]["sum_y"]) == (2, "65")
    # Counted anew from the rows it is the same to the last digit.
    before = booked(shop.project.pk)
    for each in read.list_outcomes(shop.project.pk):
        measuring.count_again(shop.project, each.slug, by_id=None)
    assert booked(shop.project.pk) == {}
    run_jobs()
    assert booked(shop.project.pk) == before == recounted(shop.project.pk)


def test_an_outcome_is_made_changed_put_away_and_taken_back(shop, rest, now):
    made = rest("POST", "/outcomes", {"name": "Sales", "spec": CONVERSION}, status=201).json()
    assert (made["slug"], made["revision"], made["unit"], made["created_by"]) == ("sales", 1, "share", None)
    assert made["sentence"] == "Sessions with a conversion, as a share of all sessions."
    assert made["recount"] == {"state": "pending", "done": 0, "total": None, "error": ""}
    run_jobs()

    assert rest("GET", "/outcomes/sales", status=200).json()["recount"] is None
    lower = CONVERSION | {"better": "lower"}
    assert rest("PATCH", "/outcomes/sales", {"name": "Orders", "spec": lower}, status=200).json()["revision"] == 1
    other = rest("PATCH", "/outcomes/sales", {"spec": CONVERSION | {"features": ["a"]}}, status=200).json()
    assert (other["name"], other["revision"]) == ("Orders", 2)
    assert rest("DELETE", "/outcomes/sales", status=204).content == b""
    assert rest("GET", "/outcomes").json()["items"] == []
    (away,) = rest("GET", "/outcomes?archived=true").json()["items"]
    assert (away["archived_at"], away["figure"]) == ("2026-11-19T13:00:00Z", None)
    assert rest("GET", "/outcomes/sales/figures").status_code == 409
    back = rest("PATCH", "/outcomes/sales", {"is_archived": False}, status=200).json()
    assert (back["archived_at"], back["revision"]) == (None, 4)
    again = rest("POST", "/outcomes/sales/recount", status=200).json()
    assert again["revision"] == 5
    entries = shop.alice.get("/api/v1/audit?project=shop").json()["items"]
    acts = [each["action"] for each in entries if each["action"].startswith("outcome")]
    assert acts == [
        "outcome.recount", "outcome.restore", "outcome.archive", "outcome.change", "outcome.change", "outcome.add",
    ]  # fmt: skip
    assert all(each["actor"].startswith("key ") for each in entries if each["action"].startswith("outcome"))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "A"}, "spec"),
        ({"name": "", "spec": CONVERSION}, "name"),
        ({"name": "A" * 121, "spec": CONVERSION}, "name"),
        ({"name": "A", "spec": None}, "spec"),
        ({"name": "A", "spec": {"measure": "share", "of": [{"kind": "nope"}]}}, "spec.of[0].kind"),
        ({"name": "A", "spec": CONVERSION, "slug": "A b"}, "slug"),
        ({"preset": "nope"}, "preset"),
        ({"preset": "conversion", "name": "A"}, "preset"),
        ({"name": "A", "spec": CONVERSION, "colour": "red"}, "colour"),
    ],
)
def test_a_refusal_names_the_field(rest, now, body, field):
    answer = rest("POST", "/outcomes", body, status=400)

    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert answer["Content-Type"] == "application/problem+json"


def test_figures_days_and_sessions_say_the_same(shop, rest, now):
    project = shop.project.pk
    for n in range(1, 101):
        at = NOON - timedelta(days=n % 2, minutes=n)
        put_session(project, n, at=at, feature="shop" if n % 4 else "help", facts=Fact.COMPLETED if n <= 60 else 0)
        if n % 3 == 0:
            put_signal(project, n, of=n, at=at)
    put_session(project, 200, at=NOON - timedelta(days=3))
    rest("POST", "/outcomes", {"name": "Sales", "spec": CONVERSION}, status=201)
    run_jobs()

    window = "from=2026-11-17T23:59:00Z&to=2026-11-20T00:00:00Z"
    told = rest("GET", f"/outcomes/sales/figures?{window}", status=200).json()
    days = rest("GET", f"/outcomes/sales/days?{window}", status=200).json()
    found = rest("GET", f"/outcomes/sales/sessions?{window}&which=with&limit=30", status=200).json()
    older = rest("GET", "/outcomes/sales/sessions?" + found["next"].split("?")[1], status=200).json()
    newer = rest("GET", "/outcomes/sales/sessions?" + older["previous"].split("?")[1], status=200).json()

    assert (told["from"], told["to"]) == ("2026-11-17T23:00:00Z", "2026-11-20T00:00:00Z")
    figure = told["figure"]
    assert (figure["sessions"], figure["sum_y"], figure["value"], figure["method"]) == (100, "33", 0.33, "wilson")
    assert figure["low"] == pytest.approx(0.2456, abs=1e-4)  # Wilson
    assert figure["high"] == pytest.approx(0.4269, abs=1e-4)
    assert (told["before"]["value"], told["before"]["lacking"], told["change"]) == (
        None, {"what": "sessions", "have": 1, "need": 30}, None,
    )  # fmt: skip
    features = {each["feature"]: each for each in told["features"]}
    assert (features["shop"]["sessions"], features["help"]["lacking"]["have"]) == (75, 25)
    assert [(each["day"], each["sessions"]) for each in days["items"]] == [
        ("2026-11-17", 0), ("2026-11-18", 50), ("2026-11-19", 50),
    ]  # fmt: skip
    assert sum(float(each["sum_y"]) for each in days["items"]) == 33
    ids = [each["session_id"] for each in found["items"] + older["items"]]
    assert sorted(ids, key=lambda each: int(each[1:])) == [f"s{n}" for n in range(3, 101, 3)]
    assert (len(found["items"]), older["next"], found["previous"]) == (30, None, None)
    assert newer["items"] == found["items"]
    starts = [each["started_at"] for each in found["items"] + older["items"]]
    assert starts == sorted(starts, reverse=True)
    without = rest("GET", f"/outcomes/sales/sessions?{window}&which=without&feature=help&limit=500").json()["items"]
    assert {each["session_id"] for each in without} == {f"s{n}" for n in range(4, 101, 4) if n % 3}
    rows = list(csv.DictReader(io.StringIO(b"".join(
        rest("GET", f"/outcomes/sales/sessions?{window}&which=with&format=csv").streaming_content
    ).decode())))  # fmt: skip
    assert [each["session_id"] for each in rows] == ids
    lines = b"".join(rest("GET", f"/outcomes/sales/days?{window}&format=ndjson").streaming_content).splitlines()
    assert [json.loads(line)["sessions"] for line in lines] == [0, 50, 50]
    tried = rest("POST", "/outcomes/preview", {"spec": CONVERSION}, "read", status=200).json()
    assert (tried["looked_at"], tried["is_capped"], tried["figure"]["sum_y"]) == (101, False, "33")


def test_only_outcomes_over_all_sessions_have_some_without(rest, now):
    rest("POST", "/outcomes", {"preset": "order-value"}, status=201)

    answer = rest("GET", "/outcomes/order-value/sessions?which=without", status=400)

    assert answer.json()["errors"][0]["limit"] == "one of all, unknown"
    for bad in ("which=nobody", "cursor=abc", "from=2020-01-01", "limit=0", "feature=" + "x" * 201):
        assert rest("GET", f"/outcomes/order-value/sessions?{bad}").status_code == 400, bad


def test_days_are_cut_in_the_zone_of_the_project_and_every_hour_is_in_one(shop, now):
    for zone, first in (
        ("Asia/Kolkata", "2026-11-18T19:00:00+00:00"),
        ("America/New_York", "2026-11-19T05:00:00+00:00"),
    ):
        made = measuring.add_outcome(shop.project, zone, CONVERSION, by_id=None)
        days = read.daily(shop.project.pk, zone, made, NOON - timedelta(days=3), NOON + timedelta(hours=20))

        assert [each.start for each in days[1:]] == [each.end for each in days[:-1]]
        assert (days[0].start, days[-1].end) == (NOON - timedelta(days=3), NOON + timedelta(hours=20))
        assert first in {each.start.isoformat() for each in days}
        assert all(each.ratio is None and each.n == 0 and each.lacking.need == 30 for each in days)


def test_what_others_hold_is_not_there(shop, rest, now):
    rest("POST", "/outcomes", {"preset": "conversion"}, of=shop.elsewhere, status=201)

    assert rest("GET", "/outcomes").json()["items"] == []
    for path in ("", "/figures", "/days", "/sessions"):
        assert rest("GET", f"/outcomes/conversion{path}").status_code == 404
    assert rest("PATCH", "/outcomes/conversion", {"name": "Mine"}).status_code == 404
    assert rest("POST", "/outcomes", {"preset": "conversion"}, "read").status_code == 403


def test_presets_can_be_added_by_their_slugs(rest, now):
    presets = rest("GET", "/outcomes/presets", status=200).json()["items"]
    assert [each["slug"] for each in presets] == [
        "conversion", "resolution", "escalation", "task-completion", "order-value", "cost-per-resolved-query",
        "time-to-value",
    ]  # fmt: skip
    for each in presets:
        made = rest("POST", "/outcomes", {"preset": each["slug"]}, status=201).json()
        assert (made["slug"], made["spec"]) == (each["slug"], each["spec"])


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["measure", "of", "among", "kind", "name", "fact", "at_least", "is", "label", "x"]), inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {"measure": st.sampled_from(["share", "value", "cost", "time", "answers"]) | JSONS, "of": JSONS},
        optional={"among": JSONS, "per": JSONS, "features": JSONS, "better": JSONS, "unit": JSONS},
    )
    | JSONS
)
def test_whatever_comes_is_a_measure_or_refused(told):
    spec = None
    with suppress(SpecRefused):
        spec = parse_outcome(told)

    assert spec is None or parse_outcome(to_json(spec)) == spec


def test_a_moment_of_the_window_is_never_lost():
    period = read.period_of(datetime(2026, 11, 19, 12, 30, tzinfo=UTC), datetime(2026, 11, 19, 14, tzinfo=UTC))

    assert (period.start.hour, period.end.hour) == (12, 14)
    assert (period.before.start.hour, period.before.end.hour) == (10, 12)
