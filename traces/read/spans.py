"""One span with everything: columns, body, log events. Bodies are read for the spans asked for and no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import zstandard
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from traces.canonical.content import Content, build_content
from traces.canonical.types import (
    BUCKETS,
    Body,
    CostStatus,
    CountReason,
    Kind,
    SpanFlag,
    SpanStatus,
    Usage,
    Vocabulary,
)
from traces.read.asking import TRACE_TIMEOUT_MS, asking, compose, fetch
from traces.read.money import PICO
from traces.read.rows import TraceRow
from traces.read.trace import bounds, ms
from traces.wire.ids import hex_span_id

# Log events of one span: a chat of this many messages is read whole.
LOGS_MAX = 2000
# A piece of bodies may be this large unpacked (a batch of texts at their limit); beyond, it counts as missing.
BODY_MAX_BYTES = 256 * 1024 * 1024

_COLUMNS = (
    "trace_id", "span_id", "started_at", "batch_id", "kind", "otel_kind", "status", "flags", "counted", "name",
    "parent_span_id", "duration_ns", "payload_id", "status_message", "error_type", "service", "environment", "release",
    "feature", "user_id", "session_id", "provider", "model_requested", "model_answered", "model_priced", "operation",
    "response_id", "service_tier", "streamed", "ttft_ns", "finish_reason", "prompt_name", "prompt_version",
    "agent_name", "workflow_name", "tool_name", "tags", *BUCKETS, "cost_status", "cost_pico", "cost_parts", "price_id",
    "cost_reported_pico", "duplicate_of_trace", "duplicate_of_span", "count_reason", "metadata", "attributes",
)  # fmt: skip
_LIST = sql.SQL(", ").join(sql.Identifier("s", name) for name in _COLUMNS)


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One span as its columns have it. Unknown is None; `duration_ms` is None while open."""

    trace_id: UUID
    span_id: int
    started_at: datetime
    batch_id: int
    kind: Kind
    otel_kind: int
    status: SpanStatus
    flags: SpanFlag
    counted: bool
    name: str
    parent_span_id: int | None
    duration_ms: float | None
    payload_id: int | None
    status_message: str | None
    error_type: str | None
    service: str | None
    environment: str | None
    release: str | None
    feature: str | None
    user_id: str | None
    session_id: str | None
    provider: str | None
    model_requested: str | None
    model_answered: str | None
    model_priced: str | None
    operation: str | None
    response_id: str | None
    service_tier: str | None
    streamed: bool | None
    ttft_ms: float | None
    finish_reason: str | None
    prompt_name: str | None
    prompt_version: str | None
    agent_name: str | None
    workflow_name: str | None
    tool_name: str | None
    tags: tuple[str, ...]
    usage: Usage | None
    cost_status: CostStatus | None
    cost_pico: int | None
    cost_parts: tuple[int | None, ...] | None
    price_id: int | None
    cost_reported_pico: int | None
    duplicate_of_trace: UUID | None
    duplicate_of_span: int | None
    count_reason: CountReason | None
    metadata: dict[str, Any]
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope_name: str
    scope_version: str
    scope_attributes: dict[str, Any]
    vocabulary: Vocabulary

    @property
    def hex_id(self) -> str:
        """The span's id as 16 hex digits."""
        return hex_span_id(self.span_id)

    @property
    def hex_trace_id(self) -> str:
        return self.trace_id.hex

    @property
    def hex_parent_id(self) -> str | None:
        return None if self.parent_span_id is None else hex_span_id(self.parent_span_id)

    @property
    def model(self) -> str | None:
        """The model that answered, else the one asked for."""
        return self.model_answered or self.model_requested

    @property
    def cost_usd(self) -> Decimal | None:
        """What we say it cost; None where that is not known."""
        return None if self.cost_pico is None else Decimal(self.cost_pico) / PICO

    @property
    def cost_reported_usd(self) -> Decimal | None:
        """What its sender said it cost."""
        return None if self.cost_reported_pico is None else Decimal(self.cost_reported_pico) / PICO

    @property
    def is_duplicate(self) -> bool:
        """Whether its usage is another span's, or the sum of others', and so is not counted."""
        return not self.counted and self.count_reason is not None


@dataclass(frozen=True, slots=True)
class SpanDetail:
    """A span with what is kept out of line. `body` is empty where nothing was sent or its payload is gone."""

    span: SpanRow
    body: Body
    content: Content
    logs: tuple[dict[str, Any], ...]  # {"event_name", "at", "ordinal", "body", "attributes"}
    is_body_missing: bool
    also_reported_by: tuple[SpanRow, ...]  # the spans of this trace that tell of the same call and are not counted


def get_span(project_id: int, trace: TraceRow, span_id: int) -> SpanDetail | None:
    """A span of the trace with its body and log events; None where the trace has none of this id."""
    with asking(TRACE_TIMEOUT_MS) as cursor:
        found = _rows(cursor, project_id, trace, [span_id])
        if not found:
            return None
        others: list[SpanRow] = []
        if trace.duplicate_count:
            ids = fetch(cursor, compose("read_reporters"), bounds(project_id, trace) | {"span_id": span_id})
            others = _rows(cursor, project_id, trace, [row[0] for row in ids]) if ids else []
        bodies, logs = _bodies(cursor, project_id, trace, found), _logs(cursor, project_id, trace, [span_id])
    return _detail(found[0], bodies, logs, others)


