"""Lists of traces: pages by key, never by offset; counts that cost the same at any size."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import LiteralString
from uuid import UUID, uuid4

import orjson
from django.db import DatabaseError, connection
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from telltale.lib import clock
from traces.read import finding
from traces.read.asking import asking, compose, fetch, plan
from traces.read.calls import count_calls, resolve_calls
from traces.read.filters import DURATION_NS, TOKENS, FilterError, TraceFilter, conditions, split_conditions
from traces.read.places import beyond, check_value
from traces.read.rows import COLUMNS, TraceRow, trace_row
from traces.read.search import read_state, traces_of_span
from traces.wire.ids import find_trace_ids

PAGE_SIZE = 50
PAGE_SIZE_MAX = 1000
# Counting further costs time on every page and tells a reader nothing.
COUNT_MAX = 10_000
# What counting may cost in the planner's units: about 4 ms (10,000 rows of an index are 600, of the table 10,000).
COUNT_COST_MAX = 5_000
# The same for a window that somebody names, such as a chart's point, whose figure the list should repeat.
WINDOW_COUNT_MAX, WINDOW_COST_MAX = 1_000_000, 20_000
DEFAULT_SORT = "-started_at"
# Digits of a trace's id that pages show for the whole.
SHORT_ID = 8
# A file is waited for; each piece of it may take longer than a page.
EXPORT_TIMEOUT_MS = 15_000

_COLUMNS = sql.SQL(", ").join(sql.Identifier("t", name) for name in COLUMNS)


@dataclass(frozen=True, slots=True)
class Sort:
    """One order of a list: an expression that is never NULL, and the type its values have in a cursor."""

    key: str
    expression: LiteralString
    cast: LiteralString


SORTS = {
    s.key: s
    for s in (
        Sort("started_at", "t.started_at", "timestamptz"),
        Sort("duration", f"coalesce({DURATION_NS}, -1)", "bigint"),
        Sort("cost", "t.cost_pico", "numeric"),
        Sort("tokens", TOKENS, "bigint"),
        Sort("errors", "t.error_count", "integer"),
    )
}


@dataclass(frozen=True, slots=True)
class Count:
    """How many match: exact, or "about" where there are more than `COUNT_MAX` or counting would take long.

    `calls` is how many calls match in these traces; None where none are asked for, or their number is not known.
    """

    n: int
    is_exact: bool
    calls: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Which page: how many rows, behind (`before`) or ahead of (`after`) a cursor, and whether to count, or exactly.

    `is_window`: the window is one that somebody named, so counting it may take longer.
    """

    limit: int = PAGE_SIZE
    before: str = ""
    after: str = ""
    count: bool = True
    exactly: bool = False
    is_window: bool = False


@dataclass(frozen=True, slots=True)
class TracePage:
    """One page of a list. `newer` and `older` are the cursors of its neighbours, None at an end.

    "Newer" is the page ahead in the list's order, also where it is not sorted by time.
    """

    rows: tuple[TraceRow, ...]
    sort: str
    newer: str | None
    older: str | None
    first: int  # the place of the first row in the list, from 1; about right where rows came meanwhile
    count: Count | None

    @property
    def has_newer(self) -> bool:
        return self.newer is not None

    @property
    def has_older(self) -> bool:
        return self.older is not None


@dataclass(frozen=True, slots=True)
class _Cursor:
    value: str
    trace_id: UUID
    place: int


def list_traces(project_id: int, wanted: TraceFilter, sort: str = DEFAULT_SORT, ask: Ask = Ask()) -> TracePage:
    """One page of the project's traces that match, with its neighbours' cursors.

    FilterError for an unknown sort or a cursor of another list; TooSlow where the database took too long.
    """
    with asking() as cursor:
        wanted = resolve_calls(cursor, project_id, finding.look(project_id, wanted), exactly=ask.exactly)
        return page_of_traces(cursor, project_id, wanted, sort, ask)


