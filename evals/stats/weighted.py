"""Estimates for all traffic from what was drawn of it with known, unequal probabilities.

Every score carries pi, the probability with which its target was drawn, and weighs w = 1/pi. What the estimators need
of the single scores are ten sums; those of two disjoint sets of scores add up, so hours, features and versions can be
stored apart and joined at will.

`of` says what is estimated. "traffic": the mean over the traffic there was; a target drawn for certain adds no error,
and when all were drawn there is none left. "process": the mean of what brings forth such traffic, of which even all of
it is a sample; this is what two periods, features or versions are compared by. The estimate is the same, its interval
differs by the factor 1-pi.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.quantiles import t_quantile, wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle

Of = Literal["traffic", "process"]

# A design effect above this is told in words beside the estimate.
DESIGN_EFFECT_SAID = 3.0
# More unanswered draws than this share are flagged.
NONRESPONSE_FLAG = 0.05


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over n scores y with w = 1/pi: of w, w², wy, wy², w²y, w²y², and of (1-pi)/pi² times 1, y, y²."""

    n: int = 0
    sw: float = 0.0
    sw2: float = 0.0
    swy: float = 0.0
    swy2: float = 0.0
    sw2y: float = 0.0
    sw2y2: float = 0.0
    v0: float = 0.0
    v1: float = 0.0
    v2: float = 0.0

    @classmethod
    def of(cls, y: ArrayLike, pi: ArrayLike) -> Sums:
        """The sums of scores `y` (n,) drawn with `pi` (n,) or one number.

        Errors: ValueError where a score is no finite number, a pi lies outside (0, 1] or the shapes differ.
        """
        scores, shares = aligned(y, pi)
        w = 1 / shares
        w2, v = w * w, (1 - shares) / (shares * shares)
        y2 = scores * scores
        terms = (w, w2, w * scores, w * y2, w2 * scores, w2 * y2, v, v * scores, v * y2)
        # fsum is exact: the same scores give the same sums in whatever order they come.
        return cls(len(scores), *(math.fsum(term.tolist()) for term in terms))

    @classmethod
    def one(cls, y: float, pi: float) -> Sums:
        """The sums of a single score: what a stored hour grows by. ValueError as in `of`."""
        if not (0 < pi <= 1 and math.isfinite(y)):
            raise ValueError(f"a finite score and a pi in (0, 1] are needed, not {y} and {pi}")
        w = 1 / pi
        v = (1 - pi) / (pi * pi)
        return cls(1, w, w * w, w * y, w * y * y, w * w * y, w * w * y * y, v, v * y, v * y * y)

    @classmethod
    def total(cls, parts: Iterable[Sums]) -> Sums:
        """The sums over all parts, which have no score in common."""
        rows = list(parts)
        n = sum(row.n for row in rows)
        return cls(n, *(math.fsum(getattr(row, name) for row in rows) for name in _WEIGHED))

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in ("n", *_WEIGHED)))

    def __sub__(self, other: Sums) -> Sums:
        """What is left without `other`, a part of these: as when a score was replaced."""
        return Sums(*(getattr(self, name) - getattr(other, name) for name in ("n", *_WEIGHED)))

    def reweighted(self, factor: float) -> Sums:
        """The same scores, each `factor` times as heavy: drawn with pi / factor. ValueError for a factor below 1."""
        if not factor >= 1:
            raise ValueError(f"weights grow by a factor of 1 or more, not {factor}")
        square = factor * factor
        sw, sw2 = self.sw * factor, self.sw2 * square
        swy, sw2y = self.swy * factor, self.sw2y * square
        swy2, sw2y2 = self.swy2 * factor, self.sw2y2 * square
        # (1-pi)/pi² = w² - w; at factor 1 the stored sums are the exact ones.
        v0, v1, v2 = (self.v0, self.v1, self.v2) if factor == 1 else (sw2 - sw, sw2y - swy, sw2y2 - swy2)
        return Sums(self.n, sw, sw2, swy, swy2, sw2y, sw2y2, v0, v1, v2)

    @property
    def mean(self) -> float | None:
        """Σwy / Σw, None of no scores."""
        return self.swy / self.sw if self.n > 0 and self.sw > 0 else None

    @property
    def n_eff(self) -> float:
        """How many equally weighted scores these are worth: (Σw)² / Σw² (Kish 1965). 0 of none."""
        return self.sw * self.sw / self.sw2 if self.sw2 > 0 else 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every target was drawn for certain."""
        return self.n > 0 and self.v0 <= 1e-12 * self.sw2

    def variance(self, of: Of = "traffic") -> float:
        """The variance of the Hájek mean, 0 at the least; 0 of fewer than two scores.

        traffic: Σ (1-pi)/pi² (y-ȳ)² / N̂², of Poisson sampling (Särndal, Swensson, Wretman 1992, section 5.7);
        process: Σ w² (y-ȳ)² / N̂². Both times n/(n-1), so that an equal pi gives (1-pi) s²/n and s²/n.
        """
        if self.n < 2 or self.sw <= 0:
            return 0.0
        mean = self.swy / self.sw
        s0, s1, s2 = (self.v0, self.v1, self.v2) if of == "traffic" else (self.sw2, self.sw2y, self.sw2y2)
        spread = s2 - 2 * mean * s1 + mean * mean * s0
        # What rounding leaves where all scores are the same.
        if spread <= 1e-12 * (s2 + mean * mean * s0):
            return 0.0
        return spread / (self.sw * self.sw) * self.n / (self.n - 1)


_WEIGHED = tuple(field.name for field in fields(Sums) if field.name != "n")


def aligned(y: ArrayLike, pi: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores and inclusion probabilities as arrays (n,). ValueError as in `Sums.of`."""
    scores = np.asarray(y, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"scores have one dimension, not {scores.ndim}")
    shares = np.asarray(pi, dtype=np.float64)
    if shares.ndim == 0:
        shares = np.full(scores.shape, float(shares))
    if shares.shape != scores.shape:
        raise ValueError(f"{scores.size} scores need as many inclusion probabilities, not {shares.size}")
    if not np.all((shares > 0) & (shares <= 1)):
        raise ValueError("inclusion probabilities lie over 0 and up to 1")
    if not np.all(np.isfinite(scores)):
        raise ValueError("scores are finite numbers")
    return scores, shares


