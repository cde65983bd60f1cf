"""Folding changed traces into roll-ups, each exactly once, whatever happened to it before.

For each changed trace its whole contribution is read anew from the stored rows; what the ledger says was booked before
is taken away, the new one is added and written down: all in the transaction that takes the feed's entries. So late
spans, late roots, recounts, re-pricing, erasure, repeats and kill -9 end at the same sums. One transaction at a time
folds a project (an advisory lock): two would subtract the same ledger row twice.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction
from psycopg import Cursor, errors, sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load as load_sql
from traces.read.filters import DURATION_NS
from traces.rollup import ledger
from traces.rollup.booking import SPAN_COLUMNS, Building, Contribution, RateOf, begin, finish, take
from traces.rollup.buckets import calendar_of, minute_of
from traces.rollup.covering import Horizon
from traces.rollup.deltas import Delta
from traces.write import behaviour, feed, rollup_memory, rollup_rows, sessions
from traces.write.rollup_memory import State
from traces.write.rows import PG_EPOCH_US

# A transaction takes so many traces (about 0.3 s), from at most so many entries.
SLICE_TRACES = 1000
SLICE_ENTRIES = 1000
# Spans read by one statement; a trace of more is streamed.
READ_SPANS = 8000
# A larger trace is taken again when it grew by a fifth, or a second for each thousand of its spans after it changed:
# at 15 us a span that is at most 2 % of a core for a trace that never ends.
HUGE_SPANS = 2000
HUGE_GROWTH = 1.2
DUE_TRACES = 50
LOCK_CLASS = 0x7454
LOCK_WAIT_MS = 3000
STATEMENT_MS = 60_000
# A process that was stopped (SIGSTOP, a frozen machine) in its transaction must not hold the lock for ever.
IDLE_MS = 60_000

_LIMITS = f"""
    SELECT set_config('lock_timeout', '{LOCK_WAIT_MS}', true), set_config('statement_timeout', '{STATEMENT_MS}', true),
        set_config('idle_in_transaction_session_timeout', '{IDLE_MS}', true)
"""
_LOCK = "SELECT pg_advisory_xact_lock(%s::integer, %s::integer)"
_DUE = """
    SELECT trace_id FROM traces_ledger
    WHERE project_id = %s AND due_at <= now() ORDER BY due_at LIMIT %s
"""
_DEFER = """
    UPDATE traces_ledger AS l SET due_at = now() + k.span_count * interval '1 millisecond'
    FROM unnest(%s::uuid[], %s::integer[]) AS k (trace_id, span_count)
    WHERE l.project_id = %s AND l.trace_id = k.trace_id AND l.due_at IS NULL
"""
_WRITE_LEDGER = """
    INSERT INTO traces_ledger (project_id, trace_id, span_count, version, data)
    SELECT %s, k.trace_id, k.span_count, %s, k.data
    FROM unnest(%s::uuid[], %s::integer[], %s::bytea[]) AS k (trace_id, span_count, data)
    ORDER BY k.trace_id
    ON CONFLICT (project_id, trace_id) DO UPDATE
    SET span_count = excluded.span_count, version = excluded.version, data = excluded.data, due_at = NULL
"""
_KEEP_LEDGER = (
    "UPDATE traces_ledger SET due_at = NULL WHERE project_id = %s AND trace_id = ANY(%s) AND due_at IS NOT NULL"
)
_NEVER_BOOKED = """
    SELECT k.trace_id FROM unnest(%s::uuid[]) AS k (trace_id)
    WHERE NOT EXISTS (SELECT 1 FROM traces_ledger AS l WHERE l.project_id = %s AND l.trace_id = k.trace_id)
"""
_DROP_LEDGER = "DELETE FROM traces_ledger WHERE project_id = %s AND trace_id = ANY(%s)"
_SET_ASIDE = """
    INSERT INTO traces_rollup_aside AS a (project_id, trace_id, reason) VALUES (%s, %s, %s)
    ON CONFLICT (project_id, trace_id) DO UPDATE SET tries = a.tries + 1, reason = excluded.reason
"""
_TAKE_BACK = "DELETE FROM traces_rollup_aside WHERE project_id = %s AND trace_id = ANY(%s)"
# What one trace's rows may do to us. Anything else (no connection, no lock, our own mistake) is no trace's fault.
POISON = (
    psycopg.DataError, psycopg.IntegrityError, errors.QueryCanceled, errors.ProgramLimitExceeded, ArithmeticError,
    ValueError, TypeError, LookupError, RecursionError,
)  # fmt: skip


_locks: dict[int, threading.Lock] = {}


class Busy(Exception):
    """Another transaction folds this project."""


class Stale(Exception):
    """The project's roll-ups were booked by other rules or in another time zone: it waits to be rebuilt."""


