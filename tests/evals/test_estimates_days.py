"""Sums of whole days: the same figures as from their hours, whenever these change and wherever days begin."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import connection

from evals import tasks
from evals.pages.quality_view import span_of
from evals.read.estimates import Where, read_estimates, read_over_time
from evals.stats.ppi import Corrected
from evals.stats.results import Estimate
from evals.write import day_sums
from telltale.lib import clock
from tests.evals.estimate_rows import make_judge, make_traffic

pytestmark = pytest.mark.django_db
ZONES = ("UTC", "Asia/Kolkata", "America/St_Johns", "Europe/Berlin")


def at_midnight(days_ago):
    return clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)


def window(days):
    start = at_midnight(9)
    return start, start + timedelta(days=days)


def figures(found):
    """Every number of every row, in an order of their own."""
    rows = []
    for row in found.rows:
        raw = row.raw if isinstance(row.raw, Estimate) else None
        best = row.corrected.estimate if isinstance(row.corrected, Corrected) else None
        numbers = [row.n, row.n_eff, row.coverage, row.reviews]
        numbers += [getattr(each, name) for each in (raw, best) if each for name in ("value", "low", "high")]
        rows.append(((row.of.version, row.of.name, str(row.key)), numbers))
    return dict(rows)


def same(one, other):
    assert one.keys() == other.keys()
    for key, numbers in one.items():
        assert numbers == pytest.approx(other[key], rel=1e-9), key


def ask(project, start, end, zone="UTC", by="", **where):
    return read_estimates(project.pk, zone, start, end, Where(**where), by)


def built():
    with connection.cursor() as cursor:
        cursor.execute("SELECT day FROM evals_day_built ORDER BY day")
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize("zone", ZONES)
def test_figures_are_those_of_the_hours(project, zone):
    start, end = window(4)
    make_traffic(project, make_judge(project), start=start, hours=96, failed=0.1, reviewed=0.4)
    asked = [("", {}), ("feature", {}), ("day", {}), ("week", {}), ("hour", {}), ("model", {"feature": "chat"})]
    inside = (start + timedelta(hours=5), end - timedelta(hours=7))
    before = [ask(project, *inside, zone, by, **where) for by, where in asked]

    # Days without any score are made, too: from the first one to the last that is past.
    assert 4 <= day_sums.build_days(project.pk, zone, 100) == len(built()) <= 10
    assert day_sums.build_days(project.pk, zone, 100) == 0

    for (by, where), held in zip(asked, before, strict=True):
        now = ask(project, *inside, zone, by, **where)
        same(figures(held), figures(now))
        assert now.coverage == held.coverage


def test_days_are_read_and_not_their_hours(project):
    start, end = window(2)
    make_traffic(project, make_judge(project), start=start, hours=48)
    day_sums.build_days(project.pk, "UTC", 100)
    whole = figures(ask(project, start, end))

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM evals_score_hour")

    same(whole, figures(ask(project, start, end)))
    # Of a part of a day, and where days begin elsewhere, hours are read.
    assert ask(project, start + timedelta(hours=1), end - timedelta(hours=1)).rows == ()
    assert ask(project, start, end, zone="Asia/Kolkata").rows == ()


def test_what_comes_late_is_in_the_figures_at_once_and_after_the_day_is_made_again(project):
    version = make_judge(project)
    start, end = window(2)
    make_traffic(project, version, start=start, hours=48)
    day_sums.build_days(project.pk, "UTC", 100)
    few = figures(ask(project, start, end))

    make_traffic(project, version, start=start + timedelta(hours=30), hours=2, seed=5, plan_id=78)

    late = ask(project, start, end)
    assert figures(late)[1, "correctness", "None"][0] > few[1, "correctness", "None"][0]
    assert late.coverage[version.judge_id].covered == 48 * 20 + 2 * 20
    assert day_sums.build_days(project.pk, "UTC", 100) == 1
    same(figures(late), figures(ask(project, start, end)))
    assert ask(project, start, end).coverage == late.coverage


def test_another_zone_makes_days_anew(project):
    start, end = window(4)
    make_traffic(project, make_judge(project), start=start, hours=96)
    day_sums.build_days(project.pk, "UTC", 100)
    before = ask(project, start, end, "Asia/Kolkata", "day")

    assert day_sums.build_days(project.pk, "Asia/Kolkata", 100) >= 4

    same(figures(before), figures(ask(project, start, end, "Asia/Kolkata", "day")))


def test_days_that_are_not_past_for_long_are_left_to_their_hours(project):
    make_traffic(project, make_judge(project), start=clock.now().replace(minute=0, second=0, microsecond=0))

    assert day_sums.build_days(project.pk, "UTC", 100) == 0
    assert built() == []


def test_the_worker_makes_the_days_of_all_projects(project):
    make_traffic(project, make_judge(project), start=at_midnight(9), hours=24)

    assert settings.CELERY_BEAT_SCHEDULE["evals.build_days"]["task"] == tasks.build_days.name
    assert tasks.build_days() >= 8
    assert tasks.build_days() == 0


@pytest.mark.parametrize(
    ("zone", "day", "hours", "first"),
    [
        ("Europe/Berlin", date(2026, 10, 25), 25, "2026-10-24T22:00:00+00:00"),
        ("Europe/Berlin", date(2026, 3, 29), 23, "2026-03-28T23:00:00+00:00"),
        ("Asia/Kolkata", date(2026, 11, 16), 24, "2026-11-15T19:00:00+00:00"),
        ("Australia/Lord_Howe", date(2026, 4, 5), 25, "2026-04-04T13:00:00+00:00"),
    ],
)
def test_a_day_is_the_hours_that_begin_in_it(zone, day, hours, first):
    start, end = day_sums.hours_of_day(day, zone)

    assert start.isoformat() == first
    assert (end - start) / timedelta(hours=1) == hours
    assert (start, end) == span_of(day, ZoneInfo(zone))
    each = [start + timedelta(hours=at) for at in range(hours)]
    assert {at.astimezone(ZoneInfo(zone)).date() for at in each} == {day}


def test_days_of_a_changing_clock_add_up_with_their_reviews(project):
    start = datetime(2025, 10, 25, 20, tzinfo=UTC)
    make_traffic(project, make_judge(project), start=start, hours=32, an_hour=30, reviewed=0.5)
    end = start + timedelta(hours=32)

    whole, days, _ = read_over_time(project.pk, "Europe/Berlin", start, end, Where(), "day")

    rows = {row.key: row for row in days.rows if row.of.name == "correctness"}
    assert list(rows) == [date(2025, 10, 25), date(2025, 10, 26), date(2025, 10, 27)]
    hours = ask(project, *span_of(date(2025, 10, 26), ZoneInfo("Europe/Berlin")))
    alone = next(row for row in hours.rows if row.of.name == "correctness")
    assert replace(alone, key=date(2025, 10, 26)) == replace(rows[date(2025, 10, 26)], raw=alone.raw, n_eff=alone.n_eff)
    assert (
        sum(row.reviews for row in rows.values()) == next(r for r in whole.rows if r.of.name == "correctness").reviews
    )
