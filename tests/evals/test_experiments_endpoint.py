"""Experiments that call an endpoint: every item asked once, tried again where that helps, within its money."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest

from evals import experimenting, keeping
from evals.experimenting import AskConfig, ExperimentRefused, Wanted, running
from evals.keeping import By, NewItem
from evals.models import Connection, ExperimentResult
from evals.read import experiments as read
from telltale.jobs import work
from telltale.jobs.models import Job
from tests.evals.judging_kit import INPUT_PICO, OUTPUT_PICO, StandIn, make_connection

pytestmark = pytest.mark.django_db


class Echo(StandIn):
    """Answers with what it was asked."""

    def verdict(self, body):
        return body["messages"][-1]["content"]


@pytest.fixture
def model(settings, monkeypatch):
    """Starts stand-ins; pauses between tries are over at once."""
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(running, "AGAIN", timedelta(0))
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.02)
    started = []

    def start(*args, **kwargs):
        started.append(Echo(*args, **kwargs))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def kept(project):
    """Dataset `returns` of 12 items."""
    keeping.make_dataset(project, "Returns", by=By())
    keeping.put_items(
        project, "returns", [NewItem(f"k{n:02}", {"question": f"Q{n:02}"}, f'"Q{n:02}"') for n in range(12)], by=By()
    )
    return project


def begin(project, stand_in, ask=None, metrics=("exact_match",), **more):
    connection = make_connection(project, stand_in.url, **more)
    wanted = Wanted("returns", connection_id=connection.pk, ask=ask or AskConfig("small"), metrics=metrics)
    return experimenting.make_experiment(project, wanted, by=By()).id


def outcome(project, number):
    return read.get_experiment(project.pk, number)


def test_every_item_is_asked_once_and_kept_with_what_it_took(kept, model):
    stand_in = model()
    number = begin(kept, stand_in)

    work.run_next()

    row = outcome(kept, number)
    assert (row.state, row.done, row.failed, stand_in.calls) == ("done", 12, 0, 12)
    assert row.cost_pico == stand_in.bill_pico > 0
    result = read.list_results(kept.pk, number)[3]
    assert (result.output, result.metrics) == ('"Q03"', {"exact_match": 1.0})
    assert result.latency_ms > 0
    assert result.input_tokens * INPUT_PICO + result.output_tokens * OUTPUT_PICO == result.cost_pico
    assert 1 < stand_in.most <= 4 or stand_in.delay == 0


def test_what_fails_for_a_moment_is_tried_again_and_what_lasts_is_said(kept, model):
    asked = Counter()

    def fail(n, user):
        asked[user] += 1
        return "server" if "Q07" in user or (("Q03" in user or "Q10" in user) and asked[user] <= 2) else ""

    stand_in = model(fail)
    number = begin(kept, stand_in)

    work.run_next()

    row = outcome(kept, number)
    assert (row.state, row.done, row.failed) == ("done", 11, 1)
    [failed] = read.list_results(kept.pk, number, state="failed")
    assert failed.item_key == "k07"
    assert failed.attempts == running.ATTEMPTS_MAX
    assert "HTTP 500" in failed.error
    assert max(stand_in.seen.values()) <= running.ATTEMPTS_MAX


def test_a_slow_down_is_told_to_everybody_who_calls(kept, model):
    stand_in = model(lambda n, user: "limited" if n == 1 else "")
    number = begin(kept, stand_in, at_a_time=1)

    work.run_next()

    assert outcome(kept, number).done == 12
    assert "slow down" in Connection.objects.get().paused_reason
    assert stand_in.calls == 13


def test_no_call_is_made_that_the_budget_may_not_cover(kept, model, monkeypatch):
    stand_in = model()
    monkeypatch.setattr(stand_in, "verdict", lambda body: "word " * 14)
    each = 10 * INPUT_PICO + 20 * OUTPUT_PICO
    ask = AskConfig("small", max_output_tokens=20, budget_pico=5 * each)
    number = begin(kept, stand_in, ask, at_a_time=1)

    work.run_next()

    row = outcome(kept, number)
    assert 5 <= stand_in.calls < 12
    assert row.cost_pico == stand_in.bill_pico <= 5 * each
    assert (row.done, row.failed) == (stand_in.calls, 12 - stand_in.calls)
    assert row.reason == "The budget of this experiment is used up."


def test_a_budget_needs_a_price(kept, model):
    stand_in = model()

    with pytest.raises(ExperimentRefused) as refused:
        begin(kept, stand_in, AskConfig("nobody-knows", budget_pico=1), input_pico=None, output_pico=None)

    assert refused.value.field == "budget_usd"


def test_a_key_that_is_refused_ends_the_experiment_at_once(kept, model, monkeypatch):
    stand_in = model()
    monkeypatch.setattr(stand_in, "answer", lambda handler, body, fault: stand_in.send(handler, 401, b"{}"))
    number = begin(kept, stand_in, at_a_time=2)

    work.run_next()

    row = outcome(kept, number)
    assert stand_in.calls <= 2
    assert (row.failed, row.done) == (12, 0)
    assert "does not accept the key" in row.reason


def test_after_a_kill_only_what_was_in_flight_is_asked_again(kept, model):
    stand_in = model()
    number = begin(kept, stand_in, at_a_time=2)
    # As a killed worker leaves them: two held, four answered, the job's lease run out.
    rows = list(ExperimentResult.objects.order_by("item_key"))
    for row in rows[:4]:
        running.write.end_call(row.experiment.project_id, row.pk, {"state": "done", "output": "before"})
    running.write.take_pending(number, 2, 600)
    Job.objects.update(state="running", lease_by="dead", lease_until="2020-01-01T00:00:00Z", attempts=1)

    work.run_next()

    row = outcome(kept, number)
    assert (row.done, row.failed, stand_in.calls) == (12, 0, 8)
    attempts = dict(ExperimentResult.objects.values_list("item_key", "attempts"))
    assert (attempts["k04"], attempts["k05"], attempts["k06"]) == (2, 2, 1)
    assert ExperimentResult.objects.filter(output="before").count() == 4


def test_cancelling_stops_the_calls_and_keeps_what_was_answered(kept, model, monkeypatch):
    stand_in = model()
    number = begin(kept, stand_in, at_a_time=1)
    steps = []

    def step(self, **told):
        steps.append(told)
        if len(steps) == 3:
            experimenting.cancel(kept, number, by=By())
        return real(self, **told)

    real = work.Run.step
    monkeypatch.setattr(work.Run, "step", step)
    work.run_next()

    row = outcome(kept, number)
    assert row.state == "cancelled"
    assert 3 <= stand_in.calls <= 4
    assert row.done >= 3
    assert row.pending == 0


def test_the_estimate_is_no_less_than_the_bill(kept, model):
    stand_in = model()
    ask = AskConfig("small", max_output_tokens=20)
    connection = make_connection(kept, stand_in.url, name="other")
    row = outcome(kept, begin(kept, stand_in, ask))
    estimate = experimenting.estimate(kept.pk, row.dataset_id, row.version, ask, connection)

    work.run_next()

    assert estimate.items == 12
    assert estimate.pico >= stand_in.bill_pico
    assert json.loads(json.dumps(outcome(kept, row.id).config)) == ask.as_json()
