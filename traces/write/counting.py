"""Settling which spans count, as spans arrive: among themselves, against stored ones of their traces, and against spans
of other traces that tell the same provider call. `traces.cost.counting` decides; here its outcome is kept true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg import Cursor
from psycopg.rows import dict_row

from telltale.lib.db import raw_cursor
from traces.canonical.types import BUCKETS, CanonicalSpan, CountReason, Kind, SpanFlag, Vocabulary
from traces.cost.counting import CallView, Verdict, call_view, is_stream_log, needs_view, resolve
from traces.summary import Contribution, TraceSummary
from traces.write import feed, traces

SpanKey = tuple[UUID, int]
Parents = dict[UUID, dict[int, int | None]]

# Beyond this many spans a trace is not searched for double counting; its later spans are counted and flagged.
MAX_TRACE_SPANS = 60_000
# Traces that share response ids are looked at together up to this many: test doubles repeat one id for ever.
MAX_LINKED = 32
MAX_ROUNDS = 3

# Whether any other trace tells one of the response ids about then. Nearly always none does, and this says so at a
# tenth of the price of the search below. Stands on traces_span_response.
_TOLD = """
    SELECT 1 FROM traces_span
    WHERE project_id = %s AND response_id = ANY(%s) AND started_at >= %s - interval '1 hour' AND started_at <= %s
        AND trace_id <> ALL(%s)
    LIMIT 1
"""
# One row per other span that tells a response id in an overlapping time under another origin; at most 32 starts a call
# are looked at. Stands on traces_span_response.
_LINKED = """
    SELECT DISTINCT found.trace_id
    FROM unnest(
        %(ids)s::text[], %(traces)s::uuid[], %(lows)s::timestamptz[], %(highs)s::timestamptz[], %(origins)s::bigint[]
    ) AS mine (response_id, trace_id, low, high, origin_id)
    CROSS JOIN LATERAL (
        SELECT near.trace_id
        FROM (
            SELECT s.trace_id, s.origin_id, s.started_at, s.duration_ns
            FROM traces_span AS s
            WHERE s.project_id = %(project_id)s AND s.response_id = mine.response_id
                AND s.started_at >= %(low)s - interval '1 hour' AND s.started_at <= %(high)s
                AND s.started_at >= mine.low - interval '1 hour' AND s.started_at <= mine.high
            ORDER BY s.started_at DESC
            LIMIT 32
        ) AS near
        WHERE near.origin_id <> mine.origin_id AND near.trace_id <> mine.trace_id
            AND near.started_at + make_interval(secs => COALESCE(near.duration_ns, 0) / 1e9) >= mine.low
    ) AS found
    WHERE found.trace_id <> ALL(%(seen)s)
    ORDER BY found.trace_id
    LIMIT 33
"""
_SKELETON = f"""
    SELECT s.trace_id, s.span_id, s.parent_span_id, s.kind, s.flags, s.name, s.started_at, s.duration_ns, s.response_id,
        s.counted, s.duplicate_of_trace, s.duplicate_of_span, s.count_reason, s.cost_status, s.cost_pico,
        s.cost_reported_pico, o.scope_name, s.origin_id, {", ".join("s." + name for name in BUCKETS)}
    FROM traces_span AS s
    JOIN traces_origin AS o ON o.project_id = s.project_id AND o.origin_id = s.origin_id
    WHERE s.project_id = %s AND s.trace_id = ANY(%s) AND s.started_at >= %s AND s.started_at <= %s
"""  # noqa: S608 - names of this module
_REVISE = """
    UPDATE traces_span SET counted = %s, duplicate_of_trace = %s, duplicate_of_span = %s, count_reason = %s
    WHERE project_id = %s AND trace_id = %s AND span_id = %s AND started_at = %s
