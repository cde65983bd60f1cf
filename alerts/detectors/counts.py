"""Counts against the hour of the week, and silence: requests, sessions, tokens, money in whole units.

What an hour is used to comes from the same hours of the weeks before; a factor from the last day follows slow growth,
and stands still while the detector is latched. The count becomes the normal score of its mid-p value under a negative
binomial, charted by an EWMA and by its exact tail. Silence is a rule of its own: a quiet night says nothing, a dead
sender at noon is told within minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import phase1
from alerts.detectors._rules import Rules, chosen, frozen, furthest
from alerts.detectors.base import (
    Baseline,
    NotStable,
    Part,
    Ruled,
    Settings,
    State,
    TooLittle,
    Verdict,
    judged,
    of_kind,
)
from alerts.detectors.points import Count as Count
from alerts.detectors.shares import one_point
from alerts.stats.counts import count_score, silence_chance, size_by_moments
from alerts.stats.dependence import memory
from alerts.stats.normal import Z_TAIL, above, quantile
from alerts.stats.resampling import Channel, Rule, chain_limits
from alerts.stats.seasons import between, by_other_laps, trend, trended, used_to
from alerts.stats.sums import Spread, is_sum, spread_by_moments, sum_score, unit_of_sums

KIND = "count"
Floats = NDArray[np.float64]

HOURS = 168
WEEKS_LEAST, WEEKS_FOR_HOURS_OF_WEEK = 2, 4
# Long windows: two weeks hold few of them.
_WINDOWS_LEAST = 12
# The variance of a median against that of a mean, in large normal samples: π/2.
_OF_A_MEDIAN = math.pi / 2
_SMOOTH = 0.2
# A chance below it is none: limits are kept where numbers can still be told apart.
_NEVER = 1e-200


@dataclass(frozen=True, slots=True)
class CountSettings(Settings):
    """`windows_a_day` fixes the window; `ewma_share` and `silence_share` of the budget, the rest is the one point's."""

    lam: float = 0.1
    ewma_share: float = 0.7
    silence_share: float = 0.15
    windows_a_day: float = 96


class Counts:
    """The detector of counts."""

    kind = KIND

    def learn(self, points: Sequence[Count], settings: CountSettings, seed: int) -> Baseline | NotStable | TooLittle:
        """What each hour is used to, how much it varies, and the limits. User-marked days are left out before.

        Windows in their order, from 2 weeks on; from 4 on by hour of the week, else by hour of the day. Every window
        is judged by the *other* weeks, so that the error of what an hour is used to counts as its variation. TooLittle
        under 2 weeks; NotStable for a change within. Source: statistics.md 3.5; dispersion by moments.
        """
        need = max(_WINDOWS_LEAST, math.ceil(WEEKS_LEAST * 7 * settings.windows_a_day))
        if len(points) < need:
            return TooLittle(len(points), need, "windows")
        weekly = len(points) >= WEEKS_FOR_HOURS_OF_WEEK * 7 * settings.windows_a_day
        events = np.array([point.events for point in points], dtype=np.float64)
        period = HOURS if weekly else 24
        hours = np.array([point.hour % period for point in points])
        laps = len(points) / max(1.0, settings.windows_a_day * (7 if weekly else 1))
        level_error = _OF_A_MEDIAN / ((laps - 1) * max(1.0, settings.windows_a_day / 24))

        def expected_by(unit: float) -> Floats:
            return trended(events, by_other_laps(events, hours, period, unit), settings.windows_a_day)

        unit, expected = 1.0, expected_by(1.0)
        sums = is_sum(events, expected, size_by_moments(events, expected, level_error), level_error)
        for fit in (unit_of_sums, _unit_of_spread) if sums else ():
            # The levels of sums need the unit, and the unit levels.
            unit = fit(events, expected, level_error)
            expected = expected_by(unit)

        def fitted(kept: NDArray[np.bool_]) -> Spread:
            if sums:
                return spread_by_moments(events[kept], expected[kept], level_error)
            return Spread(1.0, size_by_moments(events[kept], expected[kept], level_error), 1.0)

        def scores(kept: NDArray[np.bool_]) -> Floats:
            by = fitted(kept)
            pairs = zip(events.tolist(), expected.tolist(), strict=True)
            return np.array([_scored(k, mean, by, level_error)[0] for k, mean in pairs])

        kept = phase1.screened(len(points), scores)
        spread = fitted(kept)
        used = used_to(events, hours, period, unit)
        z = scores(kept)[kept]
        refusal = phase1.refused(z, seed, np.flatnonzero(kept).tolist())
        if refusal is not None:
            return refusal
        centre, sd = float(z.mean()), max(float(z.std(ddof=1)), 0.5)
        # Where nothing downward is asked for, silence is none of it.
        silent = settings.silence_share if settings.up_share < 1 else 0.0
        averaged = {"chart": settings.ewma_share, "cusum": 1 - silent, "shewhart": 0.0}[settings.by]
        rules, low, high = self._ruled(z, settings, averaged, seed)
        single = (1 - averaged - silent) / settings.arl0
        highest, lowest = single * settings.up_share, single * (1 - settings.up_share)
        if sums:
            # Amounts may have a longer tail than a gamma's: then as far as the baseline's own goes on.
            z = (z - centre) / sd
            highest = min(highest, _beyond(z, highest, centre, sd))
            lowest = min(lowest, _beyond(-z, lowest, -centre, sd))
        return Baseline(
            kind=KIND,
            parameters={
                "used_to": used,
                "unit": spread.unit,
                "size": spread.size,
                "one": spread.one,
                "level_error": level_error,
                "centre": centre,
                "sd": sd,
                **frozen(rules, low, high),
                "alpha_high": highest,
                "alpha_low": lowest,
                "alpha_silence": silent / settings.arl0,
                "windows_a_day": settings.windows_a_day,
            },
            n=int(events.sum()),
            windows=len(points),
            method="by hour of the week" if weekly else "by hour of the day",
            seed=seed,
            arl0=settings.arl0,
            excluded=tuple(np.flatnonzero(~kept).tolist()),
        )

    @staticmethod
    def _ruled(z: Floats, settings: CountSettings, share: float, seed: int) -> tuple[Sequence[Rule], Floats, Floats]:
        """The rules but for one point and silence, with their limits on `share` of the budget."""
        usual = Rule(f"EWMA {settings.lam:g}", 0, settings.lam, 1.0)
        rules = () if settings.by == "shewhart" else chosen(settings.by, (usual,))
        if not rules:
            return rules, np.empty(0), np.empty(0)
        limits = chain_limits(
            z[:, None],
            [Channel("count", 0.5, memory(z))],
            rules,
            arl0=settings.arl0 / share,
            up_share=settings.up_share,
            seed=seed,
            smooth=_SMOOTH,
        )
        return rules, limits.low, limits.high

    def step(self, baseline: Baseline, state: State, point: Count) -> tuple[State, Verdict]:
        """The state after one closed window. NotThisBaseline for a baseline of another kind."""
        of_kind(baseline, KIND)
        usual, seen, due, since = _where(baseline, state, point.hour)
        mean = usual * trend(seen, due, usual)
        raw, lower, upper = _scored(float(point.events), mean, _spread(baseline), baseline.number("level_error"))
        z = (raw - baseline.number("centre")) / baseline.number("sd")
        rules = Rules(baseline)
        moved = rules.moved(state.statistics or rules.start, (z,))
        since = since + mean if point.events == 0 else 0.0
        alphas = baseline.number("alpha_low"), baseline.number("alpha_high")
        single = (one_point(lower, upper, *alphas),) if any(alphas) else ()
        parts = (*rules.parts(moved), *single, _silence(baseline, since, mean))
        if not state.latched:
            keep = math.exp(-1 / baseline.number("windows_a_day"))
            seen, due = keep * seen + point.events, keep * due + usual
        return judged(state, Ruled(parts, moved, z, (seen, due, since)))


