"""How far back charts reach."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from telltale.lib.db import raw_cursor

# One look into the primary key for each monitor.
_FIRST = """
    SELECT min(first.start_at) FROM alerts_monitor AS m
    CROSS JOIN LATERAL (
        SELECT start_at FROM alerts_point WHERE monitor_id = m.id AND chart_no = m.chart_no ORDER BY start_at LIMIT 1
    ) AS first
    WHERE m.project_id = %s AND m.id = ANY(%s)
"""

_FIRST_EVER = """
    SELECT min(coalesce(first.start_at, m.next_start)) FROM alerts_monitor AS m
    LEFT JOIN LATERAL (
        SELECT start_at FROM alerts_point WHERE monitor_id = m.id AND chart_no = m.chart_no ORDER BY start_at LIMIT 1
    ) AS first ON true
    WHERE m.project_id = %s AND m.id = ANY(%s)
"""


def first_decided(project_id: int, monitor_ids: Sequence[int]) -> datetime | None:
    """Start of the earliest window that the present charts of some monitors hold; None without any."""
    with raw_cursor() as cursor:
        cursor.execute(_FIRST, (project_id, list(monitor_ids)))
        row = cursor.fetchone()
    return row[0] if row else None


def first_of_members(project_id: int, monitor_ids: Sequence[int]) -> datetime | None:
    """As `first_decided`; for charts that have decided nothing yet, where they begin. None without any monitor."""
    with raw_cursor() as cursor:
        cursor.execute(_FIRST_EVER, (project_id, list(monitor_ids)))
        row = cursor.fetchone()
    return row[0] if row else None
