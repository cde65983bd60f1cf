"""What happened to a chart beside its windows: baselines that came into force, alarms that people closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.read.alarms import CLOSED, list_alarms
from alerts.read.baselines import IN_FORCE, REPLACED, BaselineRow, list_baselines
from telltale.lib.db import raw_cursor

# More than people do to one chart; what is older than these stays out.
MOST = 500
_NEXT_DECIDED = """
    SELECT told.at, (
        SELECT min(start_at) FROM alerts_point
        WHERE monitor_id = %(monitor)s AND chart_no = %(chart)s AND start_at >= told.start AND decided_at > told.at
    )
    FROM unnest(%(ats)s::timestamptz[], %(starts)s::timestamptz[]) AS told (at, start)
"""


@dataclass(frozen=True, slots=True)
class Closed:
    """An alarm that a person closed while it was open: its window, and the first window decided after that."""

    window_start: datetime
    before: datetime


def in_force(project_id: int, monitor_id: int, chart_no: int) -> list[BaselineRow]:
    """The baselines that have judged windows of a chart, in their order."""
    rows = list_baselines(project_id, monitor_id, chart_no=chart_no, states=(IN_FORCE, REPLACED), limit=MOST)
    return sorted((row for row in rows if row.in_force_from is not None), key=lambda row: (row.in_force_from, row.id))


def closed(project_id: int, monitor_id: int, chart_no: int) -> list[Closed]:
    """The open alarms of a chart that people closed, oldest first. Two queries."""
    rows = [
        row
        for row in list_alarms(project_id, monitor_id=monitor_id, states=(CLOSED,), limit=MOST)
        if row.chart_no == chart_no and row.ended_at is None and row.closed_at is not None
    ]
    if not rows:
        return []
    params = {
        "monitor": monitor_id,
        "chart": chart_no,
        "ats": [row.closed_at for row in rows],
        "starts": [row.window_start for row in rows],
    }
    with raw_cursor() as cursor:
        cursor.execute(_NEXT_DECIDED, params)
        following = dict(cursor.fetchall())
    found = [Closed(row.window_start, at) for row in rows if (at := following.get(row.closed_at)) is not None]
    return sorted(found, key=lambda each: each.before)
