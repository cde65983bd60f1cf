"""Which traces a list shows: a filter as values, and the SQL conditions it becomes. All of it fits into an address.

Repeated keys mean "or", different keys mean "and": `feature=a&feature=b&model.not=c&cost.min=0.01&user.missing=yes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql

from traces.canonical.types import Kind, SpanFlag
from traces.read.fields import (
    DURATION_NS,
    FIELDS,
    META,
    TOKENS,
    VALUE_CHARS_MAX,
    Field,
    FilterError,
    check_values,
    find_field,
    moment,
    named_field,
    number,
    ops_of,
)
from traces.read.search import Hits
from traces.read.signal_terms import TRACE_FIELDS, walking
from traces.read.span_terms import call_condition, meta_condition, of_trace

__all__ = [
    "DURATION_NS",
    "FIELDS",
    "META",
    "TOKENS",
    "VALUE_CHARS_MAX",
    "Field",
    "FilterError",
    "Term",
    "TraceFilter",
    "call_conditions",
    "call_window",
    "condition_of",
    "conditions",
    "escape_like",
    "find_field",
    "is_call",
    "looks_at_spans",
    "named_field",
    "number",
    "ops_of",
    "pairs_of",
    "parse_terms",
    "split_conditions",
]

FIELDS.update({known.key: known for known in TRACE_FIELDS})
VALUES_MAX = 50
TERMS_MAX = 40
# Each is a look at spans of its own, and planning them grows by more than their number: 10 take 0.1 s, 40 took 3 s.
META_TERMS_MAX = 10
OPS = ("is", "not", "min", "max", "missing", "exists")
_SUFFIX = {"": "is"} | {op: op for op in OPS[1:]}


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
    # Set by `traces.read.finding`: what `q` finds as text, and some of these that a question is about.
    hits: Hits | None = field(default=None, compare=False, repr=False)
    text_ids: tuple[UUID, ...] | None = field(default=None)
    # Set by `resolve_calls`: the traces that have such calls, where they are few, and how many calls these are.
    call_ids: tuple[UUID, ...] | None = field(default=None)
    call_count: int = 0
    # Services whose traces are left out, unless traces are named by their ids: the product's own calls of models.
    hides: tuple[str, ...] = ()

    @property
    def call_terms(self) -> tuple[Term, ...]:
        """The terms about one span of the trace."""
        return tuple(term for term in self.terms if is_call(term))

    def without(self, key: str) -> TraceFilter:
        """The same without one term (by its key in the address)."""
        return replace(self, terms=tuple(term for term in self.terms if term.key != key), call_ids=None)

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
        known, suffix = find_field(fields, key)
        if known is None:
            continue
        try:
            # Names may begin or end with blanks; a value of nothing else is none.
            values = tuple(dict.fromkeys(v if known.shape in _AS_IS else v.strip() for v in raw if v.strip()))
            if len(values) > VALUES_MAX:
                raise FilterError(key, "has too many values", f"{VALUES_MAX} values", f"{len(values)} values")
            if values and len(terms) == TERMS_MAX:
                raise FilterError(key, "is one filter too many", f"{TERMS_MAX} filters")
            if values and known.shape == "meta" and _metas(terms) == META_TERMS_MAX:
                raise FilterError(key, "is one filter too many", f"{META_TERMS_MAX} filters by metadata")
            if values and known.extra is not None and _extras(terms, fields) == META_TERMS_MAX:
                raise FilterError(key, "is one filter too many", f"{META_TERMS_MAX} filters of this kind")
            if values:
                terms.append(_checked(known, suffix, key, values))
        except FilterError as error:
            wrong.append(error)
    return tuple(terms), wrong


def _metas(terms: list[Term]) -> int:
    return sum(term.field.startswith(f"{META}.") for term in terms)


def _extras(terms: list[Term], fields: Mapping[str, Field]) -> int:
    return sum(named_field(fields, term.field).extra is not None for term in terms)


def _checked(known: Field, suffix: str, key: str, values: tuple[str, ...]) -> Term:
    op = _SUFFIX.get(suffix)
    accepted = ops_of(known)
    if op is None or op not in accepted:
        raise FilterError(key, "is no way to filter by this field", ", ".join(accepted), suffix)
    return Term(known.key, op, check_values(known, op, key, values))


def conditions(wanted: TraceFilter, project_id: int, *, calls: bool = True) -> tuple[sql.Composed, dict[str, Any]]:
    """What follows WHERE over `traces_trace AS t`, and its parameters. Without `calls` no look at spans for these."""
    near, far, params = split_conditions(wanted, project_id, calls=calls)
    return _AND.join([near, *([far] if far is not None else [])]), params


def split_conditions(
    wanted: TraceFilter, project_id: int, *, calls: bool = True, walks: bool = False
) -> tuple[sql.Composed, sql.Composed | None, dict[str, Any]]:
    """As `conditions`, in two: what an index leads to, newest first, and the rest (None where nothing is left).

    Who looks at the second part bounds how many rows of the first it may take to find some, and says so by `walks`.
    """
    params: dict[str, Any] = {"project_id": project_id}
    params = walking(params) if walks else params
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
        if wanted.text_ids is not None:
            params["text_ids"] = list(wanted.text_ids)
            near.append(sql.SQL("t.trace_id = ANY(%(text_ids)s::uuid[])"))
        elif wanted.q:
            raise RuntimeError("what a text finds is asked of traces.read.finding first")
        if wanted.hides:
            params["hides"] = list(wanted.hides)
            near.append(sql.SQL("(t.service IS NULL OR t.service <> ALL(%(hides)s::text[]))"))
    for at, term in enumerate(wanted.terms):
        if not is_call(term):
            known = named_field(FIELDS, term.field)
            (near if _is_on_index(term) else far).append(condition_of(known, term, f"v{at}", params))
    if wanted.call_ids is not None:
        params["call_ids"] = list(wanted.call_ids)
        near.append(sql.SQL("t.trace_id = ANY(%(call_ids)s::uuid[])"))
    elif wanted.call_terms and calls:
        if Term("call.status", "is", ("error",)) in wanted.terms:
            near.append(sql.SQL("t.error_count > 0"))  # stands on an index, and is what such a span brings about
        far.append(of_trace(call_conditions(wanted, params), params))
    return _AND.join(near), _AND.join(far) if far else None, params


def call_conditions(wanted: TraceFilter, params: dict[str, Any]) -> sql.Composed:
    """All `call.*` terms over `traces_span AS s`."""
    parts: list[sql.Composable] = []
    for at, term in enumerate(wanted.terms):
        if is_call(term):
            parts.append(call_condition(named_field(FIELDS, term.field), term.op, term.values, f"v{at}", params))
    return _AND.join(parts)


def looks_at_spans(wanted: TraceFilter) -> bool:
    """Whether each trace has to be tried by looking at its spans."""
    shapes = (named_field(FIELDS, term.field) for term in wanted.terms)
    return any(known.shape == "meta" or (known.shape == "kind" and not known.is_call) for known in shapes) or (
        wanted.call_ids is None and bool(wanted.call_terms)
    )


def is_call(term: Term) -> bool:
    """Whether a term is about one span of the trace."""
    return named_field(FIELDS, term.field).is_call


def call_window(wanted: TraceFilter) -> tuple[datetime | None, datetime | None]:
    """The ends of `call.from` and `call.to`, None where not given."""
    ends = {term.field: moment(term.key, term.values[0]) for term in wanted.terms if term.field in CALL_ENDS}
    return ends.get(CALL_ENDS[0]), ends.get(CALL_ENDS[1])


CALL_ENDS = ("call.from", "call.to")
_AND = sql.SQL("\n  AND ")
_AS_IS = {"text", "array", "meta"}


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
    if known.extra is not None:
        return known.extra.condition(known.key.partition(".")[2], term.op, term.values, name, params)
    if known.shape == "meta":
        return meta_condition(known, term.op, term.values, name, params)
    if known.shape == "number":
        params[name] = number(known, term.key, term.values[0])
        bound = sql.SQL("{} {} {}").format(sql.SQL(known.sql), sql.SQL(">=" if term.op == "min" else "<="), mark)
        # At least something above 0 is never what is stored for unknown.
        if not known.known or (term.op == "min" and params[name] > 0):
            return bound
        return sql.SQL("({} AND {})").format(bound, sql.SQL(known.known))
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
        found = of_trace(sql.SQL("s.kind = ANY({}::smallint[])").format(mark), params)
    elif known.shape == "label":
        # Kept in lower case; few traces have any, so the index on labels is the way in.
        params[name] = [value.lower() for value in term.values]
        found = sql.SQL(
            "t.trace_id IN (SELECT l.trace_id FROM traces_label AS l"
            " WHERE l.project_id = %(project_id)s AND l.label = ANY({}::text[]))"
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
