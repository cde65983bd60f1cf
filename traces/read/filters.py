"""Which traces a list shows: a filter as values, and the SQL conditions it becomes. All of it fits into an address.

Repeated keys mean "or", different keys mean "and": `feature=a&feature=b&model.not=c&cost.min=0.01&user.missing=yes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql

from traces.canonical.types import CostStatus, Kind, SpanFlag

VALUES_MAX = 50
VALUE_CHARS_MAX = 1024
TERMS_MAX = 40
OPS = ("is", "not", "min", "max", "missing")
_SUFFIX = {"": "is", "not": "not", "min": "min", "max": "max", "missing": "missing"}

# Where the root has no duration, the trace's is from its first start to its last known end.
DURATION_NS: LiteralString = (
    "coalesce(t.root_duration_ns, (extract(epoch FROM t.ended_at - t.started_at) * 1000000000)::bigint)"
)
TOKENS: LiteralString = (
    "(t.input_fresh + t.input_cache_read + t.input_cache_write_5m + t.input_cache_write_1h + t.input_audio"
    " + t.output_text + t.output_reasoning + t.output_audio)"
)


class FilterError(ValueError):
    """A filter that cannot be: which field, what is accepted."""

    def __init__(self, key: str, message: str, limit: str = "", value: str = "") -> None:
        super().__init__(f"{key}: {message}")
        self.key = key
        self.message = message
        self.limit = limit
        self.value = value


@dataclass(frozen=True, slots=True)
class Field:
    """Something traces are filtered by. `sql` is a column or expression; choices map a value to a condition."""

    key: str
    label: str
    shape: str  # text, array, number, choice, kind, flag
    sql: LiteralString = ""
    scale: int = 1
    unit: str = ""
    choices: tuple[tuple[str, str, LiteralString], ...] = ()  # value, word, condition


_STATUS: tuple[tuple[str, str, LiteralString], ...] = (
    ("error", "has errors", "t.error_count > 0"),
    ("failed", "failed", "t.root_status = 2"),
    ("ok", "no errors", "t.error_count = 0"),
)
_COST_STATUS: tuple[tuple[str, str, LiteralString], ...] = (
    ("unpriced", "unpriced", "t.unpriced_count > 0"),
    ("unknown_usage", "usage unknown", "t.unknown_usage_count > 0"),
    ("partial", "partly priced", "t.partial_count > 0"),
    ("upper_bound", "upper bound", "t.upper_bound_count > 0"),
    ("priced", "priced", "t.priced_count > 0"),
    ("duplicate", "reported twice", "t.duplicate_count > 0"),
)
FIELDS: dict[str, Field] = {
    f.key: f
    for f in (
        Field("feature", "Feature", "text", "feature"),
        Field("model", "Model", "array", "models"),
        Field("user", "User", "text", "user_id"),
        Field("session", "Session", "text", "session_id"),
        Field("environment", "Environment", "text", "environment"),
        Field("release", "Release", "text", "release"),
        Field("service", "Service", "text", "service"),
        Field("prompt", "Prompt", "text", "prompt_name"),
        Field("prompt_version", "Prompt version", "text", "prompt_version"),
        Field("name", "Name", "text", "name"),
        Field("finish_reason", "Finish reason", "text", "finish_reason"),
        Field("error_type", "Error type", "text", "error_type"),
        Field("tag", "Tag", "array", "tags"),
        Field("status", "Status", "choice", choices=_STATUS),
        Field("cost_status", "Cost status", "choice", choices=_COST_STATUS),
        Field("kind", "Has a step", "kind", choices=tuple((k.name.lower(), k.name.lower(), "") for k in Kind)),
        Field("flag", "Flag", "flag", choices=tuple((str(f.name).lower(), str(f.name).lower(), "") for f in SpanFlag)),
        Field("cost", "Cost", "number", "t.cost_pico", 10**12, "USD"),
        Field("duration_ms", "Duration", "number", DURATION_NS, 10**6, "ms"),
        Field("ttft_ms", "First token", "number", "t.ttft_ns", 10**6, "ms"),
        Field("tokens", "Tokens", "number", TOKENS, 1, "tokens"),
        Field("spans", "Spans", "number", "t.span_count", 1, "spans"),
        Field("errors", "Errors", "number", "t.error_count", 1, "errors"),
    )
}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: `field op values`; several values mean "any of them"."""

    field: str
    op: str
    values: tuple[str, ...]

    @property
    def key(self) -> str:
        """How the address spells it."""
        return self.field if self.op == "is" else f"{self.field}.{self.op}"


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which traces: the window [start, end), words or an id to look for, and terms. None is an open end."""

    start: datetime | None = None
    end: datetime | None = None
    q: str = ""
    terms: tuple[Term, ...] = ()
    # Set by `resolve_id`: the traces that `q` names. Then the window does not bound the list.
    trace_ids: tuple[UUID, ...] | None = field(default=None)

    def without(self, key: str) -> TraceFilter:
        """The same without one term (by its key in the address)."""
        return replace(self, terms=tuple(term for term in self.terms if term.key != key))

    def without_field(self, name: str) -> TraceFilter:
        """The same without any positive term on one field."""
        return replace(self, terms=tuple(t for t in self.terms if t.field != name or t.op not in {"is", "missing"}))

    def values(self, name: str) -> tuple[str, ...]:
        """The values that `name` may have; empty where it is not filtered."""
        return next((term.values for term in self.terms if term.field == name and term.op == "is"), ())


def parse_terms(
    pairs: Iterable[tuple[str, list[str]]], fields: Mapping[str, Field] = FIELDS
) -> tuple[tuple[Term, ...], list[FilterError]]:
    """The terms among an address's (key, values), and what is wrong with those that are none.

    Keys of no field are left alone: they belong to the page (sort, time, cursors).
    """
    terms: list[Term] = []
    wrong: list[FilterError] = []
    for key, raw in pairs:
        name, _, suffix = key.partition(".")
        known = fields.get(name)
        if known is None:
            continue
        try:
            values = tuple(dict.fromkeys(v.strip() for v in raw if v.strip()))[:VALUES_MAX]
            if values and len(terms) < TERMS_MAX:
                terms.append(_checked(known, suffix, key, values))
        except FilterError as error:
            wrong.append(error)
    return tuple(terms), wrong


def _checked(known: Field, suffix: str, key: str, values: tuple[str, ...]) -> Term:
    op = _SUFFIX.get(suffix)
    accepted = ops_of(known)
    if op is None or op not in accepted:
        raise FilterError(key, "is no way to filter by this field", ", ".join(accepted), suffix)
    if op == "missing":
        return Term(known.key, op, ("yes",))
    for value in values:
        if len(value) > VALUE_CHARS_MAX:
            raise FilterError(key, "is too long", f"{VALUE_CHARS_MAX} characters", f"{len(value)} characters")
        if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise FilterError(key, "holds characters that no stored text has", "no U+0000, no lone surrogates")
    if known.shape == "number":
        number(known, key, values[-1])
        return Term(known.key, op, values[-1:])
    if known.choices:
        words = [value for value, _, _ in known.choices]
        for value in values:
            if value not in words:
                raise FilterError(key, "is not accepted", f"one of {', '.join(words)}", value)
    return Term(known.key, op, values)


def ops_of(known: Field) -> tuple[str, ...]:
    """How a field may be asked about."""
    if known.shape == "number":
        return ("min", "max")
    return ("is", "not", "missing") if known.shape == "text" else ("is", "not")


def number(known: Field, key: str, raw: str) -> int:
    """A number of an address in stored units; FilterError where it is none."""
    try:
        value = Decimal(raw.replace(",", ""))
        if not value.is_finite() or abs(value) > 10**15:
            raise InvalidOperation
    except InvalidOperation:
        raise FilterError(key, "is no number", f"a number of {known.unit}", raw[:40]) from None
    return int(value * known.scale)


def conditions(wanted: TraceFilter, project_id: int) -> tuple[sql.Composed, dict[str, Any]]:
    """What follows WHERE over `traces_trace AS t`, and its parameters."""
    near, far, params = split_conditions(wanted, project_id)
    return sql.SQL("\n  AND ").join([near, *([far] if far is not None else [])]), params


def split_conditions(wanted: TraceFilter, project_id: int) -> tuple[sql.Composed, sql.Composed | None, dict[str, Any]]:
    """As `conditions`, in two: what an index leads to, newest first, and the rest (None where nothing is left).

    Who looks at the second part bounds how many rows of the first it may take to find some.
    """
    params: dict[str, Any] = {"project_id": project_id}
    near: list[sql.Composable] = [sql.SQL("t.project_id = %(project_id)s")]
    far: list[sql.Composable] = []
    if wanted.trace_ids is not None:
        params["trace_ids"] = list(wanted.trace_ids)
        near.append(sql.SQL("t.trace_id = ANY(%(trace_ids)s::uuid[])"))
    else:
        if wanted.start is not None:
            params["start"] = wanted.start
            near.append(sql.SQL("t.started_at >= %(start)s"))
        if wanted.end is not None:
            params["end"] = wanted.end
            near.append(sql.SQL("t.started_at < %(end)s"))
        if wanted.q:
            params["q"] = "%" + escape_like(wanted.q) + "%"
            columns = ("name", "preview_in", "preview_out", "user_id", "session_id")
            looks = [sql.SQL("{} ILIKE %(q)s").format(sql.Identifier("t", column)) for column in columns]
            far.append(sql.SQL("({})").format(sql.SQL(" OR ").join(looks)))
    for at, term in enumerate(wanted.terms):
        (near if _is_on_index(term) else far).append(condition_of(FIELDS[term.field], term, f"v{at}", params))
    both = sql.SQL("\n  AND ")
    return both.join(near), both.join(far) if far else None, params


_ON_INDEX = {"feature", "user", "session"}
_CHOICES_ON_INDEX = {("status", ("error",)), ("cost_status", ("unpriced",))}


def _is_on_index(term: Term) -> bool:
    """Whether an index gives the traces of this term in order of their start."""
    if term.op != "is":
        return False
    return (term.field in _ON_INDEX and len(term.values) == 1) or (term.field, term.values) in _CHOICES_ON_INDEX


def condition_of(known: Field, term: Term, name: str, params: dict[str, Any]) -> sql.Composable:
    """One term as SQL over the table `t` that `known` speaks of; its value goes into `params` under `name`."""
    mark = sql.Placeholder(name)
    if known.shape == "number":
        params[name] = number(known, term.key, term.values[0])
        return sql.SQL("{} {} {}").format(sql.SQL(known.sql), sql.SQL(">=" if term.op == "min" else "<="), mark)
    found: sql.Composable
    if known.shape == "text":
        column = sql.Identifier("t", known.sql)
        if term.op == "missing":
            return sql.SQL("{} IS NULL").format(column)
        params[name] = list(term.values)
        if term.op == "not":
            return sql.SQL("({} IS NULL OR {} <> ALL({}))").format(column, column, mark)
        # One value as plain equality, so that the index on (project, value, start) gives the order too.
        if len(term.values) == 1:
            params[name] = term.values[0]
            return sql.SQL("{} = {}").format(column, mark)
        return sql.SQL("{} = ANY({})").format(column, mark)
    if known.shape == "array":
        params[name] = list(term.values)
        found = sql.SQL("{} && {}::text[]").format(sql.Identifier("t", known.sql), mark)
    elif known.shape == "kind":
        params[name] = [int(Kind[value.upper()]) for value in term.values]
        found = sql.SQL(
            "EXISTS (SELECT 1 FROM traces_span AS s WHERE s.project_id = t.project_id AND s.trace_id = t.trace_id"
            " AND s.started_at >= t.started_at AND s.started_at <= t.last_started_at AND s.kind = ANY({}::smallint[]))"
        ).format(mark)
    elif known.shape == "flag":
        params[name] = sum({int(SpanFlag[value.upper()]) for value in term.values})
        found = sql.SQL("(t.flags & {}) <> 0").format(mark)
    else:
        by_value = {value: condition for value, _, condition in known.choices}
        found = sql.SQL("({})").format(sql.SQL(" OR ").join(sql.SQL(by_value[value]) for value in term.values))
    return sql.SQL("NOT ({})").format(found) if term.op == "not" else found


def escape_like(text: str) -> str:
    """`text` for ILIKE without wildcards of its own."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def pairs_of(wanted: TraceFilter) -> Iterator[tuple[str, str]]:
    """The (key, value) pairs that spell the terms in an address."""
    for term in wanted.terms:
        for value in term.values:
            yield term.key, value


# Kept beside CostStatus on purpose: a status added there must get a word here.
assert {c.name.lower() for c in CostStatus} <= {value for value, _, _ in _COST_STATUS}  # noqa: S101
