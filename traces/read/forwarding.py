"""The spans that wait to be sent on, as they were stored, a bounded piece at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db.backends.utils import CursorWrapper

from traces.canonical.types import Body
from traces.forward import Outgoing, Sender
from traces.read.asking import TRACE_TIMEOUT_MS, asking, compose, fetch
from traces.read.outgoing import make_outgoing, make_sender
from traces.read.spans import BODY_MAX_BYTES, unpack
from traces.wire.ids import hex_span_id


@dataclass(frozen=True, slots=True)
class Stored:
    """Which spans: those of one accepted request, behind `done` where some were answered for."""

    batch_id: int
    trace_ids: tuple[UUID, ...]
    first_started_at: datetime
    last_started_at: datetime
    done: tuple[UUID, int] | None


class Waiting(NamedTuple):
    """One span, and the request that it came with."""

    batch_id: int
    span: Outgoing


class _Row(NamedTuple):
    batch_id: int
    trace_id: UUID
    span_id: int
    parent_span_id: int | None
    name: str
    otel_kind: int
    status: int
    status_message: str | None
    started_at: datetime
    duration_ns: int | None
    payload_id: int | None
    attributes: Any
    origin_id: int


def read_waiting(
    project_id: int, stored: Sequence[Stored], spans_max: int, bytes_max: int
) -> tuple[list[Waiting], bool]:
    """The first spans of `stored` in their order, at most so many and with bodies of so many bytes; and whether
    these are all. One span is given however large it is. Only the first of `stored` may be partly done."""
    if not stored:
        return [], True
    done = stored[0].done
    params: dict[str, Any] = {
        "project_id": project_id,
        "trace_ids": list({trace_id for each in stored for trace_id in each.trace_ids}),
        "batch_ids": [each.batch_id for each in stored],
        "first": min(each.first_started_at for each in stored),
        "last": max(each.last_started_at for each in stored),
        "first_batch": stored[0].batch_id,
        "done_trace": done[0] if done else None,
        "done_span": done[1] if done else None,
        "limit": spans_max + 1,
    }
    with asking(TRACE_TIMEOUT_MS) as cursor:
        rows = [_Row(*values) for values in fetch(cursor, compose("read_forwarded"), params)]
        chosen = _fitting(cursor, params, rows[:spans_max], bytes_max)
        bodies = _bodies(cursor, params, chosen)
        senders = _senders(cursor, project_id, chosen)
    spans = [Waiting(row.batch_id, _outgoing(row, bodies, senders)) for row in chosen]
    return spans, len(chosen) == len(rows)


def _fitting(cursor: CursorWrapper, params: dict[str, Any], rows: list[_Row], bytes_max: int) -> list[_Row]:
    """The first rows whose bodies fit into `bytes_max`; at least one."""
    ids = list({row.payload_id for row in rows if row.payload_id is not None})
    if not ids:
        return rows
    sizes = dict(fetch(cursor, compose("read_forwarded_sizes"), params | {"payload_ids": ids}))
    total, seen = 0, set()
    for at, row in enumerate(rows):
        if row.payload_id is not None and row.payload_id not in seen:
            seen.add(row.payload_id)
            total += sizes.get(row.payload_id, 0)
            if at and total > bytes_max:
                return rows[:at]
    return rows


def _bodies(cursor: CursorWrapper, params: dict[str, Any], rows: list[_Row]) -> dict[tuple[str, int | None], Body]:
    """Bodies by span id in hex and piece; a piece may hold spans that are not asked for."""
    bodies: dict[tuple[str, int | None], Body] = {}
    wanted: dict[int, list[_Row]] = {}
    for row in rows:
        if row.payload_id is not None:
            wanted.setdefault(row.payload_id, []).append(row)
    if not wanted:
        return bodies
    for payload_id, raw_bytes, data in fetch(
        cursor, compose("read_forwarded_bodies"), params | {"payload_ids": list(wanted)}
    ):
        if raw_bytes > BODY_MAX_BYTES:
            continue
        held = orjson.loads(unpack(bytes(data), raw_bytes))
        for row in wanted[payload_id]:
            hex_id = hex_span_id(row.span_id)
            if hex_id in held:
                bodies[(hex_id, payload_id)] = held[hex_id]
    return bodies


def _senders(cursor: CursorWrapper, project_id: int, rows: list[_Row]) -> dict[int, Sender]:
    ids = list({row.origin_id for row in rows})
    found = fetch(cursor, compose("read_origins"), {"project_id": project_id, "origin_ids": ids})
    return {
        origin_id: make_sender(orjson.loads(resource), name, version, orjson.loads(attributes))
        for origin_id, resource, name, version, attributes in found
    }


def _outgoing(row: _Row, bodies: dict[tuple[str, int | None], Body], senders: dict[int, Sender]) -> Outgoing:
    attributes = orjson.loads(row.attributes) if row.attributes else {}
    body = bodies.get((hex_span_id(row.span_id), row.payload_id), Body())
    sender = senders.get(row.origin_id) or make_sender({}, "", "", {})
    return make_outgoing(row._replace(attributes=attributes), body, row.duration_ns, sender)
