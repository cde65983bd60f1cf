"""Points of charts: one a decided window."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.rows import kwargs_row

from alerts.charting.packing import unpack
from alerts.charting.types import Collected
from alerts.charting.types import collected as a_collected
from alerts.monitors.states import PointState
from telltale.lib.db import raw_cursor

_COLUMNS = sql.SQL(
    """monitor_id, chart_no, start_at, end_at, n, n_eff, value, low, high, coverage, phase, baseline_id, z,
    statistic, limit_low, limit_high, shown_low, shown_high, shown_level, rule, crossed, alarm_id, state,
    told::text AS told, revision, revised_n, revised_value, decided_at"""
)
_POINTS = sql.SQL(
    """
    SELECT {columns} FROM alerts_point
    WHERE monitor_id = %(monitor)s AND chart_no = %(chart)s
      AND (%(start)s::timestamptz IS NULL OR start_at >= %(start)s)
      AND (%(end)s::timestamptz IS NULL OR start_at < %(end)s)
    ORDER BY start_at {order} LIMIT %(limit)s
    """
)

# Five weeks of minutes.
COLLECTED_MOST = 60_000


@dataclass(frozen=True, slots=True)
class PointRow:
    """One decided window; the columns of `alerts_point`. `phase` 1 learning, 2 watched, 3 watched while latched.

    `value` and everything `shown_` are in the metric's unit, `statistic` and `limit_` on the scale of `rule`.
    `revised_`: what late data made of it; the decision is of what was there when it was taken.
    """

    monitor_id: int
    chart_no: int
    start_at: datetime
    end_at: datetime
    n: int
    n_eff: float | None
    value: float | None
    low: float | None
    high: float | None
    coverage: float | None
    phase: int
    baseline_id: int | None
    z: float | None
    statistic: float | None
    limit_low: float | None
    limit_high: float | None
    shown_low: float | None
    shown_high: float | None
    shown_level: float | None
    rule: str
    crossed: str
    alarm_id: int | None
    state: str
    told: Mapping[str, Any] | None
    revision: int
    revised_n: int | None
    revised_value: float | None
    decided_at: datetime

    @property
    def came_to(self) -> PointState:
        """What the window came to."""
        return PointState(self.state)

    @property
    def now_n(self) -> int:
        """Units by all that has come since."""
        return self.n if self.revised_n is None else self.revised_n

    @property
    def now_value(self) -> float | None:
        """The value by all that has come since."""
        return self.value if self.revised_n is None else self.revised_value


@dataclass(frozen=True, slots=True)
class Spark:
    """One point of a small curve: the value drawn and whether it was beyond a limit."""

    start_at: datetime
    value: float | None
    is_out: bool


def list_points(
    monitor_id: int,
    chart_no: int,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    limit: int = 2_000,
    newest_first: bool = False,
) -> list[PointRow]:
    """Points of a chart whose windows begin in [start, end), in their order. One query, on the primary key."""
    order = sql.SQL("DESC" if newest_first else "ASC")
    with raw_cursor(kwargs_row(_point)) as cursor:
        cursor.execute(
            _POINTS.format(columns=_COLUMNS, order=order),
            {"monitor": monitor_id, "chart": chart_no, "start": start, "end": end, "limit": limit},
        )
        return cursor.fetchall()


def _point(told: str | None, **columns: Any) -> PointRow:
    return PointRow(told=None if told is None else json.loads(told), **columns)


def sparks(charts: Sequence[tuple[int, int]], start: datetime, end: datetime) -> dict[int, list[Spark]]:
    """Curves of many monitors, (monitor id, chart number) each, by monitor. One query."""
    curves: dict[int, list[Spark]] = {monitor: [] for monitor, _ in charts}
    if not charts:
        return curves
    with raw_cursor() as cursor:
        cursor.execute(
            """
            SELECT p.monitor_id, p.start_at, CASE WHEN p.revised_n IS NULL THEN p.value ELSE p.revised_value END,
                p.state = 'out'
            FROM unnest(%(monitors)s::bigint[], %(charts)s::integer[]) AS c (monitor_id, chart_no)
            JOIN alerts_point AS p USING (monitor_id, chart_no)
            WHERE p.start_at >= %(start)s AND p.start_at < %(end)s
            ORDER BY p.monitor_id, p.start_at
            """,
            {
                "monitors": [monitor for monitor, _ in charts],
                "charts": [chart for _, chart in charts],
                "start": start,
                "end": end,
            },
        )
        for monitor, start_at, value, is_out in cursor:
            curves[monitor].append(Spark(start_at, value, is_out))
    return curves


def collected(
    monitor_id: int,
    chart_no: int,
    start: datetime,
    end: datetime,
    *,
    is_marked: Callable[[datetime], bool] | None = None,
    limit: int = COLLECTED_MOST,
) -> list[Collected]:
    """What a baseline can be learned from: the windows in [start, end) with what the detector took. One query.

    `is_marked(start of a window)`: whether people marked its day as no example of normal; those are left out.
    """
    with raw_cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce((told ->> 'merged_from')::timestamptz, start_at), start_at, end_at,
                coalesce((told ->> 'merged_n')::bigint, n), value, data
            FROM alerts_point
            WHERE monitor_id = %(monitor)s AND chart_no = %(chart)s
              AND start_at >= %(start)s AND start_at < %(end)s AND data IS NOT NULL
            ORDER BY start_at LIMIT %(limit)s
            """,
            {"monitor": monitor_id, "chart": chart_no, "start": start, "end": end, "limit": limit},
        )
        return [
            a_collected(first, last, n, value, unpack(bytes(data)))
            for first, at, last, n, value, data in cursor
            if is_marked is None or not is_marked(at)
        ]


def held(
    charts: Sequence[tuple[int, int]], start: datetime, end: datetime
) -> dict[tuple[int, datetime], tuple[int, float | None]]:
    """n and value by all that has come, of windows that begin in [start, end): by monitor and start. One query."""
    with raw_cursor() as cursor:
        cursor.execute(
            """
            SELECT p.monitor_id, p.start_at, coalesce(p.revised_n, p.n),
                CASE WHEN p.revised_n IS NULL THEN p.value ELSE p.revised_value END
            FROM unnest(%(monitors)s::bigint[], %(charts)s::integer[]) AS c (monitor_id, chart_no)
            JOIN alerts_point AS p USING (monitor_id, chart_no)
            WHERE p.start_at >= %(start)s AND p.start_at < %(end)s
            """,
            {
                "monitors": [monitor for monitor, _ in charts],
                "charts": [chart for _, chart in charts],
                "start": start,
                "end": end,
            },
        )
        return {(monitor, at): (n, value) for monitor, at, n, value in cursor}
