"""Phase I: whether a stretch of points can be a baseline at all, and which of its points are left out.

A baseline with a change inside is no baseline: limits learned from both halves fit neither. The change is looked for as
the split with the largest two-segment likelihood of a shift in normal scores of the points, its p by permutation: it
holds whatever the distribution, and no tail rules it. Outliers leave in at most three rounds, and every one that
left is listed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from alerts.detectors.base import NotStable, TooLittle
from alerts.stats.changepoint import REFUSED_AT, change_in_mean

Floats = NDArray[np.float64]

ROUNDS = 3
# Long stretches are looked at in so many runs of neighbours: a change is placed to a run, and shuffles stay cheap.
_RUNS = 240
# The chance that screening leaves out any point of a stretch that is in control throughout.
_SCREEN = 0.01


def normal_scores(values: Floats) -> Floats:
    """Φ⁻¹((rank - ½)/n) of each value, ties by their middle rank: what a heavy tail cannot rule. Shape (n,)."""
    n = len(values)
    ordered, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    normal = NormalDist()
    scores = np.array([normal.inv_cdf((rank - 0.5) / n) for rank in middle[: len(ordered)]])
    result: Floats = scores[inverse]
    return result


def refused(values: Floats, seed: int, positions: Sequence[int] | None = None) -> NotStable | None:
    """The refusal of a stretch with an obvious change inside (p < .001), None when there is none.

    Shapes: `values` (n,) in time order, taken as exchangeable without a change. `positions` (n,): where each stands
    among the points the caller was given, when some were merged. A change is placed to one of at most 240 runs.
    """
    n = len(values)
    size = math.ceil(n / _RUNS)
    count = n // size
    # Of the points that do not fill a last run the earliest are left out: what is newest must be looked at.
    skipped = n - count * size
    change = change_in_mean(normal_scores(values)[skipped:].reshape(count, size).mean(axis=1), seed=seed)
    if isinstance(change, TooLittle) or change.p >= REFUSED_AT:
        return None
    at, low, high = (min(skipped + split * size, n - 1) for split in (change.split, change.low, change.high))
    if positions is not None:
        at, low, high = positions[at], positions[low], positions[high]
    return NotStable(at=at, p=change.p, low=low, high=high)


def screened(n: int, standardise: Callable[[NDArray[np.bool_]], Floats]) -> NDArray[np.bool_]:
    """Which of n points stay: those within limits that would leave out any good point once in a hundred stretches.

    `standardise(kept)` gives the z of all n points by what the kept ones would be frozen with. A side whose tail is
    longer than a normal one has its own limit, by an exponential of the same median excess: what is lopsided is no
    outlier. At most three rounds, none leaves fewer than three quarters of the points: then it is no matter of
    outliers, and all stay as they are.
    """
    kept = np.ones(n, dtype=np.bool_)
    for _ in range(ROUNDS):
        z = standardise(kept)
        still = kept & (z <= _limit(z[kept], n)) & (-z <= _limit(-z[kept], n))
        if still.sum() == kept.sum():
            return kept
        if still.sum() < 0.75 * n:
            return np.ones(n, dtype=np.bool_)
        kept = still
    return kept


def _limit(z: Floats, n: int) -> float:
    """What the largest of n points passes once in two hundred stretches: normal, or longer where the tail is."""
    normal = NormalDist().inv_cdf(1 - _SCREEN / (2 * n))
    ordered = np.sort(z)[::-1]
    count = max(len(z) // 10, 10)
    if count >= len(z):
        return normal
    start = float(ordered[count])
    excess = (float(np.median(ordered[:count])) - start) / math.log(2)
    return max(normal, start + excess * math.log(2 * count / _SCREEN))
