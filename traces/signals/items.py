"""One object of a request as a signal, or what is wrong with it: each field, what is accepted, what came."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from telltale.lib.faults import Fault, ItemRefused
from traces.canonical.text import clean_text, clean_value, cut_text
from traces.signals.keys import key_of_client_id, key_of_signal
from traces.signals.kinds import Kind, Source, Target
from traces.signals.names import NAME_CHARS_MAX, Names, kind_for, plain_name, vote_of
from traces.wire.ids import MAX_ID_CHARS, BadId, find_trace_ids, span_id_from

CLIENT_ID_CHARS_MAX = 200
ID_CHARS_MAX = MAX_ID_CHARS
LABEL_CHARS_MAX = 200
TEXT_CHARS_MAX = 10_000
# The SDK cuts comments at 16 KiB; a character is a byte at least.
COMMENT_CHARS_MAX = 16_384
METADATA_BYTES_MAX = 16_384
NUMBER_MAX = 1e15
AHEAD = timedelta(days=1)
YEAR_MIN, YEAR_MAX = 1970, 2200
# As spans keep sessions and users: what is longer is cut there, and must be cut alike here to meet them.
INDEXED_BYTES = 1024
SOURCES: dict[str, Source] = {
    "end_user": Source.END_USER,
    "reviewer": Source.REVIEWER,
    "model": Source.MODEL,
    "code": Source.CODE,
    "api": Source.API,
}
FIELDS = frozenset({
    "name", "value", "trace_id", "span_id", "session_id", "request_id", "comment", "user_id", "source", "happened_at",
    "client_id", "id", "metadata",
})  # fmt: skip
_ORDER = (
    "name", "value", "trace_id", "span_id", "session_id", "request_id", "comment", "user_id", "source", "happened_at",
    "client_id", "metadata",
)  # fmt: skip
_TEXT_KINDS = frozenset({Kind.CORRECTION, Kind.TEXT})


@dataclass(slots=True)
class NewSignal:
    """A signal as it was told. `trace_id` is None for a trace named by its sender's own id: `request_id` holds that."""

    key: UUID
    client_id: str | None
    target: Target
    trace_id: UUID | None
    span_id: int | None
    session_id: str | None
    request_id: str | None
    name: str
    kind: Kind
    number: float | None
    truth: bool | None
    label: str | None
    text: str | None
    vote: int | None
    comment: str | None
    source: Source
    author: str | None
    happened_at: datetime
    is_dated: bool
    metadata: dict[str, Any] | None


def read_item(item: Any, now: datetime, names: Names) -> NewSignal:
    """One object of a request; ItemRefused naming every field that is wrong."""
    if not isinstance(item, dict):
        raise ItemRefused(Fault("item", "is no object", "an object with name and a target"))
    faults: list[Fault] = []
    if not item.keys() <= FIELDS:
        unknown = [key for key in item if key not in FIELDS][:10]
        accepted = f"one of {', '.join(_ORDER)}"
        faults += [Fault(clean_text(str(key))[:80] or '""', "unknown field", accepted) for key in unknown]

    def read(reader: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return reader(*arguments)
        except ItemRefused as refused:
            faults.extend(refused.faults)
            return None

    get = item.get
    name = read(_name, get("name"))
    meaning = names.meaning(name or "")
    value = read(_value, get("value"), meaning.kind)
    client_id = read(_client_id, item)
    target = read(_target, get)
    session = read(_indexed, "session_id", get("session_id"))
    author = read(_indexed, "user_id", get("user_id"))
    comment = read(_text, "comment", get("comment"), COMMENT_CHARS_MAX)
    source = read(_source, get("source"))
    at = read(_moment, get("happened_at"), now)
    metadata = read(_metadata, get("metadata")) if get("metadata") is not None else None
    if target is not None and not (target[3] or session):
        faults.append(Fault("trace_id", "or session_id or request_id is required", "what the signal is about"))
    if not faults and value == _NOTHING and meaning.kind is Kind.OTHER and not comment:
        limit = "a number, true or false, or text; a name such as thumbs_up says enough alone"
        faults.append(Fault("value", "is required with this name", limit, name))
    if faults:
        raise ItemRefused(*faults)
    number, truth, label, text = value
    trace_id, span_id, request_id, told = target
    kind = kind_for(meaning.kind, source)
    if span_id is not None:
        about = Target.SPAN
    elif told == "trace_id":
        about = Target.TRACE
    else:
        about = Target.REQUEST if request_id else Target.SESSION
    if client_id is not None:
        key = key_of_client_id(client_id)
    else:
        whole = (int(about), trace_id.hex if trace_id else None, str(span_id) if span_id else None, session, request_id)
        said = next((one for one in value if one is not None), comment)
        key = key_of_signal(whole, kind, plain_name(name), author, at, said)
    return NewSignal(
        key=key,
        client_id=client_id,
        target=about,
        trace_id=trace_id,
        span_id=span_id,
        session_id=session,
        request_id=request_id,
        name=name,
        kind=kind,
        number=number,
        truth=truth,
        label=label,
        text=text,
        vote=vote_of(meaning, number, truth, label) if kind is Kind.THUMB else None,
        comment=comment,
        source=source,
        author=author,
        happened_at=at or now,
        is_dated=at is not None,
        metadata=metadata,
    )


def shown(value: Any) -> Any:
    """A value as far as an error may repeat it."""
    return value if isinstance(value, str | bool | int | float) else None


def _text(field: str, raw: Any, limit: int) -> str | None:
    """Clean text; None where it is absent or empty."""
    if raw is None:
        return None
    if not isinstance(raw, str):
        raise ItemRefused(Fault(field, "is no text", "a string", shown(raw)))
    text = clean_text(raw).strip()
    if len(text) > limit:
        raise ItemRefused(Fault(field, "is too long", f"{limit} characters", f"{len(text)} characters"))
    return text or None


def _indexed(field: str, raw: Any) -> str | None:
    text = _text(field, raw, INDEXED_BYTES)
    return None if text is None else cut_text(text, INDEXED_BYTES)


def _name(raw: Any) -> str:
    name = _text("name", raw, NAME_CHARS_MAX)
    if name is None:
        raise ItemRefused(Fault("name", "is required", f"1 to {NAME_CHARS_MAX} characters, such as thumbs_up"))
    if not name.isprintable() and any(c.isspace() or ord(c) < 32 for c in name if c != " "):
        raise ItemRefused(Fault("name", "has characters that no name has", "one line of text", name))
    return name


def _client_id(item: dict[str, Any]) -> str | None:
    client_id = _text("client_id", item.get("client_id"), CLIENT_ID_CHARS_MAX)
    other = _text("id", item.get("id"), CLIENT_ID_CHARS_MAX)
    if client_id is not None and other is not None and client_id != other:
        raise ItemRefused(Fault("id", "says something else than client_id", "one of the two", other))
    return client_id or other


# (number, truth, label, text) of a signal that its name alone tells.
_NOTHING: tuple[float | None, bool | None, str | None, str | None] = (None, None, None, None)


def _value(value: Any, kind: Kind) -> tuple[float | None, bool | None, str | None, str | None]:
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return None, value, None, None
    if isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) > NUMBER_MAX:
            limit = f"a finite number from -{NUMBER_MAX:g} to {NUMBER_MAX:g}"
            raise ItemRefused(Fault("value", "is out of range", limit, shown(value)))
        return float(value), None, None, None
    if not isinstance(value, str):
        raise ItemRefused(Fault("value", "is no number, truth or text", "a number, true or false, or a string"))
    text = _text("value", value, TEXT_CHARS_MAX)
    if text is None:
        return _NOTHING
    is_text = kind in _TEXT_KINDS or len(text) > LABEL_CHARS_MAX or "\n" in text
    return (None, None, None, text) if is_text else (None, None, text, None)


