"""Runs of probes where something goes wrong: providers that fail, money that ends, workers that die."""

from __future__ import annotations

from datetime import timedelta

import pytest

from evals import erasing, probing, setup
from evals.models import (
    Judge,
    JudgeVersion,
    ProbeAlarm,
    ProbeAnswer,
    ProbeBaseline,
    ProbeResult,
    ProbeRun,
    ProbeSeries,
    ProbeSuite,
    SpendDay,
)
from evals.probing import running
from telltale.audit.models import AuditEntry
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib import clock
from tests.evals.judging_kit import make_connection
from tests.evals.probes_kit import BY, JSON_PROBE, SUM_PROBE, make_suite, run
from tests.evals.test_probes_runs import provider as provider

pytestmark = pytest.mark.django_db


def spent(project):
    row = SpendDay.objects.get(project=project, judge_id=0)
    return row.calls, row.spent_pico, row.lost_calls, row.reserved_calls, row.reserved_pico


def test_what_fails_is_tried_again_and_counted_once(project, provider):
    stand_in = provider(fault=lambda n, user: ("server", "limited", "")[n % 3] if n < 20 else "")
    suite = make_suite(project, stand_in, SUM_PROBE)

    found = run(project, suite)

    assert (found.state, found.answers.filter(state="done").count()) == ("done", 20)
    assert stand_in.calls > 20
    calls, pico, lost, reserved, reserved_pico = spent(project)
    assert (pico, reserved, reserved_pico) == (stand_in.bill_pico, 0, 0)
    assert (calls + lost, found.cost_pico) == (stand_in.calls, stand_in.bill_pico)


def test_a_key_that_is_refused_ends_the_run_and_says_so(project, provider):
    stand_in = provider(fault=lambda n, user: "auth")
    suite = make_suite(project, stand_in, SUM_PROBE, at_a_time=1)

    found = run(project, suite)

    assert (found.state, stand_in.calls) == ("failed", 1)
    assert "20 of 20 answers are missing" in found.reason
    assert ProbeSeries.objects.get().state == "learning"


def test_answers_that_are_missing_are_no_failures(project, provider):
    stand_in = provider()
    suite = make_suite(project, stand_in, SUM_PROBE)
    run(project, suite)
    stand_in.fault = lambda n, user: "auth"

    run(project, suite)

    assert ProbeSeries.objects.get().state == "unanswered"
    assert not ProbeAlarm.objects.exists()
    assert ProbeBaseline.objects.get().runs == 20


def test_no_call_goes_beyond_the_budget_of_the_run_or_the_day(project, provider):
    stand_in = provider()
    suite = make_suite(project, stand_in, SUM_PROBE, at_a_time=2, budget_pico_run=340_000_000)

    found = run(project, suite)

    assert "budget of this run" in found.reason
    assert 0 < stand_in.bill_pico <= 340_000_000
    setup.save_settings(project, budget_calls_day=stand_in.calls + 3)
    probing.change_suite(project, suite.slug, {"budget_pico_run": None}, by=BY)
    before = stand_in.calls
    assert "budget of the day" in run(project, suite).reason
    assert stand_in.calls == before + 3


def test_a_dead_worker_loses_its_calls_in_flight_and_nothing_else(project, provider, monkeypatch):
    stand_in = provider()
    suite = make_suite(project, stand_in, SUM_PROBE, at_a_time=4)
    number = probing.run_now(project, suite.slug, by=BY)
    keep = running.Calls._keep
    kept = []

    def die(self, futures):
        futures = list(futures)
        if len(kept) >= 8:
            self.flying.clear()
            raise KeyboardInterrupt
        kept.extend(futures)
        keep(self, futures)

    monkeypatch.setattr(running.Calls, "_keep", die)
    with pytest.raises(KeyboardInterrupt):
        work.run_next()
    monkeypatch.setattr(running.Calls, "_keep", keep)
    held = spent(project)[3]
    assert 0 < held <= 4
    Job.objects.update(lease_until=clock.now() - timedelta(seconds=1))

    work.run_next()

    found = ProbeRun.objects.get(suite=suite, number=number)
    assert (found.state, found.answers.filter(state="done").count(), found.calls) == ("done", 20, 20)
    calls, _, lost, reserved, _ = spent(project)
    assert (calls, lost, reserved) == (20, held, 0)
    result = ProbeResult.objects.get()
    assert (result.passes, result.runs) == (20, 20)


def test_verdicts_are_the_same_however_often_they_are_made(project, provider, monkeypatch):
    stand_in = provider("noisy")
    suite = make_suite(project, stand_in)
    run(project, suite)
    stand_in.mode = "fenced"
    probing.run_now(project, suite.slug, by=BY)
    told = []

    def fail_once(run, row, make=running.judge_answers):
        told.append(make(run, row))
        # Delivered twice: the second finds the run over.
        told.append(make(run, row))
        return told[-1]

    monkeypatch.setattr(running, "judge_answers", fail_once)
    work.run_next()

    assert ProbeResult.objects.filter(run__number=2).count() == 2
    assert ProbeAlarm.objects.count() == 1
    assert {row.runs for row in ProbeBaseline.objects.all()} == {20}


