"""How far two distributions lie apart: effect sizes for pages, never alarms by themselves.

No cut ships with any of them: all depend on n, on bins or on scale (statistics.md 2.5). Each stands beside a test:
`categories.compare_categories`, or the Kolmogorov-Smirnov p given here. Conventions, the same as Evidently's where it
has one: p is the reference, q the current window; logarithms are natural (nats); KL(p, q) = Σ p ln(p/q) has the
reference first; PSI and KL take `filled` shares, JS and TVD raw ones. JS is the distance, the root of the divergence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alerts.stats.pvalues import ks_two_sided
from evals.stats.results import TooLittle

Floats = NDArray[np.float64]

# What Evidently puts for an empty cell: .0001, or a millionth of the smallest share where that is .0001 or less.
FILL = 1e-4
_FILL_PART = 1e-6
# Up to so many distinct reference values are categories of their own in Evidently's bins.
DISTINCT_MOST = 20
# Evidently's floor of the sd that the Wasserstein distance is divided by.
SD_LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class Distances:
    """Effect sizes between two rows of counts over the same `cells`.

    `kl` in nats, reference against current, of filled shares; `kl_raw` without filling, inf where a cell emptied; `js`
    the distance, 0..sqrt(ln 2); `tvd` 0..1; `v` Cramér's V of the 2 x cells table, 0..1; None with one cell filled.
    `psi_by_chance`: the PSI to expect of two samples of one distribution, (cells-1)(1/n + 1/m): no more is noise.
    """

    n_reference: int
    n_current: int
    cells: int
    kl: float
    kl_raw: float
    js: float
    psi: float
    psi_by_chance: float
    tvd: float
    v: float | None


@dataclass(frozen=True, slots=True)
class NumberDistances:
    """Effect sizes between two samples of numbers; `binned` over Sturges' bins of both together, as Evidently's.

    `ks` is the largest gap of the distribution functions, `ks_p` its two-sided p; `wasserstein` in the values' unit;
    `wasserstein_sds` divided by the reference's sd (divisor n, at least .001).
    """

    n_reference: int
    n_current: int
    ks: float
    ks_p: float
    wasserstein: float
    wasserstein_sds: float
    binned: Distances


def compare_counts(reference: ArrayLike, current: ArrayLike) -> Distances | TooLittle:
    """Every distance between counts (k,) of the reference and (k,) of now, cell by cell.

    Assumes rows counted once each. TooLittle where a side is empty. Errors: ValueError for shapes that differ, or
    counts under 0. Source: Kullback and Leibler 1951; Lin 1991 (JS); Siddiqi 2006 (PSI); Cramér 1946, section 21.9.
    """
    p, q = _counts(reference), _counts(current)
    if p.shape != q.shape:
        raise ValueError(f"both rows need the same cells, not {p.size} and {q.size}")
    n, m = float(p.sum()), float(q.sum())
    if n == 0 or m == 0:
        return TooLittle(0, 1, "reference rows" if n == 0 else "current rows")
    seen = (p + q) > 0
    p, q = p[seen] / n, q[seen] / m
    return Distances(
        n_reference=round(n),
        n_current=round(m),
        cells=p.size,
        kl=kl(filled(p), filled(q)),
        kl_raw=kl(p, q),
        js=js(p, q),
        psi=psi(p, q),
        psi_by_chance=(p.size - 1) * (1 / n + 1 / m),
        tvd=tvd(p, q),
        v=cramers_v(np.vstack((p * n, q * m))),
    )


def compare_numbers(reference: ArrayLike, current: ArrayLike) -> NumberDistances | TooLittle:
    """Every distance between samples (n,) and (m,) of numbers; NaN and infinite values are left out.

    TooLittle where a side is empty.
    """
    a, b = _finite(reference), _finite(current)
    if a.size == 0 or b.size == 0:
        return TooLittle(0, 1, "reference values" if a.size == 0 else "current values")
    gap, moved = ks(a, b), wasserstein(a, b)
    binned = compare_counts(*bin_counts(a, b))
    if isinstance(binned, TooLittle):
        return binned
    return NumberDistances(
        n_reference=a.size,
        n_current=b.size,
        ks=gap,
        ks_p=ks_two_sided(gap, a.size, b.size),
        wasserstein=moved,
        wasserstein_sds=moved / max(float(a.std()), SD_LEAST),
        binned=binned,
    )


def filled(shares: Floats) -> Floats:
    """Shares with empty cells set as Evidently does; they then sum to a little over 1."""
    some = shares[shares > 0]
    if some.size in (0, shares.size):
        return shares
    least = float(some.min())
    return np.where(shares > 0, shares, least * _FILL_PART if least <= FILL else FILL)


def kl(p: Floats, q: Floats) -> float:
    """Σ p ln(p/q) in nats of shares made to sum to 1, as scipy.stats.entropy(p, q); inf where q is 0 and p is not."""
    p, q = p / p.sum(), q / q.sum()
    if bool(((q == 0) & (p > 0)).any()):
        return math.inf
    some = p > 0
    return max(0.0, float((p[some] * np.log(p[some] / q[some])).sum()))


def js(p: Floats, q: Floats, base: float = math.e) -> float:
    """The Jensen-Shannon distance, 0..sqrt(ln 2 / ln base), as scipy.spatial.distance.jensenshannon."""
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    return math.sqrt(max(0.0, (kl(p, middle) + kl(q, middle)) / 2 / math.log(base)))


def psi(p: Floats, q: Floats) -> float:
    """The population stability index Σ (p - q) ln(p/q) of filled shares, as Evidently computes it."""
    p, q = filled(p), filled(q)
    return float(((p - q) * np.log(p / q)).sum())


def tvd(p: Floats, q: Floats) -> float:
    """The total variation distance, half the sum of |p - q|, 0..1: the share of rows that would have to move."""
    return float(np.abs(p / p.sum() - q / q.sum()).sum() / 2)


def cramers_v(table: Floats) -> float | None:
    """sqrt(chi²/(n·min(rows-1, columns-1))), without corrections; None for a table with one filled row or column."""
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    least = min(table.shape) - 1
    if least < 1:
        return None
    n = table.sum()
    expected = np.outer(table.sum(1), table.sum(0)) / n
    return float(min(1.0, math.sqrt(float(((table - expected) ** 2 / expected).sum()) / (n * least))))


def ks(a: Floats, b: Floats) -> float:
    """The largest gap between the two empirical distribution functions, 0..1, as scipy.stats.ks_2samp."""
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate((a, b))
    gaps = np.searchsorted(a, both, side="right") / a.size - np.searchsorted(b, both, side="right") / b.size
    return float(np.abs(gaps).max())


def wasserstein(a: Floats, b: Floats) -> float:
    """The first Wasserstein distance, the area between the two distribution functions, in the values' unit."""
    a, b = np.sort(a), np.sort(b)
    both = np.sort(np.concatenate((a, b)))
    at = both[:-1]
    gaps = np.searchsorted(a, at, side="right") / a.size - np.searchsorted(b, at, side="right") / b.size
    return float((np.abs(gaps) * np.diff(both)).sum())


