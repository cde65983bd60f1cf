"""Storing spans: one transaction for spans, bodies, trace sums and the accounting row.

The trace row is the lock. New traces are inserted with their sums and their spans copied straight in; for traces that
were there already the row is locked, spans that are stored already are found by (trace, span) within the trace's time
bounds whatever start they carry now, and only the new ones count. A unique violation (a trace row that was removed
under its spans) takes the slow road, which looks for every span without bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import psycopg
from django.db import transaction
from psycopg import Cursor, errors

from telltale.lib.db import raw_cursor
from traces.canonical.content import previews
from traces.canonical.types import CanonicalSpan, Intake, Kind, Origin, SpanFlag
from traces.cost.book import PriceBook
from traces.cost.pricing import price_span
from traces.masking import Masker
from traces.meters import measure
from traces.summary import TraceSummary
from traces.wire.ids import hex_span_id
from traces.write import counting, erased, feed, late, logs, partitions, remask, traces
from traces.write.batch import Batch, Outcome, write_batch_row
from traces.write.copying import copy_spans
from traces.write.masking import mask_rejections, mask_spans

DEADLOCK_TRIES = 4
# Plain integers: arithmetic on enum flags costs a microsecond each.
_HAS_INPUT = int(SpanFlag.HAS_INPUT)
_HAS_OUTPUT = int(SpanFlag.HAS_OUTPUT)
_AGGREGATED_USAGE = int(SpanFlag.AGGREGATED_USAGE)
_EVALUATED = int(SpanFlag.EVALUATED)

_FIND_STORED = """
    SELECT trace_id, span_id, name, started_at FROM traces_span
    WHERE project_id = %s AND trace_id = ANY(%s) AND span_id = ANY(%s::bigint[])
        AND started_at >= %s AND started_at <= %s
"""
_FIND_STORED_ANYWHERE = """
    SELECT trace_id, span_id, name, started_at FROM traces_span
    WHERE project_id = %s AND trace_id = ANY(%s) AND span_id = ANY(%s::bigint[])
"""
_INSERT_ORIGIN = """
    INSERT INTO traces_origin (
        project_id, origin_id, resource, scope_name, scope_version, scope_attributes, vocabulary
    ) VALUES (%s, %s, %s::jsonb, %s, %s, %s::jsonb, %s)
    ON CONFLICT DO NOTHING
"""
# Held until the commit, so that an erasure which looks whether anybody uses it sees our spans.
_HOLD_ORIGINS = """
    SELECT 1 FROM traces_origin WHERE project_id = %s AND origin_id = ANY(%s) ORDER BY origin_id FOR KEY SHARE
"""

# Until when an origin is taken for stored. Shorter than an erasure waits before it removes those of nobody.
ORIGIN_SECONDS = 2.0
_known_origins: dict[tuple[int, int], float] = {}
_known_projects: set[int] = set()

SpanKey = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a project does with its spans on the way in: prices, features by root name or service, sending on."""

    book: PriceBook
    feature_of: Callable[[str, str | None], str | None]
    forwards: bool = False  # whether new spans are sent on to somebody
    is_watched: bool = False  # whether a room above wants to know of new spans
    is_traffic: bool = False  # whether spans are an application's own, to be sampled: not calls of ours
    has_erased: bool = False  # whether somebody was erased whose spans may still come
    is_erasing: bool = False  # whether an erasure is under way: nothing stored is taken for known then
    masker: Masker | None = None  # what of their text is not to be stored


@dataclass(slots=True)
class _Work:
    """The spans of a request, each once, by trace."""

    by_trace: dict[UUID, list[CanonicalSpan]] = field(default_factory=dict)
    duplicate: int = 0
    collisions: list[CanonicalSpan] = field(default_factory=list)
    masked: Mapping[str, int] = field(default_factory=dict)
    # Traces some spans of which were refused as somebody's who was erased, and by which erasure.
    parted: Mapping[UUID, int] = field(default_factory=dict)

    @property
    def spans(self) -> Iterable[CanonicalSpan]:
        for spans in self.by_trace.values():
            yield from spans