@dataclass(slots=True)
class Folded:
    """What one transaction did."""

    entries: int = 0
    traces: int = 0
    spans: int = 0
    deferred: int = 0
    set_aside: int = 0
    is_stale: bool = False  # the project's stored traces were booked by other rules or in another zone: rebuild
    has_more: bool = False


@dataclass(slots=True)
class _Trace:
    """A trace on its way: its row as read, what was booked of it, and what is to be."""

    trace_id: UUID
    span_count: int | None  # None: it is gone
    booked_spans: int | None  # None: nothing was booked
    low: datetime | None = None
    high: datetime | None = None
    old: Contribution | None = None
    building: Building | None = None
    session_id: str | None = None


class _Micros(Loader):
    """timestamptz as microseconds since 1970: a minute is all that is wanted of it, and datetimes cost more."""

    format = Format.BINARY

    def load(self, data: Buffer) -> int:
        """The stored integer, on our epoch."""
        return int.from_bytes(data, "big", signed=True) + PG_EPOCH_US


@contextmanager
def holding(project_id: int) -> Iterator[Cursor[Any]]:
    """A transaction that alone may change the project's roll-ups. `Busy` where others hold it for `LOCK_WAIT_MS`."""
    # Between threads too: what one remembers of new scopes is only true once it has committed.
    mine = _locks.setdefault(project_id, threading.Lock())
    if not mine.acquire(timeout=LOCK_WAIT_MS / 1000):
        raise Busy(f"project {project_id} is being folded")
    try:
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute(_LIMITS)
            cursor.execute(_LOCK, (LOCK_CLASS, project_id))
            yield cursor
            rollup_memory.write_pending(cursor, project_id)
        rollup_memory.settle(project_id)
    except BaseException as error:
        # Scopes that this transaction wrote are not there.
        rollup_memory.forget(project_id)
        if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected):
            raise Busy(f"project {project_id} is being folded") from None
        raise
    finally:
        mine.release()


def fold_slice(project_id: int, rate_of: RateOf) -> Folded:
    """Take the oldest changes of a project in, in one transaction. `Busy` where another holds it."""
    try:
        return _fold_slice(project_id, rate_of, book)
    except POISON:
        # One of these traces cannot be booked. Again, in halves, until it stands alone.
        return _fold_slice(project_id, rate_of, _book_apart)


def fold_traces(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], rate_of: RateOf) -> Folded:
    """Take these traces in again, inside of `holding`. `Stale` where nothing may be booked."""
    state = rollup_memory.load(cursor, project_id)
    if state is not None and state.is_stale:
        raise Stale(f"project {project_id} waits to be rebuilt")
    return Folded() if state is None else _book_apart(cursor, project_id, trace_ids, state, rate_of, True)


def leave(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], rate_of: RateOf) -> None:
    """Retention takes these traces: what is booked of them stays, and is never taken away again.

    Inside of `holding`, before their rows go. What was never booked (an upgrade's rebuild goes newest first) is now.
    """
    state = rollup_memory.load(cursor, project_id)
    if state is not None and not state.is_stale:
        cursor.execute(_NEVER_BOOKED, (list(trace_ids), project_id))
        _book_apart(cursor, project_id, [row[0] for row in cursor.fetchall()], state, rate_of, True)
    cursor.execute(_DROP_LEDGER, (project_id, list(trace_ids)))
    cursor.execute(_TAKE_BACK, (project_id, list(trace_ids)))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic collector: it walks tens of thousands of rows again and again, a third of the fold's time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_Book = Callable[[Cursor[Any], int, Sequence[UUID], State, RateOf, bool], Folded]


