"""What spans and log records say about how good an answer was: the events `gen_ai.evaluation.result`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import zstandard

from telltale.lib import clock
from traces.canonical.types import EVALUATION, SpanFlag
from traces.read.asking import asking, compose, fetch
from traces.read.contents import BODIES_MAX_BYTES, TIMEOUT_MS
from traces.read.rows import TraceRow
from traces.read.spans import BODY_MAX_BYTES, unpack
from traces.wire.ids import hex_span_id

# Of the traces asked for together.
EVENTS_MAX = 10_000
_EVALUATED = int(SpanFlag.EVALUATED)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One such event, with the attributes its sender gave it."""

    trace_id: UUID
    span_id: int
    at: datetime
    attributes: Mapping[str, Any] = field(hash=False)


def read_evaluations(project_id: int, rows: Sequence[TraceRow]) -> list[Evaluation]:
    """The events of those traces, on spans and in log records, in the order they happened; at most EVENTS_MAX."""
    if not rows:
        return []
    asked: dict[str, Any] = {
        "project_id": project_id,
        "trace_ids": [row.trace_id for row in rows],
        "first": min(row.started_at for row in rows),
        "last": max(row.last_started_at for row in rows),
        "flag": _EVALUATED,
        "event_name": EVALUATION,
        "limit": EVENTS_MAX,
    }
    found: list[Evaluation] = []
    with asking(TIMEOUT_MS) as cursor:
        flagged = [row.trace_id for row in rows if row.flags & _EVALUATED]
        if flagged:
            found += _of_spans(cursor, asked | {"trace_ids": flagged})
        for trace_id, span_id, at, data in fetch(cursor, compose("read_evaluation_logs"), asked):
            told = _held(data, BODY_MAX_BYTES)
            found.append(Evaluation(trace_id, span_id, at, _attributes(told)))
    return found[:EVENTS_MAX]


def _of_spans(cursor: Any, asked: dict[str, Any]) -> list[Evaluation]:
    spans = fetch(cursor, compose("read_evaluated_spans"), asked)
    if not spans:
        return []
    wanted: dict[UUID, dict[str, int]] = {}
    for trace_id, span_id, _ in spans:
        wanted.setdefault(trace_id, {})[hex_span_id(span_id)] = span_id
    params = asked | {"trace_ids": list(wanted), "payload_ids": list({row[2] for row in spans})}
    found: list[Evaluation] = []
    total = 0
    for trace_id, _, raw_bytes, data in fetch(cursor, compose("search_bodies"), params):
        total += raw_bytes
        if raw_bytes > BODY_MAX_BYTES or total > BODIES_MAX_BYTES:
            continue
        held = _held(data, raw_bytes)
        for hex_id, span_id in wanted[trace_id].items():
            for event in (held.get(hex_id) or {}).get("events") or ():
                if event.get("name") == EVALUATION:
                    at = clock.from_ns(int(event.get("at_ns") or 0))
                    found.append(Evaluation(trace_id, span_id, at, _attributes(event)))
    return sorted(found, key=lambda one: (one.trace_id, one.at, one.span_id))


def _held(data: bytes, max_bytes: int) -> dict[str, Any]:
    """What was stored; nothing where it is damaged: that is no reason to stop at it for ever."""
    try:
        found = orjson.loads(unpack(bytes(data), max_bytes))
    except (zstandard.ZstdError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _attributes(told: Mapping[str, Any]) -> dict[str, Any]:
    """The event's attributes; some senders put them into the body of a log record."""
    found: dict[str, Any] = {}
    for part in (told.get("body"), told.get("attributes")):
        if isinstance(part, dict):
            found |= part
    return found
