"""Retention: what is older than a project keeps is removed in bounded slices; a day's partition is dropped whole once
the longest retention has passed it. What each sweep did is written down (`telltale.projects.keeping`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from psycopg import Cursor, sql

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects import keeping
from telltale.projects.keeping import TRACES
from telltale.projects.models import Project
from traces.rollup.booking import RateOf
from traces.write import behaviour, leaves, partitions, rollups, sessions, signals, text_age

SLICE_TRACES = 500
# The task has ten minutes; the next one goes on.
RUN_SECONDS = 420.0

_OLD_TRACES = """
    SELECT trace_id, started_at, last_started_at FROM traces_trace
    WHERE project_id = %s AND started_at < %s AND last_started_at < %s
    ORDER BY started_at
    LIMIT %s
    FOR UPDATE SKIP LOCKED
"""
# Between the bounds of a slice alone: without them every partition would be asked.
_REMOVE = """
    WITH gone AS (
        DELETE FROM {table} AS l
        WHERE l.project_id = %(project_id)s AND l.trace_id = ANY(%(trace_ids)s) {bounds}
        RETURNING {size} AS size
    )
    SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone
"""
_OLDEST = """
    SELECT least(
        (SELECT min(started_at) FROM (
            SELECT started_at FROM traces_trace
            WHERE project_id = %(project_id)s AND started_at < %(cutoff)s AND last_started_at < %(cutoff)s
            ORDER BY started_at LIMIT 1
        ) AS past),
        (SELECT started_at FROM traces_trace
         WHERE project_id = %(project_id)s AND started_at >= %(cutoff)s ORDER BY started_at LIMIT 1)
    )
"""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep removed, and what is left to do."""

    traces: int
    partitions: int
    is_done: bool
    texts: int = 0


@dataclass(slots=True)
class _Budget:
    """How much one sweep may still do."""

    slices: int
    until: float

    def has_time(self) -> bool:
        return self.slices > 0 and time.monotonic() < self.until


def sweep(
    max_slices: int = 5_000,
    rates_of: Callable[[int], RateOf] = lambda project_id: lambda price_id: None,
    seconds: float = RUN_SECONDS,
) -> Swept:
    """Remove what is past its days, at most `max_slices` slices of `SLICE_TRACES` traces; safe to stop anywhere.

    Roll-ups stay: what was not booked yet is booked first, with the rates of `rates_of` (a project's, by price id).
    """
    now = clock.now()
    projects = keeping.each_project()
    longest = max((project.retention_days for project in projects), default=0)
    budget = _Budget(max_slices, time.monotonic() + seconds)
    removed = leaves.Removed()
    cutoffs = {project.pk: keeping.cutoff_of(project, TRACES, now) for project in projects}
    total = 0
    for project in projects:
        keeping.begin(project.pk, TRACES, cutoffs[project.pk])
        # Spans of the project that keeps longest vanish with their partitions.
        with_spans = project.retention_days < longest
        total += _sweep_project(project, cutoffs[project.pk], with_spans, rates_of, removed, budget)
    for table in ("traces_span", "traces_metric_point"):
        leaves.clear(table, cutoffs, removed, budget.has_time, by_trace=table == "traces_span")
    for project in projects:
        left = removed.left.get(project.pk, "")
        outcome = keeping.Outcome(
            removed.rows.get(project.pk, 0),
            removed.bytes.get(project.pk, 0),
            _oldest(project.pk, cutoffs[project.pk]),
            not left,
            left,
        )
        keeping.end(project.pk, TRACES, outcome)
    texts = text_age.sweep(projects, now, lambda: time.monotonic() < budget.until)
    keeping.forget_old(now)
    dropped = removed.partitions + texts.partitions
    return Swept(total, dropped, not removed.left and not texts.left, sum(texts.rows.values()))


def _sweep_project(
    project: Project,
    cutoff: datetime,
    with_spans: bool,
    rates_of: Callable[[int], RateOf],
    removed: leaves.Removed,
    budget: _Budget,
) -> int:
    total = 0
    while True:
        if not budget.has_time():
            removed.left[project.pk] = "The sweep ran out of time; the next one goes on."
            return total
        try:
            count = _remove_slice(project.pk, cutoff, with_spans, rates_of(project.pk), removed)
        except rollups.Busy:
            removed.left[project.pk] = "Roll-ups were being written; the next sweep goes on."
            break
        total += count
        budget.slices -= 1
        if count < SLICE_TRACES:
            break
    budget.slices -= signals.remove_old(project.pk, cutoff, max(budget.slices, 1))
    # A session whose traces are gone is told of as long again.
    sessions.drop_removed(project.pk, clock.now() - timedelta(days=2 * project.retention_days))
    return total


def _remove_slice(project_id: int, cutoff: datetime, with_spans: bool, rate_of: RateOf, removed: leaves.Removed) -> int:
    with rollups.holding(project_id) as cursor:
        cursor.execute(_OLD_TRACES, (project_id, cutoff, cutoff, SLICE_TRACES))
        found = cursor.fetchall()
        if not found:
            return 0
        trace_ids = [row[0] for row in found]
        rollups.leave(cursor, project_id, trace_ids, rate_of)
        session_ids = sessions.find_session_ids(cursor, project_id, trace_ids)
        asked = {
            "project_id": project_id,
            "trace_ids": trace_ids,
            "first": min(row[1] for row in found),
            "last": max(row[2] for row in found),
        }
        tables = ["traces_trace", "traces_comment", "traces_label"]
        tables += ["traces_span", "traces_payload", "traces_span_log"] if with_spans else []
        gone = [_remove(cursor, table, asked) for table in tables]
        sessions.refresh_removed(cursor, project_id, session_ids)
        behaviour.leave(cursor, project_id, trace_ids, session_ids)
    for rows, size in gone:
        removed.add(project_id, rows, size)
    return len(trace_ids)


def _remove(cursor: Cursor[object], table: str, asked: dict[str, object]) -> tuple[int, int]:
    # A log event may lie outside of the spans it belongs to.
    is_bounded = table in {"traces_span", "traces_payload"}
    query = sql.SQL(_REMOVE).format(
        table=sql.Identifier(table),
        bounds=sql.SQL("AND l.started_at BETWEEN %(first)s AND %(last)s" if is_bounded else ""),
        size=sql.SQL(leaves.SIZES.get(table, "pg_column_size(l.*)")),
    )
    cursor.execute(query, asked)
    row: tuple[int, int] | None = cursor.fetchone()  # type: ignore[assignment]
    return row or (0, 0)


def _oldest(project_id: int, cutoff: datetime) -> datetime | None:
    """The start of the oldest trace left, one that ended and is past its days before one that is kept."""
    with raw_cursor() as cursor:
        cursor.execute(_OLDEST, {"project_id": project_id, "cutoff": cutoff})
        row = cursor.fetchone()
    return row[0] if row else None


def partition_count() -> int:
    """How many partitions there are in all, for the operator's page."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = ANY(%s::regclass[])", [list(partitions.TABLES)]
        )
        row = cursor.fetchone()
    return int(row[0])
