"""The rules of a chart: which statistics it keeps, by which limits, and how a point moves them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alerts.detectors.base import Baseline, By, Json, NotThisBaseline, Part
from alerts.stats.resampling import Rule, youth
from evals.stats.quantiles import t_quantile

Floats = NDArray[np.float64]

# A sum of points over half an sd is quickest for lasting shifts of one sd.
SUM_K = 0.5


def chosen(by: By, usual: Sequence[Rule], channels: Sequence[str] = ("",)) -> tuple[Rule, ...]:
    """The rules of a method: `usual` by "chart"; two sums, or one point alone, of every channel by the others."""
    if by == "chart":
        return tuple(usual)
    share = 1 / len(channels)
    named = [(at, f"{name}, " if len(channels) > 1 else "") for at, name in enumerate(channels)]
    if by == "shewhart":
        return tuple(Rule(f"{name}one point", at, 1.0, share) for at, name in named)
    return tuple(
        rule
        for at, name in named
        for rule in (
            Rule(f"{name}CUSUM up", at, 1.0, share, "up", SUM_K),
            Rule(f"{name}CUSUM down", at, 1.0, share, "down", SUM_K),
        )
    )


def frozen(rules: Sequence[Rule], low: Floats, high: Floats, widening: bool = False) -> dict[str, Json]:
    """What a baseline keeps of its rules; a limit that is infinite is None. `widening` as `chain_limits` has it."""
    return {
        "rules": [rule.name for rule in rules],
        "channels": [rule.channel for rule in rules],
        "lams": [rule.lam for rule in rules],
        "sums": [rule.sums for rule in rules],
        "ks": [rule.k for rule in rules],
        "low": [float(one) if math.isfinite(one) else None for one in low],
        "high": [float(one) if math.isfinite(one) else None for one in high],
        **({"widening": True} if widening else {}),
    }


def reaching(
    rules: Sequence[Rule], low: Floats, high: Floats, sample: Floats, arl0: float, up_share: float
) -> tuple[Floats, Floats]:
    """The limits, those of one point alone carried on where `arl0` asks for more than the points of the baseline.

    `sample` (n, j): the standardised points by channel. A tail that was never reached cannot be resampled: it is the
    wider of t for means of many, and of an exponential fitted to the furthest tenth of the points (at least ten), which
    bears skew. Source: peaks over threshold, Pickands 1975, with shape 0.
    """
    low, high = low.copy(), high.copy()
    n = len(sample)
    for at, rule in enumerate(rules):
        if rule.sums or rule.lam < 1 or arl0 / rule.share <= n:
            continue
        for side, share, sign in ((high, up_share, 1), (low, 1 - up_share, -1)):
            rate = rule.share * share / arl0
            if rate > 0:
                least = t_quantile(1 - 2 * rate, n - 1) * math.sqrt(1 + 1 / n)
                side[at] = sign * max(abs(side[at]), least, furthest(sign * sample[:, rule.channel], rate))
    return low, high


def furthest(values: Floats, rate: float) -> float:
    """What is passed `rate` times a point by an exponential tail, fitted to the largest tenth of `values` (n,)."""
    ordered = np.sort(values)[::-1]
    count = min(max(10, len(values) // 10), len(values) - 1)
    start = float(ordered[count])
    excess = float(ordered[:count].mean()) - start
    return start + excess * math.log(max(1.0, count / len(values) / rate))


class Rules:
    """The rules of a baseline, read once a step."""

    def __init__(self, baseline: Baseline) -> None:
        names = baseline.parameters.get("rules")
        if not isinstance(names, (list, tuple)):
            raise NotThisBaseline(f"the baseline of kind {baseline.kind} names no rules")
        self.names = [str(name) for name in names]
        self.channels = [int(one) for one in baseline.numbers("channels")]
        self.lams = baseline.numbers("lams")
        sums = baseline.parameters.get("sums")
        signs = {"up": 1.0, "down": -1.0}
        self.signs = [signs.get(str(one), 0.0) for one in sums] if isinstance(sums, (list, tuple)) else []
        self.signs = self.signs or [0.0] * len(self.names)
        self.ks = baseline.numbers("ks") if any(self.signs) else (0.0,) * len(self.names)
        self.low = [None if math.isinf(one) else one for one in baseline.numbers("low")]
        self.high = [None if math.isinf(one) else one for one in baseline.numbers("high")]
        # Then the last of the statistics is the number of points since they started.
        self.widening = baseline.parameters.get("widening") is True

    @property
    def start(self) -> tuple[float, ...]:
        """The statistics before any point."""
        return (0.0,) * (len(self.names) + self.widening)

    def moved(self, statistics: Sequence[float], z: Sequence[float]) -> tuple[float, ...]:
        """The statistics after a point whose channels stand at `z`, in baseline sd."""
        age = (statistics[-1] + 1,) if self.widening else ()
        current = statistics[: len(self.names)]
        moved = tuple(
            max(0.0, c + sign * z[channel] - k) if sign else c + lam * (z[channel] - c)
            for c, lam, channel, sign, k in zip(current, self.lams, self.channels, self.signs, self.ks, strict=True)
        )
        return moved + age

    def parts(self, statistics: Sequence[float]) -> tuple[Part, ...]:
        """Every rule with its limits; a sum downward is drawn below 0."""
        low, high = self._limits(statistics)
        current = statistics[: len(self.names)]
        return tuple(
            Part(name, -c if c else 0.0, None if up is None else -up, None) if sign < 0 else Part(name, c, down, up)
            for name, c, down, up, sign in zip(self.names, current, low, high, self.signs, strict=True)
        )

    def _limits(self, statistics: Sequence[float]) -> tuple[list[float | None], list[float | None]]:
        if not self.widening:
            return self.low, self.high
        points = round(statistics[-1])
        parts = [1.0 if sign else youth(lam, points) for lam, sign in zip(self.lams, self.signs, strict=True)]
        low = [None if one is None else one * part for one, part in zip(self.low, parts, strict=True)]
        high = [None if one is None else one * part for one, part in zip(self.high, parts, strict=True)]
        return low, high
