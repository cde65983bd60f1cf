"""Windows of a series: which there are, where they begin. Whole minutes in UTC under an hour, else in a time zone.

Hours are counted from midnight of the project's zone, as roll-ups count them, so that they nest in days in zones half
an hour off too. Of a day of 23 or 25 hours the last of several windows is shorter or longer; weeks begin on Monday.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from alerts.monitors.types import Window
from traces.rollup.buckets import Calendar, calendar_of, minute_of, time_of

_HOUR, _DAY, _WEEK = 60, 1440, 10_080
# Minutes: those that nest in an hour or in a day.
SIZES = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, _DAY, _WEEK)
WINDOWS_MAX = 20_000


def is_size(size: timedelta) -> bool:
    """Whether windows may be this long."""
    return size % timedelta(minutes=1) == timedelta(0) and size // timedelta(minutes=1) in SIZES


def window_at(time_zone: str, size: timedelta, at: datetime) -> Window:
    """The window that `at` lies in. ValueError for a size that is none (`SIZES`)."""
    low, high = _around(calendar_of(time_zone), _minutes(size), minute_of(at))
    return Window(time_of(low), time_of(high))


def windows_between(time_zone: str, size: timedelta, start: datetime, end: datetime) -> Iterator[Window]:
    """The windows that lie wholly in [start, end), in their order."""
    calendar, minutes = calendar_of(time_zone), _minutes(size)
    low, high = _around(calendar, minutes, minute_of(start))
    if time_of(low) < start:
        low, high = _around(calendar, minutes, high)
    while time_of(high) <= end:
        yield Window(time_of(low), time_of(high))
        low, high = _around(calendar, minutes, high)


def hour_of_week(time_zone: str, window: Window) -> float:
    """Where the middle of the window lies: hours since Monday midnight in the zone, 0..168 by the wall clock."""
    middle = (window.start + (window.end - window.start) / 2).astimezone(calendar_of(time_zone).zone)
    return middle.weekday() * 24 + middle.hour + middle.minute / 60 + middle.second / 3600


def _minutes(size: timedelta) -> int:
    if not is_size(size):
        raise ValueError(f"windows are as long as one of {SIZES} minutes, not {size}")
    return size // timedelta(minutes=1)


def _around(calendar: Calendar, size: int, minute: int) -> tuple[int, int]:
    if size < _HOUR:
        low = minute - minute % size
        return low, low + size
    if size == _WEEK:
        low = calendar.week_of(minute)
        return low, calendar.week_of(calendar.next_day(low + 6 * _DAY + _DAY // 2))
    day, following = calendar.day_of(minute), calendar.next_day(minute)
    if size == _DAY:
        return day, following
    if size == _HOUR:
        return calendar.place(minute)[0], calendar.next_hour(minute)
    last = _DAY // size - 1
    at = min((minute - day) // size, last)
    return day + at * size, following if at == last else day + (at + 1) * size
