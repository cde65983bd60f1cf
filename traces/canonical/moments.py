"""Times of spans: raw nanoseconds into what timestamptz holds, with flags for what was moved or assumed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from traces.canonical.limits import Limits
from traces.canonical.types import SpanFlag

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What both Python's datetime and timestamptz hold, with a day to spare for time zones.
FIRST_US = (datetime(1, 1, 2, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
LAST_US = (datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_MAX_BIGINT = 2**63 - 1
_MAX_TTFT_NS = 86_400 * 1_000_000_000

# Stored start in microseconds, end, duration, flags. A plain tuple: a named one takes a third of a microsecond longer.
Place = tuple[int, int | None, int | None, int]

_CLAMPED = int(SpanFlag.CLAMPED)
_FROM_RECEIPT = int(SpanFlag.FROM_RECEIPT)
_END_BEFORE_START = int(SpanFlag.END_BEFORE_START)
_FAR_PAST = int(SpanFlag.FAR_PAST) | _CLAMPED
_FAR_FUTURE = int(SpanFlag.FAR_FUTURE) | _CLAMPED


def clamp_us(microseconds: int) -> int:
    """The nearest time that storage can hold."""
    return min(max(microseconds, FIRST_US), LAST_US)


def place(start_ns: int, end_ns: int, received_at_ns: int, limits: Limits) -> Place:
    """The stored start, the end (None while open), the duration (None while open or where the end lies before).

    A start of 0 was not sent: the receipt stands in. Otherwise the stored start depends on the span alone, so that a
    resend meets the same row; starts far from the receipt are flagged and kept where they are.
    """
    end = end_ns or None
    if not start_ns:
        return received_at_ns // 1000, end, None, _FROM_RECEIPT
    flags = 0
    if start_ns < received_at_ns - limits.far_past_ns:
        flags = _FAR_PAST
    elif start_ns > received_at_ns + limits.far_future_ns:
        flags = _FAR_FUTURE
    duration = None
    if end is not None:
        duration = end - start_ns
        if duration < 0:
            duration = None
            flags |= _END_BEFORE_START
        elif duration > _MAX_BIGINT:
            duration = None
            flags |= _CLAMPED
    return clamp_us(start_ns // 1000), end, duration, flags


def since(start_ns: int, moment: Any) -> int | None:
    """Nanoseconds from a span's start to an ISO 8601 time, None where that is no time after the start within a day."""
    found = parse_iso_ns(moment) if isinstance(moment, str) else None
    if found is None or not start_ns:
        return None
    # ISO text carries microseconds: a chunk within the start's own microsecond may come out just before it.
    return within_a_day(max(found - start_ns, 0) if found - start_ns > -1000 else -1)


def within_a_day(nanoseconds: int) -> int | None:
    """A time to first token, None where it is none: negative, or more than a day."""
    return nanoseconds if 0 <= nanoseconds <= _MAX_TTFT_NS else None


def parse_iso_ns(text: str) -> int | None:
    """Nanoseconds since 1970 of an ISO 8601 time; one without a zone is UTC; None where it is none."""
    text = text.strip()
    if not 8 <= len(text) <= 40:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    except OverflowError:
        return None