def page_of_traces(cursor: CursorWrapper, project_id: int, wanted: TraceFilter, sort: str, ask: Ask) -> TracePage:
    """As `list_traces`, within a transaction that is open already."""
    key, is_descending = read_sort(sort)
    order = SORTS[key]
    is_back = bool(ask.after)
    start = _read_cursor(ask.after or ask.before, sort)
    limit = min(max(ask.limit, 1), PAGE_SIZE_MAX)
    rows = _rows(cursor, project_id, wanted, order, is_descending, start, is_back, limit + 1)
    has_more = len(rows) > limit
    rows = rows[:limit]
    if is_back:
        rows.reverse()
    place = 1
    if start is not None:
        place = max(start.place - len(rows), 1) if is_back else start.place + 1
    has_ahead = has_more if is_back else start is not None
    has_behind = start is not None if is_back else has_more
    if is_back and not has_more:
        place = 1
    count = None
    if ask.count:
        count = count_traces(cursor, project_id, wanted, exactly=ask.exactly, is_window=ask.is_window)
    newer = _write_cursor(sort, order, rows[0], place) if rows and has_ahead else None
    older = _write_cursor(sort, order, rows[-1], place + len(rows) - 1) if rows and has_behind else None
    return TracePage(tuple(rows), sort, newer, older, place, count)


def neighbours(
    project_id: int, wanted: TraceFilter, sort: str, row: TraceRow
) -> tuple[TraceRow | None, TraceRow | None]:
    """The traces ahead of and behind `row` in the list; None at an end."""
    if finding.fault(wanted) is not None:
        return None, None
    key, is_descending = read_sort(sort)
    order = SORTS[key]
    here = _read_cursor(_write_cursor(sort, order, row, 1), sort)
    with asking() as cursor:
        wanted = finding.look(project_id, wanted)
        ahead = _rows(cursor, project_id, wanted, order, is_descending, here, True, 1)
        behind = _rows(cursor, project_id, wanted, order, is_descending, here, False, 1)
    return (ahead[0] if ahead else None, behind[0] if behind else None)


def each_trace(project_id: int, wanted: TraceFilter, sort: str = DEFAULT_SORT, chunk: int = 1000) -> Iterator[TraceRow]:
    """All traces that match, in pages of `chunk`, each in a transaction of its own: memory stays constant."""
    if wanted.call_terms:
        with asking(EXPORT_TIMEOUT_MS) as cursor:
            wanted = resolve_calls(cursor, project_id, wanted, exactly=True)
    if read_sort(sort)[0] not in _SORTS_ON_INDEX and not finding.is_text(wanted):
        yield from _each_sorted(project_id, wanted, sort, chunk)
        return
    before = ""
    while True:
        with asking(EXPORT_TIMEOUT_MS) as cursor:
            looked = finding.look(project_id, wanted, EXPORT_TIMEOUT_MS / 1000, is_file=True)
            page = page_of_traces(cursor, project_id, looked, sort, Ask(limit=chunk, before=before, count=False))
        yield from page.rows
        if page.older is None:
            return
        before = page.older


# Where every page would sort all that matches, it is sorted once.
_SORTS_ON_INDEX = {"started_at", "cost"}


