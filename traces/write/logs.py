"""Storing GenAI log events. They stay beside their spans and are joined when somebody reads; only the previews of the
trace row are brought up to date here, by whichever of span and event comes second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import orjson
import zstandard
from django.db import transaction
from psycopg import Cursor, sql
from psycopg.rows import dict_row

from telltale.lib.db import raw_cursor
from traces.canonical.content import log_previews
from traces.canonical.types import EVALUATION, Kind, LogEvent, LogIntake
from traces.masking import Masker
from traces.summary import LOG_CLASS, TraceSummary
from traces.write import erased, feed, partitions, rows, traces
from traces.write.batch import Batch, Outcome, write_batch_row
from traces.write.masking import mask_logs, mask_rejections

_COPY_STAGE = f"COPY span_log_stage ({', '.join(rows.LOG_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS span_log_stage (LIKE traces_span_log) ON COMMIT DELETE ROWS"
_MOVE = "INSERT INTO traces_span_log SELECT * FROM span_log_stage ON CONFLICT DO NOTHING"
_EVENTS = """
    SELECT trace_id, span_id, event_name, happened_at, ordinal, data FROM traces_span_log
    WHERE project_id = %s AND trace_id = ANY(%s)
    ORDER BY happened_at, ordinal
    LIMIT 20000
"""
_SPANS = """
    SELECT span_id, parent_span_id, started_at, kind FROM traces_span
    WHERE project_id = %s AND trace_id = %s AND span_id = ANY(%s::bigint[]) AND started_at >= %s AND started_at <= %s
"""


def store_logs(
    batch: Batch,
    intake: LogIntake,
    *,
    has_erased: bool = False,
    masker: Masker | None = None,
    is_suspect: bool = True,
) -> Outcome:
    """Commit the events of `intake`; those stored already are counted as duplicates.

    `has_erased`: whether some may be of traces that were erased.
    """
    if has_erased:
        intake = erased.logs_without_erased(batch.project_id, intake)
    masked: Mapping[str, int] = {}
    if masker is not None:
        masked = mask_logs(batch.project_id, intake, masker, is_suspect=is_suspect)
        intake.rejections = mask_rejections(intake.rejections, masker)
    outcome = Outcome(received=intake.received, dropped=dict(intake.dropped), masked=masked)
    for rejection in intake.rejections:
        outcome.reject(rejection.reason, rejection.message, rejection.count)
    events: dict[tuple[UUID, int, int], LogEvent] = {}
    for event in intake.events:
        events.setdefault((event.trace_id, event.span_id, event.digest), event)
    partitions.ensure_days("traces_span_log", {partitions.day_of(event.happened_us) for event in events.values()})
    with transaction.atomic(), raw_cursor() as cursor:
        if events:
            outcome.stored = _insert(cursor, batch, events.values())
            outcome.first_us = min(event.happened_us for event in events.values())
            outcome.last_us = max(event.happened_us for event in events.values())
        outcome.duplicate = len(intake.events) - outcome.stored
        if outcome.stored:
            feed.tell(cursor, batch.project_id, {e.trace_id for e in events.values()}, (feed.Consumer.SEARCH,))
            evaluated = {e.trace_id for e in events.values() if e.event_name == EVALUATION}
            feed.tell(cursor, batch.project_id, evaluated, (feed.Consumer.ABOVE,))
        write_batch_row(cursor, batch, outcome)
    if events:
        join_previews(batch.project_id, {event.trace_id for event in events.values()})
    return outcome


def _insert(cursor: Cursor[Any], batch: Batch, events: Iterable[LogEvent]) -> int:
    compressor = zstandard.ZstdCompressor(level=3, write_content_size=True)
    parts = [rows.HEADER]
    for event in sorted(events, key=lambda e: (e.trace_id, e.span_id, e.digest)):
        data = compressor.compress(orjson.dumps(event.body))
        parts.append(rows.log_row(batch.project_id, batch.batch_id, event, data))
    parts.append(rows.TRAILER)
    cursor.execute(_STAGE)
    cursor.execute("DELETE FROM span_log_stage")
    with cursor.copy(_COPY_STAGE) as copy:
        copy.write(b"".join(parts))
    cursor.execute(_MOVE)
    return cursor.rowcount


def join_previews(project_id: int, trace_ids: Iterable[UUID]) -> int:
    """Where a trace has no first or last words of its own, take them from its log events; how many rows changed.

    Safe to repeat. Called after the commit by both sides, spans and events, so that one of them sees both.
    """
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_EVENTS, (project_id, sorted(trace_ids)))
        by_span: dict[tuple[UUID, int], list[dict[str, Any]]] = {}
        unpack = zstandard.ZstdDecompressor()
        for trace_id, span_id, name, happened_at, ordinal, data in cursor.fetchall():
            event = {"event_name": name, "at": happened_at, "ordinal": ordinal, **orjson.loads(unpack.decompress(data))}
            by_span.setdefault((trace_id, span_id), []).append(event)
        if not by_span:
            return 0
        known = traces.lock_known(project_id, {trace_id for trace_id, _ in by_span})
        changed = [summary for summary in known.values() if _take_previews(project_id, summary, by_span)]
        traces.update_known(cursor, project_id, changed)
        feed.tell(cursor, project_id, [summary.trace_id for summary in changed])
    return len(changed)


def _take_previews(
    project_id: int, summary: TraceSummary, by_span: dict[tuple[UUID, int], list[dict[str, Any]]]
) -> bool:
    span_ids = [span_id for trace_id, span_id in by_span if trace_id == summary.trace_id]
    with raw_cursor(dict_row) as cursor:
        low, high = traces.time_of(summary.started_us), traces.time_of(summary.last_started_us)
        cursor.execute(_SPANS, (project_id, summary.trace_id, span_ids, low, high))
        spans = cursor.fetchall()
    is_changed = False
    for span in spans:
        if span["kind"] not in (Kind.GENERATION, Kind.AGENT) and span["parent_span_id"] is not None:
            continue
        first, last = log_previews(by_span[(summary.trace_id, span["span_id"])])
        started = traces.us_of(span["started_at"])
        if first is not None:
            is_changed |= summary.take_preview("preview_in", first, (LOG_CLASS, started, span["span_id"]))
        if last is not None:
            is_changed |= summary.take_preview("preview_out", last, (LOG_CLASS, -started, span["span_id"]))
    return is_changed


def has_events(project_id: int, trace_ids: Iterable[UUID]) -> bool:
    """Whether any log event waits for one of the traces."""
    with raw_cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT 1 FROM traces_span_log WHERE project_id = %s AND trace_id = ANY(%s) LIMIT 1"),
            (project_id, list(trace_ids)),
        )
        return cursor.fetchone() is not None
