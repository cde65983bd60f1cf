"""What lists are filtered by: fields as values, how each may be asked about, and what a wrong one is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, LiteralString

from psycopg import sql as composing

from traces.canonical.types import CostStatus, Kind, SpanFlag

VALUE_CHARS_MAX = 1024
META_KEY_MAX = 200
META = "meta"
_META_SUFFIXES = ("not", "min", "max", "missing")
SUFFIXES = ("not", "min", "max", "missing", "exists")

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
class Extra:
    """How a field is asked about that a room above brought (traces.extras).

    `check` takes the name behind the family's dot ("" without), op, key and values; it gives the values kept, or raises
    FilterError. `condition` takes name, op, values, a name for its parameters and the parameters, where `start` and
    `end` are the list's window if it has one; it is SQL over `traces_trace AS t`.
    """

    ops: tuple[str, ...]
    check: Callable[[str, str, str, tuple[str, ...]], tuple[str, ...]]
    condition: Callable[[str, str, tuple[str, ...], str, dict[str, Any]], composing.Composable]
    is_family: bool = False  # stands for <key>.<name>, whatever the name
    key_word: str = ""  # what the form calls such a name


@dataclass(frozen=True, slots=True)
class Field:
    """Something a list is filtered by. `sql` is a column or expression; choices map a value to a condition.

    `known` is when a number is one: elsewhere the 0 of its column stands for unknown, and meets no bound.

    Shapes: text, array, number, choice, kind, flag over the row that is listed; `call` fields are about one span of the
    trace, the same span for all of them, and `meta` about what its sender attached to any span.
    """

    key: str
    label: str
    shape: str  # text, array, number, choice, kind, flag, moment, meta, extra
    sql: LiteralString = ""
    scale: int = 1
    unit: str = ""
    choices: tuple[tuple[str, str, LiteralString], ...] = ()  # value, word, condition
    is_call: bool = False
    known: LiteralString = ""
    extra: Extra | None = None
    facet: LiteralString = ""  # gives the choices that a row has, a bit each, for lists that count them

    @property
    def is_family(self) -> bool:
        """Whether it stands for <key>.<name>, whatever the name."""
        return self.shape == META or (self.extra is not None and self.extra.is_family)


# Of a trace, and of a session, which sums the same columns. Where no model was called, 0 is known.
COST_KNOWN: LiteralString = (
    "(t.priced_count + t.upper_bound_count > 0 OR t.unpriced_count + t.unknown_usage_count + t.partial_count = 0)"
)
TOKENS_KNOWN: LiteralString = "(t.usage_count > 0 OR t.generation_count = 0)"

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
_KINDS: tuple[tuple[str, str, LiteralString], ...] = tuple((k.name.lower(), k.name.lower(), "") for k in Kind)
_CALL_STATUS: tuple[tuple[str, str, LiteralString], ...] = (
    ("error", "failed", "s.status = 2"),
    ("ok", "did not fail", "s.status <> 2"),
)

# What a span does not say itself it has from its trace, as roll-ups book it.
CALL_FIELDS = tuple(
    replace(f, is_call=True)
    for f in (
        Field("call.kind", "Call kind", "kind", "s.kind", choices=_KINDS),
        Field("call.name", "Call name", "text", "s.name"),
        Field("call.model", "Call model", "text", "coalesce(s.model_answered, s.model_requested)"),
        Field("call.provider", "Call provider", "text", "s.provider"),
        Field("call.service", "Call service", "text", "s.service"),
        Field("call.feature", "Call feature", "text", "coalesce(s.feature, t.feature)"),
        Field("call.environment", "Call environment", "text", "coalesce(s.environment, t.environment)"),
        Field("call.release", "Call release", "text", "coalesce(s.release, t.release)"),
        Field("call.prompt", "Call prompt", "text", "coalesce(s.prompt_name, t.prompt_name)"),
        Field("call.prompt_version", "Call prompt version", "text", "coalesce(s.prompt_version, t.prompt_version)"),
        Field("call.status", "Call status", "choice", choices=_CALL_STATUS),
        Field("call.error_type", "Call error type", "text", "s.error_type"),
        Field("call.finish_reason", "Call finish reason", "text", "s.finish_reason"),
        Field("call.duration_ms", "Call duration", "number", "s.duration_ns", 10**6, "ms"),
        Field("call.ttft_ms", "Call first token", "number", "s.ttft_ns", 10**6, "ms"),
        Field("call.cost", "Call cost", "number", "s.cost_pico", 10**12, "USD"),
        Field("call.from", "Calls from", "moment", "s.started_at >="),
        Field("call.to", "Calls to", "moment", "s.started_at <"),
    )
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
        Field("label", "Label", "label"),
        Field("status", "Status", "choice", choices=_STATUS),
        Field("cost_status", "Cost status", "choice", choices=_COST_STATUS),
        Field("kind", "Has a step", "kind", choices=_KINDS),
        Field("flag", "Flag", "flag", choices=tuple((str(f.name).lower(), str(f.name).lower(), "") for f in SpanFlag)),
        Field("cost", "Cost", "number", "t.cost_pico", 10**12, "USD", known=COST_KNOWN),
        Field("duration_ms", "Duration", "number", DURATION_NS, 10**6, "ms"),
        Field("ttft_ms", "First token", "number", "t.ttft_ns", 10**6, "ms"),
        Field("tokens", "Tokens", "number", TOKENS, 1, "tokens", known=TOKENS_KNOWN),
        Field("spans", "Spans", "number", "t.span_count", 1, "spans"),
        Field("errors", "Errors", "number", "t.error_count", 1, "errors"),
        *CALL_FIELDS,
        # Stands for meta.<key>, whatever the key.
        Field(META, "Metadata", "meta"),
    )
}


def find_field(fields: Mapping[str, Field], key: str) -> tuple[Field | None, str]:
    """The field that a key of an address speaks of, and the suffix behind it ("" for none).

    `call.model.not` is the field `call.model` with `not`; `meta.plan.min` the key `plan` of metadata with `min`.
    """
    if key in fields and not fields[key].is_family:
        return fields[key], ""
    name, dot, suffix = key.rpartition(".")
    head, _, rest = key.partition(".")
    if dot and head in fields and fields[head].is_family:
        ways = SUFFIXES if fields[head].extra is not None else _META_SUFFIXES
        if suffix in ways and name.startswith(f"{head}."):
            return _member(fields[head], name), suffix
        return _member(fields[head], key), ""
    if not dot:
        return None, ""
    if name in fields:
        return fields[name], suffix
    # A known field with a way nobody knows is told so, also where that has dots.
    return (fields[head], rest) if head in fields else (None, "")


def named_field(fields: Mapping[str, Field], name: str) -> Field:
    """The field of a term; KeyError where there is none of this name."""
    return fields[name] if name in fields else _member(fields[name.partition(".")[0]], name)


def _member(family: Field, key: str) -> Field:
    return replace(family, key=key, label=f"{family.label} {key.partition('.')[2]}")


def ops_of(known: Field) -> tuple[str, ...]:
    """How a field may be asked about."""
    if known.extra is not None:
        return known.extra.ops
    if known.shape == "moment":
        return ("is",)
    if known.shape == "number":
        return ("min", "max")
    if known.shape == "meta":
        return ("is", "not", "min", "max", "missing")
    return ("is", "not", "missing") if known.shape == "text" else ("is", "not")


def check_values(known: Field, op: str, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """The values a term keeps; FilterError where one cannot be."""
    if known.extra is not None:
        for text in (key, *values):
            _check_text(key, text, VALUE_CHARS_MAX)
        return known.extra.check(known.key.partition(".")[2], op, key, values)
    if known.shape == "meta":
        _check_text(key, known.key.removeprefix(f"{META}."), META_KEY_MAX)
    if op == "missing":
        return ("yes",)
    for value in values:
        _check_text(key, value, VALUE_CHARS_MAX)
    if op in {"min", "max"}:
        number(known, key, values[-1])
        return values[-1:]
    if known.shape == "moment":
        moment(key, values[-1])
        return values[-1:]
    if known.choices:
        words = [value for value, _, _ in known.choices]
        for value in values:
            if value not in words:
                raise FilterError(key, "is not accepted", f"one of {', '.join(words)}", value)
    return values


def _check_text(key: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise FilterError(key[:80], "is too long", f"{limit} characters", f"{len(text)} characters")
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise FilterError(key[:80], "holds characters that no stored text has", "no U+0000, no lone surrogates")


def decimal(known: Field, key: str, raw: str) -> Decimal:
    """A number of an address; FilterError where it is none."""
    try:
        value = Decimal(raw.replace(",", ""))
        # The exponent first: arithmetic with one of nine digits overflows.
        if not value.is_finite() or (value and not -30 <= value.adjusted() <= 15):
            raise InvalidOperation
        if abs(value) > 10**15 or value.normalize().as_tuple().exponent < -30:  # type: ignore[operator]
            raise InvalidOperation
    except InvalidOperation:
        of = f" of {known.unit}" if known.unit else ""
        raise FilterError(key, "is no number", f"a number{of}, at most 1e15", raw[:40]) from None
    return value or Decimal(0)


def number(known: Field, key: str, raw: str) -> int:
    """A number of an address in stored units; FilterError where it is none."""
    return int(decimal(known, key, raw) * known.scale)


def moment(key: str, raw: str) -> datetime:
    """A time of an address, UTC where it names no zone; FilterError where it is none."""
    try:
        # A plus sign that nobody encoded arrives as a space.
        at = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)\Z", r"+\1", raw) if "T" in raw else raw)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        if not 1970 <= at.year <= 2200:
            raise ValueError
    except (ValueError, OverflowError):
        raise FilterError(key, "is no time", "ISO 8601, such as 2026-11-19T10:00:00Z", raw[:40]) from None
    return at


# Kept beside CostStatus on purpose: a status added there must get a word here.
assert {c.name.lower() for c in CostStatus} <= {value for value, _, _ in _COST_STATUS}  # noqa: S101
