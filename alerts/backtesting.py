"""What a monitor would have done: the engine's own rules over the stored history, in memory.

The same readings, the same `advance`, the same run length as the live engine: on the same data it alarms at the same
windows. How late data came is no part of it, and of a stored chart what people did to it is.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np

from alerts import budgeting, monitoring, watching
from alerts.charting import composites
from alerts.charting.advancing import begin, release
from alerts.charting.types import Advanced, Chart, Decided, Learning, NewAlarm, NewBaseline
from alerts.detectors.base import Baseline as Learned
from alerts.detectors.base import State
from alerts.monitors.states import Method, PointState, Standing
from alerts.monitors.types import Definition, Metric, Reading, Share, Window
from alerts.read import acts, members
from alerts.read.baselines import BaselineRow
from alerts.read.monitors import MonitorRow, get_budget, list_monitors
from alerts.read.reach import first_decided
from alerts.read.series import read_windows
from alerts.series.grid import window_at, windows_between
from alerts.stats import budget
from alerts.stats.composite import expected_false
from alerts.stats.objectives import expected_false_alarms, replayed_false_alarms
from alerts.stats.proportions import overdispersion
from alerts.write.monitors import WEEK, updates_a_week
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project

# Two weeks of minutes, seven months of quarters of an hour: some seconds at most (measured, docs/monitors.md).
WINDOWS_MOST = 20_160
# What takes no share of the budget: its limit is people's.
UNBUDGETED = frozenset({Method.FIXED, Method.COMPOSITE})
# A replay keeps a core busy; a process has others to serve.
AT_A_TIME, WAIT_SECONDS = 1, 8.0
_room = threading.BoundedSemaphore(AT_A_TIME)
_COMPOSITE_SLICE = 100
# A stretch that no chart reaches.
_NEVER_DAYS = 1e5
_INSIDE_LEAST = 20


class Busy(Exception):
    """Others replay their history just now; in a moment there is room."""


@dataclass(frozen=True, slots=True)
class Fired:
    """One alarm, and the end of the window from which it was quiet again (None: it goes on)."""

    alarm: NewAlarm
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Expected:
    """False alarms a week to expect, and what that is from. `a_week` None: unknown. `low`, `high`: where counted."""

    a_week: float | None
    words: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a monitor would have done in [start, end).

    `windows` decided, of which `learning` were learned from, `judged` held enough to be judged, `empty` held nothing.
    `points` are the windows as the chart would draw them. `chart` is where it would stand now.
    """

    definition: Definition
    metric: Metric
    start: datetime
    end: datetime
    arl0: float
    points: tuple[Decided, ...]
    fired: tuple[Fired, ...]
    baselines: tuple[NewBaseline, ...]
    chart: Chart
    expected: Expected

    @property
    def windows(self) -> int:
        """Windows that were decided."""
        return len(self.points)

    @property
    def learning(self) -> int:
        """Windows that were learned from, or collected to."""
        return sum(point.state is PointState.LEARNING for point in self.points)

    @property
    def judged(self) -> int:
        """Windows that were held against a limit."""
        return sum(point.state in {PointState.IN_LIMITS, PointState.OUT} for point in self.points)

    @property
    def empty(self) -> int:
        """Windows in which nothing came."""
        return sum(point.n == 0 for point in self.points)

    @property
    def baseline(self) -> NewBaseline | None:
        """The baseline in force at the end; None while learning, or where the method has none."""
        return self.baselines[-1] if self.baselines and self.chart.learning is None else None

    @property
    def standing(self) -> Standing:
        """Where the chart would stand now."""
        return self.chart.standing


@dataclass(frozen=True, slots=True)
class Stretch:
    """The windows that a back-test decides. `is_cut`: more were asked for than one back-test takes."""

    windows: tuple[Window, ...]
    is_cut: bool = False

    @property
    def start(self) -> datetime:
        """Start of the first."""
        return self.windows[0].start

    @property
    def end(self) -> datetime:
        """End of the last."""
        return self.windows[-1].end


