"""What the overview of a project reads of several monitors at once: small charts, and how big their changes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerts.models import Baseline
from alerts.monitors.states import Kind, Method
from alerts.monitors.types import Metric
from alerts.read.alarms import AlarmRow
from alerts.read.shown import Shown
from alerts.stats.shift import Shift, Stretch, shift_of_mean, shift_of_share
from evals.stats.results import TooLittle
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

# A small chart of 300 pixels: a window every four.
STRETCHES = 72
# Where no baseline judged an alarm, its change is measured against so long before it.
BEFORE = timedelta(days=7)
SIZED = frozenset({Kind.SHARE, Kind.SCORE, Kind.TIME, Kind.COST, Kind.LEVEL})


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One window of a small chart, late data counted in; `shown_` in the metric's unit, None where there is none."""

    start_at: datetime
    end_at: datetime
    n: int
    value: float | None
    shown_low: float | None
    shown_high: float | None
    shown_level: float | None
    is_out: bool


def read_curves(
    monitors: Sequence[Shown], start: datetime, end: datetime, stretches: int = STRETCHES
) -> dict[int, list[CurvePoint]]:
    """The windows of some monitors that begin in [start, end), at most `stretches` each, oldest first. One query."""
    found: dict[int, list[CurvePoint]] = {each.id: [] for each in monitors}
    if not monitors:
        return found
    params = _asked(monitors) | {"start": start, "step": (end - start) / stretches, "stretches": stretches}
    for monitor_id, *values in _rows("fronted_curves", params):
        found[monitor_id].append(CurvePoint(*values))
    return found


@dataclass(frozen=True, slots=True)
class Moved:
    """An open alarm whose change is to be measured: its monitor with the metric, up to when windows are decided."""

    monitor: Shown
    metric: Metric
    alarm: AlarmRow
    until: datetime


def read_sizes(moved: Sequence[Moved]) -> dict[int, Shift | TooLittle]:
    """How big the changes of some open alarms are, by monitor; those whose kind has no size have none. Two queries."""
    asked = [each for each in moved if _has_size(each)]
    if not asked:
        return {}
    ids = [each.alarm.baseline_id for each in asked if each.alarm.baseline_id is not None]
    spans = {
        pk: (start, end)
        for pk, start, end in Baseline.objects.filter(pk__in=ids).values_list("pk", "start_at", "end_at")
    }
    charts, starts, ends = [], [], []
    for each in asked:
        alarm = each.alarm
        first, last = spans.get(alarm.baseline_id or 0, (alarm.window_start - BEFORE, alarm.window_start))
        charts += [(each.monitor.id, alarm.chart_no)] * 2
        starts += [first, alarm.window_start]
        ends += [min(last, alarm.window_start), max(each.until, alarm.window_end)]
    params = {"ids": [one for one, _ in charts], "chart_nos": [no for _, no in charts], "starts": starts, "ends": ends}
    sums = {no: Stretch(*values) for no, *values in _rows("fronted_sums", params)}
    nothing = Stretch(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    found = {}
    for place, each in enumerate(asked):
        before, after = (sums.get(2 * place + at, nothing) for at in (1, 2))
        of = shift_of_share if each.metric.kind is Kind.SHARE else shift_of_mean
        found[each.monitor.id] = of(before, after)
    return found


def _has_size(each: Moved) -> bool:
    return (
        each.metric.kind in SIZED
        and each.monitor.method is not Method.COMPOSITE
        and each.alarm.rule not in {"no data", "silence"}
    )


def _asked(monitors: Sequence[Shown]) -> dict[str, Any]:
    return {"ids": [each.id for each in monitors], "chart_nos": [each.chart_no for each in monitors]}


def _rows(name: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    with raw_cursor() as cursor:
        cursor.execute(load("alerts", name), params)
        return cursor.fetchall()