def hajek(
    sums: Sums, level: float = LEVEL, of: Of = "traffic", scale: tuple[float, float] | None = None
) -> Estimate | TooLittle:
    """The mean over all traffic, Σwy / Σw, with a t interval on n_eff - 1 degrees of freedom.

    `scale`: the lowest and highest possible score; limits are kept within it, and where all scores are the same it
    gives the widest interval that such a sample allows (Wilson's, as of shares of the scale) instead of none.
    Assumes Poisson sampling: each target drawn by itself. Two scores are the least. Source: Hájek 1971; Särndal et al.
    1992, section 5.7.
    """
    mean = sums.mean
    if mean is None or sums.n < 2:
        return TooLittle(sums.n, 2, "scores")
    n_eff = sums.n_eff
    if of == "traffic" and sums.is_complete:
        return Estimate(mean, mean, mean, level, sums.n, n_eff, "complete: every target was judged", 0.0)
    error = math.sqrt(sums.variance(of))
    method = "Hájek mean, t interval" if of == "traffic" else "Hájek mean, t interval for the process"
    if error == 0 and scale is not None:
        least, most = scale
        # Rounding may leave a constant mean a hair outside of its scale.
        share = min(1.0, max(0.0, (mean - least) / (most - least)))
        low, high = (least + limit * (most - least) for limit in wilson_limits(share, n_eff, level))
        return Estimate(mean, min(low, mean), max(high, mean), level, sums.n, n_eff, f"{method} of equal scores", None)
    half = t_quantile(level, max(1.0, n_eff - 1)) * error
    low, high = mean - half, mean + half
    if scale is not None:
        low, high = min(mean, max(low, scale[0])), max(mean, min(high, scale[1]))
    return Estimate(mean, low, high, level, sums.n, n_eff, method, error)


def wilson_eff(sums: Sums, level: float = LEVEL, of: Of = "process") -> Estimate | TooLittle:
    """The share of ones over all traffic, of scores that are 0 or 1, with Wilson's interval on the effective n.

    The effective n is p(1-p) over the variance of the weighted share, as it holds for these scores; where the share is
    0 or 1 it is (Σw)²/Σw². With one pi for all it is n. One score is the least. Errors: ValueError for other scores.
    Source: Korn and Graubard 1998; Wilson 1927.
    """
    share = sums.mean
    if share is None:
        return TooLittle(0, 1, "scores")
    if abs(sums.swy2 - sums.swy) > 1e-9 * max(1.0, sums.sw) or not -1e-9 <= share <= 1 + 1e-9:
        raise ValueError("a share is of scores that are 0 or 1")
    share = min(1.0, max(0.0, share))
    if of == "traffic" and sums.is_complete:
        return Estimate(share, share, share, level, sums.n, sums.n_eff, "complete: every target was judged", 0.0)
    n_eff = share_n_eff(sums, of)
    low, high = wilson_limits(share, n_eff, level)
    return Estimate(share, low, high, level, sums.n, n_eff, "weighted share, Wilson interval", None)


def share_n_eff(sums: Sums, of: Of = "process") -> float:
    """Of how many equally drawn scores a share would be as sure as this one."""
    share = sums.mean or 0.0
    # The variance has divisor n-1, a share's p(1-p)/n has n.
    variance = sums.variance(of) * (sums.n - 1) / sums.n if sums.n else 0.0
    inner = share * (1 - share)
    return inner / variance if variance > 0 and inner > 1e-12 else sums.n_eff


def plain_share(k: int, n: int, level: float = LEVEL) -> Estimate | TooLittle:
    """k of n observations that all weigh the same, with Wilson's interval. ValueError unless 0 <= k <= n."""
    if not 0 <= k <= n:
        raise ValueError(f"k must be within 0 and n, got {k} of {n}")
    if n == 0:
        return TooLittle(0, 1, "observations")
    low, high = wilson_limits(k / n, n, level)
    return Estimate(k / n, low, high, level, n, float(n), "share, Wilson interval")


