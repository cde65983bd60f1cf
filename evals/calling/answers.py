"""Reading what a provider answered: its text, tokens and why it ended. What is missing stays unknown."""

from __future__ import annotations

import json
from typing import Any

import orjson

from evals.calling.kinds import Called, CallFailed, Endpoint, price_of
from evals.judges.fencing import clean

TEXT_CHARS_MAX = 1_000_000
NAME_CHARS_MAX = 200
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
    return _called(endpoint, text, given, made, cached, reason, told.get("model"), duration_ms, form)


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
    return _called(endpoint, text, given, made, read, reason, told.get("model"), duration_ms, form)


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
