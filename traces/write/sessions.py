"""Rows of sessions, brought up to date from the rows of their traces: always the sum of what is stored, never a
difference, so late spans, new roots, re-pricing and repeats all end at the same row.

A session of up to `INLINE_MAX` traces is summed anew each time (27 µs for 4 traces, 4 ms for 500). A longer one is
only marked; `refresh_stale` sums it, at most once in `TURN_WAIT` times its traces. So a session that a hundred thousand
traces name costs the fold nothing and the database 0.4 % of a core, and is at most some minutes behind; its page says
so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, LiteralString
from uuid import UUID

from django.db import transaction
from psycopg import Cursor, errors, sql

from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

log = logging.getLogger(__name__)

# Summing so many traces takes 4 ms (measured); the fold waits for it.
INLINE_MAX = 500
# 8 µs a trace (measured) every 2 ms a trace: 0.4 % of a core for a session of any length.
TURN_WAIT = timedelta(milliseconds=2)
LEAST_WAIT = timedelta(seconds=2)
# A sum that takes longer (some ten million traces) is tried again an hour later. The task has 120 s.
SUM_MS = 90_000
PUT_OFF = timedelta(hours=1)
RUN_SECONDS = 15.0
# Values of a kind that a row names; most sessions have one.
NAMES_MAX = 20

SUMS = (
    "first_started_at", "last_started_at", "ended_at", "turns", "error_turns", "failed_turns", "span_count",
    "generation_count", "error_count", "usage_count", "priced_count", "unpriced_count", "unknown_usage_count",
    "partial_count", "upper_bound_count", "duplicate_count", "input_fresh", "input_cache_read", "input_cache_write_5m",
    "input_cache_write_1h", "input_audio", "output_text", "output_reasoning", "output_audio", "cost_pico",
    "cost_reported_pico", "worst_duration_ns", "worst_trace_id", "user_count", "user_id", "service", "environment",
    "release", "features", "models", "preview_in", "preview_out",
)  # fmt: skip
_DURATION_NS: LiteralString = (
    "coalesce(t.root_duration_ns, (extract(epoch FROM t.ended_at - t.started_at) * 1000000000)::bigint)"
)
# Locks every session, those that are not there yet by a row of 0 turns, which no list and none of its indexes shows.
# In order of id: whoever else refreshes waits, and then sums what both have committed.
_LOCK = """
    INSERT INTO traces_session (project_id, session_id)
    SELECT %(project_id)s, session_id FROM unnest(%(session_ids)s::text[]) AS session_id ORDER BY session_id
    ON CONFLICT (project_id, session_id) DO UPDATE SET turns = traces_session.turns WHERE false
"""
# How many traces there are, counted just beyond what is summed at once.
_COUNT = """
    SELECT asked.session_id, (
        SELECT count(*) FROM (
            SELECT 1 FROM traces_trace AS t
            WHERE t.project_id = %(project_id)s AND t.session_id = asked.session_id
            LIMIT %(limit)s
        ) AS counted
    )
    FROM unnest(%(session_ids)s::text[]) AS asked (session_id)
"""
_MARK = """
    UPDATE traces_session SET stale_since = clock_timestamp()
    WHERE project_id = %(project_id)s AND session_id = ANY(%(session_ids)s)
"""
# What no trace names any more is forgotten, unless retention took its traces: then when it was is kept, and no more.
_FORGET = """
    DELETE FROM traces_session
    WHERE project_id = %(project_id)s AND session_id = ANY(%(session_ids)s) AND removed_count = 0
"""
_REMOVED = """
    UPDATE traces_session AS s SET removed_count = s.removed_count + gone.n
    FROM (
        SELECT session_id, count(*) AS n FROM unnest(%(of_traces)s::text[]) AS session_id GROUP BY session_id
    ) AS gone
    WHERE s.project_id = %(project_id)s AND s.session_id = gone.session_id
"""
# Chosen once: a plan that chose again for each row would put off sessions that nobody sums.
_CLAIM = """
    WITH mine AS MATERIALIZED (
        SELECT project_id, session_id FROM traces_session
        WHERE stale_since IS NOT NULL
            AND refreshed_at < clock_timestamp() - greatest(%(least)s, turns * %(wait)s)
        ORDER BY stale_since
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    UPDATE traces_session AS s SET refreshed_at = clock_timestamp()
    FROM mine
    WHERE s.project_id = mine.project_id AND s.session_id = mine.session_id
    RETURNING s.project_id, s.session_id, s.refreshed_at, s.stale_since
"""
_PUT_OFF = """
    UPDATE traces_session SET refreshed_at = clock_timestamp() + %s
    WHERE project_id = %s AND session_id = %s AND stale_since IS NOT NULL
"""
_DROP_OLD = """
    DELETE FROM traces_session
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM traces_session
        WHERE project_id = %s AND turns = 0 AND stale_since IS NULL AND last_started_at < %s
        LIMIT %s
        FOR UPDATE SKIP LOCKED
    ))
"""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one call did: rows summed, rows left to `refresh_stale`, sessions without traces."""

    summed: int
    marked: int
    gone: int