def store_spans(batch: Batch, intake: Intake, rules: Rules, *, is_suspect: bool = True) -> Outcome:
    """Commit what `intake` holds; what became of each of its spans. Nothing is committed where this raises.

    `is_suspect`: whether anything in the request may have to be masked (Masker.suspects).
    Raises psycopg.OperationalError (and kin) where the database is away, for the edge to answer 503.
    """
    parted: Mapping[UUID, int] = {}
    if rules.has_erased:
        intake, parted = erased.without_erased(batch.project_id, intake)
    work = _once_each(intake.spans)
    work.parted = parted
    for span in work.spans:
        price_span(span, rules.book)
        if span.has_input:
            span.flags |= _HAS_INPUT
        if span.has_output:
            span.flags |= _HAS_OUTPUT
        if span.aggregated_usage:
            span.flags |= _AGGREGATED_USAGE
    late_masked: set[UUID] = set()
    if rules.masker is not None:
        # After pricing, before anything is stored: names of models count as they were sent.
        work.masked, late_masked = mask_spans(
            batch.project_id, work.by_trace, rules.masker, rules.feature_of, is_suspect=is_suspect
        )
        intake.rejections = mask_rejections(intake.rejections, rules.masker)
    unstorable: dict[SpanKey, str] = {}
    is_slow = False
    for attempt in range(DEADLOCK_TRIES):
        try:
            days = {partitions.day_of(span.started_us) for span in work.spans}
            partitions.ensure_days("traces_span", days)
            partitions.ensure_days("traces_payload", days)
            outcome, touched = _store(batch, intake, work, rules, unstorable, is_slow)
        except errors.UniqueViolation:
            if is_slow:
                raise
            is_slow = True
        except (errors.DeadlockDetected, errors.SerializationFailure):
            if attempt + 1 == DEADLOCK_TRIES:
                raise
            time.sleep(0.01 * (attempt + 1))
        except (psycopg.DataError, psycopg.IntegrityError):
            if unstorable:
                raise
            unstorable = _find_unstorable(batch, work)
            if not unstorable:
                raise
        else:
            counting.close_races(batch.project_id, touched)
            _join_logs(batch.project_id, work)
            if rules.masker is not None and late_masked - touched.inserted:
                remask.mask_late(batch.project_id, late_masked - touched.inserted, rules.masker)
            return outcome
    raise errors.DeadlockDetected("the batch lost every try against its rivals")


def _join_logs(project_id: int, work: _Work) -> None:
    """Log events that came before their span wait beside it; bring the trace's first and last words up to date."""
    wanting = {
        span.trace_id
        for span in work.spans
        if span.kind in (Kind.GENERATION, Kind.AGENT) and not (span.has_input and span.has_output)
    }
    if wanting and logs.has_events(project_id, wanting):
        logs.join_previews(project_id, wanting)


def _once_each(spans: Sequence[CanonicalSpan]) -> _Work:
    work = _Work()
    seen: dict[SpanKey, CanonicalSpan] = {}
    for span in spans:
        key = (span.trace_id, span.span_id)
        first = seen.get(key)
        if first is None:
            seen[key] = span
            held = work.by_trace.get(span.trace_id)
            if held is None:
                work.by_trace[span.trace_id] = [span]
            else:
                held.append(span)
        elif first.name != span.name and first.started_us != span.started_us:
            work.collisions.append(span)
        else:
            work.duplicate += 1
    return work


def _store(
    batch: Batch, intake: Intake, work: _Work, rules: Rules, unstorable: dict[SpanKey, str], is_slow: bool
) -> tuple[Outcome, counting.Touched]:
    outcome = Outcome(received=intake.received, duplicate=work.duplicate, masked=work.masked)
    for rejection in intake.rejections:
        outcome.reject(rejection.reason, rejection.message, rejection.count)
    for span in work.collisions:
        outcome.reject("id_collision", _collision_message(span))
    by_trace = work.by_trace
    if unstorable:
        by_trace = {}
        for trace_id, spans in work.by_trace.items():
            kept = [span for span in spans if (trace_id, span.span_id) not in unstorable]
            if kept:
                by_trace[trace_id] = kept
        for message in unstorable.values():
            outcome.reject("not_storable", message)
    with transaction.atomic(), raw_cursor() as cursor:
        touched = counting.settle(by_trace)
        if by_trace:
            _write(cursor, batch, by_trace, rules, outcome, touched, is_slow)
        if work.parted:
            late.refuse(cursor, batch.project_id, batch.key_id, work.parted, batch.batch_id)
        write_batch_row(cursor, batch, outcome)
    for trace_id in by_trace:
        _remember(batch.project_id, by_trace[trace_id])
    return outcome, touched


