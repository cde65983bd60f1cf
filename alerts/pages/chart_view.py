"""What the page of a chart says: the verdict, the size of the change, the rules, the facts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from alerts.monitors.states import UNJUDGED, Method, PointState, Standing
from alerts.monitors.types import Definition, Metric
from alerts.pages import units, words
from alerts.pages.chart_figure import rules_of
from alerts.pages.expecting import ByChance
from alerts.read.alarms import AlarmRow, AlarmTally
from alerts.read.baselines import BaselineRow
from alerts.read.monitors import MonitorRow
from alerts.read.points import PointRow
from alerts.read.shown import Shown
from alerts.stats.runrules import western_electric
from alerts.stats.shift import Moved, Ratio, Shift
from evals.stats.results import TooLittle
from telltale.lib import format as fmt
from telltale.lib.charts import Unit

# How big a change is: of levels, of counts, of categories; or why it cannot be said.
Sized = Shift | Ratio | list[Moved] | TooLittle
# Rules whose statistic is the value itself.
IN_UNIT = frozenset({"threshold", "floor", "ceiling"})
# A change so many windows (at most a day) before an alarm's first window is named beside it.
SUSPECT_WINDOWS, SUSPECT_MOST = 24, timedelta(days=1)
_SINCE = {
    "floor": "has been below its floor",
    "ceiling": "has been above its ceiling",
    "no data": "has sent nothing",
    "silence": "has been silent",
    "members": "has had enough of its members alarmed",
}
_STANDS = {
    Standing.IN_CONTROL: "is within its limits",
    Standing.LEARNING: "is still learning what is normal",
    Standing.NO_DATA: "has no data now",
    Standing.TOO_LITTLE: "has too little data to judge",
    Standing.STALE: "needs a new baseline",
    Standing.UNSTABLE: "has found no steady stretch to learn from",
    Standing.BROKEN: "cannot be evaluated",
    Standing.ALARMED: "is beyond its limits",
    Standing.ACKNOWLEDGED: "is beyond its limits, and somebody is on it",
}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule of the chart: what it says now and when it last spoke. `kind`: what comes of it."""

    name: str
    kind: str
    ribbon: str
    word: str
    now: str
    limits: str
    last: datetime | None


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One member of a composite: how it stands, and when it alarmed in what the composite's alarm saw."""

    id: int
    name: str
    ribbon: str
    word: str
    since: datetime
    moved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Size:
    """How big the change is, in words; `lacking` where it cannot be said."""

    title: str
    text: str


def headline(monitor: MonitorRow, alarm: AlarmRow | None, zone: ZoneInfo, now: datetime) -> str:
    """The answer of the page: "Returns has been below its lower limit since Today 10:00".

    Since the end of the window that alarmed, as lists and REST have it: no window is known before it ended.
    """
    if monitor.archived_at is not None:
        return f"{monitor.name} is put away"
    if not monitor.is_on:
        return f"{monitor.name} is turned off"
    if alarm is not None and alarm.is_open:
        since = moment(alarm.window_end, zone, now)
        return f"{monitor.name} {_since(alarm)} since {since}"
    if monitor.standing is Standing.IN_CONTROL and monitor.standing_words == UNJUDGED:
        return f"{monitor.name} has a baseline, and {UNJUDGED}"
    return f"{monitor.name} {_STANDS[monitor.standing]}"


