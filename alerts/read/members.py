"""What the members of a composite said, and how far they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from alerts.charting.composites import Said
from alerts.models import Monitor
from telltale.lib.db import raw_cursor


def decided_to(project_id: int, monitor_ids: Sequence[int]) -> datetime | None:
    """Up to when every member that is watched has decided its windows; None where none of them is watched.

    A member that has decided nothing holds its composite back to before all windows; one that is switched off, put away
    or broken does not.
    """
    found = Monitor.objects.filter(
        project_id=project_id, pk__in=list(monitor_ids), is_on=True, archived_at__isnull=True
    ).exclude(standing="broken")
    reached = list(found.values_list("decided_to", "next_start"))
    return min((decided or start for decided, start in reached), default=None)


def said(project_id: int, monitor_ids: Sequence[int], start: datetime, end: datetime) -> dict[int, list[Said]]:
    """The points of members whose windows end in (start, end], oldest first, by member. One query."""
    found: dict[int, list[Said]] = {one: [] for one in monitor_ids}
    with raw_cursor() as cursor:
        cursor.execute(
            """
            SELECT p.monitor_id, p.end_at, p.alarm_id IS NOT NULL, p.statistic, p.limit_low, p.limit_high
            FROM alerts_monitor AS m
            JOIN alerts_point AS p ON p.monitor_id = m.id AND p.chart_no = m.chart_no
            WHERE m.project_id = %(project)s AND m.id = ANY(%(monitors)s) AND m.is_on AND m.archived_at IS NULL
              AND p.start_at >= %(start)s - interval '8 days' AND p.end_at > %(start)s AND p.start_at < %(end)s
              AND p.end_at <= %(end)s
            ORDER BY p.monitor_id, p.start_at
            """,
            {"project": project_id, "monitors": list(monitor_ids), "start": start, "end": end},
        )
        for monitor, end_at, opened, statistic, low, high in cursor:
            found[monitor].append(Said(end_at, opened, statistic, low, high))
    return found
