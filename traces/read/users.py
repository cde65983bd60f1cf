"""Users of the application: what each used and cost, over whole days of the project's zone, read from sums alone.

A sum of a user says how many spans had no price, not how many had one; what it may claim follows from that.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, LiteralString

import orjson
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from telltale.lib import clock
from traces.read.asking import asking, compose, fetch
from traces.read.filters import Field, FilterError, TraceFilter, condition_of, escape_like
from traces.read.listing import EXPORT_TIMEOUT_MS, PAGE_SIZE_MAX, Ask, Count
from traces.read.money import CostState, CostSum
from traces.read.places import beyond, check_value
from traces.rollup.buckets import Calendar, Grain, minute_of, time_of

DEFAULT_SORT = "-cost"
FIRST_PAGE = Ask()
# Days drawn one by one; a longer window is drawn by months.
DAYS_MAX = 400
# A cursor holds the user's id, of up to 1,024 bytes.
CURSOR_MAX = 2200

TOKENS_KNOWN: LiteralString = "t.input_tokens + t.output_tokens > 0"
COST_KNOWN: LiteralString = "(t.cost_pico > 0 OR (t.unpriced_count = 0 AND t.input_tokens + t.output_tokens > 0))"
USER_FIELDS: dict[str, Field] = {
    f.key: f
    for f in (
        Field("cost", "Cost", "number", "t.cost_pico", 10**12, "USD", known=COST_KNOWN),
        Field("requests", "Requests", "number", "t.requests", 1, "requests"),
        Field("errors", "Requests with errors", "number", "t.errors", 1, "requests"),
        Field(
            "tokens",
            "Tokens",
            "number",
            "(t.input_tokens + t.output_tokens)",
            1,
            "tokens",
            known=TOKENS_KNOWN,
        ),
    )
}
# The day somebody was last seen is one of days, so by it the months are not asked.
USER_SORTS: dict[str, tuple[LiteralString, LiteralString]] = {
    "cost": ("t.cost_pico", "numeric"),
    "requests": ("t.requests", "bigint"),
    "errors": ("t.errors", "bigint"),
    "tokens": ("(t.input_tokens + t.output_tokens)", "numeric"),
    "last_at": ("t.last_bucket", "timestamptz"),
}


@dataclass(frozen=True, slots=True)
class UserSums:
    """What a user used over some days. `input_tokens` holds the cached ones too."""

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_pico: int = 0
    unpriced_count: int = 0

    def __add__(self, other: UserSums) -> UserSums:
        return UserSums(*(getattr(self, name) + getattr(other, name) for name in _SUMS))

    @property
    def has_tokens(self) -> bool:
        """Whether any tokens were told; without, they are unknown or there were none."""
        return self.input_tokens + self.output_tokens > 0

    @property
    def cost(self) -> CostSum:
        """What it cost; not known where nothing had a price."""
        if self.cost_pico:
            state = CostState.AT_LEAST if self.unpriced_count else CostState.EXACT
            return CostSum(self.cost_pico, state, unpriced=self.unpriced_count)
        if self.unpriced_count:
            return CostSum(None, CostState.UNPRICED, unpriced=self.unpriced_count)
        return CostSum(None, CostState.UNKNOWN_USAGE if not self.has_tokens else CostState.NONE)


_SUMS = ("requests", "errors", "input_tokens", "cached_tokens", "output_tokens", "cost_pico", "unpriced_count")


@dataclass(frozen=True, slots=True)
class UserRow:
    """One user of a list. `first_at` and `last_at` are of the traces kept; None where all of them are gone."""

    user_id: str
    sums: UserSums
    last_day: datetime  # begin of the last day (or month) with a request
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Days:
    """A window as users are summed over: [start, end), whole days of the project's zone."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class UserPage:
    """One page of a list. `newer` and `older` are the cursors of its neighbours, None at an end."""

    rows: tuple[UserRow, ...]
    days: Days
    sort: str
    newer: str | None
    older: str | None
    first: int
    count: Count
    named: int  # requests of all users in the window whose ids match, whatever the filter says of sums


@dataclass(frozen=True, slots=True)
class UserDay:
    """One day (or month) of a user, [start, end)."""

    start: datetime
    end: datetime
    sums: UserSums


@dataclass(frozen=True, slots=True)
class UserDetail:
    """One user over a window: each of its days (or months), their sum, and when there are traces of them."""

    user_id: str
    days: Days
    is_by_month: bool
    points: tuple[UserDay, ...]
    total: UserSums
    first_at: datetime | None
    last_at: datetime | None


