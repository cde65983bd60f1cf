"""Confidence intervals of quantiles by order statistics: between which two of the sorted values the quantile lies."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor, log, log1p, sqrt

import numpy as np
from numpy.typing import NDArray

# Beyond this many standard deviations (and as many counts) a binomial has less than 1e-18 of its mass.
_SPREAD = 9
# Relative room for what rounding leaves of sums of up to a million terms.
_DUST = 1e-11


@lru_cache(maxsize=8192)
def rank_interval(n: int, q: float, confidence: float = 0.95) -> tuple[int | None, int | None]:
    """Ranks (l, u), 1..n, such that [x_(l), x_(u)] holds quantile `q` with at least `confidence`; None: no such limit.

    With X ~ Bin(n, q): l is the largest rank with P(X <= l-1) <= alpha/2, u the smallest with P(X <= u-1) >= 1-alpha/2.
    Assumes n independent values of one distribution, whatever its shape. A finite interval exists from n = 6 (q = .5),
    36 (.9), 72 (.95), 368 (.99), 3,688 (.999). Errors: ValueError for n < 1, q or confidence outside (0, 1).
    Source: David & Nagaraja 2003, Order Statistics, section 7.1.
    """
    if n < 1 or not 0 < q < 1 or not 0 < confidence < 1:
        raise ValueError(f"n >= 1, and q and confidence inside (0, 1) are needed, not {n}, {q}, {confidence}")
    tail = (1 - confidence) / 2
    first, cumulated = _cumulated(n, q)
    # The number of k with P(X <= k) <= tail is l; the first k with P(X <= k) >= 1 - tail is u - 1.
    lower = first + int(np.searchsorted(cumulated, tail * (1 + _DUST), side="right"))
    upper = first + int(np.searchsorted(cumulated, (1 - tail) * (1 - _DUST), side="left")) + 1
    return (lower if lower >= 1 else None), (upper if upper <= n else None)


def _cumulated(n: int, q: float) -> tuple[int, NDArray[np.float64]]:
    """(first, P(X <= k) for k = first, first + 1, ...); nothing to speak of lies below or behind."""
    spread = _SPREAD * sqrt(n * q * (1 - q)) + 4 * _SPREAD
    first, last = max(0, floor(n * q - spread)), min(n, ceil(n * q + spread))
    k = np.arange(first, last, dtype=np.float64)
    # log p(k+1) - log p(k); the first term's own size falls out when the sum is made 1.
    steps = np.log((n - k) / (k + 1)) + log(q) - log1p(-q)
    logs = np.concatenate((np.zeros(1), np.cumsum(steps)))
    weights = np.exp(logs - logs.max())
    return first, np.cumsum(weights) / weights.sum()
