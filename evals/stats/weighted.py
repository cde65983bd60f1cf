"""Estimates for all traffic from what was drawn of it with known, unequal probabilities.

`of` says what is estimated. "traffic": the mean over the traffic there was; a target drawn for certain adds no error,
and when all were drawn there is none left. "process": the mean of what brings forth such traffic, of which even all of
it is a sample; this is what two periods, features or versions are compared by. The estimate is the same, its interval
differs by the factor 1-pi.

The names of the other modules of sampled traffic (`sums`, `designs`, `nonresponse`) can be had from here.
"""

from __future__ import annotations

import math
from dataclasses import replace

from evals.stats.designs import Stratum, cluster, stratified, stratified_share, stratified_total
from evals.stats.nonresponse import NONRESPONSE_FLAG, Cell, Responded, for_nonresponse
from evals.stats.quantiles import normal_quantile, t_quantile, wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.sums import Of, Sums, aligned, second_phase

__all__ = [
    "DESIGN_EFFECT_SAID",
    "NONRESPONSE_FLAG",
    "Cell",
    "Of",
    "Responded",
    "Stratum",
    "Sums",
    "aligned",
    "as_share",
    "cluster",
    "for_nonresponse",
    "hajek",
    "plain_share",
    "second_phase",
    "share_n_eff",
    "stratified",
    "stratified_share",
    "stratified_total",
    "total_ht",
    "wilson_eff",
]

# A design effect above this is told in words beside the estimate.
DESIGN_EFFECT_SAID = 3.0


def hajek(
    sums: Sums, level: float = LEVEL, of: Of = "traffic", scale: tuple[float, float] | None = None
) -> Estimate | TooLittle:
    """The mean over all traffic, Σwy / Σw, with a t interval on n_eff - 1 degrees of freedom.

    `scale`: the lowest and highest possible score; limits are kept within it, and where all scores are the same it
    gives the widest interval that such a sample allows (Wilson's, as of shares of the scale); without it there is none.
    Assumes Poisson sampling: each target drawn by itself. Two scores are the least. Source: Hájek 1971; Särndal et al.
    1992, section 5.7.
    """
    mean = sums.mean
    if mean is None or sums.n < 2:
        return TooLittle(sums.n, 2, "scores")
    if not sums.is_finite:
        return TooLittle(0, 2, "scores of a size whose squares can be summed")
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
    if error == 0:
        return Estimate(mean, None, None, level, sums.n, n_eff, "no interval: all scores are the same", None)
    half = t_quantile(level, max(1.0, n_eff - 1)) * error
    low, high = mean - half, mean + half
    if scale is not None:
        low, high = min(mean, max(low, scale[0])), max(mean, min(high, scale[1]))
    return Estimate(mean, low, high, level, sums.n, n_eff, method, error)


def wilson_eff(sums: Sums, level: float = LEVEL, of: Of = "process") -> Estimate | TooLittle:
    """The share of ones over all traffic, of scores that are 0 or 1, with Wilson's interval for weighted scores.

    With one pi for all it is Wilson's own. Otherwise a limit is the share P whose variance, given what was seen, puts P
    just z standard errors from the estimate: the variance seen, and on the way up what further ones would add if they
    weighed as the zeros do, on the way down what fewer would take away. So a stratum that was drawn seldom and showed
    no ones yet leaves as much open as it should. The effective n told is p(1-p) over the variance; where the share is
    0 or 1 it is (Σw)²/Σw². One score is the least. Errors: ValueError for other scores.
    Source: Wilson 1927, inverted as for weighted sums in Fay and Feuer 1997; Kish 1965.
    """
    share = sums.mean
    if share is None:
        return TooLittle(0, 1, "scores")
    if abs(sums.swy2 - sums.swy) > 1e-9 * max(1.0, sums.sw) or not -1e-9 <= share <= 1 + 1e-9:
        raise ValueError("a share is of scores that are 0 or 1")
    share = min(1.0, max(0.0, share))
    if of == "traffic" and sums.is_complete:
        return Estimate(share, share, share, level, sums.n, sums.n_eff, "complete: every target was judged", 0.0)
    low, high = _share_limits(sums, share, level, of)
    return Estimate(share, low, high, level, sums.n, share_n_eff(sums, of), "weighted share, Wilson interval", None)


def _share_limits(sums: Sums, share: float, level: float, of: Of) -> tuple[float, float]:
    """Solutions P of (P - p)² = z² (V + c (P - p)(1 - p - P)); with equal weights V = p(1-p)/n and c = 1/n."""
    square = normal_quantile(level) ** 2
    # The variance has divisor n-1, a share's p(1-p)/n has n.
    variance = sums.variance(of) * (sums.n - 1) / sums.n
    all_of, of_ones = (sums.v0, sums.v1) if of == "traffic" else (sums.sw2, sums.sw2y)
    ones, zeros = sums.swy, sums.sw - sums.swy

    def away(each: float, sign: int) -> float:
        lean, grown = square * each * (1 - 2 * share), 1 + square * each
        return (lean + sign * math.sqrt(lean * lean + 4 * grown * square * variance)) / (2 * grown)

    # How much variance a one brings for its weight: as heavy as the zeros are above, as the ones are below.
    above = max(0.0, all_of - of_ones) / zeros / sums.sw if zeros > 1e-9 * sums.sw else 0.0
    below = of_ones / ones / sums.sw if ones > 1e-9 * sums.sw else 0.0
    low, high = share + away(below, -1), share + away(above, 1)
    return max(0.0, min(low, share)) if share > 0 else 0.0, min(1.0, max(high, share)) if share < 1 else 1.0


def share_n_eff(sums: Sums, of: Of = "process") -> float:
    """Of how many equally drawn scores a share would be as sure as this one."""
    share = sums.mean or 0.0
    # The variance has divisor n-1, a share's p(1-p)/n has n.
    variance = sums.variance(of) * (sums.n - 1) / sums.n if sums.n else 0.0
    inner = share * (1 - share)
    return inner / variance if variance > 0 and inner > 1e-12 else sums.n_eff


def as_share(mean: Estimate | TooLittle) -> Estimate | TooLittle:
    """A mean of 0 and 1 (stratified, between sessions) with Wilson's interval instead: on p(1-p) / error² scores.

    Where the share is 0 or 1, or its error 0, on n_eff. ValueError for a mean outside of 0..1.
    """
    if isinstance(mean, TooLittle):
        return mean
    if not -1e-9 <= mean.value <= 1 + 1e-9:
        raise ValueError(f"a share lies within 0 and 1, not {mean.value}")
    share = min(1.0, max(0.0, mean.value))
    inner = share * (1 - share)
    n_eff = inner / mean.error**2 if mean.error and inner > 1e-12 else mean.n_eff
    low, high = wilson_limits(share, n_eff, mean.level)
    return replace(mean, value=share, low=low, high=high, n_eff=n_eff, method=f"{mean.method.split(',')[0]}, Wilson")


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
    if error == 0:
        told = "no interval: all that was drawn is 0"
        return Estimate(sums.swy, None, None, level, sums.n, sums.n_eff, told, error)
    half = t_quantile(level, max(1.0, sums.n_eff - 1)) * error
    method = "Horvitz-Thompson total, t interval"
    return Estimate(sums.swy, sums.swy - half, sums.swy + half, level, sums.n, sums.n_eff, method, error)
