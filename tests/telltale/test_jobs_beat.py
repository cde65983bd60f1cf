"""The scheduler: what was never run is due at once, what was run waits for its turn, one worker holds the lease."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from telltale.celery import app
from telltale.jobs import beat, quiet
from telltale.jobs.models import Job, Schedule
from telltale.lib import clock

HOURLY = "traces.make_partitions"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def send(self: Any, entry: Any, producer: Any = None, advance: bool = True, **_: Any) -> None:
        if advance:
            self.reserve(entry)
        names.append(entry.name)

    monkeypatch.setattr(beat.LeasedScheduler, "apply_async", send)
    return names


def tick_until_idle(scheduler: beat.LeasedScheduler) -> None:
    for _ in range(len(scheduler.schedule) + 1):
        if scheduler.tick() >= 0.5:
            return


@pytest.mark.django_db(transaction=True)
def test_a_new_installation_runs_its_rare_tasks_at_once(sent: list[str]) -> None:
    tick_until_idle(beat.LeasedScheduler(app=app))

    assert sent.count(HOURLY) == 1
    assert clock.now() - Schedule.objects.get(name=HOURLY).last_run_at < timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_a_restart_does_not_run_them_again_before_their_time(sent: list[str]) -> None:
    Schedule.objects.create(name=HOURLY, last_run_at=clock.now() - timedelta(minutes=20))

    tick_until_idle(beat.LeasedScheduler(app=app))

    assert HOURLY not in sent


@pytest.mark.django_db(transaction=True)
def test_who_does_not_hold_the_lease_sends_nothing(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beat.leases, "hold", lambda *_, **__: False)

    tick_until_idle(beat.LeasedScheduler(app=app))

    assert sent == []


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the scheduler's turn every two seconds of a clock of ours; what each turn sent."""
    now = [1000.0]
    names: list[str] = []
    monkeypatch.setattr(beat.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(quiet.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(beat.Scheduler, "apply_async", lambda self, entry, **_: names.append(entry.name))
    scheduler = beat.LeasedScheduler(app=app)

    def turns(count: int) -> list[list[str]]:
        told = []
        for _ in range(count):
            names.clear()
            for entry in scheduler.schedule.values():
                scheduler.apply_async(entry)
            told.append(list(names))
            now[0] += 2.0
        return told

    return turns


def test_tasks_that_look_for_work_rest_while_nothing_goes_on(rounds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "_watched", [lambda: False])

    told = rounds(60)

    at_first, later = told[:15], told[16:]
    assert all("traces.fold_batches" in names for names in at_first)
    assert sum("traces.fold_batches" in names for names in later) == pytest.approx(len(later) * 2 / 20, abs=1)
    assert all(HOURLY in names for names in told), "others are sent whenever they are due"


def test_the_first_sign_of_work_ends_the_rest(rounds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    is_open = [False]
    monkeypatch.setattr(quiet, "_watched", [lambda: is_open[0]])
    rounds(40)

    is_open[0] = True
    assert all("traces.fold_roll_ups" in names for names in rounds(10))
    is_open[0] = False

    assert all("traces.fold_roll_ups" in names for names in rounds(14)), "what follows from it is done at full rate"


def test_every_task_that_may_rest_is_in_the_schedule(settings: Any) -> None:
    assert set(settings.QUIET_TASKS) <= set(settings.CELERY_BEAT_SCHEDULE)


def test_every_task_of_the_schedule_is_known_to_workers_and_has_a_queue(settings: Any) -> None:
    app.loader.import_default_modules()
    names = {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}

    assert names <= set(app.tasks)
    assert set(settings.CELERY_TASK_ROUTES) <= set(app.tasks)
    assert {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()} <= set(settings.TELLTALE_QUEUES)


@pytest.mark.django_db
def test_open_work_is_seen_by_those_who_watch() -> None:
    import traces.tasks  # noqa: F401
    from telltale.jobs.tasks import has_open_jobs
    from traces.read.flow import has_open_work

    assert {has_open_jobs, has_open_work} <= set(quiet._watched)
    assert (has_open_jobs(), has_open_work()) == (False, False)

    Job.objects.create(kind="x")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO traces_feed (consumer, project_id, feed_id, trace_ids) VALUES (1, 1, 1, '{}')")

    assert (has_open_jobs(), has_open_work()) == (True, True)


@pytest.mark.parametrize(("back", "is_seen"), [(3600.0, True), (0.5, False), (-3600.0, False)])
def test_a_clock_that_was_set_back_keeps_nothing_waiting_for_its_own_future(back: float, is_seen: bool) -> None:
    scheduler = beat.LeasedScheduler(app=app, lazy=True)
    scheduler.setup_schedule()
    ahead = clock.now() + timedelta(minutes=59)
    for entry in scheduler.schedule.values():
        entry.last_run_at = ahead
    scheduler._clock += back  # what it was at the last tick

    scheduler._mind_the_clock()

    late = [entry.name for entry in scheduler.schedule.values() if entry.last_run_at > clock.now()]
    assert bool(late) is not is_seen
    scheduler._mind_the_clock()  # and once is enough


class Pool:
    """A worker's pool whose work is done when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def apply_async(self, work: Any) -> None:
        self.waiting.append(work)

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


@pytest.mark.django_db(transaction=True)
def test_where_the_broker_is_away_the_holder_does_the_tasks_itself_and_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, done, tries = [1000.0], [], []
    monkeypatch.setattr(beat.time, "monotonic", lambda: now[0])
    is_away = [True]

    def send(self: Any, entry: Any, **_: Any) -> None:
        tries.append(entry.name)
        if is_away[0]:
            raise beat.SchedulingError("nobody there")

    monkeypatch.setattr(beat.Scheduler, "apply_async", send)
    monkeypatch.setattr(app.tasks["traces.fold_batches"], "run", lambda: done.append(now[0]))
    pool = Pool()
    scheduler = beat.LeasedScheduler(app=app, pool=pool)
    entry = scheduler.schedule["traces.fold_batches"]

    scheduler.apply_async(entry, advance=False)
    scheduler.apply_async(entry, advance=False)
    assert tries == ["traces.fold_batches"]  # known to be away for a while
    assert len(pool.waiting) == 1  # and never twice at once
    pool.work()
    assert done == [1000.0]

    scheduler.apply_async(entry, advance=False)
    pool.work()
    assert done == [1000.0, 1000.0]

    is_away[0] = False
    now[0] += beat.AWAY_SECONDS
    scheduler.apply_async(entry, advance=False)
    assert len(tries) == 2
    assert pool.waiting == []


@pytest.mark.django_db(transaction=True)
def test_a_task_that_breaks_here_is_done_again_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, entry: Any, **_: Any) -> None:
        raise beat.SchedulingError("nobody there")

    def fail() -> None:
        done.append(1)
        raise RuntimeError("broken")

    done: list[int] = []
    monkeypatch.setattr(beat.Scheduler, "apply_async", refuse)
    monkeypatch.setattr(app.tasks["traces.fold_batches"], "run", fail)
    pool = Pool()
    scheduler = beat.LeasedScheduler(app=app, pool=pool)

    for _ in range(2):
        scheduler.apply_async(scheduler.schedule["traces.fold_batches"], advance=False)
        pool.work()

    assert done == [1, 1]
