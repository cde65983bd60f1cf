"""Removing what the room keeps about some traces: samples, vectors, cases, what frozen references and charts hold.

Every function runs in the caller's transaction and may be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from psycopg import Cursor, sql

from alerts.charting.packing import pack, unpack
from alerts.drift.packing import HALF
from alerts.monitors.types import Categories, Data, Vectors
from telltale.lib.rows import list_tables

PREFIX = "alerts_"
POINTS = 2_000
_REFERENCES = "SELECT id FROM alerts_driftreference WHERE project_id = %s ORDER BY id"
_REFERENCE = "SELECT n, dims, vectors, traces FROM alerts_driftreference WHERE id = %s FOR UPDATE"
_KEEP = "UPDATE alerts_driftreference SET n = %s, vectors = %s, traces = %s WHERE id = %s"
_MONITORS = "SELECT id, chart_no FROM alerts_monitor WHERE project_id = %s ORDER BY id"
# Words, vectors, and either of them compressed: nothing else that a point holds names anybody.
_POINTS = """
    SELECT start_at, data FROM alerts_point
    WHERE monitor_id = %s AND chart_no = %s AND start_at > %s AND data IS NOT NULL AND length(data) > 0
        AND get_byte(data, 0) IN (5, 6, 7, 127)
    ORDER BY start_at
    LIMIT %s
"""
_KEEP_POINT = "UPDATE alerts_point SET data = %s WHERE monitor_id = %s AND chart_no = %s AND start_at = %s"
_STANDS = """
    DELETE FROM alerts_budgetstand AS s USING alerts_costbudget AS b
    WHERE b.id = s.budget_id AND b.project_id = %s AND s.subject = ANY(%s)
"""


def remove_traces(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID]) -> Counter[str]:
    """Remove every row that is about these traces; rows by table."""
    removed: Counter[str] = Counter()
    for table in list_tables(cursor):
        column = table.column("trace_id") if table.name.startswith(PREFIX) else None
        scope = table.of_project(project_id)
        if column is None or column.kind != "uuid" or scope is None:
            continue
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE trace_id = ANY({}) AND {}").format(
                sql.Identifier(table.name), sql.Literal(list(trace_ids)), scope
            ),
            prepare=False,
        )
        removed[table.name] += cursor.rowcount
    return removed


def remove_users(cursor: Cursor[Any], project_id: int, users: Sequence[str]) -> Counter[str]:
    """Remove what budgets say of these users; rows by table."""
    cursor.execute(_STANDS, (project_id, [each[:200] for each in users]), prepare=False)
    return Counter({"alerts_budgetstand": cursor.rowcount})


def thin_references(cursor: Cursor[Any], project_id: int, known: Callable[[Collection[UUID]], set[UUID]]) -> int:
    """Take the vectors of traces that are `known` to go out of frozen references; how many vectors went.

    What was learned of them all together, the middle of each topic, stays as it was frozen.
    """
    cursor.execute(_REFERENCES, (project_id,))
    gone = 0
    for (reference_id,) in cursor.fetchall():
        cursor.execute(_REFERENCE, (reference_id,))
        row = cursor.fetchone()
        if row is None:
            continue
        n, dims, vectors, traces = row
        ids = [UUID(bytes=bytes(traces[at : at + 16])) for at in range(0, len(traces), 16)]
        drop = known(ids)
        if not drop:
            continue
        keep = [at for at, each in enumerate(ids) if each not in drop]
        rows = np.frombuffer(vectors, HALF).reshape(-1, dims)[keep]
        cursor.execute(
            _KEEP, (len(keep), rows.astype(HALF).tobytes(), b"".join(ids[at].bytes for at in keep), reference_id)
        )
        gone += n - len(keep)
    return gone


def thin_points(
    cursor: Cursor[Any],
    project_id: int,
    known: Callable[[Collection[UUID]], set[UUID]],
    text: Callable[[str], str],
) -> int:
    """Take traces that are `known` to go, and what `text` takes out of words, out of what points hold; points changed.

    The figures of the points stay.
    """
    cursor.execute(_MONITORS, (project_id,))
    changed = 0
    for monitor_id, charts in cursor.fetchall():
        for chart_no in range(1, charts + 1):
            changed += _thin_chart(cursor, monitor_id, chart_no, known, text)
    return changed


def _thin_chart(
    cursor: Cursor[Any],
    monitor_id: int,
    chart_no: int,
    known: Callable[[Collection[UUID]], set[UUID]],
    text: Callable[[str], str],
) -> int:
    after: Any = "-infinity"
    changed = 0
    while True:
        cursor.execute(_POINTS, (monitor_id, chart_no, after, POINTS))
        rows = cursor.fetchall()
        for start_at, data in rows:
            held = unpack(bytes(data))
            new = _thinned(held, known, text)
            if new != held:
                cursor.execute(_KEEP_POINT, (pack(new), monitor_id, chart_no, start_at))
                changed += 1
        if len(rows) < POINTS:
            return changed
        after = rows[-1][0]


def _thinned(held: Data, known: Callable[[Collection[UUID]], set[UUID]], text: Callable[[str], str]) -> Data:
    if isinstance(held, Vectors):
        drop = {each.hex for each in known([UUID(each) for each in held.traces if each])}
        keep = [at for at, each in enumerate(held.traces) if each not in drop]
        if len(keep) == len(held.traces):
            return held
        return Vectors(tuple(held.rows[at] for at in keep), tuple(held.traces[at] for at in keep))
    if isinstance(held, Categories):
        counts: dict[str | None, Any] = {}
        for name, count in held.counts:
            told = name if name is None else text(name)
            counts[told] = counts.get(told, 0) + count
        return held if tuple(counts.items()) == held.counts else Categories(tuple(counts.items()))
    return held
