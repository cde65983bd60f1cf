"""What the form of a monitor shows beside it: when it would have alarmed, what it would cost, how others compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts import backtesting
from alerts.backtesting import UNBUDGETED, Backtest, Fired, Stretch
from alerts.charting.types import Decided
from alerts.monitors.definition import charted, methods_of
from alerts.monitors.states import Method, PointState
from alerts.monitors.types import Definition, Reading
from alerts.pages.chart_figure import time_ticks
from alerts.pages.units import unit_of
from alerts.pages.words import METHODS, span
from alerts.read.alarms import AlarmRow, list_alarms
from alerts.read.monitors import MonitorRow, list_monitors
from alerts.stats import budget
from telltale.lib import charts
from telltale.lib import format as fmt
from telltale.lib.clock import zone_of
from telltale.projects.models import Project

SIZE = (420, 190)
# A picture this wide shows no more; alarms are never left out.
POINTS_DRAWN = 360
# A preview waits for a person: newer windows alone where there are more.
WINDOWS_MOST = 4_000
# Each comparison is a replay of its own.
COMPARED_WINDOWS_MOST = 2_500
FIRED_SHOWN, COSTS_SHOWN = 8, 3
RINGS_LARGE = 20
TIMES = ("never", "once", "twice", "three times", "four times", "five times")


@dataclass(frozen=True, slots=True)
class FiredLine:
    """One alarm that there would have been. `verdict`: what people said of the one that there was, where there was."""

    at: datetime
    rule: str
    lasted: str
    value: str
    verdict: str
    alarm_id: int | None


@dataclass(frozen=True, slots=True)
class CostLine:
    """What it does to another monitor: hours until a lasting change is seen."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview as its template shows it."""

    headline: str
    expected: str
    stretch: str
    standing: str
    figure: charts.Figure | None
    fired: tuple[FiredLine, ...]
    more: int
    compared: tuple[tuple[str, str], ...]
    costs: tuple[CostLine, ...]
    costs_words: str
    is_cut: bool


def preview(project: Project, definition: Definition, held: MonitorRow | None) -> Preview:
    """Replay the stored history with `definition`; ItemRefused, SeriesFault, TooSlow, Busy."""
    with backtesting.room():
        return _preview(project, definition, held)


def _preview(project: Project, definition: Definition, held: MonitorRow | None) -> Preview:
    stretch = _newest(backtesting.stretch_of(project, definition), WINDOWS_MOST)
    readings = backtesting.read(project, definition, stretch.windows)
    place = backtesting.place_of(project.pk, definition, held.id if held else None)
    found = backtesting.replay(project, definition, stretch, readings, place.share.arl0)
    zone = zone_of(project.time_zone)
    alarms = list_alarms(project.pk, monitor_id=held.id, start=stretch.start, limit=500) if held else []
    count = len(found.fired)
    costs, costs_words = _costs(project.pk, place, definition)
    return Preview(
        headline=f"Would have alarmed {times(count)}" if count else _headline(found),
        expected=expected_words(found),
        stretch=f"{stretch_words(stretch.end - stretch.start)}, {fmt.count(found.windows)} windows",
        standing=found.chart.words,
        figure=figure(found, zone),
        fired=tuple(_line(found, each, alarms) for each in found.fired[-FIRED_SHOWN:][::-1]),
        more=max(count - FIRED_SHOWN, 0),
        compared=tuple(_compared(project, definition, stretch, readings, found, held)),
        costs=costs,
        costs_words=costs_words,
        is_cut=stretch.is_cut,
    )


def times(count: int) -> str:
    """ "once", "twice", "17 times"."""
    return TIMES[count] if count < len(TIMES) else f"{fmt.count(count)} times"


def stretch_words(length: timedelta) -> str:
    """ "the last 30 days", "the last 8 h"."""
    days = round(length / timedelta(days=1))
    if days > 1:
        return f"the last {days} days"
    return f"the last {max(round(length / timedelta(hours=1)), 1)} h"


