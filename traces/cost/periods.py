"""The days a bill is about, in the project's zone, and the days it is compared with. Some have 23 or 25 hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from traces.rollup.buckets import Calendar, minute_of, time_of

DAYS_MAX = 400
_DAY = timedelta(days=1)
ROLLING = {"7d": 7, "28d": 28}
NAMED = ("month", "last_month", *ROLLING)


class PeriodError(ValueError):
    """Days that cannot be: which field, and what is accepted."""

    def __init__(self, field: str, message: str, limit: str, value: str = "") -> None:
        super().__init__(f"{field} {message}: {limit}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


@dataclass(frozen=True, slots=True)
class Days:
    """The local days [first, after) with the moments at which they begin and end."""

    first: date
    after: date
    start: datetime
    end: datetime

    @property
    def n(self) -> int:
        return (self.after - self.first).days

    @property
    def last(self) -> date:
        return self.after - _DAY

    def each(self) -> list[date]:
        return [self.first + timedelta(days=at) for at in range(self.n)]


@dataclass(frozen=True, slots=True)
class Period:
    """What a bill is about: `days` (today included, where it is in there), and what can be compared.

    `whole` are its days that are over, `before` as many days of the period before (as many as that has), both None
    where no day is over yet.
    """

    name: str  # one of NAMED, or "" for days given
    days: Days
    whole: Days | None
    before: Days | None
    today: date
    now: datetime

    @property
    def has_today(self) -> bool:
        return self.days.first <= self.today < self.days.after

    @property
    def is_month(self) -> bool:
        """Whether these are days of one calendar month from its first on."""
        return self.name in {"month", "last_month"}


def days_between(first: date, after: date, calendar: Calendar) -> Days:
    """The days with the moments they begin and end at in this zone."""
    return Days(first, after, time_of(calendar.day_start(first)), time_of(calendar.day_start(after)))


def named_period(name: str, calendar: Calendar, now: datetime) -> Period:
    """This month so far, the last month, or the last 7 or 28 days with today; KeyError for other names."""
    today = today_in(calendar, now)
    tomorrow, month = today + _DAY, today.replace(day=1)
    if name == "month":
        whole = (today - month).days
        earlier = (month - _DAY).replace(day=1)
        before = (earlier, min(earlier + timedelta(days=whole), month))
        return _made(name, (month, tomorrow), before, calendar, today, now)
    if name == "last_month":
        earlier = (month - _DAY).replace(day=1)
        return _made(name, (earlier, month), ((earlier - _DAY).replace(day=1), earlier), calendar, today, now)
    back = timedelta(days=ROLLING[name])
    # The same weekdays, one period earlier; today is not over and has no twin.
    return _made(name, (tomorrow - back, tomorrow), (tomorrow - 2 * back, today - back), calendar, today, now)


def given_period(first: date, last: date, calendar: Calendar, now: datetime) -> Period:
    """The days from `first` to `last`, both included, beside as many whole days before; PeriodError."""
    today = today_in(calendar, now)
    after = last + _DAY
    if first > last:
        raise PeriodError("from", "lies behind `to`", f"{last} or before", str(first))
    if (after - first).days > DAYS_MAX:
        raise PeriodError("from", "is too far from `to`", f"at most {DAYS_MAX} days", f"{(after - first).days} days")
    if first > today:
        raise PeriodError("from", "has not come yet", f"{today} or before", str(first))
    after = min(after, today + _DAY)
    whole = (min(after, today) - first).days
    return _made("", (first, after), (first - timedelta(days=whole), first), calendar, today, now)


def month_of(day: date) -> tuple[date, date]:
    """The first day of a day's month, and of the month after it."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def today_in(calendar: Calendar, now: datetime) -> date:
    """The local date of a moment."""
    return now.astimezone(calendar.zone).date()


def hours_of(day: date, calendar: Calendar) -> float:
    """How long a local day is: 23, 24 or 25 hours, mostly."""
    return (calendar.day_start(day + _DAY) - calendar.day_start(day)) / 60


def share_of_today(calendar: Calendar, now: datetime) -> float:
    """The part of today that has passed, 0..1."""
    today = today_in(calendar, now)
    start, end = calendar.day_start(today), calendar.day_start(today + _DAY)
    return min(max((minute_of(now) - start) / max(end - start, 1), 0.0), 1.0)


def read_day(field: str, raw: str, calendar: Calendar) -> date:
    """A day as people and addresses write it: 2026-11-19, or a moment, which stands for its local day.

    For `to` a moment at midnight ends the day before. PeriodError.
    """
    text = raw.strip()
    limit = "a day such as 2026-11-19, of the years 1970 to 2200"
    try:
        if len(text) <= 10:
            found = date.fromisoformat(text)
        else:
            at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            local = (at if at.tzinfo else at.replace(tzinfo=calendar.zone)).astimezone(UTC).astimezone(calendar.zone)
            at_midnight = field == "to" and (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
            found = local.date() - (_DAY if at_midnight else timedelta(0))
    except (ValueError, OverflowError):
        raise PeriodError(field, "is no day", limit, raw[:40]) from None
    if not 1970 <= found.year <= 2200:
        raise PeriodError(field, "is out of range", limit, raw[:40])
    return found


def _made(
    name: str, days: tuple[date, date], before: tuple[date, date], calendar: Calendar, today: date, now: datetime
) -> Period:
    over = min(days[1], today)
    has_whole = over > days[0] and before[1] > before[0]
    return Period(
        name,
        days_between(*days, calendar),
        days_between(days[0], over, calendar) if has_whole else None,
        days_between(*before, calendar) if has_whole else None,
        today,
        now,
    )
