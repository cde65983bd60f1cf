"""Tails of the counts that charts are made of: binomial and beta-binomial shares, Poisson and negative binomial counts.

Each tail is summed from the count outward by the ratio of neighbouring probabilities, away from the middle, so that far
tails keep their digits; the first probability comes from lgamma. Within 1e-7 of scipy's
value; the upper tail of a negative binomial that is over 20,000 counts long within 3e-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alerts.stats.normal import Array
from evals.stats.quantiles import incomplete_beta

# Summed whole up to this many terms; beyond it only as far as anything is left of the mass.
_WHOLE = 4_000
_REACH = 16.0
_LONG = 20_000
_SMOOTH_FROM = 1_000.0
_CORNER = 2.0
# A panel of the integral spans a quarter of an sd, each next one as much more; what adds less than this is left out.
_PANEL, _WIDER, _LEFT_OUT = 0.25, 1.25, 1e-13
_NODES, _WEIGHTS = (tuple(part.tolist()) for part in np.polynomial.legendre.leggauss(10))
# A beta-binomial with its mass at the ends is its beta from here on.
_AS_BETA_FROM = 200_000


@dataclass(frozen=True, slots=True)
class Tails:
    """P(X < k), P(X = k) and P(X > k) of one count."""

    below: float
    at: float
    above: float

    @property
    def mid_low(self) -> float:
        """The lower mid-p value P(X < k) + ½ P(X = k)."""
        return min(1.0, self.below + 0.5 * self.at)

    @property
    def mid_high(self) -> float:
        """The upper mid-p value P(X > k) + ½ P(X = k)."""
        return min(1.0, self.above + 0.5 * self.at)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _whole(at: float, ratios: Array, lower: bool, outward: bool = True) -> Tails:
    """The tails of a count with probability `at`, from the ratios to its neighbours on one side, outward."""
    if at == 0:
        # So far out that not even its own probability is a number.
        return Tails(0.0, 0.0, 1.0) if lower == outward else Tails(1.0, 0.0, 0.0)
    side = min(1.0, at * float(np.cumprod(ratios).sum())) if ratios.size else 0.0
    other = max(0.0, 1 - at - side)
    return Tails(side, at, other) if lower else Tails(other, at, side)


def _smooth(log_at: Callable[[float], float], k: int, end: float, sd: float) -> Tails:
    """The tails of a count by its log probabilities, integrated beyond `k` toward `end` (half a count past the last).

    Σ f(j) = ∫ f + f'/24 at the near edge (Euler and Maclaurin); sd of 1,000 and more leave 1e-9 of it.
    """
    at = math.exp(log_at(k))
    upward = end > k
    sign = 1.0 if upward else -1.0
    edge, width, side = k + sign / 2, sd * _PANEL, 0.0
    while (end - edge) * sign > 0:
        width = min(width, (end - edge) * sign)
        middle = edge + sign * width / 2
        values = (math.exp(log_at(middle + sign * width / 2 * node)) for node in _NODES)
        part = width / 2 * math.fsum(weight * value for weight, value in zip(_WEIGHTS, values, strict=True))
        side += part
        if part <= _LEFT_OUT * side:
            break
        edge, width = edge + sign * width, width * _WIDER
    if (end - k) * sign > 1:
        side += (math.exp(log_at(k + sign)) - at) / 24
    side = min(1.0, max(0.0, side))
    other = max(0.0, 1 - at - side)
    return Tails(other, at, side) if upward else Tails(side, at, other)


def _terms(available: int, sd: float) -> int:
    return available if available <= _WHOLE else min(available, _WHOLE + math.ceil(_REACH * sd))


def share_tails(k: int, n: int, p: float, rho: float = 0.0) -> Tails:
    """Tails of `k` of `n` where each counts with probability `p` in (0, 1), correlated by `rho` in [0, 1) in a window.

    The binomial at rho = 0, else the beta-binomial of a = p(1/rho - 1), b = (1 - p)(1/rho - 1). ValueError outside.
    """
    if not (0 <= k <= n and 0 < p < 1 and 0 <= rho < 1):
        raise ValueError(f"0 <= k <= n, p in (0, 1) and rho in [0, 1) are needed, not {k}, {n}, {p}, {rho}")
    if n == 0:
        return Tails(0.0, 1.0, 0.0)
    if rho > 1e-9:
        a, b = p * (1 / rho - 1), (1 - p) * (1 / rho - 1)
    else:
        a = b = 0.0
    whole = _log_beta(a, b) if a else 0.0

    def log_at(j: float) -> float:
        chosen = math.lgamma(n + 1) - math.lgamma(j + 1) - math.lgamma(n - j + 1)
        if a:
            return chosen + _log_beta(j + a, n - j + b) - whole
        return chosen + j * math.log(p) + (n - j) * math.log1p(-p)

    at = math.exp(log_at(k))
    sd = math.sqrt(n * p * (1 - p) * (1 + (n - 1) * rho))
    # With a or b under 1 the beta-binomial has its mass at the ends: then no side is thin and all of it is summed.
    u_shaped = 0 < a < 1 or 0 < b < 1
    if u_shaped and n > _AS_BETA_FROM:
        below = incomplete_beta(a, b, k / (n + 1))
        return Tails(max(0.0, below - at / 2), at, max(0.0, 1 - below - at / 2))
    if not u_shaped and _terms(k if k <= n * p else n - k, sd) > _LONG:
        return _smooth(log_at, k, -0.5 if k <= n * p else n + 0.5, sd)
    if k <= n * p:
        steps = k if u_shaped else _terms(k, sd)
        j = np.arange(k, k - steps, -1, dtype=np.float64)
        # P(j - 1) / P(j).
        ratios = j / (n - j + 1) * (((n - j + b) / (j - 1 + a)) if a else (1 - p) / p)
        return _whole(at, ratios, lower=True)
    steps = n - k if u_shaped else _terms(n - k, sd)
    j = np.arange(k, k + steps, dtype=np.float64)
    # P(j + 1) / P(j).
    ratios = (n - j) / (j + 1) * (((j + a) / (n - j - 1 + b)) if a else p / (1 - p))
    return _whole(at, ratios, lower=False)


def count_tails(k: int, mean: float, size: float = math.inf) -> Tails:
    """Tails of a count `k` >= 0 with `mean` > 0: negative binomial of variance mean + mean²/size, Poisson at inf.

    ValueError for k < 0, a mean that is not over 0, or a size that is not.
    """
    if k < 0 or not mean > 0 or not size > 0:
        raise ValueError(f"k >= 0, a mean and a size over 0 are needed, not {k}, {mean}, {size}")
    is_poisson = math.isinf(size) or size > 1e9 * max(1.0, mean)
    whole = 0.0 if is_poisson else math.lgamma(size) + size * math.log1p(mean / size)

    def log_at(j: float) -> float:
        if is_poisson:
            return j * math.log(mean) - mean - math.lgamma(j + 1)
        grown = j * (math.log(mean) - math.log(size + mean))
        return math.lgamma(j + size) - math.lgamma(j + 1) - whole + grown

    at = math.exp(log_at(k))
    if is_poisson:
        grow, extra, sd = mean, 0.0, math.sqrt(mean)
    else:
        grow, extra, sd = mean / (size + mean), size, math.sqrt(mean + mean * mean / size)
    # Far below a level that hardly anything holds to, each count is a step of its own.
    if sd > _SMOOTH_FROM and k > _LONG:
        # A size of 2 and less has its mass, or a corner, at 0: no way to integrate.
        return _smooth(log_at, k, -0.5 if k <= mean and (is_poisson or size > _CORNER) else math.inf, sd)
    if k <= mean:
        j = np.arange(k, k - _terms(k, sd), -1, dtype=np.float64)
        ratios = j / (grow * (j - 1 + extra)) if extra else j / grow
        return _whole(at, ratios, lower=True)
    # Upward there is no end: as far as anything is left. A very long tail is what the lower one leaves.
    reach = math.ceil(40 * sd + 40 / max(-math.log(grow), 1e-12) if extra else 40 * sd + 200)
    if reach > _LONG and k <= _LONG:
        j = np.arange(k, 0, -1, dtype=np.float64)
        return _whole(at, j / (grow * (j - 1 + extra)) if extra else j / grow, lower=True, outward=False)
    j = np.arange(k, k + reach, dtype=np.float64)
    ratios = grow * (j + extra) / (j + 1) if extra else grow / (j + 1)
    return _whole(at, ratios, lower=False)
