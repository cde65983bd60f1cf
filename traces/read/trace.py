"""One trace: its row, its steps for the tree, and what the lines of the waterfall say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql

from traces.canonical.types import CostStatus
from traces.read.asking import TRACE_TIMEOUT_MS, asking, compose, fetch
from traces.read.rows import COLUMNS, NS_PER_MS, TraceRow, trace_row
from traces.tree.build import Step
from traces.wire.ids import find_trace_ids

# A trace may be larger than any page can show; what is read says so.
STEPS_MAX = 250_000
_COLUMNS = sql.SQL(", ").join(sql.Identifier("t", name) for name in COLUMNS)


@dataclass(frozen=True, slots=True)
class Steps:
    """The spans of a trace in order of start. Not `is_whole`: only the first `STEPS_MAX` of them."""

    steps: list[Step]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Label:
    """What a line says of its span beside name and bar."""

    ttft_ns: int | None
    model: str | None
    tool_name: str | None
    error_type: str | None
    cost_status: CostStatus | None
    cost_pico: int | None
    is_counted: bool
    tokens_in: int | None
    tokens_out: int | None


def get_trace(project_id: int, trace_id: UUID) -> TraceRow | None:
    """The trace with its sums; None where the project has none of this id."""
    with asking() as cursor:
        where = sql.SQL("t.project_id = %(project_id)s AND t.trace_id = %(trace_id)s")
        query = compose("read_traces", columns=_COLUMNS, conditions=where, order=sql.SQL("t.trace_id"))
        found = fetch(cursor, query, {"project_id": project_id, "trace_id": trace_id, "limit": 1})
    return trace_row(found[0]) if found else None


def find_trace(project_id: int, text: str) -> TraceRow | None:
    """The trace that `text` names: hex, UUID, or the id its sender uses. None where there is none."""
    for trace_id in find_trace_ids(text):
        found = get_trace(project_id, trace_id)
        if found is not None:
            return found
    return None


def list_spans(project_id: int, trace: TraceRow, limit: int = STEPS_MAX) -> Steps:
    """The skeleton of a trace, at most `limit` spans, without bodies."""
    with asking(TRACE_TIMEOUT_MS) as cursor:
        rows = fetch(cursor, compose("read_steps"), bounds(project_id, trace) | {"limit": limit + 1})
    return Steps(list(map(Step._make, rows[:limit])), len(rows) <= limit)


def read_labels(project_id: int, trace: TraceRow, span_ids: Iterable[int]) -> dict[int, Label]:
    """What the lines of these spans say, by span id."""
    params = bounds(project_id, trace) | {"span_ids": list(span_ids)}
    with asking() as cursor:
        rows = fetch(cursor, compose("read_labels"), params)
    return {
        row[0]: Label(row[1], row[2], row[3], row[4], None if row[5] is None else CostStatus(row[5]), *row[6:])
        for row in rows
    }


def bounds(project_id: int, trace: TraceRow) -> dict[str, Any]:
    """The parameters that keep a query to one trace and to the partitions it lies in."""
    return {
        "project_id": project_id,
        "trace_id": trace.trace_id,
        "first": trace.started_at,
        "last": trace.last_started_at,
    }


def ms(ns: int | None) -> float | None:
    """Nanoseconds as ms; None stays None."""
    return None if ns is None else ns / NS_PER_MS
