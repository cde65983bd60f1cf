"""Baselines by people: approved, learned anew, proposed, refused; and charts that learn anew by themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from alerts import alarming, baselining, keeping, watching
from alerts.models import Alarm, Baseline, Monitor
from alerts.monitors.states import Method
from alerts.monitors.types import Threshold
from alerts.read import baselines, points
from telltale.audit.models import AuditEntry
from telltale.lib.faults import ItemRefused
from tests.alerts.engine_kit import DEFINITION, HOUR, MONDAY, make_monitor, series, steps
from traces.models import Change

# A new level from the fifth day on, and it stays.
LASTING = steps((0, 0.02), (120, 0.08))
NOW = MONDAY + 200 * HOUR


@pytest.fixture
def lasting(monkeypatch):
    monkeypatch.setattr(watching, "read_many", series(LASTING))


def run_until(at):
    with time_machine.travel(at, tick=False):
        return watching.evaluate_due()


def at_now(act, *told, **more):
    with time_machine.travel(NOW, tick=False):
        return act(*told, **more)


def fault_of(act, *told, **more):
    with pytest.raises(ItemRefused) as refused:
        at_now(act, *told, **more)
    return refused.value.faults[0]


def test_the_first_baseline_is_in_force_and_waits_for_a_yes(project, alice, lasting):
    row = make_monitor(project)
    run_until(NOW)
    found = baselines.list_baselines(project.pk, row.pk)[0]
    assert (found.state, found.approved_at) == ("in_force", None)

    baselining.approve(project, found.id, alice)

    found = baselines.get_baseline(project.pk, found.id)
    assert (found.state, found.approved_by) == ("in_force", "Alice")
    assert AuditEntry.objects.filter(project_id=project.pk, action="baseline.approve").count() == 1


def test_where_the_present_level_began(project, lasting):
    row = make_monitor(project)
    run_until(NOW)

    found = baselining.began(row.pk, 1)

    assert found.is_clear
    assert found.low <= MONDAY + 120 * HOUR <= found.high
    assert abs(found.at - (MONDAY + 120 * HOUR)) <= 2 * HOUR
    assert found.after > found.before + 2


def test_a_new_level_is_accepted_from_where_it_began(project, alice, lasting):
    row = make_monitor(project)
    run_until(NOW)
    alarm, old = Alarm.objects.get(), Baseline.objects.get()

    done = at_now(baselining.rebaseline, project, row.pk, reason="the new prompt asks back more", user=alice)
    run_until(NOW + 20 * HOUR)

    new = baselines.get_baseline(project.pk, done.baseline_id)
    old.refresh_from_db()
    alarm.refresh_from_db()
    assert new.learned.number("p") == pytest.approx(0.08, abs=0.005)
    assert (new.made_by, new.approved_by, new.reason) == ("Alice", "Alice", "the new prompt asks back more")
    assert (old.state, old.in_force_to, new.in_force_from) == ("replaced", MONDAY + 199 * HOUR, MONDAY + 199 * HOUR)
    assert (alarm.state, alarm.verdict) == ("closed", "accepted")
    assert Alarm.objects.count() == 1
    later = points.list_points(row.pk, 1, MONDAY + 199 * HOUR)
    assert {point.baseline_id for point in later} == {new.id}
    assert {point.state for point in later} == {"in_limits"}
    # What was decided before stays as it was judged.
    assert {point.baseline_id for point in points.list_points(row.pk, 1, None, MONDAY + 199 * HOUR)} == {None, old.pk}


def test_a_new_baseline_never_begins_before_the_change(project, alice, lasting):
    row = make_monitor(project)
    run_until(NOW)

    before = fault_of(baselining.rebaseline, project, row.pk, start=MONDAY + 90 * HOUR, user=alice)

    assert before.field == "start"
    assert "before the change" in before.message
    assert Baseline.objects.count() == 1


def test_a_stretch_that_changes_within_is_no_baseline(project, alice, lasting):
    row = make_monitor(project)
    run_until(NOW)
    at_now(alarming.close, project, Alarm.objects.get().pk, "accepted", "", alice)

    fault = fault_of(baselining.rebaseline, project, row.pk, start=MONDAY + 80 * HOUR, user=alice)

    assert "changes within" in fault.message


def test_too_short_a_stretch_is_learned_on(project, alice, lasting):
    row = make_monitor(project)
    run_until(NOW)
    start = MONDAY + 198 * HOUR

    done = at_now(baselining.rebaseline, project, row.pk, start=start, user=alice)
    row.refresh_from_db()
    learning = (row.standing, row.chart["baseline_id"])
    run_until(NOW + 73 * HOUR)

    row.refresh_from_db()
    new = baselines.get_baseline(project.pk, row.chart["baseline_id"])
    assert done.baseline_id is None
    assert learning == ("learning", None)
    assert row.standing == "in_control"
    assert new.start_at == start


def test_acts_that_make_no_sense_are_refused(project, alice, bob, lasting):
    row = make_monitor(project)
    fixed = make_monitor(project, replace(DEFINITION, name="fixed", method=Method.FIXED, threshold=Threshold(0.5)))
    run_until(NOW)
    late = NOW + HOUR

    faults = {
        "start": fault_of(baselining.rebaseline, project, row.pk, start=late),
        "end": fault_of(baselining.rebaseline, project, row.pk, start=late - 9 * HOUR, end=late - 10 * HOUR),
        "reason": fault_of(baselining.rebaseline, project, row.pk, reason="x" * 401),
        "method": fault_of(baselining.rebaseline, project, fixed.pk),
    }

    assert {name: fault.field for name, fault in faults.items()} == {name: name for name in faults}
    with pytest.raises(baselining.NoBaseline):
        baselining.rebaseline(project, row.pk + 1_000)
    with pytest.raises(baselining.NoBaseline):
        baselining.approve(project, 10**9, alice)


def test_steady_charts_have_no_start_of_a_level(project, monkeypatch):
    monkeypatch.setattr(watching, "read_many", series(steps((0, 0.02))))
    row = make_monitor(project)
    run_until(NOW)

    assert "no clear start" in fault_of(baselining.rebaseline, project, row.pk).message


def test_a_deploy_before_an_alarm_proposes_a_baseline_once_and_forces_none(project, alice, lasting):
    row = make_monitor(project)
    change = Change.objects.create(
        project=project, kind="deploy", at=MONDAY + 119 * HOUR, name="shop", version="5.2", source="api",
        created_at=MONDAY, updated_at=MONDAY,
    )  # fmt: skip
    run_until(MONDAY + 130 * HOUR)
    early = at_now(keeping.propose_after_changes)
    run_until(NOW)

    made = [at_now(keeping.propose_after_changes) for _ in range(2)]

    alarm = Alarm.objects.get()
    proposed = Baseline.objects.get(state="proposed")
    row.refresh_from_db()
    assert [one["id"] for one in alarm.evidence["changes"]] == [change.pk]
    assert (early, made) == (0, [1, 0])
    assert proposed.start_at >= change.at
    assert "5.2" in proposed.reason
    assert row.chart["baseline_id"] != proposed.pk
    assert (row.standing, alarm.state) == ("alarmed", "open")

    at_now(baselining.approve, project, proposed.pk, alice)
    run_until(NOW + 5 * HOUR)

    alarm.refresh_from_db()
    row.refresh_from_db()
    assert (alarm.state, alarm.verdict, row.standing) == ("closed", "accepted", "in_control")
    assert row.chart["baseline_id"] == proposed.pk


def test_a_refused_proposal_never_comes_into_force(project, alice, lasting):
    row = make_monitor(project)
    run_until(NOW)
    key = at_now(baselining.propose, Monitor.objects.get(pk=row.pk), MONDAY + 121 * HOUR, "after a deploy")

    baselining.refuse(project, key)

    assert fault_of(baselining.approve, project, key, alice).field == "baseline"
    assert fault_of(baselining.refuse, project, key).field == "baseline"


def test_incidents_and_false_alarms_are_no_examples_of_normal(project, alice, monkeypatch):
    monkeypatch.setattr(watching, "read_many", series(steps((0, 0.02), (120, 0.08), (140, 0.02))))
    row = make_monitor(project)
    run_until(MONDAY + 141 * HOUR)
    with time_machine.travel(MONDAY + 141 * HOUR, tick=False):
        alarming.close(project, Alarm.objects.get().pk, "real", "a bad deploy, rolled back", alice)
    run_until(NOW)

    done = at_now(baselining.rebaseline, project, row.pk, start=MONDAY + 80 * HOUR, reason="a longer look", user=alice)

    new = baselines.get_baseline(project.pk, done.baseline_id)
    assert new.learned.number("p") == pytest.approx(0.02, abs=0.004)
    assert new.windows < 119


def test_another_judge_makes_other_numbers_so_the_chart_learns_anew(project, monkeypatch, lasting):
    definition = replace(DEFINITION, params={"judge": "helpful", "criterion": "tone"})
    row = make_monitor(project, definition)
    run_until(MONDAY + 100 * HOUR)
    by = iter(["judge helpful v1", "judge helpful v1", "judge helpful v2", "judge helpful v2"])
    monkeypatch.setattr(keeping, "made_by", lambda *told: next(by))

    with time_machine.travel(MONDAY + 100 * HOUR, tick=False):
        changed = [keeping.tend_stale() for _ in range(4)]
    stale = Monitor.objects.get(pk=row.pk)
    run_until(MONDAY + 100 * HOUR + timedelta(hours=75))

    row.refresh_from_db()
    assert changed == [0, 0, 1, 0]
    assert (stale.standing, stale.chart["baseline_id"]) == ("stale", None)
    assert "helpful v1 became judge helpful v2" in stale.standing_words
    assert row.standing in {"in_control", "unstable", "stale"}
    assert Baseline.objects.filter(state="replaced").count() == 1
