"""Estimates of designs that are not one draw a target: fixed numbers by stratum, and whole sessions."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.quantiles import t_quantile, wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.sums import Of, aligned


@dataclass(frozen=True, slots=True)
class Stratum:
    """n scores drawn at random, without putting back, from `population` targets; `variance` has divisor n-1."""

    name: str
    population: int
    n: int
    mean: float
    variance: float

    @classmethod
    def of(cls, name: str, population: int, y: ArrayLike) -> Stratum:
        """The stratum of scores `y` (n,). ValueError with more scores than targets."""
        scores = np.asarray(y, dtype=np.float64)
        if scores.size > population:
            raise ValueError(f"stratum {name} has {population} targets and {scores.size} scores")
        mean = float(scores.mean()) if scores.size else 0.0
        variance = float(scores.var(ddof=1)) if scores.size > 1 else 0.0
        return cls(name, population, int(scores.size), mean, variance)


def stratified(strata: Sequence[Stratum], level: float = LEVEL, fpc: bool = True) -> Estimate | TooLittle:
    """The mean over all strata, Σ (N_h/N) ȳ_h, variance Σ (N_h/N)² (1 - n_h/N_h) s_h²/n_h, t with n - H.

    Every stratum with targets needs two scores, or all of its targets scored. Without `fpc` the factor 1 - n_h/N_h is
    left out. Source: Cochran 1977, equations 5.1 and 5.7.
    """
    lacking = _lacking(strata)
    if lacking is not None:
        return lacking
    whole = sum(stratum.population for stratum in strata)
    n = sum(stratum.n for stratum in strata)
    value = math.fsum(s.population * s.mean for s in strata) / whole
    error = math.sqrt(math.fsum(_variance_of_total(s, fpc) for s in strata)) / whole
    # Equally weighted scores of the same worth: (ΣN_h)² / Σ n_h (N_h/n_h)².
    n_eff = whole * whole / math.fsum(s.population**2 / s.n for s in strata if s.n)
    if error == 0 and (not fpc or n < whole):
        return Estimate(value, None, None, level, n, n_eff, "no interval: no stratum's scores differ", error)
    half = t_quantile(level, max(1, n - sum(1 for s in strata if s.n))) * error
    return Estimate(value, value - half, value + half, level, n, n_eff, "stratified mean, t interval", error)


def stratified_total(strata: Sequence[Stratum], level: float = LEVEL, fpc: bool = True) -> Estimate | TooLittle:
    """The sum over all strata, Σ N_h ȳ_h; the rest as in `stratified`."""
    mean = stratified(strata, level, fpc)
    if isinstance(mean, TooLittle):
        return mean
    whole = sum(stratum.population for stratum in strata)
    low, high, error = (None if each is None else each * whole for each in (mean.low, mean.high, mean.error))
    method = mean.method.replace("stratified mean", "stratified total")
    return Estimate(mean.value * whole, low, high, level, mean.n, mean.n_eff, method, error)


def stratified_share(strata: Sequence[Stratum], level: float = LEVEL) -> Estimate | TooLittle:
    """The share of ones over all strata, of scores that are 0 or 1: each stratum's Wilson limits, squared and added.

    low = p - sqrt(Σ (N_h/N)² (p_h - l_h)²), high likewise; the limits of a stratum are those of n_h / (1 - n_h/N_h)
    scores. With few ones in a heavy stratum it covers where the t interval of `stratified` does not. Errors: ValueError
    for other scores. Source: Newcombe 1998 (hybrid score); Zou and Donner 2008, section 2.
    """
    mean = stratified(strata, level)
    if isinstance(mean, TooLittle):
        return mean
    whole = sum(stratum.population for stratum in strata)
    below = above = 0.0
    for stratum in strata:
        if not -1e-9 <= stratum.mean <= 1 + 1e-9:
            raise ValueError(f"a share is of scores that are 0 or 1, not of mean {stratum.mean} in {stratum.name}")
        left = stratum.population - stratum.n
        if left > 0:
            share = min(1.0, max(0.0, stratum.mean))
            low, high = wilson_limits(share, stratum.n * stratum.population / left, level)
            below += (stratum.population / whole * (share - low)) ** 2
            above += (stratum.population / whole * (high - share)) ** 2
    low, high = max(0.0, mean.value - math.sqrt(below)), min(1.0, mean.value + math.sqrt(above))
    return replace(mean, low=low, high=high, method="stratified share, Wilson limits squared and added")


def _lacking(strata: Sequence[Stratum]) -> TooLittle | None:
    for stratum in strata:
        need = min(2, stratum.population)
        if stratum.n < need:
            return TooLittle(stratum.n, need, f"scores in stratum {stratum.name}")
    return None if any(stratum.population for stratum in strata) else TooLittle(0, 2, "scores")


def _variance_of_total(stratum: Stratum, fpc: bool) -> float:
    if not stratum.n:
        return 0.0
    left = 1 - stratum.n / stratum.population if fpc else 1.0
    return stratum.population**2 * left * stratum.variance / stratum.n


def cluster(
    y: ArrayLike,
    pi: ArrayLike,
    clusters: Sequence[Hashable],
    level: float = LEVEL,
    of: Of = "process",
    scale: tuple[float, float] | None = None,
) -> Estimate | TooLittle:
    """The Hájek mean with the variance between sessions: for scores whose session, not they themselves, was drawn.

    `clusters` (n,) names the session of each score. Variance m/(m-1) Σ_s (Σ_i w_i (y_i-ȳ))² / N̂², t with m-1, of m
    sessions; "traffic" multiplies each session's term by 1-pi. Two sessions are the least. n counts scores, n_eff is
    that of the sessions' weights. Source: Särndal et al. 1992, section 8.7 (linearised, ultimate clusters).
    """
    scores, shares = aligned(y, pi)
    if len(clusters) != scores.size:
        raise ValueError(f"{scores.size} scores need as many sessions, not {len(clusters)}")
    places: dict[Hashable, int] = {}
    index = np.fromiter((places.setdefault(name, len(places)) for name in clusters), dtype=np.intp, count=scores.size)
    m = len(places)
    if m < 2:
        return TooLittle(m, 2, "sessions")
    w = 1 / shares
    whole = float(w.sum())
    mean = float((w * scores).sum()) / whole
    between = np.bincount(index, weights=w * (scores - mean), minlength=m)
    heavy = np.bincount(index, weights=w, minlength=m)
    if of == "traffic":
        # A session is drawn with the probability of its scores; where those differ, with the largest.
        chance = np.zeros(m)
        np.maximum.at(chance, index, shares)
        left = 1 - chance
    else:
        left = np.ones(m)
    error = math.sqrt(float((left * between * between).sum()) * m / (m - 1)) / whole
    n_eff = float(heavy.sum() ** 2 / (heavy * heavy).sum())
    if of == "traffic" and not left.any():
        told = "complete: every session was judged"
        return Estimate(mean, mean, mean, level, scores.size, n_eff, told, 0.0)
    if error <= 1e-9 * max(1.0, abs(mean)):
        # Sessions that are all alike leave no spread to go by, and are no certainty.
        return Estimate(mean, None, None, level, scores.size, n_eff, "no interval: all sessions are the same", 0.0)
    half = t_quantile(level, m - 1) * error
    low, high = mean - half, mean + half
    if scale is not None:
        low, high = min(mean, max(low, scale[0])), max(mean, min(high, scale[1]))
    return Estimate(mean, low, high, level, scores.size, n_eff, "Hájek mean, t interval between sessions", error)