@dataclass(frozen=True, slots=True)
class Act:
    """Something that happened to a chart before the window that begins `at`."""

    at: datetime
    change: Callable[[Chart], Chart]


@dataclass(frozen=True, slots=True)
class Place:
    """A monitor's place in the alert budget, and what it does to the others."""

    share: budget.Share
    costs: tuple[budget.Cost, ...]


def backtest(
    project: Project,
    definition: Definition,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    arl0: float | None = None,
) -> Backtest:
    """Replay `definition` on the stored history; ItemRefused, SeriesFault, TooSlow, Busy.

    [start, end): from where a new chart of it would begin until now, unless told. `arl0` None: by the share of the
    budget that it would have if it were added.
    """
    stretch = stretch_of(project, definition, start, end)
    if arl0 is None:
        arl0 = place_of(project.pk, definition).share.arl0
    with room():
        return replay(project, definition, stretch, read(project, definition, stretch.windows), arl0)


def backtest_of(
    project: Project, held: MonitorRow, start: datetime | None = None, end: datetime | None = None
) -> Backtest:
    """Replay a stored monitor over the windows that its chart has decided, with what people did meanwhile.

    Over another stretch: as if nobody had done anything.
    """
    if start is not None or end is not None or held.decided_to is None:
        return backtest(project, held.definition, start, end, arl0=held.arl0)
    stretch = stretch_of(project, held.definition, first_decided(project.pk, [held.id]), held.decided_to)
    happened = acts_of(held)
    with room():
        readings = read(project, held.definition, stretch.windows)
        return replay(project, held.definition, stretch, readings, held.arl0, happened)


def replay(
    project: Project,
    definition: Definition,
    stretch: Stretch,
    readings: Sequence[Reading],
    arl0: float,
    happened: Sequence[Act] = (),
) -> Backtest:
    """What `definition` makes of readings that were read already, one for each window of the stretch.

    `happened`, in its order, change the chart before the first window that begins then or later.
    """
    metric, place = watching.metric_of(definition, project.pk), watching.place_of(project.pk)
    chart, fired, steps = begin(definition), list[Fired](), list[Advanced]()
    starts = [reading.window.start for reading in readings]
    cuts = [bisect_left(starts, act.at) for act in happened]
    for at, cut in enumerate([0, *cuts]):
        if at:
            chart = happened[at - 1].change(chart)
        part = watching.judge(chart, definition, metric, readings[cut : [*cuts, len(readings)][at]], arl0, place)
        steps += part
        chart = part[-1].chart if part else chart
    for step in steps:
        if step.ended and fired:
            fired[-1] = Fired(fired[-1].alarm, step.point.window.end)
        if step.alarm is not None:
            fired.append(Fired(step.alarm, None))
    points = tuple(step.point for step in steps)
    baselines = tuple(step.baseline for step in steps if step.baseline is not None)
    expected = expect(project.pk, definition, points, arl0)
    return Backtest(
        definition, metric, stretch.start, stretch.end, arl0, points, tuple(fired), baselines, chart, expected
    )


def acts_of(held: MonitorRow) -> list[Act]:
    """What happened to the chart of a monitor beside its windows: limits for another budget, what people did."""
    rows = acts.in_force(held.project_id, held.id, held.chart_no)
    found = []
    for at, row in enumerate(rows):
        if row.in_force_from is None:
            continue
        found.append(Act(row.in_force_from, partial(_judged_by, row)))
        follows = rows[at + 1].in_force_from if at + 1 < len(rows) else None
        if row.in_force_to is not None and (follows is None or follows > row.in_force_to):
            found.append(Act(row.in_force_to, _unjudged))
    for each in acts.closed(held.project_id, held.id, held.chart_no):
        found.append(Act(each.before, partial(_closed, each.window_start)))
    return sorted(found, key=lambda act: act.at)