def total_ht(sums: Sums, level: float = LEVEL) -> Estimate | TooLittle:
    """The sum of y over all traffic, Σ y/pi, with variance Σ (1-pi)/pi² y² and a t interval.

    One score is the least; it is exact when all were drawn. Source: Horvitz and Thompson 1952.
    """
    if sums.n < 1:
        return TooLittle(0, 1, "scores")
    if sums.is_complete:
        return Estimate(sums.swy, sums.swy, sums.swy, level, sums.n, sums.n_eff, "complete: every target", 0.0)
    error = math.sqrt(max(0.0, sums.v2))
    half = t_quantile(level, max(1.0, sums.n_eff - 1)) * error
    method = "Horvitz-Thompson total, t interval"
    return Estimate(sums.swy, sums.swy - half, sums.swy + half, level, sums.n, sums.n_eff, method, error)


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
    half = t_quantile(level, max(1, n - sum(1 for s in strata if s.n))) * error
    return Estimate(value, value - half, value + half, level, n, n_eff, "stratified mean, t interval", error)


def stratified_total(strata: Sequence[Stratum], level: float = LEVEL, fpc: bool = True) -> Estimate | TooLittle:
    """The sum over all strata, Σ N_h ȳ_h; the rest as in `stratified`."""
    mean = stratified(strata, level, fpc)
    if isinstance(mean, TooLittle) or mean.low is None or mean.high is None or mean.error is None:
        return mean
    whole = sum(stratum.population for stratum in strata)
    low, high, error = (figure * whole for figure in (mean.low, mean.high, mean.error))
    return Estimate(mean.value * whole, low, high, level, mean.n, mean.n_eff, "stratified total, t interval", error)


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
    half = t_quantile(level, m - 1) * error
    low, high = mean - half, mean + half
    if scale is not None:
        low, high = min(mean, max(low, scale[0])), max(mean, min(high, scale[1]))
    n_eff = float(heavy.sum() ** 2 / (heavy * heavy).sum())
    return Estimate(mean, low, high, level, scores.size, n_eff, "Hájek mean, t interval between sessions", error)


def second_phase(pi1: float, pi2: float) -> float:
    """The probability of being drawn at least once in two independent draws: 1 - (1-pi1)(1-pi2)."""
    # Exact where a draw is certain, and no less than either.
    return max(pi1, pi2, pi1 + pi2 - pi1 * pi2) if pi1 < 1 and pi2 < 1 else 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One stratum in one hour: how many targets were drawn, and the sums over those that got a score.

    `taken_weight`: Σ 1/pi over the drawn; None where all of the cell were drawn with one pi.
    """

    stratum: str
    hour: int
    taken: int
    sums: Sums
    taken_weight: float | None = None


@dataclass(frozen=True, slots=True)
class Responded:
    """Sums weighted up for the drawn targets that got no score, and how many those are.

    `is_flagged`: more than NONRESPONSE_FLAG of the drawn have none. `uncovered`: drawn in strata without any score;
    the estimate does not speak of them.
    """

    sums: Sums
    taken: int
    scored: int
    uncovered: int
    nonresponse_share: float | None
    is_flagged: bool


def for_nonresponse(cells: Iterable[Cell]) -> Responded:
    """Scores weighted up, within stratum and hour, for those that were drawn and never scored.

    Each score's weight grows by (weight drawn) / (weight scored) of its cell; a cell without any score leaves its
    weight to the nearest hour of the same stratum that has one. Assumes that within a cell a missing score says
    nothing about its value. Source: weighting classes, Little and Rubin 2002, section 3.3.
    """
    by_stratum: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.sums.n > cell.taken:
            raise ValueError(f"{cell.taken} drawn in stratum {cell.stratum} cannot have {cell.sums.n} scores")
        by_stratum[cell.stratum].append(cell)
    parts, taken, uncovered = [], 0, 0
    for group in by_stratum.values():
        taken += sum(cell.taken for cell in group)
        answered = [cell for cell in group if cell.sums.n]
        if not answered:
            uncovered += sum(cell.taken for cell in group)
            continue
        drawn = [_drawn_weight(cell) for cell in answered]
        for cell in group:
            if not cell.sums.n and cell.taken:
                near = min(range(len(answered)), key=lambda i: (abs(answered[i].hour - cell.hour), i))
                stands_for = answered[near].sums
                drawn[near] += cell.taken_weight or cell.taken * stands_for.sw / stands_for.n
        parts += [
            cell.sums.reweighted(max(1.0, weight / cell.sums.sw)) for cell, weight in zip(answered, drawn, strict=True)
        ]
    sums = Sums.total(parts)
    missing = 1 - sums.n / taken if taken else None
    return Responded(sums, taken, sums.n, uncovered, missing, missing is not None and missing > NONRESPONSE_FLAG)


def _drawn_weight(cell: Cell) -> float:
    return cell.taken * cell.sums.sw / cell.sums.n if cell.taken_weight is None else cell.taken_weight
