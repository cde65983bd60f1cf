"""When a suite of probes runs: every so many minutes, or at a time of some weekdays in the project's zone, or never.

Pure: times in, times out. A time that a change of clocks leaves out comes an hour later; one it repeats comes once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from evals.judges.fields import ConfigRefused, read_choice, read_int, read_object

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MINUTES_MIN, MINUTES_MAX = 15, 28 * 24 * 60
MINUTES_A_WEEK = 7 * 24 * 60
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


@dataclass(frozen=True, slots=True)
class Schedule:
    """`every_minutes`, or `days` (0 is Monday) with `at`; neither: only when somebody asks."""

    every_minutes: int | None = None
    days: tuple[int, ...] = ()
    at: time = time(6, 0)

    @property
    def runs_a_week(self) -> float:
        """How many runs a week it means."""
        return MINUTES_A_WEEK / self.every_minutes if self.every_minutes else float(len(self.days))

    def as_json(self) -> dict[str, Any]:
        """As it is stored, and as REST tells it."""
        if self.every_minutes:
            return {"every_minutes": self.every_minutes}
        return {"days": [DAYS[day] for day in self.days], "at": f"{self.at:%H:%M}"} if self.days else {}


def parse_schedule(raw: object, where: str = "schedule") -> Schedule:
    """`{"every_minutes": 1440}`, `{"days": ["wed"], "at": "06:00"}`, or `{}`. ConfigRefused."""
    told: Mapping[str, Any] = read_object(raw, where, {"every_minutes", "days", "at"})
    if "every_minutes" in told:
        if "days" in told or "at" in told:
            raise ConfigRefused(f"{where}.days", "cannot be given beside every_minutes.", "one of the two")
        return Schedule(read_int(told["every_minutes"], f"{where}.every_minutes", MINUTES_MIN, MINUTES_MAX))
    if not told:
        return Schedule()
    days = told.get("days")
    if not isinstance(days, list) or not 1 <= len(days) <= 7:
        raise ConfigRefused(f"{where}.days", "must be a list of weekdays.", ", ".join(DAYS))
    numbers = {DAYS.index(read_choice(day, f"{where}.days[{at}]", DAYS)) for at, day in enumerate(days)}
    raw_at = told.get("at", "06:00")
    match = _TIME.match(raw_at) if isinstance(raw_at, str) else None
    if match is None:
        raise ConfigRefused(f"{where}.at", "must be a time of the day.", "00:00 to 23:59")
    return Schedule(None, tuple(sorted(numbers)), time(int(match[1]), int(match[2])))


def next_after(schedule: Schedule, after: datetime, zone: ZoneInfo) -> datetime | None:
    """The first time after `after` (aware), in UTC; None where it never runs by itself."""
    if schedule.every_minutes:
        return (after + timedelta(minutes=schedule.every_minutes)).astimezone(UTC)
    first = after.astimezone(zone).date()
    for ahead in range(9):
        day = first + timedelta(days=ahead)
        if day.weekday() in schedule.days:
            # Through UTC and back: a time that the clocks leave out becomes one there is.
            found = datetime.combine(day, schedule.at, zone).astimezone(UTC)
            if found > after:
                return found
    return None


def schedule_words(schedule: Schedule) -> str:
    """The schedule in words: "every day", "every Wednesday at 06:00"."""
    minutes = schedule.every_minutes
    if minutes:
        for size, one, many in ((1440, "day", "days"), (60, "hour", "hours"), (1, "minute", "minutes")):
            if minutes % size == 0:
                n = minutes // size
                return f"every {one}" if n == 1 else f"every {n} {many}"
    if not schedule.days:
        return "only when asked"
    names = [DAY_NAMES[day] for day in schedule.days]
    days = "day" if len(names) == 7 else names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"every {days} at {schedule.at:%H:%M}"
