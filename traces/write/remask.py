"""Masking again what is stored: texts of spans, their bodies, log events, previews, signals and comments.

Names and ids stay as they are: roll-ups, sessions and users stand on them. A slice locks its traces: ingest waits
for it and it for ingest; what it changes is committed with the job's position.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import zstandard
from django.db import transaction
from psycopg import Cursor

from telltale.lib.db import raw_cursor
from traces.canonical.types import EVALUATION, SpanFlag
from traces.masking import Masker, Mode
from traces.masking.spans import numbers_of, score_of, strip_body
from traces.write import feed

ZSTD_LEVEL = 3
BODY_BYTES_MAX = 256 * 1024 * 1024

_NEXT = """
    SELECT trace_id, started_at, last_started_at, feature, preview_in, preview_out FROM traces_trace
    WHERE project_id = %(project_id)s AND started_at < %(until)s
        AND (%(at)s::timestamptz IS NULL OR (started_at, trace_id) < (%(at)s::timestamptz, %(id)s::uuid))
    ORDER BY started_at DESC, trace_id DESC
    LIMIT %(limit)s
    FOR NO KEY UPDATE
"""
_THESE = """
    SELECT trace_id, started_at, last_started_at, feature, preview_in, preview_out FROM traces_trace
    WHERE project_id = %(project_id)s AND trace_id = ANY(%(ids)s)
    ORDER BY trace_id
    FOR NO KEY UPDATE
"""
_COUNT = "SELECT count(*) FROM traces_trace WHERE project_id = %s AND started_at < %s"
_PREVIEWS = "UPDATE traces_trace SET preview_in = %s, preview_out = %s WHERE project_id = %s AND trace_id = %s"
_PAYLOADS = """
    SELECT trace_id, payload_id, started_at, data FROM traces_payload
    WHERE project_id = %s AND trace_id = ANY(%s) AND started_at >= %s AND started_at <= %s
    ORDER BY trace_id, payload_id
"""
_PAYLOAD = """
    UPDATE traces_payload SET data = %s, raw_bytes = %s
    WHERE project_id = %s AND trace_id = %s AND payload_id = %s AND started_at = %s
"""
_SPANS = """
    SELECT trace_id, span_id, started_at, flags, status_message, tags, metadata, attributes FROM traces_span
    WHERE project_id = %s AND trace_id = ANY(%s) AND started_at >= %s AND started_at <= %s
    ORDER BY trace_id, span_id
"""
_SPAN = """
    UPDATE traces_span SET flags = %s, status_message = %s, tags = %s, metadata = %s::jsonb, attributes = %s::jsonb
    WHERE project_id = %s AND trace_id = %s AND span_id = %s AND started_at = %s
"""
_LOGS = """
    SELECT trace_id, span_id, digest, happened_at, event_name, data FROM traces_span_log
    WHERE project_id = %s AND trace_id = ANY(%s)
    ORDER BY trace_id, span_id, digest
"""
_LOG = """
    UPDATE traces_span_log SET data = %s
    WHERE project_id = %s AND trace_id = %s AND span_id = %s AND digest = %s AND happened_at = %s
"""
_DROP_LOG = """
    DELETE FROM traces_span_log
    WHERE project_id = %s AND trace_id = %s AND span_id = %s AND digest = %s AND happened_at = %s
"""
_SIGNALS = """
    SELECT signal_key, comment, value_text, value_label, metadata, feature FROM traces_signal
    WHERE project_id = %(project_id)s AND (%(after)s::uuid IS NULL OR signal_key > %(after)s::uuid)
    ORDER BY signal_key
    LIMIT %(limit)s
    FOR UPDATE
"""
_SIGNAL = """
    UPDATE traces_signal SET comment = %s, value_text = %s, value_label = %s, metadata = %s::jsonb
    WHERE project_id = %s AND signal_key = %s
"""
_COMMENTS = """
    SELECT trace_id, comment_id, body FROM traces_comment WHERE project_id = %s AND trace_id = ANY(%s) FOR UPDATE
