"""A worker that no task reaches, though tasks are sent: alive by every sign, and good for nothing.

A consumer can lose its way when the broker goes and comes: it is connected and reads no more (seen with RabbitMQ). Its
pool still works and writes signs of life, so nobody notices. The scheduler sends tasks every few seconds; a worker that
gets none of them for long, while database and broker are there, ends, and is started again by whoever watches it.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import Error, connection
from psycopg import OperationalError

from telltale.jobs.read import read_heartbeats, read_scheduler_at
from telltale.lib import clock

# Where nothing goes on, the scheduler sends each of its tasks every 20 s (settings.QUIET_TASKS).
STARVED_SECONDS = 30.0
ALIVE_SECONDS = 30.0
# Whoever was asked longer ago than this stood still meanwhile (SIGSTOP, a frozen machine).
GAP_SECONDS = 25.0


class Hunger:
    """Since when a worker could have got tasks and got none, by the monotonic clock."""

    def __init__(self) -> None:
        self._since = self._asked_at = float("-inf")
        self._begun = -1

    def is_starved(self, begun: int, is_busy: bool, is_connected: bool) -> bool:
        """Whether nothing has come for too long. `begun`: tasks begun so far. Called every few seconds."""
        now = time.monotonic()
        stood, self._asked_at = now - self._asked_at > GAP_SECONDS, now
        if begun != self._begun or is_busy or not is_connected or stood:
            self._begun, self._since = begun, now
            return False
        if now - self._since < STARVED_SECONDS:
            return False
        sharers = _sharers()
        if not sharers:
            self._since = now  # nothing is sent, or nobody can tell: it is nothing of this worker's
            return False
        return now - self._since >= STARVED_SECONDS * sharers


def _sharers() -> int:
    """Workers that tasks are dealt to; 0 where nobody schedules or the database does not say."""
    try:
        now = clock.now()
        if read_scheduler_at(now) is None:
            return 0
        return max(1, sum(beat.age_seconds <= ALIVE_SECONDS for beat in read_heartbeats(now)))
    except (Error, OperationalError):
        return 0
    finally:
        connection.close()


def is_connected(worker: Any) -> bool:
    """Whether the worker's consumer holds a connection to its broker."""
    link = getattr(getattr(worker, "consumer", None), "connection", None)
    return link is not None and bool(link.connected)
