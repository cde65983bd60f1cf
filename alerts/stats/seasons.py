"""What a count is used to at this hour of the week or day, how the last day compares, and slopes between hours.

Hours are numbers on the project's own clock, 0 at Monday midnight, so a day of 23 or 25 hours is no anomaly; days that
people marked out are left out by the caller. What judges a window never holds the window itself.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Medians of smaller counts are far from their means; those hours take the mean.
MEDIAN_FROM = 5.0
# Events that a level of sums is to stand on: it is then some 30 % off.
_EVENTS_BEHIND = 10.0
# The factor of the last day starts from as much as some hours are used to, and never goes further than this.
TREND_MOST = 4.0
_AS_EVER = 4.0


def used_to(events: Floats, hours: Floats, period: int, unit: float = 1.0) -> list[float]:
    """The level of every hour of a week or day of `period` hours, from windows (n,); hours never seen take all's.

    `unit`: of sums, what `alerts.stats.sums` says.
    """
    slots = hours.astype(int)
    overall = level_of(events.tolist(), unit)
    found = [events[slots == slot].tolist() for slot in range(period)]
    levels = [level_of(values, unit) if values else overall for values in found]
    return _joined(levels, unit, len(events) / period)


def by_other_laps(events: Floats, hours: Floats, period: int, unit: float = 1.0) -> Floats:
    """For each window (n,) the level of its hour on all other laps (weeks, days), which begin where hours step back."""
    laps = np.concatenate([[0], np.cumsum(np.diff(hours) <= 0)])
    by_slot: defaultdict[int, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for k, slot, lap in zip(events.tolist(), hours.astype(int).tolist(), laps.tolist(), strict=True):
        by_slot[slot][lap].append(k)
    whole = used_to(events, hours, period, unit)
    levels = {}
    for lap in range(int(laps[-1]) + 1):
        row = list(whole)
        for slot, each in by_slot.items():
            rest = [k for of, values in each.items() if of != lap for k in values]
            row[slot] = level_of(rest, unit) if rest else row[slot]
        levels[lap] = _joined(row, unit, len(events) / period)
    return np.array([between(levels[lap], hour) for lap, hour in zip(laps.tolist(), hours.tolist(), strict=True)])


def _joined(levels: list[float], unit: float, windows: float) -> list[float]:
    """Levels of sums, together with an hour or two on either side where `windows` of an hour hold too few events.

    A quiet hour that was quiet by chance would find every later one too dear.
    """
    if unit <= 1:
        return levels
    row = np.array(levels)
    for reach in (1, 2):
        beside = np.mean([np.roll(levels, by) for by in range(-reach, reach + 1)], axis=0)
        row = np.where(beside * windows * (2 * reach - 1) < _EVENTS_BEHIND * unit, beside, row)
    return [float(level) for level in row]


def between(levels: Sequence[float], hour: float) -> float:
    """The level at `hour`: of its own hour, on the lesser of the slopes to both neighbours, flat at a peak or a jump.

    A steep morning is a slope, not stairs; midnight before a weekend is a step. Source: the minmod limiter, Roe 1986.
    """
    slot = math.floor(hour)
    level = levels[slot % len(levels)]
    before, after = level - levels[slot - 1], levels[(slot + 1) % len(levels)] - level
    if before * after <= 0:
        return level
    return level + (hour - slot - 0.5) * min(before, after, key=abs)


def trended(events: Floats, usual: Floats, windows_a_day: float) -> Floats:
    """Each window's expectation (n,) with the factor of the day before it, what came by then against what was usual."""
    keep, seen, due = math.exp(-1 / windows_a_day), 0.0, 0.0
    expected = np.empty(len(events))
    for at, (k, mean) in enumerate(zip(events.tolist(), usual.tolist(), strict=True)):
        expected[at] = mean * trend(seen, due, mean)
        seen, due = keep * seen + k, keep * due + mean
    return expected


def trend(seen: float, due: float, usual: float) -> float:
    """What the last day held against what it is used to, from one hour's worth of "as ever"."""
    factor = (seen + _AS_EVER * usual) / (due + _AS_EVER * usual)
    return min(max(factor, 1 / TREND_MOST), TREND_MOST)


def level_of(values: Sequence[float], unit: float = 1.0) -> float:
    """What an hour is used to a window: the median, for small counts the mean; never nothing at all.

    Sums are small by their `unit`, and skewed: the mean of a gamma lies a third of it above the median.
    """
    middle = float(np.median(values))
    if middle < MEDIAN_FROM * unit:
        middle = float(np.mean(values))
    elif unit > 1:
        middle += unit / 3
    return max(middle, 0.5 * unit / len(values))
