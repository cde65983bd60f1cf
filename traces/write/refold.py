"""Counting a project's units again, in slices: what signals mean, sessions, traces without one, what is left.

Each slice holds its units as every fold does, so it never overwrites what came meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Cursor

from telltale.lib import clock
from traces.cost.judging import JUDGE_SERVICE
from traces.read.behaviour_units import UnitRef
from traces.signals.names import Names
from traces.write import behaviour, signals

REFOLD_UNITS = 200
REFOLD_TRACES = 1000
PHASES = ("names", "sessions", "traces", "rest")
END = "end"
# Where a phase goes on, as JSON; empty at its beginning and at its end.
Place = dict[str, Any]

_FOLDED = """
    INSERT INTO traces_behaviour_state (project_id, version) VALUES (%(project_id)s, %(version)s)
    ON CONFLICT (project_id) DO UPDATE SET version = excluded.version, checked_at = clock_timestamp()
"""
_TOTAL = """
    SELECT (SELECT count(*) FROM traces_session WHERE project_id = %(project_id)s AND turns > 0)
        + (SELECT count(*) FROM traces_trace WHERE project_id = %(project_id)s)
        -- Whole slices: what is left over is no step of its own.
        + (SELECT count(*) / %(slice)s * %(slice)s FROM traces_signal WHERE project_id = %(project_id)s)
"""
_SESSIONS = """
    SELECT session_key, session_id, last_started_at FROM traces_session
    WHERE project_id = %(project_id)s AND turns > 0
        AND (%(at)s::timestamptz IS NULL OR (last_started_at, session_key) < (%(at)s::timestamptz, %(key)s::uuid))
    ORDER BY last_started_at DESC, session_key DESC
    LIMIT %(limit)s
"""
_TRACES = """
    SELECT trace_id, session_id IS NULL AND service IS DISTINCT FROM %(judge)s, started_at FROM traces_trace
    WHERE project_id = %(project_id)s
        AND (%(at)s::timestamptz IS NULL OR (started_at, trace_id) < (%(at)s::timestamptz, %(key)s::uuid))
    ORDER BY started_at DESC, trace_id DESC
    LIMIT %(limit)s
"""
_ROWS = """
    SELECT unit_key, session_id, definition <> %(version)s FROM traces_behaviour
    WHERE project_id = %(project_id)s AND (%(key)s::uuid IS NULL OR unit_key > %(key)s::uuid)
    ORDER BY unit_key
    LIMIT %(limit)s
"""


def count(cursor: Cursor[Any], project_id: int) -> int:
    """How much there is to look at: sessions, traces, and signals in whole slices."""
    cursor.execute(_TOTAL, {"project_id": project_id, "slice": signals.SLICE})
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def keep_done(cursor: Cursor[Any], project_id: int, version: int) -> None:
    """Remember that all units of the project were looked at by this version."""
    cursor.execute(_FOLDED, {"project_id": project_id, "version": version})


def after(phase: str) -> str:
    """The phase that follows, `END` behind the last."""
    at = PHASES.index(phase) + 1
    return PHASES[at] if at < len(PHASES) else END


def step(
    cursor: Cursor[Any], project_id: int, version: int, names: Names, phase: str, place: Place
) -> tuple[Place, int]:
    """Do the next slice of a phase, in the caller's transaction; (where to go on, how much was looked at)."""
    match phase:
        case "names":
            return _names(cursor, project_id, names, place)
        case "sessions":
            return _sessions(cursor, project_id, place)
        case "traces":
            return _traces(cursor, project_id, place)
        case _:
            return _rest(cursor, project_id, version, place)


def _names(cursor: Cursor[Any], project_id: int, names: Names, place: Place) -> tuple[Place, int]:
    """Signals, whose names may mean something else by now."""
    last, _ = signals.rekind(cursor, project_id, names, UUID(place["key"]) if place else None)
    return ({"key": str(last)}, signals.SLICE) if last is not None else ({}, 0)


def _sessions(cursor: Cursor[Any], project_id: int, place: Place) -> tuple[Place, int]:
    """Sessions, the last active first. One that becomes active meanwhile is folded because it changed."""
    cursor.execute(_SESSIONS, _after(project_id, place, REFOLD_UNITS))
    rows = cursor.fetchall()
    _fold(cursor, project_id, [UnitRef(row[0], row[1]) for row in rows])
    return _place(rows, REFOLD_UNITS), len(rows)


def _traces(cursor: Cursor[Any], project_id: int, place: Place) -> tuple[Place, int]:
    """Traces without a session, newest first."""
    cursor.execute(_TRACES, _after(project_id, place, REFOLD_TRACES))
    rows = cursor.fetchall()
    _fold(cursor, project_id, [UnitRef(row[0], None) for row in rows if row[1]])
    return _place(rows, REFOLD_TRACES), len(rows)


def _rest(cursor: Cursor[Any], project_id: int, version: int, place: Place) -> tuple[Place, int]:
    """Rows that an older version has made still: of sessions so new that their sums were not there yet."""
    params = {"project_id": project_id, "version": version, "key": place.get("key"), "limit": REFOLD_TRACES}
    cursor.execute(_ROWS, params)
    rows = cursor.fetchall()
    _fold(cursor, project_id, [UnitRef(row[0], row[1]) for row in rows if row[2]])
    return ({"key": str(rows[-1][0])} if len(rows) == REFOLD_TRACES else {}), 0


def _after(project_id: int, place: Place, limit: int) -> dict[str, Any]:
    at = datetime.fromisoformat(place["at"]) if place else None
    return {"project_id": project_id, "at": at, "key": place.get("key"), "limit": limit, "judge": JUDGE_SERVICE}


def _place(rows: Sequence[Any], limit: int) -> Place:
    return {"at": rows[-1][2].isoformat(), "key": str(rows[-1][0])} if len(rows) == limit else {}


def _fold(cursor: Cursor[Any], project_id: int, refs: Sequence[UnitRef]) -> None:
    if refs:
        now = clock.now()
        behaviour.hold(cursor, project_id, refs, now)
        behaviour.settle(cursor, project_id, behaviour.fold(cursor, project_id, refs, now))
