"""What of a trace is looked for: the texts of its row, its spans, their bodies and log events, up to a limit.

Every text is taken once, however often the trace repeats it, so a long conversation counts its words and not its turns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from traces.search.words import terms_of

# Of one trace, in characters of different texts, and in terms. Beyond, the document says that it is cut.
TEXT_CHARS_MAX = 256 * 1024
TERMS_MAX = 20_000
DEPTH_MAX = 64
# Keys whose values say how a message is built, not what it says.
STRUCTURE = frozenset(
    {
        "role", "type", "object", "mime_type", "mimetype", "media_type", "finish_reason", "stop_reason", "encoding",
        "detail", "index", "b64_json", "image_url", "inline_data", "$schema", "additionalproperties",
    }
)  # fmt: skip
_COUNTED = re.compile(r"usage|token", re.IGNORECASE)
_ENCODED = re.compile(r"[A-Za-z0-9+/=_\s-]*\Z")
_ENCODED_FROM = 1024
# About 20 KB each.
_kept_terms = lru_cache(maxsize=256)(lambda text: frozenset(terms_of(text)))
# Texts as long as a system prompt or a passage come again in other traces.
_KEPT_CHARS = range(80, 8_000)


@dataclass(slots=True)
class Document:
    """The texts of one trace while they are gathered: as terms, or where `keeps_texts` as they are."""

    keeps_texts: bool = False
    is_cut: bool = False
    chars: int = 0
    terms: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def add(self, *texts: str | None) -> None:
        """Take texts in, each once."""
        for text in texts:
            if not text or text in self._seen:
                continue
            if self.chars >= TEXT_CHARS_MAX or len(self.terms) >= TERMS_MAX:
                self.is_cut = True
                return
            if is_encoded(text):
                continue
            self._seen.add(text)
            room = TEXT_CHARS_MAX - self.chars
            if len(text) > room:
                text, self.is_cut = text[:room], True
            self.chars += len(text)
            if self.keeps_texts:
                self.texts.append(text)
            else:
                self.terms |= _kept_terms(text) if len(text) in _KEPT_CHARS else terms_of(text)
                if len(self.terms) > TERMS_MAX:
                    self.terms = set(sorted(self.terms)[:TERMS_MAX])
                    self.is_cut = True

    def add_value(self, value: Any) -> None:
        """Take in every text within a value of JSON, texts that are JSON themselves decoded."""
        waiting: list[tuple[Any, int]] = [(value, DEPTH_MAX)]
        while waiting:
            held, depth = waiting.pop()
            if isinstance(held, str):
                inner = _decoded(held) if depth else None
                if inner is None:
                    self.add(held)
                else:
                    waiting.append((inner, depth - 1))
            elif isinstance(held, bool) or held is None or isinstance(held, float):
                continue
            elif isinstance(held, int):
                self.add(str(held))
            elif depth and isinstance(held, Mapping):
                waiting += [(item, depth - 1) for key, item in reversed(list(held.items())) if _is_told(key, item)]
            elif depth and isinstance(held, list | tuple):
                waiting += [(item, depth - 1) for item in reversed(held)]

    def add_body(self, body: Mapping[str, Any]) -> None:
        """Take in what was sent with a span: attributes as sent, events, the error, ids of other shapes."""
        self.add(body.get("error_message"), body.get("foreign_span_id"), body.get("foreign_parent_id"))
        self.add_value(body.get("raw"))
        for event in _list(body.get("events")):
            if isinstance(event, Mapping):
                self.add_value([event.get("name"), event.get("attributes")])
        self.add(body.get("error_stack"))

    def add_all(self, values: Iterable[Any]) -> None:
        """Take in texts, lists of texts and maps, as columns have them."""
        for value in values:
            if isinstance(value, str):
                self.add(value)
            elif value:
                self.add_value(value)


def is_encoded(text: str) -> bool:
    """Whether a text is a file in letters (base64, a data address) rather than words."""
    if len(text) < _ENCODED_FROM:
        return False
    start = text[:_ENCODED_FROM]
    if start.startswith("data:"):
        start = start.partition(",")[2]
    return start.isascii() and " " not in start and _ENCODED.match(start) is not None


def _decoded(text: str) -> Any:
    """The list or map that a text is; None where it is plain text."""
    if len(text) < 2 or text[0] not in "[{":
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _is_told(key: Any, value: Any) -> bool:
    """Whether people look for the value of this key."""
    is_structure, is_count = _kind_of(str(key))
    if is_structure:
        return False
    return not (is_count and isinstance(value, int | float | str) and len(str(value)) < 20)


@lru_cache(maxsize=8192)
def _kind_of(key: str) -> tuple[bool, bool]:
    """Whether a key tells of structure, and whether of a count."""
    return key.rsplit(".", 1)[-1].lower() in STRUCTURE, _COUNTED.search(key) is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
