"""The normal distribution for arrays, with numpy alone."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NORMAL = NormalDist()
_ROOT_TAU = math.sqrt(2 * math.pi)
_ROOT_TWO = math.sqrt(2)
# Normal scores are held within six standard deviations: one empty window must not move a chart for ever.
Z_TAIL = 1e-9


def density(x: Array) -> Array:
    """The standard normal density, of the shape of `x`."""
    values: Array = np.exp(-0.5 * x * x) / _ROOT_TAU
    return values


def below(x: float) -> float:
    """P(Z <= x) of a standard normal, exact far into the lower tail."""
    return 0.5 * math.erfc(-x / _ROOT_TWO)


def belows(x: Array) -> Array:
    """P(Z <= x) for each of `x` (n,)."""
    return np.array([below(float(value)) for value in x.ravel()], dtype=np.float64).reshape(x.shape)


def above(x: float) -> float:
    """P(Z > x) of a standard normal, exact far into the upper tail."""
    return 0.5 * math.erfc(x / _ROOT_TWO)


def quantile(p: float) -> float:
    """x with P(Z <= x) = p. ValueError unless 0 < p < 1."""
    if not 0 < p < 1:
        raise ValueError(f"a probability inside (0, 1) is needed, not {p}")
    return _NORMAL.inv_cdf(p)


def upper_quantile(p: float) -> float:
    """x with P(Z > x) = p, exact for small `p` where 1 - p would lose it."""
    return -quantile(p)


def score(low_tail: float, high_tail: float) -> float:
    """The normal score of a value with `low_tail` of the mass below it and `high_tail` above, kept within six sd."""
    if low_tail <= high_tail:
        return _NORMAL.inv_cdf(min(max(low_tail, Z_TAIL), 0.5))
    return -_NORMAL.inv_cdf(min(max(high_tail, Z_TAIL), 0.5))
