"""Limits for statistics made of normal scores, the error of an estimated centre within them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from alerts.stats import cusum
from alerts.stats.ewma import ARL0_LEAST, ARL0_MOST, limit_for, run_length, statistic_sd
from alerts.stats.roots import rising_root

_NODES = 7
# An estimated centre that is off by less than this part of a standard deviation moves a limit by less than .1 %.
_NEGLIGIBLE = 0.01


@lru_cache(maxsize=2048)
def boundary(lam: float, rate: float, spread: float = 0.0) -> float:
    """The upper limit of an EWMA of standard normal points that is passed `rate` times a point, in sd of the points.

    `spread`: sd of the error of the centre, in sd of the points (1/sqrt(W) after W like windows). The rate is the mean
    over that error, by Gauss-Hermite: what all baselines of the size come to together, so that the bad ones are paid
    for. math.inf for no rate. Assumes independent points. Source: Crowder 1987; the mixture as Gandy & Kvaløy 2013.
    """
    if rate <= 0:
        return math.inf
    arl0 = min(max(1 / rate, ARL0_LEAST), ARL0_MOST)
    if spread < _NEGLIGIBLE:
        return limit_for(lam, arl0, "up") * statistic_sd(lam)

    def excess(limit: float) -> float:
        return _excess(arl0, spread, lambda miss: run_length(lam, limit, miss, "up"))

    first = limit_for(lam, arl0, "up")
    return rising_root(excess, 0.8 * first, 1.3 * first, 1e-6) * statistic_sd(lam)


@lru_cache(maxsize=512)
def sum_boundary(k: float, rate: float, spread: float = 0.0) -> float:
    """The limit of an upper cumulative sum of standard normal points over `k` that is passed `rate` times a point.

    `spread` and what is averaged over as in `boundary`. math.inf for no rate. Source: as alerts.stats.cusum.
    """
    if rate <= 0:
        return math.inf
    arl0 = min(max(1 / rate, ARL0_LEAST), ARL0_MOST)
    first = cusum.limit_for(k, arl0, two_sided=False)
    if spread < _NEGLIGIBLE:
        return first

    def excess(limit: float) -> float:
        return _excess(arl0, spread, lambda miss: cusum.run_length_up(k, limit, miss))

    return rising_root(excess, 0.8 * first, 1.5 * first, 1e-6)


def _excess(arl0: float, spread: float, run: Callable[[float], float]) -> float:
    """The log of the mean run length, over errors of the centre with sd `spread`, less that of `arl0`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    shares = weights / weights.sum()
    rates = sum(share / run(spread * float(node)) for node, share in zip(nodes, shares, strict=True))
    return -math.log(float(rates) * arl0)
