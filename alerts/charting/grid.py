"""The windows of a chart: one after another, half-open, cut where people expect them to be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.monitors.types import Window

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)  # a Monday


def window_at(at: datetime, size: timedelta, zone: str = "UTC") -> Window:
    """The window of the grid that holds `at`.

    Up to a day windows are cut in UTC, from a Monday's midnight on. Days and whole numbers of days are cut at midnight
    of the project's `zone`, weeks on Mondays: a window may be 23 or 25 hours long. ValueError for a size of 0 or less.
    """
    if size <= timedelta(0):
        raise ValueError(f"a window is longer than nothing, not {size}")
    if size < DAY or size % DAY:
        start = at - (at - _EPOCH) % size
        return Window(start.astimezone(UTC), (start + size).astimezone(UTC))
    place = ZoneInfo(zone)
    days = size // DAY
    today = at.astimezone(place).date()
    first = today - timedelta(days=(today - _EPOCH.date()).days % days)
    midnight = datetime.min.time()
    start, end = (datetime.combine(day, midnight, place).astimezone(UTC) for day in (first, first + size))
    return Window(start, end)


def windows_between(start: datetime, until: datetime, size: timedelta, zone: str = "UTC") -> Iterator[Window]:
    """The windows from the one that holds `start` on, as long as they end at or before `until`, oldest first."""
    window = window_at(start, size, zone)
    while window.end <= until:
        yield window
        window = window_at(window.end, size, zone)