def _target(get: Callable[[str], Any]) -> tuple[UUID | None, int | None, str | None, str]:
    """(trace, span, request, the field that decides); the last is "" where a session alone may."""
    trace = _text("trace_id", get("trace_id"), ID_CHARS_MAX)
    span = _text("span_id", get("span_id"), ID_CHARS_MAX)
    request = _text("request_id", get("request_id"), ID_CHARS_MAX)
    if trace is None:
        if span is not None:
            raise ItemRefused(Fault("span_id", "needs the trace it is in", "trace_id with span_id", span))
        return None, None, request, "request_id" if request else ""
    ids = find_trace_ids(trace)
    if not ids:
        raise ItemRefused(Fault("trace_id", "is no trace's id", "32 hex digits or a UUID, not all zero", trace))
    span_id = None
    if span is not None:
        try:
            span_id = span_id_from(span, "otlp" if len(ids) == 1 else "native")[0]
        except BadId:
            raise ItemRefused(Fault("span_id", "is no span's id", "16 hex digits, not all zero", span)) from None
    if len(ids) == 1:
        return ids[0], span_id, request, "trace_id"
    # Its sender's own id of the trace: found by it, like a request.
    return None, span_id, trace, "trace_id"


def _source(raw: Any) -> Source:
    if raw is None:
        return Source.END_USER
    found = SOURCES.get(raw) if isinstance(raw, str) else None
    if found is None:
        raise ItemRefused(Fault("source", "is not accepted", f"one of {', '.join(SOURCES)}", shown(raw)))
    return found


def _moment(raw: Any, now: datetime) -> datetime | None:
    if raw is None:
        return None
    limit = f"ISO 8601, years {YEAR_MIN} to {YEAR_MAX}, such as 2026-11-19T10:41:07Z"
    try:
        at = datetime.fromisoformat(raw)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if not YEAR_MIN <= at.year <= YEAR_MAX:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ItemRefused(Fault("happened_at", "is no time", limit, shown(raw))) from None
    if at > now + AHEAD:
        latest = f"at most {(now + AHEAD).isoformat(timespec='seconds')}"
        raise ItemRefused(Fault("happened_at", "lies in the future", latest, raw))
    return at


def _metadata(raw: Any) -> dict[str, Any] | None:
    if not isinstance(raw, dict):
        raise ItemRefused(Fault("metadata", "is no object", "an object", shown(raw)))
    cleaned: dict[str, Any] = clean_value(raw)
    size = len(orjson.dumps(cleaned))
    if size > METADATA_BYTES_MAX:
        raise ItemRefused(Fault("metadata", "is too large", f"{METADATA_BYTES_MAX} bytes", f"{size} bytes"))
    return cleaned or None
