"""The few words of a span that lists may show: at most 200 characters of its input and of its output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from traces.canonical.log_content import join_logs
from traces.canonical.messages import Message, from_flat, read_messages
from traces.canonical.text import clean_text, decode, decode_loose
from traces.canonical.types import CanonicalSpan, Kind

PREVIEW_CHARS = 200
# A text longer than this is not parsed for its preview: the first words must not cost a megabyte of JSON.
MAX_PARSED_CHARS = 262_144

_IN_MESSAGES = ("langfuse.observation.input", "mlflow.spanInputs", "gen_ai.input.messages", "gen_ai.prompt")
_OUT_MESSAGES = ("langfuse.observation.output", "mlflow.spanOutputs", "gen_ai.output.messages", "gen_ai.completion")
_IN_TEXT = (
    "telltale.input", "langfuse.observation.input", "mlflow.spanInputs", "input.value", "traceloop.entity.input",
    "gen_ai.tool.call.arguments", "gen_ai.tool.args", "tool_arguments", "gen_ai.retrieval.query.text",
    "langfuse.trace.input", "request_data", "input",
)  # fmt: skip
_OUT_TEXT = (
    "telltale.output", "langfuse.observation.output", "mlflow.spanOutputs", "output.value", "traceloop.entity.output",
    "final_result", "gen_ai.tool.call.result", "tool_response", "langfuse.trace.output", "response_data", "output",
)  # fmt: skip

# Logfire's record of a call: these parts of it were said, the rest are parameters.
_SAID = {
    "request_data": ("messages", "input", "prompt", "query"),
    "response_data": ("message", "combined_chunk_content", "text", "content", "output"),
}


def previews(span: CanonicalSpan) -> tuple[str | None, str | None]:
    """The last words of the user going in and of the model coming out of a span; None where it has none itself."""
    raw = span.body.get("raw") or {}
    preview_in = preview_out = None
    is_chat = span.kind in (Kind.GENERATION, Kind.AGENT)
    if span.has_input:
        preview_in = _last_words(raw, _IN_MESSAGES, "llm.input_messages.", "gen_ai.prompt.", "user", is_chat)
        preview_in = preview_in or _words(raw, _IN_TEXT)
        if preview_in is None and is_chat:
            preview_in = _last_words(raw, ("pydantic_ai.all_messages",), None, None, "user", is_chat)
    if span.has_output:
        preview_out = _last_words(
            raw, _OUT_MESSAGES, "llm.output_messages.", "gen_ai.completion.", "assistant", is_chat
        )
        preview_out = preview_out or _words(raw, _OUT_TEXT)
    if (preview_in is None or preview_out is None) and "events" in span.body:
        events = [
            {
                "event_name": event["name"], "body": event.get("attributes") or {},
                "attributes": event.get("attributes") or {}, "at": event["at_ns"], "ordinal": at,
            }
            for at, event in enumerate(span.body["events"])
            if event["name"].startswith("gen_ai.")
        ]  # fmt: skip
        if events:
            first, last = log_previews(events)
            preview_in, preview_out = preview_in or first, preview_out or last
    return preview_in, preview_out


def log_previews(events: Sequence[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """The same from the log events of a span: {"event_name", "body", "attributes", "at", "ordinal"}."""
    content = join_logs(events)
    return _last_of(content.input_messages, "user"), _last_of(content.output_messages, "assistant")


def shorten(text: str) -> str | None:
    """At most 200 characters, white space run together, None for what is blank."""
    text = " ".join(clean_text(text[: PREVIEW_CHARS * 8]).split())
    if not text:
        return None
    return text if len(text) <= PREVIEW_CHARS else text[: PREVIEW_CHARS - 1].rstrip() + "…"


def _last_words(
    raw: Mapping[str, Any], keys: tuple[str, ...], flat: str | None, older: str | None, role: str, is_chat: bool
) -> str | None:
    for key in keys:
        value = raw.get(key)
        if not value or (isinstance(value, str) and len(value) > MAX_PARSED_CHARS):
            continue
        decoded = decode_loose(value)
        if not is_chat and not key.startswith("gen_ai.") and not isinstance(decoded, list):
            continue
        found = _last_of(read_messages(decoded, role), role)
        if found is not None:
            return found
    for prefix in (flat, older):
        if prefix is not None and is_chat:
            found = _last_of(from_flat(raw, prefix, role), role)
            if found is not None:
                return found
    return None


def _last_of(messages: Sequence[Message], role: str) -> str | None:
    """The last text of this role; else the last text of any; else the name of the last tool asked for."""
    for message in reversed(messages):
        if message.role == role:
            found = shorten(message.text())
            if found is not None:
                return found
    for message in reversed(messages):
        found = shorten(message.text())
        if found is not None and (role == "assistant" or message.role != "system"):
            return found
    for message in reversed(messages):
        for part in message.parts:
            if part.type == "tool_call" and part.name and role == "assistant":
                return shorten(f"{part.name}({part.arguments if part.arguments is not None else ''})")
    return None


def _words(raw: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = raw.get(key)
        if value is None or value == "" or value == "null":
            continue
        found = _said(value, _SAID[key]) if key in _SAID else shorten(_readable(value))
        if found is not None:
            return found
    return None


def _said(value: Any, parts: tuple[str, ...]) -> str | None:
    """The words in the record of a call, None where it holds parameters alone."""
    data = decode_loose(value) if isinstance(value, str) and len(value) <= MAX_PARSED_CHARS else value
    if not isinstance(data, Mapping):
        return shorten(_readable(value))
    role = "user" if "messages" in parts else "assistant"
    for part in parts:
        told = data.get(part)
        if isinstance(told, Mapping):
            told = [told]
        found = shorten(told) if isinstance(told, str) else None
        if isinstance(told, list):
            texts = [item for item in told if isinstance(item, str)]
            found = shorten(texts[0]) if texts else _last_of(read_messages(told, role), role)
        if found is not None:
            return found
    return None


def _readable(value: Any) -> str:
    """A value as somebody reads it: quotes and escapes off, of a decorated call's arguments the first text."""
    if isinstance(value, str):
        if value[0] not in '"{[' or len(value) > MAX_PARSED_CHARS:
            return value
        value = decode(value)
    if isinstance(value, Mapping) and value.keys() <= {"args", "kwargs"}:
        arguments = value.get("args")
        texts = [item for item in arguments if isinstance(item, str)] if isinstance(arguments, list) else []
        if texts:
            return texts[0]
        value = value.get("kwargs") or value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
