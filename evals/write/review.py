"""Rows of review queues, their items, reviews and the scores of people; in the caller's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import IntegrityError, transaction
from django.db.models import Q

from evals.models import Review, ReviewItem, ReviewQueue
from evals.write.ids import new_ids
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from traces.masks import mask_text

PERSON = 2
SPAN, TRACE = 2, 1


class SlugTaken(Exception):
    """Another queue of the project has the address."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """A trace, or a span of it, that is to wait for reviews."""

    trace_id: UUID
    started_at: datetime
    span_id: int = 0
    feature: str = ""
    model: str = ""
    prompt_version: str = ""
    reason: str = ""
    stratum: str = ""
    priority: float = 0.0
    pi_judge: float | None = None
    pi_review: float | None = None
    wanted: int = 1
    assigned_to_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewReviewScore:
    """One criterion's score of a review, with what it is about."""

    review_id: int
    trace_id: UUID
    span_id: int
    session_id: str | None
    started_at: datetime
    name: str
    data_type: int
    number: float | None
    label: str | None
    comment: str | None
    author: str
    author_id: int | None
    key_id: int | None
    rubric_version_id: int
    pi: float | None
    made_at: datetime


def add_queue(project_id: int, values: Mapping[str, Any]) -> int:
    """A new queue; SlugTaken."""
    row = ReviewQueue(project_id=project_id, **values)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise SlugTaken from None
    return int(row.pk)


def lock_queue(project_id: int, queue_id: int) -> ReviewQueue | None:
    """The queue, held until the transaction ends."""
    return ReviewQueue.objects.select_for_update(no_key=True).filter(project_id=project_id, pk=queue_id).first()


def change_queue(queue_id: int, values: Mapping[str, Any]) -> None:
    """Change columns of a queue."""
    ReviewQueue.objects.filter(pk=queue_id).update(**values)


def add_items(project_id: int, queue_id: int, items: Sequence[NewItem]) -> int:
    """Let items wait in a queue; how many are new. A target that is in it already is left as it is."""
    if not items:
        return 0
    rows = [
        {
            "trace_id": each.trace_id,
            "span_id": each.span_id,
            "started_at": each.started_at,
            "feature": each.feature[:200],
            "model": each.model[:300],
            "prompt_version": each.prompt_version[:200],
            "reason": each.reason[:200],
            "stratum": each.stratum[:100],
            "priority": each.priority,
            "pi_judge": each.pi_judge,
            "pi_review": each.pi_review,
            "wanted": each.wanted,
            "assigned_to_id": each.assigned_to_id,
        }
        for each in sorted(items, key=lambda each: (each.trace_id, each.span_id))
    ]
    params = {"project_id": project_id, "queue_id": queue_id, "rows": orjson.dumps(rows).decode()}
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "put_review_items"), params)
        return cursor.rowcount


def lock_item(project_id: int, item_id: int) -> ReviewItem | None:
    """The item, held until the transaction ends."""
    return ReviewItem.objects.select_for_update().filter(project_id=project_id, pk=item_id).first()


def change_item(item_id: int, values: Mapping[str, Any]) -> None:
    """Change columns of an item."""
    ReviewItem.objects.filter(pk=item_id).update(**values)


def change_open_items(queue_id: int, wanted: Mapping[int, Iterable[int]]) -> None:
    """Have open items want another number of reviews: number -> items."""
    for number, ids in wanted.items():
        ReviewItem.objects.filter(queue_id=queue_id, pk__in=list(ids), state="open").update(wanted=number)


def take_item(
    queue_id: int,
    states: Sequence[str],
    user_id: int | None,
    reviewer: str,
    lease_key: str,
    able: Sequence[int],
    now: datetime,
    until: datetime,
) -> int | None:
    """Hold the next item that this person may take; its id, None where there is none.

    `able`: who may review; what is assigned to anybody else waits for everybody.
    Rows that somebody else is taking at this moment are passed over, so no two ever take the same.
    """
    params = {
        "queue_id": queue_id,
        "states": list(states),
        "user_id": user_id,
        "reviewer": reviewer,
        "lease_key": lease_key,
        "able": list(able),
        "now": now,
        "until": until,
    }
    with raw_cursor() as cursor:
        # What is theirs by assignment, what is new to them, and last what they passed on before.
        for assigned, skipped in ((True, False), (False, False), (True, True), (False, True)):
            asked = params | {"assigned": assigned, "skipped": skipped}
            cursor.execute(load("evals", "take_review_item"), asked)
            row = cursor.fetchone()
            if row is not None:
                return int(row[0])
    return None


def lock_tab(lease_key: str) -> None:
    """What one tab asks for at once is done one after the other, until the transaction ends."""
    number = int.from_bytes(hashlib.sha256(b"review tab " + lease_key[1:].encode()).digest()[:8], "big", signed=True)
    with raw_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (number,))


