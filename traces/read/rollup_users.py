"""Users over the days of a window: all of them summed where that is cheap, else those who stand out on some day."""

from __future__ import annotations

from datetime import datetime
from typing import Any, LiteralString

from psycopg import Cursor, sql

from traces.read.asking import compose
from traces.read.rollup_values import UserRow, Users
from traces.rollup.buckets import Calendar, Grain, minute_of, time_of

# Rows that are summed whole, in about 0.1 s; a window of more is answered from its dearest users.
ROWS_MAX = 60_000
# So many of a day or month are looked at then, and so many times as many as are asked for are summed.
DEAR_EACH = 200
DEAR_TIMES = 4
ORDERS: dict[str, LiteralString] = {
    "cost": "cost_pico DESC, sum(u.n) DESC",
    "n": "sum(u.n) DESC",
    "tokens": "sum(u.input_tokens) + sum(u.output_tokens) DESC",
}
_BETWEEN = sql.SQL("(u.grain = {} AND u.bucket >= {} AND u.bucket < {})")
_COUNT = sql.SQL(
    "SELECT count(*) FROM (SELECT 1 FROM traces_user_period AS u WHERE u.project_id = {} AND ({}) LIMIT {}) c"
)

Bucket = tuple[Grain, int]


def read_users(
    cursor: Cursor[Any],
    project_id: int,
    calendar: Calendar,
    start: datetime,
    end: datetime,
    *,
    limit: int,
    order: str,
    user_id: str | None,
) -> Users:
    """As `Rollups.users`."""
    if order not in ORDERS:
        raise ValueError(f"{order!r} is no order of users; there are {', '.join(ORDERS)}")
    low, high = calendar.day_of(minute_of(start)), minute_of(end)
    if time_of(high) != end or calendar.day_of(high) != high:
        high = calendar.next_day(high)
    segments = _segments(low, high, calendar)
    if not segments:
        return Users(time_of(low), time_of(low), (), 0)
    between = sql.SQL(" OR ").join(
        _BETWEEN.format(sql.Literal(int(grain)), sql.Literal(time_of(first)), sql.Literal(time_of(last)))
        for grain, first, last in segments
    )
    params: dict[str, Any] = {"project_id": project_id, "limit": limit}
    is_exact = True
    if user_id is None:
        cursor.execute(_COUNT.format(sql.Literal(project_id), between, sql.Literal(ROWS_MAX + 1)), prepare=False)
        is_exact = cursor.fetchall()[0][0] <= ROWS_MAX
    if is_exact:
        params["user_id"] = user_id
        one = sql.SQL("" if user_id is None else "AND u.user_id = %(user_id)s")
        query = compose("rollup_read_users", segments=between, user=one, order=sql.SQL(ORDERS[order]))
    else:
        buckets = _buckets(segments, calendar)
        params |= {
            "grains": [int(grain) for grain, _ in buckets],
            "buckets": [time_of(bucket) for _, bucket in buckets],
            "each": max(DEAR_EACH, limit),
            "many": limit * DEAR_TIMES,
        }
        query = compose("rollup_read_dear_users", order=sql.SQL(ORDERS[order]))
    cursor.execute(query.encode(), params, prepare=False, binary=True)
    found = cursor.fetchall()
    rows = tuple(UserRow(user, *map(int, sums)) for user, *sums, _ in found)
    return Users(time_of(low), time_of(high), rows, found[0][-1] if found else 0, is_exact)


def _segments(low: int, high: int, calendar: Calendar) -> list[tuple[Grain, int, int]]:
    """Whole months where the window holds some, days around them."""
    first = low if calendar.month_of(low) == low else calendar.next_month(low)
    last = calendar.month_of(high)
    segments = [(Grain.DAY, low, high)]
    if first < last:
        segments = [(Grain.DAY, low, first), (Grain.MONTH, first, last), (Grain.DAY, last, high)]
    return [segment for segment in segments if segment[1] < segment[2]]


def _buckets(segments: list[tuple[Grain, int, int]], calendar: Calendar) -> list[Bucket]:
    found: list[Bucket] = []
    for grain, first, last in segments:
        at = first
        while at < last:
            found.append((grain, at))
            at = calendar.next_month(at) if grain == Grain.MONTH else calendar.next_day(at)
    return found
