"""Rows of backfills and of what they wait for. Every function runs in the caller's transaction."""

from __future__ import annotations

from datetime import timedelta

from evals.models import Backfill
from evals.write import judgements
from evals.write.judgements import Judgement, Purpose
from telltale.lib import clock
from telltale.lib.db import raw_cursor

HELD_REASON = "paused"
# Until somebody resumes it.
HELD_FOR = timedelta(days=3650)
SLICE = 10_000
_WAITING = """
SELECT count(*) FROM evals_judgement AS j WHERE j.backfill_id = %(id)s AND j.state = %(state)s
"""


def salt_of(judge_id: int) -> str | None:
    """The salt that backfills of a judge draw by; None before the first."""
    rows = Backfill.objects.filter(judge_version__judge_id=judge_id).order_by("pk")
    return rows.values_list("salt", flat=True).first()


def lock(backfill_id: int, state: str) -> Backfill | None:
    """The backfill in that state, held until the transaction ends; None where it is not, or somebody else is at it."""
    rows = Backfill.objects.select_for_update(skip_locked=True, of=("self",)).select_related(
        "project", "judge_version__judge"
    )
    return rows.filter(pk=backfill_id, state=state).first()


def move(project_id: int, backfill_id: int, was: str, now: str) -> Backfill | None:
    """Change the state of a backfill; None where it was another one."""
    rows = Backfill.objects.select_for_update(of=("self",)).select_related("judge_version")
    row = rows.filter(project_id=project_id, pk=backfill_id, state=was).first()
    if row is None:
        return None
    row.state = now
    row.finished_at = clock.now() if now == "cancelled" else None
    row.save(update_fields=["state", "finished_at"])
    return row


def finish(row: Backfill, state: str) -> None:
    """End a backfill."""
    row.state, row.finished_at = state, clock.now()
    row.save(update_fields=["state", "finished_at"])


def step(row: Backfill, seen: int, queued: int) -> None:
    """Write down a piece: its place is in `row.cursor`."""
    row.traces_seen += seen
    row.queued += queued
    row.traces_total = max(row.traces_total or 0, row.traces_seen)
    row.save(update_fields=["cursor", "traces_seen", "queued", "traces_total"])


def _count(row: Backfill, state: str) -> int:
    with raw_cursor() as cursor:
        cursor.execute(_WAITING, {"id": row.pk, "state": state})
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def waiting(row: Backfill) -> int:
    """How many of its judgements wait."""
    return _count(row, judgements.PENDING)


def running(row: Backfill) -> int:
    """How many of its judgements are being judged."""
    return _count(row, judgements.RUNNING)


def _pending(row: Backfill, reason: str | None = None) -> list[Judgement]:
    found = judgements.pending(
        row.judge_version_id, purposes=[Purpose.BACKFILL], reasons=None if reason is None else [reason], limit=SLICE
    )
    return [each for each in found if each.backfill_id == row.pk]


def hold_back(row: Backfill) -> None:
    """Have what waits of it wait until it is resumed."""
    with raw_cursor() as cursor:
        judgements.wait(cursor, _pending(row), HELD_REASON, clock.now() + HELD_FOR)


def let_on(row: Backfill) -> None:
    """Have what was held back go on."""
    with raw_cursor() as cursor:
        judgements.wait(cursor, _pending(row, HELD_REASON), "", clock.now())


def drop(row: Backfill) -> None:
    """Skip what waits of it."""
    with raw_cursor() as cursor:
        judgements.skip(cursor, _pending(row), "cancelled", clock.now())