def bin_counts(reference: Floats, current: Floats) -> tuple[Floats, Floats]:
    """Counts of both over the same cells, as Evidently cuts them.

    Up to 20 distinct reference values: each distinct value of both is a cell; above: Sturges' bins of both together.
    """
    if np.unique(reference).size <= DISTINCT_MOST:
        values, codes = np.unique(np.concatenate((reference, current)), return_inverse=True)
        split = np.split(codes.ravel(), [reference.size])
        return _bincount(split[0], values.size), _bincount(split[1], values.size)
    edges = np.histogram_bin_edges(np.concatenate((reference, current)), bins="sturges")
    return (
        np.histogram(reference, edges)[0].astype(np.float64),
        np.histogram(current, edges)[0].astype(np.float64),
    )


def _bincount(codes: NDArray[np.intp], size: int) -> Floats:
    return np.bincount(codes, minlength=size).astype(np.float64)


def _counts(values: ArrayLike) -> Floats:
    counts = np.asarray(values, dtype=np.float64)
    if counts.ndim != 1 or not bool((np.isfinite(counts) & (counts >= 0)).all()):
        raise ValueError("counts are one row of finite numbers, none under 0")
    return counts


def _finite(values: ArrayLike) -> Floats:
    numbers = np.asarray(values, dtype=np.float64).ravel()
    return numbers[np.isfinite(numbers)]
