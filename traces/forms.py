"""What the address of a list of traces says, and addresses for what one may ask next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import QueryDict

from traces.extras import find_column
from traces.read import DEFAULT_SORT, FIELDS, SORTS, FilterError, Term, TraceFilter, parse_terms
from traces.read.filters import META, Field, call_window, find_field, named_field, ops_of

LENGTHS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "28d": timedelta(days=28)}
WORDS = {"1h": "1 h", "24h": "24 h", "7d": "7 d", "28d": "28 d", "all": "All"}
LABELS = {"1h": "Last hour", "24h": "Last 24 h", "7d": "Last 7 days", "28d": "Last 28 days", "all": "All time"}
DEFAULT_WINDOW = "7d"
Q_MAX = 300
# Clocks of senders may run fast; later starts are flagged as misplaced and only "all" shows them.
AHEAD = timedelta(days=1)
OP_WORDS = {"is": "", "not": "not", "min": "at least", "max": "at most", "missing": "is unknown", "exists": "is known"}

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Window:
    """What the time picker shows: the choice in use, or the two ends as typed."""

    label: str
    current: str
    start: str
    end: str
    zone: str
    hidden: tuple[Pair, ...]
    choices: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter in words, and the address without it."""

    field: str
    op: str
    word: str
    remove: str


@dataclass(frozen=True, slots=True)
class ListKind:
    """What a list is of: the fields it is filtered by, the keys it is sorted by, and how it is sorted unless asked.

    Where it has `columns` to choose from, `default_columns` are those shown unless asked, and `always` is never left
    out. A list that `has_views` may open with one: then everything has an address of its own.
    """

    noun: str
    fields: Mapping[str, Field]
    sorts: tuple[str, ...]
    default_sort: str
    columns: tuple[str, ...] = ()
    default_columns: tuple[str, ...] = ()
    always: str = ""
    has_views: bool = False
    has_extras: bool = False  # columns that rooms above bring

    def has_column(self, key: str) -> bool:
        """Whether the list can show it."""
        return key in self.columns or (self.has_extras and find_column(key) is not None)


# As traces.pages.columns shows them, which a test compares.
TRACE_COLUMNS = (
    "time", "said", "model", "errors", "tokens", "cost", "latency", "first_token", "status", "finish_reason", "feature",
    "user", "session", "environment", "release", "service", "prompt", "prompt_version", "name", "error_type", "tags",
    "spans", "calls", "cached", "trace_id", "notes", "pick",
)  # fmt: skip
COLUMNS_MAX = 16
TRACES = ListKind(
    "traces", FIELDS, tuple(SORTS), DEFAULT_SORT, TRACE_COLUMNS, TRACE_COLUMNS[:7], "said", has_views=True,
    has_extras=True,
)  # fmt: skip
# What tells an address that asks for everything from one that asks for nothing in particular.
EVERYTHING: Pair = ("view", "all")
# Traces of the calls that judges make are left out of the list unless its address says so.
JUDGING: Pair = ("judging", "shown")


@dataclass(frozen=True, slots=True)
class ListState:
    """A list as its address has it: filter, order, place, and what in the address was not understood."""

    wanted: TraceFilter
    sort: str
    before: str
    after: str
    time: tuple[Pair, ...]  # as the address spells it; empty for the default
    errors: tuple[FilterError, ...]
    columns: tuple[str, ...] = ()  # keys of the columns shown; empty for the default
    kind: ListKind = TRACES
    is_everything: bool = False  # the address says so
    shows_judging: bool = False  # calls that judges made are in it too

    @property
    def is_filtered(self) -> bool:
        return bool(self.wanted.terms or self.wanted.q)

    @property
    def is_window(self) -> bool:
        """Whether the address names both ends of the time range, as a chart's points do."""
        return {"from", "to"} <= {name for name, _ in self.time}

    def pairs(self, *, place: bool = False) -> list[Pair]:
        """What spells this list in an address; `place` keeps the page too."""
        pairs = [*self.time]
        if self.wanted.q:
            pairs.append(("q", self.wanted.q))
        pairs += [(term.key, value) for term in self.wanted.terms for value in term.values]
        if self.shows_judging:
            pairs.append(JUDGING)
        if self.sort != self.kind.default_sort:
            pairs.append(("sort", self.sort))
        if self.columns:
            pairs.append(("columns", ",".join(self.columns)))
        if place:
            pairs += [(name, cursor) for name, cursor in (("before", self.before), ("after", self.after)) if cursor]
        return pairs or ([EVERYTHING] if self.is_everything else [])

    def address(self, *extra: Pair) -> str:
        """The query string of this list's first page, with `extra` behind it."""
        pairs = self.pairs()
        return query_string([*(pairs or ([EVERYTHING] if self.kind.has_views else [])), *extra])

    def chips(self) -> list[Chip]:
        """The terms in words, each with the address without it."""
        chips = []
        for term in self.wanted.terms:
            known = named_field(self.kind.fields, term.field)
            words = {value: word for value, word, _ in known.choices}
            is_bare = term.op in {"missing", "exists"}
            shown = "" if is_bare else ", ".join(words.get(value, value) for value in term.values)
            unit = f" {known.unit}" if known.unit else ""
            without = replace(self, wanted=self.wanted.without(term.key))
            chips.append(Chip(known.label, OP_WORDS[term.op], shown + unit, without.address()))
        if self.shows_judging:
            chips.append(Chip("Calls of judges", "are", "shown", replace(self, shows_judging=False).address()))
        elif self.wanted.hides:
            chips.append(Chip("Calls of judges", "are", "hidden", replace(self, shows_judging=True).address()))
        return chips

    def without_filters(self) -> str:
        """The address of the same window and order without any filter."""
        return replace(self, wanted=TraceFilter(self.wanted.start, self.wanted.end), shows_judging=False).address()


