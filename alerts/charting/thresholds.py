"""What decides without a baseline: fixed limits, promised shares by burn rate, and charts made of charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.charting.types import RULE_BURN, RULE_CEILING, RULE_FLOOR, RULE_MEMBERS, RULE_THRESHOLD, Chart, Tally
from alerts.detectors.base import Direction, Part
from alerts.monitors.types import Composite, Definition, Members, Objective, Share, Threshold, Window
from alerts.stats.objectives import BURN_RULES, Held, burn, hold
from alerts.stats.objectives import Threshold as Rule
from alerts.stats.objectives import Window as BurnWindow

_LONGEST = timedelta(minutes=max(rule.long_minutes for rule in BURN_RULES))


@dataclass(frozen=True, slots=True)
class Ruling:
    """What rules without a baseline say of one window. `crossed`: the way out, None within limits.

    `value`: what was judged, in the metric's unit; `over`: whether what was alarmed about has ended for sure.
    """

    parts: tuple[Part, ...]
    lead: Part
    crossed: Direction | None
    value: float | None
    over: bool = False
    why: str = ""


def by_threshold(chart: Chart, threshold: Threshold, value: float) -> tuple[Chart, Ruling]:
    """A fixed limit with its hysteresis: `chart` keeps whether it is in breach and for how many windows beyond."""
    rule = Rule(threshold.limit, threshold.side, threshold.release, after=threshold.after)
    held, standing, _ = hold(rule, Held(chart.breached, chart.beyond), value, 1)
    is_over = threshold.side == "over"
    part = Part(
        RULE_THRESHOLD,
        value,
        None if is_over else threshold.limit,
        threshold.limit if is_over else None,
    )
    direction: Direction = "up" if is_over else "down"
    crossed = direction if standing == "breach" else None
    moved = replace(chart, breached=held.breached, beyond=held.beyond)
    return moved, Ruling((part,), part, crossed, value, over=crossed is None)


def by_burn(
    chart: Chart, objective: Objective, window: Window, share: Share, arl0: float
) -> tuple[tuple[Tally, ...], Ruling]:
    """Burn rates of a promised share over the rules' long and short windows, each with its exact proof.

    The budget's chance of a false alarm a window, 1/arl0, is split evenly among the rules. Windows longer than a rule's
    short one stand for it whole.
    """
    tallies = (*chart.tallies, Tally(window.start, window.end, share.k, share.n))
    tallies = tuple(one for one in tallies if one.end > window.end - _LONGEST)
    alpha = 1 / (arl0 * len(BURN_RULES))
    parts, crossed, proven = [], False, True
    for rule in BURN_RULES:
        long, short = (
            _summed(tallies, window.end - timedelta(minutes=minutes), window)
            for minutes in (rule.long_minutes, rule.short_minutes)
        )
        found = burn(rule, long, short, objective.allowed, alpha)
        rates = [rate for rate in (found.long_rate, found.short_rate) if rate is not None]
        statistic = min(rates) if rates else 0.0
        name = f"{RULE_BURN} {rule.rate:g} x, {rule.long_minutes} and {rule.short_minutes} minutes"
        parts.append((Part(name, statistic, None, rule.rate), found.alarm))
        crossed |= found.alarm
        proven &= found.alarm or statistic < rule.rate
    alarming = [part for part, is_out in parts if is_out]
    lead = max(alarming or [part for part, _ in parts], key=lambda part: part.nearness)
    value = share.k / share.n if share.n else None
    why = "" if proven else "it burns fast, and so few requests prove nothing yet"
    return tallies, Ruling(tuple(part for part, _ in parts), lead, "up" if crossed else None, value, why=why)


def by_members(chart: Chart, composite: Composite, members: Members) -> Ruling:
    """k of m members that alarmed, or the weighted mean of how near members are to their limits."""
    since = chart.fresh_from.timestamp() if chart.fresh_from else float("-inf")
    alarmed = {member for member, at in members.alarmed if at > since}
    if composite.score_over is None:
        part = Part(RULE_MEMBERS, float(len(alarmed)), None, float(composite.least))
        is_out = len(alarmed) >= composite.least
        return Ruling((part,), part, "up" if is_out else None, float(len(alarmed)), over=not is_out)
    weights = {member.monitor_id: member.weight for member in composite.members}
    known = [(weights[one], near) for one, near in members.nearness if near is not None and one in weights]
    total = sum(weight for weight, _ in known)
    if not total:
        part = Part(RULE_MEMBERS, 0.0, None, composite.score_over)
        return Ruling((part,), part, None, None, why="no member has a value")
    score = sum(weight * near for weight, near in known) / total
    part = Part(RULE_MEMBERS, score, None, composite.score_over)
    return Ruling((part,), part, part.crossed, score)


def _summed(tallies: Sequence[Tally], since: datetime, last: Window) -> BurnWindow:
    """What came from `since` on; the newest window always counts."""
    counted = [one for one in tallies if one.start >= since or one.end == last.end]
    return BurnWindow(sum(one.k for one in counted), sum(one.n for one in counted))


def bound(definition: Definition, value: float | None) -> Part | None:
    """The floor or ceiling that `value` is beyond, as a rule of its own; None within."""
    if value is None:
        return None
    if definition.floor is not None and value < definition.floor:
        return Part(RULE_FLOOR, value, definition.floor, None)
    if definition.ceiling is not None and value > definition.ceiling:
        return Part(RULE_CEILING, value, None, definition.ceiling)
    return None
