"""How many there should be: expected counts by hour of week, their scores, and how long a silence may last.

A count is scored against a negative binomial whose mean is the level of its slot (hour of week, or of day while there
are under four weeks) times a trend, and whose size comes from the residuals. Slots are cut by the caller, in the time
zone of the project, so that a day of 23 or 25 hours is no anomaly. Source: Cameron & Trivedi 1998, section 3.3 (moments
of the negative binomial); the specification, 3.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alerts.stats.normal import Array, score
from alerts.stats.tails import count_tails
from evals.stats.results import TooLittle

Kind = Literal["hour_of_week", "hour_of_day"]
Slots = NDArray[np.int64]

SLOTS: dict[Kind, int] = {"hour_of_week": 168, "hour_of_day": 24}
DAYS_MIN = 14
DAYS_WEEKLY = 28
# The last so many of the same hour make its level.
HOURS_KEPT = 8
# Under it the median of Poisson counts lies a third below their mean and more, which would show: the mean instead.
_MEDIAN_FROM = 20.0
# How far a trend of one day may carry the levels: a product that halves or doubles is news.
TREND_LEAST, TREND_MOST = 0.5, 2.0
# An hour nobody was ever seen in still expects this, or its first request would be infinitely surprising.
LEVEL_LEAST = 0.05
# Dispersion beyond which a count says nothing at all.
_SIZE_LEAST = 0.05
_SIZE_MOST = 1e9


def kind_for(days: float) -> Kind | TooLittle:
    """Hour of week from four weeks on, hour of day from two, else too little."""
    if days < DAYS_MIN:
        return TooLittle(math.floor(days), DAYS_MIN, "days")
    return "hour_of_week" if days >= DAYS_WEEKLY else "hour_of_day"


@dataclass(frozen=True, slots=True)
class Season:
    """What a window of each slot holds while all is well.

    `levels`: expected count of one window, (168,) from Monday 0 h or (24,); `size` of the negative binomial (inf:
    Poisson); `windows` it was learned from. Windows are all equally long.
    """

    kind: Kind
    levels: tuple[float, ...]
    size: float
    windows: int

    def expected(self, slot: int, trend: float = 1.0) -> float:
        """The expected count of a window in this hour of the week, 0..167, at this trend."""
        return max(LEVEL_LEAST, self.levels[slot % len(self.levels)] * trend)


def learn_season(counts: NDArray[np.int64], hours: Slots, days: float, kept: int = HOURS_KEPT) -> Season | TooLittle:
    """The season of windows `counts` (m,) that began in `hours` (m,) of the week, 0..167, oldest first.

    A level is the median of the windows of the last `kept` same hours (their mean where few are expected). Days that a
    user marked as unusual are left out by the caller and count neither in `counts` nor in `days`. Hours nobody counted
    take the level of all. ValueError where shapes differ, or an hour or a count is none.
    """
    if counts.shape != hours.shape or (counts < 0).any() or ((hours < 0) | (hours > 167)).any():
        raise ValueError("counts of at least 0 and hours within 0 and 167 of one shape are needed")
    kind = kind_for(days)
    if isinstance(kind, TooLittle):
        return kind
    slots = hours % SLOTS[kind]
    per_slot = max(1, round(kept * counts.size * (7 if kind == "hour_of_week" else 1) / (max(days, 1) * SLOTS[kind])))
    overall = float(counts.mean())
    levels = np.full(SLOTS[kind], overall)
    residuals = np.zeros(counts.size)
    others = np.zeros(counts.size)
    for slot in range(SLOTS[kind]):
        at = np.flatnonzero(slots == slot)[-per_slot:]
        if not at.size:
            continue
        values = counts[at].astype(np.float64)
        levels[slot] = _level(values)
        for one, position in enumerate(at):
            # Against the level the others make: so the error of the level is in the dispersion.
            rest = _level(np.delete(values, one)) if at.size > 1 else overall
            others[position] = max(LEVEL_LEAST, rest)
            residuals[position] = values[one] - others[position]
    used = others > 0
    return Season(kind, tuple(float(x) for x in levels), dispersion(residuals[used], others[used]), int(used.sum()))


def _level(values: Array) -> float:
    middle = float(np.median(values))
    return middle if middle >= _MEDIAN_FROM else float(values.mean())


def dispersion(residuals: Array, expected: Array) -> float:
    """The size r of variance m + m²/r from residuals (m,) of expected counts (m,); inf where no more than Poisson.

    1/r = Σ(residual² - m) / Σm². Single wild windows are cut at five sd of a first estimate, so that one outage in a
    baseline does not make every later one normal.
    """
    if not residuals.size:
        return math.inf
    squares, weight = residuals * residuals, float((expected * expected).sum())
    for _ in range(2):
        inverse = max(0.0, float((squares - expected).sum()) / weight)
        squares = np.minimum(squares, 25 * (expected + inverse * expected * expected))
        if inverse == 0:
            break
    # Cutting at five sd takes little of honest counts away; what is left over is what counts.
    inverse = max(0.0, float((squares - expected).sum()) / weight)
    return min(max(1 / inverse, _SIZE_LEAST), _SIZE_MOST) if inverse > 1 / _SIZE_MOST else math.inf


def trend(counts: Sequence[int], expected: Sequence[float]) -> float:
    """Observed over expected of the last day's closed windows, within ½ and 2; 1 without any expectation.

    It carries growth from day to day. Leave alarmed windows out, or an outage lowers its own expectation.
    """
    wanted = float(sum(expected))
    if wanted <= 0:
        return 1.0
    return min(max(float(sum(counts)) / wanted, TREND_LEAST), TREND_MOST)


def count_score(count: int, expected: float, size: float = math.inf) -> float:
    """z of a count against its expectation: the normal score of the negative binomial's mid-p, within ±6."""
    tails = count_tails(count, expected, size)
    return score(tails.mid_low, tails.mid_high)


