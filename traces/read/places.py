"""Cursors: the place of a row in a sorted list as a text that nobody but the list need understand."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import orjson

from traces.read.filters import FilterError

CURSOR_MAX = 400


@dataclass(frozen=True, slots=True)
class Place:
    """What a row is sorted by, its key behind that, and its number in the list."""

    value: str
    key: UUID
    place: int


def write_place(sort: str, at: Place) -> str:
    """The cursor of a row in a list sorted by `sort`."""
    return base64.urlsafe_b64encode(orjson.dumps([sort, at.value, at.key.hex, at.place])).decode().rstrip("=")


def read_place(raw: str, sort: str, *, is_time: bool) -> Place | None:
    """The place that `write_place` wrote for this sort; None for no cursor, FilterError for one of another list."""
    if not raw:
        return None
    try:
        if len(raw) > CURSOR_MAX:
            raise ValueError
        made_for, value, key, place = orjson.loads(base64.b64decode(raw + "=" * (-len(raw) % 4), b"-_", validate=True))
        if made_for != sort or not isinstance(value, str) or not isinstance(place, int) or not 0 <= place < 2**53:
            raise ValueError
        if is_time:
            datetime.fromisoformat(value)
        elif not abs(Decimal(value)) < 10**38:
            raise ValueError
        return Place(value, UUID(hex=key), place)
    except (ValueError, TypeError, ArithmeticError, AttributeError, binascii.Error):
        raise FilterError("cursor", "is none that this list gave", "the cursor of a neighbouring page") from None
