"""What a count would be at this hour of the week: medians of the same hours, a factor for the trend, and dispersion.

Hours are cut in the project's time zone, so that a 23- or 25-hour day is not an anomaly; days that people marked
out (holidays, outages) teach nothing. The answer for a window never holds the window itself.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.results import TooLittle

Floats = NDArray[np.float64]
Kind = Literal["hour of week", "hour of day"]

HOUR_S = 3_600
DAYS_MIN = 14
# Four weeks give every hour of the week four values; before it hours of the day have to do (statistics.md 3.5).
WEEK_FROM_DAYS = 28
# Up to the last eight of the same hour; with fewer than 3 an hour of the week takes its hour of the day.
SAME_HOURS_MOST = 8
SAME_HOURS_MIN = 3
# Under this level a median of counts is a third of an event too low, or 0: there the mean, with outliers held in.
MEDIAN_FROM = 10.0
_HELD_IN_SDS = 4.0
# The trend: at least so many hours and expected events, and no further than twofold, which is news and not trend.
TREND_HOURS = 24
TREND_HOURS_MIN = 12
TREND_EVENTS_MIN = 30.0
TREND_MOST = 2.0


@dataclass(frozen=True, slots=True)
class Season:
    """Frozen: `levels`, events an hour for each slot (168 hours of the week from Monday 0:00, or 24 of the day).

    `counts`: how many hours each level stands on. `dispersion` = 1/r of the negative binomial, 0 for Poisson: of hours
    left out of their own level, so it holds the error of the levels too. `hours` learned from, `marked` left out.
    """

    kind: Kind
    levels: tuple[float, ...]
    counts: tuple[int, ...]
    dispersion: float
    zone: str
    hours: int
    marked: int


def slot_of(at: datetime, zone: tzinfo) -> int:
    """The hour of the week, 0..167 from Monday 0:00, on the clock of `zone`. ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("a time has a zone")
    local = at.astimezone(zone)
    return local.weekday() * 24 + local.hour


def learn_season(
    starts: Sequence[datetime], counts: ArrayLike, *, zone: tzinfo, marked: Collection[date] = ()
) -> Season | TooLittle:
    """The levels from whole hours `starts` (n,), ascending, with `counts` (n,) of events; an hour not given is unknown.

    `marked`: local days to leave out. Zones off by half an hour take the local hour an UTC hour begins in. TooLittle
    under 14 days of hours. Errors: ValueError for lengths that differ, counts under 0, order.
    """
    x = np.asarray(counts, dtype=np.float64)
    if x.shape != (len(starts),) or not bool((np.isfinite(x) & (x >= 0)).all()):
        raise ValueError("each hour has a count of 0 or more")
    if any(b <= a for a, b in pairwise(starts)):
        raise ValueError("hours come in order of time, each once")
    local = [at.astimezone(zone) for at in starts]
    kept = np.array([at.date() not in marked for at in local], dtype=np.bool_)
    hours = int(kept.sum())
    if hours < DAYS_MIN * 24:
        return TooLittle(hours // 24, DAYS_MIN, "days of hours")
    slots = np.array([slot_of(at, zone) for at in starts], dtype=np.intp)
    weekly = hours >= WEEK_FROM_DAYS * 24
    size = 168 if weekly else 24
    places = slots if weekly else slots % 24
    by_slot = [np.flatnonzero(kept & (places == slot))[-SAME_HOURS_MOST:] for slot in range(size)]
    by_day = [np.flatnonzero(kept & (slots % 24 == hour)) for hour in range(24)]
    levels, used = [], []
    squares = expected = 0.0
    for slot, mine in enumerate(by_slot):
        values = x[mine if mine.size >= SAME_HOURS_MIN else by_day[slot % 24]]
        levels.append(level_of(values) if values.size else float(x[kept].mean()))
        used.append(values.size)
        for left in range(values.size if values.size > SAME_HOURS_MIN else 0):
            mean = level_of(np.delete(values, left))
            squares += (float(values[left]) - mean) ** 2 - mean
            expected += mean * mean
    return Season(
        kind="hour of week" if weekly else "hour of day",
        levels=tuple(levels),
        counts=tuple(used),
        dispersion=max(0.0, squares / expected) if expected > 0 else 0.0,
        zone=str(zone),
        hours=hours,
        marked=len(starts) - hours,
    )


def level_of(values: Floats) -> float:
    """The median of counts (n,), or under 10 the mean with each value held within 4 sd (Poisson) above the median."""
    middle = float(np.median(values))
    if middle >= MEDIAN_FROM:
        return middle
    return float(np.minimum(values, middle + _HELD_IN_SDS * math.sqrt(middle + 1)).mean())


def base_level(season: Season, at: datetime, zone: tzinfo) -> float:
    """Events an hour at `at` without trend."""
    return season.levels[slot_of(at, zone) % len(season.levels)]


def trend_factor(season: Season, starts: Sequence[datetime], counts: ArrayLike, *, zone: tzinfo) -> float:
    """The level of the last hours against the season's: the weighted median of count/level, weights being the levels.

    `starts`, `counts`: up to 24 closed hours before the window, hours of open incidents left out by the caller. A
    median: half a day of outage does not teach it that nothing comes. 1 with under 12 hours or 30 expected events;
    held within ½ and 2. Errors: ValueError for lengths that differ.
    """
    x = np.asarray(counts, dtype=np.float64)
    if x.shape != (len(starts),):
        raise ValueError("each hour has a count")
    x, starts = x[-TREND_HOURS:], list(starts)[-TREND_HOURS:]
    levels = np.array([base_level(season, at, zone) for at in starts])
    if levels.size < TREND_HOURS_MIN or levels.sum() < TREND_EVENTS_MIN:
        return 1.0
    some = levels > 0
    ratios, weights = x[some] / levels[some], levels[some]
    order = np.argsort(ratios, kind="stable")
    reached = np.cumsum(weights[order])
    at_half = int(np.searchsorted(reached, reached[-1] / 2))
    return float(min(TREND_MOST, max(1 / TREND_MOST, ratios[order][at_half])))


def expected_in(season: Season, start: datetime, end: datetime, *, zone: tzinfo, trend: float = 1.0) -> float:
    """Events to expect in [start, end): each hour's level by the part of it inside, times `trend`.

    Errors: ValueError for a window that ends before it starts.
    """
    if end < start:
        raise ValueError(f"a window ends after it starts, not {start} to {end}")
    total, at, stop = 0.0, start.astimezone(UTC), end.astimezone(UTC)
    while at < stop:
        # Offsets of zones are whole quarters of an hour: levels change only there.
        step = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)
        upto = min(step, stop)
        total += base_level(season, at, zone) * (upto - at).total_seconds() / HOUR_S
        at = upto
    return total * trend


def silence_p(expected: float, dispersion: float) -> float:
    """P(no event) where `expected` were due: (1 + m/r)^-r with r = 1/dispersion, exp(-m) for Poisson.

    Errors: ValueError for numbers under 0.
    """
    if expected < 0 or dispersion < 0:
        raise ValueError(f"numbers of 0 or more are needed, not {expected}, {dispersion}")
    if dispersion == 0:
        return math.exp(-expected)
    return math.exp(-math.log1p(expected * dispersion) / dispersion)