def get_spans(project_id: int, trace: TraceRow, span_ids: Sequence[int]) -> list[SpanDetail]:
    """Several spans of the trace with their bodies and log events, in order of start."""
    with asking(TRACE_TIMEOUT_MS) as cursor:
        found = _rows(cursor, project_id, trace, span_ids)
        bodies, logs = _bodies(cursor, project_id, trace, found), _logs(cursor, project_id, trace, span_ids)
    return [_detail(row, bodies, logs, ()) for row in found]


def get_rows(project_id: int, trace: TraceRow, span_ids: Sequence[int]) -> list[SpanRow]:
    """Several spans of the trace without bodies, in order of start."""
    with asking(TRACE_TIMEOUT_MS) as cursor:
        return _rows(cursor, project_id, trace, span_ids)


def _detail(
    row: SpanRow, bodies: dict[int, Body], logs: dict[int, list[dict[str, Any]]], others: Iterable[SpanRow]
) -> SpanDetail:
    found = bodies.get(row.span_id)
    body = Body() if found is None else found
    events = tuple(logs.get(row.span_id, ()))
    content = build_content(
        row.kind, row.vocabulary, body.get("raw", {}), row.attributes, body.get("events"), events, flags=row.flags
    )
    return SpanDetail(
        span=row,
        body=body,
        content=content,
        logs=events,
        is_body_missing=found is None and row.payload_id is not None,
        also_reported_by=tuple(others),
    )


def _rows(cursor: CursorWrapper, project_id: int, trace: TraceRow, span_ids: Sequence[int]) -> list[SpanRow]:
    params = bounds(project_id, trace) | {"span_ids": list(span_ids)}
    return [_span_row(values) for values in fetch(cursor, compose("read_spans", columns=_LIST), params)]


def _bodies(cursor: CursorWrapper, project_id: int, trace: TraceRow, rows: Iterable[SpanRow]) -> dict[int, Body]:
    wanted = {row.hex_id: row.span_id for row in rows}
    pieces = {row.payload_id for row in rows if row.payload_id is not None}
    if not pieces:
        return {}
    params = bounds(project_id, trace) | {"payload_ids": list(pieces)}
    bodies: dict[int, Body] = {}
    for _, raw_bytes, data in fetch(cursor, compose("read_payloads"), params):
        if raw_bytes > BODY_MAX_BYTES:
            continue
        held = orjson.loads(unpack(bytes(data), raw_bytes))
        for hex_id, span_id in wanted.items():
            if hex_id in held:
                bodies[span_id] = held[hex_id]
    return bodies


def _logs(
    cursor: CursorWrapper, project_id: int, trace: TraceRow, span_ids: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    params = bounds(project_id, trace) | {"span_ids": list(span_ids), "limit": LOGS_MAX}
    logs: dict[int, list[dict[str, Any]]] = {}
    for span_id, event_name, happened_at, ordinal, _, data in fetch(cursor, compose("read_span_logs"), params):
        event = {"event_name": event_name, "at": happened_at, "ordinal": ordinal}
        logs.setdefault(span_id, []).append(event | orjson.loads(unpack(bytes(data), BODY_MAX_BYTES)))
    return logs


def unpack(data: bytes, max_bytes: int) -> bytes:
    """What `data` holds, at most `max_bytes` of it; zstd.ZstdError where it is damaged."""
    unpacked: bytes = zstandard.ZstdDecompressor().decompress(data, max_output_size=max_bytes)
    return unpacked


def _span_row(values: tuple[Any, ...]) -> SpanRow:
    r = dict(zip(_COLUMNS, values[: len(_COLUMNS)], strict=True))
    resource, scope_name, scope_version, scope_attributes, vocabulary = values[len(_COLUMNS) :]
    buckets = tuple(r.pop(name) for name in BUCKETS)
    r["usage"] = Usage(*buckets) if any(value is not None for value in buckets) else None
    r["duration_ms"] = ms(r.pop("duration_ns"))
    r["ttft_ms"] = ms(r.pop("ttft_ns"))
    r["kind"] = Kind(r["kind"])
    r["status"] = SpanStatus(r["status"])
    r["flags"] = SpanFlag(r["flags"])
    r["cost_status"] = None if r["cost_status"] is None else CostStatus(r["cost_status"])
    r["count_reason"] = None if r["count_reason"] is None else CountReason(r["count_reason"])
    r["cost_parts"] = None if r["cost_parts"] is None else tuple(r["cost_parts"])
    r["tags"] = tuple(r["tags"] or ())
    r["metadata"] = _json(r["metadata"])
    r["attributes"] = _json(r["attributes"])
    return SpanRow(
        **r,
        resource=_json(resource),
        scope_name=scope_name or "",
        scope_version=scope_version or "",
        scope_attributes=_json(scope_attributes),
        vocabulary=Vocabulary(vocabulary) if vocabulary else Vocabulary.PLAIN,
    )


def _json(value: Any) -> dict[str, Any]:
    parsed = orjson.loads(value) if isinstance(value, str | bytes) else value
    return parsed if isinstance(parsed, dict) else {}
