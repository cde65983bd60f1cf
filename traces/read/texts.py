"""The texts of traces, gathered from everywhere they lie: for the search index, and to see a phrase where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import zstandard
from psycopg import Cursor

from telltale.lib import clock
from telltale.lib.sql import load
from traces.search.document import Document
from traces.wire.ids import hex_span_id

# Of one trace. Beyond, its document is cut: a person who looks for the 5,001st step opens the trace.
SPANS_MAX = 5_000
RAW_BYTES_MAX = 8 * 1024 * 1024
LOGS_MAX = 2_000
# Unpacked at once.
GROUP_BYTES = 16 * 1024 * 1024
# What a text of a shape that nobody foresaw may raise.
UNREADABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, zstandard.ZstdError)
_ROW_TEXTS = 5  # the first column of search_rows that is text


@dataclass(frozen=True, slots=True)
class Gathered:
    """A trace with its texts. `is_set_aside`: they could not be read, and only those of its row are there."""

    trace_id: UUID
    started_at: datetime
    document: Document
    is_set_aside: bool


@dataclass(slots=True)
class _Parts:
    """What is known of one trace while it is read."""

    row: tuple[Any, ...]
    spans: list[tuple[Any, ...]] = field(default_factory=list)
    pieces: list[tuple[int, int]] = field(default_factory=list)
    bodies: list[tuple[int, bytes]] = field(default_factory=list)
    logs: list[tuple[str, bytes]] = field(default_factory=list)
    is_cut: bool = False


def gather(
    cursor: Cursor[Any],
    project_id: int,
    trace_ids: Iterable[UUID],
    *,
    keeps_texts: bool = False,
    bare: frozenset[UUID] = frozenset(),
) -> Iterator[Gathered]:
    """The texts of those of `trace_ids` that are there, in groups of bounded size; of `bare` ones the row's alone."""
    cursor.execute(load("traces", "search_rows"), {"project_id": project_id, "trace_ids": list(trace_ids)})
    rows = cursor.fetchall()
    for row in rows:
        if row[0] in bare:
            yield _bare(row, keeps_texts)
    for group in _groups([row for row in rows if row[0] not in bare]):
        yield from _read_group(cursor, project_id, group, keeps_texts)


def _groups(rows: Sequence[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Traces that are read together: neighbours in time, so that few partitions are asked, and not too many spans."""
    group: list[tuple[Any, ...]] = []
    spans = 0
    for row in sorted(rows, key=lambda row: row[1]):
        is_far = bool(group) and row[1] - group[0][1] > timedelta(days=1)
        if group and (is_far or spans + row[4] > SPANS_MAX):
            yield group
            group, spans = [], 0
        group.append(row)
        spans += row[4]
    if group:
        yield group


def _read_group(
    cursor: Cursor[Any], project_id: int, rows: Sequence[tuple[Any, ...]], keeps_texts: bool
) -> Iterator[Gathered]:
    parts = {row[0]: _Parts(row) for row in rows}
    asked = {
        "project_id": project_id,
        "trace_ids": list(parts),
        "first": min(row[1] for row in rows),
        "last": max(row[2] for row in rows),
    }
    cursor.execute(load("traces", "search_spans"), asked | {"limit": SPANS_MAX + 1}, binary=True)
    for span in cursor.fetchall()[:SPANS_MAX]:
        parts[span[0]].spans.append(span)
    cursor.execute(load("traces", "search_logs"), asked | {"limit": LOGS_MAX * len(parts)}, binary=True)
    for trace_id, event_name, data in cursor.fetchall():
        parts[trace_id].logs.append((event_name, data))
    cursor.execute(load("traces", "search_pieces"), asked | {"limit": SPANS_MAX + 1}, binary=True)
    for trace_id, payload_id, raw_bytes in cursor.fetchall():
        held = parts[trace_id]
        if sum(size for _, size in held.pieces) + raw_bytes > RAW_BYTES_MAX:
            held.is_cut = True
        else:
            held.pieces.append((payload_id, raw_bytes))
    for part in parts.values():
        part.is_cut |= part.row[4] > SPANS_MAX
    for together in _by_size(list(parts.values())):
        _read_bodies(cursor, asked, together)
        for part in together:
            yield _gathered(part, keeps_texts)
            part.bodies, part.spans = [], []


def _by_size(parts: Sequence[_Parts]) -> Iterator[list[_Parts]]:
    together: list[_Parts] = []
    total = 0
    for part in parts:
        size = sum(raw_bytes for _, raw_bytes in part.pieces)
        if together and total + size > GROUP_BYTES:
            yield together
            together, total = [], 0
        together.append(part)
        total += size
    if together:
        yield together


def _read_bodies(cursor: Cursor[Any], asked: dict[str, Any], together: Sequence[_Parts]) -> None:
    by_id = {payload_id: part for part in together for payload_id, _ in part.pieces}
    if not by_id:
        return
    trace_ids = [part.row[0] for part in together]
    cursor.execute(
        load("traces", "search_bodies"), asked | {"trace_ids": trace_ids, "payload_ids": list(by_id)}, binary=True
    )
    found = {payload_id: (raw_bytes, data) for _, payload_id, raw_bytes, data in cursor.fetchall()}
    for part in together:
        part.bodies = [found[payload_id] for payload_id, _ in part.pieces if payload_id in found]


def _gathered(part: _Parts, keeps_texts: bool) -> Gathered:
    document = Document(keeps_texts=keeps_texts, is_cut=part.is_cut)
    try:
        _fill(document, part)
    except UNREADABLE:
        return _bare(part.row, keeps_texts)
    return Gathered(part.row[0], part.row[1], document, False)


def _bare(row: tuple[Any, ...], keeps_texts: bool) -> Gathered:
    document = Document(keeps_texts=keeps_texts)
    _add_row(document, row)
    return Gathered(row[0], row[1], document, True)


def _add_row(document: Document, row: tuple[Any, ...]) -> None:
    document.add_all(row[_ROW_TEXTS:])
    if not document.keeps_texts:
        document.terms.add(row[0].hex)


def _fill(document: Document, part: _Parts) -> None:
    _add_row(document, part.row)
    for span in part.spans:
        if not document.keeps_texts:
            document.terms.add(hex_span_id(span[1]))
        document.add_all(span[2:22])
    unpack = zstandard.ZstdDecompressor()
    for raw_bytes, data in part.bodies:
        for body in orjson.loads(unpack.decompress(data, max_output_size=raw_bytes)).values():
            document.add_body(body)
    for event_name, data in part.logs:
        document.add(event_name)
        document.add_value(orjson.loads(unpack.decompress(data, max_output_size=RAW_BYTES_MAX)))
    for span in part.spans:
        for told in span[22:]:
            if told:
                document.add_value(orjson.loads(told))


def us_of(at: datetime) -> int:
    """Microseconds since 1970 of a stored time, exact."""
    return (at - clock.EPOCH) // timedelta(microseconds=1)
