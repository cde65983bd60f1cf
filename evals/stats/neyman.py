"""Where to spend reviews: more where answers are many and the judge leaves much unsaid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FLOOR = 5
# What the spread of a stratum is taken for before anybody reviewed it.
PRIOR_SPREAD = 1.0


@dataclass(frozen=True, slots=True)
class ReviewStratum:
    """Judged answers of one kind, as of one judge score: how many, and the sd of Y - lam F there (None: not known)."""

    name: str
    population: int
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a stratum to review, and with what probability each of its answers is drawn; 0 of none."""

    name: str
    n: int
    pi_review: float


def allocate(strata: Sequence[ReviewStratum], n: int, floor: int = FLOOR) -> tuple[Share, ...]:
    """`n` reviews over the strata: n_h in proportion to N_h S_h, at least `floor` each and never more than N_h.

    The parts add up to n, or to all there is. Where n is too small for the floors they are met as evenly as may be.
    Errors: ValueError for negative numbers. Source: Neyman 1934; Cochran 1977, section 5.5.
    """
    if n < 0 or floor < 0 or any(s.population < 0 or (s.spread or 0) < 0 for s in strata):
        raise ValueError("numbers of reviews and answers, and spreads, are 0 or more")
    room = [s.population for s in strata]
    n = min(n, sum(room))
    parts = _even([min(floor, most) for most in room], n)
    weights = [s.population * (PRIOR_SPREAD if s.spread is None else s.spread) for s in strata]
    if not any(weights):
        weights = [float(most) for most in room]
    parts = _fill(parts, room, weights, n)
    return tuple(
        Share(s.name, part, part / s.population if s.population else 0.0) for s, part in zip(strata, parts, strict=True)
    )


def _even(wanted: list[int], n: int) -> list[int]:
    """What is wanted, or where n is less: one at a time round the strata."""
    if sum(wanted) <= n:
        return wanted
    parts = [0] * len(wanted)
    while n > 0:
        for i, want in enumerate(wanted):
            if n > 0 and parts[i] < want:
                parts[i] += 1
                n -= 1
    return parts


def _fill(least: list[int], room: list[int], weights: list[float], n: int) -> list[int]:
    """Parts in proportion to the weights within [least, room] that add up to n, by largest remainders."""
    low, high = 0.0, 1.0
    indexes = range(len(room))

    def at(scale: float) -> list[float]:
        return [min(float(room[i]), max(float(least[i]), scale * weights[i])) for i in indexes]

    reachable = sum(room[i] if weights[i] > 0 else least[i] for i in indexes)
    while sum(at(high)) < min(n, reachable) - 1e-9 and high < 1e18:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if sum(at(middle)) < n:
            low = middle
        else:
            high = middle
    exact = at(high)
    parts = [min(room[i], max(least[i], math.floor(exact[i] + 1e-6))) for i in indexes]
    order = sorted(indexes, key=lambda i: (exact[i] - parts[i], weights[i], room[i]), reverse=True)
    while (missing := n - sum(parts)) > 0:
        free = [i for i in order if parts[i] < room[i]][:missing]
        if not free:
            break
        for i in free:
            parts[i] += 1
    while sum(parts) > n:
        i = max((i for i in indexes if parts[i] > least[i]), key=lambda i: parts[i] - exact[i])
        parts[i] -= 1
    return parts
