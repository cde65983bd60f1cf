"""What the list of monitors shows: every monitor in few columns, and of those on the page their last days.

A project may have a thousand monitors, so all are read in few columns (to count and to order them) and the windows of
a page's alone, in a number of queries that does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from alerts.models import Monitor
from alerts.monitors.definition import read_definition
from alerts.monitors.states import Kind, Method, PointState, Standing
from alerts.monitors.types import Definition
from alerts.series.catalogue import find_metric
from telltale.lib.sql import load

# Of so many windows a fixed limit's false alarms are told.
FIXED_WINDOWS = 300
# A sparkline of 96 pixels: a point every two, and the last window of each stretch stands for it.
STRETCHES = 48
SPARK_DAYS = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Shown:
    """One monitor as lists have it. `arl0`: windows until a false alarm that the budget gives it now."""

    id: int
    name: str
    metric: str
    method: Method
    severity: int
    is_paging: bool
    weight: float
    updates_a_week: float
    arl0: float
    is_on: bool
    muted_until: datetime | None
    standing: Standing
    standing_words: str
    standing_since: datetime
    chart_no: int
    error: str
    created_at: datetime
    archived_at: datetime | None

    def is_muted(self, now: datetime) -> bool:
        """Whether it is charted but may not page."""
        return self.muted_until is not None and self.muted_until > now

    @property
    def is_charted(self) -> bool:
        """Whether it is a control chart, that sees a change of so many sd after so many windows."""
        return self.method in {Method.CHART, Method.CUSUM, Method.SHEWHART}


@dataclass(frozen=True, slots=True)
class SparkPoint:
    """The last window of the stretch `at`, 0 the oldest of STRETCHES; `is_out`: it was beyond a limit."""

    at: int
    value: float | None
    shown_low: float | None
    shown_high: float | None
    is_out: bool


@dataclass(frozen=True, slots=True)
class Last:
    """The newest decided window of a chart, late data counted in."""

    start: datetime
    end: datetime
    n: int
    value: float | None
    shown_low: float | None
    shown_high: float | None
    shown_level: float | None
    state: PointState
    crossed: str


@dataclass(frozen=True, slots=True)
class FixedSeen:
    """The newest windows of a share with a fixed limit that held something: `k` of `n` in all of them.

    `volumes`: n of nine windows of typical size.
    """

    windows: int
    k: int
    n: int
    volumes: tuple[int, ...]


_COLUMNS = (
    "id", "name", "metric", "method", "severity", "is_paging", "weight", "updates_a_week", "arl0", "is_on",
    "muted_until", "standing", "standing_words", "standing_since", "chart_no", "error", "created_at",
    "archived_at",
)  # fmt: skip
_METHOD, _STANDING = _COLUMNS.index("method"), _COLUMNS.index("standing")


def list_shown(project_id: int) -> list[Shown]:
    """Every monitor of a project, archived ones too, by name. One query."""
    rows = Monitor.objects.filter(project_id=project_id).order_by("name", "id").values_list(*_COLUMNS)
    return [_shown(row) for row in rows]


def list_named(project_id: int, monitor_ids: Sequence[int]) -> list[Shown]:
    """Some monitors of a project by name; those that are not there are left out. One query."""
    rows = Monitor.objects.filter(project_id=project_id, pk__in=monitor_ids).order_by("name", "id")
    return [_shown(row) for row in rows.values_list(*_COLUMNS)]


def read_definitions(project_id: int, monitor_ids: Sequence[int]) -> dict[int, Definition]:
    """What people decided about some monitors. One query."""
    rows = Monitor.objects.filter(project_id=project_id, pk__in=monitor_ids).values_list("pk", "definition")
    return {monitor_id: read_definition(stored) for monitor_id, stored in rows}


def read_sparks(monitors: Sequence[Shown], until: datetime) -> dict[int, list[SparkPoint]]:
    """The last days of some monitors, at most STRETCHES points each, oldest first. One query."""
    found: dict[int, list[SparkPoint]] = {monitor.id: [] for monitor in monitors}
    params = _asked(monitors) | {
        "start": until - SPARK_DAYS,
        "step": SPARK_DAYS / STRETCHES,
        "stretches": STRETCHES,
    }
    for monitor_id, at, value, low, high, is_out in _rows("shown_sparks", params):
        found[monitor_id].append(SparkPoint(at, value, low, high, is_out))
    return found


def read_last(monitors: Sequence[Shown]) -> dict[int, Last]:
    """The newest decided window of some monitors; none for those that have decided none. One query."""
    return {
        monitor_id: Last(start, end, n, value, low, high, level, PointState(state), crossed)
        for monitor_id, start, end, n, value, low, high, level, state, crossed in _rows("shown_last", _asked(monitors))
    }


def read_fixed(monitors: Sequence[Shown]) -> dict[int, FixedSeen]:
    """What the windows of those with a fixed limit on a share hold. One query, none where there is none of them."""
    fixed = [each for each in monitors if each.method is Method.FIXED and is_share(each.metric)]
    params = _asked(fixed) | {"most": FIXED_WINDOWS}
    return {
        monitor_id: FixedSeen(windows, int(k), int(n), tuple(volumes or ()))
        for monitor_id, windows, k, n, volumes in _rows("shown_fixed", params)
    }


def is_share(metric: str) -> bool:
    """Whether the windows of a metric are k of n."""
    found = find_metric(metric)
    return found is not None and found.kind is Kind.SHARE


def _shown(row: Sequence[Any]) -> Shown:
    values = list(row)
    values[_METHOD], values[_STANDING] = Method(values[_METHOD]), Standing(values[_STANDING])
    return Shown(*values)


def _asked(monitors: Sequence[Shown]) -> dict[str, Any]:
    return {"ids": [each.id for each in monitors], "chart_nos": [each.chart_no for each in monitors]}


def _rows(name: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    if not params["ids"]:
        return []
    with connection.cursor() as cursor:
        cursor.execute(load("alerts", name), params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
