"""What keeps the queue honest: judgements of dead workers, of exhausted budgets, and those that waited too long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import transaction
from psycopg import Cursor

from evals.judging.context import Context, context_of
from evals.write import judgements, spend
from evals.write.judgements import FAILED, ORDER, PENDING, Judgement, Purpose
from telltale.lib import clock
from telltale.lib.db import raw_cursor

BUDGET = "budget"
# A judgement of live traffic that waited longer says nothing of today; what somebody asked for waits longer.
AGE_MAX = timedelta(hours=24)
AGE_MAX_ASKED = timedelta(days=7)
# A judgement that ended its worker so often may be why.
LOST_MAX = 20
SLICE = 1000


def reap(limit: int = 200) -> int:
    """Take back what dead workers held: their calls count as lost, with what was set aside; how many judgements."""
    with transaction.atomic(), raw_cursor() as cursor:
        rows = judgements.expired(limit)
        _take_back(cursor, rows)
    return len(rows)


def let_go(rows: Sequence[Judgement], holder: str) -> None:
    """Give up what this process holds without waiting for its calls, which count as lost."""
    with transaction.atomic(), raw_cursor() as cursor:
        held = judgements.held_by(holder)
        _take_back(cursor, [row for row in held if row.judgement_id in {each.judgement_id for each in rows}])


def _take_back(cursor: Cursor[Any], rows: Sequence[Judgement]) -> None:
    now = clock.now()
    for _, held in groupby(rows, key=lambda row: row.project_id):
        mine = list(held)
        again = [row for row in mine if row.lost + 1 < LOST_MAX]
        over = [row for row in mine if row.lost + 1 >= LOST_MAX]
        judgements.give_back(cursor, again, PENDING, "worker_lost", now, was_called=True)
        judgements.give_back(cursor, over, FAILED, "worker_lost", now, was_called=True)
        book = spend.Book(mine[0].project_id)
        for row in mine:
            if row.reserved_day is not None:
                book.add(row.judge_id, row.reserved_day, spend.lost(row.reserved_pico))
        book.write(cursor)


def put_to_wait(context: Context, now: datetime) -> int:
    """Let everything due of a version wait for the next day's budget, saying so; how many."""
    until = context.day_ends(now)
    moved = 0
    while True:
        with transaction.atomic(), raw_cursor() as cursor:
            rows = judgements.pick(cursor, context.version.pk, SLICE, now)
            judgements.wait(cursor, rows, BUDGET, until)
        moved += len(rows)
        if len(rows) < SLICE:
            return moved


def resume_waiting() -> int:
    """Have judgements that wait for money looked at again where their budget has room now; how many."""
    now = clock.now()
    resumed = 0
    for version_id in judgements.waiting_versions(BUDGET, now):
        context = context_of(version_id)
        if context is None or not has_room(context, now):
            continue
        with transaction.atomic(), raw_cursor() as cursor:
            rows = judgements.pending(version_id, reason=BUDGET, limit=SLICE)
            judgements.wait(cursor, rows, "", now)
        resumed += len(rows)
    return resumed


def has_room(context: Context, now: datetime) -> bool:
    """Whether a call of usual size still fits into today's budget. Asked without setting anything aside."""
    with transaction.atomic(), raw_cursor() as cursor:
        day = context.day(now)
        wanted: Sequence[int | None] = [context.at_most(4_000)]
        fits = spend.reserve(cursor, context.project_id, context.judge_id, day, wanted, context.budget) == 1
        if fits:
            spend.add(cursor, context.project_id, context.judge_id, day, spend.unsent(wanted[0]))
    return fits


def skip_old() -> int:
    """End what waited too long, with the reason it waited for; how many judgements."""
    now = clock.now()
    asked = [purpose for purpose in ORDER if purpose != Purpose.LIVE]
    skipped = 0
    for version_id in judgements.pending_versions():
        for purposes, age in (([Purpose.LIVE], AGE_MAX), (asked, AGE_MAX_ASKED)):
            with transaction.atomic(), raw_cursor() as cursor:
                rows = judgements.pending(version_id, purposes=purposes, before=now - age, limit=SLICE)
                by_reason: dict[tuple[int, str], list[Judgement]] = defaultdict(list)
                for row in rows:
                    by_reason[row.project_id, row.reason].append(row)
                for (_, reason), held in sorted(by_reason.items()):
                    judgements.skip(cursor, held, reason or "too_old", now)
            skipped += len(rows)
    return skipped