def whole_days(calendar: Calendar, start: datetime, end: datetime) -> Days:
    """The days of the project's zone that [start, end) touches, none after today where it began before."""
    now = clock.now()
    if start < now < end:
        end = now
    low, high = calendar.day_of(minute_of(start)), minute_of(end)
    if time_of(high) < end:
        high += 1
    if calendar.day_of(high) != high:
        high = calendar.next_day(high)
    return Days(time_of(low), time_of(high))


def list_users(
    project_id: int, calendar: Calendar, wanted: TraceFilter, sort: str = DEFAULT_SORT, ask: Ask = FIRST_PAGE
) -> UserPage:
    """One page of the users with requests in the window; an open window is all there ever was.

    FilterError for an unknown sort or a cursor of another list; TooSlow where the database took too long.
    """
    with asking() as cursor:
        return page_of_users(cursor, project_id, calendar, wanted, sort, ask)


def page_of_users(
    cursor: CursorWrapper, project_id: int, calendar: Calendar, wanted: TraceFilter, sort: str, ask: Ask
) -> UserPage:
    """As `list_users`, within a transaction that is open already."""
    key, is_descending = read_sort(sort)
    expression, cast = USER_SORTS[key]
    days = whole_days(calendar, wanted.start or clock.EPOCH, wanted.end or clock.now())
    is_back = bool(ask.after)
    start = _read_cursor(ask.after or ask.before, sort)
    limit = min(max(ask.limit, 1), PAGE_SIZE_MAX)
    params: dict[str, Any] = {"project_id": project_id, "limit": limit + 1}
    params |= _segments(calendar, days, by_day=key == "last_at")
    looks: sql.Composable = sql.SQL("true")
    if wanted.q:
        params["q"] = "%" + escape_like(wanted.q) + "%"
        looks = sql.SQL("u.user_id ILIKE %(q)s")
    goes_down = is_descending != is_back
    place: sql.Composable = sql.SQL("true")
    if start is not None:
        params |= {"cursor_value": start[0], "cursor_id": start[1]}
        place = beyond(sql.SQL(expression), sql.SQL("t.user_id"), cast, goes_down=goes_down)
    direction = sql.SQL("DESC" if goes_down else "ASC")
    terms = [condition_of(USER_FIELDS[t.field], t, f"v{at}", params) for at, t in enumerate(wanted.terms)]
    query = compose(
        "read_users",
        looks=looks,
        conditions=sql.SQL(" AND ").join([sql.SQL("t.requests > 0"), *terms]),
        place=place,
        order=sql.SQL("{} {}, t.user_id {}").format(sql.SQL(expression), direction, direction),
    )
    found = fetch(cursor, query, params)
    has_more = len(found) > limit
    rows = [_row(values) for values in found[:limit]]
    if is_back:
        rows.reverse()
    first = 1
    if start is not None:
        first = max(start[2] - len(rows), 1) if is_back and has_more else 1 if is_back else start[2] + 1
    has_ahead = has_more if is_back else start is not None
    has_behind = start is not None if is_back else has_more
    return UserPage(
        rows=tuple(rows),
        days=days,
        sort=sort,
        newer=_write_cursor(sort, rows[0], first) if rows and has_ahead else None,
        older=_write_cursor(sort, rows[-1], first + len(rows) - 1) if rows and has_behind else None,
        first=first,
        count=Count(found[0][-1] if found else 0, True),
        named=int(found[0][-2]) if found else 0,
    )


def each_user(
    project_id: int, calendar: Calendar, wanted: TraceFilter, sort: str = DEFAULT_SORT, chunk: int = 1000
) -> Iterator[UserRow]:
    """All users that match, read in pages of `chunk` so that memory stays constant."""
    before = ""
    while True:
        with asking(EXPORT_TIMEOUT_MS) as cursor:
            page = page_of_users(cursor, project_id, calendar, wanted, sort, Ask(limit=chunk, before=before))
        yield from page.rows
        if page.older is None:
            return
        before = page.older