def read_list(query: QueryDict, zone: ZoneInfo, now: datetime, kind: ListKind = TRACES) -> ListState:
    """The list an address asks for. What is not understood is left out and told in `errors`."""
    errors: list[FilterError] = []
    start, end, time = _read_time(query, zone, now, errors)
    terms, wrong = parse_terms(((key, query.getlist(key)) for key in query), kind.fields)
    errors += wrong
    q = _read_q(query, errors)
    sort = query.get("sort", "") or kind.default_sort
    if sort.removeprefix("-") not in kind.sorts:
        accepted = ", ".join(f"{name}, -{name}" for name in kind.sorts)
        errors.append(FilterError("sort", "is not accepted", f"one of {accepted}", sort[:40]))
        sort = kind.default_sort
    wanted = TraceFilter(start, end, q, terms)
    if not time:
        wanted = _around_calls(wanted)
    columns = _read_columns(query, kind, errors)
    is_everything = kind.has_views and query.get(EVERYTHING[0]) == EVERYTHING[1]
    shows_judging = kind.has_views and query.get(JUDGING[0]) == JUDGING[1]
    before, after = query.get("before", ""), query.get("after", "")
    return ListState(wanted, sort, before, after, time, tuple(errors), columns, kind, is_everything, shows_judging)


def canonical_query(
    query: str, zone: ZoneInfo, now: datetime, kind: ListKind = TRACES
) -> tuple[str, list[FilterError]]:
    """A list's query string as its own links spell it, without a place in it; and what in it was not understood."""
    state = read_list(QueryDict(query), zone, now, kind)
    return urlencode([pair for pair in state.pairs() if pair != EVERYTHING]), list(state.errors)


def _read_columns(query: QueryDict, kind: ListKind, errors: list[FilterError]) -> tuple[str, ...]:
    """The columns asked for, in their order; empty for the usual ones."""
    asked = [key.strip() for raw in query.getlist("columns") for key in raw.split(",") if key.strip()]
    unknown = [key for key in asked if not kind.has_column(key)]
    if unknown and kind.columns:
        errors.append(FilterError("columns", "has no such column", ", ".join(kind.columns), unknown[0][:40]))
    known = list(dict.fromkeys(key for key in asked if kind.has_column(key)))
    if not known:
        return ()
    if kind.always and kind.always not in known:
        known.insert(1 if known[0] == kind.default_columns[0] else 0, kind.always)
    if len(known) > COLUMNS_MAX:
        errors.append(FilterError("columns", "are too many", f"{COLUMNS_MAX} columns", f"{len(known)} columns"))
    shown = tuple(known[:COLUMNS_MAX])
    return () if shown == kind.default_columns else shown


def _around_calls(wanted: TraceFilter) -> TraceFilter:
    """Where calls have a window of their own and the list has none, no start bounds their traces: they may be older."""
    first, last = call_window(wanted)
    if first is None and last is None:
        return wanted
    return replace(wanted, start=None, end=last or wanted.end)


