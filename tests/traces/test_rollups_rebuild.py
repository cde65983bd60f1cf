"""Booking everything anew: after an upgrade, a change of zone, by command; and what retention leaves behind."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection

from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.run.commands import run_command
from tests.traces import rollup_audit, rollup_traffic
from traces import folding
from traces.rollup import booking
from traces.rollup.covering import Horizon
from traces.write import retention, rollup_memory, rollup_tending, rollups


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch):
    rollup_memory.forget()
    monkeypatch.setattr(folding, "pause", lambda seconds: None)
    yield
    rollup_memory.forget()


@pytest.fixture
def traffic(otlp, shop):
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 31, traces=12)):
        pass


def execute(query, *params):
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall() if cursor.description else []


def change_zone(project, zone):
    project.time_zone = zone
    project.save()


def booked(project):
    return execute(
        "SELECT grain, sum(n)::int FROM traces_rollup WHERE project_id = %s GROUP BY 1 ORDER BY 1", project.pk
    )


def test_an_upgrade_with_stored_traces_books_them_by_itself(traffic, shop):
    execute("DELETE FROM traces_feed")  # as after the migration of an installation whose feed went elsewhere
    folding.fold_roll_ups()
    job = work.run_next()
    assert (job.kind, job.state, job.result["traces"], job.result["set_aside"]) == (folding.REBUILD, "done", 12, 0)
    rollup_audit.check(shop.project)
    assert folding.list_open() == []


def test_another_time_zone_cuts_hours_and_days_anew(traffic, shop):
    folding.fold_roll_ups()
    work.run_next()
    rollup_audit.check(shop.project)
    change_zone(shop.project, "Asia/Kathmandu")
    folding.fold_roll_ups()
    assert work.run_next().state == "done"
    rollup_audit.check(shop.project, "Asia/Kathmandu")


def test_nothing_is_lost_or_doubled_while_a_zone_changes(traffic, shop, monkeypatch):
    folding.fold_roll_ups()
    work.run_next()
    before = booked(shop.project)
    change_zone(shop.project, "America/New_York")
    folding.fold_roll_ups()
    monkeypatch.setattr(folding, "REBUILD_TRACES", 5)
    steps = []
    step = work.Run.step

    def watched(self, **told):
        step(self, **told)
        steps.append(booked(shop.project))

    monkeypatch.setattr(work.Run, "step", watched)
    work.run_next()
    assert len(steps) == 3
    assert all(found == before for found in steps)


def test_a_rebuild_that_was_stopped_goes_on_where_it_was(traffic, shop, monkeypatch):
    folding.fold_roll_ups()
    work.run_next()
    monkeypatch.setattr(folding, "REBUILD_TRACES", 4)
    job_id = folding.start_rebuild(shop.project.pk)
    assert folding.start_rebuild(shop.project.pk) == job_id  # one at a time
    fold_traces, calls = rollups.fold_traces, []

    def die_at_third(*arguments):
        calls.append(len(arguments[2]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fold_traces(*arguments)

    monkeypatch.setattr(rollups, "fold_traces", die_at_third)
    with pytest.raises(KeyboardInterrupt):
        work.run_now(Job.objects.get(pk=job_id))
    Job.objects.update(lease_until=None)
    job = work.run_next()
    assert (job.state, job.progress, calls) == ("done", 12, [4, 4, 4, 4])
    rollup_audit.check(shop.project)


def test_other_rules_book_everything_again(traffic, shop, monkeypatch):
    folding.fold_roll_ups()
    work.run_next()
    monkeypatch.setattr(rollup_memory, "RULES", booking.RULES + 1)
    monkeypatch.setattr(folding, "RULES", booking.RULES + 1)
    folding.fold_roll_ups()
    assert work.run_next().result["traces"] == 12


def test_the_command_rebuilds_and_tells(traffic, shop):
    out = io.StringIO()
    assert run_command(["roll-up", "--project", "shop"], out) == 0
    assert "commits wait, 0 traces set aside" in out.getvalue()
    out = io.StringIO()
    assert run_command(["roll-up", "--rebuild"], out) == 0
    assert "shop: 12 traces of " in out.getvalue()
    assert "elsewhere: nothing is stored yet." in out.getvalue()
    folding.fold_roll_ups()
    rollup_audit.check(shop.project)
    assert run_command(["roll-up", "--project", "none"], out) == 1


def test_what_retention_removes_stays_booked(otlp, shop):
    shop.project.retention_days = 10
    shop.project.save()
    old, new = "a1" * 16, "a2" * 16
    otlp.send(otlp.generation(old, "01" * 8, at_ms=-20 * 86_400_000, attributes={"user.id": "ann"}))
    otlp.send(otlp.generation(new, "01" * 8, at_ms=-5 * 86_400_000, attributes={"user.id": "ann"}))
    folding.fold_roll_ups()
    before = booked(shop.project)
    assert retention.sweep().traces == 1
    folding.fold_roll_ups()
    assert booked(shop.project) == before
    assert execute("SELECT trace_id FROM traces_ledger") == [(UUID(new),)]
    # A rebuild books what is stored, and takes nothing of what is gone.
    folding.start_rebuild(shop.project.pk)
    work.run_next()
    assert booked(shop.project) == before


def test_what_was_never_booked_is_booked_before_retention_takes_it(otlp, shop):
    shop.project.retention_days = 10
    shop.project.save()
    folding.fold_roll_ups()
    otlp.send(otlp.generation("a1" * 16, "01" * 8, at_ms=-20 * 86_400_000))
    assert retention.sweep().traces == 1
    folding.fold_roll_ups()
    assert booked(shop.project) == [(60, 2), (1440, 2)]  # the trace and its span; minutes are not kept as long


def test_minutes_and_hours_go_when_their_days_are_over(traffic, shop, monkeypatch):
    folding.fold_roll_ups()
    days = next(n for grain, n in booked(shop.project) if grain == 1440)
    monkeypatch.setattr(Horizon, "for_writing", lambda now: Horizon(now, now, now))
    assert rollup_tending.tend() > 0
    assert booked(shop.project) == [(1440, days)]
    assert execute("SELECT DISTINCT grain FROM traces_rollup_reason") == [(1440,)]
    assert execute("SELECT count(*) FROM traces_user_period") == [(0,)]


def test_buckets_that_are_over_are_tidied_without_a_change(otlp, shop, monkeypatch):
    monkeypatch.setattr(rollup_tending, "LOOSE_SKETCH_BYTES", 6)
    for number in range(1, 6):
        otlp.send(otlp.span(f"{number:032x}", "01" * 8, at_ms=-2 * 86_400_000, ms=100))
        folding.fold_roll_ups()
    lengths = "SELECT sum(octet_length(duration))::int FROM traces_rollup WHERE grain > 1"
    before = execute(lengths)
    assert rollup_tending.tend() > 0
    assert execute(lengths)[0][0] < before[0][0]
    rollup_audit.check(shop.project)


def test_a_day_of_25_hours_and_one_of_23(otlp, shop, monkeypatch):
    monkeypatch.setattr(Horizon, "for_writing", lambda now: Horizon(-(10**9), -(10**9), -(10**9)))
    change_zone(shop.project, "Europe/Berlin")
    for number, (sunday, hours) in enumerate(((last_sunday(10), 25), (last_sunday(3), 23))):
        at_ms = [((sunday - timedelta(hours=3)).timestamp() + 1800 * step) * 1000 for step in range(62)]
        began = otlp.start_ns / 1e6
        otlp.send(*(otlp.span(f"{number + 1:032x}", f"{n + 1:016x}", at_ms=at - began) for n, at in enumerate(at_ms)))
        folding.fold_roll_ups()
        rollup_audit.check(shop.project, "Europe/Berlin")
        held = rollup_audit.stored(shop.project, 60, 2)
        start = sunday - timedelta(hours=2 if hours == 25 else 1)  # midnight in Berlin
        of_day = [key[0] for key in held if start <= key[0] < start + timedelta(hours=hours)]
        assert len(of_day) == hours
        days = rollup_audit.stored(shop.project, 1440, 2)
        assert next(sums["n"] for (at, *_), (sums, _) in days.items() if at == start) == 2 * hours


def last_sunday(month):
    """Midnight UTC of the last Sunday of the month, in the last year in which it is over."""
    today = datetime.now(UTC)
    for year in (today.year, today.year - 1):
        day = datetime(year, month, 31, tzinfo=UTC)
        day -= timedelta(days=(day.weekday() + 1) % 7)
        if day + timedelta(days=3) < today:
            return day
    raise AssertionError("unreachable")
