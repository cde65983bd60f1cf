"""Rows of forwarding: what waits for which target, and what became of it.

A feed entry becomes a row of the queue for each target in the transaction that takes the entry; a row goes in the
transaction that counts its spans as sent, refused or dropped. So queued = waiting + sent + refused + dropped, always.
What a dead worker had sent and not written down is sent again: at least once, and twice only after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from telltale.jobs import leases
from telltale.lib.db import raw_cursor
from traces.models import ForwardTarget
from traces.write import feed

# Feed entries taken in one transaction, and rows looked at for one request.
TAKE_MAX = 500
ROWS_MAX = 64
LEASE_SECONDS = 60.0

_QUEUE = """
    INSERT INTO traces_forward_queue (
        project_id, target_id, entry_id, batch_id, trace_ids, spans, first_started_at, last_started_at, made_at
    )
    SELECT b.project_id, target.id, %(entry_id)s, b.batch_id, %(trace_ids)s::uuid[], b.stored, b.first_started_at,
        b.last_started_at, %(made_at)s
    FROM traces_ingest_batch AS b
    CROSS JOIN unnest(%(targets)s::bigint[]) AS target (id)
    WHERE b.project_id = %(project_id)s AND b.batch_id = %(batch_id)s AND b.stored > 0
    RETURNING spans
"""
_NEXT = """
    SELECT entry_id, batch_id, trace_ids, spans, first_started_at, last_started_at, done_trace, done_span
    FROM traces_forward_queue WHERE target_id = %s ORDER BY entry_id LIMIT %s
"""
_FINISH = "DELETE FROM traces_forward_queue WHERE target_id = %s AND entry_id = ANY(%s) RETURNING spans"
_ADVANCE = """
    UPDATE traces_forward_queue SET spans = greatest(spans - %s, 0), done_trace = %s, done_span = %s
    WHERE target_id = %s AND entry_id = %s
"""
_DROP_OLD = """
    WITH gone AS (
        DELETE FROM traces_forward_queue
        WHERE target_id = %(target_id)s AND entry_id IN (
            SELECT entry_id FROM traces_forward_queue
            WHERE target_id = %(target_id)s AND made_at < %(before)s ORDER BY entry_id LIMIT 10000
        )
        RETURNING spans
    )
    SELECT coalesce(sum(spans), 0) FROM gone
"""
_DROP_BEYOND = """
    WITH gone AS (
        DELETE FROM traces_forward_queue
        WHERE target_id = %(target_id)s AND entry_id IN (
            SELECT entry_id FROM (
                SELECT entry_id, sum(spans) OVER (ORDER BY entry_id DESC) AS newer
                FROM traces_forward_queue WHERE target_id = %(target_id)s
            ) AS ranked WHERE newer > %(keep)s
        )
        RETURNING spans
    )
    SELECT coalesce(sum(spans), 0) FROM gone
"""
_WAITING = """
    SELECT t.id FROM traces_forwardtarget AS t
    CROSS JOIN LATERAL (
        SELECT made_at FROM traces_forward_queue AS q WHERE q.target_id = t.id ORDER BY entry_id LIMIT 1
    ) AS oldest
    WHERE (t.lease_until IS NULL OR t.lease_until < now())
        AND (
            (t.paused_at IS NULL AND (t.next_at IS NULL OR t.next_at <= now()))
            OR oldest.made_at < %(before)s OR t.queued_spans > %(keep)s
        )
    ORDER BY t.next_at NULLS FIRST, t.id
