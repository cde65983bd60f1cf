"""Retention: what is older than a project keeps is removed in bounded slices; a day's partition is dropped whole once
the longest retention has passed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from psycopg import sql

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces.rollup.booking import RateOf
from traces.write import behaviour, partitions, rollups, sessions, signals

SLICE_TRACES = 500

_OLD_TRACES = """
    SELECT trace_id FROM traces_trace
    WHERE project_id = %s AND started_at < %s AND last_started_at < %s
    ORDER BY started_at
    LIMIT %s
    FOR UPDATE SKIP LOCKED
"""
_PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep removed, and what is left to do."""

    traces: int
    partitions: int
    is_done: bool


def sweep(max_slices: int = 200, rates_of: Callable[[int], RateOf] = lambda project_id: lambda price_id: None) -> Swept:
    """Remove what is past its days, at most `max_slices` slices of `SLICE_TRACES` traces; safe to stop anywhere.

    Roll-ups stay: what was not booked yet is booked first, with the rates of `rates_of` (a project's, by price id).
    """
    now = clock.now()
    days = dict(Project.objects.values_list("id", "retention_days"))
    longest = max(days.values(), default=0)
    removed, left = 0, max_slices
    for project_id, kept_days in sorted(days.items()):
        cutoff = now - timedelta(days=kept_days)
        # Rows of the project that keeps longest vanish with their partitions.
        with_spans = kept_days < longest
        while left:
            try:
                count = _remove_slice(project_id, cutoff, with_spans, rates_of(project_id))
            except rollups.Busy:
                break
            removed += count
            left -= 1
            if count < SLICE_TRACES:
                break
        left -= signals.remove_old(project_id, cutoff, left)
        # A session whose traces are gone is told of as long again.
        sessions.drop_removed(project_id, now - timedelta(days=2 * kept_days))
    dropped = drop_partitions(now - timedelta(days=longest)) if days else 0
    return Swept(removed, dropped, left > 0)


def _remove_slice(project_id: int, cutoff: datetime, with_spans: bool, rate_of: RateOf) -> int:
    with rollups.holding(project_id) as cursor:
        cursor.execute(_OLD_TRACES, (project_id, cutoff, cutoff, SLICE_TRACES))
        trace_ids = [row[0] for row in cursor.fetchall()]
        if not trace_ids:
            return 0
        rollups.leave(cursor, project_id, trace_ids, rate_of)
        session_ids = sessions.find_session_ids(cursor, project_id, trace_ids)
        tables = ["traces_trace", "traces_comment", "traces_label"]
        if with_spans:
            tables += ["traces_span", "traces_payload", "traces_span_log"]
        for table in tables:
            cursor.execute(
                sql.SQL("DELETE FROM {} WHERE project_id = %s AND trace_id = ANY(%s)").format(sql.Identifier(table)),
                (project_id, trace_ids),
            )
        sessions.refresh_removed(cursor, project_id, session_ids)
        behaviour.leave(cursor, project_id, trace_ids, session_ids)
    return len(trace_ids)


def drop_partitions(cutoff: datetime) -> int:
    """Drop the partitions whose whole day lies before `cutoff` and that no kept trace reaches into; how many."""
    dropped = 0
    for table in partitions.TABLES:
        with raw_cursor() as cursor:
            cursor.execute(_PARTITIONS, (table,))
            names = [row[0] for row in cursor.fetchall()]
        for name in names:
            day = _day_of_name(name)
            if day is None or day + timedelta(days=1) > cutoff:
                continue
            with transaction.atomic(), raw_cursor() as cursor:
                cursor.execute(
                    "SELECT 1 FROM traces_trace WHERE started_at < %s AND last_started_at >= %s LIMIT 1",
                    (day + timedelta(days=1), day),
                )
                if cursor.fetchone():
                    continue
                cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
            dropped += 1
    if dropped:
        partitions.forget()
    return dropped


def _day_of_name(name: str) -> datetime | None:
    suffix = name.rsplit("_", 1)[-1]
    if len(suffix) != 8 or not suffix.isdigit():
        return None
    return datetime.strptime(suffix + "+0000", "%Y%m%d%z")


def partition_count() -> int:
    """How many partitions there are in all, for the operator's page."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = ANY(%s::regclass[])", [list(partitions.TABLES)]
        )
        row = cursor.fetchone()
    return int(row[0])
