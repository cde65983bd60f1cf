"""One-point limits: the chart that sees one large jump, with its run lengths.

Points are independent and normal while in control; shifts are in their sd. Source: Montgomery, Introduction to
Statistical Quality Control, chapters 6 and 9; limits from few points by Student's t as a prediction interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from alerts.stats.ewma import Sides
from alerts.stats.normal import Array, above, below, upper_quantile
from evals.stats.quantiles import t_quantile
from evals.stats.results import TooLittle

# The mean range of two normal values, in sd.
D2 = 2 / math.sqrt(math.pi)


def limit_for(arl0: float, sides: Sides = "both") -> float:
    """k, in sd, that a point in control passes once in `arl0` points. ValueError for `arl0` of 2 or less."""
    if not arl0 > 2:
        raise ValueError(f"a wanted run length is over 2 points, not {arl0:g}")
    return upper_quantile((0.5 if sides == "both" else 1.0) / arl0)


def run_length(limit: float, shift: float = 0.0, sides: Sides = "both") -> float:
    """The average number of points until one passes `limit` > 0 sd."""
    up = 0.0 if sides == "down" else above(limit - shift)
    down = 0.0 if sides == "up" else below(-limit - shift)
    return 1 / (up + down) if up + down > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Limits:
    """A centre line with its lower and upper limit, from `n` points; `method` in words for the page."""

    centre: float
    low: float
    high: float
    sd: float
    n: int
    method: str


def individuals(points: Array, limit: float = 3.0) -> Limits | TooLittle:
    """Limits of single values: mean ± `limit`·(mean moving range)/1.128, from (n,) points in their order, n >= 2.

    The moving range leaves a slow drift of the baseline out of its sd. Source: Montgomery, section 6.4.
    """
    if points.size < 2:
        return TooLittle(int(points.size), 2, "points")
    mean, sd = float(points.mean()), float(np.abs(np.diff(points)).mean()) / D2
    return Limits(mean, mean - limit * sd, mean + limit * sd, sd, int(points.size), "moving ranges")


def early(points: Array, arl0: float, sides: Sides = "both") -> Limits | TooLittle:
    """Limits for the next point while a baseline is still being learned: a t prediction interval, from n >= 3 points.

    mean ± t_{n-1}·sd·sqrt(1 + 1/n) with the two-sided error 1/`arl0` (one-sided: its own). Exact for normal points and
    the next one; over many points it alarms oftener from a bad baseline, so it may notify and never page.
    """
    n = int(points.size)
    if n < 3:
        return TooLittle(n, 3, "points")
    error = (1.0 if sides == "both" else 2.0) / arl0
    mean, sd = float(points.mean()), float(points.std(ddof=1))
    half = t_quantile(1 - error, n - 1) * sd * math.sqrt(1 + 1 / n)
    low = -math.inf if sides == "up" else mean - half
    high = math.inf if sides == "down" else mean + half
    return Limits(mean, low, high, sd, n, "t prediction interval")
