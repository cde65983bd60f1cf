"""Partitions that are past their days: dropped whole where every project has passed them, else emptied of the rows of
those that have, in bounded slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import LiteralString

from django.db import transaction
from psycopg import errors, sql

from telltale.lib.db import raw_cursor
from traces.write import partitions

# Deletes of this size take about 50 ms; readers and ingest go on beside them.
SLICE_ROWS = 5_000
# A partition is locked for a moment; whoever reads it for longer makes us try again an hour later.
LOCK_MS = 2_000
STATEMENT_MS = 120_000
DAY = timedelta(days=1)

_LEAVES = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1"
_HOLDERS = """
    SELECT p.id FROM unnest(%s::integer[]) AS p (id)
    WHERE EXISTS (SELECT 1 FROM {leaf} AS l WHERE l.project_id = p.id)
"""
_REMOVE = """
    WITH gone AS (
        DELETE FROM {leaf} AS l
        WHERE l.ctid = ANY (ARRAY(
            SELECT s.ctid FROM {leaf} AS s WHERE s.project_id = %(project_id)s {more} LIMIT %(limit)s
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING {size} AS size
    )
    SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone
"""
# A span whose trace is kept stays with it, however old it is.
_ORPHANS = """
    AND NOT EXISTS (SELECT 1 FROM traces_trace AS t WHERE t.project_id = s.project_id AND t.trace_id = s.trace_id)
"""
# By project, since no index knows starts alone; what began before that day and is kept is little.
_REACHES = """
    SELECT 1 FROM unnest(%s::integer[]) AS p (id)
    CROSS JOIN LATERAL (
        SELECT 1 FROM traces_trace AS t
        WHERE t.project_id = p.id AND t.started_at < %s AND t.last_started_at >= %s
        LIMIT 1
    ) AS reaching
    LIMIT 1
"""
_COUNTS = "SELECT project_id, count(*) FROM {leaf} GROUP BY project_id"
# Each project once, by steps along the key: what was stored since it was counted is seen under the lock.
_HELD = """
    WITH RECURSIVE held AS (
        (SELECT project_id FROM {leaf} ORDER BY project_id LIMIT 1)
        UNION ALL
        SELECT (SELECT l.project_id FROM {leaf} AS l WHERE l.project_id > h.project_id ORDER BY l.project_id LIMIT 1)
        FROM held AS h
        WHERE h.project_id IS NOT NULL
    )
    SELECT project_id FROM held WHERE project_id IS NOT NULL
"""
_LIMITS = f"""
    SELECT set_config('lock_timeout', '{LOCK_MS}', true), set_config('statement_timeout', '{STATEMENT_MS}', true)
""".encode()
# Stored bytes without reading what lies outside of the row; indexes are counted where partitions are dropped alone.
SIZES: dict[str, LiteralString] = {
    "traces_payload": "pg_column_size(l.data) + 64",
    "traces_span_log": "pg_column_size(l.data) + 80",
    "traces_search_block": "pg_column_size(l.data) + 60",
}


@dataclass(slots=True)
class Removed:
    """What went: rows and bytes by project, partitions, and for whom something had to be left and why."""

    rows: dict[int, int] = field(default_factory=dict)
    bytes: dict[int, int] = field(default_factory=dict)
    partitions: int = 0
    left: dict[int, str] = field(default_factory=dict)

    def add(self, project_id: int, rows: int, size: int) -> None:
        """Count what went of one project."""
        self.rows[project_id] = self.rows.get(project_id, 0) + rows
        self.bytes[project_id] = self.bytes.get(project_id, 0) + size


def list_leaves(table: str) -> list[tuple[str, datetime | None]]:
    """The partitions of `table` with the day each holds, earliest first; None: the guarded one, last."""
    with raw_cursor() as cursor:
        cursor.execute(_LEAVES, (table,))
        found = [(row[0], day_of_name(row[0])) for row in cursor.fetchall()]
    return sorted(found, key=lambda leaf: (leaf[1] is None, leaf[0]))


def day_of_name(name: str) -> datetime | None:
    """The day a partition's name tells."""
    suffix = name.rsplit("_", 1)[-1]
    if len(suffix) != 8 or not suffix.isdigit():
        return None
    return datetime.strptime(suffix + "+0000", "%Y%m%d%z")


def clear(
    table: str, cutoffs: Mapping[int, datetime], removed: Removed, has_time: Callable[[], bool], *, by_trace: bool
) -> None:
    """Remove from `table` whole days that lie before the cutoff of their project.

    `by_trace`: rows whose trace is kept stay, and so does a partition that such a trace reaches into. Whatever is left
    is told in `removed.left`; safe to stop anywhere.
    """
    if not cutoffs:
        return
    last = min(cutoffs.values())
    column = partitions.TABLES[table]
    for name, day in list_leaves(table):
        if day is None:
            if table != "traces_search_block":
                _clear_guarded(table, name, column, cutoffs, removed, has_time, by_trace)
            continue
        if day + DAY <= last:
            said = drop(name, day, removed, by_trace=by_trace)
            if not said:
                continue
            if said == "locked":
                for project_id in holders(name, list(cutoffs)):
                    removed.left[project_id] = "A partition was in use; it is dropped with the next sweep."
                continue
        due = [project_id for project_id, cutoff in cutoffs.items() if day + DAY <= cutoff]
        for project_id in holders(name, due) if due else []:
            more = sql.SQL(_ORPHANS) if by_trace else sql.SQL("")
            _remove_all(table, name, project_id, more, removed, has_time)


def _clear_guarded(
    table: str,
    name: str,
    column: str,
    cutoffs: Mapping[int, datetime],
    removed: Removed,
    has_time: Callable[[], bool],
    by_trace: bool,
) -> None:
    for project_id in holders(name, list(cutoffs)):
        old = sql.SQL("AND s.{} < {}").format(sql.Identifier(column), sql.Literal(cutoffs[project_id]))
        more = old + sql.SQL(_ORPHANS) if by_trace else old
        _remove_all(table, name, project_id, more, removed, has_time)


def holders(leaf: str, project_ids: list[int]) -> list[int]:
    """Which of the projects have rows in `leaf`."""
    with raw_cursor() as cursor:
        cursor.execute(sql.SQL(_HOLDERS).format(leaf=sql.Identifier(leaf)), (project_ids,))
        return [row[0] for row in cursor.fetchall()]


def remove_slice(table: str, leaf: str, project_id: int, more: sql.Composable) -> tuple[int, int]:
    """Remove up to `SLICE_ROWS` rows of the project; (rows, their stored bytes). Its own transaction."""
    query = sql.SQL(_REMOVE).format(
        leaf=sql.Identifier(leaf), more=more, size=sql.SQL(SIZES.get(table, "pg_column_size(l.*)"))
    )
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(query, {"project_id": project_id, "limit": SLICE_ROWS}, prepare=False)
        row = cursor.fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _remove_all(
    table: str, leaf: str, project_id: int, more: sql.Composable, removed: Removed, has_time: Callable[[], bool]
) -> None:
    while True:
        if not has_time():
            removed.left[project_id] = "The sweep ran out of time; the next one goes on."
            return
        rows, size = remove_slice(table, leaf, project_id, more)
        removed.add(project_id, rows, size)
        if rows < SLICE_ROWS:
            return


def drop(name: str, day: datetime, removed: Removed, *, by_trace: bool) -> str:
    """Drop one partition; "" where it is gone, "kept" where a kept trace reaches into it, "locked" where it is in use.

    It is looked at again under its lock: what is committed later finds the guarded partition.
    """
    leaf = sql.Identifier(name)
    try:
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute(_LIMITS)
            cursor.execute(sql.SQL(_COUNTS).format(leaf=leaf))
            counts: dict[int, int] = dict(cursor.fetchall())
            if by_trace:
                cursor.execute(_REACHES, (list(counts), day + DAY, day))
                if cursor.fetchone():
                    return "kept"
            cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(leaf))
            if by_trace:
                cursor.execute(sql.SQL(_HELD).format(leaf=leaf))
                cursor.execute(_REACHES, ([row[0] for row in cursor.fetchall()], day + DAY, day))
                if cursor.fetchone():
                    return "kept"
            cursor.execute("SELECT pg_total_relation_size(%s::regclass)", (name,))
            row = cursor.fetchone()
            size = int(row[0]) if row else 0
            cursor.execute(sql.SQL("DROP TABLE {}").format(leaf))
    except errors.LockNotAvailable:
        return "locked"
    except errors.UndefinedTable:
        return ""  # another sweep dropped it
    total = sum(counts.values())
    for project_id, count in counts.items():
        removed.add(project_id, count, size * count // total)
    removed.partitions += 1
    partitions.forget()
    return ""


def earliest(table: str, project_id: int) -> datetime | None:
    """The first day of which rows of the project are left; None where there are none. Far-off rows: their own start."""
    column = sql.Identifier(partitions.TABLES[table])
    first: datetime | None = None
    for name, day in list_leaves(table):
        if day is not None:
            if first is None and holders(name, [project_id]):
                first = day
            continue
        with raw_cursor() as cursor:
            query = sql.SQL("SELECT min({}) FROM {} WHERE project_id = %s").format(column, sql.Identifier(name))
            cursor.execute(query, (project_id,))
            row = cursor.fetchone()
        if row and row[0] is not None and (first is None or row[0] < first):
            first = row[0]
    return first
