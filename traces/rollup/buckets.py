"""Buckets of time: minutes, and the hours and days of a time zone in which they nest. Times are minutes since 1970.

A day begins at midnight of the zone (at the first instant of the date, where midnight is skipped or told twice) and
lasts 23, 24 or 25 hours. Hours are counted from there, so that they nest in days in zones half an hour off too.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from functools import lru_cache

from telltale.lib.clock import zone_of

MINUTES_PER_DAY = 1440
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT_MAX = 200_000


class Grain(IntEnum):
    """The lengths of buckets, in minutes as they are stored; those of days and months are nominal."""

    MINUTE = 1
    HOUR = 60
    DAY = 1440
    MONTH = 43_200


def minute_of(at: datetime) -> int:
    """The minute that `at` lies in."""
    delta = at - _EPOCH
    return delta.days * MINUTES_PER_DAY + delta.seconds // 60


def time_of(minute: int) -> datetime:
    """When a minute begins; clamped to what datetimes hold."""
    try:
        return _EPOCH + timedelta(minutes=minute)
    except OverflowError:
        return datetime.max.replace(microsecond=0, tzinfo=UTC) if minute > 0 else datetime.min.replace(tzinfo=UTC)


class Calendar:
    """The hours, days and months of one time zone. Unknown names mean UTC."""

    __slots__ = ("_days", "_places", "name", "zone")

    def __init__(self, name: str) -> None:
        self.name = name
        self.zone = zone_of(name)
        self._days: dict[date, int] = {}
        self._places: dict[int, tuple[int, int]] = {}

    def place(self, minute: int) -> tuple[int, int]:
        """(first minute of its hour, first minute of its day)."""
        found = self._places.get(minute)
        if found is None:
            day = self.day_of(minute)
            found = (day + (minute - day) // 60 * 60, day)
            if len(self._places) >= _KEPT_MAX:
                self._places.clear()
            self._places[minute] = found
        return found

    def day_of(self, minute: int) -> int:
        """The first minute of the day that `minute` lies in."""
        day = self.date_of(minute)
        return minute - minute % MINUTES_PER_DAY if day is None else self.day_start(day)

    def date_of(self, minute: int) -> date | None:
        """The local date, None at the far ends of time, where zones have none."""
        try:
            return (_EPOCH + timedelta(minutes=minute)).astimezone(self.zone).date()
        except (OverflowError, ValueError):
            return None

    def day_start(self, day: date) -> int:
        """The first minute of a local date."""
        found = self._days.get(day)
        if found is None:
            try:
                # Where midnight does not exist, the offset before the gap leads to the gap's end: the day's beginning.
                # Offsets of the nineteenth century have seconds; minutes must nest.
                found = minute_of(datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC))
            except (OverflowError, ValueError):
                found = (day.toordinal() - _EPOCH.toordinal()) * MINUTES_PER_DAY
            if len(self._days) >= _KEPT_MAX:
                self._days.clear()
            self._days[day] = found
        return found

    def next_day(self, minute: int) -> int:
        """The first minute of the day after the one that `minute` lies in."""
        day = self.date_of(minute)
        if day is None or day == date.max:
            return minute - minute % MINUTES_PER_DAY + MINUTES_PER_DAY
        following = self.day_start(day + timedelta(days=1))
        # Zones that skipped a date: the day after next.
        return following if following > minute else self.day_start(day + timedelta(days=2))

    def next_hour(self, minute: int) -> int:
        """The first minute of the hour after the one that `minute` lies in; the last hour of a day may be short."""
        hour, _ = self.place(minute)
        return min(hour + 60, self.next_day(minute))

    def month_of(self, minute: int) -> int:
        """The first minute of the month that `minute` lies in."""
        day = self.date_of(minute)
        return self.day_of(minute) if day is None else self.day_start(day.replace(day=1))

    def next_month(self, minute: int) -> int:
        """The first minute of the month after the one that `minute` lies in."""
        day = self.date_of(minute)
        if day is None or (day.year, day.month) == (date.max.year, 12):
            return self.next_day(minute)
        year, month = divmod(day.year * 12 + day.month, 12)
        return self.day_start(date(year, month + 1, 1))

    def week_of(self, minute: int) -> int:
        """The first minute of the week, from Monday, that `minute` lies in."""
        day = self.date_of(minute)
        if day is None or day.toordinal() <= 7:
            return self.day_of(minute)
        return self.day_start(day - timedelta(days=day.weekday()))


@lru_cache(maxsize=64)
def calendar_of(name: str) -> Calendar:
    """The calendar of a time zone, made once a process."""
    return Calendar(name)