"""


@dataclass(frozen=True, slots=True)
class Call:
    """A span that tells a response id: what other traces are searched for."""

    response_id: str
    trace_id: UUID
    start_us: int
    end_us: int
    origin_id: int


@dataclass(slots=True)
class Touched:
    """What one store had to do with counting, for the second look after its commit."""

    calls: list[Call] = field(default_factory=list)
    linked: set[UUID] = field(default_factory=set)
    inserted: set[UUID] = field(default_factory=set)  # traces that were new with this request
    recounted: set[UUID] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A stored span that takes part in counting."""

    view: CallView
    started_at: datetime
    verdict: Verdict
    part: Contribution
    call: Call | None


def settle(by_trace: Mapping[UUID, Sequence[CanonicalSpan]]) -> Touched:
    """Decide among the spans of one request alone; marks them, and says which calls other traces may tell too."""
    touched = Touched()
    first_of: dict[str, UUID] = {}
    unclear: set[UUID] = set()
    for trace_id, spans in by_trace.items():
        users = [span for span in spans if needs_view(span.kind, span.usage is not None, span.flags)]
        for span in users:
            span.counted = True
            span.count_reason = span.duplicate_of_span = span.duplicate_of_trace = None
            if span.response_id is not None:
                touched.calls.append(_call(span))
                if first_of.setdefault(span.response_id, trace_id) != trace_id:
                    unclear |= {trace_id, first_of[span.response_id]}
        if (len(users) > 1 and not _stand_apart(spans, users)) or (len(users) == 1 and users[0].aggregated_usage):
            unclear.add(trace_id)
    if unclear:
        spans = [span for trace_id in unclear for span in by_trace[trace_id]]
        _mark(spans, resolve(_views(spans), _parents(spans)))
    return touched


def _is_odd_alone(span: CanonicalSpan) -> bool:
    return span.aggregated_usage or (span.usage is None and is_stream_log(span.name, span.duration_ns))


def _stand_apart(spans: Sequence[CanonicalSpan], users: Sequence[CanonicalSpan]) -> bool:
    """Whether plainly no two of the users tell one call: no shared response id, none above another, nothing odd."""
    ids = [span.response_id for span in users if span.response_id is not None]
    if len(set(ids)) < len(ids):
        return False
    parent_of = {span.span_id: span.parent_span_id for span in spans}
    user_ids = {span.span_id for span in users}
    for span in users:
        if span.aggregated_usage or span.origin.vocabulary == Vocabulary.LOGFIRE:
            return False
        step, walked = span.parent_span_id, 0
        while step is not None:
            if step in user_ids or walked > 200:
                return False
            step, walked = parent_of.get(step), walked + 1
    return True


def _call(span: CanonicalSpan) -> Call:
    end = span.started_us + (span.duration_ns or 0) // 1000
    return Call(span.response_id or "", span.trace_id, span.started_us, end, span.origin.key)


def _views(spans: Iterable[CanonicalSpan]) -> list[CallView]:
    return [view for span in spans if (view := call_view(span)) is not None]


def _parents(spans: Iterable[CanonicalSpan]) -> Parents:
    parents: Parents = {}
    for span in spans:
        parents.setdefault(span.trace_id, {})[span.span_id] = span.parent_span_id
    return parents


def _mark(spans: Iterable[CanonicalSpan], verdicts: Mapping[SpanKey, Verdict]) -> None:
    for span in spans:
        verdict = verdicts.get((span.trace_id, span.span_id))
        if verdict is None:
            continue
        span.counted = verdict.counted
        span.count_reason = verdict.reason
        span.duplicate_of_trace, span.duplicate_of_span = verdict.duplicate_of or (None, None)


def find_linked(cursor: Cursor[Any], project_id: int, touched: Touched) -> set[UUID]:
    """Traces with stored spans that may tell one of the touched calls too."""
    touched.linked = _search(cursor, project_id, touched.calls, set())
    return set(touched.linked)