def silence(baseline: Baseline, state: State, hours: Iterable[tuple[float, float]]) -> Part:
    """The rule of silence between windows: stretches (their middle as an hour, their part of an hour) without an event.

    Asked as often as one likes: the chance is that of one gap so long, and gaps come as often as events do.
    """
    of_kind(baseline, KIND)
    windows_an_hour = baseline.number("windows_a_day") / 24
    quiet, mean = 0.0, 0.0
    for hour, part in hours:
        usual, seen, due, _ = _where(baseline, state, hour)
        mean = usual * trend(seen, due, usual)
        quiet += mean * windows_an_hour * part
    return _silence(baseline, quiet, mean)


def expected_at(baseline: Baseline, state: State, hour: float) -> tuple[float, float]:
    """What a window at `hour` is expected to hold, and the sd of that: variance u·m(1 + e) + m²/size, as judged."""
    of_kind(baseline, KIND)
    usual, seen, due, _ = _where(baseline, state, hour)
    mean, spread = usual * trend(seen, due, usual), _spread(baseline)
    return mean, math.sqrt(mean * (spread.unit * (1 + baseline.number("level_error")) + mean / spread.size))


def _beyond(z: Floats, rate: float, centre: float, sd: float) -> float:
    """The chance, under the law of sums, of what the tail of `z` (n,) itself passes `rate` times a window."""
    return max(above(centre + sd * furthest(z, rate)), _NEVER) if rate > 0 else rate


def _unit_of_spread(events: Floats, expected: Floats, level_error: float) -> float:
    return spread_by_moments(events, expected, level_error).unit


def _spread(baseline: Baseline) -> Spread:
    """The spread as it was frozen. Baselines of before sums were told from counts have none but a size."""
    if "unit" not in baseline.parameters:
        return Spread(1.0, baseline.number("size"), 1.0)
    return Spread(baseline.number("unit"), baseline.number("size"), baseline.number("one"))


def _scored(k: float, mean: float, spread: Spread, level_error: float) -> tuple[float, float, float]:
    if spread.unit > 1:
        return sum_score(k, mean, spread, level_error)
    return count_score(k, mean, spread.size, level_error)


def _silence(baseline: Baseline, quiet: float, mean: float) -> Part:
    """P(no event where `quiet` were due) on the scale of normal scores, against the chance that the budget gives it.

    A sum of mean m comes of m / unit events at least, however their amounts differ: sums are silent by those.
    """
    spread = _spread(baseline)
    chance = silence_chance(quiet / spread.unit, spread.size)
    # One gap for each event: the more events a window holds, the more gaps there are to be long by chance.
    alpha = baseline.number("alpha_silence") / max(1.0, mean / spread.unit)
    if alpha <= 0:
        return Part("silence", 0.0, None, None)
    limit = quantile(alpha)
    statistic = 0.0 if chance >= 0.5 else quantile(max(chance, min(Z_TAIL, alpha / 10)))
    return Part("silence", statistic, limit, None)


def _where(baseline: Baseline, state: State, hour: float) -> tuple[float, float, float, float]:
    used = baseline.numbers("used_to")
    seen, due, since = state.pending or (0.0, 0.0, 0.0)
    return between(used, hour % len(used)), seen, due, since
