"""The list of what end users did: every signal of a project, newest first, filtered, by key and never by offset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from django.db.backends.utils import CursorWrapper
from psycopg import sql

from traces.read.asking import asking, compose, fetch, plan
from traces.read.facets import Facet, FacetValue
from traces.read.fields import Extra, Field, FilterError
from traces.read.filters import TraceFilter, condition_of, escape_like
from traces.read.listing import COUNT_MAX, EXPORT_TIMEOUT_MS, PAGE_SIZE_MAX, Ask, Count, Sort
from traces.read.places import Place, beyond, read_place, write_place
from traces.read.signal_terms import DOWN, KIND_WORDS, UP, USER_KINDS, word_of
from traces.read.signals import Signal, columns_of, signal_of
from traces.signals.kinds import Kind, Source, Target

DEFAULT_SORT = "-happened_at"
FIRST_PAGE = Ask()
# Facets are of the newest so many that match: 1,000 rows are read and counted in about 3 ms.
SAMPLE = 1000
# What counting may cost in the planner's units: 10,000 rows of an index are 400; 2,000 read from the table took 170 ms.
COUNT_COST_MAX = 1_000
FACET_VALUES_MAX = 8
ID_MAX = 2**63 - 1
# Where a search looks: for words in these, for the whole of it in those.
_WORDS = ("comment", "value_text", "value_label", "name", "author")
_IDS = ("client_id", "session_id", "request_id")
SIGNAL_SORTS = {"happened_at": Sort("happened_at", "t.happened_at", "timestamptz")}
SOURCE_WORDS = {
    Source.END_USER: "end user",
    Source.REVIEWER: "reviewer",
    Source.MODEL: "model",
    Source.CODE: "program",
    Source.API: "not told",
}
TARGET_WORDS = {
    Target.TRACE: "trace", Target.SPAN: "span", Target.SESSION: "session", Target.REQUEST: "request",
}  # fmt: skip
_SOURCES = tuple((each.name.lower(), word, f"t.source = {int(each)}") for each, word in SOURCE_WORDS.items())
_TARGETS = tuple((each.name.lower(), word, f"t.target_kind = {int(each)}") for each, word in TARGET_WORDS.items())
_BOUND: tuple[tuple[str, str, LiteralString], ...] = (
    ("yes", "found its target", "t.bound_at IS NOT NULL"),
    ("no", "waits for its target", "t.bound_at IS NULL"),
)
_COMMENT: tuple[tuple[str, str, LiteralString], ...] = (
    ("yes", "with words", "(t.comment IS NOT NULL OR t.value_text IS NOT NULL)"),
    ("no", "without words", "(t.comment IS NULL AND t.value_text IS NULL)"),
)
_VOTE: tuple[tuple[str, str, LiteralString], ...] = (
    ("up", "up", "t.vote = 1"),
    ("down", "down", "t.vote = -1"),
    ("none", "no vote", "(t.vote IS NULL OR t.vote = 0)"),
)
KINDS = (
    (UP, "thumb up", ""),
    (DOWN, "thumb down", ""),
    *((kind.name.lower(), KIND_WORDS[kind], "") for kind in (Kind.THUMB, *USER_KINDS, Kind.OUTSIDE)),
)


@dataclass(frozen=True, slots=True)
class SignalPage:
    """One page of the list. `newer` and `older` are the cursors of its neighbours, None at an end."""

    rows: tuple[Signal, ...]
    sort: str
    newer: str | None
    older: str | None
    first: int
    count: Count | None


def _check_kind(name: str, op: str, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    words = [value for value, _, _ in KINDS]
    for value in values:
        if value not in words:
            raise FilterError(key, "is not accepted", f"one of {', '.join(words)}", value[:80])
    return values


def _of_kind(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
    """One kind as plain equality, so that the index on (project, kind, time) gives the order too."""
    kinds = [int(Kind[value.upper()]) for value in values if value not in {UP, DOWN}]
    votes = [vote for value, vote in ((UP, 1), (DOWN, -1)) if value in values]
    parts: list[sql.Composable] = []
    if votes:
        params |= {f"{mark}t": int(Kind.THUMB), f"{mark}w": votes}
        text: LiteralString = "(t.kind = {} AND coalesce(t.vote = ANY({}::smallint[]), false))"
        parts.append(sql.SQL(text).format(sql.Placeholder(f"{mark}t"), sql.Placeholder(f"{mark}w")))
    if kinds:
        params[mark] = kinds[0] if len(kinds) == 1 else kinds
        equal: LiteralString = "t.kind = {}" if len(kinds) == 1 else "t.kind = ANY({}::smallint[])"
        parts.append(sql.SQL(equal).format(sql.Placeholder(mark)))
    found = parts[0] if len(parts) == 1 else sql.SQL("({})").format(sql.SQL(" OR ").join(parts))
    return sql.SQL("NOT {}").format(found) if op == "not" else found


def _check_trace(name: str, op: str, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            UUID(hex=value)
        except ValueError:
            raise FilterError(key, "is no id of a trace", "32 hex digits or a UUID", value[:80]) from None
    return values


def _of_trace(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
    params[mark] = [UUID(hex=value) for value in values]
    found = sql.SQL("t.trace_id = ANY({}::uuid[])").format(sql.Placeholder(mark))
    return sql.SQL("(t.trace_id IS NULL OR NOT ({}))").format(found) if op == "not" else found


SIGNAL_FIELDS: dict[str, Field] = {
    f.key: f
    for f in (
        Field("kind", "What", "extra", choices=KINDS, extra=Extra(("is", "not"), _check_kind, _of_kind)),
        Field("vote", "Vote", "choice", choices=_VOTE),
        Field("name", "Name", "text", "name"),
        Field("source", "Said by", "choice", choices=_SOURCES),
        Field("target", "About a", "choice", choices=_TARGETS),
        Field("bound", "Target", "choice", choices=_BOUND),
        Field("feature", "Feature", "text", "feature"),
        Field("author", "User", "text", "author"),
        Field("session", "Session", "text", "session_id"),
        Field("trace", "Trace", "extra", extra=Extra(("is", "not"), _check_trace, _of_trace)),
        Field("request", "Request", "text", "request_id"),
        Field("comment", "Words", "choice", choices=_COMMENT),
        Field("value", "Value", "number", "t.value_number * 1000000", 10**6),
    )
}


def list_signal_rows(
    project_id: int, wanted: TraceFilter, sort: str = DEFAULT_SORT, ask: Ask = FIRST_PAGE
) -> SignalPage:
    """One page of the project's signals that match. FilterError for an unknown sort or a cursor of another list."""
    with asking() as cursor:
        return page_of_signals(cursor, project_id, wanted, sort, ask)