def _each_sorted(project_id: int, wanted: TraceFilter, sort: str, chunk: int) -> Iterator[TraceRow]:
    """As `each_trace` for an order without an index: the ids are sorted once, into a cursor that the server keeps.

    It holds a file of ids and no snapshot (WITH HOLD); what was removed meanwhile is left out.
    """
    key, is_descending = read_sort(sort)
    where, params = conditions(wanted, project_id)
    direction = sql.SQL("DESC" if is_descending else "ASC")
    order = sql.SQL("{} {}, t.trace_id {}").format(sql.SQL(SORTS[key].expression), direction, direction)
    name = sql.Identifier(f"each_trace_{uuid4().hex}")
    every = compose("read_trace_ids", conditions=where)
    declare = sql.SQL("DECLARE {} NO SCROLL CURSOR WITH HOLD FOR ").format(name).as_string(None) + every
    with asking(EXPORT_TIMEOUT_MS) as cursor:
        cursor.execute(f"{declare} ORDER BY {order.as_string(None)}", params)
    try:
        while True:
            with asking(EXPORT_TIMEOUT_MS) as cursor:
                ids = fetch(cursor, sql.SQL("FETCH {} FROM {}").format(sql.Literal(chunk), name).as_string(None), {})
                chosen = TraceFilter(trace_ids=tuple(row[0] for row in ids))
                where, params = conditions(chosen, project_id)
                query = compose("read_traces", columns=_COLUMNS, conditions=where, order=sql.SQL("t.trace_id"))
                rows = {row.trace_id: row for row in map(trace_row, fetch(cursor, query, params | {"limit": chunk}))}
            yield from (rows[trace_id] for (trace_id,) in ids if trace_id in rows)
            if len(ids) < chunk:
                return
    finally:
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute(sql.SQL("CLOSE {}").format(name).as_string(None))


