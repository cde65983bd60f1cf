"""What monitors did in the last 90 days: incidents they found, how often they were looked at, what judging them cost.

Read for a report that is made in the night, so that these questions may take a while; never for a page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from django.db import connection
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Members are evidence of a finding whether they paged or not: a notice that came first led too. Of an incident that was
# merged its members moved along.
_INCIDENTS = """
    SELECT i.id, i.severity, m.monitor_id, extract(epoch FROM min(m.joined_at - i.opened_at)) / 60
    FROM alerts_incident AS i
    JOIN alerts_incidentmember AS m ON m.incident_id = i.id AND m.monitor_id IS NOT NULL
    WHERE i.project_id = %(project)s AND i.opened_at >= %(start)s AND i.verdict = 'real' AND i.state <> 'merged'
    GROUP BY i.id, i.severity, m.monitor_id
    ORDER BY i.id
"""
_VIEWS = """
    SELECT monitor_id, sum(views) FROM alerts_chartview
    WHERE project_id = %(project)s AND day >= %(start)s GROUP BY monitor_id
"""
_VIEWS_SINCE = "SELECT min(day) FROM alerts_chartview WHERE project_id = %(project)s"
_STORED = """
    SELECT monitor_id, count(*), coalesce(sum(length(data)), 0) FROM alerts_point
    WHERE project_id = %(project)s AND monitor_id = ANY(%(ids)s) GROUP BY monitor_id
"""
_RESIDUALS = """
    SELECT monitor_id, extract(epoch FROM date_trunc('hour', start_at))::bigint / 3600, avg(z)
    FROM alerts_point
    WHERE project_id = %(project)s AND monitor_id = ANY(%(ids)s) AND start_at >= %(start)s AND z IS NOT NULL
    GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A real incident: its severity, and minutes after it opened at which each monitor's alarm came, by monitor."""

    severity: int
    alarmed_min: Mapping[int, float]


def read_found(project_id: int, start: datetime) -> list[Found]:
    """The incidents opened since `start` that people called real, with the monitors that alarmed in them."""
    by_incident: dict[int, tuple[int, dict[int, float]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_INCIDENTS, {"project": project_id, "start": start})
        for incident, severity, monitor, minutes in cursor.fetchall():
            by_incident.setdefault(incident, (severity, {}))[1][monitor] = float(minutes)
    return [Found(severity, alarmed) for severity, alarmed in by_incident.values()]


def read_views(project_id: int, start: datetime) -> tuple[dict[int, int], date | None]:
    """How often each monitor was looked at since `start`; and the day from which on that is counted at all."""
    with connection.cursor() as cursor:
        cursor.execute(_VIEWS, {"project": project_id, "start": start.date()})
        views = {monitor: int(told) for monitor, told in cursor.fetchall()}
        cursor.execute(_VIEWS_SINCE, {"project": project_id})
        first = cursor.fetchone()[0]
    return views, first


def read_stored(project_id: int, monitor_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Points of each monitor, and bytes of what they were made of."""
    with connection.cursor() as cursor:
        cursor.execute(_STORED, {"project": project_id, "ids": list(monitor_ids)})
        return {monitor: (int(rows), int(size)) for monitor, rows, size in cursor.fetchall()}


def read_residuals(project_id: int, monitor_ids: Sequence[int], start: datetime) -> dict[int, Floats]:
    """Standardised residuals of each monitor by the hour, NaN for none: (hours,), the same hours for all.

    z is what charts judge: the season and the level of the baseline are out of it.
    """
    told: dict[int, list[tuple[int, float]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_RESIDUALS, {"project": project_id, "ids": list(monitor_ids), "start": start})
        for monitor, hour, z in cursor.fetchall():
            told[monitor].append((int(hour), float(z)))
    hours = [hour for rows in told.values() for hour, _ in rows]
    if not hours:
        return {}
    first, size = min(hours), max(hours) - min(hours) + 1
    found = {}
    for monitor, rows in told.items():
        values = np.full(size, np.nan)
        values[[hour - first for hour, _ in rows]] = [z for _, z in rows]
        found[monitor] = values
    return found