def _search(
    cursor: Cursor[Any], project_id: int, calls: Sequence[Call], seen: set[UUID], settled: frozenset[UUID] = frozenset()
) -> set[UUID]:
    """Other traces than `seen` that may tell one of `calls`; spans stored in `settled` traces need no search."""
    if not calls:
        return set()
    ids = [call.response_id for call in calls]
    low, high = traces.time_of(min(call.start_us for call in calls)), traces.time_of(max(call.end_us for call in calls))
    cursor.execute(_TOLD, (project_id, ids, low, high, list(settled | seen)))
    if cursor.fetchone() is None:
        return set()
    parameters = {
        "project_id": project_id,
        "ids": ids,
        "traces": [call.trace_id for call in calls],
        "lows": [traces.time_of(call.start_us) for call in calls],
        "highs": [traces.time_of(call.end_us) for call in calls],
        "origins": [call.origin_id for call in calls],
        "low": low,
        "high": high,
        "seen": list(seen),
    }
    cursor.execute(_LINKED, parameters)
    found = {row[0] for row in cursor.fetchall()}
    return found if len(found) <= MAX_LINKED else set()


def settle_known(
    cursor: Cursor[Any],
    project_id: int,
    fresh: Mapping[UUID, Sequence[CanonicalSpan]],
    known: dict[UUID, TraceSummary],
    linked: set[UUID],
    touched: Touched,
) -> None:
    """Decide again where stored spans have a say, and correct theirs and their traces' sums in place.

    `known` holds locked rows; rows of further linked traces are locked and added to it. What changed among stored spans
    is written; sums change in `known` alone, `touched.recounted` says of which traces, for the caller to write.
    """
    again = {trace_id for trace_id, spans in fresh.items() if _must_look_again(known[trace_id], spans)}
    if not again and not linked:
        return
    group = set(linked) | again
    if linked:
        # A linked call may belong to any trace of the request.
        group |= {call.trace_id for call in touched.calls if call.trace_id in fresh}
    stored, parents = _load(cursor, project_id, group, known)
    for _ in range(MAX_ROUNDS):
        calls = [item.call for item in stored.values() if item.call is not None]
        more = _search(cursor, project_id, calls, group)
        if not more:
            break
        known |= traces.lock_known(project_id, more)
        found, found_parents = _load(cursor, project_id, more, known)
        stored |= found
        parents |= found_parents
        group |= more
    new = [span for trace_id in group & set(fresh) for span in fresh[trace_id]]
    for trace_id, above in _parents(new).items():
        parents.setdefault(trace_id, {}).update(above)
    verdicts = resolve([*_views(new), *(item.view for item in stored.values())], parents)
    _mark(new, verdicts)
    _revise(cursor, project_id, stored, verdicts, known, touched)


def _must_look_again(summary: TraceSummary, spans: Sequence[CanonicalSpan]) -> bool:
    if summary.span_count == 0:
        return False
    users = [span for span in spans if needs_view(span.kind, span.usage is not None, span.flags)]
    if summary.span_count > MAX_TRACE_SPANS:
        for span in users:
            span.flags |= SpanFlag.COUNT_UNCHECKED
        return False
    # A span without usage may still be the missing link between two that carry it.
    return summary.usage_count + summary.generation_count > 0 and (bool(users) or summary.usage_count > 1)


def _load(
    cursor: Cursor[Any], project_id: int, trace_ids: set[UUID], known: Mapping[UUID, TraceSummary]
) -> tuple[dict[SpanKey, _Stored], Parents]:
    held = [known[trace_id] for trace_id in trace_ids if trace_id in known and known[trace_id].span_count]
    if not held:
        return {}, {}
    stored: dict[SpanKey, _Stored] = {}
    parents: Parents = {}
    low = traces.time_of(min(summary.started_us for summary in held))
    high = traces.time_of(max(summary.last_started_us for summary in held))
    with raw_cursor(dict_row) as rows:
        rows.execute(_SKELETON, (project_id, [summary.trace_id for summary in held], low, high))
        for row in rows:
            trace_id, span_id = row["trace_id"], row["span_id"]
            parents.setdefault(trace_id, {})[span_id] = row["parent_span_id"]
            buckets = tuple(row[name] for name in BUCKETS)
            has_usage = any(count is not None for count in buckets)
            if needs_view(Kind(row["kind"]), has_usage, row["flags"]):
                stored[(trace_id, span_id)] = _stored(row, buckets, has_usage)
    return stored, parents


