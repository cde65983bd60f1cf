"""Fixed thresholds and objectives: burn rates that also need statistical proof, and what a threshold costs in pages.

A share is held against its objective in a long and a short window; an alarm takes the burn rate in both and, in both, a
one-sided exact binomial test that rejects the objective. Source of the windows: Beyer et al. 2018, The Site Reliability
Workbook, chapter 5, table 5-8. A plain threshold alarms at any noise; how often is computed before it is saved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from alerts.stats.normal import Array
from alerts.stats.tails import share_tails
from evals.stats.quantiles import wilson_limits

Side = Literal["over", "under"]


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Alarm when both windows use up the allowed share `rate` times as fast as it was meant to last."""

    long_minutes: int
    short_minutes: int
    rate: float


BURN_RULES = (BurnRule(60, 5, 14.4), BurnRule(360, 30, 6.0))


@dataclass(frozen=True, slots=True)
class Window:
    """`bad` of `n` in a window; without n there is neither a burn rate nor proof."""

    bad: int
    n: int


@dataclass(frozen=True, slots=True)
class Burn:
    """One rule at one moment: burn rate and exact p of both windows (None for n = 0), and whether it alarms."""

    rule: BurnRule
    long_rate: float | None
    short_rate: float | None
    long_p: float | None
    short_p: float | None
    alarm: bool


def exact_p(bad: int, n: int, objective: float) -> float | None:
    """P(X >= bad) of n where the share is the `objective`: one-sided exact binomial. None for n = 0.

    ValueError unless 0 < objective < 1 and 0 <= bad <= n.
    """
    if n == 0:
        return None
    tails = share_tails(bad, n, objective)
    return min(1.0, tails.at + tails.above)


def burn_rate(bad: int, n: int, objective: float) -> float | None:
    """How many times the allowed share of bad ones there are: 1 uses the budget up just in time. None for n = 0."""
    if not 0 < objective < 1:
        raise ValueError(f"the allowed share of bad ones lies inside (0, 1), not {objective}")
    return None if n == 0 else bad / n / objective


def burn(rule: BurnRule, long: Window, short: Window, objective: float, alpha: float) -> Burn:
    """The verdict of one rule: `objective` the allowed share of bad ones, `alpha` from the budget (1 / ARL0)."""
    rates = [burn_rate(window.bad, window.n, objective) for window in (long, short)]
    ps = [exact_p(window.bad, window.n, objective) for window in (long, short)]
    fast = all(rate is not None and rate >= rule.rate for rate in rates)
    proven = all(p is not None and p < alpha for p in ps)
    return Burn(rule, rates[0], rates[1], ps[0], ps[1], fast and proven)


def spent(bad: int, n: int, objective: float) -> float | None:
    """The share of the objective's own allowance that is used up (over 1: missed), of all `n` of its period."""
    return burn_rate(bad, n, objective)


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """What a threshold would alarm while nothing is wrong: a window's chance, and rising edges a week.

    `windows` it was worked out from; `a_week` counts the beginnings of stretches beyond the threshold, as a page does.
    `low` and `high`: limits of `a_week` where it comes from counting windows, None where it is computed.
    """

    chance: float
    a_week: float
    windows: int
    windows_a_week: float
    low: float | None = None
    high: float | None = None


def breach_chance(n: int, threshold: float, p: float, rho: float = 0.0, side: Side = "over", n_min: int = 1) -> float:
    """The chance that a window of `n` has a share over (under) `threshold` while the truth is `p`; 0 below `n_min`."""
    if n < max(n_min, 1):
        return 0.0
    if side == "over":
        k = math.floor(threshold * n + 1e-9)
        return share_tails(k, n, p, rho).above if k < n else 0.0
    k = math.ceil(threshold * n - 1e-9)
    return share_tails(k, n, p, rho).below if k > 0 else 0.0


def expected_false_alarms(
    volumes: Sequence[int],
    windows_a_week: float,
    threshold: float,
    p: float,
    rho: float = 0.0,
    side: Side = "over",
    n_min: int = 1,
) -> FalseAlarms:
    """False alarms a week of "share over `threshold`" at windows of these real `volumes` (m,) in their order.

    Exact for windows independent of each other: an edge at t is a breach after none, c_t·(1 - c_{t-1}), round the end.
    ValueError without any window.
    """
    if not volumes:
        raise ValueError("at least one window is needed")
    known: dict[int, float] = {}
    for n in volumes:
        if n not in known:
            known[n] = breach_chance(n, threshold, p, rho, side, n_min)
    chances = np.array([known[n] for n in volumes])
    edges = float(np.mean(chances * (1 - np.roll(chances, 1))))
    return FalseAlarms(float(chances.mean()), edges * windows_a_week, len(volumes), windows_a_week)


def replayed_false_alarms(
    values: Array, windows_a_week: float, threshold: float, side: Side = "over"
) -> FalseAlarms | None:
    """The same from a baseline of window values (m,) held to be in control: counted, with Wilson's limits at 95 %.

    NaN values are windows without data and breach nothing. None without any value.
    """
    seen = values[~np.isnan(values)]
    if not seen.size:
        return None
    beyond = seen > threshold if side == "over" else seen < threshold
    before = np.concatenate((np.zeros(1, dtype=bool), beyond[:-1]))
    share = float((beyond & ~before).mean())
    low, high = (limit * windows_a_week for limit in wilson_limits(share, seen.size))
    return FalseAlarms(float(beyond.mean()), share * windows_a_week, int(seen.size), windows_a_week, low, high)


Standing = Literal["ok", "breach", "no_data", "too_little"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A fixed limit: breached `side` it, ended only behind `release` (hysteresis), never decided under `n_min`.

    `after`: that many windows in a row before it alarms. ValueError where the release lies beyond the limit.
    """

    limit: float
    side: Side = "over"
    release: float | None = None
    n_min: int = 1
    after: int = 1

    def __post_init__(self) -> None:
        if self.release is not None and (
            self.release > self.limit if self.side == "over" else self.release < self.limit
        ):
            raise ValueError(f"a threshold {self.side} {self.limit} cannot end at {self.release}")
        if self.n_min < 1 or self.after < 1:
            raise ValueError(f"n_min and after are at least 1, not {self.n_min}, {self.after}")

    def beyond(self, value: float) -> bool:
        return value > self.limit if self.side == "over" else value < self.limit

    def ended(self, value: float) -> bool:
        """Whether a breach is over: back behind the release, or the limit where there is none."""
        end = self.limit if self.release is None else self.release
        return value <= end if self.side == "over" else value >= end


@dataclass(frozen=True, slots=True)
class Held:
    """Where a threshold stands: in breach or not, and for how many windows in a row it was beyond its limit."""

    breached: bool = False
    beyond: int = 0


def hold(rule: Threshold, held: Held, value: float | None, n: int) -> tuple[Held, Standing, bool]:
    """The next standing, its word, and whether this window is the beginning of a breach. No data changes nothing."""
    if value is None or n == 0:
        return held, "no_data", False
    if n < rule.n_min:
        return held, "too_little", False
    if held.breached:
        if rule.ended(value):
            return Held(), "ok", False
        return held, "breach", False
    run = held.beyond + 1 if rule.beyond(value) else 0
    if run >= rule.after:
        return Held(True, run), "breach", True
    return Held(False, run), "ok", False
