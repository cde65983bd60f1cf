"""Lists of sessions, one session, and what is usual: read from rows of sums, never from spans or texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

import orjson
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from traces.read.asking import asking, compose, fetch
from traces.read.fields import COST_KNOWN, TOKENS_KNOWN
from traces.read.filters import Field, FilterError, Term, TraceFilter, condition_of, escape_like
from traces.read.listing import COUNT_MAX, EXPORT_TIMEOUT_MS, PAGE_SIZE_MAX, Ask, Count, Sort
from traces.read.places import Place, beyond, read_place, write_place
from traces.read.session_rows import COLUMNS, SessionRow, session_row
from traces.read.signal_terms import SESSION_FIELDS as _SIGNAL_FIELDS
from traces.read.signal_terms import walking

DEFAULT_SORT = "-started_at"
FIRST_PAGE = Ask()
# What counting may cost in the planner's units: about 10 ms (10,000 rows of an index are 800, of the table 2,000).
COUNT_COST_MAX = 2_500
# Enough for a median to about three ranks in a hundred; read in 3 ms at any size (measured).
MEDIAN_SAMPLE = 1000
_COLUMNS = sql.SQL(", ").join(sql.Identifier("t", name) for name in COLUMNS)

TOKENS: LiteralString = (
    "(t.input_fresh + t.input_cache_read + t.input_cache_write_5m + t.input_cache_write_1h + t.input_audio"
    " + t.output_text + t.output_reasoning + t.output_audio)"
)
LENGTH_S: LiteralString = "extract(epoch FROM t.ended_at - t.first_started_at)"
_STATUS: tuple[tuple[str, str, LiteralString], ...] = (
    ("error", "has errors", "t.error_turns > 0"),
    ("failed", "has failed turns", "t.failed_turns > 0"),
    ("ok", "no errors", "t.error_turns = 0"),
)
_COST_STATUS: tuple[tuple[str, str, LiteralString], ...] = (
    ("unpriced", "unpriced", "t.unpriced_count > 0"),
    ("unknown_usage", "usage unknown", "t.unknown_usage_count > 0"),
    ("partial", "partly priced", "t.partial_count > 0"),
    ("upper_bound", "upper bound", "t.upper_bound_count > 0"),
    ("priced", "priced", "t.priced_count > 0"),
    ("duplicate", "reported twice", "t.duplicate_count > 0"),
)
SESSION_FIELDS: dict[str, Field] = {
    f.key: f
    for f in (
        Field("user", "User", "text", "user_id"),
        Field("feature", "Feature", "array", "features"),
        Field("model", "Model", "array", "models"),
        Field("environment", "Environment", "text", "environment"),
        Field("service", "Service", "text", "service"),
        Field("release", "Release", "text", "release"),
        Field("status", "Status", "choice", choices=_STATUS),
        Field("cost_status", "Cost status", "choice", choices=_COST_STATUS),
        Field("turns", "Turns", "number", "t.turns", 1, "turns"),
        Field("errors", "Turns with errors", "number", "t.error_turns", 1, "turns"),
        Field("cost", "Cost", "number", "t.cost_pico", 10**12, "USD", known=COST_KNOWN),
        Field("length_s", "Length", "number", f"{LENGTH_S} * 1000", 1000, "s"),
        Field("slowest_ms", "Slowest turn", "number", "t.worst_duration_ns", 10**6, "ms"),
        Field("tokens", "Tokens", "number", TOKENS, 1, "tokens", known=TOKENS_KNOWN),
        Field("users", "Users", "number", "t.user_count", 1, "users"),
        *_SIGNAL_FIELDS,
    )
}
_OF_USERS = frozenset(known.key for known in _SIGNAL_FIELDS)
SESSION_SORTS = {
    s.key: s
    for s in (
        Sort("started_at", "t.first_started_at", "timestamptz"),
        Sort("last_at", "t.last_started_at", "timestamptz"),
        Sort("turns", "t.turns", "integer"),
        Sort("errors", "t.error_turns", "integer"),
        Sort("tokens", TOKENS, "bigint"),
        Sort("cost", "t.cost_pico", "numeric"),
        Sort("length", f"coalesce({LENGTH_S}, -1)", "numeric"),
    )
}


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of a list. `newer` and `older` are the cursors of its neighbours, None at an end."""

    rows: tuple[SessionRow, ...]
    sort: str
    newer: str | None
    older: str | None
    first: int  # the place of the first row in the list, from 1
    count: Count | None
    found_by_id: bool = False


