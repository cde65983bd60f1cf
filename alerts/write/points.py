"""Points after they were decided: what late data made of them, and what is past its days. Decisions never change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from telltale.lib.db import raw_cursor

SLICE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Revised:
    """What a window holds by now: its chart, its start, units and value."""

    monitor_id: int
    chart_no: int
    start_at: datetime
    n: int
    value: float | None


def revise(changed: Sequence[Revised]) -> int:
    """Write down what late data made of windows; how many there were."""
    if not changed:
        return 0
    with raw_cursor() as cursor:
        cursor.execute(
            """
            UPDATE alerts_point AS p SET revised_n = c.n, revised_value = c.value, revision = p.revision + 1
            FROM unnest(%(monitors)s::bigint[], %(charts)s::integer[], %(starts)s::timestamptz[], %(ns)s::bigint[],
                %(values)s::double precision[]) AS c (monitor_id, chart_no, start_at, n, value)
            WHERE p.monitor_id = c.monitor_id AND p.chart_no = c.chart_no AND p.start_at = c.start_at
            """,
            {
                "monitors": [one.monitor_id for one in changed],
                "charts": [one.chart_no for one in changed],
                "starts": [one.start_at for one in changed],
                "ns": [one.n for one in changed],
                "values": [one.value for one in changed],
            },
        )
        return cursor.rowcount


def forget_data(project_id: int, before: datetime) -> int:
    """Forget what detectors took of windows before then, a slice of them, but for stretches of standing baselines."""
    return _run(
        """
        UPDATE alerts_point SET data = NULL WHERE (monitor_id, chart_no, start_at) IN (
            SELECT p.monitor_id, p.chart_no, p.start_at
            FROM alerts_point AS p
            WHERE p.project_id = %(project)s AND p.start_at < %(before)s AND p.data IS NOT NULL
              AND NOT EXISTS (
                SELECT FROM alerts_baseline AS b
                WHERE b.monitor_id = p.monitor_id AND b.chart_no = p.chart_no AND b.state IN ('in_force', 'proposed')
                  AND p.start_at >= b.start_at AND p.start_at < b.end_at
              )
            LIMIT %(limit)s
        )
        """,
        project_id,
        before,
    )


def remove_older(project_id: int, before: datetime) -> int:
    """Remove a slice of the project's points before then; how many."""
    return _run(
        """
        DELETE FROM alerts_point WHERE (monitor_id, chart_no, start_at) IN (
            SELECT p.monitor_id, p.chart_no, p.start_at
            FROM alerts_monitor AS m
            CROSS JOIN generate_series(1, m.chart_no) AS c (number)
            CROSS JOIN LATERAL (
                SELECT * FROM alerts_point
                WHERE monitor_id = m.id AND chart_no = c.number AND start_at < %(before)s
                ORDER BY start_at LIMIT %(limit)s
            ) AS p
            WHERE m.project_id = %(project)s
            LIMIT %(limit)s
        )
        """,
        project_id,
        before,
    )


def erase_slice(project_id: int) -> int:
    """Remove a slice of all points of a project's monitors, those put away too; how many."""
    return _run(
        """
        DELETE FROM alerts_point WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM alerts_point
            WHERE monitor_id = ANY (ARRAY(SELECT id FROM alerts_monitor WHERE project_id = %(project)s))
            LIMIT %(limit)s
        ))
        """,
        project_id,
        None,
    )


def _run(statement: str, project_id: int, before: datetime | None) -> int:
    with raw_cursor() as cursor:
        cursor.execute(statement, {"project": project_id, "before": before, "limit": SLICE_ROWS})
        return cursor.rowcount
