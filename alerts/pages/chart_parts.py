"""Parts of the page of a chart: its lines and marks, the addresses of its windows, the facts of its baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from django.http import QueryDict
from django.urls import reverse

from alerts import baselining
from alerts.budgeting import SHARING
from alerts.monitors.states import Kind, Method
from alerts.monitors.types import Metric
from alerts.monitors.types import Window as SeriesWindow
from alerts.pages import alarm_view, chart_figure, chart_view, units, words
from alerts.pages.expecting import ByChance
from alerts.read.alarms import AlarmRow
from alerts.read.baselines import BaselineRow
from alerts.read.charted import Drawn, told_of
from alerts.read.monitors import MonitorRow
from alerts.read.points import PointRow, list_points
from alerts.series.catalogue import find_metric
from alerts.series.links import behind as behind_of
from telltale.lib import charts
from telltale.lib import format as fmt
from telltale.projects.models import Project
from traces.pages_accounting import Window


def smoothed(points: Sequence[PointRow]) -> str:
    """What the drawn average is called: the rule it is of."""
    for point in reversed(points):
        name = next(iter(chart_figure.rules_of(point)), "")
        if point.shown_level is not None and name:
            return next((word for word in ("MEWMA", "EWMA", "CUSUM") if word in name), "Smoothed")
    return "Smoothed"


def steps(baselines: Sequence[BaselineRow], monitor: MonitorRow) -> list[chart_figure.Marked]:
    """Where another reference came into force; limits made anew for the same one are no step."""
    here = [
        each
        for each in baselines
        if each.in_force_from is not None and each.chart_no == monitor.chart_no and each.limits_of is None
    ]
    first = min((each.id for each in here), default=0)
    return [
        chart_figure.Marked(
            each.in_force_from, f"watched from here: baseline {each.id}" if each.id == first else f"baseline {each.id}"
        )
        for each in here
        if each.in_force_from is not None
    ]


def set_levels(monitor: MonitorRow, unit: charts.Unit) -> list[charts.Limit]:
    """What people set beside a chart: what an objective allows, floor and ceiling."""
    definition = monitor.definition
    found = []
    if definition.objective is not None:
        found.append(charts.Limit(definition.objective.allowed, f"{unit.text(definition.objective.allowed)} allowed"))
    for name, value in (("floor", definition.floor), ("ceiling", definition.ceiling)):
        if value is not None:
            found.append(charts.Limit(value, f"{name} {unit.text(value)}", "c-limit-bad"))
    return found


def statistic(sketch: chart_figure.Sketch) -> Any:
    for point in reversed(sketch.points):
        for name in chart_figure.rules_of(point):
            if name in chart_view.IN_UNIT:
                continue
            return chart_figure.statistic(sketch, name, "What the decision is taken by; the band is its limits.")
    return None


# Those whose limits follow from a baseline.
CHARTED = frozenset({Method.CHART, Method.CUSUM, Method.SHEWHART})


def note(drawn: Drawn, monitor: MonitorRow, window: Window, unit: Any) -> str:
    has_band = any(point.shown_low is not None or point.shown_high is not None for point in drawn.points)
    note = f" {words.each_window(monitor.definition.window).capitalize()}, {window.zone}"
    note += "; band: within limits." if has_band else "."
    if not has_band and monitor.method in CHARTED and any(point.phase > 1 for point in drawn.points):
        note += " The limits are of what its rules add up, and have no place here: see them on their own scale below."
    metric = find_metric(monitor.metric)
    if metric is not None and metric.kind in {Kind.TIME, Kind.COST}:
        note += " The smoothed line and its limits are of what is typical (geometric), the circles are whole windows."
    if drawn.every > 1:
        note += f" Of {drawn.every} windows one is drawn, and each that opened an alarm; the file has all."
    if any(point.revision > 1 for point in drawn.points):
        late = sum(point.revision > 1 for point in drawn.points)
        note += f" Late data changed {late} of them after the decision, which stays."
    return note


def expected(monitor: MonitorRow, now: datetime, chance: ByChance | None = None) -> str:
    """False alarms to expect; `chance` is of a monitor that takes no share of the budget."""
    if not monitor.is_on:
        return "none while it is off"
    if monitor.method not in SHARING:
        if chance is None or chance.a_week is None:
            return chance.words if chance is not None else "not from the budget"
        return f"{words.about_number(chance.a_week * 30 / 7)} in 30 days, {chance.words}"
    if monitor.is_muted(now):
        return "none while muted"
    return f"{words.about_number(monitor.expected_a_week * 30 / 7)} in 30 days"


def baseline_words(baseline: BaselineRow | None, monitor: MonitorRow, unit: Any) -> list[tuple[str, str]]:
    if baseline is None:
        return []
    learned = baseline.learned
    rows = [
        ("Level", unit.text(baseline.centre) if baseline.centre is not None else "none to draw"),
        ("Learned from", f"{baseline.windows:,} windows, n = {baseline.n:,}"),
        ("Method", f"{learned.kind}, {learned.method}"),
        (
            "Limits",
            f"one false alarm in {baseline.arl0:,.0f} windows, {words.one_in(baseline.arl0, monitor.updates_a_week)}",
        ),
        ("Left out", f"{len(baseline.excluded)} windows as no example" if baseline.excluded else "no window"),
        ("Seed", str(learned.seed)),
    ]
    if baseline.limits_of is not None:
        rows.append(("Reference", f"that of baseline {baseline.limits_of}, limits made anew"))
    return rows


def behind(project: Project, monitor: MonitorRow, metric: Metric | None) -> Callable[[PointRow], str]:
    """The address of the list of what a window was counted from; "" where no list shows it.

    The addresses of a page differ in their times alone: the rest is put together once.
    """
    probe = (datetime(1987, 1, 1, 1, 1, 1, tzinfo=UTC), datetime(1988, 2, 2, 2, 2, 2, tzinfo=UTC))
    found = behind_of(metric, monitor.definition, SeriesWindow(*probe)) if metric is not None else None
    if found is None or not found.page:
        return lambda point: ""
    base = reverse({"traces": "trace_list", "sessions": "session_list"}[found.page], args=[project.slug])
    first, last = (quote(fmt.iso(at), safe="") for at in probe)

    def of(point: PointRow) -> str:
        start, end = quote(fmt.iso(point.start_at), safe=""), quote(fmt.iso(point.end_at), safe="")
        return f"{base}?{found.query.replace(first, start).replace(last, end)}"

    return of


def href(window: Window, monitor: MonitorRow) -> Callable[[PointRow], str]:
    """The address of what was said of a window, from the page itself."""
    pairs = [("t", window.current)] if window.current else [("from", window.start), ("to", window.end)]
    rest = urlencode([*pairs, ("chart", monitor.chart_no)])

    def of(point: PointRow) -> str:
        return f"?{rest}&at={int(point.start_at.timestamp())}#window"

    return of


def at(
    query: QueryDict, project: Project, monitor: MonitorRow, metric: Metric | None, zone: ZoneInfo
) -> dict[str, Any] | None:
    """The window that `at` names, with all that was said of it; None where it names none."""
    number = alarm_view.number(query.get("at", ""))
    if number is None or number > 253_402_300_799:
        return None
    start = datetime.fromtimestamp(number, UTC)
    found = list_points(monitor.id, monitor.chart_no, start, start + timedelta(seconds=1), limit=1)
    if not found:
        return None
    point, unit = found[0], units.unit_of(metric)
    told = told_of(point)
    ribbon, word = words.POINTS[point.came_to]
    return {
        "point": point,
        "name": chart_figure.window_words(point, zone),
        "ribbon": ribbon,
        "ribbon_icon": f"r-{ribbon}",
        "word": word,
        "value": unit.text(point.now_value) if point.now_value is not None else "none",
        "interval": f"95% CI {unit.text(point.low)}{fmt.EN_DASH}{unit.text(point.high)}"
        if point.low is not None and point.high is not None
        else "",
        "was": f"{unit.text(point.value) if point.value is not None else 'none'}, n = {point.n:,}"
        if point.revision > 1
        else "",
        "why": str(told.get("why", "")),
        "merged_from": _moment(told.get("merged_from")),
        "phase": words.PHASES.get(point.phase, ""),
        "rules": [
            (name, unit_.text(statistic), units.band(unit_, low, high, "none"))
            for name, (statistic, low, high) in chart_figure.rules_of(point).items()
            for unit_ in [chart_view.unit_of_rule(name, metric)]
        ],
        "expected": units.band(unit, point.shown_low, point.shown_high, "no limits in this unit"),
        "traces": behind(project, monitor, metric)(point),
        "coverage": fmt.share(point.coverage) if point.coverage is not None else "",
    }


def began(monitor: MonitorRow, alarm: AlarmRow | None, zone: ZoneInfo, now: datetime) -> str:
    """When the level of an open alarm began, with its interval, in words. Half a second of arithmetic: on request."""
    found = baselining.began(monitor.id, alarm.chart_no if alarm else monitor.chart_no)
    if found is None:
        return "Too few judged windows to say when it began."
    if not found.is_clear:
        return f"No clear start in the last {found.windows} judged windows (p = {found.p:.2g})."
    at, low, high = (chart_view.moment(each, zone, now) for each in (found.at, found.low, found.high))
    return f"It most likely began with the window from {at} (95% CI {low} to {high})."


def _moment(told: object) -> datetime | None:
    try:
        return datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
