"""Monitors made of monitors: k of m members within a time, or a weighted score; always with the members that moved.

Members stay charts of their own: a composite groups what they say and never averages one bad member away. Correlated
members alarm together by chance more often than independent ones, so joint alarms are not stronger evidence by
themselves: the expected false alarms are given for both cases, and the back-test has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.results import TooLittle

Floats = NDArray[np.float64]

WINDOWS_MIN = 50
WEEK_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True, order=True)
class MemberAlarm:
    """Member `member` said "out of control" at `at_s` seconds (any fixed origin)."""

    at_s: float
    member: str


@dataclass(frozen=True, slots=True)
class Joint:
    """At `at_s` at least k members had alarmed within the time; `moved`: each with its last alarm, oldest first."""

    at_s: float
    moved: tuple[MemberAlarm, ...]


@dataclass(frozen=True, slots=True)
class ExpectedFalse:
    """False alarms a week of a k-of-m rule: for members independent of each other, and at most, however dependent."""

    independent: float
    most: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one member adds to the score: `part` = weight·z/sd of the score; the parts of all sum to it."""

    member: str
    weight: float
    z: float
    part: float


@dataclass(frozen=True, slots=True)
class Score:
    """The weighted score in its own standard deviations, with every member's part, the largest first.

    `missing`: members without a value; the score is of the others, with the sd of theirs. `worst`: the member whose own
    z points farthest the bad way, shown whatever the score says.
    """

    value: float
    parts: tuple[Contribution, ...]
    missing: tuple[str, ...]
    worst: str


@dataclass(frozen=True, slots=True)
class ScoreBaseline:
    """Frozen: the members in order, their weights (signed: over 0 where up is bad), and the correlation of their z."""

    members: tuple[str, ...]
    weights: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]
    windows: int


def k_of_m(alarms: Sequence[MemberAlarm], *, k: int, within_s: float) -> tuple[Joint, ...]:
    """When k different members had alarmed within `within_s` seconds, (t - within_s, t], in order of time.

    Latched: it fires once, and again only after fewer than k were left, and then of fresh alarms alone. The order of
    `alarms` does not matter, and one member counts once however often it alarms. Errors: ValueError for k < 1 or a time
    that is not over 0.
    """
    if k < 1 or not within_s > 0:
        raise ValueError(f"k >= 1 and a time over 0 are needed, not {k}, {within_s}")
    last: dict[str, float] = {}
    fired: list[Joint] = []
    latched = False
    for alarm in sorted(alarms):
        # Between two alarms members only drop out: so the latch opens, if at all, before this one counts.
        last = {member: at for member, at in last.items() if at > alarm.at_s - within_s}
        if latched and len(last) < k:
            latched, last = False, {}
        last[alarm.member] = alarm.at_s
        if len(last) >= k and not latched:
            latched = True
            fired.append(Joint(alarm.at_s, tuple(sorted(MemberAlarm(at, member) for member, at in last.items()))))
    return tuple(fired)


def expected_false(rates_a_week: Sequence[float], *, k: int, within_s: float) -> ExpectedFalse:
    """What k of m costs the alert budget, from each member's own false alarms a week.

    Independent Poisson members: an alarm fires the rule when k-1 others alarmed within the time before it; a little
    high where members alarm so often that firings overlap. At most: each firing uses up an alarm of k members, and at
    least k-j of them are not among the j most frequent. Errors: ValueError for k < 1, or rates under 0.
    """
    if k < 1 or any(rate < 0 for rate in rates_a_week):
        raise ValueError("k >= 1 and rates of 0 or more are needed")
    if k > len(rates_a_week):
        return ExpectedFalse(0.0, 0.0)
    share = within_s / WEEK_S
    total = 0.0
    for place, rate in enumerate(rates_a_week):
        others = [-math.expm1(-other * share) for at, other in enumerate(rates_a_week) if at != place]
        total += rate * _exactly(others, k - 1) * math.exp(-rate * share)
    ordered = sorted(rates_a_week, reverse=True)
    most = min(math.fsum(ordered[j:]) / (k - j) for j in range(k))
    return ExpectedFalse(min(total, most), most)


def _exactly(chances: Sequence[float], k: int) -> float:
    """P(exactly k of independent events), by the recurrence of the Poisson binomial."""
    counts = [1.0] + [0.0] * k
    for chance in chances:
        for j in range(k, 0, -1):
            counts[j] = counts[j] * (1 - chance) + counts[j - 1] * chance
        counts[0] *= 1 - chance
    return counts[k]


def learn_score(weights: Mapping[str, float], z: ArrayLike) -> ScoreBaseline | TooLittle:
    """The frozen correlation of the members' z over the baseline's windows.

    `z` (t, m): members in the order of `weights`, NaN for a missing window. Windows with every member count. A member
    that never varied counts as independent. TooLittle under 50 such windows. Errors: ValueError for shapes that differ,
    no member, a weight of 0.
    """
    values = np.asarray(z, dtype=np.float64)
    names = tuple(weights)
    if not names or values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"{len(names)} members need as many columns of z")
    if not all(math.isfinite(weight) and weight != 0 for weight in weights.values()):
        raise ValueError("a weight is a finite number other than 0")
    whole = values[np.isfinite(values).all(1)]
    if whole.shape[0] < WINDOWS_MIN:
        return TooLittle(whole.shape[0], WINDOWS_MIN, "windows with every member")
    centred = whole - whole.mean(0)
    spread = np.sqrt((centred**2).sum(0))
    safe = np.where(spread > 1e-12, spread, 1.0)
    correlation = (centred / safe).T @ (centred / safe)
    np.fill_diagonal(correlation, 1.0)
    rows = tuple(tuple(float(v) for v in row) for row in correlation)
    return ScoreBaseline(names, tuple(float(w) for w in weights.values()), rows, whole.shape[0])


def score(baseline: ScoreBaseline, z: Mapping[str, float | None]) -> Score | None:
    """Σ w·z / sqrt(w'Rw) over the members that have a value: N(0, 1) in control when each z is; None without any.

    The limit on it follows from the alert budget like every other (statistics.md 2.2).
    """
    values = [z.get(member) for member in baseline.members]
    there = [at for at, value in enumerate(values) if value is not None and math.isfinite(value)]
    if not there:
        return None
    weights = np.array([baseline.weights[at] for at in there])
    points = np.array([float(values[at] or 0.0) for at in there])
    correlation = np.array(baseline.correlation)[np.ix_(there, there)]
    variance = float(weights @ correlation @ weights)
    # Members that cancel out to nothing have no score worth dividing by: as if independent.
    sd = math.sqrt(variance if variance > 1e-9 * float((weights**2).sum()) else float((weights**2).sum()))
    parts = [
        Contribution(baseline.members[at], baseline.weights[at], float(point), float(weight * point / sd))
        for at, weight, point in zip(there, weights, points, strict=True)
    ]
    worst = max(parts, key=lambda part: math.copysign(part.z, part.weight * part.z))
    return Score(
        value=math.fsum(part.part for part in parts),
        parts=tuple(sorted(parts, key=lambda part: (-part.part, part.member))),
        missing=tuple(member for at, member in enumerate(baseline.members) if at not in there),
        worst=worst.member,
    )