@dataclass(frozen=True, slots=True)
class Medians:
    """What is usual among the newest `n` sessions; None where nobody knows. Each has the n of those that do."""

    n: int
    turns: float | None
    cost_usd: Decimal | None
    cost_n: int
    length_ms: float | None
    length_n: int
    worst_ms: float | None
    worst_n: int


def list_sessions(
    project_id: int, wanted: TraceFilter, sort: str = DEFAULT_SORT, ask: Ask = FIRST_PAGE, only: str | None = None
) -> SessionPage:
    """One page of the project's sessions that match. `only`: the one of this id instead, whenever it was.

    The window is about what the list is sorted by: the last activity for `last_at`, else the start. FilterError for an
    unknown sort or a cursor of another list; TooSlow where the database took too long.
    """
    with asking() as cursor:
        return page_of_sessions(cursor, project_id, wanted, sort, ask, only)


def page_of_sessions(
    cursor: CursorWrapper, project_id: int, wanted: TraceFilter, sort: str, ask: Ask, only: str | None = None
) -> SessionPage:
    """As `list_sessions`, within a transaction that is open already."""
    order, is_descending = read_sort(sort)
    where, params = conditions(wanted, project_id, order, only)
    is_back = bool(ask.after)
    start = read_place(ask.after or ask.before, sort, order.cast)
    limit = min(max(ask.limit, 1), PAGE_SIZE_MAX)
    rows = _rows(cursor, where, params, order, is_descending, start, is_back, limit + 1)
    has_more = len(rows) > limit
    rows = rows[:limit]
    if is_back:
        rows.reverse()
    first = 1
    if start is not None:
        first = max(start.place - len(rows), 1) if is_back and has_more else 1 if is_back else start.place + 1
    has_ahead = has_more if is_back else start is not None
    has_behind = start is not None if is_back else has_more
    return SessionPage(
        rows=tuple(rows),
        sort=sort,
        newer=_place_of(sort, order, rows[0], first) if rows and has_ahead else None,
        older=_place_of(sort, order, rows[-1], first + len(rows) - 1) if rows and has_behind else None,
        first=first,
        count=_count_page(cursor, where, params, first + len(rows) - 1, has_behind) if ask.count else None,
        found_by_id=only is not None,
    )


def neighbours_of(
    cursor: CursorWrapper, project_id: int, wanted: TraceFilter, sort: str, row: SessionRow
) -> tuple[SessionRow | None, SessionRow | None]:
    """The sessions ahead of and behind `row` in the list; None at an end."""
    order, is_descending = read_sort(sort)
    where, params = conditions(wanted, project_id, order)
    here = Place(_value(order, row), row.key, 1)
    ahead = _rows(cursor, where, params, order, is_descending, here, True, 1)
    behind = _rows(cursor, where, params, order, is_descending, here, False, 1)
    return (ahead[0] if ahead else None, behind[0] if behind else None)


def each_session(
    project_id: int, wanted: TraceFilter, sort: str = DEFAULT_SORT, only: str | None = None, chunk: int = 1000
) -> Iterator[SessionRow]:
    """All sessions that match, read in pages of `chunk` so that memory stays constant."""
    before = ""
    while True:
        with asking(EXPORT_TIMEOUT_MS) as cursor:
            ask = Ask(limit=chunk, before=before, count=False)
            page = page_of_sessions(cursor, project_id, wanted, sort, ask, only)
        yield from page.rows
        if page.older is None:
            return
        before = page.older