def _fold_slice(project_id: int, rate_of: RateOf, book_all: _Book) -> Folded:
    with holding(project_id) as cursor:
        state = rollup_memory.load(cursor, project_id)
        if state is not None and state.is_stale:
            return Folded(is_stale=True)
        params = {
            "consumer": int(feed.Consumer.ROLL_UP),
            "project_id": project_id,
            "entries": SLICE_ENTRIES,
            "traces": SLICE_TRACES,
        }
        cursor.execute(load_sql("traces", "rollup_claim"), params, prepare=True)
        claimed = cursor.fetchall()
        # Without a project its traces are nobody's: the entries just go.
        if state is None:
            return Folded(entries=len(claimed))
        cursor.execute(_DUE, (project_id, DUE_TRACES), prepare=True)
        due = [row[0] for row in cursor.fetchall()]
        folded = Folded()
        told = [trace_id for _, trace_ids in sorted(claimed) for trace_id in trace_ids]
        trace_ids = list(dict.fromkeys(told))
        for some, is_due in ((due, True), (trace_ids, False)):
            for at in range(0, len(some), SLICE_TRACES):
                done = book_all(cursor, project_id, some[at : at + SLICE_TRACES], state, rate_of, is_due)
                _join(folded, done)
        folded.entries = len(claimed)
        folded.has_more = len(claimed) >= SLICE_ENTRIES or len(told) >= SLICE_TRACES or len(due) >= DUE_TRACES
        return folded


def _book_apart(
    cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], state: State, rate_of: RateOf, is_due: bool
) -> Folded:
    """As `book`, but what cannot be booked is set aside, found by halving."""
    try:
        with transaction.atomic():
            return book(cursor, project_id, trace_ids, state, rate_of, is_due)
    except POISON as error:
        if len(trace_ids) == 1:
            reason = f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
            cursor.execute(_SET_ASIDE, (project_id, trace_ids[0], reason))
            return Folded(set_aside=1)
    half = len(trace_ids) // 2
    folded = _book_apart(cursor, project_id, trace_ids[:half], state, rate_of, is_due)
    _join(folded, _book_apart(cursor, project_id, trace_ids[half:], state, rate_of, is_due))
    return folded


def _join(folded: Folded, more: Folded) -> None:
    folded.traces += more.traces
    folded.spans += more.spans
    folded.deferred += more.deferred
    folded.set_aside += more.set_aside


def book(
    cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], state: State, rate_of: RateOf, is_due: bool
) -> Folded:
    """Bring what is booked of these traces up to date, inside of `holding`. `is_due`: huge ones too."""
    if not trace_ids:
        return Folded()
    with _no_collection():
        return _book(cursor, project_id, trace_ids, state, rate_of, is_due)


def _book(
    cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], state: State, rate_of: RateOf, is_due: bool
) -> Folded:
    traces = _read_traces(cursor, project_id, trace_ids, state)
    now = [trace for trace in traces if is_due or not _must_wait(trace)]
    later = [trace for trace in traces if trace not in now] if len(now) < len(traces) else []
    if later:
        cursor.execute(_DEFER, ([t.trace_id for t in later], [t.span_count for t in later], project_id))
    spans = _read_spans(cursor, project_id, now, state, rate_of)
    deltas: dict[str, Delta] = {}
    written: list[tuple[_Trace, bytes]] = []
    kept: list[UUID] = []
    for trace in now:
        new = None
        if trace.building is not None:
            new = finish(trace.building, state.scopes.scope_of, state.scopes.reason_of)
        if new is not None and new == trace.old and trace.span_count == trace.booked_spans:
            kept.append(trace.trace_id)
            continue
        if trace.old is not None:
            deltas.setdefault(trace.old.zone, Delta()).book(trace.old, -1)
        if new is not None:
            deltas.setdefault(new.zone, Delta()).book(new, 1)
            written.append((trace, ledger.write(new)))
    horizon = Horizon.for_writing(minute_of(state.now))
    for zone, delta in sorted(deltas.items()):
        delta.settle()
        rollup_rows.apply(cursor, project_id, delta, calendar_of(zone), horizon)
    _write_ledger(cursor, project_id, now, written, kept)
    named = {session_id for t in now for session_id in (t.session_id, t.old and t.old.session_id) if session_id}
    sessions.refresh(cursor, project_id, named)
    # Of a session that a trace has left nobody else is told.
    left = {t.old.session_id for t in now if t.old and t.old.session_id and t.old.session_id != t.session_id}
    behaviour.mark_sessions(cursor, project_id, left, clock.now())
    return Folded(traces=len(now), spans=spans, deferred=len(later))


def _must_wait(trace: _Trace) -> bool:
    """Whether a huge trace changed too little to be read again now."""
    if trace.span_count is None or trace.booked_spans is None or trace.span_count <= HUGE_SPANS:
        return False
    return trace.span_count < trace.booked_spans * HUGE_GROWTH


