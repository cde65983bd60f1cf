"""Shares of a changing number: exact mid-p scores with overdispersion, and the exact limits of one window.

A share is never charted with one sd: 1 of 3 and 100 of 300 are not the same surprise. The score of a window is normal
whatever its n, so the limits of an EWMA of normal points hold. Source: mid-p by Lancaster 1961; overdispersion by
moments of the beta-binomial; sigma_z of Laney 2002, Quality Engineering 14, 531-537.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.stats.ewma import Sides
from alerts.stats.normal import Array, score
from alerts.stats.shewhart import D2
from alerts.stats.tails import share_tails
from evals.stats.results import TooLittle

Counts = NDArray[np.int64]

# Events a baseline needs before its share is worth a limit; fewer: alerts.stats.rare.
EVENTS_MIN = 30
WINDOWS_MIN = 2
_RHO_MOST = 0.99
_DRAWS, _BY_CHANCE = 400, 0.01


def normal_score(k: int, n: int, p: float, rho: float = 0.0) -> float | None:
    """z of `k` of `n` against share `p` correlated by `rho`: the normal score of mid-p, within ±6; None for n = 0."""
    if n == 0:
        return None
    tails = share_tails(k, n, p, rho)
    return score(tails.mid_low, tails.mid_high)


@dataclass(frozen=True, slots=True)
class Reference:
    """The share of a baseline: `events` of `n` in `windows` that held any.

    `rho`: how alike two of one window are, 0 for independent ones. `sigma_z`: Laney's overdispersion, 1 where windows
    vary as chance does (for show: his limits take no account of n).
    """

    p: float
    rho: float
    sigma_z: float
    events: int
    n: int
    windows: int


def reference(k: Counts, n: Counts, events_min: int = EVENTS_MIN) -> Reference | TooLittle:
    """The baseline of windows with `k` (m,) of `n` (m,), in their order; those with n = 0 say nothing and are left out.

    rho = max(0, (mean z² - 1) / (mean n - 1)), z the plain binomial scores. Too little with fewer than `events_min`
    events or with as few that were none. ValueError where shapes differ or k is not within 0..n.
    """
    if k.shape != n.shape or (k < 0).any() or (k > n).any():
        raise ValueError("k and n need one shape and 0 <= k <= n")
    k, n = k[n > 0], n[n > 0]
    events, total = int(k.sum()), int(n.sum())
    if min(events, total - events) < max(events_min, 1) or k.size < WINDOWS_MIN:
        return TooLittle(min(events, total - events), max(events_min, 1), "events")
    p = events / total
    return Reference(p, overdispersion(k, n, p), laney_sigma(k, n, p), events, total, int(k.size))


def _scores(k: Counts, n: Counts, p: float) -> Array:
    z: Array = (k / n - p) / np.sqrt(p * (1 - p) / n)
    return z


def overdispersion(k: Counts, n: Counts, p: float) -> float:
    """rho of windows with n > 0 against share `p`; 0 where they vary no more than chance, or hold one each."""
    size = float(n.mean())
    if size <= 1:
        return 0.0
    z = _scores(k, n, p)
    return min(_RHO_MOST, max(0.0, (float(np.mean(z * z)) - 1) / (size - 1)))


def dispersed(k: Counts, n: Counts, p: float, seed: int) -> float:
    """`overdispersion` where windows vary more than 99 of 100 drawn at share `p`, else 0. n > 0.

    Of rare events the moments are ruled by single windows: unless chance rarely does it, they say nothing.
    """
    found = overdispersion(k, n, p)
    if found == 0:
        return 0.0
    random = np.random.default_rng([seed, 5])
    drawn = random.binomial(n, p, (_DRAWS, n.size))
    z = (drawn / n - p) / np.sqrt(p * (1 - p) / n)
    seen = float(np.mean(_scores(k, n, p) ** 2))
    return found if float(((z * z).mean(axis=1) >= seen).mean()) < _BY_CHANCE else 0.0


def laney_sigma(k: Counts, n: Counts, p: float) -> float:
    """Laney's sigma_z: the mean moving range of the plain scores over 1.128. Windows in their order, n > 0."""
    return float(np.abs(np.diff(_scores(k, n, p))).mean()) / D2


@dataclass(frozen=True, slots=True)
class Crossing:
    """The counts of one window that alarm: at or over `high`, at or under `low`; None where no count would."""

    low: int | None
    high: int | None


def one_point_limits(n: int, p: float, rho: float, alpha: float, sides: Sides = "both") -> Crossing:
    """The counts of `n` whose mid-p value is under `alpha` (half of it each side). ValueError outside (0, 1)."""
    if not 0 < alpha < 1:
        raise ValueError(f"a chance inside (0, 1) is needed, not {alpha}")
    tail = alpha / 2 if sides == "both" else alpha
    low = high = None
    if n > 0 and sides != "up":
        # The number of counts from 0 on that alarm, by bisection: mid-p rises with the count.
        first, last = 0, math.ceil(n * p)
        while first < last:
            middle = (first + last) // 2
            if share_tails(middle, n, p, rho).mid_low < tail:
                first = middle + 1
            else:
                last = middle
        low = first - 1 if first else None
    if n > 0 and sides != "down":
        first, last = math.floor(n * p), n + 1
        while first < last:
            middle = (first + last) // 2
            if share_tails(middle, n, p, rho).mid_high < tail:
                last = middle
            else:
                first = middle + 1
        high = first if first <= n else None
    return Crossing(low, high)


def one_point_alarm(k: int, n: int, p: float, rho: float, alpha: float, sides: Sides = "both") -> Sides | None:
    """ "up" or "down" where this one window passes its exact limit, else None; None for n = 0."""
    if n == 0:
        return None
    tail = alpha / 2 if sides == "both" else alpha
    tails = share_tails(k, n, p, rho)
    if sides != "down" and tails.mid_high < tail:
        return "up"
    return "down" if sides != "up" and tails.mid_low < tail else None


def crossing_chance(n: int, crossing: Crossing, p: float, rho: float = 0.0) -> float:
    """The chance that a window of `n` passes these limits while its share is `p`: what a point costs of the budget."""
    if n == 0:
        return 0.0
    down = 0.0
    if crossing.low is not None:
        tails = share_tails(crossing.low, n, p, rho)
        down = tails.below + tails.at
    up = 0.0
    if crossing.high is not None:
        tails = share_tails(crossing.high, n, p, rho)
        up = tails.above + tails.at
    return min(1.0, down + up)


def p_chart(n: int, p: float, limit: float = 3.0) -> tuple[float, float]:
    """The textbook limits p ± L·sqrt(p(1-p)/n), cut at 0 and 1: for comparison, not for alarms.

    Source: Montgomery, Introduction to Statistical Quality Control, section 7.2.
    """
    half = limit * math.sqrt(p * (1 - p) / n)
    return max(0.0, p - half), min(1.0, p + half)
