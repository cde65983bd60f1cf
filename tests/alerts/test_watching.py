"""The engine: what a round writes, and that killing it, delivering it twice or restarting it changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from alerts import alarming, baselining, budgeting, keeping, monitoring, watching
from alerts.charting import advancing
from alerts.models import Alarm, Baseline, Budget, Monitor
from alerts.monitors.states import Method
from alerts.monitors.types import BaselinePolicy, Composite, Member, Threshold
from alerts.read import alarms as read_alarms
from alerts.read import monitors as read_monitors
from alerts.read import points
from alerts.write import charts
from telltale.lib.db import raw_cursor
from tests.alerts.engine_kit import DEFINITION, HOUR, MONDAY, everything, make_monitor, series, share_of, steps
from tests.conftest import ROOT, database_url

# Three days to learn, a shift after five, quiet again after seven.
SHIFT = steps((0, 0.02), (120, 0.08), (150, 0.02))
END = MONDAY + 230 * HOUR


@pytest.fixture
def shifted(monkeypatch):
    monkeypatch.setattr(watching, "read_many", series(SHIFT))


def run_until(at, **options):
    with time_machine.travel(at, tick=False):
        return watching.evaluate_due(**options)


def test_replays_history_in_rounds_and_then_waits_for_the_next_window(project, shifted, monkeypatch):
    monkeypatch.setattr(watching, "WINDOWS_A_ROUND", 50)
    row = make_monitor(project)

    done = run_until(END)

    row.refresh_from_db()
    rows = points.list_points(row.pk, 1)
    # A window is decided ten minutes after its end: the last one is open still.
    assert done.windows == len(rows) == 229
    assert row.next_start == row.decided_to == MONDAY + 229 * HOUR
    assert row.due_at == MONDAY + 230 * HOUR + timedelta(minutes=10)
    assert (row.standing, row.leased_until) == ("in_control", None)
    assert [point.phase for point in rows[:72]] == [1] * 72
    assert rows[100].baseline_id == Baseline.objects.get(monitor=row).pk


def test_an_alarm_opens_once_latches_and_ends_by_itself(project, shifted):
    row = make_monitor(project)

    run_until(MONDAY + 125 * HOUR)
    run_until(END)

    alarm = Alarm.objects.get(monitor=row)
    opened = points.list_points(row.pk, 1, alarm.window_start, alarm.window_end)[0]
    assert (alarm.state, alarm.direction, alarm.is_page) == ("ended", "up", True)
    assert MONDAY + 120 * HOUR <= alarm.window_start <= MONDAY + 123 * HOUR
    assert alarm.ended_at > MONDAY + 157 * HOUR
    assert opened.alarm_id == alarm.pk
    assert alarm.limit < alarm.statistic
    assert {point.phase for point in points.list_points(row.pk, 1, alarm.window_end, alarm.ended_at)} == {3}


def test_history_notices_and_muted_monitors_do_not_page(project, shifted):
    history = make_monitor(project)
    Monitor.objects.filter(pk=history.pk).update(changed_at=END)
    make_monitor(project, replace(DEFINITION, name="notice", is_paging=False))
    make_monitor(project, replace(DEFINITION, name="muted"), muted_until=END + HOUR)

    run_until(MONDAY + 125 * HOUR)

    assert Alarm.objects.count() == 3
    assert not Alarm.objects.filter(is_page=True).exists()


def test_what_waited_for_stragglers_when_the_monitor_was_made_pages(project, shifted):
    late = replace(DEFINITION, name="late", lateness=3 * HOUR)
    first = make_monitor(project, late)
    run_until(MONDAY + 130 * HOUR)
    opened = Alarm.objects.get(monitor=first).window_end
    closes = opened + 3 * HOUR
    pages = {}

    for name, changed_at in {"before": closes - timedelta(minutes=1), "after": closes}.items():
        row = make_monitor(project, replace(late, name=name))
        Monitor.objects.filter(pk=row.pk).update(changed_at=changed_at)
        run_until(closes)
        pages[name] = Alarm.objects.get(monitor=row).is_page

    assert pages == {"before": True, "after": False}


def test_what_waits_for_stragglers_for_a_day_pages(project, shifted):
    row = make_monitor(project, replace(DEFINITION, lateness=24 * HOUR))

    run_until(MONDAY + 120 * HOUR)
    run_until(MONDAY + 150 * HOUR)

    assert Alarm.objects.get(monitor=row).is_page


def test_a_composite_goes_back_as_far_as_members_that_decided_nothing_yet(project, shifted):
    members = [make_monitor(project, replace(DEFINITION, name=name)) for name in "ab"]
    told = {
        "name": "both", "method": "composite",
        "composite": {"members": [{"monitor": each.pk} for each in members], "least": 2},
    }  # fmt: skip

    with time_machine.travel(END, tick=False):
        made = Monitor.objects.get(pk=monitoring.create(project, told))

    assert made.next_start == MONDAY


def test_what_is_found_days_late_pages_nobody(project, shifted):
    make_monitor(project)

    run_until(END)

    assert not Alarm.objects.get().is_page


def test_those_that_watch_come_before_those_that_replay(project, shifted, monkeypatch):
    new = make_monitor(project, due_at=MONDAY)
    watching_now = make_monitor(project, replace(DEFINITION, name="live"), next_start=END - 3 * HOUR, due_at=END)

    with time_machine.travel(END, tick=False):
        claimed = [[row.pk for row in watching.claim()] for _ in range(3)]

    assert claimed == [[watching_now.pk], [new.pk], []]


def test_something_unforeseen_in_one_series_costs_that_monitor_alone(project, monkeypatch):
    good, bad = make_monitor(project), make_monitor(project, replace(DEFINITION, name="bad", least_n=7))
    read = series(SHIFT)

    def broken(project_id, zone, asked, windows):
        if any(one.definition.least_n == 7 for one in asked):
            raise RuntimeError("unforeseen")
        return read(project_id, zone, asked, windows)

    monkeypatch.setattr(watching, "read_many", broken)

    done = run_until(END)

    bad.refresh_from_db()
    assert (done.broken, bad.standing, bad.leased_until) == (1, "broken", None)
    assert "RuntimeError" in bad.error
    assert len(points.list_points(good.pk, 1)) == 229


def test_a_round_that_cannot_be_written_costs_that_monitor_alone(project, shifted, monkeypatch):
    good, bad = make_monitor(project), make_monitor(project, replace(DEFINITION, name="bad"))
    columns = charts._columns

    def unwritable(row, *told):
        found = columns(row, *told)
        return (*found[:24], "no JSON", *found[25:]) if row.pk == bad.pk else found

    monkeypatch.setattr(charts, "_columns", unwritable)

    done = run_until(END)

    bad.refresh_from_db()
    assert (done.broken, bad.standing, bad.leased_until) == (1, "broken", None)
    assert len(points.list_points(good.pk, 1)) == 229
    assert points.list_points(bad.pk, 1) == []


def test_what_is_left_when_time_is_up_is_let_go_of(project, shifted):
    make_monitor(project)
    with time_machine.travel(END, tick=False):
        claimed = watching.claim()

        done = watching.evaluate(claimed, until=0.0)
        again = watching.claim()

    assert done == watching.Counted()
    assert len(again) == 1


def test_a_round_delivered_twice_writes_once(project, shifted):
    row = make_monitor(project)
    with time_machine.travel(END, tick=False):
        first = list(Monitor.objects.filter(pk=row.pk))
        second = list(Monitor.objects.filter(pk=row.pk))
        watching.evaluate(first)
        before = everything(row.pk)
        again = watching.evaluate(second)

    assert again.windows == 0
    assert everything(row.pk) == before


def test_a_person_who_was_faster_wins(project, shifted, monkeypatch):
    row = make_monitor(project)
    commit = charts.commit

    def overtaken(held, done):
        Monitor.objects.filter(pk=row.pk).update(version=held.version + 1)
        return commit(held, done)

    monkeypatch.setattr(charts, "commit", overtaken)
    with time_machine.travel(END, tick=False):
        watching.evaluate(list(Monitor.objects.filter(pk=row.pk)))

    assert points.list_points(row.pk, 1) == []
    assert not Baseline.objects.exists()


def test_rounds_one_window_at_a_time_give_what_one_replay_gives(project, shifted):
    straight, live = make_monitor(project), make_monitor(project, replace(DEFINITION, name="live"))
    Monitor.objects.filter(pk=live.pk).update(is_on=False)
    run_until(END)

    Monitor.objects.filter(pk=live.pk).update(is_on=True)
    for hour in (*range(60, 110, 10), *range(115, 130), *range(140, 231, 15), 230):
        run_until(MONDAY + hour * HOUR + timedelta(minutes=11))

    first, second = everything(straight.pk), everything(live.pk)
    assert len(first["points"]) == 230
    assert first["points"] == second["points"]
    assert first["baselines"] == second["baselines"]
    assert first["alarms"] == second["alarms"]


def test_claimed_monitors_are_nobody_elses_until_their_lease_ends(project, shifted):
    make_monitor(project)

    with time_machine.travel(END, tick=False):
        held = charts.claim(END, seconds=60, limit=10, is_replaying=True)
        other = charts.claim(END, seconds=60, limit=10, is_replaying=True)
        Monitor.objects.update(leased_until=MONDAY)
        later = charts.claim(END, seconds=60, limit=10, is_replaying=True)

    assert ([len(one) for one in (held, other, later)]) == [1, 0, 1]


def test_one_monitor_that_cannot_be_read_spoils_no_other(project, monkeypatch):
    good, bad = make_monitor(project), make_monitor(project, replace(DEFINITION, name="bad", metric="gone"))
    monkeypatch.setattr(watching, "read_many", series(SHIFT))

    done = run_until(END)

    bad.refresh_from_db()
    assert done.broken == 1
    assert (bad.standing, bad.failures, bad.leased_until) == ("broken", 1, None)
    assert "cannot be read" in bad.error
    assert bad.due_at > END
    assert len(points.list_points(good.pk, 1)) == 229


def test_a_fault_of_the_series_is_shown_and_tried_again(project, monkeypatch):
    row = make_monitor(project)
    fault = watching.SeriesFault("no such judge")
    monkeypatch.setattr(watching, "read_many", lambda project_id, zone, asked, windows: [fault for _ in asked])

    run_until(END)
    shown = read_monitors.get_monitor(project.pk, row.pk)
    monkeypatch.setattr(watching, "read_many", series(SHIFT))
    run_until(END + 2 * HOUR)
    row.refresh_from_db()

    assert (shown.standing, shown.error) == ("broken", "no such judge")
    assert (row.standing, row.error, row.failures) == ("in_control", "", 0)


def test_switched_off_and_archived_monitors_are_left_alone(project, shifted):
    make_monitor(project, is_on=False)
    make_monitor(project, replace(DEFINITION, name="away"), archived_at=MONDAY)

    assert run_until(END) == watching.Counted()
    assert not read_monitors.has_due_work()


def test_many_monitors_take_a_few_queries_each(project, shifted, django_assert_max_num_queries):
    for at in range(20):
        make_monitor(project, replace(DEFINITION, name=f"m{at}"))
    run_until(MONDAY + 100 * HOUR)

    # Claim, project, budget, baselines once; then what a commit takes: savepoint, two updates, points, release.
    with django_assert_max_num_queries(10 + 20 * 6):
        run_until(MONDAY + 101 * HOUR)


def test_acknowledging_and_closing_an_alarm(project, alice, monkeypatch):
    monkeypatch.setattr(watching, "read_many", series(steps((0, 0.02), (120, 0.08))))
    row = make_monitor(project)
    run_until(MONDAY + 130 * HOUR)
    alarm = Alarm.objects.get()

    assert alarming.acknowledge(project, alarm.pk, alice)
    assert not alarming.acknowledge(project, alarm.pk, alice)
    run_until(MONDAY + 133 * HOUR)
    acknowledged = read_monitors.get_monitor(project.pk, row.pk).standing
    assert alarming.close(project, alarm.pk, "false", "a test with 4111 1111 1111 1111", alice)
    run_until(MONDAY + 150 * HOUR)

    closed = read_alarms.get_alarm(project.pk, alarm.pk)
    assert acknowledged == "acknowledged"
    assert (closed.state, closed.verdict, closed.note, closed.closed_by) == (
        "closed",
        "false",
        "a test with [masked: card]",
        "Alice",
    )
    # The shift goes on: from 0 again it is found again.
    again = Alarm.objects.exclude(pk=alarm.pk).get()
    assert again.window_start >= MONDAY + 132 * HOUR
    assert read_alarms.tallies(project.pk, MONDAY)[row.pk].false == 1


def test_a_verdict_that_is_none_is_refused_and_nothing_moves(project, shifted, alice):
    make_monitor(project)
    run_until(END)
    alarm = Alarm.objects.get()

    with pytest.raises(alarming.ItemRefused) as refused:
        alarming.close(project, alarm.pk, "maybe", "x" * 2_001, alice)
    with pytest.raises(alarming.NoAlarm):
        alarming.close(project, alarm.pk + 1, "real", "", alice)

    assert [fault.field for fault in refused.value.faults] == ["verdict", "note"]
    alarm.refresh_from_db()
    assert alarm.verdict == ""


def test_a_composite_waits_for_its_members_and_names_those_that_moved(project, monkeypatch):
    monkeypatch.setattr(watching, "read_many", series(SHIFT))
    members = [make_monitor(project, replace(DEFINITION, name=f"m{at}", least_n=1 + at)) for at in range(2)]
    definition = replace(
        DEFINITION,
        name="both",
        metric="composite",
        method=Method.COMPOSITE,
        composite=Composite(tuple(Member(one.pk) for one in members), 2, 6 * HOUR),
    )
    row = make_monitor(project, definition, due_at=MONDAY - HOUR)

    run_until(END)
    held_back = points.list_points(row.pk, 1)
    run_until(END + timedelta(minutes=1))

    alarm = Alarm.objects.get(monitor=row)
    assert held_back == []
    assert len(points.list_points(row.pk, 1)) == 229
    assert {one["monitor"] for one in alarm.evidence["members"]} == {one.pk for one in members}
    assert alarm.window_start == max(Alarm.objects.exclude(pk=alarm.pk).values_list("window_start", flat=True))


def test_late_data_are_written_beside_the_decision_and_never_fire(project, monkeypatch):
    row = make_monitor(project)
    monkeypatch.setattr(watching, "read_many", series(steps((0, 0.02))))
    run_until(MONDAY + 100 * HOUR)
    before = everything(row.pk)

    def late(project_id, zone, asked, windows):
        return [[share_of(window, 0.5 if window.start >= MONDAY + 98 * HOUR else 0.02) for window in windows]]

    monkeypatch.setattr(keeping, "read_many", late)
    with time_machine.travel(MONDAY + 100 * HOUR, tick=False):
        changed = [keeping.revise(), keeping.revise()]

    point = points.list_points(row.pk, 1, MONDAY + 98 * HOUR)[0]
    after = everything(row.pk)
    assert changed == [1, 0]
    assert (point.revision, point.revised_n) == (2, 300)
    assert point.now_value > 0.4 > point.value
    assert not Alarm.objects.exists()
    for name in ("revision", "revised_n", "revised_value"):
        del after["points"][98][name], before["points"][98][name]
    assert after == before


def test_limits_follow_the_budget_for_windows_to_come_alone(project, alice, shifted):
    row = make_monitor(project)
    run_until(MONDAY + 100 * HOUR)
    budgeting.share_out(project.pk)
    row.refresh_from_db()
    first = Baseline.objects.get(monitor=row)
    baselining.approve(project, first.pk, alice)
    before = points.list_points(row.pk, 1)

    Budget.objects.create(project=project, pages_a_week=0.05)
    with time_machine.travel(MONDAY + 100 * HOUR, tick=False):
        budgeting.share_out(project.pk)
        made = [budgeting.remake_limits(), budgeting.remake_limits()]
    run_until(MONDAY + 110 * HOUR)

    row.refresh_from_db()
    second = Baseline.objects.get(limits_of=first)
    first.refresh_from_db()
    rows = points.list_points(row.pk, 1)
    assert row.arl0 == 168 / 0.05
    assert made == [1, 0]
    assert (first.state, second.state, second.arl0) == ("replaced", "in_force", row.arl0)
    assert second.learned["detector"]["parameters"]["p"] == first.learned["detector"]["parameters"]["p"]
    assert second.approved_by == alice
    assert rows[: len(before)] == before
    assert {point.baseline_id for point in rows[len(before) :]} == {second.pk}
    assert rows[-1].told["rules"][0]["high"] > before[-1].told["rules"][0]["high"]


def test_shares_of_the_budget_go_to_what_is_watched(project):
    one, two = make_monitor(project), make_monitor(project, replace(DEFINITION, name="two"))
    muted = make_monitor(project, replace(DEFINITION, name="muted"), muted_until=END)
    fixed = make_monitor(project, replace(DEFINITION, name="fixed", method=Method.FIXED, threshold=Threshold(0.1)))

    with time_machine.travel(MONDAY, tick=False):
        budgeting.share_out(project.pk)
    shares = {row.pk: row.arl0 for row in Monitor.objects.all()}
    with time_machine.travel(END + HOUR, tick=False):
        ended = budgeting.end_mutes()
    again = {row.pk: row.arl0 for row in Monitor.objects.all()}

    assert shares[one.pk] == shares[two.pk] == 168 * 2
    assert shares[muted.pk] == shares[fixed.pk] == 168 * 3
    assert ended == 1
    assert again[one.pk] == again[muted.pk] == 168 * 3


def test_what_windows_held_is_forgotten_but_for_the_baseline_in_force(project, shifted):
    row = make_monitor(project)
    run_until(END)

    with time_machine.travel(END + timedelta(days=120), tick=False):
        forgotten = keeping.sweep_points()
        again = keeping.sweep_points()
    collected = points.collected(row.pk, 1, MONDAY, END)
    with time_machine.travel(END + timedelta(days=500), tick=False):
        keeping.sweep_points()

    assert (forgotten, again) == (229 - 72, 0)
    assert len(collected) == 72
    assert points.list_points(row.pk, 1) == []


def test_a_project_that_goes_takes_its_points_along(project, shifted):
    row = make_monitor(project)
    run_until(END)

    assert list(keeping.erase_project(project.pk)) == [229]
    assert not charts.commit(row, charts.Round([], advancing.begin(DEFINITION), END, END, END))
    assert points.list_points(row.pk, 1) == []


KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
os.environ["DJANGO_SETTINGS_MODULE"] = "telltale.settings"
import django
django.setup()
import time_machine
from alerts import monitoring, watching
from alerts.write import charts
from tests.alerts.engine_kit import HOUR, MONDAY, series, steps
watching.read_many = series(steps((0, 0.02), (120, 0.08), (150, 0.02)))
watching.WINDOWS_A_ROUND = {windows}
points = charts._points
left = [{rounds}]
def killed(*told):
    points(*told)
    left[0] -= 1
    if left[0] == 0:
        # Points, alarms and baseline of this round are written, and nothing of it is committed.
        os.kill(os.getpid(), signal.SIGKILL)
charts._points = killed
with time_machine.travel(MONDAY + 230 * HOUR, tick=False):
    watching.evaluate_due()
"""


