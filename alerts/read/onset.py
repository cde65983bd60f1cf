"""When it began: the series of an incident's monitor in windows fine enough to tell, and its change point.

An alarm comes within few windows, a change point needs five a side: so the raw series is read in shorter windows around
the alarm, and the chart's own windows, free of season, are the second choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from alerts.monitors.types import Definition, Metric, Reading, Share, Window
from alerts.read import points
from alerts.read.monitors import MonitorRow
from alerts.read.series import SeriesFault, history_start, metric_for, read_windows
from alerts.series.grid import SIZES, windows_between
from alerts.stats.changepoint import MIN_SEGMENT, Change, change_in_mean, change_in_share
from alerts.stats.isolate import Onset
from evals.stats.results import TooLittle
from telltale.lib import clock
from telltale.projects.models import Project
from traces.read.asking import TooSlow

# So many windows after the alarm's first at least, and before it; more say little and cost.
AFTER_LEAST, BEFORE_LEAST, WINDOWS_MOST = 8, 40, 360
# Of the chart: its last judged windows.
JUDGED_MOST = 400


@dataclass(frozen=True, slots=True)
class Began:
    """When the present level began, or why that cannot be told. `size` of the windows; `low` <= `at` <= `high` starts.

    `at` None: no clear start, `words` say why. `series`: what was looked at, (start, value or None), for the picture.
    `before`, `after` levels in the metric's unit where `is_fine`, else in standard deviations of the baseline.
    """

    at: datetime | None
    low: datetime | None
    high: datetime | None
    size: timedelta
    p: float | None
    before: float | None
    after: float | None
    windows: int
    is_fine: bool
    method: str
    words: str
    series: tuple[tuple[datetime, float | None, int], ...]

    @property
    def onset(self) -> Onset | None:
        """The same for `rank_changes`."""
        if self.at is None or self.low is None or self.high is None:
            return None
        return Onset(self.at.timestamp(), self.low.timestamp(), self.high.timestamp(), self.size.total_seconds())


def began(project: Project, monitor: MonitorRow, alarmed_at: datetime, end: datetime) -> Began:
    """The change point of a monitor's series around `alarmed_at`, the start of the first window out of limits."""
    fine = _fine(project, monitor, alarmed_at, end)
    if fine is not None and fine.at is not None:
        return fine
    judged = _judged(monitor, alarmed_at, end)
    if judged is not None and judged.at is not None:
        return judged
    found = fine or judged
    if found is not None:
        return found
    words = "its series holds too few windows to tell when it began"
    return Began(None, None, None, monitor.definition.window, None, None, None, 0, False, "", words, ())


def _fine(project: Project, monitor: MonitorRow, alarmed_at: datetime, end: datetime) -> Began | None:
    definition = monitor.definition
    metric = metric_for(project.pk, definition)
    size = _size(metric, definition, end - alarmed_at) if metric is not None else None
    if metric is None or size is None:
        return None
    start = max(alarmed_at - max(BEFORE_LEAST * size, 2 * definition.window), end - WINDOWS_MOST * size)
    definition = replace(definition, window=size)
    first = history_start(project.pk, project.time_zone, metric, definition, clock.now())
    if first is not None:
        start = max(start, first)
    windows = list(windows_between(project.time_zone, size, start, end))
    try:
        readings = read_windows(project.pk, project.time_zone, metric, definition, windows)
    except (SeriesFault, TooSlow):
        return None
    told = [reading for reading in readings if reading.n and reading.value is not None]
    series = tuple((each.window.start, each.value, each.n) for each in readings)
    change = _change(told, monitor.id)
    return _told([reading.window for reading in told], change, size, series, is_fine=True)


def _size(metric: Metric, definition: Definition, after: timedelta) -> timedelta | None:
    """The longest windows of which enough lie after the alarm's first; None where the shortest are too long for it."""
    fit = [
        size
        for size in (timedelta(minutes=minutes) for minutes in SIZES)
        if metric.shortest <= size <= max(definition.window, metric.shortest)
    ]
    short = [size for size in fit if size * AFTER_LEAST <= after]
    return short[-1] if short else (fit[0] if fit and fit[0] * MIN_SEGMENT <= after else None)


def _change(told: Sequence[Reading], seed: int) -> Change | TooLittle:
    data = [reading.data for reading in told]
    if told and all(isinstance(each, Share) for each in data):
        shares = [each for each in data if isinstance(each, Share)]
        return change_in_share([each.k for each in shares], [each.n for each in shares], seed=seed)
    values = np.array([reading.value for reading in told], dtype=np.float64)
    weights = np.array([reading.n_eff or reading.n for reading in told], dtype=np.float64)
    # A count is no mean of its units: its windows weigh alike.
    is_count = any(type(each).__name__ == "Count" for each in data)
    return change_in_mean(values, seed=seed, weights=None if is_count or not values.size else weights)


def _judged(monitor: MonitorRow, alarmed_at: datetime, end: datetime) -> Began | None:
    rows = points.list_points(monitor.id, monitor.chart_no, None, end, limit=JUDGED_MOST, newest_first=True)[::-1]
    judged = [row for row in rows if row.z is not None]
    # What lies long before says nothing of this trouble.
    near = [row for row in judged if row.start_at >= alarmed_at - 200 * monitor.definition.window]
    if not near:
        return None
    change = change_in_mean([row.z for row in near if row.z is not None], seed=monitor.id)
    series = tuple((row.start_at, row.now_value, row.now_n) for row in near)
    windows = [Window(row.start_at, row.end_at) for row in near]
    return _told(windows, change, monitor.definition.window, series, is_fine=False)


def _told(
    windows: Sequence[Window],
    change: Change | TooLittle,
    size: timedelta,
    series: tuple[tuple[datetime, float | None, int], ...],
    *,
    is_fine: bool,
) -> Began:
    if isinstance(change, TooLittle):
        words = f"{change.have} {change.what}, {change.need} are needed to tell when it began"
        return Began(None, None, None, size, None, None, None, len(windows), is_fine, "", words, series)
    at, low, high = (windows[min(one, len(windows) - 1)].start for one in (change.split, change.low, change.high))
    words = "" if change.clear else f"no clear start: {len(windows)} windows, p = {change.p:.2g}"
    clear = change.clear
    return Began(
        at if clear else None, low if clear else None, high if clear else None, size, change.p, change.before,
        change.after, len(windows), is_fine, change.method, words, series,
    )  # fmt: skip
