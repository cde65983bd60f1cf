"""The one clock: everything that asks for the time asks here, so that tests can stand it still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The current time, aware, UTC."""
    return datetime.now(UTC)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; UTC where this machine knows it no more, as zones are renamed and removed."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def from_ns(nanoseconds: int) -> datetime:
    """The aware UTC time of `nanoseconds` since 1970, cut to the microsecond; OverflowError outside year 1-9999."""
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)
