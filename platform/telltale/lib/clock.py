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
    return _zone(name) or ZoneInfo("UTC")


def knows_zone(name: str) -> bool:
    """Whether this machine has a time zone of that name; pages say so where it has not."""
    return _zone(name) is not None


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def from_ns(nanoseconds: int) -> datetime:
    """The aware UTC time of `nanoseconds` since 1970, cut to the microsecond; OverflowError outside year 1-9999."""
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)
