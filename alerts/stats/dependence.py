"""Whether the points of a baseline depend on their neighbours, and so whether to chart points or means of windows.

Scores of one hour resemble each other, and a limit made for independent points then alarms twenty to forty times too
often. The decision is by a portmanteau test, not by an estimated long-run variance, whose own error on 200 points is
about ±.4. Source: Ljung & Box 1978, Biometrika 65, 297-303.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from alerts.stats.gamma import chi_square_tail
from alerts.stats.normal import Array
from evals.stats.results import TooLittle

Charted = Literal["points", "windows"]

LAGS = 20
P_LEAST = 0.01
# Fewer points than five to a lag tell little of twenty lags.
N_LEAST = 100
# Points of one window where nothing is known of the mixing time.
WINDOW_POINTS = 50


@dataclass(frozen=True, slots=True)
class LjungBox:
    """Q over `lags` lags of `n` points with its p-value; Q = 0 and p = 1 of points that are all alike."""

    q: float
    p: float
    lags: int
    n: int


def autocorrelations(points: Array, lags: int) -> Array:
    """r_1 .. r_lags of (n,) points, (lags,), about their own mean; zeros of points that are all alike."""
    centred = points - points.mean()
    whole = float(centred @ centred)
    if whole <= 1e-24 * max(1.0, float(points @ points)):
        return np.zeros(lags)
    return np.array([float(centred[lag:] @ centred[:-lag]) / whole for lag in range(1, lags + 1)])


def ljung_box(points: Array, lags: int = LAGS) -> LjungBox | TooLittle:
    """Q = n(n+2) Σ r_k² / (n - k) against chi-square of `lags` degrees: points (n,) in their order.

    Assumes one level throughout: a shift inside shows as dependence. Too little with n <= 2·lags.
    ValueError for lags < 1.
    """
    if lags < 1:
        raise ValueError(f"at least one lag is needed, not {lags}")
    n = int(points.size)
    if n <= 2 * lags:
        return TooLittle(n, 2 * lags + 1, "points")
    r = autocorrelations(points, lags)
    q = float(n * (n + 2) * np.sum(r * r / (n - np.arange(1, lags + 1))))
    return LjungBox(q, chi_square_tail(q, lags), lags, n)


@dataclass(frozen=True, slots=True)
class Choice:
    """How to chart: single points or means of windows of at least `window` points; the test that said so."""

    charted: Charted
    window: int
    test: LjungBox | None
    reason: str


def choose(points: Array, lags: int = LAGS, p_least: float = P_LEAST, window_least: int = WINDOW_POINTS) -> Choice:
    """Points where nothing speaks against their independence (p >= `p_least`), else means of windows.

    With fewer than 100 points nothing is known, and windows are the safe side. The window is the mixing time, and no
    less than `window_least` points. Points (n,) in the order of their time.
    """
    test = ljung_box(points, lags)
    if isinstance(test, TooLittle) or points.size < N_LEAST:
        need = max(N_LEAST, 2 * lags + 1)
        return Choice("windows", window_least, None, f"too few points to tell ({points.size} of {need})")
    if test.p >= p_least:
        return Choice("points", 1, test, "no dependence between neighbours was found")
    return Choice("windows", max(window_least, mixing_time(points)), test, "neighbours resemble each other")


def mixing_time(points: Array) -> int:
    """Lags until two points in a row of lags correlate no more than chance, at least 1 and at most a tenth of n.

    Chance is 1.96/√n. Points (n,) in their order. A rough figure: it only sets how wide a window must be at least.
    """
    most = max(1, points.size // 10)
    if points.size < 20:
        return 1
    inside = autocorrelations(points, most) < 1.96 / math.sqrt(points.size)
    for lag in range(1, most):
        if inside[lag - 1] and inside[lag]:
            return lag
    return most


@dataclass(frozen=True, slots=True)
class Between:
    """Variances of windows: `within` one, `between` their true levels (0 where chance explains all), mean, sizes."""

    mean: float
    within: float
    between: float
    windows: int
    n: int

    def sd_of(self, size: float) -> float:
        """The sd of the mean of a window of `size` > 0 points (effective): sqrt(between + within / size)."""
        return math.sqrt(self.between + self.within / size)


WINDOWS_MIN = 2


def between_windows(means: Array, variances: Array, sizes: Array) -> Between | TooLittle:
    """Moments of windows: `means` (w,), their inner `variances` (w,) with n - 1, `sizes` (w,) effective points.

    within: the pooled inner variance, weighted by size - 1. between = max(0, [Σ n(ȳ - µ)² - (W-1)·within] /
    [Σn - Σn²/Σn]), µ the mean weighted by size. Two windows at least; a figure of worth takes 50. The specification,
    3.1; DerSimonian & Laird 1986 has the same estimator.
    """
    w = int(means.size)
    if w < WINDOWS_MIN:
        return TooLittle(w, WINDOWS_MIN, "windows")
    free = np.maximum(sizes - 1, 0.0)
    within = float((free @ variances) / free.sum()) if free.sum() > 0 else 0.0
    total = float(sizes.sum())
    mean = float((sizes @ means) / total)
    scale = total - float(sizes @ sizes) / total
    between = max(0.0, (float(sizes @ (means - mean) ** 2) - (w - 1) * within) / scale)
    return Between(mean, within, between, w, round(total))


@dataclass(frozen=True, slots=True)
class Memory:
    """Points as a slow level and chance about it: `share` of the variance is a level that keeps `keep` from one to the
    next, the rest is new at every point. r_k = share·keep^k. `unsure`: the sd of the share, as far as points tell.
    """

    share: float = 0.0
    keep: float = 0.0
    unsure: float = 0.0

    @property
    def is_any(self) -> bool:
        return self.share > 0 or self.unsure > 0


_MEMORY_LAGS = 12
_KEEPS = np.array([0.35, 0.5, 0.65, 0.8, 0.9, 0.96])
# A longer memory than the first is taken for one only where it fits the lags better than chance would.
_BETTER = 4.0
# What the first autocorrelation of series mostly lies within, about 0, before any point is seen.
_PRIOR_SD = 0.15


def memory(points: Array) -> Memory:
    """How points (n,) in their order resemble each other, by least squares over their first autocorrelations.

    Those come out too small by what the mean took of them, about (1 + 2Σr)/n, which is given back. Nothing of points
    that are all alike, or fewer than 16. Source: the autocorrelation of an AR(1) seen with noise, Granger & Morris
    1976, J. Royal Statistical Society A 139; errors of 1/√n by Bartlett 1946.
    """
    n = int(points.size)
    if n < 16:
        return Memory()
    lags = min(_MEMORY_LAGS, n // 6)
    r = autocorrelations(points, lags)
    if not r.any():
        return Memory()
    best = Memory(0.0, float(_KEEPS[0]))
    for _ in range(2):
        whole = 1 + 2 * best.share * best.keep / (1 - best.keep)
        given = r + min(whole, n / 8) / n
        powers = _KEEPS[:, None] ** np.arange(1, lags + 1)
        shares = np.clip((powers @ given) / (powers**2).sum(axis=1), 0.0, 1.0)
        misses = ((given - shares[:, None] * powers) ** 2).sum(axis=1)
        at = int(misses.argmin())
        at = at if misses[at] < misses[0] - _BETTER / n else 0
        keep = float(_KEEPS[at])
        best = Memory(float(shares[at]), keep, min(1.0, 1 / math.sqrt(n + _PRIOR_SD**-2) / keep))
    return best
