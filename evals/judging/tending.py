"""What keeps the queue honest: judgements of dead workers, of exhausted budgets, and those that waited too long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import transaction
from psycopg import Cursor

from evals.judges import ModelConfig, build_prompt, fresh_nonce
from evals.judging.context import Context, context_of
from evals.judging.targets import materials_of
from evals.write import judgements, spend
from evals.write.judgements import FAILED, ORDER, PENDING, Judgement, Purpose
from evals.write.tallies import Tallies
from telltale.lib import clock
from telltale.lib.db import raw_cursor

BUDGET = "budget"
# What is the matter with a judge whose turn cannot come: looked at again where that ends, and once in a while.
PROBLEMS = ("judge_paused", "judge_archived", "no_connection", "connection_archived", "key_sealed")
PROBLEM_PAUSE = timedelta(hours=1)
# A judgement of live traffic that waited longer says nothing of today; what somebody asked for waits longer.
AGE_MAX = timedelta(hours=24)
AGE_MAX_ASKED = timedelta(days=7)
# A judgement that ended its worker so often may be why.
LOST_MAX = 20
SLICE = 1000
SLICES_MAX = 20


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
    for project_id, held in groupby(rows, key=lambda row: row.project_id):
        mine = list(held)
        again = [row for row in mine if row.lost + 1 < LOST_MAX]
        over = [row for row in mine if row.lost + 1 >= LOST_MAX]
        tallies = Tallies(project_id)
        judgements.give_back(cursor, again, PENDING, "worker_lost", now, was_called=True, tallies=tallies)
        judgements.give_back(cursor, over, FAILED, "worker_lost", now, was_called=True, tallies=tallies)
        book = spend.Book(project_id)
        for row in mine:
            if row.reserved_day is not None:
                book.add(row.judge_id, row.reserved_day, spend.lost(row.reserved_pico))
        book.write(cursor)
        tallies.write(cursor)


def put_to_wait(context: Context, now: datetime) -> int:
    """Let everything due of a version wait for the next day's budget, or for what is the matter with its judge, saying
    so; how many."""
    until = now + PROBLEM_PAUSE if context.problem else context.day_ends(now)
    moved = 0
    while True:
        with transaction.atomic(), raw_cursor() as cursor:
            rows = judgements.pick(cursor, context.version.pk, SLICE, now)
            judgements.wait(cursor, rows, context.problem or BUDGET, until)
        moved += len(rows)
        if len(rows) < SLICE:
            return moved


def resume_waiting() -> int:
    """Have judgements looked at again that waited for money where their budget has room now, or for their judge where
    nothing is the matter with it any more; how many."""
    now = clock.now()
    resumed = 0
    for version_id in judgements.waiting_versions([BUDGET, *PROBLEMS], now):
        context = context_of(version_id)
        if context is None or context.problem:
            continue
        with transaction.atomic(), raw_cursor() as cursor:
            again = judgements.pending(version_id, reasons=PROBLEMS, limit=SLICE)
            broke = judgements.pending(version_id, reasons=[BUDGET], limit=SLICE)
            again += broke[: room_for(cursor, context, broke, now)]
            judgements.wait(cursor, again, "", now)
        resumed += len(again)
    return resumed


def room_for(cursor: Cursor[Any], context: Context, rows: Sequence[Judgement], now: datetime) -> int:
    """For how many of `rows` today's budget has room, if all are asked about at the length of the first.

    Asked without setting anything aside. What would not fit would only be put to wait again.
    """
    if not rows:
        return 0
    first = materials_of(context, rows[:1]).get(rows[0].judgement_id)
    if first is None or not isinstance(context.config, ModelConfig):
        return 1  # it will be skipped
    prompt = build_prompt(context.rubric, context.config, first, fresh_nonce(first))
    wanted = context.at_most(len(prompt.system.encode()) + len(prompt.user.encode()))
    day = context.day(now)
    fits = spend.reserve(
        cursor, context.project_id, context.judge_id, day, [wanted] * len(rows), context.budget
    )  # fmt: skip
    if fits:
        back = spend.Change(reserved_pico=-(wanted or 0) * fits, reserved_calls=-fits)
        spend.add(cursor, context.project_id, context.judge_id, day, back)
    return fits


def skip_old() -> int:
    """End what waited too long, with the reason it waited for, in bounded pieces; how many judgements."""
    now = clock.now()
    asked = [purpose for purpose in ORDER if purpose != Purpose.LIVE]
    skipped = 0
    for version_id in judgements.pending_versions():
        for purposes, age in (([Purpose.LIVE], AGE_MAX), (asked, AGE_MAX_ASKED)):
            for _ in range(SLICES_MAX):
                gone = _skip_slice(version_id, purposes, now - age, now)
                skipped += gone
                if gone < SLICE:
                    break
    return skipped


def _skip_slice(version_id: int, purposes: Sequence[int], before: datetime, now: datetime) -> int:
    with transaction.atomic(), raw_cursor() as cursor:
        rows = judgements.pending(version_id, purposes=purposes, before=before, limit=SLICE)
        by_reason: dict[tuple[int, str], list[Judgement]] = defaultdict(list)
        for row in rows:
            by_reason[row.project_id, row.reason].append(row)
        for (_, reason), held in sorted(by_reason.items()):
            judgements.skip(cursor, held, reason or "too_old", now)
    return len(rows)
