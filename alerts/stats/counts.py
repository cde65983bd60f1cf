"""Scores of counts against what was expected, their dispersion, and the chance of hearing nothing.

A count is scored against a negative binomial by mid-p; what to expect is in `alerts.stats.seasons`. Source: Cameron &
Trivedi 1998, Regression Analysis of Count Data, section 3.3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from alerts.stats.normal import score
from alerts.stats.tails import count_tails

Floats = NDArray[np.float64]

# A size beyond it is a Poisson.
_SIZE_MOST = 1e6


def size_by_moments(events: Floats, expected: Floats, level_error: float) -> float:
    """The negative binomial's size by moments: Σm² / max(0, Σ((k - m)² - m(1 + e))), e the error of the levels."""
    excess = float(((events - expected) ** 2 - expected * (1 + level_error)).sum())
    squares = float((expected**2).sum())
    return _SIZE_MOST if excess * _SIZE_MOST <= squares else max(squares / excess, 1e-3)


def count_score(k: float, mean: float, size: float, level_error: float) -> tuple[float, float, float]:
    """z and both mid-p tails of `k`; variance m + m²/size + e·m, the last because the level is an estimate itself."""
    tails = count_tails(int(k), mean, 1 / (1 / size + level_error / mean))
    return score(tails.mid_low, tails.mid_high), tails.mid_low, tails.mid_high


def silence_chance(expected: float, size: float = math.inf) -> float:
    """The chance that nothing at all comes where `expected` >= 0 were due: (1 + m/r)^-r, or e^-m."""
    if expected < 0:
        raise ValueError(f"an expectation is at least 0, not {expected}")
    if math.isinf(size):
        return math.exp(-expected)
    return math.exp(-size * math.log1p(expected / size))
