"""What many traces were about: their telling spans with bodies, read together. For rooms that judge, not for pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from traces.canonical.types import Body, Kind
from traces.read.asking import asking, compose, fetch
from traces.read.rows import COLUMNS, TraceRow, trace_row
from traces.read.spans import _LIST, BODY_MAX_BYTES, LOGS_MAX, SpanDetail, SpanRow, _detail, _span_row, unpack

# Of one trace: the first and the last so many. What lies between says little of its question and answer.
HALF = 50
# All of a group's bodies unpacked; a trace beyond is read without them.
BODIES_MAX_BYTES = 64 * 1024 * 1024
TIMEOUT_MS = 15_000
_TRACE_COLUMNS = sql.SQL(", ").join(sql.Identifier("t", name) for name in COLUMNS)
_WHERE = sql.SQL("t.project_id = %(project_id)s AND t.trace_id = ANY(%(trace_ids)s::uuid[])")


@dataclass(frozen=True, slots=True)
class Told:
    """A trace with its telling spans in order of start: model calls, tools, retrievals, roots, named ones."""

    trace: TraceRow
    spans: tuple[SpanDetail, ...]


def read_rows(project_id: int, trace_ids: Sequence[UUID]) -> dict[UUID, TraceRow]:
    """The rows of those traces that are there."""
    query = compose("read_traces", columns=_TRACE_COLUMNS, conditions=_WHERE, order=sql.SQL("t.trace_id"))
    params = {"project_id": project_id, "trace_ids": list(trace_ids), "limit": len(trace_ids)}
    with asking(TIMEOUT_MS) as cursor:
        rows = [trace_row(values) for values in fetch(cursor, query, params)]
    return {row.trace_id: row for row in rows}


def read_told(
    project_id: int,
    trace_ids: Sequence[UUID],
    *,
    span_ids: Sequence[int] = (),
    names: Sequence[str] = (),
    with_embeddings: bool = False,
) -> dict[UUID, Told]:
    """Those of the traces that are there, with their telling spans, those of `span_ids` and those called `names`.

    `with_embeddings`: with spans that made vectors, too, whose bodies may be large.
    """
    rows = read_rows(project_id, trace_ids)
    found: dict[UUID, Told] = {}
    for group in _groups(list(rows.values())):
        asked = {
            "project_id": project_id,
            "trace_ids": [row.trace_id for row in group],
            "first": min(row.started_at for row in group),
            "last": max(row.last_started_at for row in group),
            "span_ids": [*span_ids, *(row.root_span_id for row in group if row.root_span_id is not None)],
            "names": list(names),
            "with_embeddings": with_embeddings,
        }
        with asking(TIMEOUT_MS) as cursor:
            query = compose("read_telling_spans", columns=_LIST, half=sql.Literal(HALF))
            spans = [_span_row(values) for values in fetch(cursor, query, asked)]
            bodies = _bodies(cursor, asked, spans)
            logs = _logs(cursor, asked | {"span_ids": [span.span_id for span in spans]})
        by_trace: dict[UUID, list[SpanDetail]] = {row.trace_id: [] for row in group}
        for span in spans:
            held = bodies.get(span.trace_id, {})
            by_trace[span.trace_id].append(_detail(span, held, logs.get(span.trace_id, {}), ()))
        found |= {row.trace_id: Told(row, tuple(by_trace[row.trace_id])) for row in group}
    return found


def _groups(rows: list[TraceRow]) -> Iterator[list[TraceRow]]:
    """Neighbours in time, so that few partitions are asked."""
    group: list[TraceRow] = []
    for row in sorted(rows, key=lambda row: row.started_at):
        if group and row.started_at - group[0].started_at > timedelta(days=1):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _bodies(cursor: CursorWrapper, asked: dict[str, Any], spans: Sequence[SpanRow]) -> dict[UUID, dict[int, Body]]:
    wanted: dict[UUID, dict[str, int]] = {}
    for span in spans:
        if span.payload_id is not None:
            wanted.setdefault(span.trace_id, {})[span.hex_id] = span.span_id
    if not wanted:
        return {}
    pieces = list({span.payload_id for span in spans if span.payload_id is not None})
    params = asked | {"trace_ids": list(wanted), "payload_ids": pieces}
    bodies: dict[UUID, dict[int, Body]] = {}
    total = 0
    for trace_id, _, raw_bytes, data in fetch(cursor, compose("search_bodies"), params):
        total += raw_bytes
        if raw_bytes > BODY_MAX_BYTES or total > BODIES_MAX_BYTES:
            continue
        held = orjson.loads(unpack(bytes(data), raw_bytes))
        for hex_id, span_id in wanted[trace_id].items():
            if hex_id in held:
                bodies.setdefault(trace_id, {})[span_id] = held[hex_id]
    return bodies


def _logs(cursor: CursorWrapper, asked: dict[str, Any]) -> dict[UUID, dict[int, list[dict[str, Any]]]]:
    logs: dict[UUID, dict[int, list[dict[str, Any]]]] = {}
    params = asked | {"limit": LOGS_MAX * len(asked["trace_ids"])}
    query = compose("read_telling_logs")
    for trace_id, span_id, event_name, happened_at, ordinal, data in fetch(cursor, query, params):
        event = {"event_name": event_name, "at": happened_at, "ordinal": ordinal}
        logs.setdefault(trace_id, {}).setdefault(span_id, []).append(
            event | orjson.loads(unpack(bytes(data), BODY_MAX_BYTES))
        )
    return logs


def read_kinds(project_id: int, rows: Sequence[TraceRow]) -> dict[UUID, frozenset[str]]:
    """Which kinds of spans traces have, by their lower-case names."""
    found: dict[UUID, frozenset[str]] = {}
    for group in _groups(list(rows)):
        asked = {
            "project_id": project_id,
            "trace_ids": [row.trace_id for row in group],
            "first": min(row.started_at for row in group),
            "last": max(row.last_started_at for row in group),
        }
        with asking(TIMEOUT_MS) as cursor:
            for trace_id, kinds in fetch(cursor, compose("read_kinds"), asked):
                found[trace_id] = frozenset(Kind(kind).name.lower() for kind in kinds)
    return found