def _write(
    cursor: Cursor[Any],
    batch: Batch,
    by_trace: dict[UUID, list[CanonicalSpan]],
    rules: Rules,
    outcome: Outcome,
    touched: counting.Touched,
    is_slow: bool,
) -> None:
    project_id = batch.project_id
    linked = counting.find_linked(cursor, project_id, touched)
    summaries = {} if linked else {trace_id: _summarise(trace_id, by_trace[trace_id], rules) for trace_id in by_trace}
    inserted: set[UUID] = set()
    if summaries and not is_slow:
        inserted = touched.inserted = traces.insert_new(cursor, project_id, summaries.values())
    fresh = {trace_id: by_trace[trace_id] for trace_id in by_trace if trace_id in inserted}
    if len(inserted) < len(by_trace):
        rest = {trace_id: spans for trace_id, spans in by_trace.items() if trace_id not in inserted}
        fresh |= _merge(cursor, project_id, rest, linked, rules, outcome, touched, is_slow)
    stored = [span for spans in fresh.values() for span in spans]
    outcome.stored = len(stored)
    if stored:
        outcome.first_us = min(span.started_us for span in stored)
        outcome.last_us = max(span.started_us for span in stored)
    _write_origins(cursor, project_id, stored, is_erasing=rules.is_erasing)
    copy_spans(cursor, batch, fresh)
    feed.tell(cursor, project_id, set(fresh) | touched.recounted, batch_id=batch.batch_id)
    if rules.forwards:
        feed.tell(cursor, project_id, fresh, (feed.Consumer.FORWARD,), batch.batch_id)
    told = fresh if rules.is_watched else {span.trace_id for span in stored if span.flags & _EVALUATED}
    feed.tell(cursor, project_id, told, (feed.Consumer.ABOVE,), batch.batch_id)
    if rules.is_traffic:
        outcome.calls = measure(stored)
        feed.tell(cursor, project_id, fresh, (feed.Consumer.SAMPLE,), batch.batch_id)
    if stored and project_id not in _known_projects:
        cursor.execute(
            "UPDATE projects_project SET first_span_at = clock_timestamp() WHERE id = %s AND first_span_at IS NULL",
            (project_id,),
        )


def _merge(
    cursor: Cursor[Any],
    project_id: int,
    by_trace: dict[UUID, list[CanonicalSpan]],
    linked: set[UUID],
    rules: Rules,
    outcome: Outcome,
    touched: counting.Touched,
    is_slow: bool,
) -> dict[UUID, list[CanonicalSpan]]:
    """Take spans into traces that are there already (or may be); the spans that are new, by trace."""
    empties = [TraceSummary(trace_id, *_bounds(spans)) for trace_id, spans in by_trace.items()]
    traces.insert_new(cursor, project_id, empties)
    known = traces.lock_known(project_id, set(by_trace) | linked)
    stored = _find_stored(cursor, project_id, by_trace, known, is_slow)
    fresh: dict[UUID, list[CanonicalSpan]] = {}
    for trace_id, spans in by_trace.items():
        new: list[CanonicalSpan] = []
        for span in spans:
            earlier = stored.get((trace_id, span.span_id))
            if earlier is None:
                new.append(span)
            elif earlier[0] != span.name and earlier[1] != traces.time_of(span.started_us):
                outcome.reject("id_collision", _collision_message(span))
            else:
                outcome.duplicate += 1
        if new:
            fresh[trace_id] = new
    counting.settle_known(cursor, project_id, fresh, known, linked, touched)
    changed: list[TraceSummary] = [known[trace_id] for trace_id in touched.recounted if trace_id in known]
    for trace_id, spans in fresh.items():
        summary = known[trace_id]
        summary.merge(_summarise(trace_id, spans, rules))
        summary.apply_rule(rules.feature_of)
        if trace_id not in touched.recounted:
            changed.append(summary)
    traces.update_known(cursor, project_id, changed)
    # A row made above for a trace all of whose spans were rejected as collisions would stand empty.
    hollow = [trace_id for trace_id in by_trace if known[trace_id].span_count == 0]
    if hollow:
        cursor.execute(
            "DELETE FROM traces_trace WHERE project_id = %s AND trace_id = ANY(%s) AND span_count = 0",
            (project_id, hollow),
        )
    return fresh


