"""Reading what a provider answered: its text, tokens and why it ended. What is missing stays unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson

from evals.calling.kinds import Called, CallFailed, Embedded, Endpoint, ToolCall, price_of
from evals.judges.fencing import clean

TEXT_CHARS_MAX = 1_000_000
NAME_CHARS_MAX = 200
# More calls of tools, and longer arguments, than any answer to a probe has.
TOOLS_MAX = 20
ARGUMENTS_CHARS_MAX = 20_000
DIMENSIONS_MAX = 16_384
# More tokens than any model takes: a figure above is nonsense, and no price comes of it.
TOKENS_MAX = 100_000_000
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
}


def read_openai(endpoint: Endpoint, body: bytes, duration_ms: float, form: str) -> Called:
    """A chat completion. An answer without choices is no answer; one with a refusal ends with "refusal"."""
    told = _object(body)
    choices = told.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise CallFailed("server", "The provider's answer is no chat completion.", status=200)
    refusal = message.get("refusal")
    text = _openai_text(message.get("content"))
    reason = _reason(first.get("finish_reason"))
    if isinstance(refusal, str) and refusal.strip():
        text, reason = refusal, "refusal"
    usage = told.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = _tokens(details.get("cached_tokens")) if isinstance(details, dict) else None
    given, made = _tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens"))
    called = _called(endpoint, text, given, made, cached, reason, told.get("model"), duration_ms, form)
    mark = told.get("system_fingerprint")
    fingerprint = clean(mark)[:NAME_CHARS_MAX] if isinstance(mark, str) else ""
    return replace(called, tools=_openai_tools(message.get("tool_calls")), fingerprint=fingerprint)


def _openai_tools(raw: object) -> tuple[ToolCall, ...]:
    found = []
    for each in raw[:TOOLS_MAX] if isinstance(raw, list) else ():
        asked = each.get("function") if isinstance(each, dict) else None
        if isinstance(asked, dict) and isinstance(asked.get("name"), str):
            arguments = asked.get("arguments")
            found.append(_tool(asked["name"], arguments if isinstance(arguments, str) else _text_of(arguments)))
    return tuple(found)


def _tool(name: str, arguments: str) -> ToolCall:
    return ToolCall(clean(name)[:NAME_CHARS_MAX], clean(arguments)[:ARGUMENTS_CHARS_MAX])


def _text_of(arguments: object) -> str:
    return "" if arguments is None else json.dumps(arguments, ensure_ascii=False)


def _openai_text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # some servers answer in parts
        return "".join(part["text"] for part in content if _is_text(part))
    return ""


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") in ("text", "output_text") and isinstance(part.get("text"), str)


def read_anthropic(endpoint: Endpoint, body: bytes, duration_ms: float, form: str) -> Called:
    """A message. Input tokens are all of them, those read from and written to the cache included."""
    told = _object(body)
    content = told.get("content")
    if not isinstance(content, list):
        raise CallFailed("server", "The provider's answer is no message.", status=200)
    text = "".join(part["text"] for part in content if _is_text(part))
    usage = told.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    plain, read = _tokens(usage.get("input_tokens")), _tokens(usage.get("cache_read_input_tokens"))
    written = _tokens(usage.get("cache_creation_input_tokens"))
    given = None if plain is None else plain + (read or 0) + (written or 0)
    made = _tokens(usage.get("output_tokens"))
    reason = _reason(told.get("stop_reason"))
    called = _called(endpoint, text, given, made, read, reason, told.get("model"), duration_ms, form)
    tools = [part for part in content if isinstance(part, dict) and part.get("type") == "tool_use"][:TOOLS_MAX]
    named = [part for part in tools if isinstance(part.get("name"), str)]
    return replace(called, tools=tuple(_tool(part["name"], _text_of(part.get("input"))) for part in named))


def read_embeddings(endpoint: Endpoint, body: bytes, wanted: int, duration_ms: float) -> Embedded:
    """Vectors of `wanted` texts, in their order. An answer that lacks one, or mixes lengths, is no answer."""
    told = _object(body)
    data = told.get("data")
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    places = [row.get("index", at) for at, row in enumerate(rows)]
    if sorted(place for place in places if type(place) is int) != list(range(wanted)) or len(rows) != wanted:
        raise CallFailed("server", f"The provider's answer does not hold {wanted} vectors.", status=200)
    vectors = [_vector(row.get("embedding")) for _, row in sorted(zip(places, rows, strict=True), key=lambda it: it[0])]
    if len({len(vector) for vector in vectors}) > 1:
        raise CallFailed("server", "The provider's vectors are of different lengths.", status=200)
    usage = told.get("usage")
    given = _tokens(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
    name = told.get("model")
    model = clean(name)[:NAME_CHARS_MAX] if isinstance(name, str) and name else endpoint.model
    return Embedded(tuple(vectors), given, model, duration_ms, price_of(endpoint, given, 0))


def _vector(raw: object) -> tuple[float, ...]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= DIMENSIONS_MAX:
        raise CallFailed("server", f"The provider's answer holds no vectors of 1 to {DIMENSIONS_MAX:,}.", status=200)
    if not all(type(each) in (int, float) and abs(each) < 1e30 for each in raw):
        raise CallFailed("server", "The provider's vectors hold what is no number.", status=200)
    vector = tuple(float(each) for each in raw)
    if not any(vector):
        raise CallFailed("server", "One of the provider's vectors is all zeros: it has no direction.", status=200)
    return vector


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = _less_strict(body)
    if not isinstance(told, dict):
        raise CallFailed("server", "The provider's answer is no JSON.", status=200)
    return told


def _less_strict(body: bytes) -> object:
    """JSON with halves of characters in its texts, as models that are cut off within an emoji write it."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _tokens(raw: object) -> int | None:
    return raw if type(raw) is int and 0 <= raw <= TOKENS_MAX else None


def _reason(raw: object) -> str:
    if not isinstance(raw, str):
        return ""
    reason = clean(raw)[:40].lower()
    return _REASONS.get(reason, reason)


def _called(
    endpoint: Endpoint,
    text: str,
    given: int | None,
    made: int | None,
    cached: int | None,
    reason: str,
    model: object,
    duration_ms: float,
    form: str,
) -> Called:
    name = clean(model)[:NAME_CHARS_MAX] if isinstance(model, str) and model else endpoint.model
    cost = price_of(endpoint, given, made)
    return Called(clean(text)[:TEXT_CHARS_MAX], given, made, cached, reason, name, duration_ms, 200, cost, form)