def count_each_sessions(project_id: int, several: Sequence[TraceFilter], sort: str) -> list[Count]:
    """How many sessions match each of several filters, in one transaction."""
    order, _ = read_sort(sort)
    with asking() as cursor:
        return [_count(cursor, *conditions(wanted, project_id, order)) for wanted in several]


def get_session(cursor: CursorWrapper, project_id: int, session_id: str) -> SessionRow | None:
    """The session's row of sums; None where there is none yet, or never was."""
    where = sql.SQL("t.project_id = %(project_id)s AND t.session_id = %(session_id)s")
    query = compose("read_sessions", columns=_COLUMNS, conditions=where, order=sql.SQL("t.session_id"))
    found = fetch(cursor, query, {"project_id": project_id, "session_id": session_id, "limit": 1})
    return session_row(found[0]) if found else None


def find_session_id(project_id: int, text: str) -> str | None:
    """`text` where it is the id of a session that has traces; else None."""
    if not text or "\x00" in text:
        return None
    with asking() as cursor:
        row = get_session(cursor, project_id, text)
    return row.session_id if row is not None and row.turns else None


def read_medians(cursor: CursorWrapper, project_id: int, before: datetime) -> Medians:
    """What is usual among the newest sessions that began before `before`."""
    params = {"project_id": project_id, "before": before, "sample": MEDIAN_SAMPLE}
    n, turns, cost_pico, cost_n, length_s, length_n, worst_ns, worst_n = fetch(
        cursor, compose("read_session_medians"), params
    )[0]
    return Medians(
        n=n,
        turns=turns,
        cost_usd=None if cost_pico is None else Decimal(round(cost_pico)) / 10**12,
        cost_n=cost_n,
        length_ms=None if length_s is None else float(length_s) * 1000,
        length_n=length_n,
        worst_ms=None if worst_ns is None else worst_ns / 10**6,
        worst_n=worst_n,
    )


def read_sort(sort: str) -> tuple[Sort, bool]:
    """A sort and whether it descends; FilterError for an unknown one."""
    known = SESSION_SORTS.get(sort.removeprefix("-"))
    if known is None:
        accepted = ", ".join(f"{name}, -{name}" for name in SESSION_SORTS)
        raise FilterError("sort", "is not accepted", f"one of {accepted}", sort[:40])
    return known, sort.startswith("-")


def is_of_users(wanted: TraceFilter) -> bool:
    """Whether some term is about what users did."""
    return any(term.field in _OF_USERS for term in wanted.terms)


def split_conditions(
    wanted: TraceFilter, project_id: int, order: Sort
) -> tuple[sql.Composed, sql.Composed, dict[str, Any]]:
    """As `conditions`, in two: those on a session's own row, and those on what its users did, looked at row by row."""
    own = tuple(term for term in wanted.terms if term.field not in _OF_USERS)
    near, params = conditions(replace(wanted, terms=own), project_id, order)
    params = walking(params)
    others = [term for term in wanted.terms if term.field in _OF_USERS]
    far = [condition_of(SESSION_FIELDS[term.field], term, f"w{at}", params) for at, term in enumerate(others)]
    return near, sql.SQL("\n  AND ").join(far or [sql.SQL("true")]), params


def conditions(
    wanted: TraceFilter, project_id: int, order: Sort, only: str | None = None
) -> tuple[sql.Composed, dict[str, Any]]:
    """What follows WHERE over `traces_session AS t`, and its parameters."""
    params: dict[str, Any] = {"project_id": project_id}
    parts: list[sql.Composable] = [sql.SQL("t.project_id = %(project_id)s"), sql.SQL("t.turns > 0")]
    if only is not None:
        params["only"] = only
        parts.append(sql.SQL("t.session_id = %(only)s"))
    else:
        at = sql.Identifier("t", "last_started_at" if order.key == "last_at" else "first_started_at")
        if wanted.start is not None:
            params["start"] = wanted.start
            parts.append(sql.SQL("{} >= %(start)s").format(at))
        if wanted.end is not None:
            params["end"] = wanted.end
            parts.append(sql.SQL("{} < %(end)s").format(at))
        if wanted.q:
            params["q"] = "%" + escape_like(wanted.q) + "%"
            columns = ("session_id", "user_id", "preview_in", "preview_out")
            looks = [sql.SQL("{} ILIKE %(q)s").format(sql.Identifier("t", column)) for column in columns]
            parts.append(sql.SQL("({})").format(sql.SQL(" OR ").join(looks)))
    for place, term in enumerate(wanted.terms):
        parts.append(_term(term, f"v{place}", params))
    return sql.SQL("\n  AND ").join(parts), params