"""
_CLEAR = "DELETE FROM traces_forward_queue WHERE project_id = %s AND target_id = %s"


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted request as it waits for one target. `done`: the last (trace, span) that was answered for."""

    entry_id: int
    batch_id: int
    trace_ids: tuple[UUID, ...]
    spans: int
    first_started_at: datetime
    last_started_at: datetime
    done: tuple[UUID, int] | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What one answer settles: rows that are done, and one that is done as far as `done` (`part` spans of it)."""

    finished: tuple[int, ...] = ()
    advanced: int | None = None
    done: tuple[UUID, int] | None = None
    part: int = 0
    sent: int = 0
    refused: int = 0


class LeaseLost(Exception):
    """Somebody else sends to the target by now; nothing was written."""


def take_feed(project_id: int) -> int:
    """How many feed entries of the project this call turned into queue rows for its targets. One transaction."""
    with transaction.atomic(), raw_cursor() as cursor:
        # Locked, so that a target that is being removed gets no rows that nobody would ever take.
        held = ForwardTarget.objects.select_for_update(no_key=True).filter(project_id=project_id).order_by("pk")
        targets = list(held.values_list("pk", flat=True))
        entries = feed.claim(cursor, feed.Consumer.FORWARD, project_id, TAKE_MAX)
        added = 0
        for entry in entries if targets else ():
            values = {
                "entry_id": entry.feed_id,
                "trace_ids": list(entry.trace_ids),
                "made_at": entry.changed_at,
                "targets": targets,
                "project_id": project_id,
                "batch_id": entry.batch_id,
            }
            cursor.execute(_QUEUE, values)
            added += sum(row[0] for row in cursor.fetchall()[:1])
        if added:
            ForwardTarget.objects.filter(pk__in=targets).update(queued_spans=F("queued_spans") + added)
    return len(entries)


def open_projects() -> list[int]:
    """The projects with feed entries for forwarding."""
    with raw_cursor() as cursor:
        return feed.open_projects(cursor, feed.Consumer.FORWARD)


def waiting_targets(before: datetime, keep: int) -> list[int]:
    """Targets whose turn it is: to be sent to, or to be freed of what is too old (`before`) or too much (`keep`)."""
    with raw_cursor() as cursor:
        cursor.execute(_WAITING, {"before": before, "keep": keep})
        return [row[0] for row in cursor.fetchall()]


def claim(target_id: int, slots: int) -> ForwardTarget | None:
    """The target, held for `LEASE_SECONDS`; None where somebody holds it, or `slots` others are held already.

    Targets that are slow must never take every worker there is.
    """
    if ForwardTarget.objects.filter(lease_until__gt=Now()).count() >= slots:
        return None
    held = leases.claim(ForwardTarget.objects.filter(pk=target_id), seconds=LEASE_SECONDS)
    return held[0] if held else None


def next_entries(target_id: int, spans_max: int) -> list[Entry]:
    """The oldest rows of the queue, together at most `spans_max` spans, or the first one alone where it has more."""
    with raw_cursor() as cursor:
        cursor.execute(_NEXT, (target_id, ROWS_MAX))
        rows = [
            Entry(row[0], row[1], tuple(row[2]), row[3], row[4], row[5], None if row[6] is None else (row[6], row[7]))
            for row in cursor.fetchall()
        ]
    chosen: list[Entry] = []
    total = 0
    for entry in rows:
        total += entry.spans
        if chosen and total > spans_max:
            break
        chosen.append(entry)
    return chosen


def settle(target: ForwardTarget, settled: Settled, *, is_answered: bool) -> None:
    """Write down what an answer settled, and hold the target on; LeaseLost where it is not ours any more.

    Spans of finished rows that are neither sent nor refused were removed meanwhile: dropped as "gone".
    """
    with transaction.atomic(), raw_cursor() as cursor:
        left = 0
        if settled.finished:
            cursor.execute(_FINISH, (target.pk, list(settled.finished)))
            left = sum(row[0] for row in cursor.fetchall())
        if settled.advanced is not None and settled.done is not None:
            cursor.execute(_ADVANCE, (settled.part, *settled.done, target.pk, settled.advanced))
        gone = left + settled.part - settled.sent - settled.refused
        changes: dict[str, Any] = {
            "queued_spans": F("queued_spans") - left - settled.part,
            "sent_spans": F("sent_spans") + settled.sent,
            "refused_spans": F("refused_spans") + settled.refused,
            "lease_until": Now() + timedelta(seconds=LEASE_SECONDS),
        }
        if is_answered:
            changes |= {"failures": 0, "failing_since": None, "next_at": None, "last_sent_at": Now()}
        if not _held(target).update(**changes):
            raise LeaseLost
        if gone > 0:
            _count_dropped(target.pk, "gone", gone)


def drop(target: ForwardTarget, before: datetime, keep: int) -> int:
    """Free the queue of rows made before `before`, then of the oldest beyond `keep` spans; how many spans went."""
    dropped = 0
    with transaction.atomic(), raw_cursor() as cursor:
        for reason, statement in (("too_old", _DROP_OLD), ("queue_full", _DROP_BEYOND)):
            if reason == "queue_full" and target.queued_spans - dropped <= keep:
                continue
            cursor.execute(statement, {"target_id": target.pk, "before": before, "keep": keep})
            row = cursor.fetchone()
            n = int(row[0]) if row else 0
            if n:
                dropped += n
                _count_dropped(target.pk, reason, n)
        if dropped and not _held(target).update(queued_spans=F("queued_spans") - dropped):
            raise LeaseLost
    return dropped


def fail(target: ForwardTarget, message: str, pause: timedelta) -> None:
    """Write down an attempt that failed, and when the next one is due. The target is let go."""
    now = Now()
    _held(target).update(
        failures=F("failures") + 1,
        failing_since=target.failing_since or now,
        next_at=now + pause,
        last_error=message[:500],
        last_error_at=now,
        lease_by="",
        lease_until=None,
    )


def note_refusal(target: ForwardTarget, message: str) -> None:
    """Write down what the target would not take, where sending goes on all the same."""
    ForwardTarget.objects.filter(pk=target.pk).update(last_error=message[:500], last_error_at=Now())


def release(target: ForwardTarget) -> None:
    """Let the target go."""
    leases.release(target)


def remove(target: ForwardTarget) -> None:
    """Remove the target with all that waits for it, in the caller's transaction."""
    project_id, target_id = target.project_id, target.pk
    target.delete()
    with raw_cursor() as cursor:
        cursor.execute(_CLEAR, (project_id, target_id))


def _held(target: ForwardTarget) -> Any:
    return ForwardTarget.objects.filter(pk=target.pk, lease_by=target.lease_by)


def _count_dropped(target_id: int, reason: str, n: int) -> None:
    held = ForwardTarget.objects.select_for_update().get(pk=target_id)
    ForwardTarget.objects.filter(pk=target_id).update(
        dropped={**held.dropped, reason: int(held.dropped.get(reason, 0)) + n}
    )


def queue_state(target_ids: Sequence[int]) -> dict[int, datetime]:
    """When the oldest row of each target was made; targets with an empty queue are left out."""
    query = """
        SELECT t.id, oldest.made_at FROM unnest(%s::bigint[]) AS t (id)
        CROSS JOIN LATERAL (
            SELECT made_at FROM traces_forward_queue AS q WHERE q.target_id = t.id ORDER BY entry_id LIMIT 1
        ) AS oldest
    """
    with raw_cursor() as cursor:
        cursor.execute(query, (list(target_ids),))
        return {row[0]: row[1] for row in cursor.fetchall()}
