"""What the page of a chart reads: its windows, thinned where there are too many to draw, and sums of stretches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from psycopg.rows import class_row

from alerts.charting.packing import unpack
from alerts.detectors.points import Categories
from alerts.read.points import PointRow, list_points
from alerts.stats.shift import Rated, Stretch
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

# A chart of 1,060 pixels shows no more; what is thinned is read by as many descents into the index.
DRAWN_MAX = 700
COUNTED_MOST = 300
_COUNTED = """
    SELECT data FROM alerts_point
    WHERE monitor_id = %s AND chart_no = %s AND start_at >= %s AND start_at < %s AND data IS NOT NULL
    ORDER BY start_at DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The windows of a chart in their order. `every`: about one in so many is there (1: all of them)."""

    points: tuple[PointRow, ...]
    every: int


def told_of(point: PointRow) -> Mapping[str, Any]:
    """What was said of a window beside its figures. Django's connections give jsonb as text."""
    told: Any = point.told
    found = orjson.loads(told) if isinstance(told, str) else told
    return found if isinstance(found, dict) else {}


def read_drawn(
    monitor_id: int,
    chart_no: int,
    start: datetime,
    end: datetime,
    length: timedelta,
    always: Sequence[datetime] = (),
) -> Drawn:
    """The windows that begin in [start, end), at most about DRAWN_MAX; those of `always` in any case. One query.

    `length`: of a window.
    """
    whole = max(int((end - start) / length), 1)
    if whole <= DRAWN_MAX:
        return Drawn(_told(list_points(monitor_id, chart_no, start, end, limit=DRAWN_MAX + 2)), 1)
    every = -(-whole // DRAWN_MAX)
    step = every * length
    with raw_cursor(class_row(PointRow)) as cursor:
        cursor.execute(
            load("alerts", "shown_points"),
            {
                "monitor": monitor_id,
                "chart": chart_no,
                "start": start,
                "step": step,
                "stretches": -(-(end - start) // step),
                "always": [at for at in always if start <= at < end],
            },
        )
        return Drawn(_told(cursor.fetchall()), every)


def _told(points: Sequence[PointRow]) -> tuple[PointRow, ...]:
    """The points with what was said of them read once: the page asks for it many times."""
    return tuple(replace(point, told=told_of(point)) for point in points)


def read_stretches(
    monitor_id: int, chart_no: int, stretches: Sequence[tuple[datetime, datetime]]
) -> list[Stretch]:  # fmt: skip
    """Sums over each of some stretches [start, end), of windows that have a value. One query."""
    found = [Stretch(0, 0.0, 0.0, 0.0, 0.0, 0.0) for _ in stretches]
    if not stretches:
        return found
    with raw_cursor() as cursor:
        cursor.execute(
            load("alerts", "shown_sums"),
            {
                "monitor": monitor_id,
                "chart": chart_no,
                "starts": [start for start, _ in stretches],
                "ends": [end for _, end in stretches],
            },
        )
        for no, *sums in cursor:
            found[no - 1] = Stretch(*sums)
    return found


def read_rated(
    monitor_id: int, chart_no: int, stretches: Sequence[tuple[datetime, datetime]]
) -> list[Rated]:  # fmt: skip
    """Sums of judged counts and of what was expected, over each of some stretches [start, end). One query."""
    found = [Rated(0, 0.0, 0.0, 0.0) for _ in stretches]
    params = {
        "monitor": monitor_id, "chart": chart_no,
        "starts": [start for start, _ in stretches], "ends": [end for _, end in stretches],
    }  # fmt: skip
    with raw_cursor() as cursor:
        cursor.execute(load("alerts", "shown_rated"), params)
        for no, *sums in cursor:
            found[no - 1] = Rated(*sums)
    return found


def read_categories(monitor_id: int, chart_no: int, start: datetime, end: datetime) -> Counter[str | None]:
    """Rows by category in the newest COUNTED_MOST windows of [start, end), of those kept still. One query."""
    found: Counter[str | None] = Counter()
    with raw_cursor() as cursor:
        cursor.execute(_COUNTED, (monitor_id, chart_no, start, end, COUNTED_MOST))
        for (data,) in cursor:
            held = unpack(bytes(data))
            if isinstance(held, Categories):
                found.update(dict(held.counts))
    return found
