"""Run lengths and limits of cumulative sums of standard normal points.

The upper sum is S_t = max(0, S_{t-1} + z_t - k), the lower one the same of -z_t; an alarm when one of them passes h.
Points are independent and standard normal while in control; k, h and `shift` are in their sd.
Source: Page 1954; the integral equation by Nyström's method as in Vance 1986, J. Quality Technology 18, 189-193; two
sides by Kemp 1961 (exact from h >= k on, where both sums never pass h at one point).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from alerts.stats.ewma import ARL0_LEAST, ARL0_MOST, gauss
from alerts.stats.normal import Array, belows, density
from alerts.stats.roots import rising_root

NODES = 81
# The kernel is one sd wide: about five nodes to each sd of the range.
_PER_SD = 5.0
_H_LEAST = 1e-3


def run_length_up(k: float, h: float, shift: float = 0.0, start: float = 0.0) -> float:
    """The average number of points until the upper sum, from `start` in [0, h], passes `h` > 0. ValueError outside."""
    if not (h > 0 and k >= 0 and 0 <= start <= h):
        raise ValueError(f"h > 0, k >= 0 and a start within the limit are needed, not {h}, {k}, {start}")
    points, weights = gauss(max(NODES, 2 * math.ceil(_PER_SD * h / 2) + 1))
    y = h / 2 * (points + 1)
    w = h / 2 * weights
    # The state 0 has mass of its own; it is the first unknown, the nodes are the others.
    states = np.concatenate((np.zeros(1), y))
    matrix = np.empty((states.size, states.size))
    matrix[:, 0] = belows(k - states - shift)
    matrix[:, 1:] = density(y[None, :] - states[:, None] + k - shift) * w[None, :]
    inner = np.linalg.solve(np.eye(states.size) - matrix, np.ones(states.size))
    first = np.concatenate((belows(np.array([k - start - shift])), density(y - start + k - shift) * w))
    return float(1 + first @ inner)


def run_length(k: float, h: float, shift: float = 0.0) -> float:
    """The average number of points until one of the two sums passes `h`: 1/ARL = 1/ARL up + 1/ARL down."""
    return 1 / (1 / run_length_up(k, h, shift) + 1 / run_length_up(k, h, -shift))


@lru_cache(maxsize=4096)
def limit_for(k: float, arl0: float, two_sided: bool = True) -> float:
    """h with an in-control average run length of `arl0` points. Cached.

    ValueError for k < 0 or `arl0` outside 5 .. 1e9.
    """
    if not k >= 0:
        raise ValueError(f"k is at least 0, not {k}")
    if not ARL0_LEAST <= arl0 <= ARL0_MOST:
        raise ValueError(f"a wanted run length lies within {ARL0_LEAST:g} and {ARL0_MOST:g} points, not {arl0:g}")
    # Without a shift the two sides are alike.
    wanted = math.log(2 * arl0 if two_sided else arl0)

    def excess(h: float) -> float:
        return math.log(run_length_up(k, h)) - wanted

    return _H_LEAST if excess(_H_LEAST) >= 0 else rising_root(excess, _H_LEAST, 6.0)


def delay(k: float, arl0: float, shift: float) -> float:
    """ARL1 of the two-sided chart: the average number of points until a lasting shift of `shift` sd is seen."""
    return run_length(k, limit_for(k, arl0), shift)


def sums(points: Array, k: float) -> tuple[Array, Array]:
    """The upper and the lower sum after each of the standardised points, (n,) each, never below 0, from 0."""
    upper, lower = np.empty(points.size), np.empty(points.size)
    up = down = 0.0
    for at, point in enumerate(points):
        up = max(0.0, up + float(point) - k)
        down = max(0.0, down - float(point) - k)
        upper[at], lower[at] = up, down
    return upper, lower
