"""One span object of the native JSON, translated into attributes the mapping knows."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from traces.canonical.keys import KINDS
from traces.canonical.limits import Limits
from traces.canonical.mapping import Draft
from traces.canonical.moments import parse_iso_ns
from traces.canonical.notes import Notes
from traces.canonical.text import clean_value
from traces.wire.ids import span_id_from
from traces.wire.values import clean_key, clean_payload, keep_first

VENDOR = "native"
_MAX_UINT64 = 2**64 - 1

# Fields that are one attribute each.
_PLAIN = {
    "model": "gen_ai.request.model",
    "model_answered": "gen_ai.response.model",
    "provider": "gen_ai.provider.name",
    "operation": "gen_ai.operation.name",
    "response_id": "gen_ai.response.id",
    "service_tier": "telltale.service_tier",
    "finish_reason": "gen_ai.response.finish_reasons",
    "streamed": "gen_ai.request.stream",
    "user": "user.id",
    "session": "session.id",
    "feature": "telltale.feature",
    "release": "telltale.release",
    "tags": "telltale.tags",
    "metadata": "telltale.metadata",
    "cost_usd": "telltale.cost_usd",
    "agent": "gen_ai.agent.name",
    "workflow": "gen_ai.workflow.name",
    "system": "gen_ai.system_instructions",
    "tools": "gen_ai.tool.definitions",
    "query": "gen_ai.retrieval.query.text",
    "documents": "gen_ai.retrieval.documents",
    "messages": "gen_ai.input.messages",
}
_USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "total_tokens": "gen_ai.usage.total_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "cache_write_5m_tokens": "gen_ai.usage.cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h_tokens": "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "input_audio_tokens": "gen_ai.usage.audio.input_tokens",
    "output_audio_tokens": "gen_ai.usage.audio.output_tokens",
    "accounting": "telltale.usage.accounting",
}
_PROVIDER_USAGE = frozenset({"prompt_tokens", "completion_tokens", "promptTokenCount", "candidatesTokenCount"})
_TOOL = {
    "name": "gen_ai.tool.name",
    "call_id": "gen_ai.tool.call.id",
    "type": "gen_ai.tool.type",
    "arguments": "gen_ai.tool.call.arguments",
    "result": "gen_ai.tool.call.result",
}
_PROMPT = {
    "name": "telltale.prompt.name",
    "version": "telltale.prompt.version",
    "variables": "telltale.prompt.variables",
}
_STRUCTURE = frozenset({
    "id", "span_id", "trace_id", "parent", "parent_id", "name", "kind", "start", "end", "duration_ms", "input",
    "output", "usage", "error", "status", "tool", "prompt", "ttft_ms", "parameters", "events", "attributes",
    "children", "spans", "environment", "service",
})  # fmt: skip
_ESSENCE = frozenset({"name", "kind", "model", "start", "input", "output", "messages", "tool", "usage", "documents"})
_STATUS = {"unset": 0, "ok": 1, "error": 2}


class NativeError(ValueError):
    """A field that cannot be used."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Parent:
    """The span that others are nested in."""

    span_id: int
    foreign_id: str | None


def draft_span(
    item: Mapping[str, Any],
    trace_id: UUID,
    foreign_trace_id: str | None,
    parent: Parent | None,
    shared: Mapping[str, Any],
    limits: Limits,
) -> tuple[Draft, tuple[tuple[str, str], ...]]:
    """The draft of one span object and the resource fields it tells; NativeError or BadId where it cannot be used."""
    if not _ESSENCE & item.keys():
        raise NativeError("name", "a span needs at least one of " + ", ".join(sorted(_ESSENCE)))
    notes = Notes()
    span_id, foreign_id = _span_id(item.get("id", item.get("span_id")))
    parent_id, foreign_parent = _parent_of(item, parent)
    start_ns = moment_ns(item.get("start"), "start")
    end_ns = _end_ns(item, start_ns)
    attributes = _attributes(item, shared, limits, notes, is_top=parent is None)
    status, message, events = _error(item, attributes, end_ns or start_ns, limits, notes)
    draft = Draft(
        trace_id,
        span_id,
        parent_id,
        clean_payload(_name(item), "name", limits, notes),
        0,
        start_ns,
        end_ns,
        keep_first(attributes, limits, notes, "attributes"),
        notes,
        events=events or None,
        status=status,
        status_message=message,
        foreign_trace_id=foreign_trace_id,
        foreign_span_id=foreign_id,
        foreign_parent_id=foreign_parent,
    )
    merged = {**shared, **item}
    named = (("service", "service.name"), ("environment", "deployment.environment.name"))
    resource = tuple(
        (key, clean_payload(str(merged[name])[:1024], name, limits, notes))
        for name, key in named
        if isinstance(merged.get(name), str | int) and merged[name] != ""
    )
    return draft, resource