def list_with_facets(
    project_id: int, wanted: TraceFilter, sort: str, ask: Ask
) -> tuple[SignalPage, tuple[Facet, ...], int]:
    """The same, what these signals have in common, and of how many of the newest ones that was counted."""
    with asking() as cursor:
        page = page_of_signals(cursor, project_id, wanted, sort, ask)
        return page, *(_facets(cursor, project_id, wanted) if page.rows else ((), 0))


def page_of_signals(cursor: CursorWrapper, project_id: int, wanted: TraceFilter, sort: str, ask: Ask) -> SignalPage:
    """As `list_signal_rows`, within a transaction that is open already."""
    order, is_descending = read_sort(sort)
    where, params = conditions(wanted, project_id)
    is_back = bool(ask.after)
    start = read_place(ask.after or ask.before, sort, order.cast)
    if start is not None and start.key.int > ID_MAX:
        raise FilterError("cursor", "is none that this list gave", "the cursor of a neighbouring page")
    limit = min(max(ask.limit, 1), PAGE_SIZE_MAX)
    rows = _rows(cursor, where, params, is_descending != is_back, start, limit + 1)
    has_more = len(rows) > limit
    rows = rows[:limit]
    if is_back:
        rows.reverse()
    first = 1
    if start is not None:
        first = max(start.place - len(rows), 1) if is_back and has_more else 1 if is_back else start.place + 1
    has_ahead = has_more if is_back else start is not None
    has_behind = start is not None if is_back else has_more
    count = None
    if ask.count:
        last = first + len(rows) - 1
        count = Count(last, True) if not has_behind else _count(cursor, where, params, last + 1)
    return SignalPage(
        rows=tuple(rows),
        sort=sort,
        newer=_place_of(sort, rows[0], first) if rows and has_ahead else None,
        older=_place_of(sort, rows[-1], first + len(rows) - 1) if rows and has_behind else None,
        first=first,
        count=count,
    )


def each_signal(project_id: int, wanted: TraceFilter, sort: str = DEFAULT_SORT, chunk: int = 1000) -> Iterator[Signal]:
    """All signals that match, read in pages of `chunk` so that memory stays constant."""
    before = ""
    while True:
        with asking(EXPORT_TIMEOUT_MS) as cursor:
            ask = Ask(limit=chunk, before=before, count=False)
            page = page_of_signals(cursor, project_id, wanted, sort, ask)
        yield from page.rows
        if page.older is None:
            return
        before = page.older


def count_each_signals(project_id: int, several: Sequence[TraceFilter]) -> list[Count]:
    """How many signals match each of several filters, in one transaction."""
    with asking() as cursor:
        return [_count(cursor, *conditions(wanted, project_id), 0) for wanted in several]


