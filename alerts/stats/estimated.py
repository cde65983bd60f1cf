"""Run lengths of an EWMA whose mean and sd come from n independent normal points, the error of both inside.

With known parameters a limit is too narrow: a baseline that missed the mean alarms more often than one that met it is
quieter. Averaged over baselines the rate of false alarms is E[1 / ARL], by quadrature over the mean (normal, sd 1/√n)
and the sd (chi). For window means of few windows, where resampling the baseline cannot see far into the tail.
Source: Jones, Champ & Rigdon 2001, Technometrics 43, 156-167.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from alerts.stats import ewma
from alerts.stats.normal import Array
from alerts.stats.roots import rising_root

N_LEAST = 8
# Nodes over half the means (the chart is symmetric) and over the sds: within 6e-5 of 31 x 61 from n = 20 on (measured).
_MEANS, _SDS = 9, 17
# How far out in sd of the estimate: what lies beyond weighs under 1e-7.
_REACH = 5.5


def _check(n: int) -> None:
    if n < N_LEAST:
        raise ValueError(f"an estimated baseline takes at least {N_LEAST} points, not {n}")


@lru_cache(maxsize=256)
def _errors(n: int) -> tuple[Array, Array, Array, Array]:
    """Misses of the mean (at or above 0) and estimated sds in true sd, each with its weights."""
    points, weights = ewma.gauss(_MEANS)
    mean = _REACH * (points + 1) / 2
    mean_weights = weights * np.exp(-0.5 * mean * mean)
    points, weights = ewma.gauss(_SDS)
    df = n - 1
    spread = 1 / math.sqrt(2 * df)
    low = max(0.02, 1 - _REACH * spread)
    high = 1 + _REACH * spread
    sd = (high + low) / 2 + (high - low) / 2 * points
    # The density of sqrt(chi-square / df), but for its constant.
    log_density = (df - 1) * np.log(sd) - df * sd * sd / 2
    sd_weights = weights * np.exp(log_density - log_density.max())
    return mean / math.sqrt(n), mean_weights / mean_weights.sum(), sd, sd_weights / sd_weights.sum()


def _averaged(lam: float, limit: float, n: int, shift: float, *, rate: bool) -> float:
    means, mean_weights, sds, sd_weights = _errors(n)
    total = 0.0
    for mean, by_mean in zip(means, mean_weights, strict=True):
        for sd, by_sd in zip(sds, sd_weights, strict=True):
            # Without a shift a miss up and a miss down are alike.
            signs = (1.0,) if shift == 0 else (1.0, -1.0)
            for sign in signs:
                arl = ewma.run_length(lam, limit * float(sd), shift + sign * float(mean))
                total += float(by_mean * by_sd) / len(signs) * (1 / arl if rate else arl)
    return total


def alarm_rate(lam: float, limit: float, n: int, shift: float = 0.0) -> float:
    """False alarms a point, averaged over baselines of `n` points, of the limit L = `limit`. ValueError for n < 8."""
    _check(n)
    return _averaged(lam, limit, n, shift, rate=True)


def run_length(lam: float, limit: float, n: int, shift: float = 0.0) -> float:
    """The average run length over baselines of `n` points: good ones weigh more than in 1 / `alarm_rate`."""
    _check(n)
    return _averaged(lam, limit, n, shift, rate=False)


@lru_cache(maxsize=1024)
def limit_for(lam: float, arl0: float, n: int) -> float:
    """L at which baselines of `n` >= 8 points together raise one false alarm in `arl0` points. .1 to .3 s, cached."""
    _check(n)
    known = ewma.limit_for(lam, arl0)
    wanted = math.log(arl0)
    return rising_root(lambda limit: -math.log(alarm_rate(lam, limit, n)) - wanted, known, known * 1.3, 1e-5)
