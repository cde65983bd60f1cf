"""What pages and REST show of judging: the spend is the provider's bill, calls are hidden where traces are listed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape

import pytest
import time_machine

from evals.judging import context, judge_models
from evals.models import Connection
from telltale.lib import format as fmt
from tests.evals.judging_kit import (
    StandIn,
    draw,
    make_connection,
    make_plan,
    make_version,
    set_budget,
    states,
    store_traces,
)
from traces import folding
from traces.own_calls import forget

pytestmark = pytest.mark.django_db
PICO = Decimal(10) ** 12


@pytest.fixture(autouse=True)
def surroundings(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    settings.JUDGE_THREADS = 4
    monkeypatch.setattr("evals.judging.answers.PAUSE_FIRST", 0.0)
    context.forget()
    forget()
    # Noon, so that the day, whose spend is looked at, does not end meanwhile.
    with time_machine.travel(datetime.now(UTC).replace(hour=12, minute=30), tick=True):
        yield
    forget()


@pytest.fixture
def model():
    started = []

    def start(*args, **kwargs):
        started.append(StandIn(*args, **kwargs))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def ask(key, client):
    def asked(path, status=200):
        answer = client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {key.secret}"})
        assert answer.status_code == status, answer.content
        return answer.json()

    return asked


def live(project, stand_in, **more):
    version = make_version(project, endpoint=make_connection(project, stand_in.url, **more))
    make_plan(version, {"kind": "all"})
    return version


def said(answer):
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


def test_the_bill_is_the_spend_on_every_page_and_in_rest(project, alice, sign_in, model, ask):
    # One answer is no verdict, and one call never an answer.
    stand_in = model(lambda n, user: {2: "prose", 4: "late"}.get(n, ""), late_seconds=1.6)
    live(project, stand_in, timeout_seconds=1.0)
    set_budget(project, budget_pico_day=10**12)
    draw(project, store_traces(project, 6))
    judge_models(20)
    folding.fold_roll_ups()
    assert (states(project), stand_in.calls, stand_in.answered) == ({"scored": 6}, 8, 7)
    bill = Decimal(stand_in.bill_pico) / PICO

    for path, judge in (("evaluation/spend", None), ("evaluation/spend?judge=quality", "quality")):
        told = ask(path)
        (day,) = told["items"]
        assert (told["judge"], day["day"]) == (judge, f"{datetime.now(UTC):%Y-%m-%d}")
        assert Decimal(day["spent_usd"]) == bill
        assert (day["calls"], day["lost_calls"], day["reserved_calls"], day["unpriced_calls"]) == (7, 1, 0, 0)
        assert Decimal(day["lost_usd"]) > 0
    assert ask("evaluation/spend")["limit_usd_day"] == "1"
    runs = ask("judges/quality/runs")
    assert (Decimal(runs["cost_usd"]), runs["calls"]) == (bill, 8)
    calls = ask("traces?service=telltale.judge&limit=50")["items"]
    assert len(calls) == 8
    assert sum(Decimal(call["cost"]["usd"] or 0) for call in calls) == bill
    assert Decimal(ask("cost?t=7d")["judging"]["cost_usd"]) == bill

    client = sign_in(alice)
    page = said(client.get("/p/shop/judges/quality/runs/"))
    assert fmt.cost_exact(stand_in.bill_pico) in page
    assert "7 answered calls, 1 without an answer" in page
    cost = said(client.get("/p/shop/cost/?t=7d"))
    assert "Judging" in cost
    assert fmt.cost_pico(stand_in.bill_pico) in cost


def test_the_calls_of_judges_are_in_no_list_unless_asked_for(project, alice, sign_in, model, ask):
    stand_in = model()
    live(project, stand_in)
    draw(project, store_traces(project, 2))
    judge_models(20)
    folding.fold_roll_ups()
    client = sign_in(alice)

    page = client.get("/p/shop/traces/?t=1h").content.decode()
    assert "telltale.judge" not in page
    assert "judging=shown" in page
    # Where nothing matches, what is hidden is no filter to drop.
    assert "No trace matches" in client.get("/p/shop/traces/?t=1h&user=nobody&status=failed").content.decode()
    assert "telltale.judge" in client.get("/p/shop/traces/?t=1h&judging=shown").content.decode()
    assert [row["service"] for row in ask("traces")["items"]] == ["shop", "shop"]
    shown = ask("traces?judging=shown")["items"]
    assert sorted(row["service"] for row in shown) == ["shop", "shop", "telltale.judge", "telltale.judge"]
    # And from the trace to the call that judged it.
    judgement = ask("judgements")["items"][0]
    called = ask(f"traces/{judgement['call_trace_id']}")
    assert called["name"] == "judge quality v1"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("judge=nobody", "judge"),
        ("from=soon", "from"),
        ("to=0001-01-01", "to"),
        ("from=2026-11-20&to=2026-11-19", "from"),
        ("from=2020-01-01&to=2026-11-19", "from"),
        ("colour=red", "query"),
    ],
)
def test_an_odd_period_of_spend_is_refused_by_name(project, ask, query, field):
    assert ask(f"evaluation/spend?{query}", 400)["errors"][0]["field"] == field


def test_a_key_that_is_not_accepted_is_said_where_judging_is_watched(project, alice, sign_in, model, ask):
    stand_in = model()
    stand_in.answer = lambda handler, body, fault: stand_in.send(handler, 401, b"{}")
    live(project, stand_in)
    draw(project, store_traces(project, 9))

    judge_models(1)
    called = stand_in.calls
    context.forget()
    judge_models(1)

    # No call more, nothing failed, nothing spent.
    assert 1 <= called == stand_in.calls <= 4
    assert states(project) == {"pending": 9}
    assert ask("evaluation/spend")["items"][0]["spent_usd"] == "0"
    page = said(sign_in(alice).get("/p/shop/judges/quality/runs/"))
    assert "Stand-in is not called before" in page
    assert "does not accept the key" in page
    (told,) = {row["reason"] for row in ask("judgements?state=pending")["items"] if row["attempts"]}
    assert told == "auth"

    # With the right key it goes on.
    stand_in.answer = StandIn.answer.__get__(stand_in)
    Connection.objects.update(paused_until=None, paused_reason="")
    context.forget()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=10), tick=True):
        context.forget()
        judge_models(20)
    assert states(project) == {"scored": 9}
