"""Outcomes from their definition to hourly sums: counted at once and anew, exactly once whatever is in between."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection

from telltale.audit.models import AuditEntry
from telltale.jobs import work
from telltale.jobs.models import Job
from tests.traces.outcome_rows import NOON, booked, put_session, put_signal, recounted, run_jobs, settle
from traces import measuring
from traces.behaviour.types import Fact
from traces.measuring import NotThere
from traces.models import Outcome
from traces.outcomes.spec import SpecRefused
from traces.read import outcomes as read
from traces.signals.kinds import Kind

pytestmark = pytest.mark.django_db
CONVERSION = {"measure": "share", "of": [{"kind": "conversion"}]}
COST = {"measure": "cost", "of": [{"fact": "completed"}], "better": "lower"}
VALUE = {"measure": "value", "of": [{"kind": "conversion"}], "unit": "EUR"}


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        yield


def add(project, name, told):
    return measuring.add_outcome(project, name, told, by_id=None)


def sums(project, outcome):
    found = read.read_sums(project.pk, [outcome], read.period_of(NOON - timedelta(days=30), NOON + timedelta(days=1)))
    return found[outcome.id]


def test_stored_sessions_are_counted_when_an_outcome_is_defined(project):
    for n in range(1, 6):
        put_session(project.pk, n)
    put_signal(project.pk, 1, of=1)
    put_signal(project.pk, 2, of=1)  # twice in one session: one session
    put_session(project.pk, 9, closed=False)

    made = add(project, "Conversion", CONVERSION)
    assert sums(project, made).n == 0
    assert read.progress_of(project.pk, [made])[made.id].is_open
    run_jobs()

    assert read.progress_of(project.pk, [made]) == {}
    found = sums(project, made)
    assert (found.n, found.y, found.unknown) == (5, 1, 0)
    assert booked(project.pk) == recounted(project.pk)


def test_a_session_that_changes_is_booked_by_its_difference(project):
    made = add(project, "Conversion", CONVERSION)
    run_jobs()
    put_session(project.pk, 1)
    settle(project.pk)
    settle(project.pk)
    assert (sums(project, made).n, sums(project, made).y) == (1, 0)

    put_signal(project.pk, 1, of=1)
    put_session(project.pk, 1, feature="checkout", at=NOON - timedelta(hours=2))
    # The row moved with what it had booked: the fold books it out of its old cell.
    move(project, 1)

    assert (sums(project, made).n, sums(project, made).y) == (1, 1)
    assert [cell[2] for cell in booked(project.pk)] == ["checkout"]
    put_session(project.pk, 1, feature="checkout", at=NOON - timedelta(hours=2), closed=False)
    settle(project.pk, 1)
    assert booked(project.pk) == {}


def move(project, n):
    """Book session `n` out of the cell of noon and chat, and into that of its row."""
    from telltale.lib.db import raw_cursor
    from traces.read.outcome_units import COLUMNS, units_of
    from traces.write import outcomes

    with raw_cursor() as cursor:
        measured = outcomes.load_measured(cursor, project.pk)
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM traces_behaviour WHERE project_id = %s", (project.pk,))
        (kept,) = units_of(cursor, project.pk, cursor.fetchall(), with_turns=False)
        seen = kept.unit.behaviour
        after = outcomes.figures_of(measured, kept.unit)
        before = outcomes.Place(NOON, "chat", kept.outcomes)
        outcomes.book(cursor, project.pk, measured, [(before, outcomes.Place(seen.first_at, seen.feature, after))])
    import orjson

    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_behaviour SET outcomes = %s", [orjson.dumps(after).decode()])


def test_unknown_cost_is_left_out_and_counted(project):
    put_session(project.pk, 1, facts=Fact.COMPLETED, cost="0.30")
    put_session(project.pk, 2, cost="0.10")
    put_session(project.pk, 3, facts=Fact.COMPLETED, cost=None)
    put_session(project.pk, 4, facts=Fact.COMPLETED, lone=True)

    made = add(project, "Cost per resolved query", COST)
    run_jobs()

    found = sums(project, made)
    assert (found.n, found.unknown, found.x, found.y) == (2, 2, 1, Decimal("0.40"))
    assert found.known_share == 0.5


def test_another_measure_begins_anew_and_another_name_does_not(project):
    for n in range(1, 4):
        put_session(project.pk, n, facts=Fact.ABANDONED if n == 1 else 0)
    made = add(project, "Left", {"measure": "share", "of": [{"fact": "abandoned"}]})
    run_jobs()
    assert sums(project, made).y == 1

    named = measuring.change_outcome(project, made.slug, name="Went away", by_id=None)
    better = measuring.change_outcome(
        project, made.slug, told={"measure": "share", "of": [{"fact": "abandoned"}], "better": "lower"}, by_id=None
    )
    assert (named.revision, better.revision) == (1, 1)
    assert sums(project, made).y == 1

    changed = measuring.change_outcome(
        project, made.slug, told={"measure": "share", "of": [{"fact": "retried"}], "better": "lower"}, by_id=None
    )
    assert changed.revision == 2
    assert booked(project.pk) == {}
    settle(project.pk, 2)  # folded while the count waits: counted once
    run_jobs()

    assert (sums(project, changed).n, sums(project, changed).y) == (3, 0)
    assert booked(project.pk) == recounted(project.pk)
    actions = [entry.action for entry in AuditEntry.objects.order_by("pk") if entry.action.startswith("outcome.")]
    assert actions == ["outcome.add", "outcome.change", "outcome.change", "outcome.change"]


def test_an_outcome_put_away_is_not_counted_and_taken_back_is_counted_anew(project):
    put_session(project.pk, 1)
    made = add(project, "Conversion", CONVERSION)
    run_jobs()

    away = measuring.archive_outcome(project, made.slug, is_archived=True, by_id=None)
    assert away.archived_at is not None
    assert booked(project.pk) == {}
    put_session(project.pk, 2)
    settle(project.pk)
    assert booked(project.pk) == {}

    back = measuring.archive_outcome(project, made.slug, is_archived=False, by_id=None)
    run_jobs()
    assert sums(project, back).n == 2
    assert booked(project.pk) == recounted(project.pk)
    again = measuring.archive_outcome(project, made.slug, is_archived=False, by_id=None)
    assert again.revision == back.revision


def test_a_count_goes_on_where_it_was_killed(project, monkeypatch):
    monkeypatch.setattr(measuring, "SLICE", 3)
    for n in range(1, 11):
        put_session(project.pk, n, at=NOON - timedelta(minutes=n))
    made = add(project, "Conversion", CONVERSION)
    real, calls = measuring.write.recount_slice, []

    def dies(*args, **kwargs):
        calls.append(kwargs["after"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(measuring.write, "recount_slice", dies)
    job = Job.objects.get(kind=read.RECOUNT)
    with pytest.raises(KeyboardInterrupt):
        work.run_now(job)
    seen = read.progress_of(project.pk, [made])[made.id]
    assert (seen.state, seen.done, seen.total) == ("running", 6, 10)
    assert sums(project, made).n == 6
    Job.objects.update(lease_until=NOON)

    ended = work.run_now(Job.objects.get(pk=job.pk))

    assert (ended.state, ended.result) == ("done", {"sessions": 10})
    assert sums(project, made).n == 10
    assert booked(project.pk) == recounted(project.pk)


def test_a_count_of_an_older_measure_ends(project):
    put_session(project.pk, 1)
    made = add(project, "Conversion", CONVERSION)
    first = Job.objects.get(kind=read.RECOUNT)
    changed = measuring.change_outcome(project, made.slug, told=COST, by_id=None)

    assert Job.objects.get(pk=first.pk).state == "cancelled"
    Job.objects.filter(pk=first.pk).update(state="pending", finished_at=None)
    assert work.run_now(first).result == {"sessions": 0, "is_superseded": True}
    run_jobs()
    assert sums(project, changed).n == 1


def test_sessions_past_the_days_of_the_project_are_not_counted_again(project):
    project.retention_days = 10
    project.save()
    put_session(project.pk, 1)
    put_session(project.pk, 2, at=NOON - timedelta(days=11))
    made = add(project, "Conversion", CONVERSION)
    run_jobs()

    assert sums(project, made).n == 1


def test_a_failed_count_is_told_and_can_be_started_again(project):
    put_session(project.pk, 1)
    made = add(project, "Conversion", CONVERSION)
    Job.objects.update(state="failed", error="DataError")
    assert read.progress_of(project.pk, [made])[made.id].has_failed

    again = measuring.count_again(project, made.slug, by_id=None)
    run_jobs()

    assert again.revision == 2
    assert read.progress_of(project.pk, [again]) == {}
    assert sums(project, again).n == 1


def test_what_is_refused_names_its_field(project, monkeypatch):
    with pytest.raises(SpecRefused, match="name: needs a value"):
        add(project, " \n", CONVERSION)
    with pytest.raises(SpecRefused, match="slug: is no slug"):
        measuring.add_outcome(project, "New", CONVERSION, slug="new", by_id=None)
    assert add(project, "New", CONVERSION).slug == "new-2"
    assert add(project, "价格", CONVERSION).slug == "outcome"
    monkeypatch.setattr(measuring, "OUTCOMES_MAX", 2)
    with pytest.raises(SpecRefused, match="one outcome too many"):
        add(project, "Third", CONVERSION)
    with pytest.raises(NotThere):
        measuring.change_outcome(project, "nobody", name="X", by_id=None)


def test_an_outcome_that_cannot_be_read_stops_no_other(project):
    put_session(project.pk, 1)
    bad = add(project, "Bad", CONVERSION)
    good = add(project, "Good", CONVERSION)
    Outcome.objects.filter(pk=bad.id).update(spec={"measure": "of a release to come"})
    settle(project.pk)

    assert sums(project, good).n == 1


def test_values_keep_every_cent_and_times_are_from_the_first_turn(project):
    for n in range(1, 4):
        put_session(project.pk, n)
    put_signal(project.pk, 1, of=1, number=0.1)
    put_signal(project.pk, 2, of=1, number=0.2, after=90)
    put_signal(project.pk, 3, of=2, after=30)  # a conversion without its value
    put_signal(project.pk, 4, of=3, kind=Kind.COMPLETED, after=-5)  # before the first turn
    value = add(project, "Order value", VALUE)
    time = add(project, "Time", {"measure": "time", "of": [{"kind": "conversion"}, {"kind": "completed"}]})
    revenue = add(project, "Revenue", {**VALUE, "per": "session"})
    run_jobs()

    assert (sums(project, value).n, sums(project, value).unknown, sums(project, value).y) == (1, 1, Decimal("0.3"))
    assert (sums(project, time).n, sums(project, time).unknown, sums(project, time).y) == (2, 1, 90)
    assert (sums(project, revenue).n, sums(project, revenue).x, sums(project, revenue).y) == (2, 2, Decimal("0.3"))


def test_trying_out_saves_nothing(project, monkeypatch):
    from traces.outcomes.spec import parse_outcome

    monkeypatch.setattr(measuring, "TRIED_UNITS", 3)
    for n in range(1, 5):
        put_session(project.pk, n, at=NOON - timedelta(minutes=n))
    put_signal(project.pk, 1, of=2)
    tried = measuring.try_outcome(project, parse_outcome(CONVERSION))

    assert (tried.looked, tried.is_capped, tried.sums.n, tried.sums.y) == (3, True, 3, 1)
    assert tried.since == NOON - timedelta(minutes=3)
    assert not Outcome.objects.exists()


@pytest.mark.usefixtures("committed_db")
def test_a_measure_changes_when_nobody_folds_by_it(project):
    from psycopg import connect, errors

    from tests.conftest import database_url
    from traces.write import outcomes

    with connect(database_url()) as folding, connect(database_url()) as changing:
        changing.execute("SET lock_timeout = '50ms'")
        assert outcomes.load_measured(folding.cursor(), project.pk) == ()
        with pytest.raises(errors.LockNotAvailable):
            outcomes.lock_measures(changing.cursor(), project.pk)
        changing.rollback()
        folding.commit()
        outcomes.lock_measures(changing.cursor(), project.pk)
        # Another project's folds go on meanwhile.
        assert outcomes.load_measured(folding.cursor(), project.pk + 1) == ()


@pytest.mark.usefixtures("committed_db")
def test_folds_counts_and_changes_at_once_book_each_session_once(project, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(measuring, "SLICE", 4)
    monkeypatch.setattr(measuring, "wake", lambda task: None)
    for n in range(1, 41):
        put_session(project.pk, n, at=NOON - timedelta(hours=n % 3), facts=Fact.COMPLETED if n % 2 else 0)
    sold = add(project, "Sales", CONVERSION)
    cost = add(project, "Cost", COST)

    def fold():
        for n in range(1, 41):
            if n % 4 == 0:
                put_signal(project.pk, n, of=n)
            settle(project.pk, n, 41 - n)

    def change():
        measuring.change_outcome(project, cost.slug, told={**COST, "of": [{"fact": "error"}]}, by_id=None)

    def closing(work):
        try:
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(closing, work) for work in (fold, run_open_jobs, change)]:
            done.result()
    run_jobs()

    assert booked(project.pk) == recounted(project.pk)
    assert (sums(project, sold).n, sums(project, sold).y) == (40, 10)
    assert (sums(project, cost).n, sums(project, cost).x) == (40, 0)


def run_open_jobs():
    """Run the counts that wait; one may be called off by a change meanwhile."""
    for job in Job.objects.filter(kind=read.RECOUNT).order_by("pk"):
        assert work.run_now(job).state in {"done", "cancelled"}
