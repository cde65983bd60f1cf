"""Texts in the JSON of items and results: what was asked, what was answered, which documents were there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

QUESTION_NAMES = ("question", "input", "prompt", "query", "text", "content", "message")
ANSWER_NAMES = ("answer", "output", "text", "content", "expected", "label", "response", "completion", "value")
DOCUMENT_NAMES = ("documents", "contexts", "context", "sources", "retrieved")
ROLE_NAMES = frozenset({"system", "developer", "user", "assistant", "tool"})


def text_of(value: Any, names: tuple[str, ...] = ANSWER_NAMES) -> str:
    """A value as text: itself, the first of `names` an object has, a message's content, else its JSON. "" for None."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        for name in names:
            if value.get(name) is not None:
                return text_of(value[name], names)
    if isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
        if "role" in value[-1]:
            return text_of(value[-1], names)
        if all(part.get("type") == "text" for part in value):
            return "\n".join(text_of(part, ("text", "content")) for part in value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def question_of(value: Any) -> str:
    """What an item asks: its question, or the last words of the user in its messages."""
    messages = messages_in(value)
    for message in reversed(messages):
        if message["role"] == "user":
            return message["content"]
    return text_of(value, QUESTION_NAMES)


def messages_in(value: Any) -> list[dict[str, str]]:
    """The messages that an item holds, as role and text; none where it holds no list of messages."""
    found = value.get("messages") if isinstance(value, Mapping) else value
    if not isinstance(found, list) or not found:
        return []
    if not all(isinstance(one, Mapping) and one.get("role") in ROLE_NAMES for one in found):
        return []
    return [{"role": str(one["role"]), "content": text_of(one.get("content"), ("text", "content"))} for one in found]


def documents_in(value: Any) -> list[dict[str, Any]]:
    """The documents that an item or a result brings, as `id`, `text` and `score`, in their order."""
    if not isinstance(value, Mapping):
        return []
    found = next((value[name] for name in DOCUMENT_NAMES if value.get(name)), None)
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list):
        return []
    documents = []
    for place, one in enumerate(found, 1):
        if isinstance(one, Mapping):
            score = one.get("score")
            is_number = isinstance(score, int | float) and not isinstance(score, bool)
            documents.append({
                "id": str(one.get("id") or place),
                "text": text_of(one, ("text", "content", "page_content")),
                "score": float(score) if is_number else None,  # type: ignore[arg-type]
            })  # fmt: skip
        else:
            documents.append({"id": str(place), "text": text_of(one), "score": None})
    return documents