"""
_COMMENT = "UPDATE traces_comment SET body = %s WHERE project_id = %s AND trace_id = %s AND comment_id = %s"

Position = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class Held:
    """A locked trace."""

    trace_id: UUID
    first: datetime
    last: datetime
    mode: Mode
    previews: tuple[str | None, str | None]


def count_traces(cursor: Cursor[Any], project_id: int, until: datetime) -> int:
    """How many traces started before."""
    cursor.execute(_COUNT, (project_id, until))
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def next_traces(
    cursor: Cursor[Any], project_id: int, until: datetime, after: Position | None, masker: Masker, limit: int
) -> list[Held]:
    """The next traces of the project, newest first, locked until the transaction ends."""
    at, last = after or (None, None)
    cursor.execute(
        _NEXT, {"project_id": project_id, "until": until, "at": at, "id": last, "limit": limit}, prepare=False
    )
    return [_held(row, masker) for row in cursor.fetchall()]


def these_traces(cursor: Cursor[Any], project_id: int, ids: Sequence[UUID], masker: Masker) -> list[Held]:
    """These traces of the project, locked until the transaction ends."""
    cursor.execute(_THESE, {"project_id": project_id, "ids": list(ids)}, prepare=False)
    return [_held(row, masker) for row in cursor.fetchall()]


def _held(row: Sequence[Any], masker: Masker) -> Held:
    return Held(row[0], row[1], row[2], masker.policy.mode_of(row[3]), (row[4], row[5]))


def mask_late(project_id: int, ids: Iterable[UUID], masker: Masker) -> None:
    """Mask what was stored of traces before their features were known, in a transaction of its own."""
    with transaction.atomic(), raw_cursor() as cursor:
        mask_traces(cursor, project_id, these_traces(cursor, project_id, sorted(ids), masker), masker)


def mask_traces(cursor: Cursor[Any], project_id: int, held: Sequence[Held], masker: Masker) -> Counter[str]:
    """Mask the texts of locked traces; how often, by rule. Who shows or searches them is told."""
    counts: Counter[str] = Counter()
    todo = {one.trace_id: one for one in held if one.mode is not Mode.OFF}
    if not todo:
        return counts
    asked = (
        project_id, list(todo), min(one.first for one in todo.values()), max(one.last for one in todo.values()),
    )  # fmt: skip
    changed = _mask_payloads(cursor, asked, todo, masker, counts)
    changed |= _mask_spans(cursor, asked, todo, masker, counts)
    changed |= _mask_logs(cursor, asked[:2], todo, masker, counts)
    changed |= _mask_previews(cursor, project_id, todo, masker, counts)
    _mask_comments(cursor, asked[:2], masker, counts)
    feed.tell(cursor, project_id, changed, (feed.Consumer.SEARCH, feed.Consumer.BEHAVIOUR))
    return counts


def _mask_payloads(
    cursor: Cursor[Any], asked: tuple[Any, ...], todo: dict[UUID, Held], masker: Masker, counts: Counter[str]
) -> set[UUID]:
    changed: set[UUID] = set()
    cursor.execute(_PAYLOADS, asked, prepare=False)
    for trace_id, payload_id, started_at, data in cursor.fetchall():
        raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=BODY_BYTES_MAX)
        is_stripped = todo[trace_id].mode is Mode.NO_CONTENT
        if not is_stripped and not masker.suspects_value(raw):
            continue
        before = orjson.loads(raw)
        bodies = {name: strip_body(body) for name, body in before.items()} if is_stripped else before
        after = masker.value(bodies, counts)
        if after == before:
            continue
        for name, body in after.items():
            body |= {time: before[name][time] for time in ("start_ns", "end_ns") if time in before[name]}
        if is_stripped:
            counts["no content"] += len(after)
        new = orjson.dumps(after)
        packed = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress(new)
        cursor.execute(_PAYLOAD, (packed, len(new), asked[0], trace_id, payload_id, started_at))
        changed.add(trace_id)
    return changed


def _mask_spans(
    cursor: Cursor[Any], asked: tuple[Any, ...], todo: dict[UUID, Held], masker: Masker, counts: Counter[str]
) -> set[UUID]:
    changed: set[UUID] = set()
    cursor.execute(_SPANS, asked, prepare=False)
    for trace_id, span_id, started_at, flags, *told in cursor.fetchall():
        told[2:] = [_loaded(value) for value in told[2:]]
        if todo[trace_id].mode is Mode.NO_CONTENT:
            message, tags, metadata, attributes = None, None, numbers_of(told[2]), numbers_of(told[3])
            flag = SpanFlag.NO_CONTENT
        else:
            message, tags, metadata, attributes = told
            flag = SpanFlag.MASKED
        new = [masker.value(value, counts) for value in (message, tags, metadata, attributes)]
        if new == told:
            continue
        values = (flags | flag, new[0], new[1], _json(new[2]), _json(new[3]))
        cursor.execute(_SPAN, (*values, asked[0], trace_id, span_id, started_at))
        changed.add(trace_id)
    return changed


def _mask_logs(
    cursor: Cursor[Any], asked: tuple[Any, ...], todo: dict[UUID, Held], masker: Masker, counts: Counter[str]
) -> set[UUID]:
    changed: set[UUID] = set()
    cursor.execute(_LOGS, asked, prepare=False)
    for trace_id, span_id, digest, happened_at, name, data in cursor.fetchall():
        key = (asked[0], trace_id, span_id, digest, happened_at)
        before = orjson.loads(zstandard.ZstdDecompressor().decompress(data, max_output_size=BODY_BYTES_MAX))
        after = before
        if todo[trace_id].mode is Mode.NO_CONTENT:
            if name != EVALUATION:
                cursor.execute(_DROP_LOG, key)
                counts["no content"] += 1
                changed.add(trace_id)
                continue
            after = {part: score_of(before.get(part)) for part in ("body", "attributes")}
        after = masker.value(after, counts)
        if after != before:
            packed = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress(orjson.dumps(after))
            cursor.execute(_LOG, (packed, *key))
            changed.add(trace_id)
    return changed


def _mask_previews(
    cursor: Cursor[Any], project_id: int, todo: dict[UUID, Held], masker: Masker, counts: Counter[str]
) -> set[UUID]:
    changed: set[UUID] = set()
    for trace_id, held in todo.items():
        is_stripped = held.mode is Mode.NO_CONTENT
        new = (None, None) if is_stripped else tuple(masker.value(text, counts) for text in held.previews)
        if new != held.previews:
            cursor.execute(_PREVIEWS, (*new, project_id, trace_id))
            changed.add(trace_id)
    return changed


def _mask_comments(cursor: Cursor[Any], asked: tuple[Any, ...], masker: Masker, counts: Counter[str]) -> None:
    cursor.execute(_COMMENTS, asked, prepare=False)
    for trace_id, comment_id, body in cursor.fetchall():
        masked = masker.text(body, counts)
        if masked != body:
            cursor.execute(_COMMENT, (masked, asked[0], trace_id, comment_id))


def mask_signals(
    cursor: Cursor[Any], project_id: int, after: UUID | None, masker: Masker, limit: int
) -> tuple[UUID | None, int, Counter[str]]:
    """Mask the next signals by key: (the last key, None at the end; how many were looked at; how often by rule)."""
    counts: Counter[str] = Counter()
    cursor.execute(_SIGNALS, {"project_id": project_id, "after": after, "limit": limit}, prepare=False)
    found = cursor.fetchall()
    for key, comment, text, label, metadata, feature in found:
        mode = masker.policy.mode_of(feature)
        if mode is Mode.OFF:
            continue
        told = (comment, text, label, _loaded(metadata))
        kept = (None, None, label, numbers_of(told[3])) if mode is Mode.NO_CONTENT else told
        new = tuple(masker.value(value, counts) for value in kept)
        if new != told:
            counts["no content"] += mode is Mode.NO_CONTENT
            cursor.execute(_SIGNAL, (*new[:3], _json(new[3]), project_id, key))
    return (found[-1][0] if len(found) == limit else None), len(found), +counts


def _loaded(value: Any) -> Any:
    """A column of JSON as a value, however the cursor gives it."""
    return orjson.loads(value) if isinstance(value, str) else value


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
