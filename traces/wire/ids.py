"""Identifiers: what senders call a trace or span, and the 16 and 8 bytes they have inside.

One rule for storing and for looking up: a W3C id is its own bytes, everything else is a SHA-256 of vendor and text cut
to size, the original kept beside it. A UUID is never cut to 8 bytes for a span: UUIDv7s of one millisecond share their
first half.
"""

from __future__ import annotations

import hashlib
import re
from uuid import UUID

from traces.canonical.text import clean_text

# Dialects whose foreign ids a look-up tries; the hash is of the vendor too, so each may name another trace.
VENDORS = ("native", "otlp", "langfuse", "langsmith", "mlflow", "opik")
MAX_ID_CHARS = 512

_HEX32 = re.compile(r"[0-9a-fA-F]{32}\Z")
_HEX16 = re.compile(r"[0-9a-fA-F]{16}\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z")
_MLFLOW = re.compile(r"tr-[0-9a-fA-F]{32}\Z")
_SIGN = 1 << 63
_WRAP = 1 << 64


class BadId(ValueError):
    """An id that is no identity: empty, all zeros, or too long."""


def trace_id_from(value: str | bytes, vendor: str) -> tuple[UUID, str | None]:
    """The trace's uuid, and the original text where its shape was foreign. BadId for empty, zero or over-long ids."""
    if isinstance(value, bytes):
        if len(value) == 16 and any(value):
            return UUID(bytes=value), None
        raise BadId(f"trace_id must be 16 bytes that are not all zero, got {describe_bytes(value)}")
    text = _checked(value, "trace_id")
    if _HEX32.match(text) or _UUID.match(text):
        found = UUID(text)
        if not found.int:
            raise BadId("trace_id must not be all zero")
        return found, None
    return UUID(bytes=_digest(vendor, text, 16)), text


def span_id_from(value: str | bytes, vendor: str) -> tuple[int, str | None]:
    """The span's eight bytes as a signed integer, and the original text where its shape was foreign. BadId likewise."""
    if isinstance(value, bytes):
        if len(value) == 8 and any(value):
            return int.from_bytes(value, "big", signed=True), None
        raise BadId(f"span_id must be 8 bytes that are not all zero, got {describe_bytes(value)}")
    text = _checked(value, "span_id")
    if _HEX16.match(text):
        number = int(text, 16)
        if not number:
            raise BadId("span_id must not be all zero")
        return (number - _WRAP if number >= _SIGN else number), None
    return int.from_bytes(_digest(vendor, text, 8), "big", signed=True), text


def find_trace_ids(text: str) -> list[UUID]:
    """Every uuid that a trace named `text` may be stored under, likeliest first; empty where it can be none.

    Hex and UUID text name their own bytes. An MLflow "tr-" id is the hex behind it. Any other text is tried as a
    foreign id of each vendor.
    """
    text = text.strip()
    if not text or len(text) > MAX_ID_CHARS:
        return []
    if _MLFLOW.match(text):
        return [UUID(text[3:])]
    if _HEX32.match(text) or _UUID.match(text):
        found = UUID(text)
        return [found] if found.int else []
    text = clean_text(text)
    return [UUID(bytes=_digest(vendor, text, 16)) for vendor in VENDORS]


def hex_span_id(span_id: int) -> str:
    """The 16 lower-case hex digits of a stored span id."""
    return f"{span_id & 0xFFFFFFFFFFFFFFFF:016x}"


def hex_trace_id(trace_id: UUID) -> str:
    """The 32 lower-case hex digits of a stored trace id."""
    return trace_id.hex


def describe_bytes(value: bytes) -> str:
    """An id that was refused, in words for the sender."""
    if not value:
        return "none"
    if not any(value):
        return f"{len(value)} zero bytes"
    return f"{len(value)} bytes (0x{value[:24].hex()})"


def _checked(value: str, field: str) -> str:
    text = clean_text(value).strip()
    if not text:
        raise BadId(f"{field} must not be empty")
    if len(text) > MAX_ID_CHARS:
        raise BadId(f"{field} must be at most {MAX_ID_CHARS} characters, got {len(text)}")
    return text


def _digest(vendor: str, text: str, size: int) -> bytes:
    data = f"{vendor}\0{text}".encode()
    while True:
        data = hashlib.sha256(data).digest()
        if any(data[:size]):
            return data[:size]
