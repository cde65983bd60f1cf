"""Scores of sums against what was expected: money and tokens, where each event brings an amount of its own.

A sum of N events with amounts X has the variance m·E[X²]/E[X] where a count has m: a few dear calls make a quiet hour
far more uneven than its mean says. `unit` is that ratio, in the unit of the sum, and sums over `unit` behave like
counts. Source: compound Poisson sums, Jørgensen 1987, J. R. Statist. Soc. B 49, 127-162.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.stats.gamma import lower_gamma, upper_gamma
from alerts.stats.normal import score

Floats = NDArray[np.float64]

# Quiet windows this much further off than counts would be, two of its errors beyond: no chance. One window is cut off
# at 25, so that a single outlier makes no sum.
_UNEVEN, _ERRORS, _CUT = 1.1, 2.0, 25.0
# Counts that come by twos are counts still.
_UNIT_LEAST = 2.0
_ROUNDS = 4
_SIZE_MOST = 1e6
# Amounts differ: were they all alike, one would be the unit.
_ONE_MOST = 0.8


@dataclass(frozen=True, slots=True)
class Spread:
    """Variance unit·m + m²/size of a sum with mean m; `one`: what one event brings, at most `unit`."""

    unit: float
    size: float
    one: float


def is_sum(events: Floats, expected: Floats, size: float, level_error: float) -> bool:
    """Whether the quieter half of the windows (n,) is more uneven than counts of this `size` can be.

    Busy windows fix the size; counts then are at most that far off in quiet ones, and sums far more. Windows
    independent; False under 20 of them, and for a unit under 2.
    """
    if len(events) < 20:
        return False
    far = (events - expected) ** 2 / (expected * (1 + level_error) + expected**2 / size)
    quiet = np.minimum(far[expected <= np.median(expected)], _CUT)
    uneven = float(quiet.mean() - _ERRORS * quiet.std() / math.sqrt(len(quiet)))
    return uneven > _UNEVEN and spread_by_moments(events, expected, level_error).unit >= _UNIT_LEAST


def unit_of_sums(events: Floats, expected: Floats, level_error: float) -> float:
    """The unit where all of the variance is of events: Σ(k - m)² / Σm(1 + e), at least 1. What to begin with."""
    return max(1.0, float(((events - expected) ** 2).sum() / (expected * (1 + level_error)).sum()))


def spread_by_moments(events: Floats, expected: Floats, level_error: float) -> Spread:
    """The spread of sums `events` (n,) about `expected` (n,) > 0, windows independent.

    Regression of (k - m)² on m(1 + e) and m² with weights 1/variance², both parts at least 0; `one` by the windows that
    held nothing. Where means are too much alike to tell the parts, all of it is the unit's.
    """
    squares = (events - expected) ** 2
    rows = np.stack([expected * (1 + level_error), expected**2])
    unit, inverse = unit_of_sums(events, expected, level_error), 0.0
    for _ in range(_ROUNDS):
        weights = 1 / (unit * rows[0] + inverse * rows[1]) ** 2
        normal = (rows * weights) @ rows.T
        alone = float((rows[0] * weights * squares).sum() / normal[0, 0])
        if np.linalg.det(normal) <= 1e-9 * normal[0, 0] * normal[1, 1]:
            unit, inverse = alone, 0.0
            break
        found, inverse = np.linalg.solve(normal, rows * weights @ squares).tolist()
        # A unit of nothing would give quiet windows all the weight.
        unit, inverse = (alone, 0.0) if inverse <= 0 else (max(found, unit / 4), inverse)
    unit, size = max(1.0, unit), min(_SIZE_MOST, 1 / inverse) if inverse > 0 else _SIZE_MOST
    return Spread(unit, size, _one(events, expected, unit, size, level_error))


def _one(events: Floats, expected: Floats, unit: float, size: float, level_error: float) -> float:
    """What one event brings, so that as many windows (and a half) are expected to hold nothing as did."""
    empty = float((events == 0).sum()) + 0.5
    mixing = 1 / size + level_error * unit / expected
    low, high = math.log(unit * 1e-6), math.log(unit * _ONE_MOST)
    for _ in range(40):
        middle = (low + high) / 2
        due = float(np.exp(-np.log1p(mixing * expected / math.exp(middle)) / mixing).sum())
        low, high = (low, middle) if due > empty else (middle, high)
    return math.exp(high)


def sum_score(k: float, mean: float, spread: Spread, level_error: float) -> tuple[float, float, float]:
    """z and both tails of the sum `k` >= 0 with `mean` > 0; of nothing at all, mid-p.

    The chance of nothing is that of no event; what is over 0 is gamma with the mean and the variance that are left.
    Variance unit·m·(1 + e) + m²/size, e because the level is an estimate itself.
    """
    mixing = 1 / spread.size + level_error * spread.unit / mean
    none = math.exp(-math.log1p(mixing * mean / spread.one) / mixing)
    if k <= 0:
        return score(none / 2, 1 - none / 2), none / 2, 1 - none / 2
    some = -math.expm1(-math.log1p(mixing * mean / spread.one) / mixing)
    middle = mean / some
    variance = (spread.unit * mean + (mixing + 1) * mean * mean) / some - middle * middle
    shape, scale = middle * middle / variance, variance / middle
    low, high = none + some * lower_gamma(shape, k / scale), some * upper_gamma(shape, k / scale)
    return score(low, high), low, high
