"""Values that some clients put where they must be looked for: inside JSON, in events, in other units."""

from __future__ import annotations

import math
import re
from typing import Any

from traces.canonical.keys import Slot, behind_prefix
from traces.canonical.moments import within_a_day
from traces.canonical.text import clean_text, cut_text, decode_map, decode_small
from traces.canonical.types import Vocabulary

MAX_PARAMETER_CHARS = 65_536  # parameters with long tool schemas inside are not worth reading for a model's name
MAX_SEARCH_CHARS = 65_536
MAX_TAG_BYTES = 200

# First answers of a stream, by event name.
FIRST_CHUNK_EVENTS = frozenset({
    "First Token Stream Event", "gen_ai.content.completion.chunk", "mlflow.chunk.item.0", "new_token",
    "gen_ai.first_token",
})  # fmt: skip

_ID_FIRST = re.compile(r'\s*\{\s*"id"\s*:\s*"([^"\\]{1,256})"')
# LangChain keeps the provider's answer inside its own; only ids of a provider's shape are taken from there.
_ID_INSIDE = re.compile(r'(?<!\\)"id"\s*:\s*"((?:chatcmpl|resp|msg|gen)[-_][^"\\]{1,200})"')
# Not preceded by a backslash: a reason quoted inside a message's text is not the call's.
_FINISH = re.compile(r'(?<!\\)"(?:finish_reason|stop_reason)"\s*:\s*"([^"\\]{1,64})"')
_OUTPUT_KEYS = ("gen_ai.output.messages", "mlflow.spanOutputs", "output.value")


def find_model(parameters: Any, raw: dict[str, Any], vocabulary: Vocabulary) -> str | None:
    """The model that was asked for, out of the parameters (OpenInference) or inputs (MLflow) of a call."""
    sources = (parameters, raw.get("mlflow.spanInputs") if vocabulary is Vocabulary.MLFLOW else None)
    for source in sources:
        if isinstance(source, str) and len(source) > MAX_PARAMETER_CHARS:
            continue
        found = decode_map(source) if source is not None else None
        if found is not None:
            for key in ("model", "model_name", "model_id"):
                name = found.get(key)
                if isinstance(name, str) and name:
                    return cut_text(clean_text(name), 1024)
    return None


def find_response_id(raw: dict[str, Any]) -> str | None:
    """The provider's id where an answer is kept whole as JSON that begins with it."""
    for key in ("output.value", "mlflow.spanOutputs"):
        text = raw.get(key)
        if type(text) is str:
            matched = _ID_FIRST.match(text)
            if matched is None and text.startswith('{"generations"'):
                matched = _ID_INSIDE.search(text, 0, MAX_SEARCH_CHARS)
            if matched:
                return clean_text(matched.group(1))
    return None


def find_finish_reason(raw: dict[str, Any]) -> str | None:
    """Why generation ended, out of the answer's own JSON."""
    for key in _OUTPUT_KEYS:
        text = raw.get(key)
        if type(text) is str and text[:1] in ("{", "["):
            matched = _FINISH.search(text, 0, MAX_SEARCH_CHARS)
            if matched:
                return clean_text(matched.group(1))
    return None


def first_chunk_ns(events: list[dict[str, Any]], start_ns: int) -> int | None:
    """Nanoseconds from the start to the first event that tells of an answer's first piece."""
    if not start_ns:
        return None
    for event in events:
        if event["name"] in FIRST_CHUNK_EVENTS:
            return within_a_day(event["at_ns"] - start_ns)
    return None


def to_seconds_ns(value: Any) -> int | None:
    """Seconds, as a number or its text, in nanoseconds; None where they are no time within a day."""
    if value is None or isinstance(value, bool):
        return None
    try:
        nanoseconds = float(value) * 1e9  # may become infinite
    except (TypeError, ValueError, OverflowError):
        return None
    return within_a_day(round(nanoseconds)) if math.isfinite(nanoseconds) else None


def to_streamed(value: Any) -> bool | None:
    """Whether a call was streamed: true, "True", "true" and their opposites; None for anything else."""
    if value is None or isinstance(value, bool):
        return value
    text = str(decode_small(value)).lower() if isinstance(value, str) else ""
    return True if text == "true" else False if text == "false" else None


def gather_tags(
    tags: list[str] | None, key: str, value: Any, slot: int, vocabulary: Vocabulary, limit: int
) -> list[str] | None:
    """`tags` with those of one attribute added: a list, its JSON, LangSmith's comma text, or MLflow's tag by tag."""
    found: list[Any]
    if slot == Slot.TAG:
        name = behind_prefix(key, Slot.TAG)
        if name.startswith("mlflow."):
            return tags
        found = [f"{name}:{decode_small(value)}"]
    else:
        told = decode_small(value)
        if isinstance(told, str):
            told = told.split(",") if vocabulary is Vocabulary.LANGSMITH else [told]
        found = told if isinstance(told, list) else []
    kept = tags if tags is not None else []
    for tag in found[: limit * 2]:
        text = cut_text(clean_text(str(tag)).strip(), MAX_TAG_BYTES) if isinstance(tag, str | int | float) else ""
        if text and text not in kept and len(kept) < limit:
            kept.append(text)
    return kept or None