def test_a_run_whose_job_failed_makes_room_for_the_next(project, provider):
    suite = make_suite(project, provider(), SUM_PROBE)
    probing.run_now(project, suite.slug, by=BY)
    Job.objects.update(state="failed")

    probing.tend()

    assert ProbeRun.objects.get().state == "failed"
    assert run(project, suite).number == 2


def test_what_is_due_begins_once_and_what_was_missed_is_not_made_up_for(project, provider):
    suite = make_suite(project, provider(), SUM_PROBE, schedule={"every_minutes": 60})
    ProbeSuite.objects.update(next_at=clock.now() - timedelta(hours=5))

    assert [probing.tend(), probing.tend()] == [1, 0]

    found = ProbeRun.objects.get()
    assert (found.cause, found.state) == ("schedule", "running")
    suite.refresh_from_db()
    assert timedelta(minutes=59) < suite.next_at - clock.now() <= timedelta(minutes=60)
    ProbeSuite.objects.update(next_at=clock.now())
    # One is under way: this one is left out.
    assert probing.tend() == 0
    probing.change_suite(project, suite.slug, {"is_paused": True}, by=BY)
    ProbeRun.objects.update(state="done")
    assert probing.tend() == 0


def test_a_recorded_change_begins_a_run_of_a_suite_that_wants_it(project, provider, monkeypatch):
    suite = make_suite(project, provider(), SUM_PROBE, schedule={}, with_changes=True)
    ProbeSuite.objects.update(looked_at=clock.now() - timedelta(hours=1))
    from evals.probing import starting
    from traces.changing.kinds import Source

    class Told:
        source = Source.CI

    asked = []
    monkeypatch.setattr(starting, "changes_between", lambda project_id, start, end: asked.append(start) or [Told()])

    assert [probing.tend(), probing.tend()] == [1, 0]

    assert (ProbeRun.objects.get(suite=suite).cause, len(asked)) == ("change", 1)


def test_embeddings_compare_meanings_and_cost_is_counted(project, provider):
    stand_in = provider()
    suite = make_suite(project, stand_in, SUM_PROBE)
    encoder = suite.targets.get().connection_id
    probing.change_suite(project, suite.slug, {"encoder": {"connection": encoder, "model": "embed"}}, by=BY)

    run(project, suite)
    second = run(project, suite)

    answers = ProbeAnswer.objects.filter(run=second)
    assert {answer.encoder for answer in answers} == {"embed / embed-1 / 8"}
    result = ProbeResult.objects.get(run=second)
    assert result.figures["across"] == pytest.approx(0, abs=1e-3)
    assert second.figures["encoder"] == "embed"
    assert spent(project)[3:] == (0, 0)
    stand_in.text_for = lambda user: "17 times 23 is 391, I would say."
    third = run(project, suite)
    assert (ProbeAlarm.objects.get().run_id, ProbeSeries.objects.get().state) == (third.pk, "changed")


def test_an_encoder_that_changes_its_lengths_is_another_encoder(project, provider):
    stand_in = provider()
    suite = make_suite(project, stand_in, SUM_PROBE)
    encoder = suite.targets.get().connection_id
    probing.change_suite(project, suite.slug, {"encoder": {"connection": encoder, "model": "embed"}}, by=BY)
    run(project, suite)
    longer = stand_in.vector
    # Of numbers, too, whose squares are no longer told from zero.
    stand_in.vector = lambda text: [each * 1e-200 for each in longer(text) * 2]

    second = run(project, suite)

    assert second.state == "done"
    assert {each.encoder for each in ProbeAnswer.objects.all()} == {"embed / embed-1 / 16"}
    assert ProbeResult.objects.get(run=second).figures["across"] == pytest.approx(0, abs=1e-3)