def expected_words(found: Backtest) -> str:
    """What is to be expected by chance, in a sentence."""
    expected = found.expected
    if expected.a_week is None:
        return f"False alarms to expect: {expected.words}."
    if found.definition.composite is not None and expected.high is not None:
        return (
            f"Expect {rate_words(expected.a_week)} by chance were its members independent, and never more than "
            f"{rate_words(expected.high)}."
        )
    if expected.low is not None and expected.high is not None:
        return (
            f"{rate_words(expected.a_week).capitalize()} (95%: {rate_words(expected.low)} to "
            f"{rate_words(expected.high)}), {expected.words}."
        )
    tier = "" if found.definition.is_paging else " (notices)"
    return f"Expect {rate_words(expected.a_week)} by chance{tier}: {expected.words}."


def rate_words(a_week: float) -> str:
    """A rate in the unit that a person can count: "3 a week", "1 in 5 weeks", "1 in 2 years"."""
    if a_week <= 0:
        return "none"
    if a_week >= 0.95:
        number = f"{a_week:.0f}" if a_week >= 9.5 else f"{a_week:.1f}".removesuffix(".0")
        return f"about {number} a week"
    weeks = 1 / a_week
    if weeks < 10:
        return f"about 1 in {weeks:.0f} weeks" if weeks >= 1.5 else "about 1 a week"
    months, years = weeks / 4.348, weeks / 52.18
    if months < 23.5:
        return f"about 1 in {months:.0f} months"
    return f"about 1 in {years:.0f} years" if years < 100 else "less than 1 in 100 years"


def figure(found: Backtest, zone: ZoneInfo) -> charts.Figure | None:
    """The replayed windows with their limits and the alarms ringed; None where no window holds a value."""
    points = thinned(found.points)
    values = [_shown(point) for point in points]
    known = [value for value in values if value is not None]
    if not known:
        return None
    unit = unit_of(found.metric)
    xs = [point.window.start.timestamp() for point in points]
    threshold = found.definition.threshold
    # A fixed limit is a line; limits of a chart move with what a window holds, and are a band.
    lows = [None if threshold else point.shown_low for point in points]
    highs = [None if threshold else point.shown_high for point in points]
    low_edge = min([*known, *[each for each in lows if each is not None]])
    high_edge = max([*known, *[each for each in highs if each is not None]])
    has_any = [low is not None or high is not None for low, high in zip(lows, highs, strict=True)]
    line = charts.Line(
        xs,
        values,
        "c-line ink",
        low=[low if low is not None else low_edge if any_ else None for low, any_ in zip(lows, has_any, strict=True)],
        high=[
            high if high is not None else high_edge if any_ else None for high, any_ in zip(highs, has_any, strict=True)
        ],
        band_css="c-band",
    )
    marks = [
        charts.Mark(x, value, "c-alert", 4.5 if len(found.fired) <= RINGS_LARGE else 2.5)
        for x, value, point in zip(xs, values, points, strict=True)
        if point.opened and value is not None
    ]
    picture = charts.line_picture(
        [line],
        time_ticks(found.start, found.end, zone)[::3],
        unit,
        x_range=(found.start.timestamp(), found.end.timestamp()),
        size=SIZE,
        from_zero=0 <= low_edge < 0.35 * high_edge,
        limits=[charts.Limit(threshold.limit, unit.text(threshold.limit))] if threshold else [],
        marks=marks,
    )
    sentence = (
        f"{len(found.points)} windows replayed, values between {unit.text(min(known))} and {unit.text(max(known))}; "
        f"it would have alarmed {times(len(found.fired))}."
    )
    return charts.Figure("The history, replayed", "", sentence, picture, (), (), is_fit=True)


