"""The forms of values in answers: money as decimal text in USD, times as ISO 8601 UTC, ids as hex."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

PICO = Decimal(10) ** 12


def usd(pico: int | Decimal | None) -> str | None:
    """Pico-dollars as exact decimal text without trailing zeros: 14550000000 is "0.01455"."""
    if pico is None:
        return None
    text = f"{Decimal(pico).scaleb(-12):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def usd_per_million(pico_per_token: int | None) -> str | None:
    """A rate of pico-dollars a token as USD per million tokens: 3000000 is "3"."""
    return usd(None if pico_per_token is None else pico_per_token * 1_000_000)


def moment(at: datetime | None) -> str | None:
    """ISO 8601 with microseconds where there are any, in UTC, ending in Z."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def hex_trace(trace_id: UUID | None) -> str | None:
    """A trace id as 32 hex digits."""
    return None if trace_id is None else trace_id.hex


def hex_span(span_id: int | None) -> str | None:
    """A span id as 16 hex digits."""
    return None if span_id is None else f"{span_id & (2**64 - 1):016x}"