def _term(term: Term, name: str, params: dict[str, Any]) -> sql.Composable:
    return condition_of(SESSION_FIELDS[term.field], term, name, params)


def _rows(
    cursor: CursorWrapper,
    where: sql.Composed,
    params: dict[str, Any],
    order: Sort,
    is_descending: bool,
    start: Place | None,
    is_back: bool,
    limit: int,
) -> list[SessionRow]:
    goes_down = is_descending != is_back
    expression = sql.SQL(order.expression)
    if start is not None:
        params = params | {"cursor_value": start.value, "cursor_id": start.key}
        place = beyond(expression, sql.SQL("t.session_key"), order.cast, goes_down=goes_down)
        where = sql.SQL("{}\n  AND {}").format(where, place)
    direction = sql.SQL("DESC" if goes_down else "ASC")
    ordered = sql.SQL("{} {}, t.session_key {}").format(expression, direction, direction)
    query = compose("read_sessions", columns=_COLUMNS, conditions=where, order=ordered)
    return [session_row(values) for values in fetch(cursor, query, params | {"limit": limit})]


def _count_page(
    cursor: CursorWrapper, where: sql.Composed, params: dict[str, Any], last: int, has_behind: bool
) -> Count:
    """How many match, where the page at hand ends with the `last` of them: on the last page that is known."""
    if not has_behind:
        return Count(last, True)
    count = _count(cursor, where, params)
    return count if count.is_exact else Count(max(count.n, last + 1), False)


def _count(cursor: CursorWrapper, where: sql.Composed, params: dict[str, Any]) -> Count:
    """How many match: exact up to `COUNT_MAX` where that is cheap to find out, else the planner's estimate."""
    n = 0
    query = compose("read_session_count", conditions=where)
    counting = params | {"limit": COUNT_MAX + 1}
    if _plan(cursor, query, counting)["Total Cost"] <= COUNT_COST_MAX:
        n = int(fetch(cursor, query, counting)[0][0])
        if n <= COUNT_MAX:
            return Count(n, True)
    every = compose("read_sessions", columns=sql.SQL("t.session_id"), conditions=where, order=sql.SQL("1"))
    return Count(max(int(_plan(cursor, every, params | {"limit": None})["Plan Rows"]), n), False)


def _plan(cursor: CursorWrapper, query: str, params: dict[str, Any]) -> dict[str, Any]:
    plan = fetch(cursor, f"EXPLAIN (FORMAT JSON) {query}", params)[0][0]
    parsed = orjson.loads(plan) if isinstance(plan, str) else plan
    found: dict[str, Any] = parsed[0]["Plan"]
    return found


def _place_of(sort: str, order: Sort, row: SessionRow, place: int) -> str:
    return write_place(sort, Place(_value(order, row), row.key, place))


def _value(order: Sort, row: SessionRow) -> str:
    """What a session is sorted by, exactly as the database compares it."""
    if order.key == "started_at":
        return row.first_started_at.isoformat()
    if order.key == "last_at":
        return row.last_started_at.isoformat()
    if order.key == "length":
        return "-1" if row.ended_at is None else _seconds(row.ended_at, row.first_started_at)
    found = {"turns": row.turns, "errors": row.error_turns, "tokens": sum(row.tokens), "cost": row.cost_pico}
    return str(found[order.key])


def _seconds(later: datetime, earlier: datetime) -> str:
    delta = later - earlier
    return str(Decimal(delta.days * 86_400 + delta.seconds) + Decimal(delta.microseconds).scaleb(-6))
