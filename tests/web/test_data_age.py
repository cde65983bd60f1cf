"""What stands on late work says how late, each page of its own; where nothing is late, nobody says a word."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import standing_guard
from alerts.models import Monitor
from evals.models import JudgeVersion
from telltale.jobs.models import Heartbeat
from telltale.lib import clock
from telltale.projects.models import Project
from telltale.web.behind import LIMITS, STANDS_ON
from telltale.web.front.reading import forget_judged
from telltale.web.front.view import overview
from tests.alerts.incident_kit import monitor_of
from tests.evals.calibration_rows import make_rubric, make_version

OLD = timedelta(minutes=14, seconds=10)
CONSUMERS = {"charts": 1, "judging": 4, "behaviour": 5, "samples": 7}


@pytest.fixture
def shop(alice):
    """alice's project, to which something was sent."""
    Project.objects.filter(slug="shop").update(first_span_at=clock.now() - timedelta(days=1))
    forget_judged()
    yield Project.objects.get(slug="shop")
    forget_judged()


def tell(project, consumer, age):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_feed (consumer, project_id, feed_id, changed_at, trace_ids) VALUES (%s, %s, 1, %s, %s)",
            [consumer, project.pk, clock.now() - age, []],
        )


def be_late(project, kind, age=OLD):
    """The oldest work of a kind has waited for `age`."""
    if kind in CONSUMERS:
        tell(project, CONSUMERS[kind], age)
    elif kind == "account":
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO traces_ingest_batch (batch_id, project_id, key_id, source, received_at, committed_at,"
                " body_bytes, received, stored, duplicate, rejected, dropped, reasons)"
                " VALUES (1, %s, 1, 'traces', %s, %s, 10, 1, 1, 0, 0, 0, '{}')",
                [project.pk, clock.now() - age, clock.now() - age],
            )
    else:
        Monitor.objects.filter(pk=monitor_of(project).pk).update(due_at=clock.now() - age)


def notes(client, section, query=""):
    """What a page says of its own age: title and sentences; "" where it says nothing."""
    answer = client.get(f"/p/shop/{section}/{query}" if section else "/p/shop/")
    assert answer.status_code == 200, section
    found = re.findall(r"<b>(Data (?:is|may be) [^<]*)</b>((?:<p>[^<]*</p>)+)", answer.content.decode())
    assert len(found) <= 1, section
    return " ".join(found[0]) if found else ""


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_pages_that_stand_on_late_work_say_how_old_they_are_and_others_do_not(shop, inside, kind):
    be_late(shop, kind)

    told = {section: notes(inside, section) for section in sorted(STANDS_ON)}

    assert {section for section, text in told.items() if text} == {
        section for section, kinds in STANDS_ON.items() if kind in kinds
    }
    assert {text.partition(" <p>")[0] for text in told.values() if text} == {"Data is 14 min old"}
    assert len({text for text in told.values() if text}) == 1
    assert notes(inside, "traces") == notes(inside, "settings") == ""


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_within_its_limit_nothing_is_said_and_beyond_it_at_once(shop, inside, kind):
    section = next(section for section, kinds in sorted(STANDS_ON.items()) if kind in kinds)
    be_late(shop, kind, LIMITS[kind] - timedelta(seconds=20))
    in_time = notes(inside, section)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_feed")
        cursor.execute("DELETE FROM traces_ingest_batch")
    Monitor.objects.all().delete()
    be_late(shop, kind, LIMITS[kind] + timedelta(seconds=5))

    assert in_time == ""
    assert notes(inside, section).startswith("Data is ")


