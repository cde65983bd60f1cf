"""The history of the verdict: made once for each day, again where definitions, settings or late votes change it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import orjson
import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client

from evals import surviving, tasks
from evals.models import SurvivorshipDay
from evals.surviving import keeping
from telltale.jobs.models import Job, JobState
from tests.evals.behaviour_rows import SMALL, judge_sessions, make_sessions
from tests.evals.estimate_rows import make_judge
from traces.behaviour.types import Stratum
from traces.models import SignalDefinition
from traces.read.behaviour import REFOLD

NOW = datetime(2026, 3, 18, 9, 30, tzinfo=UTC)
YESTERDAY = date(2026, 3, 17)


@pytest.fixture
def now():
    with time_machine.travel(NOW, tick=False) as travelling:
        yield travelling


def days(project, feature=None):
    rows = SurvivorshipDay.objects.filter(project=project, is_whole=feature is None, feature=feature or "")
    return list(rows.order_by("day"))


def at(day, hour=0):
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def test_every_day_since_the_first_session_gets_its_verdict_once(project, now):
    make_sessions(project, SMALL, start=at(YESTERDAY - timedelta(days=9)), feature="search")
    make_sessions(project, SMALL, start=at(YESTERDAY), feature="search", seed=2)

    assert keeping.tend() == 20
    assert keeping.tend() == 0

    kept = days(project)
    assert [row.day for row in kept] == [YESTERDAY - timedelta(days=back) for back in range(9, -1, -1)]
    assert [row.sessions for row in kept] == [1000] * 9 + [2000]
    assert kept[-1].figures["votes"]["value"] == pytest.approx(0.9)
    assert kept[-1].figures["up"] == 180
    assert {row.revision for row in kept} == {1}
    assert [row.sessions for row in days(project, "search")] == [1000] * 9 + [2000]


def test_a_verdict_is_that_of_the_page_over_the_same_days(project, now):
    version = make_judge(project, kind="model")
    made = make_sessions(project, SMALL, start=at(YESTERDAY - timedelta(days=3)), feature="search")
    judge_sessions(project, version, made, dict.fromkeys(SMALL, 0.7), pi=0.5, reviewed=0.3)
    keeping.tend()

    page = surviving.look_at(project.pk, at(YESTERDAY - timedelta(days=27)), at(YESTERDAY + timedelta(days=1))).whole

    kept = days(project)[-1]
    assert (kept.colour, kept.rule) == (page.verdict.colour, page.verdict.rule) == ("red", "anchor_below_votes")
    assert kept.figures["anchor"]["value"] == pytest.approx(page.anchor.estimate)
    assert kept.figures["calibrated"]["low"] == pytest.approx(page.calibrated.estimate.low)
    assert kept.figures["gap"] == pytest.approx(page.gap)


def test_the_window_is_28_days_and_at_most_twelve_weeks_are_made(project, now):
    make_sessions(project, SMALL, start=at(YESTERDAY - timedelta(days=200)))
    make_sessions(project, SMALL, start=at(YESTERDAY - timedelta(days=40)), seed=2)

    keeping.tend()

    kept = {row.day: row for row in days(project)}
    assert len(kept) == 84
    assert kept[YESTERDAY - timedelta(days=13)].sessions == 1000
    assert kept[YESTERDAY - timedelta(days=12)].sessions == 0
    assert kept[YESTERDAY].rule == "no_sessions"


def test_days_are_those_of_the_project(project, now):
    project.time_zone = "Pacific/Auckland"
    project.save()
    make_sessions(project, SMALL, start=at(YESTERDAY, 10), hours=1)
    make_sessions(project, SMALL, start=at(YESTERDAY, 12), hours=1, seed=2)

    keeping.tend()

    assert [(row.day, row.sessions) for row in days(project)] == [(YESTERDAY, 1000)]
    project.time_zone = "UTC"
    project.save()
    keeping.tend()
    assert [(row.day, row.sessions) for row in days(project)] == [(YESTERDAY, 2000)]


def test_late_votes_change_the_last_week_and_are_counted_as_revisions(project, now):
    make_sessions(project, SMALL, start=at(YESTERDAY - timedelta(days=10)))
    keeping.tend()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_behaviour_hour SET vote = -1, facts = facts | 512 WHERE vote = 1")

    now.shift(timedelta(hours=21))
    keeping.tend()

    kept = days(project)
    assert [row.revision for row in kept] == [1] * 5 + [2] * 6 + [1]
    assert kept[-1].figures["up"] == 0
    assert kept[0].figures["up"] == 90


def test_other_definitions_and_settings_make_all_days_again(project, now, key):
    make_sessions(project, SMALL, start=at(YESTERDAY - timedelta(days=10)))
    made = keeping.tend()
    SignalDefinition.objects.create(project=project, version=1, spec={})
    job = Job.objects.create(kind=REFOLD, project_id=project.pk, state=JobState.RUNNING)

    assert keeping.tend() == 0
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE)
    assert keeping.tend() == made
    assert {row.definition for row in days(project)} == {1}
    surviving.save_anchoring(project, {"tolerance": 0.2})
    assert keeping.tend() == made
    assert keeping.tend() == 0
    client = Client(headers={"Authorization": f"Bearer {key.secret}"})
    found = orjson.loads(client.get("/api/v1/survivorship/history").content)
    assert [row["day"] for row in found["items"]] == [row.day.isoformat() for row in days(project)]
    assert {row["revision"] for row in found["items"]} == {3}
    only = orjson.loads(client.get("/api/v1/survivorship/history?from=2026-03-10&to=2026-03-11").content)
    assert [row["day"] for row in only["items"]] == ["2026-03-10", "2026-03-11"]


def test_the_page_draws_the_gap_weekly_and_daily(project, now, bob, sign_in):
    for back in range(0, 29, 7):
        groups = dict(SMALL) | {Stratum.ABANDONED: (10, 6, 100 + 40 * (28 - back))}
        make_sessions(project, groups, start=at(YESTERDAY - timedelta(days=back)), seed=back)
    keeping.tend()

    page = sign_in(bob).get("/p/shop/signals/").content.decode()

    assert "The gap grew from" in page
    assert "Weekly; each point looks at the 28 days before" in page
    assert "17 Mar</th>" in page
    daily = sign_in(bob).get("/p/shop/signals/?history=day").content.decode()
    assert "Daily; each point looks at the 28 days before" in daily
    assert daily.count('<th scope="row">') > page.count('<th scope="row">')


def test_the_first_week_is_drawn_by_the_day(project, now, bob, sign_in):
    make_sessions(project, SMALL, start=at(YESTERDAY - timedelta(days=2)))
    keeping.tend()

    page = sign_in(bob).get("/p/shop/signals/").content.decode()

    assert "Daily; each point looks at the 28 days before" in page
    assert "The gap stayed at" in page
    assert "of the last 3 days, 0 have changed" in page


def test_a_worker_makes_it_by_the_hour_and_stops_in_time(project, now):
    make_sessions(project, SMALL, start=at(YESTERDAY - timedelta(days=10)))

    assert keeping.tend(seconds=0.0) == 0
    assert tasks.tend_survivorship() > 0
    assert settings.CELERY_BEAT_SCHEDULE["evals.tend_survivorship"]["task"] == tasks.tend_survivorship.name
