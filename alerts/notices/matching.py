"""Whom a transition goes to: routes by severity, feature, kind and hour; silences. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerts.notices.transitions import Kind
from telltale.lib import clock

DAY_MINUTES = 24 * 60
# The watchdog is for the hour when nobody expects anything: no severity, feature or silence holds it back.
ENGINE = frozenset({Kind.ENGINE_STANDS, Kind.ENGINE_RUNS})


@dataclass(frozen=True, slots=True)
class About:
    """What routes and silences look at. `features` (): the whole project. `monitors`: those of its paging members."""

    kind: Kind
    severity: int | None
    features: tuple[str, ...] = ()
    monitors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a week, in a zone: [start, end) in minutes of the day; past midnight where the end is before the start.

    `days` are those on which it begins, Monday 1.
    """

    days: tuple[int, ...]
    start: int
    end: int

    def hold(self, at: datetime, zone: str) -> bool:
        """Whether `at` is within them."""
        local = at.astimezone(clock.zone_of(zone))
        minute, today = local.hour * 60 + local.minute, local.isoweekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        yesterday = (local - timedelta(days=1)).isoweekday()
        return (today in self.days and minute >= self.start) or (yesterday in self.days and minute < self.end)


@dataclass(frozen=True, slots=True)
class Way:
    """A route. Empty: all. `hours` None: always."""

    severities: tuple[int, ...] = ()
    features: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    hours: Hours | None = None

    def fits(self, about: About, at: datetime, zone: str) -> bool:
        """Whether it takes what happened, at this time. A trouble of the whole project is one of every feature."""
        if self.kinds and about.kind not in self.kinds:
            return False
        if self.hours is not None and not self.hours.hold(at, zone):
            return False
        if about.kind in ENGINE:
            return True
        if self.severities and about.severity is not None and about.severity not in self.severities:
            return False
        return not (self.features and about.features and not set(self.features) & set(about.features))


@dataclass(frozen=True, slots=True)
class Hush:
    """A silence: all that is given must match, and nothing given matches everything but the watchdog."""

    monitors: frozenset[int] = frozenset()
    features: frozenset[str] = frozenset()
    severities: frozenset[int] = frozenset()

    def holds(self, about: About) -> bool:
        """Whether nobody is told of it. What also comes from elsewhere is told: all its monitors, or features, must be
        among those named."""
        if about.kind in ENGINE or about.kind == Kind.TEST:
            return False
        if self.monitors and not (about.monitors and set(about.monitors) <= self.monitors):
            return False
        if self.features and not (about.features and set(about.features) <= self.features):
            return False
        return not (self.severities and about.severity not in self.severities)


def read_way(
    severities: Collection[int], features: Collection[str], kinds: Collection[str], hours: Mapping[str, Any]
) -> Way:
    """A route out of its row."""
    return Way(tuple(severities), tuple(features), tuple(kinds), read_hours(hours))


def read_hours(told: Mapping[str, Any]) -> Hours | None:
    """Hours out of JSON: {"days": [1, 2], "start": "09:00", "end": "18:00"}; None where there are none."""
    if not told:
        return None
    days = tuple(told.get("days") or range(1, 8))
    return Hours(days, minute_of(told["start"]), minute_of(told["end"]))


def read_hush(told: Mapping[str, Any]) -> Hush:
    """What a silence matches out of its row."""
    return Hush(
        frozenset(told.get("monitors", ())), frozenset(told.get("features", ())), frozenset(told.get("severities", ()))
    )


def minute_of(text: str) -> int:
    """ "09:30" as minutes of the day, up to "24:00"; ValueError for what is no time of day."""
    hour, colon, minute = text.partition(":")
    if not (colon and len(hour) == len(minute) == 2 and (hour + minute).isascii() and (hour + minute).isdigit()):
        raise ValueError(f"{text!r} is no time of day")
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > DAY_MINUTES:
        raise ValueError(f"{text!r} is no time of day")
    return found