def test_a_judge_of_rules_decides_a_check(project, provider):
    criterion = {"key": "brief", "title": "Brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}
    rubric = setup.save_rubric(project, {"criteria": [criterion]}, name="Brief")
    rules = {"rules": [{"criterion": "brief", "kind": "length", "unit": "words", "at_most": 3}]}
    version = setup.save_judge(project, name="Brief", kind="rule", rubric_version_id=rubric.id, config=rules)
    check = {"kind": "judge", "judge": Judge.objects.get().slug, "criterion": "brief", "at_least": 1}
    suite = make_suite(project, provider(), SUM_PROBE | {"checks": [check]})

    found = run(project, suite)

    assert found.answers.filter(passed=False).count() == 20
    assert found.answers.first().checks[0]["kind"] == "judge"
    # What a probe asks stays what it is, whatever becomes of the judge.
    assert JudgeVersion.objects.get(pk=version.id).frozen_at is not None


def test_likeness_to_the_first_answers_is_a_check(project, provider):
    stand_in = provider()
    check = {"kind": "similar", "at_most": 0.3}
    suite = make_suite(project, stand_in, SUM_PROBE | {"checks": [check]})

    first, second = run(project, suite), run(project, suite)

    # The first run has nothing to be like; the second is the baseline of passes.
    assert {answer.passed for answer in first.answers.all()} == {None}
    assert {answer.passed for answer in second.answers.all()} == {True}
    stand_in.text_for = lambda user: "Je ne sais pas."
    run(project, suite)
    assert ProbeSeries.objects.get().state == "changed"


def test_an_alarm_ends_by_itself_after_three_runs_within_limits(project, provider):
    stand_in = provider()
    suite = make_suite(project, stand_in)
    run(project, suite)
    stand_in.mode = "fenced"
    run(project, suite)
    stand_in.mode = "steady"

    for within in (1, 2):
        run(project, suite)
        assert ProbeAlarm.objects.get().within == within
    run(project, suite)

    alarm = ProbeAlarm.objects.get()
    assert (alarm.verdict, alarm.closed_at is not None) == ("ended", True)
    assert set(ProbeSeries.objects.values_list("state", flat=True)) == {"same"}
    # Neither the run that alarmed nor those beside the open alarm were learned.
    assert {row.runs for row in ProbeBaseline.objects.all()} == {25}


def test_what_a_person_says_of_an_alarm_decides_what_comes_next(project, provider):
    stand_in = provider()
    suite = make_suite(project, stand_in, JSON_PROBE)
    run(project, suite)
    stand_in.mode = "fenced"
    run(project, suite)

    probing.close(project, ProbeAlarm.objects.get().pk, "real", "told them", by=BY)

    assert ProbeSeries.objects.get().state == "watch"
    # It still answers so: the next run alarms again, against the same baseline.
    run(project, suite)
    second = ProbeAlarm.objects.get(closed_at=None)
    probing.close(project, second.pk, "false", by=BY)
    assert ProbeSeries.objects.get().state == "same"
    assert (ProbeBaseline.objects.get().runs, ProbeAlarm.objects.count()) == (20, 2)


def test_answers_past_the_projects_days_go_and_those_of_baselines_stay(project, provider):
    suite = make_suite(project, provider(), SUM_PROBE)
    run(project, suite)
    second = run(project, suite)
    ProbeResult.objects.filter(run=second).update(was_learned=False)
    ProbeRun.objects.update(created_at=clock.now() - timedelta(days=400))

    assert erasing.sweep_old() == 5

    assert (second.answers.count(), ProbeAnswer.objects.count(), ProbeResult.objects.count()) == (0, 20, 2)


def test_another_temperature_is_another_question(project, provider):
    stand_in = provider()
    suite = make_suite(project, stand_in)
    run(project, suite)
    stand_in.mode = "fenced"
    run(project, suite)
    assert ProbeAlarm.objects.filter(closed_at=None).exists()

    probing.change_suite(project, suite.slug, {"temperature": 1.0}, by=BY)

    assert not ProbeAlarm.objects.filter(closed_at=None).exists()
    assert set(ProbeSeries.objects.values_list("state", flat=True)) == {"learning"}
    third = run(project, suite)
    assert third.answers.count() == 40
    current = ProbeBaseline.objects.filter(ended_at=None)
    assert {(row.number, row.first_run_id, row.runs, row.reason) for row in current} == {
        (2, third.pk, 20, "temperature changed: 0.0 to 1.0")
    }
    run(project, suite)
    assert set(ProbeSeries.objects.values_list("state", flat=True)) == {"same"}
    probing.run_now(project, suite.slug, by=BY)
    with pytest.raises(setup.SetupRefused) as caught:
        probing.change_suite(project, suite.slug, {"temperature": 0.0}, by=BY)
    assert caught.value.field == "temperature"


def test_every_change_of_a_suite_is_in_the_audit_log(project, provider):
    suite = make_suite(project, provider(), SUM_PROBE)
    row = make_connection(project, name="Other")

    probing.change_suite(project, suite.slug, {"repeats": 9}, by=BY)
    probing.change_suite(project, suite.slug, {"repeats": 9}, by=BY)
    probing.change_suite(project, suite.slug, {"targets": [{"connection": row.pk, "model": "b"}]}, by=BY)
    probing.put_probe(project, suite.slug, "json", {k: JSON_PROBE[k] for k in ("must", "user", "checks")}, by=BY)
    probing.archive_suite(project, suite.slug, by=BY)

    actions = list(
        AuditEntry.objects.filter(action__startswith="probe").order_by("pk").values_list("action", flat=True)
    )
    assert actions == ["probes.add", "probes.change", "probes.change", "probe.put", "probes.archive"]
    changed = AuditEntry.objects.filter(action="probes.change").order_by("pk")[0]
    assert (changed.before, changed.after) == ({"repeats": 5}, {"repeats": 9})