def read_user(
    cursor: CursorWrapper, project_id: int, calendar: Calendar, user_id: str, start: datetime | None, end: datetime
) -> UserDetail | None:
    """A user over the days that [start, end) touches, all of them where it has no start.

    None where nothing in the window and no trace that is kept names them.
    """
    asked = {"project_id": project_id, "user_id": user_id}
    first_at, last_at, begin = fetch(cursor, compose("read_user_seen"), asked)[0]
    days = whole_days(calendar, start or min(begin or end, first_at or end), end)
    if start is not None and begin is not None and days.start < begin:
        # Before the first user of the project there is nothing to draw.
        days = Days(whole_days(calendar, min(begin, end), end).start, days.end)
    edges = _edges(calendar, days, by_month=False)
    is_by_month = len(edges) > DAYS_MAX
    if is_by_month:
        edges = _edges(calendar, days, by_month=True)
    grain = Grain.MONTH if is_by_month else Grain.DAY
    found = {
        row[0]: UserSums(*map(int, row[1:]))
        for row in fetch(cursor, compose("read_user_days"), asked | {"grain": int(grain), "buckets": edges[:-1]})
    }
    if not found and first_at is None:
        return None
    points = tuple(UserDay(low, high, found.get(low, UserSums())) for low, high in pairwise(edges))
    total = sum(found.values(), UserSums())
    return UserDetail(user_id, Days(edges[0], edges[-1]), is_by_month, points, total, first_at, last_at)


def read_sort(sort: str) -> tuple[str, bool]:
    """A sort's key and whether it descends; FilterError for an unknown one."""
    key = sort.removeprefix("-")
    if key not in USER_SORTS:
        accepted = ", ".join(f"{name}, -{name}" for name in USER_SORTS)
        raise FilterError("sort", "is not accepted", f"one of {accepted}", sort[:40])
    return key, sort.startswith("-")


def _segments(calendar: Calendar, days: Days, *, by_day: bool) -> dict[str, Any]:
    """The days, and the months that lie in them whole: fewer rows say the same."""
    low, high = minute_of(days.start), minute_of(days.end)
    first = low if calendar.month_of(low) == low else calendar.next_month(low)
    last = calendar.month_of(high)
    segments = [(Grain.DAY, low, high)]
    if first < last and not by_day:
        segments = [(Grain.DAY, low, first), (Grain.MONTH, first, last), (Grain.DAY, last, high)]
    return {
        "grains": [int(grain) for grain, _, _ in segments],
        "lows": [time_of(start) for _, start, _ in segments],
        "highs": [time_of(end) for _, _, end in segments],
    }


def _edges(calendar: Calendar, days: Days, *, by_month: bool) -> list[datetime]:
    """Where each day (or month) begins, and the end of the last; no more days than show that months are needed."""
    at, end = minute_of(days.start), minute_of(days.end)
    if by_month:
        at = calendar.month_of(at)
    edges = [time_of(at)]
    while at < end and len(edges) <= (POINTS_MAX if by_month else DAYS_MAX + 1):
        at = calendar.next_month(at) if by_month else calendar.next_day(at)
        edges.append(time_of(at))
    return edges


# Months of a hundred years.
POINTS_MAX = 1200


def _row(values: tuple[Any, ...]) -> UserRow:
    user_id, *sums, last_day, last_at, first_at, _, _ = values
    return UserRow(user_id, UserSums(*map(int, sums)), last_day, first_at, last_at)


def _value(key: str, row: UserRow) -> str:
    sums = row.sums
    found: dict[str, Any] = {
        "cost": sums.cost_pico,
        "requests": sums.requests,
        "errors": sums.errors,
        "tokens": sums.input_tokens + sums.output_tokens,
        "last_at": row.last_day.isoformat(),
    }
    return str(found[key])


def _write_cursor(sort: str, row: UserRow, place: int) -> str:
    held = [sort, _value(sort.removeprefix("-"), row), row.user_id, place]
    return base64.urlsafe_b64encode(orjson.dumps(held)).decode().rstrip("=")


def _read_cursor(raw: str, sort: str) -> tuple[str, str, int] | None:
    if not raw:
        return None
    try:
        if len(raw) > CURSOR_MAX:
            raise ValueError
        made_for, value, user_id, place = orjson.loads(
            base64.b64decode(raw + "=" * (-len(raw) % 4), b"-_", validate=True)
        )
        if made_for != sort or not isinstance(user_id, str) or "\x00" in user_id:
            raise ValueError
        if not isinstance(place, int) or not 0 <= place < 2**53:
            raise ValueError
        return check_value(value, USER_SORTS[sort.removeprefix("-")][1]), user_id, place
    except (ValueError, TypeError, binascii.Error):
        raise FilterError("cursor", "is none that this list gave", "the cursor of a neighbouring page") from None
