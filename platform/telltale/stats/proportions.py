"""Shares of counts with intervals: Wilson's for one, Newcombe's for the difference of two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Proportion:
    """`k` of `n`, with the limits of its interval at `level`. Without any n all three figures are None."""

    k: int
    n: int
    share: float | None
    low: float | None
    high: float | None
    level: float = LEVEL


@dataclass(frozen=True, slots=True)
class Difference:
    """`a - b` of two shares with the limits of its interval; None where one of them has no n."""

    a: Proportion
    b: Proportion
    value: float | None
    low: float | None
    high: float | None


def wilson(k: int, n: int, level: float = LEVEL) -> Proportion:
    """The share k / n with Wilson's score interval (Wilson 1927, without continuity correction).

    ValueError unless 0 <= k <= n and 0 < level < 1.
    """
    if not 0 <= k <= n:
        raise ValueError(f"k must be within 0 and n, got {k} of {n}")
    if n == 0:
        return Proportion(k, n, None, None, None, level)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = k / n
    spread = z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # At 0 and n the limit is 0 and 1 itself; rounding must not leave a hair.
    low = 0.0 if k == 0 else max(0.0, centre - half)
    high = 1.0 if k == n else min(1.0, centre + half)
    return Proportion(k, n, share, low, high, level)


def newcombe(a: Proportion, b: Proportion) -> Difference:
    """The difference of two independent shares by the hybrid score method (Newcombe 1998, method 10)."""
    if a.share is None or b.share is None or a.low is None or a.high is None or b.low is None or b.high is None:
        return Difference(a, b, None, None, None)
    value = a.share - b.share
    below = math.hypot(a.share - a.low, b.high - b.share)
    above = math.hypot(a.high - a.share, b.share - b.low)
    return Difference(a, b, value, max(-1.0, value - below), min(1.0, value + above))