def thinned(points: Sequence[Decided]) -> list[Decided]:
    """At most some `POINTS_DRAWN` points, evenly, with every one that opened an alarm."""
    step = max(1, -(-len(points) // POINTS_DRAWN))
    return [point for at, point in enumerate(points) if at % step == 0 or point.opened]


def _newest(stretch: Stretch, most: int) -> Stretch:
    if len(stretch.windows) <= most:
        return stretch
    return Stretch(stretch.windows[-most:], is_cut=True)


def _headline(found: Backtest) -> str:
    if found.judged:
        return "Would not have alarmed"
    if found.windows and found.empty == found.windows:
        return "Nothing came in this time"
    return "Nothing could be judged yet"


def _shown(point: Decided) -> float | None:
    return point.value if point.shown_level is None else point.shown_level


def _line(found: Backtest, fired: Fired, alarms: Sequence[AlarmRow]) -> FiredLine:
    alarm = fired.alarm
    then = next((row for row in alarms if row.window_start == alarm.window.start), None)
    unit = unit_of(found.metric)
    lasted = "goes on" if fired.ended_at is None else _length(fired.ended_at - alarm.window.start)
    verdict = "" if then is None else {"real": "real", "false": "false", "accepted": "accepted"}.get(then.verdict, "")
    if then is not None and not verdict:
        verdict = "nobody said"
    value = "no data" if alarm.value is None else unit.text(alarm.value)
    return FiredLine(alarm.window.start, alarm.rule, lasted, value, verdict, then.id if then else None)


def _length(length: timedelta) -> str:
    hours = length / timedelta(hours=1)
    if hours < 1:
        return span(timedelta(minutes=round(length / timedelta(minutes=1))))
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def _compared(
    project: Project,
    definition: Definition,
    stretch: Stretch,
    readings: Sequence[Reading],
    found: Backtest,
    held: MonitorRow | None,
) -> list[tuple[str, str]]:
    """What other settings would have made of the same windows."""
    lines = [("These settings", _firings(found))]
    if definition.composite is not None or len(stretch.windows) > COMPARED_WINDOWS_MOST:
        return lines
    if held is not None:
        if charted(held.definition) == charted(definition) and held.weight == definition.weight:
            lines.append(("Saved version", "the same as these"))
        elif _is_same_series(held.definition, definition):
            saved = backtesting.replay(project, held.definition, stretch, readings, held.arl0)
            lines.append(("Saved version", _firings(saved)))
    for name, other, arl0 in _others(definition, found):
        lines.append((name, _firings(backtesting.replay(project, other, stretch, readings, arl0))))
    return lines


def _others(definition: Definition, found: Backtest) -> list[tuple[str, Definition, float]]:
    others: list[tuple[str, Definition, float]] = []
    if definition.method not in UNBUDGETED:
        others.append(("Twice the share", definition, max(found.arl0 / 2, budget.ARL0_LEAST)))
    if definition.method is Method.CHART and Method.SHEWHART in methods_of(found.metric.kind):
        others.append((METHODS[Method.SHEWHART], replace(definition, method=Method.SHEWHART), found.arl0))
    threshold = definition.threshold
    if threshold is not None and threshold.after == 1:
        others.append(("Two windows in a row", replace(definition, threshold=replace(threshold, after=2)), found.arl0))
    if threshold is not None and definition.method is Method.FIXED:
        chart = replace(
            definition, method=Method.CHART, threshold=None, direction="up" if threshold.side == "over" else "down"
        )
        others.append(("A control chart instead", chart, found.arl0))
    return others


def _is_same_series(one: Definition, other: Definition) -> bool:
    return (one.metric, dict(one.params), one.scope, one.window) == (
        other.metric, dict(other.params), other.scope, other.window,
    )  # fmt: skip


def _firings(found: Backtest) -> str:
    count = len(found.fired)
    outs = sum(point.state is PointState.OUT for point in found.points)
    words = "no alarm" if not count else f"{count} alarm{'s' if count != 1 else ''}"
    if outs > count:
        words += f", {outs} windows beyond a limit"
    expected = found.expected.a_week
    return words if expected is None else f"{words}; {rate_words(expected)} by chance"


def _costs(project_id: int, place: backtesting.Place, definition: Definition) -> tuple[tuple[CostLine, ...], str]:
    """What it does to the others: those it slows down most, and a sentence about all."""
    if definition.method in UNBUDGETED:
        return (), "It takes nothing from the alert budget: its limit is yours, and so are its false alarms."
    if not place.costs:
        return (), "It is the only one of its tier that shares the alert budget."
    names = {str(row.id): row.name for row in list_monitors(project_id)}
    moved = sorted(place.costs, key=lambda cost: cost.hours_before - cost.hours_after)
    lines = tuple(
        CostLine(names.get(cost.key, "another monitor"), f"{_hours(cost.hours_before)} → {_hours(cost.hours_after)}")
        for cost in moved[:COSTS_SHOWN]
        if abs(cost.hours_after - cost.hours_before) >= 0.05
    )
    share = sum(cost.hours_after / cost.hours_before - 1 for cost in place.costs) / len(place.costs)
    if abs(share) < 0.0005:
        return lines, "The other monitors see a change as early as before."
    word = "later" if share > 0 else "earlier"
    return lines, f"On average the others see a change {abs(share) * 100:.1f}% {word}."


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