@pytest.mark.usefixtures("committed_db")
def test_a_worker_killed_in_the_middle_of_a_round_leaves_a_clean_replay(project, shifted):
    clean, row = make_monitor(project, is_on=False), make_monitor(project, replace(DEFINITION, name="killed"))
    paths = [str(ROOT), str(ROOT / "platform")]
    environment = {**os.environ, "TELLTALE_DATABASE_URL": database_url()}

    for rounds in (1, 3):
        script = KILLED.format(paths=paths, windows=40, rounds=rounds)
        ended = subprocess.run([sys.executable, "-c", script], env=environment, timeout=60, check=False)
        assert ended.returncode == -signal.SIGKILL
        # The dead one's lease ends.
        Monitor.objects.filter(pk=row.pk).update(leased_until=MONDAY)
    half = len(points.list_points(row.pk, 1))
    run_until(END)
    Monitor.objects.filter(pk=clean.pk).update(is_on=True)
    run_until(END)

    found, wanted = everything(row.pk), everything(clean.pk)
    assert half == 80
    assert found == wanted
    assert len(found["alarms"]) == 1


def test_a_window_waits_until_what_came_in_its_time_is_booked(project, shifted):
    row = make_monitor(project)
    with raw_cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_feed (consumer, project_id, feed_id, changed_at, trace_ids)"
            " VALUES (1, %s, 1, %s, '{}')",
            [project.pk, MONDAY + 100 * HOUR],
        )

    run_until(END)
    held_back = len(points.list_points(row.pk, 1))
    with raw_cursor() as cursor:
        cursor.execute("DELETE FROM traces_feed")
    run_until(END + timedelta(minutes=1))

    assert held_back == 99
    assert len(points.list_points(row.pk, 1)) == 229


