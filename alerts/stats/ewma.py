"""Run lengths and limits of exponentially weighted moving averages of standard normal points.

The chart is c_t = (1 - λ) c_{t-1} + λ z_t from c_0 = 0 and alarms when c_t leaves ±L·sqrt(λ / (2 - λ)) (or passes the
upper limit alone). Points are independent and standard normal while in control; `shift` is in their sd.
Source: Crowder 1987, Technometrics 29, 401-407, solved by Nyström's method with Gauss-Legendre nodes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np

from alerts.stats.normal import Array, density
from alerts.stats.roots import rising_root

Sides = Literal["both", "up", "down"]

# 81 nodes hold the relative error under 3e-5 down to λ = .05; narrower kernels take more (`_nodes`).
NODES = 81
# How far down, in sd of the statistic, an upward chart is followed: less than 1e-15 of the mass is ever below.
_BOTTOM = 8.0
_L_LEAST = 0.01
ARL0_LEAST = 5.0
# Beyond it rounding of the linear system shows; no budget asks for as much.
ARL0_MOST = 1e9


def _check(lam: float) -> None:
    if not 0 < lam <= 1:
        raise ValueError(f"λ must lie in (0, 1], not {lam}")


def statistic_sd(lam: float) -> float:
    """The sd of the statistic in the long run, in sd of the points: sqrt(λ / (2 - λ))."""
    _check(lam)
    return math.sqrt(lam / (2 - lam))


@lru_cache(maxsize=64)
def gauss(nodes: int) -> tuple[Array, Array]:
    """Points and weights of Gauss-Legendre quadrature on [-1, 1], (nodes,) each."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return np.asarray(points, dtype=np.float64), np.asarray(weights, dtype=np.float64)


def _nodes(width: float, lam: float) -> int:
    """An odd number of nodes: about 2.7 to each λ of the range, whose kernel is λ wide."""
    return max(NODES, 2 * math.ceil(1.35 * width / lam) + 1)


def run_length(lam: float, limit: float, shift: float = 0.0, sides: Sides = "both", start: float = 0.0) -> float:
    """The average number of points until the alarm; `limit` is L, `start` is c_0 in sd of the points.

    `limit` over 0, `lam` in (0, 1]; `start` within the limits. ValueError outside.
    """
    _check(lam)
    if not limit > 0:
        raise ValueError(f"a limit is over 0, not {limit}")
    if sides == "down":
        return run_length(lam, limit, -shift, "up", -start)
    sd = statistic_sd(lam)
    high = limit * sd
    # A chart with a large shift downward lives around it: follow it there.
    low = -high if sides == "both" else min(0.0, shift) - _BOTTOM * sd
    if not low <= start <= high:
        raise ValueError(f"the chart must start within its limits, not at {start}")
    if lam == 1:
        return _single(low if sides == "both" else -math.inf, high, shift)
    points, weights = gauss(_nodes(high - low, lam))
    y = (high + low) / 2 + (high - low) / 2 * points
    w = (high - low) / 2 * weights / lam
    kernel = density((y[None, :] - (1 - lam) * y[:, None]) / lam - shift) * w[None, :]
    inner = np.linalg.solve(np.eye(y.size) - kernel, np.ones(y.size))
    first = density((y - (1 - lam) * start) / lam - shift) * w
    return float(1 + first @ inner)


def _single(low: float, high: float, shift: float) -> float:
    from_above = 0.5 * math.erfc((high - shift) / math.sqrt(2))
    from_below = 0.5 * math.erfc((shift - low) / math.sqrt(2))
    return 1 / (from_above + from_below)


@lru_cache(maxsize=4096)
def limit_for(lam: float, arl0: float, sides: Sides = "both") -> float:
    """L with an in-control average run length of `arl0` points. Cached; .5 to 3 ms for λ from .05.

    ValueError for `lam` outside (0, 1] or `arl0` outside 5 .. 1e9.
    """
    _check(lam)
    if not ARL0_LEAST <= arl0 <= ARL0_MOST:
        raise ValueError(f"a wanted run length lies within {ARL0_LEAST:g} and {ARL0_MOST:g} points, not {arl0:g}")
    if sides == "down":
        return limit_for(lam, arl0, "up")
    wanted = math.log(arl0)

    def excess(limit: float) -> float:
        return math.log(run_length(lam, limit, 0.0, sides)) - wanted

    # On one side not even a limit of nothing alarms at once.
    return _L_LEAST if excess(_L_LEAST) >= 0 else rising_root(excess, _L_LEAST, 4.0)


def boundary_for(lam: float, arl0: float, sides: Sides = "both") -> float:
    """The same limit on the statistic itself, in sd of the points: L·sqrt(λ / (2 - λ))."""
    return limit_for(lam, arl0, sides) * statistic_sd(lam)


def delay(lam: float, arl0: float, shift: float, sides: Sides = "both") -> float:
    """ARL1: the average number of points until a lasting shift of `shift` sd is seen, from a chart at rest."""
    return run_length(lam, limit_for(lam, arl0, sides), shift, sides)


def values(points: Array, lam: float, start: float = 0.0) -> Array:
    """c_t of each point, (n,), from c_0 = `start`, in the units of the points."""
    _check(lam)
    out = np.empty(points.size)
    c = start
    for at, point in enumerate(points):
        c += lam * (float(point) - c)
        out[at] = c
    return out


def limits(lam: float, limit: float, n: int, mean: float = 0.0, sd: float = 1.0) -> tuple[Array, Array]:
    """Lower and upper limits, (n,) each, that widen while the chart is young.

    mean ± L·sd·sqrt(λ / (2 - λ)·(1 - (1 - λ)^(2t))), t = 1..n. Source: NIST/SEMATECH e-Handbook, 6.3.2.4.
    """
    t = np.arange(1, n + 1, dtype=np.float64)
    half = limit * sd * statistic_sd(lam) * np.sqrt(1 - (1 - lam) ** (2 * t))
    return mean - half, mean + half
