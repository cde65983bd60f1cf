"""Counting requests that were refused whole, by hour: gathered in memory, written about once a second."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.utils import Error

from telltale.lib import clock

FLUSH_SECONDS = 1.0
EXAMPLE_MAX = 300
log = logging.getLogger(__name__)

_UPSERT = """
    INSERT INTO traces_ingest_refusal_hour AS held
        (project_id, hour, source, http_status, reason, n, last_example, last_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (project_id, hour, source, http_status, reason)
    DO UPDATE SET n = held.n + excluded.n, last_example = excluded.last_example, last_at = excluded.last_at
"""

_Key = tuple[int, datetime, str, int, str]


@dataclass(slots=True)
class _Held:
    n: int
    example: str
    at: datetime


_lock = threading.Lock()
_held: dict[_Key, _Held] = {}
_timer: threading.Timer | None = None


def note(project_id: int, source: str, status: int, reason: str, example: str) -> None:
    """Count one refused request; `project_id` 0 where no key told the project. Never raises, never waits."""
    global _timer
    now = clock.now()
    key = (project_id, now.replace(minute=0, second=0, microsecond=0), source, status, reason)
    with _lock:
        held = _held.setdefault(key, _Held(0, "", now))
        held.n += 1
        held.example, held.at = example[:EXAMPLE_MAX], now
        if _timer is None:
            _timer = threading.Timer(FLUSH_SECONDS, _flush_and_close)
            _timer.daemon = True
            _timer.start()


def flush() -> int:
    """Write what was gathered; how many rows. What cannot be written is kept for the next time."""
    global _timer
    with _lock:
        _timer = None
        taken = dict(_held)
        _held.clear()
    total = len(taken)
    try:
        with connection.cursor() as cursor:
            for key in sorted(taken):
                held = taken[key]
                cursor.execute(_UPSERT, [*key, held.n, held.example, held.at])
                del taken[key]
    except Error as error:
        log.warning("refusals not written yet: %s", type(error).__name__)
        with _lock:
            for key, kept in taken.items():
                there = _held.setdefault(key, _Held(0, kept.example, kept.at))
                there.n += kept.n
    return total - len(taken)


def _flush_and_close() -> None:
    try:
        flush()
    finally:
        connection.close()


def forget() -> None:
    """Forget what was gathered (tests)."""
    with _lock:
        _held.clear()