def _judged_by(row: BaselineRow, chart: Chart) -> Chart:
    """The chart judged by a stored baseline: its own with the limits it had, or another that a person chose."""
    if chart.baseline is not None and (row.limits_of is not None or _is_same(chart.baseline, row.learned)):
        return replace(chart, baseline=row.learned, centre=row.centre)
    if chart.baseline is None and chart.learning is not None and chart.learning.start is None:
        # It is learned by its own windows, a little later than here or not at all.
        return chart
    return replace(
        chart, learning=None, baseline=row.learned, baseline_no=chart.baseline_no + 1, centre=row.centre,
        state=State(), alarm=None, quiet=0,
    )  # fmt: skip


def _is_same(one: Learned, other: Learned) -> bool:
    """Whether two baselines are learned from the same windows, whatever run length their limits are for."""
    return (one.kind, one.n, one.windows, one.seed) == (other.kind, other.n, other.windows, other.seed)


def _unjudged(chart: Chart) -> Chart:
    """The chart while it learns on for a new baseline: it collects, and none comes of it before the stored one."""
    return replace(
        chart, learning=Learning(start=chart.decided_to, days=_NEVER_DAYS), baseline=None, state=State(), alarm=None,
        quiet=0,
    )  # fmt: skip


def _closed(window_start: datetime, chart: Chart) -> Chart:
    """The chart after a person closed the alarm of that window."""
    is_its_own = chart.alarm is not None and chart.alarm.start == window_start
    return release(chart) if is_its_own else chart


@contextmanager
def room() -> Iterator[None]:
    """Room to replay in this process, waited for a little; Busy."""
    if not _room.acquire(timeout=WAIT_SECONDS):
        raise Busy
    try:
        yield
    finally:
        _room.release()


def stretch_of(
    project: Project, definition: Definition, start: datetime | None = None, end: datetime | None = None
) -> Stretch:
    """The windows from `start` (where a new chart would begin) to `end` (now) that are closed; ItemRefused without any.

    Where nobody says when it begins, the newest windows that a back-test takes.
    """
    now = clock.now()
    until = min(end or now, now - definition.lateness)
    if definition.composite is not None:
        reached = members.decided_to(project.pk, [each.monitor_id for each in definition.composite.members])
        until = until if reached is None else min(until, reached)
    first = start or monitoring.history_start(project, definition, now)
    first = window_at(project.time_zone, definition.window, first).start
    if first >= until:
        words = "leaves no closed window" if start or end else "there is no closed window to replay yet"
        raise ItemRefused(Fault("from", words, f"before {until.isoformat()}"))
    room = int((until - first) / definition.window) + 2
    is_cut = room > WINDOWS_MOST
    if is_cut and start is not None:
        limit = f"{WINDOWS_MOST} windows, that is {WINDOWS_MOST * definition.window}"
        raise ItemRefused(Fault("from", "makes too many windows", limit, room))
    if is_cut:
        first = window_at(project.time_zone, definition.window, until - (WINDOWS_MOST - 2) * definition.window).start
    windows = tuple(windows_between(project.time_zone, definition.window, first, until))
    if not windows:
        raise ItemRefused(Fault("from", "leaves no closed window", f"{definition.window} or more", room))
    return Stretch(windows, is_cut)


def read(project: Project, definition: Definition, windows: Sequence[Window]) -> list[Reading]:
    """What the series held in each window, as the live engine reads it; SeriesFault, TooSlow."""
    if definition.composite is None:
        metric = watching.metric_of(definition, project.pk)
        return read_windows(project.pk, project.time_zone, metric, definition, windows)
    first = windows[0].start - definition.composite.within
    ids = [each.monitor_id for each in definition.composite.members]
    said = members.said(project.pk, ids, first, windows[-1].end)
    ends = {member: [point.end for point in points] for member, points in said.items()}
    found: list[Reading] = []
    for at in range(0, len(windows), _COMPOSITE_SLICE):
        part = windows[at : at + _COMPOSITE_SLICE]
        low, high = part[0].end - definition.composite.within, part[-1].end
        lately = {
            member: points[bisect_right(ends[member], low) : bisect_right(ends[member], high)]
            for member, points in said.items()
        }
        found.extend(composites.readings(definition, part, lately))
    return found