def added_term(query: QueryDict, kind: ListKind = TRACES) -> Term | FilterError | None:
    """The term that the Filter form adds, or what is wrong with it; None where the form was not sent."""
    name, op, value = query.get("field", ""), query.get("op", "is"), query.get("value", "")
    if not name:
        return None
    if name in kind.fields and kind.fields[name].is_family:
        member = query.get("key", "").strip()
        if not member:
            needs = "needs the key that its sender uses" if name == META else "needs a name"
            return FilterError(name, needs)
        name = f"{name}.{member}"
    known = find_field(kind.fields, name)[0]
    if known is None:
        accepted = ", ".join(kind.fields)
        return FilterError("field", f"is not one that {kind.noun} are filtered by", accepted, name[:40])
    # "At least" makes sense of numbers alone, "equal to" of the rest; what was meant is clear enough.
    if op not in ops_of(known):
        op = {"is": "min", "not": "max"}.get(op, "is") if known.shape == "number" else ops_of(known)[0]
    if not value.strip() and op not in {"missing", "exists"}:
        return FilterError(name, "needs a value")
    key = name if op == "is" else f"{name}.{op}"
    terms, wrong = parse_terms([(key, [value.strip() if op not in {"missing", "exists"} else "yes"])], kind.fields)
    return wrong[0] if wrong else terms[0]


def with_term(state: ListState, term: Term) -> ListState:
    """The list with one more term; values of the same key join it."""
    rest, values = [], list(term.values)
    joins = term.op in {"is", "not"} and named_field(state.kind.fields, term.field).shape not in {"number", "moment"}
    for held in state.wanted.terms:
        if held.key == term.key and joins:
            values = [*held.values, *(value for value in values if value not in held.values)]
        elif held.key != term.key:
            rest.append(held)
    terms = (*rest, Term(term.field, term.op, tuple(values)))
    return replace(state, wanted=replace(state.wanted, terms=terms), before="", after="")


def window_of(state: ListState, zone: ZoneInfo, now: datetime) -> Window:
    """The time picker of a list."""
    kept = replace(state, time=())
    named = dict(state.time)
    current = named.get("t", "" if state.time else DEFAULT_WINDOW)
    end = min(state.wanted.end, now) if state.wanted.end else now
    start_text = _text(state.wanted.start, zone) if state.wanted.start else ""
    end_text = _text(end, zone)
    label = LABELS.get(current) or f"{start_text or 'ever'} to {end_text}"
    choices = tuple(
        (value, word, replace(state, time=() if value == DEFAULT_WINDOW else (("t", value),)).address())
        for value, word in WORDS.items()
    )
    return Window(label, current, start_text, end_text, str(zone), tuple(kept.pairs()), choices)


def query_string(pairs: Iterable[Pair]) -> str:
    """`?a=b&c=d`, or a bare `?` for none."""
    return "?" + urlencode(list(pairs))


def _read_time(
    query: QueryDict, zone: ZoneInfo, now: datetime, errors: list[FilterError]
) -> tuple[datetime | None, datetime | None, tuple[Pair, ...]]:
    raw_from, raw_to = query.get("from", "").strip(), query.get("to", "").strip()
    current = query.get("t", "").strip()
    if raw_from or raw_to:
        try:
            start = parse_moment(raw_from, zone) if raw_from else None
            end = parse_moment(raw_to, zone) if raw_to else None
            if start and end and start >= end:
                raise ValueError
        except (ValueError, OverflowError):
            errors.append(FilterError("from", "and `to` must be times such as 2026-11-19 11:00, in order"))
        else:
            time = tuple((name, raw) for name, raw in (("from", raw_from), ("to", raw_to)) if raw)
            return start, end or now + AHEAD, time
    elif current == "all":
        return None, None, (("t", "all"),)
    elif current in LENGTHS and current != DEFAULT_WINDOW:
        return now - LENGTHS[current], now + AHEAD, (("t", current),)
    elif current and current not in LENGTHS:
        errors.append(FilterError("t", "is no time range", ", ".join(LABELS), current[:40]))
    return now - LENGTHS[DEFAULT_WINDOW], now + AHEAD, ()


def _read_q(query: QueryDict, errors: list[FilterError]) -> str:
    q = query.get("q", "").strip()
    if "\x00" in q or any("\ud800" <= c <= "\udfff" for c in q):
        errors.append(FilterError("q", "holds characters that no stored text has"))
        return ""
    if len(q) > Q_MAX:
        errors.append(FilterError("q", "is too long", f"{Q_MAX} characters", f"{len(q)} characters"))
        return q[:Q_MAX]
    return q


def parse_moment(text: str, zone: ZoneInfo) -> datetime:
    """A time typed by a person, in `zone` where it names none; ValueError or OverflowError where it is none."""
    at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    if not 1970 <= at.year <= 2200:
        raise ValueError
    return at


def _text(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
