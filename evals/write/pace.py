"""How often and how many at a time an endpoint is called, shared among workers by rows. In the caller's transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from psycopg import Cursor

# So much of a minute's calls may be made at once after a rest.
BURST_SECONDS = 5.0
_LOCK = """
INSERT INTO evals_call_pace AS p (connection_id, next_at) VALUES (%(id)s, %(now)s)
ON CONFLICT (connection_id) DO UPDATE SET next_at = p.next_at
RETURNING next_at
"""
_SET = "UPDATE evals_call_pace SET next_at = %(next_at)s WHERE connection_id = %(id)s"
_RUNNING = """
SELECT (
    SELECT count(*) FROM evals_judgement AS j
    JOIN evals_judgeversion AS v ON v.id = j.judge_version_id
    WHERE j.state = 'running' AND v.connection_id = %(id)s
), EXISTS (SELECT 1 FROM evals_connection AS c WHERE c.id = %(id)s AND c.paused_until > %(now)s)
"""
_PAUSE = """
UPDATE evals_connection
SET paused_until = greatest(coalesce(paused_until, %(until)s), %(until)s), paused_reason = %(reason)s
WHERE id = %(id)s
"""
_FAILED = "UPDATE evals_connection SET failures = failures + 1 WHERE id = %(id)s RETURNING failures"
# A pause that is in force stays: it was asked for by another call.
_WELL = """
UPDATE evals_connection
SET failures = 0, paused_until = CASE WHEN paused_until > %(now)s THEN paused_until END,
    paused_reason = CASE WHEN paused_until > %(now)s THEN paused_reason ELSE '' END
WHERE id = %(id)s AND (failures > 0 OR paused_until <= %(now)s)
"""


def allow(
    cursor: Cursor[Any], connection_id: int, wanted: int, now: datetime, at_a_time: int, calls_a_minute: int | None
) -> int:
    """How many of `wanted` calls an endpoint takes now; what others have under way counts. Locks its row."""
    cursor.execute(_LOCK, {"id": connection_id, "now": now})
    found = cursor.fetchone()
    next_at = max(found[0], now) if found else now
    cursor.execute(_RUNNING, {"id": connection_id, "now": now})
    running, is_paused = cursor.fetchone() or (0, False)
    if is_paused:
        return 0
    allowed = min(wanted, max(at_a_time - running, 0))
    if calls_a_minute is not None:
        gap = 60.0 / calls_a_minute
        burst = max(BURST_SECONDS, gap)
        free = burst - (next_at - now).total_seconds()
        allowed = min(allowed, max(int(free / gap), 0))
    return allowed


def called(cursor: Cursor[Any], connection_id: int, calls: int, now: datetime, calls_a_minute: int | None) -> None:
    """Count calls that are about to be made against the endpoint's pace, whose row `allow` has locked."""
    if calls and calls_a_minute is not None:
        cursor.execute(_LOCK, {"id": connection_id, "now": now})
        found = cursor.fetchone()
        next_at = max(found[0], now) if found else now
        then = next_at + timedelta(seconds=60.0 / calls_a_minute) * calls
        cursor.execute(_SET, {"id": connection_id, "next_at": then})


def pause(cursor: Cursor[Any], connection_id: int, until: datetime, reason: str) -> None:
    """Have nobody call an endpoint before `until`; a pause that lasts longer stays."""
    cursor.execute(_PAUSE, {"id": connection_id, "until": until, "reason": reason[:200]})


def count_failure(cursor: Cursor[Any], connection_id: int) -> int:
    """One more failure in a row; how many that are."""
    cursor.execute(_FAILED, {"id": connection_id})
    found = cursor.fetchone()
    return int(found[0]) if found else 0


def went_well(cursor: Cursor[Any], connection_id: int, now: datetime) -> None:
    """An answer came: failures start again from none."""
    cursor.execute(_WELL, {"id": connection_id, "now": now})
