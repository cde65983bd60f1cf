"""What the overview of a project reads of several monitors at once: small charts, and how big their changes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerts.models import Baseline
from alerts.monitors.states import Kind, Method, PointState, Standing
from alerts.monitors.types import Metric
from alerts.questions.pillars import Pillar, pillar_of
from alerts.read.alarms import AlarmRow
from alerts.read.baselines import PROPOSED
from alerts.read.shown import Shown
from alerts.stats.shift import Shift, Stretch, shift_of_mean, shift_of_share
from evals.stats.results import TooLittle
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

# A small chart of 300 pixels: a window every six.
STRETCHES = 48
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
    state: PointState

    @property
    def is_out(self) -> bool:
        """Whether it was beyond a limit."""
        return self.state is PointState.OUT


def line_of(points: Sequence[CurvePoint], *, is_smoothed: bool) -> list[CurvePoint]:
    """The points of a line: those with something to draw, and where nothing came, so that it breaks there.

    Windows too small to be judged by themselves are merged with those after them, and those that hold nothing too:
    what is drawn next stands for all of them, and nothing is missing.
    """
    merges = any(point.state is PointState.WAITING for point in points)
    found = []
    for point in points:
        drawn = point.shown_level if is_smoothed else point.value
        is_missing = point.state is PointState.NO_DATA and not merges
        if is_missing or (drawn is not None and point.state is not PointState.WAITING):
            found.append(point)
    return found


def read_curves(
    monitors: Sequence[Shown], start: datetime, end: datetime, stretches: int = STRETCHES
) -> dict[int, list[CurvePoint]]:
    """The windows of some monitors that begin in [start, end), at most `stretches` each, oldest first. One query."""
    found: dict[int, list[CurvePoint]] = {each.id: [] for each in monitors}
    if not monitors:
        return found
    params = _asked(monitors) | {"start": start, "step": (end - start) / stretches, "stretches": stretches}
    for monitor_id, start_at, end_at, n, value, low, high, level, state in _rows("fronted_curves", params):
        found[monitor_id].append(CurvePoint(start_at, end_at, n, value, low, high, level, PointState(state)))
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


@dataclass(frozen=True, slots=True)
class Waiting:
    """A baseline that waits for a person to approve it."""

    baseline_id: int
    monitor_id: int
    monitor_name: str
    reason: str
    windows: int
    created_at: datetime


def proposed_baselines(project_id: int, limit: int = 100) -> list[Waiting]:
    """The baselines of live monitors that wait for approval, oldest first. One query."""
    rows = Baseline.objects.filter(
        monitor__project_id=project_id, state=PROPOSED, monitor__archived_at=None, monitor__is_on=True
    )
    columns = ("pk", "monitor_id", "monitor__name", "reason", "windows", "created_at")
    return [Waiting(*row) for row in rows.order_by("created_at", "pk").values_list(*columns)[:limit]]


@dataclass(frozen=True, slots=True)
class Stood:
    """How one live monitor of one of several projects stands, and what it speaks for (None: for figures alone)."""

    project_id: int
    pillar: Pillar | None
    standing: Standing
    standing_words: str
    is_paging: bool
    muted_until: datetime | None


_STOOD = """
    SELECT m.project_id, m.id, m.metric, m.definition -> 'params' ->> 'criterion', m.standing, m.standing_words,
        m.is_paging, m.muted_until,
        ARRAY(SELECT (e ->> 'monitor')::bigint FROM jsonb_path_query(m.definition, '$.composite.members[*]') AS e)
    FROM alerts_monitor AS m
    WHERE m.project_id = ANY(%(projects)s) AND m.is_on AND m.archived_at IS NULL
"""


def standings_of(project_ids: Sequence[int]) -> list[Stood]:
    """How the live monitors of some projects stand. One query."""
    if not project_ids:
        return []
    with raw_cursor() as cursor:
        cursor.execute(_STOOD, {"projects": list(project_ids)})
        rows = cursor.fetchall()
    pillars = {row[1]: pillar_of(row[2], row[3] or "") for row in rows}
    found = []
    for project_id, monitor_id, _, _, standing, words, is_paging, muted_until, members in rows:
        of = {pillars[one] for one in members if pillars.get(one) is not None}
        pillar = pillars[monitor_id] if not members else of.pop() if len(of) == 1 else Pillar.QUALITY
        found.append(Stood(project_id, pillar, Standing(standing), words, is_paging, muted_until))
    return found