def count_traces(
    cursor: CursorWrapper,
    project_id: int,
    wanted: TraceFilter,
    *,
    exactly: bool = False,
    is_window: bool = False,
    tried: tuple[int, int] | None = None,
) -> Count:
    """How many match, in the open transaction of `cursor`: exact up to `COUNT_MAX` where that is cheap to find out.
    With `is_window` further, and where it is less cheap.

    Else an estimate: the planner's, or where (n found, n `tried`) of a sample are given, its share of what an index
    leads to. With `exactly` every one is counted, within the time a page has (TooSlow).
    """
    if finding.is_text(wanted):
        of_named = partial(count_traces, cursor, project_id, exactly=True)
        return Count(*finding.count(project_id, wanted, lambda some: of_named(some).n, exactly=exactly))
    calls = count_calls(cursor, project_id, wanted, exactly=exactly)
    if calls is not None:
        return Count(calls.traces, True, calls.calls)
    near, far, params = split_conditions(wanted, project_id)
    where = sql.SQL("\n  AND ").join([near] if far is None else [near, far])
    query = compose("read_trace_count", conditions=where)
    most, cost = (WINDOW_COUNT_MAX, WINDOW_COST_MAX) if is_window else (COUNT_MAX, COUNT_COST_MAX)
    params |= {"limit": None if exactly else most + 1}
    n = 0
    if exactly or plan(cursor, query, params)["Total Cost"] <= cost:
        n = int(fetch(cursor, query, params)[0][0])
        if exactly or n <= most:
            return Count(n, True)
    by_share = far is not None and tried is not None and tried[0] > 0
    every = compose("read_trace_ids", conditions=near if by_share else where)
    estimate = int(plan(cursor, every, params)["Plan Rows"])
    if by_share and tried is not None:
        estimate = max(estimate * tried[0] // tried[1], tried[0])
    return Count(max(estimate, n), False)


def resolve_id(project_id: int, wanted: TraceFilter) -> TraceFilter:
    """Where `q` names traces (their id in any form or its beginning, the sender's own, or a span's), those traces.

    They are found whenever they were. Otherwise the filter as it is: `q` then is looked for as text.
    """
    text = wanted.q.strip()
    if not text or " " in text or "\x00" in text:
        return wanted
    ids = find_trace_ids(text)
    low, high = _id_range(text)
    params = {
        "project_id": project_id,
        "ids": ids,
        "foreign": text,
        "low": low,
        "high": high,
        "start": wanted.start or datetime.min.replace(tzinfo=clock.EPOCH.tzinfo),
        "end": wanted.end or datetime.max.replace(tzinfo=clock.EPOCH.tzinfo),
    }
    with asking() as cursor:
        found = fetch(cursor, compose("read_traces_named"), params)
        span_id = _span_id(text)
        if not found and span_id is not None:
            found = [(trace_id,) for trace_id in traces_of_span(project_id, span_id, text.lower())]
            if not found and not read_state(project_id).is_backfilled:
                found = fetch(cursor, compose("read_traces_of_span"), params | {"span_id": span_id})
    return replace(wanted, trace_ids=tuple(row[0] for row in found)) if found else wanted


def _id_range(text: str) -> tuple[UUID | None, UUID | None]:
    """The first and last id that begin as `text` does, which is at least as long as the form that pages show."""
    digits = text.lower().replace("-", "")
    if not SHORT_ID <= len(digits) < 32 or not set(digits) <= set("0123456789abcdef"):
        return None, None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def read_sort(sort: str) -> tuple[str, bool]:
    """A sort's key and whether it descends; FilterError for an unknown one."""
    key = sort.removeprefix("-")
    if key not in SORTS:
        accepted = ", ".join(f"{name}, -{name}" for name in SORTS)
        raise FilterError("sort", "is not accepted", f"one of {accepted}", sort[:40])
    return key, sort.startswith("-")


def _span_id(text: str) -> int | None:
    if len(text) != 16:
        return None
    try:
        return int.from_bytes(bytes.fromhex(text), "big", signed=True)
    except ValueError:
        return None


def _rows(
    cursor: CursorWrapper,
    project_id: int,
    wanted: TraceFilter,
    order: Sort,
    is_descending: bool,
    start: _Cursor | None,
    is_back: bool,
    limit: int,
) -> list[TraceRow]:
    goes_down = is_descending != is_back
    if finding.is_text(wanted) and order.key == "started_at":
        after = finding.place_of(start.value, start.trace_id) if start else None
        return finding.rows_in_order(
            project_id, wanted, limit, after, goes_down,
            lambda some, n: _rows(cursor, project_id, some, order, is_descending, start, is_back, n),
        )  # fmt: skip
    wanted = finding.newest(project_id, wanted)
    where, params = conditions(wanted, project_id)
    expression = sql.SQL(order.expression)
    if start is not None:
        params |= {"cursor_value": start.value, "cursor_id": start.trace_id}
        place = beyond(expression, sql.SQL("t.trace_id"), order.cast, goes_down=goes_down)
        where = sql.SQL("{}\n  AND {}").format(where, place)
    direction = sql.SQL("DESC" if goes_down else "ASC")
    ordered = sql.SQL("{} {}, t.trace_id {}").format(expression, direction, direction)
    query = compose("read_traces", columns=_COLUMNS, conditions=where, order=ordered)
    return [trace_row(values) for values in fetch(cursor, query, params | {"limit": limit})]


def _write_cursor(sort: str, order: Sort, row: TraceRow, place: int) -> str:
    value: str
    if order.key == "started_at":
        value = row.started_at.isoformat()
    elif order.key == "cost":
        value = str(row.cost_pico)
    elif order.key == "tokens":
        value = str(sum(row.tokens))
    elif order.key == "errors":
        value = str(row.error_count)
    else:
        value = str(-1 if row.duration_ns is None else row.duration_ns)
    return base64.urlsafe_b64encode(orjson.dumps([sort, value, row.hex_id, place])).decode().rstrip("=")


def _read_cursor(raw: str, sort: str) -> _Cursor | None:
    if not raw:
        return None
    try:
        if len(raw) > 400:
            raise ValueError
        held = orjson.loads(base64.b64decode(raw + "=" * (-len(raw) % 4), b"-_", validate=True))
        made_for, value, hex_id, place = held
        if made_for != sort or not isinstance(place, int) or not 0 <= place < 2**53:
            raise ValueError
        return _Cursor(check_value(value, SORTS[sort.removeprefix("-")].cast), UUID(hex=hex_id), place)
    except (ValueError, TypeError, ArithmeticError, AttributeError, binascii.Error):
        raise FilterError("cursor", "is none that this list gave", "the cursor of a neighbouring page") from None


def count_each(project_id: int, several: Sequence[TraceFilter]) -> list[Count]:
    """How many traces match each of several filters, in one transaction."""
    with asking() as cursor:
        return [count_traces(cursor, project_id, resolve_calls(cursor, project_id, each)) for each in several]
