"""Trace rows: inserted whole where the trace is new, locked and merged where it is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor
from psycopg.rows import dict_row

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.canonical.types import BUCKETS
from traces.summary import MAX_MODELS, MAX_TAGS, TraceSummary, capped, read_ranks, whole, write_ranks
from traces.write.rows import MAX_US, MIN_US

_PLAIN = (
    "root_span_id", "root_status", "root_duration_ns", "name", "span_count", "generation_count", "error_count",
    "usage_count", "priced_count", "unpriced_count", "unknown_usage_count", "partial_count", "upper_bound_count",
    "duplicate_count", "flags", "ttft_ns", "service", "environment", "release", "feature", "user_id", "session_id",
    "prompt_name", "prompt_version", "finish_reason", "error_type", "preview_in", "preview_out", "foreign_trace_id",
)  # fmt: skip
COLUMNS = (
    "project_id", "trace_id", "started_at", "last_started_at", "ended_at", "updated_at", *_PLAIN, *BUCKETS,
    "cost_pico", "cost_reported_pico", "models", "tags", "ranks",
)  # fmt: skip
_LIST = ", ".join(COLUMNS)
_INSERT = f"""
    INSERT INTO traces_trace ({_LIST})
    SELECT {_LIST} FROM json_populate_recordset(NULL::traces_trace, %s::json) ORDER BY trace_id
    ON CONFLICT (project_id, trace_id) DO NOTHING
    RETURNING trace_id
"""  # noqa: S608 - column names are constants of this module
_CHANGING = COLUMNS[2:]
_UPDATE = f"""
    UPDATE traces_trace AS t SET ({", ".join(_CHANGING)}) = ({", ".join(f"r.{name}" for name in _CHANGING)})
    FROM json_populate_recordset(NULL::traces_trace, %s::json) AS r
    WHERE t.project_id = r.project_id AND t.trace_id = r.trace_id
"""  # noqa: S608
_LOCK = f"""
    SELECT {_LIST} FROM traces_trace
    WHERE project_id = %s AND trace_id = ANY(%s)
    ORDER BY trace_id
    FOR UPDATE
"""  # noqa: S608


def _time(us: int | None) -> str | None:
    if us is None:
        return None
    return time_of(us).isoformat()


def _record(project_id: int, now: str, summary: TraceSummary) -> dict[str, Any]:
    record: dict[str, Any] = {name: getattr(summary, name) for name in _PLAIN}
    record["project_id"] = project_id
    record["trace_id"] = str(summary.trace_id)
    record["started_at"] = _time(summary.started_us)
    record["last_started_at"] = _time(summary.last_started_us)
    record["ended_at"] = _time(summary.ended_us)
    record["updated_at"] = now
    for at, name in enumerate(BUCKETS):
        record[name] = summary.tokens[at]
    record["cost_pico"] = str(summary.cost_pico)
    record["cost_reported_pico"] = None if summary.cost_reported_pico is None else str(summary.cost_reported_pico)
    record["models"] = capped(summary.models, MAX_MODELS)
    record["tags"] = capped(summary.tags, MAX_TAGS)
    record["ranks"] = write_ranks(summary.ranks)
    return record


def insert_new(cursor: Cursor[Any], project_id: int, summaries: Iterable[TraceSummary]) -> set[UUID]:
    """Insert the traces that are not there yet; the ids of those inserted. Waits for rivals, in order of id."""
    now = clock.now().isoformat()
    records = [_record(project_id, now, summary) for summary in summaries]
    cursor.execute(_INSERT, (orjson.dumps(records).decode(),))
    return {row[0] for row in cursor.fetchall()}


def lock_known(project_id: int, trace_ids: Iterable[UUID]) -> dict[UUID, TraceSummary]:
    """The stored rows of `trace_ids`, locked until the transaction ends, in order of id."""
    with raw_cursor(dict_row) as rows:
        rows.execute(_LOCK, (project_id, sorted(trace_ids)))
        return {row["trace_id"]: _summary(row) for row in rows.fetchall()}


def update_known(cursor: Cursor[Any], project_id: int, summaries: Iterable[TraceSummary]) -> None:
    """Write merged rows back; the caller holds their locks."""
    now = clock.now().isoformat()
    records = [_record(project_id, now, summary) for summary in summaries]
    if records:
        cursor.execute(_UPDATE, (orjson.dumps(records).decode(),))


def time_of(us: int) -> datetime:
    """The stored time of microseconds since 1970, inside years 1-9999."""
    return clock.from_ns(min(max(us, MIN_US), MAX_US) * 1000)


def us_of(value: datetime) -> int:
    """Microseconds since 1970 of a stored time, exact."""
    delta = value - clock.EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _summary(row: dict[str, Any]) -> TraceSummary:
    summary = TraceSummary(row["trace_id"], us_of(row["started_at"]), us_of(row["last_started_at"]))
    for name in _PLAIN:
        setattr(summary, name, row[name])
    summary.ended_us = None if row["ended_at"] is None else us_of(row["ended_at"])
    summary.tokens = [row[name] for name in BUCKETS]
    summary.cost_pico = int(row["cost_pico"])
    summary.cost_reported_pico = whole(row["cost_reported_pico"])
    summary.models = set(row["models"])
    summary.tags = set(row["tags"])
    summary.ranks = read_ranks(row["ranks"])
    return summary