def moment(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """A time within a sentence: "today 10:00", "19 Nov 10:00"."""
    return fmt.moment(at, zone, now, seconds=False).replace("Today", "today")


def _since(alarm: AlarmRow) -> str:
    if alarm.rule in _SINCE:
        return _SINCE[alarm.rule]
    if alarm.rule.startswith("burn rate"):
        return "has used up what it is allowed too fast"
    if alarm.rule == "threshold":
        return "has been over its fixed limit" if alarm.direction == "up" else "has been under its fixed limit"
    return "has been above its upper limit" if alarm.direction == "up" else "has been below its lower limit"


def as_of(
    definition: Definition, metric: Metric | None, last: PointRow | None, baseline: BaselineRow | None, zone: ZoneInfo
) -> str:
    """What is drawn and where it stands: "Errors, feature search, hourly. Now 4.04 (n = 52), limits 4.18–4.44"."""
    unit = units.unit_of(metric)
    parts = [words.about(metric.title if metric else definition.metric, definition) + "."]
    if last is not None and last.now_value is not None:
        said = f"Last window {unit.text(last.now_value)} (n = {last.now_n:,})"
        # Limits made anew keep the reference; those of another reference are no measure of the one in force.
        is_of_another = (
            baseline is not None
            and baseline.limits_of is None
            and baseline.chart_no == last.chart_no
            and baseline.in_force_from is not None
            and last.start_at < baseline.in_force_from
        )
        if is_of_another:
            said += f", {UNJUDGED}"
        elif last.shown_level is not None:
            said += f", smoothed {unit.text(last.shown_level)}"
        if not is_of_another and (last.shown_low is not None or last.shown_high is not None):
            said += f", limits {units.band(unit, last.shown_low, last.shown_high)}"
        parts.append(said + ".")
    if baseline is not None and baseline.centre is not None:
        parts.append(f"Baseline {unit.text(baseline.centre)}.")
    parts.append(f"Times in {zone.key}.")
    return " ".join(parts)


def chance_words(
    monitor: MonitorRow, baseline: BaselineRow | None, fired: AlarmTally | None, chance: ByChance | None = None
) -> str:
    """How often these limits alarm while nothing is wrong."""
    if monitor.method is Method.COMPOSITE:
        return "A composite alarms as often as its members do together; a back-test tells how often that is."
    if monitor.method is Method.FIXED:
        number = fired.fired if fired is not None else 0
        said = "A fixed limit takes nothing from the alert budget and does not know what chance does; "
        said += f"it alarmed {number} time{'' if number == 1 else 's'} in 30 days."
        if chance is None:
            return said
        if chance.a_week is None:
            return f"{said} False alarms to expect: {chance.words}."
        return f"{said} Expect {words.about_number(chance.a_week)} a week {chance.words}."
    arl0 = baseline.arl0 if baseline is not None else monitor.arl0
    often = words.one_in(arl0, monitor.updates_a_week)
    return f"While nothing is wrong, these limits alarm {often}: one window in {arl0:,.0f}."


def fired_words(fired: AlarmTally) -> tuple[str, str]:
    """What alarmed in 30 days, and what people said of the pages among them: sums that add up."""
    notices = fired.fired - fired.pages
    title = f"{fired.fired:,} alarm{'' if fired.fired == 1 else 's'} in 30 days: "
    title += f"{fired.pages:,} page{'' if fired.pages == 1 else 's'}, {notices:,} without a page"
    if not fired.pages:
        return title, "None of them called anybody."
    said = f"{fired.real:,} real, {fired.false:,} false, {fired.accepted:,} accepted, {fired.unjudged:,} nobody judged"
    return title, f"Of the {'page' if fired.pages == 1 else f'{fired.pages:,} pages'}: {said}."


def sized(found: Sized | None, metric: Metric | None, since: str, against: str = "the baseline") -> Size | None:
    """How big the change is, whatever it is of; None where there is nothing to say."""
    if isinstance(found, Ratio):
        return _ratio(found, metric, since)
    if isinstance(found, list):
        return _categories(found, since, against)
    return size(found, metric, since, against)


def _ratio(found: Ratio, metric: Metric | None, since: str) -> Size:
    """ "How big: 2.4 times as many as expected (95% CI 1.9–3.1)"."""
    unit = units.unit_of(metric)
    edges = f"95% CI {found.low:.2f}{fmt.EN_DASH}{found.high:.2f}"
    windows = f"{found.windows:,} window{'' if found.windows == 1 else 's'} {since}"
    text = f"{unit.text(found.count)} came, {unit.text(found.expected)} were expected in these hours; {windows}. "
    text += f"{found.method[:1].upper()}{found.method[1:]}."
    if found.low <= 1 <= found.high:
        return Size(f"How big: may be nothing ({found.value:.2f} times what was expected, {edges})", text)
    return Size(f"How big: {found.value:.2f} times what was expected ({edges})", text)


def _categories(found: Sequence[Moved], since: str, against: str) -> Size | None:
    """ "How big: “rate_limited” went from 2 % to 14 %", and the others that moved most."""
    if not found:
        return None
    lines = [
        f"{_category(each.name)} {fmt.share(each.before)} to {fmt.share(each.after)} "
        f"({_points(each.value)}, 95% CI {_points(each.low)} to {_points(each.high)})"
        for each in found
    ]
    return Size(
        f"How big: {lines[0]}",
        f"{'; '.join(lines[1:])}. " * bool(lines[1:])
        + f"Shares in {against} and {since}, those that moved most; picked for that, so the differences run high.",
    )


def _category(name: str | None) -> str:
    return "unknown" if name is None else f"“{fmt.visible(name)[:60]}”"


def _points(value: float) -> str:
    return f"{fmt.MINUS if value < 0 else '+'}{abs(100 * value):.1f} points"


def size(
    found: Shift | TooLittle | None, metric: Metric | None, since: str, against: str = "the baseline"
) -> Size | None:
    """How big the change is: "A drop of 0.56 (95% CI 0.38–0.74)"."""
    if found is None:
        return None
    if isinstance(found, TooLittle):
        return Size("How big: too little to say", f"{found.have} of {found.need} {found.what}.")
    unit, by = units.unit_of(metric), units.difference(metric)
    low, high = sorted((abs(found.low), abs(found.high)))
    way = "rise" if found.value > 0 else "drop"
    n = f"{found.windows:,} window{'' if found.windows == 1 else 's'} {since}, n = {found.n:,.0f}"
    values = f"{unit.text(found.before)} in {against}, {unit.text(found.after)} now"
    if found.low <= 0 <= found.high:
        way = "a change"
        edges = f"{_signed(found.low, by)} to {_signed(found.high, by)}"
        return Size(f"How big: may be nothing (95% CI {edges})", f"{values}; {n}. {found.method.capitalize()}.")
    return Size(
        f"How big: a {way} of {by(found.value)} (95% CI {by(low)}{fmt.EN_DASH}{by(high)})",
        f"{values}; {n}. {found.method[:1].upper()}{found.method[1:]}. Measured on the windows that raised the alarm, "
        "so at first rather too big.",
    )


def _signed(value: float, by: object) -> str:
    return f"{fmt.MINUS if value < 0 else '+'}{by(value)}"  # type: ignore[operator]


def suspect(
    changes: Sequence[tuple[datetime, str]], alarm: AlarmRow | None, length: timedelta
) -> tuple[datetime, str] | None:
    """The last change shortly before the first window of an alarm ended; None where there is none."""
    if alarm is None:
        return None
    since = alarm.window_start - min(SUSPECT_WINDOWS * length, SUSPECT_MOST)
    near = [each for each in changes if since <= each[0] < alarm.window_end]
    return max(near, key=lambda each: each[0]) if near else None


def suspect_words(change: tuple[datetime, str], alarm: AlarmRow, zone: ZoneInfo, now: datetime) -> str:
    """ "The last change before it is prompt v18, Today 08:10, 2 h before its first window ended"."""
    lag = round((alarm.window_end - change[0]).total_seconds() / 60)
    long = words.span(timedelta(minutes=lag)) if lag < 120 else f"{lag / 60:.0f} h"
    at = moment(change[0], zone, now)
    return f"The last change before it is {change[1]} ({at}), {long} before its first window ended. That is no proof."


def rules(points: Sequence[PointRow], definition: Definition, metric: Metric | None, every: int) -> list[RuleLine]:
    """The rules that can alarm, by the newest judged window, and the run rules that only annotate."""
    judged = [point for point in points if point.phase > 1 and rules_of(point)]
    lines: list[RuleLine] = []
    if judged:
        now = rules_of(judged[-1])
        for name, (statistic, low, high) in now.items():
            is_out, unit = _is_beyond(statistic, low, high), unit_of_rule(name, metric)
            fired = [point.end_at for point in judged if _is_beyond(*rules_of(point).get(name, (0.0, None, None)))]
            lines.append(
                RuleLine(
                    name,
                    "raises an alarm",
                    "bad" if is_out else "ok",
                    "Beyond" if is_out else "Quiet",
                    unit.text(statistic),
                    units.band(unit, low, high, "none"),
                    fired[-1] if fired else None,
                )
            )
    if definition.no_data is not None:
        lines.append(_no_data(points, definition.no_data))
    return [*lines, *_run_rules(points, every)]


def unit_of_rule(name: str, metric: Metric | None) -> Unit:
    """How the statistic of a rule is written: limits that people set are in the metric's unit."""
    return units.unit_of(metric) if name in IN_UNIT else units.PLAIN


def _no_data(points: Sequence[PointRow], allowed: timedelta) -> RuleLine:
    fired = [point.end_at for point in points if point.rule == "no data" and point.crossed]
    is_now = bool(points) and points[-1].rule == "no data"
    return RuleLine(
        f"Nothing comes for {words.span(allowed)}",
        "raises an alarm",
        "bad" if is_now else "ok",
        "Beyond" if is_now else "Quiet",
        "nothing came" if points and points[-1].came_to is PointState.NO_DATA else "data come",
        words.span(allowed),
        fired[-1] if fired else None,
    )


def _run_rules(points: Sequence[PointRow], every: int) -> list[RuleLine]:
    """Marks of Western Electric on the single windows; nothing where windows were left out of the drawing."""
    known = [point for point in points if point.z is not None and point.phase > 1]
    if every > 1 or len(known) < 2:
        return []
    marks = western_electric(np.array([point.z for point in known], dtype=np.float64))
    found: dict[str, RuleLine] = {}
    for mark in marks:
        is_now = mark.at == len(known) - 1
        found[mark.rule] = RuleLine(
            mark.words,
            "noted only: chance alone does one of these once in about 92 windows",
            "watch" if is_now else "none",
            "Holds" if is_now else "Quiet",
            "",
            "",
            known[mark.at].end_at,
        )
    return list(found.values())


def _is_beyond(statistic: float, low: float | None, high: float | None) -> bool:
    return (high is not None and statistic > high) or (low is not None and statistic < low)


def members(monitors: Sequence[Shown], alarm: AlarmRow | None) -> list[MemberLine]:
    """The members of a composite, those that moved first."""
    moved: dict[int, datetime] = {}
    for told in (alarm.evidence.get("members") or ()) if alarm is not None else ():
        monitor, at = told.get("monitor"), told.get("at")
        if isinstance(monitor, int) and isinstance(at, int | float):
            moved[monitor] = datetime.fromtimestamp(at, UTC)
    lines = []
    for each in monitors:
        ribbon, word = words.standing(each.standing, each.standing_words, is_on=each.is_on)
        lines.append(MemberLine(each.id, each.name, ribbon, word, each.standing_since, moved.get(each.id)))
    return sorted(lines, key=lambda each: (each.moved_at is None, each.name.casefold()))


def finding(monitor: MonitorRow, alarm: AlarmRow | None, drawn: Sequence[PointRow]) -> str:
    """The bold line above the chart."""
    if alarm is not None and alarm.is_open:
        return f"{monitor.name}: {words.happened(alarm.rule, alarm.direction)}"
    outs = sum(point.came_to is PointState.OUT for point in drawn)
    watched = sum(point.phase > 1 for point in drawn)
    if not watched:
        return f"{monitor.name}: learning, no limits yet" if drawn else monitor.name
    return f"{monitor.name}: {outs} of {watched} watched windows beyond a limit" if outs else (
        f"{monitor.name}: all {watched} watched windows within limits"
    )  # fmt: skip