def _span_id(told: Any) -> tuple[int, str | None]:
    if told is None or told == "":
        return int.from_bytes(secrets.token_bytes(8), "big", signed=True) or 1, None
    if isinstance(told, bool) or not isinstance(told, str | int):
        raise NativeError("id", f"must be a text, got {type(told).__name__}")
    return span_id_from(str(told), VENDOR)


def _parent_of(item: Mapping[str, Any], parent: Parent | None) -> tuple[int | None, str | None]:
    told = item.get("parent", item.get("parent_id"))
    if told is None or told == "":
        return (None, None) if parent is None else (parent.span_id, parent.foreign_id)
    if isinstance(told, bool) or not isinstance(told, str | int):
        raise NativeError("parent", f"must be the id of a span, got {type(told).__name__}")
    return span_id_from(str(told), VENDOR)


def _name(item: Mapping[str, Any]) -> str:
    for key in ("name", "operation", "model", "kind"):
        told = item.get(key)
        if isinstance(told, str) and told:
            return told
    return "span"


def moment_ns(value: Any, field: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 text or a number, 0 where none was sent.

    A number is seconds below 10**11, milliseconds below 10**14, microseconds below 10**17, else nanoseconds: each
    reading puts the years 1973 to 5138 into its own range. NativeError for anything else.
    """
    if value is None or value == "":
        return 0
    if isinstance(value, str):
        found = parse_iso_ns(value)
        if found is not None and not value.strip().isdigit():
            return min(max(found, 1), _MAX_UINT64)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise NativeError(field, f"must be an ISO 8601 time or a number, got {type(value).__name__}")
    if isinstance(value, int) and value.bit_length() > 200:
        raise NativeError(field, "must be an ISO 8601 time or a number since 1970, got a number of over 60 digits")
    try:
        number = Decimal(str(value)[:64])
    except InvalidOperation:
        raise NativeError(field, f"must be an ISO 8601 time or a number since 1970, got {value!r:.60}") from None
    if not number.is_finite() or number < 0:
        raise NativeError(field, f"must be a time after 1970, got {value!r:.60}")
    for limit, factor in ((11, 10**9), (14, 10**6), (17, 10**3)):
        if number < Decimal(10) ** limit:
            return min(int(number * factor), _MAX_UINT64)
    return int(min(number, Decimal(_MAX_UINT64)))


def _end_ns(item: Mapping[str, Any], start_ns: int) -> int:
    if item.get("end") not in (None, ""):
        return moment_ns(item["end"], "end")
    duration = item.get("duration_ms")
    if duration is None or not start_ns:
        return 0
    if (
        isinstance(duration, bool)
        or not isinstance(duration, int | float)
        or not math.isfinite(duration)
        or duration < 0
    ):
        raise NativeError("duration_ms", f"must be a number of milliseconds, got {duration!r:.60}")
    return min(start_ns + int(Decimal(str(duration)) * 10**6), _MAX_UINT64)


def _attributes(
    item: Mapping[str, Any], shared: Mapping[str, Any], limits: Limits, notes: Notes, *, is_top: bool
) -> dict[str, Any]:
    attributes: dict[str, Any] = {}

    def put(key: str, value: Any) -> None:
        key = clean_key(key, notes)
        if value is not None and value != "":
            is_text = isinstance(value, str)
            attributes[key] = clean_payload(value, key, limits, notes) if is_text else clean_value(value)

    told_attributes = item.get("attributes")
    if isinstance(told_attributes, Mapping):
        for key, value in told_attributes.items():
            put(str(key), value)
    elif told_attributes is not None:
        raise NativeError("attributes", f"must be an object, got {type(told_attributes).__name__}")
    for key, value in item.items():
        if key in _PLAIN:
            put(_PLAIN[key], value)
        elif key not in _STRUCTURE:
            put(str(key), value)
    for key, value in shared.items():
        # Tags and metadata of a trace stand on its topmost spans alone; the rest on each of its spans.
        if key in _PLAIN and _PLAIN[key] not in attributes and (is_top or key not in ("tags", "metadata")):
            put(_PLAIN[key], value)
    kind = item.get("kind")
    if kind is not None:
        if not isinstance(kind, str) or kind.lower() not in KINDS["telltale.kind"]:
            raise NativeError("kind", f"must be one of {', '.join(sorted(KINDS['telltale.kind']))}, got {kind!r:.60}")
        put("telltale.kind", kind.lower())
    elif item.get("model") and item.get("usage") is not None:
        put("telltale.kind", "generation")
    elif item.get("tool") is not None:
        put("telltale.kind", "tool")
    elif item.get("documents") is not None:
        put("telltale.kind", "retriever")
    put(_content_key(item.get("input"), "gen_ai.input.messages", "telltale.input"), item.get("input"))
    put(_content_key(item.get("output"), "gen_ai.output.messages", "telltale.output"), item.get("output"))
    _put_map(put, item, "tool", _TOOL, "name")
    _put_map(put, item, "prompt", _PROMPT, "name")
    _put_usage(put, item.get("usage"))
    parameters = item.get("parameters")
    if isinstance(parameters, Mapping):
        for key, value in parameters.items():
            put(f"gen_ai.request.{key}", value)
    ttft = item.get("ttft_ms")
    if ttft is not None:
        if isinstance(ttft, bool) or not isinstance(ttft, int | float) or not math.isfinite(ttft):
            raise NativeError("ttft_ms", f"must be a number of milliseconds, got {ttft!r:.60}")
        put("telltale.ttft_seconds", float(Decimal(str(ttft)) / 1000))
    return attributes


def _content_key(value: Any, messages: str, plain: str) -> str:
    """Lists of messages, or one message, are a conversation; everything else is an input or output."""
    items = value if isinstance(value, list) else [value]
    is_chat = bool(items) and all(isinstance(item, Mapping) and "role" in item for item in items)
    return messages if is_chat else plain


def _put_map(put: Any, item: Mapping[str, Any], field: str, keys: Mapping[str, str], short: str) -> None:
    told = item.get(field)
    if told is None:
        return
    if isinstance(told, str):
        told = {short: told}
    if not isinstance(told, Mapping):
        raise NativeError(field, f"must be an object or a name, got {type(told).__name__}")
    for key, value in told.items():
        put(keys.get(key, f"{field}.{key}"), value)


def _put_usage(put: Any, usage: Any) -> None:
    if usage is None:
        return
    if not isinstance(usage, Mapping):
        raise NativeError("usage", f"must be an object, got {type(usage).__name__}")
    accounting = usage.get("accounting")
    if accounting not in (None, "inclusive", "exclusive", "additive"):
        raise NativeError("usage.accounting", f"must be inclusive, exclusive or additive, got {accounting!r:.60}")
    if _PROVIDER_USAGE & usage.keys() or any(key.endswith("_details") for key in usage):
        put("gen_ai.usage.raw", dict(usage))  # a provider's own usage object, as its SDK returns it
        return
    for key, value in usage.items():
        put(_USAGE.get(key, f"usage.{key}"), value)


def _error(
    item: Mapping[str, Any], attributes: dict[str, Any], at_ns: int, limits: Limits, notes: Notes
) -> tuple[int, str, list[dict[str, Any]]]:
    """Status, message and events of a span: an `error` is a text, an object {type, message, stack}, or true."""
    told = item.get("error")
    status = item.get("status")
    if status is not None and (not isinstance(status, str) or status.lower() not in _STATUS):
        raise NativeError("status", f"must be ok, error or unset, got {status!r:.60}")
    events = _events(item.get("events"), limits, notes)
    code = _STATUS[status.lower()] if isinstance(status, str) else 0
    if told is None or told is False or told == "":
        return code, "", events
    if told is True:
        return 2, "", events
    error = told if isinstance(told, Mapping) else {"message": told}
    message = clean_payload(str(error.get("message") or ""), "error", limits, notes)
    if error.get("type"):
        attributes["error.type"] = clean_payload(str(error["type"]), "error.type", limits, notes)
    exception = {
        f"exception.{name}": clean_payload(str(error[key]), key, limits, notes)
        for name, key in (("type", "type"), ("message", "message"), ("stacktrace", "stack"))
        if error.get(key)
    }
    events.append({"name": "exception", "at_ns": at_ns, "attributes": exception})
    return 2, message, events


def _events(told: Any, limits: Limits, notes: Notes) -> list[dict[str, Any]]:
    if told is None:
        return []
    if not isinstance(told, list):
        raise NativeError("events", f"must be a list, got {type(told).__name__}")
    events = []
    for item in told[: limits.events]:
        if not isinstance(item, Mapping):
            raise NativeError("events", f"each event must be an object, got {type(item).__name__}")
        attributes = item.get("attributes")
        events.append(
            {
                "name": clean_payload(str(item.get("name") or "event"), "event", limits, notes),
                "at_ns": moment_ns(item.get("at"), "events.at"),
                "attributes": clean_value(dict(attributes)) if isinstance(attributes, Mapping) else {},
            }
        )
    if len(told) > limits.events:
        notes.attributes_cut = True
        notes.note_cut("events", len(told))
    return events