def test_history_is_read_once_the_sample_holds_all_that_came_before(project, monkeypatch):
    monkeypatch.setattr(watching, "read_many", series(SHIFT))
    learning = BaselinePolicy(days=80)
    row = make_monitor(project, replace(DEFINITION, metric="embeddings", params={"side": "input"}, baseline=learning))
    made_at = END - timedelta(minutes=5)
    Monitor.objects.filter(pk=row.pk).update(changed_at=made_at)
    with raw_cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts_drift_due (project_id, trace_id, pi, draw, due_at, since)"
            " VALUES (%s, gen_random_uuid(), 1, 0.5, %s, %s)",
            [project.pk, END, made_at - timedelta(minutes=1)],
        )

    run_until(END)
    before = len(points.list_points(row.pk, 1))
    with raw_cursor() as cursor:
        cursor.execute("DELETE FROM alerts_drift_due")
    run_until(END + timedelta(minutes=1))

    assert before == 0
    assert len(points.list_points(row.pk, 1)) == 229


def test_monitors_that_are_late_or_broken_are_told(project):
    make_monitor(project, due_at=MONDAY, standing="broken")
    make_monitor(project, replace(DEFINITION, name="later"), due_at=MONDAY + 2 * HOUR)

    found = read_monitors.read_watching_backlog(MONDAY + HOUR)

    assert (found.due, found.oldest_seconds, found.broken) == (1, 3600.0, 1)


def test_a_monitor_that_was_put_away_and_taken_back_alarms_again(project, monkeypatch):
    monkeypatch.setattr(watching, "read_many", series(steps((0, 0.02), (120, 0.08))))
    monkeypatch.setattr(monitoring, "history_start", lambda *told: MONDAY)
    row = make_monitor(project)
    run_until(MONDAY + 125 * HOUR)

    with time_machine.travel(MONDAY + 125 * HOUR, tick=False):
        monitoring.archive(project, row.pk)
    with time_machine.travel(MONDAY + 130 * HOUR, tick=False):
        monitoring.restore(project, row.pk)
    run_until(MONDAY + 150 * HOUR)

    first, second = Alarm.objects.order_by("pk")
    assert (first.state, second.state) == ("ended", "open")
    assert second.window_start >= MONDAY + 124 * HOUR
