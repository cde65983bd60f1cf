"""Outcomes as files, for pages and REST, and the places in the list of sessions as an address has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponseBase

from telltale.rest import form, paging, params
from traces.pages.export import download
from traces.pages.outcome_words import unit_of
from traces.read.outcome_sessions import BookedSession, Spot
from traces.read.outcomes import Defined, Point

DAY_NAMES = (
    "day", "start", "end", "value", "low", "high", "sessions", "unknown", "sum_x", "sum_y", "lacking", "unit",
)  # fmt: skip
SESSION_NAMES = ("session_id", "trace_id", "feature", "started_at", "turns", "x", "y", "cost_usd", "user_id")


def download_days(
    slug: str, found: Defined, days: Sequence[Point], kind: str, *, is_head: bool
) -> HttpResponseBase:  # fmt: skip
    """The daily series as a file; Busy."""
    unit = unit_of(found.spec)
    records = (
        {
            "day": each.day.isoformat(), "start": each.start, "end": each.end, "value": each.ratio, "low": each.low,
            "high": each.high, "sessions": each.n, "unknown": each.unknown, "sum_x": each.sums.x,
            "sum_y": each.sums.y, "unit": unit,
            "lacking": each.lacking and f"{each.lacking.have} of {each.lacking.need} {each.lacking.what}",
        }
        for each in days
    )  # fmt: skip
    return download(f"{slug}-{found.slug}", kind, DAY_NAMES, records, is_head=is_head)


def download_sessions(
    slug: str, found: Defined, kind: str, rows: Iterator[BookedSession], *, is_head: bool
) -> HttpResponseBase:
    """The sessions behind an outcome as a file; Busy, TooSlow."""
    records = (session_record(row) | {"started_at": row.first_at, "x": row.x, "y": row.y} for row in rows)
    name = f"{slug}-{found.slug}-sessions"
    return download(name, kind, SESSION_NAMES, iter(()) if is_head else records, is_head=is_head)


def session_record(row: BookedSession) -> dict[str, Any]:
    """One session as REST shows it."""
    return {
        "session_id": row.session_id,
        "trace_id": row.unit_key.hex if row.session_id is None else None,
        "feature": row.feature or None,
        "started_at": form.moment(row.first_at),
        "turns": row.turns,
        "x": None if row.x is None else f"{row.x:f}",
        "y": None if row.y is None else f"{row.y:f}",
        "cost_usd": form.usd(row.cost_pico),
        "user_id": row.user_id,
    }


def read_spot(raw: str) -> Spot | None:
    """The place in the list of sessions that a cursor names; a Problem for one of another list."""
    position = paging.read_cursor(raw, str, str, bool)
    if position is None:
        return None
    try:
        at = datetime.fromisoformat(position[0])
        if at.tzinfo is None or not params.YEAR_MIN <= at.year <= params.YEAR_MAX:
            raise ValueError
        return Spot(at, UUID(hex=position[1]), position[2])
    except ValueError:
        raise paging.bad_cursor(raw) from None


def write_spot(spot: Spot | None) -> str | None:
    """The cursor of a place in the list of sessions."""
    return None if spot is None else paging.write_cursor(spot.first_at.isoformat(), spot.unit_key.hex, spot.is_newer)