def _stored(row: dict[str, Any], buckets: tuple[int | None, ...], has_usage: bool) -> _Stored:
    flags, started = row["flags"], traces.us_of(row["started_at"])
    duration = row["duration_ns"]
    view = CallView(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_span_id=row["parent_span_id"],
        kind=Kind(row["kind"]),
        scope=row["scope_name"],
        started_us=started,
        ended_us=None if duration is None else started + duration // 1000,
        response_id=row["response_id"],
        has_usage=has_usage,
        input_tokens=sum(count or 0 for count in buckets[:5]),
        output_tokens=sum(count or 0 for count in buckets[5:]),
        has_content=bool(flags & (SpanFlag.HAS_INPUT | SpanFlag.HAS_OUTPUT)),
        cache_shown=not flags & SpanFlag.CACHE_UNKNOWN and any(count is not None for count in buckets[1:4]),
        aggregated_usage=bool(flags & SpanFlag.AGGREGATED_USAGE),
        stream_log=is_stream_log(row["name"], duration),
    )
    other = None if row["duplicate_of_span"] is None else (row["duplicate_of_trace"], row["duplicate_of_span"])
    reason = None if row["count_reason"] is None else CountReason(row["count_reason"])
    call = None
    if view.response_id is not None:
        call = Call(view.response_id, view.trace_id, started, view.ended_us or started, row["origin_id"])
    part = Contribution(buckets, row["cost_status"], row["cost_pico"], row["cost_reported_pico"])
    return _Stored(view, row["started_at"], Verdict(row["counted"], other, reason), part, call)


def _revise(
    cursor: Cursor[Any],
    project_id: int,
    stored: Mapping[SpanKey, _Stored],
    verdicts: Mapping[SpanKey, Verdict],
    known: Mapping[UUID, TraceSummary],
    touched: Touched,
) -> None:
    changed: list[tuple[Any, ...]] = []
    for key, item in sorted(stored.items()):
        verdict = verdicts.get(key)
        if verdict is None or verdict == item.verdict:
            continue
        summary = known[key[0]]
        if verdict.counted != item.verdict.counted:
            summary.count(item.part, 1 if verdict.counted else -1)
        summary.duplicate_count += _is_duplicate(verdict) - _is_duplicate(item.verdict)
        touched.recounted.add(key[0])
        other = verdict.duplicate_of or (None, None)
        changed.append((verdict.counted, *other, verdict.reason, project_id, *key, item.started_at))
    if changed:
        cursor.executemany(_REVISE, changed)


def _is_duplicate(verdict: Verdict) -> int:
    return int(not verdict.counted and (verdict.duplicate_of is not None or verdict.reason is not None))


def close_races(project_id: int, touched: Touched) -> int:
    """Look again after the commit: two traces stored at once cannot see each other before it. Traces recounted.

    Whoever commits second sees both, so at least one of two rivals finds the pair.
    """
    if not touched.calls:
        return 0
    with raw_cursor() as cursor:
        # All that stands in a trace new with this request was settled before it was stored.
        found = _search(cursor, project_id, touched.calls, touched.linked, frozenset(touched.inserted))
    if not found:
        return 0
    return recount(project_id, found | {call.trace_id for call in touched.calls})


def recount(project_id: int, trace_ids: set[UUID]) -> int:
    """Decide anew for stored traces and all they are linked to; how many trace rows changed."""
    touched = Touched()
    with transaction.atomic(), raw_cursor() as cursor:
        known = traces.lock_known(project_id, trace_ids)
        settle_known(cursor, project_id, {}, known, set(known), touched)
        traces.update_known(cursor, project_id, [known[trace_id] for trace_id in touched.recounted])
        feed.tell(cursor, project_id, touched.recounted)
    return len(touched.recounted)


__all__ = ["Touched", "close_races", "find_linked", "recount", "settle", "settle_known"]
