"""What every worker brings besides running tasks: the scheduler, signs of life, and an end to tasks that hang."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import bootsteps, signals
from django.db import Error, close_old_connections, connection

from telltale.jobs import leases
from telltale.jobs.beat import BeatThread
from telltale.jobs.models import Heartbeat
from telltale.jobs.starving import STARVED_SECONDS, Hunger, is_connected
from telltale.lib import clock
from telltale.lib.logs import tell_thread, watch_threads

HEARTBEAT_SECONDS = 10.0
# Threads cannot be stopped from outside. A task this far over its limit ends the process; its rows are claimed again.
GRACE_SECONDS = 30.0
OWN_THREADS = {"scheduler", "care"}
# Rows of workers that were replaced are kept this long, for the operator's page.
FORGET_AFTER = timedelta(hours=1)

logger = logging.getLogger("telltale.jobs")


@dataclass(frozen=True, slots=True)
class Running:
    """A task in progress; `since` and `limit_seconds` by the monotonic clock."""

    name: str
    since: float
    started_at: datetime
    limit_seconds: float


class Pulse:
    """What this worker is doing, counted by Celery's signals."""

    def __init__(self) -> None:
        self.started_at = clock.now()
        self.running: dict[str, Running] = {}
        self.begun = 0
        self.done = 0
        self.failed = 0
        self._lock = threading.Lock()

    def begin(self, task_id: str, task: Any) -> None:
        """A task has begun."""
        limit = task.time_limit or task.app.conf.task_time_limit or 600
        with self._lock:
            self.running[task_id] = Running(task.name, time.monotonic(), clock.now(), float(limit))
            self.begun += 1

    def end(self, task_id: str, state: str | None) -> None:
        """A task has ended."""
        with self._lock:
            if self.running.pop(task_id, None):
                self.done += 1
                self.failed += state == "FAILURE"

    def oldest(self) -> Running | None:
        """The task that has run longest."""
        with self._lock:
            return min(self.running.values(), key=lambda task: task.since, default=None)

    def overdue(self) -> Running | None:
        """A task that is over its limit and the grace."""
        with self._lock:
            tasks = list(self.running.values())
        now = time.monotonic()
        return next((task for task in tasks if now - task.since > task.limit_seconds + GRACE_SECONDS), None)


pulse = Pulse()


@signals.task_prerun.connect
def _begin(task_id: str = "", task: Any = None, **kwargs: Any) -> None:
    pulse.begin(task_id, task)


@signals.task_postrun.connect
def _end(task_id: str = "", state: str | None = None, **kwargs: Any) -> None:
    pulse.end(task_id, state)


def write_heartbeat(name: str) -> None:
    """Write this worker's row. Runs in the pool: where no thread is free for it, there is no sign of life."""
    oldest = pulse.oldest()
    try:
        close_old_connections()
        Heartbeat.objects.update_or_create(
            name=name,
            defaults={
                "pid": os.getpid(),
                "started_at": pulse.started_at,
                "at": clock.now(),
                "tasks_done": pulse.done,
                "tasks_failed": pulse.failed,
                "oldest_task": oldest.name if oldest else "",
                "oldest_task_since": oldest.started_at if oldest else None,
            },
        )
        Heartbeat.objects.filter(at__lt=clock.now() - FORGET_AFTER).delete()
    except Error:
        return  # a missing sign of life is the sign
    finally:
        connection.close()


class CareThread(threading.Thread):
    """Asks the pool for signs of life, looks for tasks that hang, and whether any come at all."""

    def __init__(self, worker: Any) -> None:
        super().__init__(name="care", daemon=True)
        self._worker = worker
        self._hunger = Hunger()
        self._ending = threading.Event()

    def run(self) -> None:
        """Until told to end."""
        name = leases.holder_name()
        while True:
            self._worker.pool.apply_async(write_heartbeat, [name])
            if self._ending.wait(HEARTBEAT_SECONDS):
                return
            if task := pulse.overdue():
                logger.error("task %s is over its limit of %s s; this worker ends", task.name, task.limit_seconds)
                os._exit(70)
            if self._hunger.is_starved(pulse.begun, bool(pulse.running), is_connected(self._worker)):
                logger.error("no task has come for %s s though tasks are sent; this worker ends", STARVED_SECONDS)
                os._exit(70)

    def end(self) -> None:
        """Stop asking."""
        self._ending.set()


def end_process(failed: threading.ExceptHookArgs) -> None:
    """End the worker where one of its own threads breaks: without it, it would look alive and do nothing."""
    name = failed.thread.name if failed.thread else "?"
    if name not in OWN_THREADS:
        tell_thread(failed)
        return
    told = (failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    logger.critical("the thread %s broke; this worker ends", name, exc_info=told)
    os._exit(70)


class CareStep(bootsteps.StartStopStep):
    """Starts both threads once the pool runs."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        self.threads: list[BeatThread | CareThread] = []
        super().__init__(parent, **kwargs)

    def start(self, parent: Any) -> None:
        """Start."""
        watch_threads()
        threading.excepthook = end_process
        self.threads = [BeatThread(parent.app, parent.pool), CareThread(parent)]
        for thread in self.threads:
            thread.start()

    def stop(self, parent: Any) -> None:
        """End both."""
        for thread in self.threads:
            thread.end()
        self.threads = []
