"""Whether two sets of vectors come from one distribution: kernel two-sample test with p by permutation.

For the nightly report, not for the stream (statistics.md 3.6 b). Cost is bounded: more rows than ROWS_MOST a side are
subsampled, by the seed, and the kernel is computed once for all permutations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.results import TooLittle

Floats = NDArray[np.float64]

ROWS_MIN = 20
# 2 x 500 rows of 384 numbers and 1,000 permutations: under a second on one core, 16 MB.
ROWS_MOST = 500
PERMUTATIONS = 1_000
# Permutations whose statistic equals the one seen but for rounding count as hits.
_DUST = 1e-12


@dataclass(frozen=True, slots=True)
class KernelTest:
    """The unbiased MMD² between `used_reference` and `used_current` rows, drawn of `n_reference` and `n_current`.

    `p` = (1 + hits)/(1 + permutations); `chance_99`: what 99 of 100 permutations stay under, the band of a chart.
    `bandwidth` is σ of k(x, y) = exp(-|x-y|²/2σ²). May be below 0: it is unbiased.
    """

    mmd2: float
    p: float
    chance_99: float
    bandwidth: float
    n_reference: int
    n_current: int
    used_reference: int
    used_current: int
    permutations: int
    seed: int


def median_bandwidth(reference: Floats) -> float:
    """σ: the median distance between different rows of the reference (n, d), and of nothing else; 1 where that is 0.

    Taken of the reference alone, so that a drift does not widen the kernel that is to see it, and so that one baseline
    has one bandwidth. Source: Gretton et al. 2012, section 8.
    """
    squares = _squares(reference)[np.triu_indices(reference.shape[0], 1)]
    middle = math.sqrt(float(np.median(squares))) if squares.size else 0.0
    return middle if middle > 0 else 1.0


def kernel_test(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    seed: int,
    bandwidth: float | None = None,
    permutations: int = PERMUTATIONS,
    rows_most: int = ROWS_MOST,
) -> KernelTest | TooLittle:
    """MMD² of `reference` (n, d) and `current` (m, d) with its permutation p.

    `bandwidth`: the baseline's stored one; by the median rule where None. Assumes independent rows within each side.
    The same seed gives the same answer. TooLittle under 20 rows a side. Errors: ValueError for shapes that differ,
    numbers that are not finite, permutations < 1. Source: Gretton et al. 2012, lemma 6; p: Phipson and Smyth 2010.
    """
    x, y = _rows(reference), _rows(current)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"vectors of both sides need one length, not {x.shape[1]} and {y.shape[1]}")
    if permutations < 1:
        raise ValueError(f"a p-value needs permutations, not {permutations}")
    if min(x.shape[0], y.shape[0]) < ROWS_MIN:
        what = "reference vectors" if x.shape[0] < ROWS_MIN else "current vectors"
        return TooLittle(min(x.shape[0], y.shape[0]), ROWS_MIN, what)
    random = np.random.default_rng(seed)
    a, b = _some(x, rows_most, random), _some(y, rows_most, random)
    sigma = median_bandwidth(a) if bandwidth is None else bandwidth
    both = np.concatenate((a, b))
    kernel = np.exp(-_squares(both) / (2 * sigma * sigma))
    np.fill_diagonal(kernel, 0.0)
    n, m = a.shape[0], b.shape[0]
    sides = np.zeros((permutations + 1, n + m))
    sides[0, :n] = 1.0
    for row in sides[1:]:
        row[random.permutation(n + m)[:n]] = 1.0
    values = _mmd2(kernel, sides, n, m)
    seen, drawn = float(values[0]), values[1:]
    hits = int((drawn >= seen - _DUST).sum())
    return KernelTest(
        mmd2=seen,
        p=(1 + hits) / (1 + permutations),
        chance_99=float(np.quantile(drawn, 0.99)),
        bandwidth=sigma,
        n_reference=x.shape[0],
        n_current=y.shape[0],
        used_reference=n,
        used_current=m,
        permutations=permutations,
        seed=seed,
    )


def _mmd2(kernel: Floats, sides: Floats, n: int, m: int) -> Floats:
    """The unbiased MMD² for each row of `sides` (b, n+m), 1 where a row is reference; `kernel` without diagonal."""
    towards = sides @ kernel
    within_a = (towards * sides).sum(1)
    to_a = towards.sum(1)
    across = to_a - within_a
    within_b = kernel.sum() - within_a - 2 * across
    return np.asarray(within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * across / (n * m))


def _squares(rows: Floats) -> Floats:
    """Squared distances between all rows, (n, n), from the centred rows: large means would eat the digits."""
    centred = rows - rows.mean(0)
    norms = (centred * centred).sum(1)
    return np.asarray(np.maximum(0.0, norms[:, None] + norms[None, :] - 2 * centred @ centred.T))


def _some(rows: Floats, most: int, random: np.random.Generator) -> Floats:
    if rows.shape[0] <= most:
        return rows
    return rows[np.sort(random.choice(rows.shape[0], most, replace=False))]


def _rows(values: ArrayLike) -> Floats:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or not bool(np.isfinite(rows).all()):
        raise ValueError("vectors are rows of a table of finite numbers")
    return rows
