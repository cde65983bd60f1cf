"""Text at the door: what PostgreSQL would refuse is replaced, what is too long is cut, JSON is read safely."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any

import orjson

REPLACEMENT = "\ufffd"
MAX_LITERAL_CHARS = 65_536  # Python repr in attributes (LangSmith, LiteLLM) is read up to this size
MAX_SMALL_CHARS = 262_144  # maps and short values that columns are read from; messages may be longer
MAX_DEPTH = 64
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_INT = 2**64 - 1
_MIN_INT = -(2**63)


def clean_text(text: str) -> str:
    """`text` as PostgreSQL and UTF-8 can hold it: U+0000 and lone surrogates become U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Surrogates that form a pair are one character; what is left alone is replaced.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        text = _SURROGATE.sub(REPLACEMENT, text)
    return text


def cut_text(text: str, limit: int) -> str:
    """`text` cut to at most `limit` bytes of UTF-8, at a character boundary."""
    if len(text) * 4 <= limit:
        return text
    data = text.encode()
    return text if len(data) <= limit else data[:limit].decode("utf-8", "ignore")


def clean_value(value: Any, depth: int = MAX_DEPTH) -> Any:
    """`value` as jsonb can hold it: text cleaned; numbers that are none, and what lies deeper than `depth`, as text."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if _MIN_INT <= value <= _MAX_INT else int_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else float_text(value)
    if isinstance(value, dict):
        if depth <= 0:
            return deep_text(value)
        return {clean_text(str(key)): clean_value(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        if depth <= 0:
            return deep_text(value)
        return [clean_value(item, depth - 1) for item in value]
    return clean_text(str(value))


def float_text(value: float) -> str:
    """How a number that JSON cannot hold is kept: "NaN", "Infinity", "-Infinity"."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def int_text(value: int) -> str:
    """An integer over 64 bits as text. Beyond 4,300 digits Python refuses the decimal form, so the size stands in."""
    bits = value.bit_length()
    return str(value) if bits <= 4096 else f"integer of {bits} bits"


def deep_text(value: Any) -> str:
    """The text that stands in for what is nested deeper than the limit."""
    try:
        return clean_text(orjson.dumps(value, default=str).decode())
    except (TypeError, ValueError, RecursionError):
        return "[nested too deeply]"


def parse_json(text: str) -> Any:
    """The value of a JSON text with everything in it cleaned, or None where it is none (or is `null`).

    What is nested deeper than 64 levels becomes text, so that whoever walks the value may do so by recursion.
    """
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError):
        try:
            value = json.loads(text, parse_int=parse_int, parse_constant=str)
        except (ValueError, RecursionError):
            return None
        return clean_value(value)
    if "\\u0000" in text or "\x00" in text or is_deep(value):
        return clean_value(value)
    return value


def is_deep(value: Any) -> bool:
    """Whether a value is nested deeper than `MAX_DEPTH`; level by level, so that no depth can hurt."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += [child for child in item.values() if isinstance(child, dict | list)]
            elif isinstance(item, list):
                inner += [child for child in item if isinstance(child, dict | list)]
        if not inner:
            return False
        level = inner
    return True


def parse_int(digits: str) -> int | str:
    """An integer literal of any length; text where Python would refuse it."""
    return int(digits) if len(digits) <= 4000 else digits[:100] + "..."


def decode(value: Any) -> Any:
    """The value inside a text that is JSON (begins with `{`, `[` or `"`, parses), at most two levels; else itself."""
    for _ in range(2):
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"') or not value:
            return value
        inner = parse_json(value)
        if inner is None:
            return value
        value = inner
    return value


def decode_loose(value: Any) -> Any:
    """Like `decode`, and also reads Python's repr of literals (never evaluates), up to a size."""
    if not isinstance(value, str):
        return value
    found = decode(value)
    if found is not value:
        return found
    if value[:1] in ("{", "[", "(") and len(value) <= MAX_LITERAL_CHARS:
        try:
            return clean_value(ast.literal_eval(value))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


def decode_small(value: Any) -> Any:
    """Like `decode_loose` for values that are short where they are honest: megabytes are left as they are."""
    return value if isinstance(value, str) and len(value) > MAX_SMALL_CHARS else decode_loose(value)


def decode_map(value: Any) -> dict[str, Any] | None:
    """The map inside `value` (a map, its JSON, JSON of its JSON, or its Python repr) of no great size, else None."""
    found = decode_small(value)
    return found if isinstance(found, dict) else None