def test_an_answer_that_is_due_for_its_judge_is_late_and_one_that_waits_by_plan_is_not(shop, inside):
    version = make_version(shop, make_rubric(shop))
    JudgeVersion.objects.filter(pk=version.pk).update(frozen_at=clock.now())

    def put(judgement_id, next_at, state="pending"):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO evals_judgement (project_id, judgement_id, judge_id, judge_version_id, target_kind,"
                " target_id, purpose, state, next_at, made_at, started_at)"
                " VALUES (%s, %s, %s, %s, 1, gen_random_uuid(), 1, %s, %s, now(), now())",
                [shop.pk, judgement_id, version.judge_id, version.pk, state, next_at],
            )

    put(1, clock.now() + timedelta(hours=1))
    put(2, clock.now() - OLD, "done")
    by_plan = notes(inside, "quality")
    put(3, clock.now() - OLD)

    assert by_plan == ""
    assert "the oldest answer that is due has waited for 14 min" in notes(inside, "quality")


def test_a_silent_worker_is_said_wherever_something_stands_on_it(shop, inside):
    now = clock.now()
    Heartbeat.objects.create(name="vm:1", pid=1, started_at=now, at=now - timedelta(seconds=190))
    Heartbeat.objects.create(name="vm:2", pid=2, started_at=now, at=now - timedelta(seconds=900))

    told = {notes(inside, section) for section in STANDS_ON}

    assert len(told) == 1
    assert told.pop().startswith("Data may be 3 min old <p>No worker has shown life for 3 min:")
    assert notes(inside, "traces", "?q=refund").startswith("Data may be 3 min old")
    assert notes(inside, "traces") == notes(inside, "settings") == ""
    Heartbeat.objects.filter(pid=1).update(at=now)
    assert {notes(inside, section) for section in STANDS_ON} == {""}


def test_search_says_itself_how_far_its_index_is(shop, inside):
    tell(shop, 2, OLD)

    assert "14 min behind" in inside.get("/p/shop/traces/?q=refund").content.decode()


def test_the_watchdog_is_not_repeated(shop, inside, monkeypatch):
    now = clock.now()
    Heartbeat.objects.create(name="vm:1", pid=1, started_at=now, at=now - OLD)
    look = standing_guard.Look(now, now - OLD, "no worker has shown life")
    monkeypatch.setattr(standing_guard._Seen, "look", look)

    assert "Monitors are not evaluated" in inside.get("/p/shop/cost/").content.decode()
    assert notes(inside, "cost") == ""
    be_late(shop, "charts")
    assert notes(inside, "cost").startswith("Data is 14 min old")


def test_late_work_of_another_project_is_not_ours(shop, charlie, inside):
    for kind in LIMITS:
        be_late(Project.objects.get(slug="far"), kind)

    assert {notes(inside, section) for section in STANDS_ON} == {""}


@pytest.mark.parametrize("section", ["cost", "quality", "monitors", "performance"])
def test_being_late_costs_no_query(shop, inside, section):
    def queries():
        forget_judged()
        with CaptureQueriesContext(connection) as held:
            notes(inside, section)
        return len(held)

    monitor_of(shop)
    queries()
    before = queries()
    for kind in sorted(LIMITS.keys() - {"monitors"}):
        be_late(shop, kind)
    Monitor.objects.update(due_at=clock.now() - OLD)

    assert queries() == before


def strip_of(alice, shop):
    found = overview(shop, alice, clock.now() - timedelta(days=7), clock.now(), clock.now())
    return {each.key: (each.state, each.value) for each in found.strip}


def test_the_strip_of_the_overview_turns_with_each(shop, alice, monkeypatch):
    # A watchdog looks, and finds that rounds end: one monitor alone is late.
    monkeypatch.setattr(standing_guard._Seen, "look", standing_guard.Look(clock.now()))
    well = strip_of(alice, shop)
    for kind in ("charts", "judging", "monitors"):
        be_late(shop, kind)
    late = strip_of(alice, shop)
    Heartbeat.objects.create(name="vm:1", pid=1, started_at=clock.now(), at=clock.now() - OLD)
    silent = strip_of(alice, shop)

    assert {well[key][0] for key in ("lag", "coverage", "engine")} <= {"none", "ok"}
    assert late["lag"][0] == "watch"
    assert late["lag"][1].startswith("14 min")
    assert late["coverage"] == ("watch", "14 min behind")
    assert late["engine"] == ("watch", "14 min late")
    assert silent["lag"][0] == "bad"