def _read_traces(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], state: State) -> list[_Trace]:
    query = sql.SQL(load_sql("traces", "rollup_traces")).format(duration_ns=sql.SQL(DURATION_NS))
    cursor.execute(query, {"project_id": project_id, "trace_ids": list(trace_ids)}, binary=True)
    found = []
    for (
        place, span_count, low, high, feature, service, environment, release, prompt_name, prompt_version, user_id,
        session_id, error_count, root_status, duration_ns, ttft_ns, finish_reason, error_type, booked_spans, layout,
        data,
    ) in cursor.fetchall():  # fmt: skip
        trace = _Trace(trace_ids[place - 1], span_count, booked_spans, low, high, session_id=session_id)
        if data is not None:
            trace.old = ledger.read(data, layout)
        if span_count is not None:
            trace.building = begin(
                state.time_zone,
                minute_of(low),
                (feature, service, environment, release, prompt_name, prompt_version),
                user_id=user_id,
                session_id=session_id,
                error_count=error_count,
                root_status=root_status,
                duration_ns=duration_ns,
                ttft_ns=ttft_ns,
                finish_reason=finish_reason,
                error_type=error_type,
            )
        found.append(trace)
    return found


def _read_spans(cursor: Cursor[Any], project_id: int, traces: Sequence[_Trace], state: State, rate_of: RateOf) -> int:
    """Take the spans of these traces in, some thousand at a time; how many there were."""
    alive = [trace for trace in traces if trace.building is not None]
    buildings = [trace.building for trace in alive if trace.building is not None]
    scope_of, reason_of = state.scopes.scope_of, state.scopes.reason_of
    count = 0
    for places in _parts([trace.span_count or 0 for trace in alive]):
        params = {
            "project_id": project_id,
            "trace_ids": [alive[place].trace_id for place in places],
            "places": list(places),
            "lows": [alive[place].low for place in places],
            "highs": [alive[place].high for place in places],
        }
        for rows in _span_rows(params, is_huge=sum(alive[place].span_count or 0 for place in places) > 2 * READ_SPANS):
            count += take(buildings, rows, scope_of, reason_of, rate_of)
    return count


def _parts(counts: Sequence[int]) -> Iterable[range]:
    """The places cut where the counts add up to `READ_SPANS`."""
    first, held = 0, 0
    for place, count in enumerate(counts):
        if place > first and held + count > READ_SPANS:
            yield range(first, place)
            first, held = place, 0
        held += count
    if first < len(counts):
        yield range(first, len(counts))


def _span_rows(params: dict[str, Any], is_huge: bool) -> Iterable[Iterable[tuple[Any, ...]]]:
    """The spans' rows, all at once or, of a huge trace, piece by piece from the server."""
    columns = sql.SQL(", ").join(sql.Identifier("s", name) for name in SPAN_COLUMNS)
    query = sql.SQL(load_sql("traces", "rollup_spans")).format(columns=columns)
    with raw_cursor() as cursor:
        cursor.adapters.register_loader("timestamptz", _Micros)
        if not is_huge:
            cursor.execute(query, params, prepare=True, binary=True)
            yield cursor.fetchall()
            return
        with cursor.connection.cursor("rollup_spans") as pieces:
            pieces.adapters.register_loader("timestamptz", _Micros)
            pieces.execute(query, params, binary=True)
            while rows := pieces.fetchmany(READ_SPANS):
                yield rows


def _write_ledger(
    cursor: Cursor[Any],
    project_id: int,
    traces: Sequence[_Trace],
    written: Sequence[tuple[_Trace, bytes]],
    kept: Sequence[UUID],
) -> None:
    gone = [trace.trace_id for trace in traces if trace.building is None and trace.old is not None]
    if gone:
        cursor.execute(_DROP_LEDGER, (project_id, gone))
    if kept:
        cursor.execute(_KEEP_LEDGER, (project_id, list(kept)))
    if written:
        ids = "{" + ",".join([trace.trace_id.hex for trace, _ in written]) + "}"
        counts = [trace.span_count for trace, _ in written]
        data = rollup_rows.bytes_literal([packed for _, packed in written])
        cursor.execute(_WRITE_LEDGER, (project_id, ledger.LAYOUT, ids, counts, data), prepare=True)
    cursor.execute(_TAKE_BACK, (project_id, [trace.trace_id for trace in traces]), prepare=True)
