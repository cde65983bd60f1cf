"""OTLP messages written by hand, so that they can be wrong: bad text, wrong ids, fields that no library would send."""

from __future__ import annotations

import struct

# Any moment that is recent for the store: what a body calls "now".
NOW_NS = 1_795_000_000_000_000_000


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(number: int, data: bytes | str) -> bytes:
    """A length-delimited field."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def fixed64(field: int, value: int) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<Q", value & 2**64 - 1)


def double(field: int, value: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", value)


# AnyValue


def text(value: bytes | str) -> bytes:
    return block(1, value)


def array(*values: bytes) -> bytes:
    return block(5, b"".join(block(1, value) for value in values))


def kvlist(*pairs: bytes) -> bytes:
    return block(6, b"".join(block(1, pair) for pair in pairs))


def pair(key: bytes | str, value: bytes) -> bytes:
    return block(1, key) + block(2, value)


def deep(depth: int, with_map: bool = False) -> bytes:
    value = text("bottom")
    for _ in range(depth):
        value = kvlist(pair("k", value)) if with_map else array(value)
    return value


# Requests


def span(
    span_id: int | bytes = 1,
    trace: bytes = b"\x07" * 16,
    *,
    name: bytes | str = "step",
    parent: int | bytes = b"",
    start: int | None = None,
    end: int | None = None,
    attributes: bytes = b"",
    more: bytes = b"",
) -> bytes:
    """A Span. `attributes` are fields as `attribute()` makes them, `more` is put behind as it is."""
    start = NOW_NS if start is None else start
    end = start + 10**6 if end is None else end
    own = span_id.to_bytes(8, "big") if isinstance(span_id, int) else span_id
    above = parent.to_bytes(8, "big") if isinstance(parent, int) else parent
    return (
        block(1, trace)
        + block(2, own)
        + (block(4, above) if above else b"")
        + block(5, name)
        + fixed64(7, start)
        + fixed64(8, end)
        + attributes
        + more
    )


def attribute(key: bytes | str, value: bytes | str) -> bytes:
    return block(9, pair(key, text(value) if isinstance(value, str) else value))


def request(*spans: bytes, resource: bytes = b"", scope: bytes = b"") -> bytes:
    """An ExportTraceServiceRequest (logs and metrics have the same outline)."""
    scope_group = (block(1, scope) if scope else b"") + b"".join(block(2, item) for item in spans)
    return block(1, (block(1, resource) if resource else b"") + block(2, scope_group))


def plain(trace: bytes, span_id: int = 1) -> bytes:
    return request(span(span_id, trace, name="plain"))