def place_of(project_id: int, definition: Definition, own: int | None = None) -> Place:
    """The share of the alert budget that `definition` would have (in the place of the monitor `own`), and its costs.

    What takes no share costs nobody anything; its run length stands for what it would have.
    """
    charts = [chart for chart in budgeting.charts_of(project_id) if chart.key != str(own)]
    held = [chart for chart in budgeting.charts_of(project_id) if chart.key == str(own)]
    key = str(own) if own is not None else "new"
    tier: budget.Tier = "page" if definition.is_paging else "notice"
    new = budget.Chart(key, updates_a_week(definition), definition.weight, tier)
    pages = get_budget(project_id).pages_a_week
    share = budget.allot([*charts, new], pages)[-1]
    if definition.method in UNBUDGETED:
        return Place(share, ())
    return Place(share, budget.cost_of([*charts, *held], [*charts, new], pages))


def expect(project_id: int, definition: Definition, points: Sequence[Decided], arl0: float) -> Expected:
    """False alarms a week while nothing is wrong, and how that is known."""
    if definition.method not in UNBUDGETED:
        return Expected(updates_a_week(definition) / arl0, "its share of the alert budget")
    if definition.composite is not None:
        wanted = {each.monitor_id for each in definition.composite.members}
        rates = [
            row.expected_a_week
            for row in list_monitors(project_id)
            if row.id in wanted and row.method not in UNBUDGETED
        ]
        if len(rates) < len(wanted):
            return Expected(None, "unknown: members with fixed limits have no expected false alarms")
        within_s = definition.composite.within.total_seconds()
        found = expected_false(rates, k=definition.composite.least, within_s=within_s)
        return Expected(
            found.independent,
            "from its members’ own, were they independent of each other; at most as given",
            high=found.most,
        )
    return _by_chance(definition, points)


def _by_chance(definition: Definition, points: Sequence[Decided]) -> Expected:
    """What a fixed limit alarms by chance: by the windows within it, held to be what is normal."""
    threshold = definition.threshold
    a_week = WEEK / definition.window
    if threshold is None:
        return Expected(None, "unknown")
    shares = [point.data for point in points if isinstance(point.data, Share) and point.data.n > 0]
    inside = [
        point.data
        for point in points
        if isinstance(point.data, Share) and point.data.n > 0 and point.state is PointState.IN_LIMITS
    ]
    if len(inside) >= _INSIDE_LEAST and len(inside) >= len(shares) / 2 and threshold.after == 1:
        k, n = np.array([each.k for each in inside]), np.array([each.n for each in inside])
        p = float(k.sum() / n.sum())
        rho = overdispersion(k, n, p) if 0 < p < 1 else 0.0
        volumes = [each.n for each in shares]
        if 0 < p < 1:
            chance = expected_false_alarms(volumes, a_week, threshold.limit, p, rho, threshold.side, definition.least_n)
            return Expected(chance.a_week, f"by chance alone at {100 * p:.3g} %, the share of the windows within it")
        return Expected(0.0, "nothing lies between what was seen and the limit")
    held = {PointState.IN_LIMITS, PointState.OUT}
    values = np.array([point.value if point.state in held and point.value is not None else np.nan for point in points])
    counted = replayed_false_alarms(values, a_week, threshold.limit, threshold.side)
    if counted is None:
        return Expected(None, "unknown: no window held anything")
    words = "as often as it happened in this stretch, for whatever reason"
    return Expected(counted.a_week, words, counted.low, counted.high)
