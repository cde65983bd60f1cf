"""Limits and the smoothed statistic in the unit people read: for the drawing alone, decisions are by the statistic.

A share's limits are drawn for its window's n, a count's for its hour; times and costs multiply, so theirs are drawn as
so many times what was usual; of a cost it is the cost and the detector's shift that multiply. They follow the geometric
middle, moved to the level of what is drawn. Each is the normal approximation to what the detector does exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alerts.detectors.base import Baseline, Part, State, Verdict
from alerts.detectors.counts import expected_at
from alerts.detectors.levels import level_error
from alerts.monitors.types import Count, Data, Level, Share, Values

# Beyond e^30 a ratio is no picture of anything.
_LOG_MOST = 30.0
# Money is counted in millionths of a dollar and drawn in dollars.
MICRO = 1e-6


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn of one window: limits, the smoothed level and the centre line; None where there is no such line."""

    low: float | None = None
    high: float | None = None
    level: float | None = None
    centre: float | None = None


@dataclass(frozen=True, slots=True)
class _Scale:
    """From the statistic to the metric's unit: `centre` and what one sd is there.

    `by_ratio`: sd of the logs, of values that had `shift` added before.
    """

    centre: float
    sd: float
    by_ratio: bool = False
    least: float | None = None
    most: float | None = None
    shift: float = 0.0

    def at(self, statistic: float | None) -> float | None:
        if statistic is None:
            return None
        moved = statistic * self.sd
        if self.by_ratio:
            ratio = math.exp(min(max(moved, -_LOG_MOST), _LOG_MOST))
            value = (self.centre + self.shift) * ratio - self.shift
        else:
            value = self.centre + moved
        value = value if self.least is None else max(value, self.least)
        return value if self.most is None else min(value, self.most)


def shown(
    baseline: Baseline, centre: float | None, before: State, data: Data, verdict: Verdict, an_event: float = 1.0
) -> Shown:
    """What is drawn of a window with `data` that came to `verdict`; `before`: the state it was judged from.

    `centre`: the middle of what was drawn while the baseline was learned; `an_event`: what one counted event is in the
    metric's unit. Nothing where a kind has no such picture.
    """
    part = _main(baseline, verdict)
    scale = _scale(baseline, centre, before, data, an_event)
    if part is None or scale is None:
        return Shown()
    if baseline.kind == "rare" or any(_list(baseline, "sums")):
        # A sum is no level: it has no place beside the values it is of.
        return Shown(centre=scale.at(0.0))
    return Shown(scale.at(part.limit_low), scale.at(part.limit_high), scale.at(part.statistic), scale.centre)


def _main(baseline: Baseline, verdict: Verdict) -> Part | None:
    """The rule that is drawn: the first one that averages, of the first channel."""
    channels = baseline.parameters.get("channels")
    lams = baseline.parameters.get("lams")
    for at, part in enumerate(verdict.parts):
        if isinstance(channels, list | tuple) and at < len(channels) and channels[at] != 0:
            continue
        if isinstance(lams, list | tuple) and at < len(lams) and lams[at] == 1 and len(verdict.parts) > 1:
            continue
        return part
    return verdict.parts[0] if verdict.parts else None


def _scale(baseline: Baseline, centre: float | None, before: State, data: Data, an_event: float) -> _Scale | None:
    known: Mapping[str, object] = baseline.parameters
    if isinstance(data, Share) and data.n and {"p", "rho"} <= set(known):
        p, rho = baseline.number("p"), baseline.number("rho")
        sd = math.sqrt(p * (1 - p) / data.n * (1 + (data.n - 1) * rho))
        return _Scale(p, sd, least=0.0, most=1.0)
    if isinstance(data, Count) and "used_to" in known:
        mean, sd = expected_at(baseline, before, data.hour)
        middle = (mean + baseline.number("centre") * sd) * an_event
        return _Scale(middle, baseline.number("sd") * sd * an_event, least=0.0)
    if isinstance(data, Values) and data.values and {"centres", "sds"} <= set(known):
        sd = _sd_of_values(baseline, data)
        if baseline.kind == "score":
            return _Scale(baseline.numbers("centres")[0], sd)
        if centre is None:
            return None
        # Costs are read as log(cost + least): without the shift a rise would be drawn too small, a fall too.
        shift = baseline.number("least") if "least" in known else 0.0
        return _Scale(centre, sd, by_ratio=True, least=0.0, shift=shift)
    if isinstance(data, Level) and baseline.kind == "level":
        middle, in_logs = baseline.number("centre"), baseline.number("logs") > 0
        sd = math.hypot(baseline.number("between"), level_error(data, in_logs))
        return _Scale(math.exp(middle) if in_logs else middle, sd, by_ratio=in_logs)
    return None


def _list(baseline: Baseline, name: str) -> Sequence[object]:
    found = baseline.parameters.get(name)
    return found if isinstance(found, list | tuple) else ()


def _sd_of_values(baseline: Baseline, data: Values) -> float:
    """The sd of what the main rule averages: a value, or the mean of a window with what windows differ by."""
    inside = baseline.numbers("sds")[0]
    between = baseline.numbers("between")
    if not between:
        return inside
    weights = data.weights or (1.0,) * len(data.values)
    size = math.fsum(weights) ** 2 / math.fsum(one * one for one in weights)
    return math.sqrt(between[0] ** 2 + inside**2 / size)
