"""Scores of counts against what was expected, and how long a silence may last.

A count is scored against a negative binomial of variance m + m²/size (inf: Poisson) by mid-p; what to expect at an hour
of the week is in `alerts.stats.seasons`, whose `dispersion` is 1 / size. Source: Cameron & Trivedi 1998, Regression
Analysis of Count Data, section 3.3; the specification, 3.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from alerts.stats.normal import Array, score
from alerts.stats.tails import count_tails

# An hour nobody was ever seen in still expects this, or its first request would be infinitely surprising.
EXPECTED_LEAST = 0.05
# Dispersion beyond which a count says nothing at all, and below which it is Poisson's.
_SIZE_LEAST, _SIZE_MOST = 0.05, 1e9


def size_of(dispersion: float) -> float:
    """The size of a negative binomial from its dispersion 1/r >= 0; inf, Poisson, from 0. ValueError below."""
    if not dispersion >= 0:
        raise ValueError(f"a dispersion is at least 0, not {dispersion}")
    return 1 / dispersion if dispersion > 1 / _SIZE_MOST else math.inf


def estimated_size(residuals: Array, expected: Array) -> float:
    """The size r of variance m + m²/r from residuals (m,) of expected counts (m,); inf where no more than Poisson.

    1/r = Σ(residual² - m) / Σm². Single wild windows are cut at five sd of a first estimate, so that one outage in a
    baseline does not make every later one normal; that costs honest long tails at most a quarter of their dispersion.
    """
    if not residuals.size:
        return math.inf
    squares, weight = residuals * residuals, float((expected * expected).sum())
    inverse = 0.0
    for _ in range(3):
        inverse = max(0.0, float((squares - expected).sum()) / weight)
        squares = squares.clip(max=25 * (expected + inverse * expected * expected))
    return max(size_of(inverse), _SIZE_LEAST)


def count_score(count: int, expected: float, size: float = math.inf) -> float:
    """z of a count >= 0 against its expectation: the normal score of the negative binomial's mid-p, within ±6."""
    tails = count_tails(count, max(expected, EXPECTED_LEAST), size)
    return score(tails.mid_low, tails.mid_high)


def silence_chance(expected: float, size: float = math.inf) -> float:
    """The chance that nothing at all comes where `expected` >= 0 were due: (1 + m/r)^-r, or e^-m."""
    if expected < 0:
        raise ValueError(f"an expectation is at least 0, not {expected}")
    if math.isinf(size):
        return math.exp(-expected)
    return math.exp(-size * math.log1p(expected / size))


def silence_needed(alpha: float, size: float = math.inf) -> float:
    """How many must have been due for nothing at all to be a surprise of chance `alpha` in (0, 1)."""
    if not 0 < alpha < 1:
        raise ValueError(f"a chance inside (0, 1) is needed, not {alpha}")
    if math.isinf(size):
        return -math.log(alpha)
    return size * math.expm1(-math.log(alpha) / size)


@dataclass(frozen=True, slots=True)
class Silence:
    """Whether having heard nothing is news: how many were due, the chance of none, and the chance that alarms."""

    due: float
    chance: float
    alpha: float

    @property
    def alarm(self) -> bool:
        return self.chance < self.alpha


def silence(expected: float, arl0: float, size: float = math.inf) -> Silence:
    """Silence against an error of one in `arl0` > 1 looks: a quiet night passes, a dead sender at noon does not."""
    if not arl0 > 1:
        raise ValueError(f"a wanted run length over 1 is needed, not {arl0}")
    return Silence(expected, silence_chance(expected, size), 1 / arl0)
