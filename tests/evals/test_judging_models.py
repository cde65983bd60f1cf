"""Judging by models: each target ends once, sums add up, money holds, and what is no verdict is no score."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from psycopg import errors

from evals.judging import ModelRun, context, judge_models, outcomes, resume_waiting, tending
from evals.judging.answers import unpack_answer
from evals.models import Connection, Judge, JudgeVersion, SpendDay
from evals.read import judgements as read
from evals.write import pace
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from tests.evals.judging_kit import (
    StandIn,
    draw,
    make_connection,
    make_plan,
    make_version,
    reason_tallies,
    reasons,
    set_budget,
    set_noon,
    sql,
    states,
    store_traces,
    tallies,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def loopback(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    settings.JUDGE_THREADS = 4
    context.forget()


@pytest.fixture
def model():
    """Starts stand-ins; they end with the test."""
    started = []

    def start(*args, **kwargs):
        started.append(StandIn(*args, **kwargs))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def at_once(monkeypatch):
    """Pauses between attempts are over at once."""
    monkeypatch.setattr("evals.judging.answers.PAUSE_FIRST", 0.0)
    monkeypatch.setattr("evals.judging.outcomes.LIMITED_PAUSE", timedelta(0))


def live(project, stand_in, spec=None, **more):
    set_noon(project)
    connection = make_connection(project, stand_in.url, **more)
    version = make_version(project, endpoint=connection)
    make_plan(version, spec or {"kind": "all"})
    return version


def set_judge(**values):
    Judge.objects.update(**values)


def spend(project, judge_id=0):
    return SpendDay.objects.get(project=project, judge_id=judge_id)


def test_each_trace_is_scored_once_and_the_spend_is_the_bill(project, model):
    stand_in = model()
    version = live(project, stand_in)
    ids = store_traces(project, 12)

    assert draw(project, ids) == 12
    assert judge_models(20) == 12

    assert states(project) == tallies(project) == {"scored": 12}
    assert stand_in.calls == 12
    scores = sql("SELECT name, number, count(*) FROM evals_score WHERE project_id = %s GROUP BY 1, 2", project.pk)
    assert sorted(scores) == [("correctness", 4.0, 12), ("tone", 4.0, 12)]
    whole, own = spend(project), spend(project, version.judge_id)
    assert whole.spent_pico == own.spent_pico == stand_in.bill_pico
    assert (whole.calls, whole.reserved_calls, whole.reserved_pico, whole.lost_calls) == (12, 0, 0, 0)
    counts = read.counts(project.pk)
    assert (counts.made, counts.calls, counts.cost_pico) == (12, 12, stand_in.bill_pico)


def test_a_second_run_calls_nobody_again(project, model):
    stand_in = model()
    live(project, stand_in)
    ids = store_traces(project, 3)
    draw(project, ids)
    judge_models(20)

    assert draw(project, ids) == 0
    assert judge_models(5) == 0

    assert stand_in.calls == 3


def test_the_call_is_a_trace_with_its_cost_that_no_judge_judges(project, model):
    stand_in = model()
    live(project, stand_in)
    draw(project, store_traces(project, 1))
    judge_models(20)

    found = sql(
        "SELECT trace_id, cost_pico::bigint, name FROM traces_trace WHERE project_id = %s AND service = %s",
        project.pk, "telltale.judge",
    )  # fmt: skip
    assert [(cost, name) for _, cost, name in found] == [(stand_in.bill_pico, "judge quality v1")]
    assert sql("SELECT call_trace_id FROM evals_judgement")[0][0] == found[0][0]
    assert draw(project, [found[0][0]]) == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("prose", "unparsable"), ("half", "unparsable"), ("range", "out_of_range"), ("refusal", "refused")],
)
def test_an_answer_that_is_no_verdict_is_asked_for_three_times_and_never_a_score(
    project, model, at_once, fault, reason
):
    stand_in = model(lambda n, user: fault)
    live(project, stand_in)
    draw(project, store_traces(project, 2))

    judge_models(20)

    assert reasons(project) == reason_tallies(project) == {("failed", reason): 2}
    assert sql("SELECT attempts, unusable FROM evals_judgement") == [(3, 3), (3, 3)]
    assert sql("SELECT count(*) FROM evals_score") == [(0,)]
    assert sql("SELECT count(*) FROM evals_score_hour") == [(0,)]
    assert spend(project).spent_pico == stand_in.bill_pico > 0
    kept = unpack_answer(bytes(sql("SELECT answer FROM evals_judgement LIMIT 1")[0][0]))
    assert kept["unusable"]["kind"] == reason


def test_faults_of_all_kinds_end_in_sums_that_add_up(project, model, at_once):
    kinds = ["limited", "prose", "range", "half", "refusal", "server"]
    stand_in = model(lambda n, user: kinds[n // 7 % 6] if n % 7 == 0 else "")
    live(project, stand_in)
    ids = store_traces(project, 60)
    draw(project, ids)

    while judge_models(30) or states(project).get("pending"):
        Connection.objects.update(paused_until=None)
        context.forget()

    assert states(project) == tallies(project) == {"scored": 60}
    assert reasons(project) == reason_tallies(project)
    scored = sql("SELECT trace_id, count(*) FROM evals_score WHERE project_id = %s GROUP BY 1", project.pk)
    assert {trace_id for trace_id, _ in scored} == set(ids)
    assert {n for _, n in scored} == {2}
    whole = spend(project)
    assert whole.spent_pico == stand_in.bill_pico
    assert whole.calls == stand_in.calls
    assert read.counts(project.pk).calls == stand_in.calls


def test_a_time_out_counts_as_a_call_that_may_have_been_paid(project, model, at_once):
    stand_in = model(lambda n, user: "late" if n == 1 else "", late_seconds=1.6)
    live(project, stand_in, timeout_seconds=1.0)
    draw(project, store_traces(project, 1))

    while judge_models(10) or states(project).get("pending"):
        context.forget()

    whole = spend(project)
    assert (whole.calls, whole.lost_calls, whole.reserved_calls) == (1, 1, 0)
    assert whole.spent_pico == stand_in.bill_pico
    assert whole.lost_pico > 0
    assert sql("SELECT state, attempts FROM evals_judgement") == [("scored", 2)]


def test_a_provider_that_asks_to_slow_down_is_left_alone_that_long(project, model):
    stand_in = model(lambda n, user: "limited")
    live(project, stand_in)
    draw(project, store_traces(project, 8))

    judge_models(0.5)

    # Those under way when it said so, and no more.
    assert 1 <= stand_in.calls <= 4
    connection = Connection.objects.get()
    assert connection.paused_until is not None
    assert "slow down" in connection.paused_reason
    waiting = sql("SELECT reason, attempts, next_at FROM evals_judgement WHERE attempts > 0")
    assert {reason for reason, _, _ in waiting} == {"rate_limited"}
    assert spend(project).spent_pico == 0
    # Another worker, that read the connection before and had an answer a moment later, does not call either.
    calls = stand_in.calls
    Connection.objects.update(failures=3, paused_until=clock.now() + timedelta(seconds=60))
    with transaction.atomic(), raw_cursor() as cursor:
        pace.went_well(cursor, connection.pk, clock.now())
    ModelRun().run(0.3)
    held = Connection.objects.get()
    assert (stand_in.calls, held.failures) == (calls, 0)
    assert held.paused_until > clock.now()


def test_an_endpoint_that_is_away_is_not_called_in_a_loop_and_judging_goes_on_when_it_is_back(
    project, model, monkeypatch
):
    monkeypatch.setattr(outcomes, "BREAK_FIRST", timedelta(minutes=2))
    stand_in = model()
    live(project, stand_in, base_url="http://127.0.0.1:9/v1")
    draw(project, store_traces(project, 20))
    tried = []
    for _ in range(30):
        judge_models(0.2)
        held = Connection.objects.get()
        tried.append(held.failures)
        context.forget()

    # Ten in a row, some more that were under way; then a pause for everybody.
    assert 10 <= tried[-1] < 10 + 4
    assert tried[-1] == tried[-10]
    assert held.paused_until > clock.now()
    assert reasons(project) == reason_tallies(project)
    assert states(project) == {"pending": 20}
    assert sql("SELECT sum(attempts)::int FROM evals_judgement") == [(0,)]
    assert (spend(project).lost_calls, spend(project).reserved_calls) == (0, 0)

    # Back, and the pause over.
    Connection.objects.update(base_url=stand_in.url, paused_until=clock.now())
    sql("UPDATE evals_judgement SET next_at = now() RETURNING 1")
    context.forget()
    judge_models(20)

    assert states(project) == tallies(project) == {"scored": 20}
    assert stand_in.calls == 20
    assert Connection.objects.get().failures == 0


def test_no_more_calls_at_a_time_than_the_connection_takes(project, model, settings):
    settings.JUDGE_THREADS = 8
    stand_in = model(delay=0.02)
    live(project, stand_in, at_a_time=2)
    draw(project, store_traces(project, 10))

    judge_models(20)

    assert states(project) == {"scored": 10}
    assert stand_in.most == 2


def test_no_more_calls_a_minute_than_the_connection_takes(project, model):
    stand_in = model()
    live(project, stand_in, calls_a_minute=60)
    draw(project, store_traces(project, 30))

    judge_models(0.8)

    # Five seconds' worth at once, then one a second.
    assert 5 <= stand_in.calls <= 7


def test_the_budget_is_never_passed_and_what_waits_says_until_when(project, model):
    stand_in = model()
    version = live(project, stand_in)
    draw(project, store_traces(project, 40))
    set_budget(project, budget_pico_day=8_000_000_000)

    judge_models(20)

    whole = spend(project)
    assert 0 < whole.spent_pico == stand_in.bill_pico <= 8_000_000_000
    held = states(project)
    assert held["scored"] + held["pending"] == 40
    assert held["pending"] > 0
    assert reason_tallies(project) == {("scored", ""): held["scored"], ("pending", "budget"): held["pending"]}
    until = sql("SELECT DISTINCT next_at FROM evals_judgement WHERE state = 'pending'")[0][0]
    assert until == context.context_of(version.pk).day_ends(sql("SELECT now()")[0][0])

    set_budget(project, budget_pico_day=None)
    assert resume_waiting() == held["pending"]
    judge_models(20)

    assert states(project) == tallies(project) == {"scored": 40}


def test_what_does_not_fit_the_rest_of_the_budget_goes_on_waiting(project, model):
    stand_in = model()
    live(project, stand_in)
    draw(project, store_traces(project, 12, answer="Long. " * 4_000))
    # Room for a short call, and for none of these.
    set_budget(project, budget_pico_day=2_000_000_000)
    judge_models(5)
    assert reason_tallies(project) == {("pending", "budget"): 12}

    assert resume_waiting() == 0

    # Room for some of them: so many go on.
    set_budget(project, budget_pico_day=7_000_000_000)
    resumed = resume_waiting()
    assert 0 < resumed < 12
    assert reason_tallies(project) == {("pending", ""): resumed, ("pending", "budget"): 12 - resumed}
    assert (spend(project).reserved_pico, spend(project).reserved_calls) == (0, 0)


@pytest.mark.parametrize(
    ("reason", "stop", "go_on"),
    [
        ("judge_paused", lambda version: set_judge(paused_at=clock.now()), lambda version: set_judge(paused_at=None)),
        ("judge_archived", lambda version: set_judge(archived_at=clock.now()), lambda _: set_judge(archived_at=None)),
        (
            "connection_archived",
            lambda version: Connection.objects.update(archived_at=clock.now()),
            lambda version: Connection.objects.update(archived_at=None),
        ),
        (
            "no_connection",
            lambda version: JudgeVersion.objects.update(connection=None),
            lambda version: JudgeVersion.objects.update(connection=version.connection),
        ),
        (
            "key_sealed",
            lambda version: Connection.objects.update(sealed_key="of another installation"),
            lambda version: Connection.objects.update(sealed_key=""),
        ),
    ],
)
def test_what_is_the_matter_with_a_judge_is_why_its_judgements_wait_and_they_go_on(
    project, model, reason, stop, go_on
):
    stand_in = model()
    version = live(project, stand_in)
    (trace_id, _) = ids = store_traces(project, 2)
    draw(project, ids)
    stop(version)
    context.forget()

    judge_models(5)

    assert reasons(project) == reason_tallies(project) == {("pending", reason): 2}
    assert read.REASONS[reason] in read.why(project.pk, trace_id)[0].words
    assert stand_in.calls == 0
    assert not read.has_open_work()  # nothing looks again each moment

    go_on(version)
    context.forget()
    assert resume_waiting() == 2
    judge_models(20)
    assert states(project) == tallies(project) == {"scored": 2}


def test_two_workers_in_each_others_way_lose_no_answer(project, model, monkeypatch):
    stand_in = model()
    live(project, stand_in)
    draw(project, store_traces(project, 4))
    lost, write = [2], outcomes.write_verdicts

    def losing(cursor, scored):
        if lost[0]:
            lost[0] -= 1
            raise errors.DeadlockDetected("another was first")
        return write(cursor, scored)

    monkeypatch.setattr(outcomes, "write_verdicts", losing)
    judge_models(20)

    assert states(project) == tallies(project) == {"scored": 4}
    assert (stand_in.calls, spend(project).calls, spend(project).spent_pico) == (4, 4, stand_in.bill_pico)


def test_a_limit_of_calls_holds_to_the_call(project, model):
    stand_in = model()
    live(project, stand_in)
    draw(project, store_traces(project, 9))
    set_budget(project, budget_pico_day=None, budget_calls_day=5)

    judge_models(20)

    assert stand_in.calls == 5
    assert tallies(project) == {"scored": 5, "pending": 4}


def test_what_waited_for_money_for_a_day_is_skipped_with_that_reason(project, model):
    stand_in = model()
    live(project, stand_in)
    draw(project, store_traces(project, 3))
    set_budget(project, budget_calls_day=0)
    judge_models(5)
    sql("UPDATE evals_judgement SET made_at = made_at - interval '25 hours' RETURNING 1")
    sql("UPDATE evals_judgement_hour SET hour = hour - interval '25 hours' RETURNING 1")

    assert tending.skip_old() == 3

    assert reasons(project) == reason_tallies(project) == {("skipped", "budget"): 3}
    assert stand_in.calls == 0


def test_a_call_of_unknown_price_is_counted_as_a_call(project, model):
    stand_in = model()
    live(project, stand_in, input_pico=None, output_pico=None)
    draw(project, store_traces(project, 2))

    judge_models(20)

    whole = spend(project)
    assert (whole.calls, whole.unpriced_calls, whole.spent_pico) == (2, 2, 0)
    assert sql("SELECT cost_pico FROM evals_judgement") == [(None,), (None,)]


def test_what_a_dead_worker_held_is_called_again_and_counted_as_lost(project, model):
    stand_in = model()
    live(project, stand_in)
    draw(project, store_traces(project, 5))
    dead = ModelRun(threads=3)
    dead._claim(NoPool())
    assert states(project) == tallies(project) == {"running": 3, "pending": 2}

    assert judge_models(5) == 2
    sql("UPDATE evals_judgement SET lease_until = now() - interval '1 second' WHERE state = 'running' RETURNING 1")
    assert tending.reap() == 3
    judge_models(20)

    assert states(project) == tallies(project) == {"scored": 5}
    whole = spend(project)
    assert (whole.calls, whole.lost_calls, whole.reserved_calls, whole.reserved_pico) == (5, 3, 0, 0)
    assert whole.spent_pico == stand_in.bill_pico
    assert sorted(sql("SELECT attempts, lost FROM evals_judgement")) == [(1, 0), (1, 0), (2, 1), (2, 1), (2, 1)]


class NoPool:
    """A pool whose threads never run: its process dies first."""

    def submit(self, work, flight):
        return object()


def test_what_a_lost_call_cost_is_known_about_once_it_was_made_again(project, model):
    stand_in = model()
    live(project, stand_in)
    draw(project, store_traces(project, 1))
    dead = ModelRun()
    dead._take(context.context_of(sql("SELECT judge_version_id FROM evals_judgement")[0][0]), 1, clock.now())
    sql("UPDATE evals_judgement SET lease_until = now() - interval '1 second' RETURNING 1")
    assert tending.reap() == 1
    at_most = spend(project).lost_pico
    assert (spend(project).lost_calls, spend(project).reserved_pico) == (1, 0)

    judge_models(20)

    whole, own = spend(project), SpendDay.objects.exclude(judge_id=0).get()
    assert whole.lost_pico == own.lost_pico == whole.spent_pico == stand_in.bill_pico < at_most
    assert (whole.calls, whole.lost_calls) == (1, 1)


def test_an_answer_that_comes_after_the_lease_is_no_second_score_but_its_cost_is_known(project, model):
    stand_in = model()
    version = live(project, stand_in)
    draw(project, store_traces(project, 1))
    late = ModelRun(threads=1)
    late._claim(NoPool())
    flight = next(iter(late.flying.values()))
    sql("UPDATE evals_judgement SET lease_until = now() - interval '1 second' RETURNING 1")
    tending.reap()
    judge_models(20)

    from evals.judging import outcomes
    from evals.judging.models import _call

    assert outcomes.settle(project.pk, [(flight, _call(flight))], late.holder) == 0

    assert stand_in.calls == 2
    whole = spend(project)
    assert (whole.calls, whole.lost_calls, whole.lost_pico) == (2, 0, 0)
    assert whole.spent_pico == stand_in.bill_pico == spend(project, version.judge_id).spent_pico
    assert sql("SELECT count(*) FROM evals_score WHERE name = 'tone'") == [(1,)]
    assert states(project) == tallies(project) == {"scored": 1}


def test_a_low_score_flags_and_enters_the_sums_of_estimates(project, model):
    stand_in = model()
    stand_in.verdict = lambda body: {
        "injection_attempt": True,
        "criteria": {
            "correctness": {"reason": "Wrong.", "evidence": ["never said"], "unsure": False, "score": 1},
            "tone": {"reason": "?", "evidence": [], "unsure": True, "score": None},
        },
    }
    live(project, stand_in, {"kind": "errors", "rest": 0.5})
    draw(project, store_traces(project, 1, error=True))

    judge_models(20)

    flagged, flags = sql("SELECT is_flagged, flags FROM evals_judgement")[0]
    assert flagged is True
    assert set(flags) == {"injection_attempt", "evidence_not_found", "unsure"}
    sums = sql("SELECT name, n, sw, swy FROM evals_score_hour ORDER BY name")
    assert sums == [("_flag", 1, 1.0, 1.0), ("correctness", 1, 1.0, 1.0)]


def test_a_trace_that_is_gone_is_skipped(project, model):
    stand_in = model()
    live(project, stand_in)
    ids = store_traces(project, 1)
    draw(project, ids)
    sql("DELETE FROM traces_trace WHERE trace_id = %s RETURNING 1", ids[0])

    judge_models(5)

    assert reasons(project) == reason_tallies(project) == {("skipped", "gone"): 1}


def test_a_key_that_is_not_accepted_pauses_the_connection_and_fails_nothing(project, model):
    stand_in = model()
    stand_in.answer = lambda handler, body, fault: stand_in.send(handler, 401, b"{}")
    live(project, stand_in)
    draw(project, store_traces(project, 6))

    judge_models(1)

    assert stand_in.calls <= 4
    assert states(project) == {"pending": 6}
    assert "key" in Connection.objects.get().paused_reason


def test_why_says_what_became_of_a_trace(project, model):
    stand_in = model(lambda n, user: "prose")
    live(project, stand_in)
    (trace_id,) = store_traces(project, 1)
    assert read.why(project.pk, trace_id)[0].reason == "not_seen"
    draw(project, [trace_id])
    assert read.why(project.pk, trace_id)[0].words.startswith("Waiting for its turn.")
    judge_models(20)

    told = read.why(project.pk, trace_id)[0]

    assert (told.state, told.pi, told.plan_number) == ("pending", 1.0, 1)
    assert "could not be read" in told.words
