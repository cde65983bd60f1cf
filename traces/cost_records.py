"""Rows of a bill as exports and REST have them: flat, unknown as null, money as exact decimal text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from telltale.rest import form
from traces.read.cost_values import Breakdown, DayBill, Line, counted
from traces.read.rollups import UserRow
from traces.read.session_rows import SessionRow
from traces.rollup.sums import Sums


def sums_record(sums: Sums, *, is_of_calls: bool) -> dict[str, Any]:
    """The sums of a row. A sum over which nothing is known of the cost has none."""
    known = sums.priced_count + sums.upper_bound_count
    return {
        "requests": None if is_of_calls else sums.n,
        "calls": sums.n if is_of_calls else None,
        "counted_calls": counted(sums),
        "input_tokens": sums.input_tokens,
        "input_fresh": sums.input_fresh,
        "input_cache_read": sums.input_cache_read,
        "input_cache_write": sums.input_cache_write_5m + sums.input_cache_write_1h,
        "input_audio": sums.input_audio,
        "output_tokens": sums.output_tokens,
        "output_reasoning": sums.output_reasoning,
        "output_audio": sums.output_audio,
        "cost_usd": form.usd(sums.cost_pico) if known or not counted(sums) else None,
        "saved_usd": form.usd(sums.saved_pico),
        "unpriced_calls": sums.unpriced_count,
        "partly_priced_calls": sums.partial_count,
        "unknown_usage_calls": sums.unknown_usage_count,
        "upper_bound_calls": sums.upper_bound_count,
    }


def names_of(by: str) -> tuple[str, ...]:
    """What the values of a row are called."""
    return ("prompt", "prompt_version") if by == "prompt" else (by,)


def line_record(line: Line, breakdown: Breakdown) -> dict[str, Any]:
    """One row of a breakdown."""
    return {
        **dict(zip(names_of(breakdown.by), line.key, strict=True)),
        **({"kind": line.kind.name.lower() if line.kind is not None else "call"} if breakdown.is_of_calls else {}),
        **sums_record(line.sums, is_of_calls=breakdown.is_of_calls),
        "before_usd": form.usd(line.before_pico),
    }


def line_records(breakdown: Breakdown) -> list[dict[str, Any]]:
    """All rows of a breakdown."""
    return [line_record(line, breakdown) for line in breakdown.lines]


def day_record(day: DayBill) -> dict[str, Any]:
    """One day."""
    return {
        "day": day.day.isoformat(),
        "start": form.moment(day.start),
        "end": form.moment(day.end),
        "hours": day.hours,
        **sums_record(day.sums, is_of_calls=False),
    }


def day_records(days: Iterable[DayBill]) -> list[dict[str, Any]]:
    """All days."""
    return [day_record(day) for day in days]


def user_records(users: Iterable[UserRow]) -> list[dict[str, Any]]:
    """Users, dearest first."""
    return [
        {
            "user": row.user_id,
            "requests": row.n,
            "input_tokens": row.input_tokens,
            "input_cache_read": row.cached_tokens,
            "output_tokens": row.output_tokens,
            "cost_usd": form.usd(row.cost_pico),
            "unpriced_calls": row.unpriced_count,
        }
        for row in users
    ]


def session_records(sessions: Iterable[SessionRow]) -> list[dict[str, Any]]:
    """Sessions, dearest first."""
    return [
        {
            "session": row.session_id,
            "user": row.user_id,
            "started_at": form.moment(row.first_started_at),
            "requests": row.turns,
            "input_tokens": sum(row.tokens[:5]),
            "input_cache_read": row.tokens[1],
            "output_tokens": sum(row.tokens[5:]),
            "cost_usd": form.usd(row.cost.pico),
        }
        for row in sessions
    ]
