"""Query parameters, read strictly: an unknown name or a bad value is a 400 that says what is accepted."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

from django.http import QueryDict

from telltale.rest.problems import FieldError, Problem, bad_field, not_found

TEXT_MAX = 1024
LIMIT_DEFAULT = 50
LIMIT_MAX = 500
# Years that both Python and PostgreSQL add time zones and windows to without overflow.
YEAR_MIN, YEAR_MAX = 1970, 2200
ID_MAX = 2**63 - 1
_HEX = re.compile(r"[0-9a-fA-F]+\Z")


def check_names(query: QueryDict, accepted: Collection[str]) -> None:
    """400 where a parameter is not among `accepted`: a mistyped filter must not widen the answer in silence."""
    unknown = sorted(set(query) - set(accepted))
    if unknown:
        names = ", ".join(sorted(accepted))
        raise Problem(
            400,
            f"There is no such parameter here; accepted: {names}.",
            *(FieldError("query", "unknown parameter", f"one of {names}", name) for name in unknown[:10]),
        )


def text(query: QueryDict, name: str, default: str = "") -> str:
    """The parameter as clean text; 400 where it has control characters or is longer than `TEXT_MAX`."""
    value = query.get(name, default)
    return clean_text(name, value)


def texts(query: QueryDict, name: str) -> list[str]:
    """All values of a repeated parameter, empty ones left out."""
    return [clean_text(name, value) for value in query.getlist(name) if value]


def clean_text(name: str, value: str) -> str:
    """`value`; 400 where PostgreSQL could not hold it (U+0000, lone surrogates) or it is longer than `TEXT_MAX`."""
    if "\x00" in value:
        raise bad_field(name, "must not contain U+0000", value=value)
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise bad_field(name, "must be valid Unicode")
    if len(value) > TEXT_MAX:
        raise bad_field(name, "is too long", limit=f"{TEXT_MAX} characters", value=f"{len(value)} characters")
    return value


def integer(query: QueryDict, name: str, default: int, low: int, high: int) -> int:
    """The parameter as a whole number of [low, high]."""
    raw = query.get(name, "")
    if not raw:
        return default
    limit = f"a whole number from {low} to {high}"
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", raw, re.ASCII):
        raise bad_field(name, "is no whole number", limit=limit, value=raw)
    number = int(raw)
    if not low <= number <= high:
        raise bad_field(name, "is out of range", limit=limit, value=raw)
    return number


def page_size(query: QueryDict) -> int:
    """The parameter `limit`: how many items a page holds."""
    return integer(query, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX)


def boolean(query: QueryDict, name: str) -> bool | None:
    """The parameter as true or false; None where it is absent."""
    raw = query.get(name, "").lower()
    if raw in {"", "true", "false", "1", "0"}:
        return None if not raw else raw in {"true", "1"}
    raise bad_field(name, "is neither true nor false", limit="true or false", value=raw)


def choice(query: QueryDict, name: str, accepted: Collection[str], default: str = "") -> str:
    """The parameter as one of `accepted`."""
    raw = query.get(name, "")
    if not raw:
        return default
    if raw not in accepted:
        raise bad_field(name, "is not accepted", limit=f"one of {', '.join(sorted(accepted))}", value=raw)
    return raw


def moment(query: QueryDict, name: str) -> datetime | None:
    """The parameter as an aware UTC time; None where it is absent."""
    raw = query.get(name, "")
    return parse_moment(name, raw) if raw else None


def parse_moment(name: str, raw: str) -> datetime:
    """An ISO 8601 time as aware UTC (UTC where it names no zone); 400 where it is none."""
    limit = f"ISO 8601, years {YEAR_MIN} to {YEAR_MAX}, such as 2026-11-19T10:41:07Z"
    # A plus sign that nobody encoded arrives as a space.
    text_form = re.sub(r" (\d\d:?\d\d)\Z", r"+\1", raw.strip()) if "T" in raw else raw.strip()
    try:
        at = datetime.fromisoformat(text_form)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad_field(name, "is no time", limit=limit, value=raw) from None
    if not YEAR_MIN <= at.year <= YEAR_MAX:
        raise bad_field(name, "is out of range", limit=limit, value=raw)
    return at


def window(query: QueryDict, default_start: datetime, default_end: datetime) -> tuple[datetime, datetime]:
    """The parameters `from` and `to` as [start, end); 400 where it is empty or the wrong way round."""
    start = moment(query, "from") or default_start
    end = moment(query, "to") or default_end
    if start >= end:
        raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
    return start, end


def trace_id(raw: str) -> UUID | None:
    """A trace id written as 32 hex digits or as a UUID; None where it is neither (and so names nothing)."""
    digits = raw.replace("-", "") if len(raw) == 36 else raw
    if len(digits) != 32 or not _HEX.match(digits):
        return None
    return UUID(hex=digits)


def span_id(raw: str) -> int | None:
    """A span id written as 16 hex digits, as the signed integer it is stored as; None where it is none."""
    if len(raw) != 16 or not _HEX.match(raw):
        return None
    number = int(raw, 16)
    return number - 2**64 if number >= 2**63 else number


def row_id(raw: str) -> int:
    """An id of an address; 404 where no row can have it."""
    if not (raw.isascii() and raw.isdigit() and len(raw) < 20 and int(raw) <= ID_MAX):
        raise not_found()
    return int(raw)
