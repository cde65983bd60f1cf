"""The scheduler: any worker may be it, one at a time is, by a lease that ends with its holder.

A lease in a row and not an advisory lock: a stopped process (SIGSTOP, a frozen machine) keeps its lock for ever, but
cannot renew a row.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import Any

from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from django.conf import settings
from django.db import Error, close_old_connections, connection

from telltale.jobs import leases
from telltale.jobs.models import Schedule
from telltale.jobs.quiet import Quiet
from telltale.jobs.wake import RETRY
from telltale.lib import clock

LEASE_NAME = "scheduler"
LEASE_SECONDS = 9.0
TICK_SECONDS = 3.0
# At every tick: a machine under load may be late by two of them without anybody being told that nobody schedules.
RENEW_SECONDS = 2.0
# A clock that was set back by less only makes tasks as much later.
BACK_SECONDS = 2.0
# Where a task could not be sent, tasks are done here for so long before the broker is tried again.
AWAY_SECONDS = 5.0
# Shorter ones may simply start anew.
REMEMBERED_FROM = timedelta(minutes=1)

logger = logging.getLogger("telltale.jobs")


class LeasedScheduler(Scheduler):
    """Celery's scheduler for the holder of the lease; it remembers in the database when the rarer tasks were sent.

    Where the broker is away, the holder does the tasks itself, in the worker's `pool`: PostgreSQL is enough to go on.
    """

    is_holder = False
    # Celery's own producer keeps a connection that a restarted RabbitMQ has closed, and fails with it for ever. Without
    # one, tasks are sent through the application's pool.
    producer = None

    def __init__(self, *args: Any, pool: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pool = pool
        self._under_way: set[str] = set()
        self._away_until = 0.0
        self.max_interval = TICK_SECONDS
        self._held_at = 0.0
        self._quiet = Quiet()
        self._sent_at: dict[str, float] = {}
        self._clock = time.time() - time.monotonic()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, if the lease is ours; seconds until the next look."""
        try:
            close_old_connections()
            held = self.is_holder
            # By a clock that goes on while the process is stopped: who comes back late asks first.
            if not held or time.monotonic() - self._held_at > RENEW_SECONDS:
                self._held_at = time.monotonic()
                self.is_holder = leases.hold(LEASE_NAME, seconds=LEASE_SECONDS)
            if not self.is_holder:
                return TICK_SECONDS
            if not held:
                logger.info("this worker schedules")
                self._remember()
            self._mind_the_clock()
            return min(float(super().tick(*args, **kwargs)), TICK_SECONDS)
        except Error:
            self.is_holder = False
            return TICK_SECONDS

    def reserve(self, entry: ScheduleEntry) -> ScheduleEntry:
        """The entry after this run, which is written down."""
        following = super().reserve(entry)
        if _period(entry) >= REMEMBERED_FROM:
            Schedule.objects.update_or_create(name=entry.name, defaults={"last_run_at": following.last_run_at})
        return following

    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send one task; one that nobody takes before the next is sent is worth nothing and expires.

        Where nothing is going on, tasks of `QUIET_TASKS` are left out for the seconds it says.
        """
        seconds, now = settings.QUIET_TASKS.get(entry.name, 0.0), time.monotonic()
        if seconds and now - self._sent_at.get(entry.name, -seconds) < seconds and self._quiet:
            return None
        self._sent_at[entry.name] = now
        entry.options.setdefault("expires", max(_period(entry).total_seconds(), 10.0))
        entry.options.update(RETRY)
        if now < self._away_until:
            entry = self.reserve(entry) if advance else entry
        else:
            try:
                return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
            except SchedulingError:
                if self._pool is None:
                    raise
                logger.warning("the broker takes no tasks; they are done here meanwhile")
                self._away_until = time.monotonic() + AWAY_SECONDS
        return self._do_here(entry)

    def _do_here(self, entry: ScheduleEntry) -> None:
        """Do one task in this worker's pool, unless it is under way there."""
        task = self.app.tasks.get(entry.task)
        if task is None or entry.name in self._under_way:
            return
        self._under_way.add(entry.name)

        def do() -> None:
            try:
                task.apply(entry.args, entry.kwargs)
            finally:
                self._under_way.discard(entry.name)
                connection.close()

        self._pool.apply_async(do)

    def _mind_the_clock(self) -> None:
        """Where the clock was set back, what ran in its future is due when its time comes round, not an hour later."""
        before, self._clock = self._clock, time.time() - time.monotonic()
        if before - self._clock < BACK_SECONDS:
            return
        logger.warning("the clock went back by %.0f s", before - self._clock)
        for entry in self.schedule.values():
            entry.last_run_at = min(entry.last_run_at, clock.now())
        self._heap = None

    def _remember(self) -> None:
        known = dict(Schedule.objects.values_list("name", "last_run_at"))
        for name, entry in self.schedule.items():
            if name in known:
                entry.last_run_at = min(known[name], clock.now())
            elif _period(entry) >= REMEMBERED_FROM:
                # Never run before: due at once, or a new installation would wait an hour for its partitions.
                entry.last_run_at = clock.now() - _period(entry)
                Schedule.objects.get_or_create(name=name, defaults={"last_run_at": entry.last_run_at})
        self._heap = None

    def stop(self) -> None:
        """Give the lease back, so that the next worker need not wait for its end."""
        if self.is_holder:
            try:
                leases.let_go(LEASE_NAME)
            except Error:
                return


def _period(entry: ScheduleEntry) -> timedelta:
    every = getattr(entry.schedule, "run_every", None)
    return every if isinstance(every, timedelta) else timedelta(hours=1)


class BeatThread(threading.Thread):
    """The scheduler inside a worker."""

    def __init__(self, app: Any, pool: Any) -> None:
        super().__init__(name="scheduler", daemon=True)
        self._app, self._pool = app, pool
        self._ending = threading.Event()

    def run(self) -> None:
        """Tick until told to end."""
        scheduler = LeasedScheduler(app=self._app, pool=self._pool)
        while not self._ending.is_set():
            self._ending.wait(max(scheduler.tick(), 0.01))
        scheduler.stop()
        close_old_connections()

    def end(self) -> None:
        """Stop ticking and give the lease back."""
        self._ending.set()
        self.join(2.0)