def _bounds(spans: Sequence[CanonicalSpan]) -> tuple[int, int]:
    starts = [span.started_us for span in spans]
    return min(starts), max(starts)


def _find_stored(
    cursor: Cursor[Any],
    project_id: int,
    by_trace: dict[UUID, list[CanonicalSpan]],
    known: dict[UUID, TraceSummary],
    is_slow: bool,
) -> dict[SpanKey, tuple[str, Any]]:
    span_ids = [span.span_id for spans in by_trace.values() for span in spans]
    if is_slow:
        cursor.execute(_FIND_STORED_ANYWHERE, (project_id, list(by_trace), span_ids))
    else:
        held = [known[trace_id] for trace_id in by_trace if known[trace_id].span_count]
        if not held:
            return {}
        low = traces.time_of(min(summary.started_us for summary in held))
        high = traces.time_of(max(summary.last_started_us for summary in held))
        cursor.execute(_FIND_STORED, (project_id, [s.trace_id for s in held], span_ids, low, high))
    return {(row[0], row[1]): (row[2], row[3]) for row in cursor.fetchall()}


def _summarise(trace_id: UUID, spans: Sequence[CanonicalSpan], rules: Rules) -> TraceSummary:
    summary = TraceSummary(trace_id)
    for span in spans:
        summary.add(span)
    summary.take_words(_words)
    summary.apply_rule(rules.feature_of)
    return summary


def _words(span: CanonicalSpan) -> tuple[str | None, str | None]:
    """The first and last words of a span; none where its content has a shape that nobody foresaw.

    Content is the sender's and of any shape. A preview must never cost a batch its commit, now and at every retry.
    """
    try:
        return previews(span)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return None, None


def _collision_message(span: CanonicalSpan) -> str:
    return (
        f"span_id {hex_span_id(span.span_id)} of trace_id {span.trace_id.hex} is stored already "
        "with another name and another start"
    )


def _write_origins(
    cursor: Cursor[Any], project_id: int, spans: Sequence[CanonicalSpan], *, is_erasing: bool = False
) -> None:
    origins: dict[int, Origin] = {}
    now = time.monotonic()
    for span in spans:
        if is_erasing or _known_origins.get((project_id, span.origin.key), 0.0) < now:
            origins[span.origin.key] = span.origin
    for key in sorted(origins):
        origin = origins[key]
        cursor.execute(
            _INSERT_ORIGIN,
            (
                project_id,
                key,
                orjson.dumps(origin.resource).decode(),
                origin.scope_name,
                origin.scope_version,
                orjson.dumps(origin.scope_attributes).decode(),
                str(origin.vocabulary),
            ),
            prepare=True,
        )
    if is_erasing and origins:
        cursor.execute(_HOLD_ORIGINS, (project_id, sorted(origins)))
        if cursor.rowcount < len(origins):  # removed between the two statements: they are nobody's but ours now
            _write_origins(cursor, project_id, spans, is_erasing=True)


def _remember(project_id: int, spans: Iterable[CanonicalSpan]) -> None:
    """After the commit: these origins and this project need no write next time."""
    if len(_known_origins) > 100_000:
        _known_origins.clear()
    now = time.monotonic()
    for span in spans:
        if _known_origins.get((project_id, span.origin.key), 0.0) < now:
            _known_origins[(project_id, span.origin.key)] = now + ORIGIN_SECONDS
    _known_projects.add(project_id)


def forget() -> None:
    """Forget what is known to be stored (tests; after erasure)."""
    _known_origins.clear()
    _known_projects.clear()


def _find_unstorable(batch: Batch, work: _Work) -> dict[SpanKey, str]:
    """Try each span alone, undone at once: which ones PostgreSQL refuses, so that one bad row costs one row."""
    bad: dict[SpanKey, str] = {}
    for span in work.spans:
        try:
            with transaction.atomic(), raw_cursor() as cursor:
                summary = TraceSummary(span.trace_id)
                summary.add(span)
                summary.take_words(_words)
                traces.insert_new(cursor, batch.project_id, [summary])
                copy_spans(cursor, batch, {span.trace_id: [span]})
                _write_origins(cursor, batch.project_id, [span])
                transaction.set_rollback(True)
        except errors.UniqueViolation:
            continue
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            bad[(span.trace_id, span.span_id)] = (
                f"span_id {hex_span_id(span.span_id)} holds a value that cannot be stored ({error.sqlstate})"
            )
    return bad