def let_go(user_id: int | None, lease_keys: Sequence[str], *, but: int | None = None) -> int:
    """Have a tab hold nothing (but one item); how many items it let go."""
    items = ReviewItem.objects.unscoped("what a tab holds goes by a key that this tab alone has")
    rows = items.filter(leased_by_id=user_id, lease_key__in=list(lease_keys))
    if but is not None:
        rows = rows.exclude(pk=but)
    return int(rows.update(leased_by=None, lease_key="", leased_until=None))


def hold_longer(item_id: int, user_id: int | None, lease_key: str, now: datetime, until: datetime) -> bool:
    """Whether a tab holds the item on: not where its time ran out and somebody else has it."""
    rows = ReviewItem.objects.filter(pk=item_id, leased_by_id=user_id, lease_key=lease_key, leased_until__gt=now)
    return bool(rows.update(leased_until=until))


def add_review(values: Mapping[str, Any]) -> int:
    """A new review; IntegrityError where this person has one of the item already."""
    return int(Review.objects.create(**values).pk)


def end_review(review_id: int, now: datetime) -> bool:
    """Take a review back: its row stays, its scores go. False where that was done before."""
    if not Review.objects.filter(pk=review_id, undone_at=None).update(undone_at=now):
        return False
    with raw_cursor() as cursor:
        cursor.execute("DELETE FROM evals_score WHERE review_id = %s", (review_id,))
    return True


def end_skips(item_id: int, user_id: int | None, reviewer: str, now: datetime) -> None:
    """What somebody passed on before no longer counts as passed on."""
    rows = Review.objects.filter(item_id=item_id, is_skip=True, undone_at=None)
    rows = rows.filter(Q(reviewer_id=user_id) if user_id else Q(reviewer_name=reviewer))
    rows.update(undone_at=now)


def put_review_scores(project_id: int, scores: Sequence[NewReviewScore], *, replaced: Sequence[int] = ()) -> None:
    """Keep what people scored, one row a criterion. Of the reviews `replaced`, criteria that are not among it go."""
    rows = [
        {
            "score_id": score_id,
            "review_id": each.review_id,
            "target_kind": SPAN if each.span_id else TRACE,
            "trace_id": each.trace_id,
            "span_id": each.span_id,
            "session_id": each.session_id,
            "started_at": each.started_at,
            "name": each.name,
            "data_type": each.data_type,
            "number": each.number,
            "label": each.label,
            "comment": each.comment and mask_text(project_id, each.comment),
            "author": each.author,
            "author_id": each.author_id,
            "key_id": each.key_id,
            "rubric_version_id": each.rubric_version_id,
            "pi": each.pi,
            "made_at": each.made_at,
        }
        for score_id, each in zip(new_ids(len(scores)), scores, strict=True)
    ]
    with raw_cursor() as cursor:
        if replaced:
            kept = [f"{each.review_id} {each.name}" for each in scores]
            cursor.execute(
                "DELETE FROM evals_score WHERE review_id = ANY(%s) AND NOT review_id || ' ' || name = ANY(%s)",
                (list(replaced), kept),
            )
        if rows:
            params = {"project_id": project_id, "source": PERSON, "rows": orjson.dumps(rows).decode()}
            cursor.execute(load("evals", "put_review_scores"), params)


@dataclass(frozen=True, slots=True)
class Feedback:
    """A score that a program gave a trace, with what the trace's review is grouped by."""

    name: str
    number: float | None
    label: str | None
    trace_id: UUID
    span_id: int
    started_at: datetime
    feature: str
    model: str
    prompt_version: str
    vote: int | None = None  # of a signal that is a thumb


def take_feedback(project_id: int, limit: int, too_old: datetime) -> tuple[int, list[Feedback]]:
    """Take up to `limit` told scores of programs away: how many, and those whose trace is there.

    A score that came before its trace stays until the trace comes, or it was told before `too_old`.
    """
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "take_feedback"), {"project_id": project_id, "limit": limit, "too_old": too_old})
        rows = cursor.fetchall()
    return len(rows), [Feedback(*row) for row in rows if row[5] is not None]


def tell_signals(project_id: int, signals: Sequence[tuple[UUID, str, bool]]) -> None:
    """Tell queues that wait for them of signals (key, name, whether it is a thumbs-down), in the open transaction."""
    if signals:
        keys, names, is_down = zip(*signals, strict=True)
        params = {"project_id": project_id, "keys": list(keys), "names": list(names), "is_down": list(is_down)}
        with raw_cursor() as cursor:
            cursor.execute(load("evals", "tell_signals"), params)


def take_told_signals(project_id: int, limit: int) -> tuple[int, list[Feedback]]:
    """Take up to `limit` told signals away: how many, and those whose trace is there."""
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "take_told_signals"), {"project_id": project_id, "limit": limit})
        rows = cursor.fetchall()
    return len(rows), [Feedback(*row) for row in rows if row[5] is not None]


def take_flagged(project_id: int, limit: int) -> list[tuple[int, int]]:
    """Up to `limit` judgements that were flagged and not queued yet, as (judgement, judge): no longer told from now."""
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "take_flagged"), {"project_id": project_id, "limit": limit})
        return [(row[0], row[1]) for row in cursor.fetchall()]