def read_sort(sort: str) -> tuple[Sort, bool]:
    """A sort and whether it descends; FilterError for an unknown one."""
    known = SIGNAL_SORTS.get(sort.removeprefix("-"))
    if known is None:
        accepted = ", ".join(f"{name}, -{name}" for name in SIGNAL_SORTS)
        raise FilterError("sort", "is not accepted", f"one of {accepted}", sort[:40])
    return known, sort.startswith("-")


def conditions(wanted: TraceFilter, project_id: int) -> tuple[sql.Composed, dict[str, Any]]:
    """What follows WHERE over `traces_signal AS t`, and its parameters."""
    params: dict[str, Any] = {"project_id": project_id}
    parts: list[sql.Composable] = [sql.SQL("t.project_id = %(project_id)s")]
    if wanted.start is not None:
        params["start"] = wanted.start
        parts.append(sql.SQL("t.happened_at >= %(start)s"))
    if wanted.end is not None:
        params["end"] = wanted.end
        parts.append(sql.SQL("t.happened_at < %(end)s"))
    if wanted.q:
        params |= {"q": "%" + escape_like(wanted.q) + "%", "id": wanted.q}
        looks = [sql.SQL("{} ILIKE %(q)s").format(sql.Identifier("t", name)) for name in _WORDS]
        ids = [sql.SQL("{} = %(id)s").format(sql.Identifier("t", name)) for name in _IDS]
        parts.append(sql.SQL("({})").format(sql.SQL(" OR ").join([*looks, *ids])))
    for place, term in enumerate(wanted.terms):
        parts.append(condition_of(SIGNAL_FIELDS[term.field], term, f"v{place}", params))
    return sql.SQL("\n  AND ").join(parts), params


def _rows(
    cursor: CursorWrapper,
    where: sql.Composed,
    params: dict[str, Any],
    goes_down: bool,
    start: Place | None,
    limit: int,
) -> list[Signal]:
    expression = sql.SQL("t.happened_at")
    if start is not None:
        params = params | {"cursor_value": start.value, "cursor_id": start.key.int}
        place = beyond(expression, sql.SQL("t.signal_id"), "timestamptz", goes_down=goes_down)
        where = sql.SQL("{}\n  AND {}").format(where, place)
    direction = sql.SQL("DESC" if goes_down else "ASC")
    order = sql.SQL("t.happened_at {}, t.signal_id {}").format(direction, direction)
    query = compose("read_signal_rows", columns=columns_of("t"), conditions=where, order=order)
    return [signal_of(row) for row in fetch(cursor, query, params | {"limit": limit})]


def _count(cursor: CursorWrapper, where: sql.Composed, params: dict[str, Any], least: int) -> Count:
    """How many match: exact up to `COUNT_MAX` where that is cheap to find out, else the planner's estimate."""
    query = compose("read_signal_count", conditions=where)
    counting = params | {"limit": COUNT_MAX + 1}
    n = 0
    if plan(cursor, query, counting)["Total Cost"] <= COUNT_COST_MAX:
        n = int(fetch(cursor, query, counting)[0][0])
        if n <= COUNT_MAX:
            return Count(n, True)
    every = compose("read_signal_rows", columns=sql.SQL("t.signal_id"), conditions=where, order=sql.SQL("1"))
    return Count(max(int(plan(cursor, every, params | {"limit": None})["Plan Rows"]), n, least), False)


def _facets(cursor: CursorWrapper, project_id: int, wanted: TraceFilter) -> tuple[tuple[Facet, ...], int]:
    """What the newest signals that match are, and how many of these were looked at. One query."""
    where, params = conditions(wanted, project_id)
    rows = fetch(cursor, compose("read_signal_facets", conditions=where), params | {"sample": SAMPLE})
    counted: dict[str, Counter[str]] = {name: Counter() for name in ("kind", "source", "bound", "feature")}
    total = 0
    for kind, vote, source, is_bound, feature, n in rows:
        total += n
        counted["kind"][word_of(Kind(kind), vote)] += n
        counted["source"][Source(source).name.lower()] += n
        counted["bound"]["yes" if is_bound else "no"] += n
        if feature is not None:
            counted["feature"][feature] += n
    is_whole = total < SAMPLE
    found = []
    for name, values in counted.items():
        chosen = wanted.values(name)
        order = sorted(values, key=lambda value: (-values[value], value))
        shown = order[:FACET_VALUES_MAX] + [value for value in chosen if value not in order[:FACET_VALUES_MAX]]
        facet_values = tuple(FacetValue(value, values.get(value, 0)) for value in shown)
        found.append(Facet(name, facet_values, len(order) > FACET_VALUES_MAX, is_whole))
    return tuple(found), total


def _place_of(sort: str, row: Signal, place: int) -> str:
    return write_place(sort, Place(row.happened_at.isoformat(), UUID(int=row.id), place))
