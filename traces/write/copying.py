"""Copying spans and their bodies into their tables, packed for binary COPY."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson
import zstandard
from psycopg import Cursor

from traces.canonical.text import clean_value
from traces.canonical.types import Body, CanonicalSpan
from traces.wire.ids import hex_span_id
from traces.write import rows
from traces.write.batch import Batch, new_id

# A payload row is cut here, so that opening one span of a huge trace unpacks little.
PAYLOAD_CHUNK_BYTES = 512 * 1024
ZSTD_LEVEL = 3

_COPY_SPAN = f"COPY traces_span ({', '.join(rows.SPAN_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_COPY_PAYLOAD = f"COPY traces_payload ({', '.join(rows.PAYLOAD_COLUMNS)}) FROM STDIN (FORMAT BINARY)"

_local = threading.local()


def copy_spans(cursor: Cursor[Any], batch: Batch, fresh: dict[UUID, list[CanonicalSpan]]) -> None:
    """Copy new spans, by trace, and their bodies in the caller's transaction."""
    if not fresh:
        return
    span_rows: list[bytes] = [rows.HEADER]
    payload_rows: list[bytes] = [rows.HEADER]
    project_id, batch_id = batch.project_id, batch.batch_id
    # Sorted by key, so that the index pages are touched in order.
    for trace_id in sorted(fresh):
        for chunk, raw in _chunks(sorted(fresh[trace_id], key=lambda span: span.span_id)):
            payload_id = new_id()
            data = _compressor().compress(raw)
            started = min(span.started_us for span in chunk)
            payload_rows.append(rows.payload_row(project_id, trace_id, payload_id, started, len(raw), data))
            span_rows += [rows.span_row(project_id, batch_id, payload_id, span) for span in chunk]
    span_rows.append(rows.TRAILER)
    payload_rows.append(rows.TRAILER)
    with cursor.copy(_COPY_SPAN) as copy:
        copy.write(b"".join(span_rows))
    with cursor.copy(_COPY_PAYLOAD) as copy:
        copy.write(b"".join(payload_rows))


def _chunks(spans: Sequence[CanonicalSpan]) -> Iterable[tuple[list[CanonicalSpan], bytes]]:
    """The spans of one trace with their bodies as one JSON object, cut where it grows large."""
    chunk: list[CanonicalSpan] = []
    parts: list[bytes] = []
    size = 0
    for span in spans:
        data = b'"%s":%s' % (hex_span_id(span.span_id).encode(), _dump(span.body))
        if chunk and size + len(data) > PAYLOAD_CHUNK_BYTES:
            yield chunk, b"{" + b",".join(parts) + b"}"
            chunk, parts, size = [], [], 0
        chunk.append(span)
        parts.append(data)
        size += len(data)
    if chunk:
        yield chunk, b"{" + b",".join(parts) + b"}"


def _dump(body: Body) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # an integer over 64 bits, or nested too deeply: no reason to lose the batch
        return orjson.dumps(clean_value(dict(body)))


def _compressor() -> zstandard.ZstdCompressor:
    held: zstandard.ZstdCompressor | None = getattr(_local, "compressor", None)
    if held is None:
        held = _local.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True)
    return held
