"""The day or month that a budget is given for, in the project's zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from alerts.allowances.types import Period
from traces.cost.periods import hours_of, month_of, today_in
from traces.rollup.buckets import Calendar, Grain, time_of


@dataclass(frozen=True, slots=True)
class Bounds:
    """One period: [start, end), its first local day and the first one after it."""

    period: Period
    first: date
    after: date
    start: datetime
    end: datetime

    @property
    def grain(self) -> Grain:
        """The buckets of users that are as long."""
        return Grain.DAY if self.period == Period.DAY else Grain.MONTH

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=at) for at in range((self.after - self.first).days)]


def bounds_at(period: Period, calendar: Calendar, now: datetime) -> Bounds:
    """The period that a moment lies in."""
    return bounds_of(period, calendar, today_in(calendar, now))


def bounds_of(period: Period, calendar: Calendar, day: date) -> Bounds:
    """The period that a local day lies in."""
    first, after = (day, day + timedelta(days=1)) if period == Period.DAY else month_of(day)
    return Bounds(period, first, after, time_of(calendar.day_start(first)), time_of(calendar.day_start(after)))


def hours_in(day: date, calendar: Calendar) -> float:
    """How long a local day is."""
    return hours_of(day, calendar)
