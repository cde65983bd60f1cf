"""Which buckets answer for a window: the coarsest grain that fits exactly, finer ones at its edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from traces.rollup.buckets import Calendar, Grain

# How long minutes and hours are kept; days stay. Counted from now, to the minute.
MINUTES_KEPT_DAYS = 8
HOURS_KEPT_DAYS = 100
# Users' days and months name people: they go, whole months at a time.
USERS_KEPT_DAYS = 400


class Step(IntEnum):
    """How long the points of a chart are, in minutes; days, weeks and months are those of the project's zone."""

    MINUTE = 1
    FIVE_MINUTES = 5
    QUARTER = 15
    HOUR = 60
    SIX_HOURS = 360
    DAY = 1440
    WEEK = 10_080
    MONTH = 43_200


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of one grain whose buckets begin in [low, high), in minutes since 1970."""

    grain: Grain
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """From which minute on rows of minutes, of hours and of users are whole."""

    minutes: int
    hours: int
    users: int

    @classmethod
    def at(cls, now_minute: int) -> Horizon:
        """The horizon of a moment, for readers. It only moves forward: what lies behind it is never written again."""
        return cls(*(now_minute - days * 1440 for days in (MINUTES_KEPT_DAYS, HOURS_KEPT_DAYS, USERS_KEPT_DAYS)))

    @classmethod
    def for_writing(cls, now_minute: int) -> Horizon:
        """An hour behind that of readers, whose clock may be another machine's."""
        return cls.at(now_minute - 60)


def pick_step(low: int, high: int) -> Step:
    """A step that cuts the window into some dozen to two hundred points."""
    length = high - low
    for limit, step in (
        (3 * 60, Step.MINUTE),
        (12 * 60, Step.FIVE_MINUTES),
        (36 * 60, Step.QUARTER),
        (8 * 1440, Step.HOUR),
        (190 * 1440, Step.DAY),
        (4 * 366 * 1440, Step.WEEK),
    ):
        if length <= limit:
            return step
    return Step.MONTH


def snap(low: int, high: int, calendar: Calendar, horizon: Horizon) -> tuple[int, int]:
    """The window widened to what rows are kept for: to whole hours where minutes are gone, to days where hours are."""
    if low < horizon.minutes:
        low = calendar.place(low)[0]
    if low < horizon.hours:
        low = calendar.day_of(low)
    hour = calendar.place(high)[0]
    if hour != high and hour < horizon.minutes:
        high = calendar.next_hour(high)
    day = calendar.day_of(high)
    if day != high and day < horizon.hours:
        high = calendar.next_day(high)
    return low, max(high, low)


def cover(low: int, high: int, coarsest: Grain, calendar: Calendar) -> list[Segment]:
    """Segments that together hold exactly [low, high), each as coarse as fits and no coarser than `coarsest`."""
    if low >= high:
        return []
    if coarsest >= Grain.DAY:
        first = low if calendar.day_of(low) == low else calendar.next_day(low)
        last = calendar.day_of(high)
        if first < last:
            return [
                *cover(low, first, Grain.HOUR, calendar),
                Segment(Grain.DAY, first, last),
                *cover(last, high, Grain.HOUR, calendar),
            ]
    if coarsest >= Grain.HOUR:
        first = low if calendar.place(low)[0] == low else calendar.next_hour(low)
        last = calendar.place(high)[0]
        if first < last:
            return [
                *cover(low, first, Grain.MINUTE, calendar),
                Segment(Grain.HOUR, first, last),
                *cover(last, high, Grain.MINUTE, calendar),
            ]
    return [Segment(Grain.MINUTE, low, high)]


def coarsest_grain(step: Step | None) -> Grain:
    """The grain whose buckets nest in the points of a chart."""
    if step is None or step >= Step.DAY:
        return Grain.DAY
    return Grain.HOUR if step >= Step.HOUR else Grain.MINUTE


def edges(low: int, high: int, step: Step | None, calendar: Calendar) -> list[int]:
    """Where the points of [low, high) begin, ascending, from `low` itself; `high` is the last.

    Points at both ends may be cut short.
    """
    if low >= high or step is None:
        return [low, high]
    found, following = [low], _following(step, calendar)
    at = low
    while (at := following(at)) < high:
        found.append(at)
    return [*found, high]


def _following(step: Step, calendar: Calendar) -> Callable[[int], int]:
    """The beginning of the point after the one that a minute lies in."""
    if step == Step.MONTH:
        return calendar.next_month
    if step == Step.WEEK:
        return lambda at: calendar.next_day(calendar.week_of(at) + 6 * 1440 + 720)
    if step == Step.DAY:
        return calendar.next_day
    if step == Step.HOUR:
        return calendar.next_hour
    length = int(step)

    def within_day(at: int) -> int:
        day = calendar.day_of(at)
        return min(day + ((at - day) // length + 1) * length, calendar.next_day(at))

    return within_day
