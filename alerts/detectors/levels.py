"""One number a window: a host's load, a lag, a ratio, a quantile. Limits follow from its spread between windows.

Such numbers resemble their neighbours and have days in them; both are part of being in control, and limits are drawn
accordingly. Numbers over 0 with a long tail are read by their logs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alerts.detectors import phase1
from alerts.detectors._rules import Rules, chosen, frozen, reaching
from alerts.detectors.base import (
    Baseline,
    NotStable,
    Ruled,
    Settings,
    State,
    TooLittle,
    Verdict,
    judged,
    of_kind,
)
from alerts.detectors.points import Level
from alerts.stats.dependence import memory
from alerts.stats.normal import Array
from alerts.stats.resampling import Channel, Rule, chain_limits

KIND = "level"

USUAL = (Rule("EWMA 0.1", 0, 0.1, 0.8), Rule("one point", 0, 1.0, 0.2))
# A skewness beyond it is read by logs: the exponential has 2, the normal 0.
_SKEWED = 1.0
_BLOCKS_LEAST = 8
_SMOOTH = 0.3
# Neighbours that correlate by so many standard errors may have a day in them.
_CLEARLY = 2.0
# Levels that are all alike: so much of the level, and of the scale of numbers, is then one sd.
_PART, _LEAST = 0.02, 1e-9
# One wild window must not hold an average beyond its limit for ever.
_Z_MOST = 20.0


@dataclass(frozen=True, slots=True)
class LevelSettings(Settings):
    """`windows_min` windows make a baseline; `windows_a_day` says how long a day is in windows."""

    windows_min: int = 50
    windows_a_day: float = 24.0


class Levels:
    """The detector of one number a window."""

    kind = KIND

    def learn(self, points: Sequence[Level], settings: LevelSettings, seed: int) -> Baseline | NotStable | TooLittle:
        """A frozen level with its spread between windows, beyond the numbers' own errors where those are known.

        Windows in their order, dependent or not: where neighbours resemble each other, limits are the wider of those
        drawn with a level that wanders and those from blocks of a day. TooLittle under `windows_min` windows; NotStable
        for a change within. Source: statistics.md 2.3, 2.4; blocks as Künsch 1989.
        """
        n = len(points)
        if n < max(settings.windows_min, _BLOCKS_LEAST):
            return TooLittle(n, max(settings.windows_min, _BLOCKS_LEAST), "windows")
        values = np.array([point.value for point in points], dtype=np.float64)
        in_logs = bool((values > 0).all()) and _skewness(values) > _SKEWED
        read = np.log(values) if in_logs else values
        errors = np.array([level_error(point, in_logs) for point in points], dtype=np.float64)

        def spread(kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[float, float]:
            weights = 1 / (float(read[kept].var(ddof=1)) + errors[kept] ** 2 + _LEAST**2)
            centre = float(np.average(read[kept], weights=weights))
            between = max(0.0, float(((read[kept] - centre) ** 2 - errors[kept] ** 2).sum()) / (int(kept.sum()) - 1))
            floor = _PART if in_logs else max(_PART * abs(centre), _LEAST)
            flat = float(np.hypot(math.sqrt(between), errors[kept]).max()) < 1e-6 * max(abs(centre), _LEAST)
            return centre, max(math.sqrt(between), floor if flat else 0.0)

        def scores(kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Array:
            centre, between = spread(kept)
            z: Array = (read - centre) / np.maximum(np.hypot(between, errors), _LEAST)
            return z

        kept = phase1.screened(n, scores)
        z = scores(kept)
        refusal = phase1.refused(z, seed)
        if refusal is not None:
            return refusal
        centre, between = spread(kept)
        lasting = memory(z[kept])
        is_lasting = lasting.share * lasting.keep > _CLEARLY / math.sqrt(n)
        block = max(1, min(round(settings.windows_a_day), n // _BLOCKS_LEAST)) if is_lasting else 1
        z = z[kept]
        rules = chosen(settings.by, USUAL)
        flat = float(z.std(ddof=1)) < 0.5
        low, high = np.full(len(rules), np.inf), np.full(len(rules), -np.inf)
        # What lasts either wanders or comes back daily: the wider of both limits bears either.
        for size, kind in ((1, lasting), (block, None)) if block > 1 else ((1, lasting),):
            limits = chain_limits(
                z[:, None],
                [Channel("level", 1.0 if flat else 0.0, kind)],
                rules,
                arl0=settings.arl0,
                up_share=settings.up_share,
                seed=seed,
                block=size,
                smooth=1.0 if flat else _SMOOTH,
            )
            low, high = np.minimum(low, limits.low), np.maximum(high, limits.high)
        low, high = reaching(rules, low, high, z[:, None], settings.arl0, settings.up_share)
        return Baseline(
            kind=KIND,
            parameters={
                "centre": centre,
                "between": between,
                "logs": 1.0 if in_logs else 0.0,
                "lasting": lasting.share,
                "keep": lasting.keep,
                "block": block,
                "beyond": limits.beyond,
                **frozen(rules, low, high),
            },
            n=n,
            windows=n,
            method=("logs of levels" if in_logs else "levels") + (f", blocks of {block}" if block > 1 else ""),
            seed=seed,
            arl0=settings.arl0,
            excluded=tuple(np.flatnonzero(~kept).tolist()),
        )

    def step(self, baseline: Baseline, state: State, point: Level) -> tuple[State, Verdict]:
        """The state after one window. NotThisBaseline for a baseline of another kind."""
        of_kind(baseline, KIND)
        rules = Rules(baseline)
        in_logs = baseline.number("logs") > 0
        # A number that was never 0 and is 0 now has no log: it lies as far below as any may.
        value = (math.log(point.value) if point.value > 0 else -math.inf) if in_logs else point.value
        error = level_error(point, in_logs)
        z = (value - baseline.number("centre")) / max(math.hypot(baseline.number("between"), error), _LEAST)
        z = min(max(z, -_Z_MOST), _Z_MOST)
        moved = rules.moved(state.statistics or rules.start, (z,))
        return judged(state, Ruled(rules.parts(moved), moved, z))


def level_error(point: Level, in_logs: bool) -> float:
    """The standard error of the number as it is read; 0 where it is unknown."""
    if point.sd is None:
        return 0.0
    return point.sd / point.value if in_logs and point.value > 0 else 0.0 if in_logs else point.sd


def _skewness(values: Array) -> float:
    """The third standardised moment; 0 of values that are all alike."""
    centred = values - values.mean()
    sd = float(centred.std())
    return float((centred**3).mean()) / sd**3 if sd > 1e-12 * max(1.0, abs(float(values.mean()))) else 0.0
