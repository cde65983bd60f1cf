"""Tests of two samples, Fisher's and Kolmogorov-Smirnov's, and of families of tests, Benjamini-Hochberg.

numpy and the standard library only; equal to scipy within 1e-9.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from telltale.stats.fisher import Fisher, fisher

__all__ = ["Fisher", "benjamini_hochberg", "fisher", "ks_two_sided"]

Floats = NDArray[np.float64]

# Cells of the lattice that the exact Kolmogorov-Smirnov distribution is counted on: .1 s.
_KS_CELLS = 4_000_000


def ks_two_sided(distance: float, n: int, m: int) -> float:
    """P(D >= distance) of two samples of n and m of one continuous distribution; too large, so safe, with ties.

    Exact by counting lattice paths up to 4 million cells n·m, beyond by the limit with Stephens' correction.
    Errors: ValueError for n or m < 1. Source: Hodges 1958; Stephens 1970.
    """
    if n < 1 or m < 1:
        raise ValueError(f"both samples need a value, not {n} and {m}")
    if distance <= 0:
        return 1.0
    if n * m > _KS_CELLS:
        size = math.sqrt(n * m / (n + m))
        t = (size + 0.12 + 0.11 / size) * distance
        if t < 0.2:
            return 1.0
        tail = math.fsum((-1) ** (j - 1) * math.exp(-2 * j * j * t * t) for j in range(1, 101))
        return min(1.0, max(0.0, 2 * tail))
    few, many = min(n, m), max(n, m)
    # The largest distance still inside, half a step under the one seen.
    inside = (0.5 + math.floor(distance * few * many - 1e-7)) / (few * many)
    grid = np.arange(many + 1, dtype=np.float64) / many
    paths = (grid <= inside).astype(np.float64)
    for i in range(1, few + 1):
        band = np.flatnonzero(np.abs(i / few - grid) <= inside)
        fresh = np.zeros_like(paths)
        fresh[band] = np.cumsum(paths[band] * (i / (i + many)))
        paths = fresh
    return min(1.0, max(0.0, 1 - float(paths[-1])))


def benjamini_hochberg(p_values: ArrayLike, among: int | None = None) -> Floats:
    """Adjusted p of a family tested once, (m,): a test is a discovery at q where its adjusted p <= q.

    `p_values` (m,) floats in 0..1, independent or positively dependent. `among`: of so many looked at, m or more, the
    others screened out by what the tests look at themselves; they count as p = 1. Errors: ValueError outside 0..1.
    Source: Benjamini and Hochberg 1995.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError("p-values are one row of numbers within 0 and 1")
    m = p.size if among is None else among
    if m < p.size:
        raise ValueError(f"{p.size} tests cannot be among {m}")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * m / np.arange(1, p.size + 1)
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return adjusted
