"""Attribute values of OTLP, protobuf and JSON, as plain Python that jsonb can hold."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any

from traces.canonical.keys import LEARNED
from traces.canonical.limits import Limits
from traces.canonical.notes import Notes
from traces.canonical.text import (
    MAX_DEPTH,
    REPLACEMENT,
    clean_text,
    clean_value,
    cut_text,
    deep_text,
    float_text,
    int_text,
)

MAX_KEY_BYTES = 1024
MAX_VALUES = 65_536  # of one list or map; megabytes of 2-byte values would be millions


def clean_key(key: str, notes: Notes) -> str:
    """An attribute name as it can be stored."""
    cleaned = clean_text(key)
    if cleaned != key:
        notes.repaired = True
    if len(cleaned) > MAX_KEY_BYTES // 4:
        shorter = cut_text(cleaned, MAX_KEY_BYTES)
        if shorter != cleaned:
            notes.note_cut(shorter[:100], len(cleaned.encode()))
        return shorter
    return cleaned


def clean_payload(text: str, key: str, limits: Limits, notes: Notes) -> str:
    """One attribute's text, scrubbed and cut to its limit."""
    if text.isascii() and "\x00" not in text and len(text) <= limits.payload_text_bytes:
        return text
    cleaned = clean_text(text)
    if cleaned != text:
        notes.repaired = True
    if len(cleaned) * 4 > limits.payload_text_bytes:
        size = len(cleaned.encode())
        if size > limits.payload_text_bytes:
            notes.note_cut(key, size)
            cleaned = cut_text(cleaned, limits.payload_text_bytes)
    return cleaned


def bytes_text(data: bytes) -> str:
    """How bytes are kept: their length and base64."""
    return f"base64:{len(data)}:{base64.b64encode(data).decode()}"


def keep_first(attributes: dict[str, Any], limits: Limits, notes: Notes, what: str) -> dict[str, Any]:
    """The first attributes up to the limit; the number sent is noted under `what`."""
    if len(attributes) <= limits.attributes:
        return attributes
    notes.attributes_cut = True
    notes.note_cut(what, len(attributes))
    return dict(list(attributes.items())[: limits.attributes])


def _bounded(values: Sequence[Any], key: str, notes: Notes) -> Sequence[Any]:
    """The first values of a list; the number sent is noted."""
    if len(values) <= MAX_VALUES:
        return values
    notes.attributes_cut = True
    notes.note_cut(key[:100], len(values))
    return values[:MAX_VALUES]


def read_pairs(pairs: Sequence[Any], limits: Limits, notes: Notes) -> dict[str, Any]:
    """The attributes of a protobuf message; the last of a repeated key wins."""
    out: dict[str, Any] = {}
    quick = limits.payload_text_bytes >> 2  # text of fewer characters cannot be over the limit
    for pair in _bounded(pairs, "attributes", notes):
        key = pair.key
        if key not in LEARNED and ("\x00" in key or len(key) > 256):  # names once classified are known to be clean
            key = clean_key(key, notes)
        value = pair.value
        text = value.string_value
        if text:
            if "\x00" in text:
                text = text.replace("\x00", REPLACEMENT)
                notes.repaired = True
            out[key] = text if len(text) <= quick else clean_payload(text, key, limits, notes)
        else:
            out[key] = read_any(value, key, limits, notes)
    return out


def read_any(value: Any, key: str, limits: Limits, notes: Notes, depth: int = 0) -> Any:
    """One protobuf AnyValue."""
    which = value.WhichOneof("value")
    if which == "int_value":
        return value.int_value
    if which == "double_value":
        number = value.double_value
        return number if math.isfinite(number) else float_text(number)
    if which == "bool_value":
        return value.bool_value
    if which == "string_value":
        return clean_payload(value.string_value, key, limits, notes)
    if which == "bytes_value":
        return clean_payload(bytes_text(value.bytes_value), key, limits, notes)
    # The parser itself stops at 100 nested messages, two a level: neither branch can go deeper than 50.
    if which == "array_value":
        return [
            read_any(item, key, limits, notes, depth + 1) for item in _bounded(value.array_value.values, key, notes)
        ]
    if which == "kvlist_value":
        return {
            clean_key(pair.key, notes): read_any(pair.value, key, limits, notes, depth + 1)
            for pair in _bounded(value.kvlist_value.values, key, notes)
        }
    return None


def read_json_pairs(pairs: Any, limits: Limits, notes: Notes) -> dict[str, Any]:
    """The attributes of an OTLP/JSON object: a list of {"key", "value"}; what has another shape is left out."""
    out: dict[str, Any] = {}
    if not isinstance(pairs, list):
        return out
    for pair in pairs:
        if not isinstance(pair, dict) or not isinstance(pair.get("key", ""), str):
            continue
        key = clean_key(pair.get("key", ""), notes)
        out[key] = read_json_any(pair.get("value"), key, limits, notes)
    return out


def read_json_any(value: Any, key: str, limits: Limits, notes: Notes, depth: int = 0) -> Any:
    """One OTLP/JSON AnyValue; tolerates the snake_case spelling of its keys and bare values."""
    if not isinstance(value, dict):
        return _bare(value, key, limits, notes)
    if not value:
        return None
    name, inner = next(iter(value.items()))
    name = name.replace("_v", "V")
    if name == "stringValue":
        return _bare(inner, key, limits, notes)
    if name == "intValue":
        return _integer(inner)
    if name == "doubleValue":
        return _double(inner)
    if name == "boolValue":
        return inner if isinstance(inner, bool) else str(inner).lower() == "true"
    if name == "bytesValue":
        return _bytes(inner, key, limits, notes)
    if depth >= MAX_DEPTH:
        notes.note_cut(key, MAX_DEPTH)
        return cut_text(deep_text(value), limits.payload_text_bytes)
    values = inner.get("values") if isinstance(inner, dict) else None
    items = values if isinstance(values, list) else []
    if name == "arrayValue":
        return [read_json_any(item, key, limits, notes, depth + 1) for item in _bounded(items, key, notes)]
    if name == "kvlistValue":
        return {
            clean_key(str(item.get("key", "")), notes): read_json_any(item.get("value"), key, limits, notes, depth + 1)
            for item in _bounded(items, key, notes)
            if isinstance(item, dict)
        }
    return None


def _bare(value: Any, key: str, limits: Limits, notes: Notes) -> Any:
    if isinstance(value, str):
        return clean_payload(value, key, limits, notes)
    return clean_value(value)


def _integer(value: Any) -> Any:
    """A JSON integer, as number or text; beyond 64 bits (or no integer at all) as text."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        try:
            value = int(value) if len(value) <= 100 else value[:100]
        except ValueError:
            return clean_text(value[:100])
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else str(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else int_text(value)
    return clean_value(value)


def _double(value: Any) -> Any:
    if isinstance(value, str):
        if value in ("NaN", "Infinity", "-Infinity"):
            return value
        try:
            number = float(value)
        except ValueError:
            return clean_text(value[:100])
        return number if math.isfinite(number) else float_text(number)
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**1000 else "Infinity" if value > 0 else "-Infinity"
    return clean_value(value)


def _bytes(value: Any, key: str, limits: Limits, notes: Notes) -> Any:
    try:
        data = base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError):
        return clean_payload(str(value), key, limits, notes)
    return clean_payload(bytes_text(data), key, limits, notes)