def refresh(cursor: Cursor[Any], project_id: int, session_ids: Iterable[str]) -> Refreshed:
    """Bring the rows of these sessions up to date, in the caller's transaction.

    To be called with every session that a changed trace belongs to or belonged to, after that change is committed or in
    the same transaction. Locks the rows in order of id until the transaction ends.
    """
    asked = sorted(set(session_ids))
    if not asked:
        return Refreshed(0, 0, 0)
    params: dict[str, Any] = {"project_id": project_id, "session_ids": asked}
    cursor.execute(_LOCK, params)
    cursor.execute(_COUNT, params | {"limit": INLINE_MAX + 1}, prepare=False)
    counted: dict[str, int] = dict(cursor.fetchall())
    gone = [session_id for session_id in asked if not counted[session_id]]
    long = [session_id for session_id in asked if counted[session_id] > INLINE_MAX]
    short = [session_id for session_id in asked if 0 < counted[session_id] <= INLINE_MAX]
    if short:
        cursor.execute(_sum(), params | _SUM_PARAMS | {"session_ids": short}, prepare=False)
    if long:
        cursor.execute(_MARK, params | {"session_ids": long})
    if gone:
        cursor.execute(_FORGET, params | {"session_ids": gone})
        cursor.execute(_emptied(), params | {"session_ids": gone})
    return Refreshed(len(short), len(long), len(gone))


def refresh_removed(cursor: Cursor[Any], project_id: int, of_traces: Iterable[str]) -> Refreshed:
    """As `refresh`, for sessions of traces that retention just removed: `of_traces` names one for each trace."""
    named = list(of_traces)
    if not named:
        return Refreshed(0, 0, 0)
    params = {"project_id": project_id, "session_ids": sorted(set(named)), "of_traces": named}
    cursor.execute(_LOCK, params)
    cursor.execute(_REMOVED, params)
    return refresh(cursor, project_id, named)


def refresh_stale(limit: int = 20) -> int:
    """Sum up to `limit` long sessions whose time has come; how many. Safe to run twice, and at once.

    A claim is the row's own `refreshed_at`, committed before the sum begins: nobody else claims it within its wait, the
    fold never waits for the sum, and where the worker dies the row is still stale.
    """
    done, began = 0, time.monotonic()
    while done < limit and time.monotonic() - began < RUN_SECONDS:
        claimed = _claim()
        if claimed is None:
            break
        try:
            _refresh_claimed(*claimed)
        except errors.QueryCanceled:
            log.warning("summing session %r of project %s took too long; again in an hour", claimed[1][:80], claimed[0])
            _put_off(claimed[0], claimed[1])
        done += 1
    return done


def drop_removed(project_id: int, cutoff: datetime, limit: int = 2000) -> int:
    """Forget up to `limit` sessions without traces that were last active before `cutoff`; how many."""
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_DROP_OLD, (project_id, cutoff, limit))
        return cursor.rowcount


def _claim() -> tuple[int, str, datetime, datetime] | None:
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_CLAIM, {"least": LEAST_WAIT, "wait": TURN_WAIT})
        row: tuple[int, str, datetime, datetime] | None = cursor.fetchone()
    return row


def _put_off(project_id: int, session_id: str) -> None:
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_PUT_OFF, (PUT_OFF, project_id, session_id))


def _refresh_claimed(project_id: int, session_id: str, claimed_at: datetime, stale_since: datetime) -> None:
    with transaction.atomic(), raw_cursor() as cursor:
        params = {"project_id": project_id, "session_ids": [session_id]}
        claim = {"claimed_at": claimed_at, "stale_since": stale_since}
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", (str(SUM_MS),))
        cursor.execute(_sum(), params | _SUM_PARAMS | claim)
        if not cursor.fetchall():
            # Nothing is left of it, or it became short and the fold has summed it: that way finds out.
            refresh(cursor, project_id, [session_id])


_SUM_PARAMS: dict[str, Any] = {"names_max": NAMES_MAX, "claimed_at": None, "stale_since": None}


@cache
def _sum() -> sql.Composed:
    text: LiteralString = "\n".join(
        line for line in load("traces", "refresh_sessions").splitlines() if not line.startswith("--")
    )  # the header speaks about the parts too
    pairs = [sql.SQL("{} = r.{}").format(sql.Identifier(name), sql.Identifier(name)) for name in SUMS]
    return sql.SQL(text).format(
        most=sql.SQL("9223372036854775807"), duration_ns=sql.SQL(_DURATION_NS), assignments=sql.SQL(",\n").join(pairs)
    )


@cache
def _emptied() -> sql.Composed:
    # Every sum back to what a new row has; the moments stay, so that the page can say when it was.
    kept = ("first_started_at", "last_started_at")
    columns = [name for name in SUMS if name not in kept]
    return sql.SQL(
        "UPDATE traces_session SET {}, refreshed_at = clock_timestamp(), stale_since = NULL"
        " WHERE project_id = %(project_id)s AND session_id = ANY(%(session_ids)s)"
    ).format(sql.SQL(", ").join(sql.SQL("{} = DEFAULT").format(sql.Identifier(name)) for name in columns))


def find_session_ids(cursor: Cursor[Any], project_id: int, trace_ids: Iterable[UUID]) -> list[str]:
    """The session of each of these traces that names one, a trace each."""
    cursor.execute(
        "SELECT session_id FROM traces_trace WHERE project_id = %s AND trace_id = ANY(%s) AND session_id IS NOT NULL",
        (project_id, list(trace_ids)),
    )
    return [row[0] for row in cursor.fetchall()]