def silence_chance(expected: float, size: float = math.inf) -> float:
    """The chance that nothing at all comes where `expected` >= 0 were due: (1 + m/r)^-r, or e^-m."""
    if expected < 0:
        raise ValueError(f"an expectation is at least 0, not {expected}")
    if math.isinf(size):
        return math.exp(-expected)
    return math.exp(-size * math.log1p(expected / size))


def silence_needed(alpha: float, size: float = math.inf) -> float:
    """How many must have been due for nothing at all to be a surprise of chance `alpha` in (0, 1)."""
    if not 0 < alpha < 1:
        raise ValueError(f"a chance inside (0, 1) is needed, not {alpha}")
    if math.isinf(size):
        return -math.log(alpha)
    return size * math.expm1(-math.log(alpha) / size)


def due(season: Season, pieces: Sequence[tuple[int, float]], trend_now: float = 1.0) -> float:
    """How many were due since the last one: `pieces` of (hour of week, share of one window's length, 0 and up)."""
    return sum(season.expected(hour, trend_now) * share for hour, share in pieces)


@dataclass(frozen=True, slots=True)
class Silence:
    """Whether having heard nothing is news: how many were due, the chance of none, and the chance that alarms."""

    due: float
    chance: float
    alpha: float

    @property
    def alarm(self) -> bool:
        return self.chance < self.alpha


def silence(expected: float, arl0: float, size: float = math.inf) -> Silence:
    """Silence against an error of one in `arl0` > 1 looks: a quiet night passes, a dead sender at noon does not."""
    if not arl0 > 1:
        raise ValueError(f"a wanted run length over 1 is needed, not {arl0}")
    return Silence(expected, silence_chance(expected, size), 1 / arl0)


def slot_of(weekday: int, hour: int) -> int:
    """The hour of the week, 0..167, from weekday 0 (Monday) .. 6 and hour 0..23 of the local clock."""
    if not (0 <= weekday <= 6 and 0 <= hour <= 23):
        raise ValueError(f"a weekday within 0 and 6 and an hour within 0 and 23 are needed, not {weekday}, {hour}")
    return 24 * weekday + hour
