"""The one clock: everything that asks for the time asks here, so that tests can stand it still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The current time, aware, UTC."""
    return datetime.now(UTC)


def from_ns(nanoseconds: int) -> datetime:
    """The aware UTC time of `nanoseconds` since 1970, cut to the microsecond; OverflowError outside year 1-9999."""
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)
