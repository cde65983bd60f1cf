"""Taking verdicts: what a person says of an item, passing it on, taking back, and settling where people disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import isfinite

from django.db import IntegrityError, transaction
from django.http import HttpRequest

from evals.models import ReviewItem
from evals.read import review as read
from evals.read.review import QueueView, ReviewView
from evals.reviewing.agreeing import DISPUTED, DROPPED, OPEN, SETTLED, Outcome, Said, outcome
from evals.reviewing.config import NOTE_MAX, VERDICTS, Enough, RefusedReview, clean_text, stored_config
from evals.reviewing.drawing import wanted_of
from evals.reviewing.handing import BLIND, HOLD_SECONDS, SHOWN, both_keys, check_free, is_by
from evals.reviewing.people import Reviewer
from evals.reviewing.values import Value, read_scores
from evals.rubrics import Rubric
from evals.write import review as write
from evals.write.review import NewReviewScore
from evals.write.setup import freeze_rubric
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project
from traces import erasure
from traces.masks import mask_text

# What was said longer ago than this is changed by nobody any more.
UNDO_WITHIN = timedelta(hours=24)
SECONDS_MAX = 3600.0


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody says of an item: a verdict of VERDICTS, scores by criterion as they came, a category, a note."""

    verdict: str
    scores: Mapping[str, object] = field(default_factory=dict)
    category: str = ""
    note: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A review that was taken, and where its item stands by it."""

    review: ReviewView
    outcome: Outcome


def save_verdict(queue: QueueView, item_id: int, reviewer: Reviewer, keys: tuple[str, ...], given: Given) -> Taken:
    """Keep what somebody says of an item, with a score of each criterion given.

    RefusedReview where it cannot be said so; Held where somebody else has the item on the screen by now; Enough where
    this person said theirs already or the item has all it wanted. On a disputed item it settles the matter.
    """
    rubric = queue.rubric
    values = check_given(queue, rubric, given)
    _refuse_erased(queue, item_id)
    with transaction.atomic():
        row = write.lock_item(queue.project_id, item_id)
        if row is None or row.queue_id != queue.id:
            raise Enough
        check_free(queue, row, reviewer, keys)
        before = read.reviews_of(queue.project_id, [item_id], with_undone=True)
        is_adjudication = row.state == DISPUTED
        if is_adjudication and not reviewer.may_settle:
            raise Enough
        write.end_skips(item_id, reviewer.user_id, reviewer.name, clock.now())
        review_id = _add(queue, row, reviewer, given, is_adjudication, _was_blind(queue, row, reviewer, before))
        _put_scores(queue, row, reviewer, review_id, values, mask_text(queue.project_id, given.note))
        freeze_rubric(queue.rubric_version_id)
        standing = settle_item(queue, rubric, row, frees=True)
    said = next(each for each in read.reviews_of(queue.project_id, [item_id]) if each.id == review_id)
    return Taken(said, standing)


def _refuse_erased(queue: QueueView, item_id: int) -> None:
    """RefusedReview where the item's trace is being erased."""
    items = ReviewItem.objects.filter(project_id=queue.project_id, queue_id=queue.id, pk=item_id)
    trace_id = items.values_list("trace_id", flat=True).first()
    if trace_id is not None and erasure.find_gone(queue.project_id, traces=[trace_id]):
        erasure.count_refused(queue.project_id, "reviews", 1, "its trace")
        raise RefusedReview("item", erasure.MESSAGE)


def check_given(queue: QueueView, rubric: Rubric, given: Given) -> dict[str, Value]:
    """The scores of what was said, read; RefusedReview."""
    if given.verdict not in VERDICTS:
        raise RefusedReview("verdict", "is missing" if not given.verdict else "is none", ", ".join(VERDICTS))
    values = read_scores(rubric, given.scores)
    config = stored_config(queue.config)
    if config.needs_scores and given.verdict != "unsure":
        missing = [each.title for each in rubric.criteria if each.key not in values]
        if missing:
            raise RefusedReview("scores", f"are missing for {', '.join(missing)}", "one for every criterion")
    clean_text("category", given.category, 100)
    clean_text("note", given.note, NOTE_MAX)
    return values


def skip_item(queue: QueueView, item_id: int, reviewer: Reviewer, keys: tuple[str, ...]) -> None:
    """Pass an item on: others get it, and this person only once nothing else is left."""
    with transaction.atomic():
        row = write.lock_item(queue.project_id, item_id)
        if row is None or row.queue_id != queue.id:
            raise Enough
        check_free(queue, row, reviewer, keys)
        write.end_skips(item_id, reviewer.user_id, reviewer.name, clock.now())
        _create(queue, row, reviewer, {"is_skip": True, "was_blind": False})
        write.change_item(item_id, _free(row))


def undo(queue: QueueView, reviewer: Reviewer, key: str, review_id: int | None = None) -> int | None:
    """Take back the last verdict or skip of somebody in the queue; its item, now on their screen. None: nothing to.

    `review_id`: only where it is this one, so that a key pressed twice takes back one verdict. Enough where it is too
    late: a day ago, or somebody settled the matter since.
    """
    if reviewer.user_id is None:
        return None
    said = read.last_act(queue.project_id, queue.id, reviewer.user_id)
    if said is None or said.item_id is None or review_id not in (None, said.id):
        return None
    return undo_review(queue, said, reviewer, key)


def undo_review(queue: QueueView, said: ReviewView, reviewer: Reviewer, key: str) -> int:
    """Take back one review of this person; its item. Enough where it is too late."""
    if said.item_id is None or not is_by(said, reviewer) or clock.now() - said.created_at > UNDO_WITHIN:
        raise Enough
    with transaction.atomic():
        if key:
            write.lock_tab(key)
        row = write.lock_item(queue.project_id, said.item_id)
        if row is None or (row.state == SETTLED and not said.is_adjudication) or not queue.is_open:
            raise Enough
        now = clock.now()
        if not write.end_review(said.id, now):
            raise Enough
        ours = row.leased_by_id == reviewer.user_id and (
            reviewer.user_id is not None or row.lease_key in both_keys(key or BLIND)
        )
        is_free = row.leased_until is None or row.leased_until <= now or ours
        if row.state == DROPPED:
            write.change_item(row.pk, {"reviews_count": max(row.reviews_count - (not said.is_skip), 0)})
        elif not said.is_skip:
            # Somebody else may have it on the screen by now: it stays there.
            settle_item(queue, queue.rubric, row, frees=is_free)
        if key and is_free and row.state in (OPEN, DISPUTED):
            write.let_go(reviewer.user_id, both_keys(key))
            # What the judge said was shown when the verdict was saved: from now on this look is no blind one.
            values = {"leased_by_id": reviewer.user_id, "lease_key": (BLIND if said.is_skip else SHOWN) + key[1:]}
            write.change_item(said.item_id, values | {"leased_until": now + timedelta(seconds=HOLD_SECONDS)})
    return said.item_id


def remove_imported(project: Project, said: ReviewView, *, request: HttpRequest | None = None, actor: str = "") -> None:
    """Take back a review that was brought in from elsewhere."""
    with transaction.atomic():
        write.end_review(said.id, clock.now())
        told = {"trace": said.trace_id.hex, "reviewer": said.reviewer}
        record_in(project, "review.remove", f"review {said.id}", request=request, actor=actor, before=told)


def _add(
    queue: QueueView, row: ReviewItem, reviewer: Reviewer, given: Given, is_adjudication: bool, was_blind: bool
) -> int:
    seconds = given.seconds
    if seconds is not None:
        seconds = min(max(seconds, 0.0), SECONDS_MAX) if isfinite(seconds) else None
    return _create(
        queue,
        row,
        reviewer,
        {
            "verdict": given.verdict,
            "category": mask_text(queue.project_id, given.category.strip())[:100],
            "note": mask_text(queue.project_id, given.note.strip()),
            "is_adjudication": is_adjudication,
            "was_blind": was_blind,
            "seconds": seconds,
        },
    )


def _create(queue: QueueView, row: ReviewItem, reviewer: Reviewer, more: Mapping[str, object]) -> int:
    values = {
        "project_id": queue.project_id,
        "item_id": row.pk,
        "rubric_version_id": queue.rubric_version_id,
        "trace_id": row.trace_id,
        "span_id": row.span_id,
        "reviewer_id": reviewer.user_id,
        "reviewer_name": reviewer.name,
        "pi_judge": row.pi_judge,
        "pi_review": row.pi_review,
    }
    try:
        with transaction.atomic():
            return write.add_review(values | dict(more))
    except IntegrityError:
        raise Enough from None


def _was_blind(queue: QueueView, row: ReviewItem, reviewer: Reviewer, before: list[ReviewView]) -> bool:
    """Whether the judge's scores could not be seen: a blind hold, and nothing said before, after which they show."""
    if any(is_by(each, reviewer) and each.undone_at is not None and not each.is_skip for each in before):
        return False
    ours = row.leased_by_id == reviewer.user_id and bool(row.lease_key)
    if ours and row.lease_key.startswith(SHOWN):
        return False
    return queue.is_blind or (ours and row.lease_key.startswith(BLIND))


def _put_scores(
    queue: QueueView, row: ReviewItem, reviewer: Reviewer, review_id: int, values: Mapping[str, Value], note: str
) -> None:
    now = clock.now()
    session_id = read.session_of(queue.project_id, row.trace_id)
    pi = row.pi_review if row.pi_judge is None or row.pi_review is None else row.pi_judge * row.pi_review
    scores = [
        NewReviewScore(
            review_id=review_id,
            trace_id=row.trace_id,
            span_id=row.span_id,
            session_id=session_id or None,
            started_at=row.started_at,
            name=name,
            data_type=value.data_type,
            number=value.number,
            label=value.label,
            comment=note.strip() or None,
            author=reviewer.name,
            author_id=reviewer.user_id,
            key_id=reviewer.key_id,
            rubric_version_id=queue.rubric_version_id,
            pi=pi,
            made_at=now,
        )
        for name, value in values.items()
    ]
    write.put_review_scores(queue.project_id, scores)


def settle_item(queue: QueueView, rubric: Rubric, row: ReviewItem, *, frees: bool) -> Outcome:
    """Write down where a locked item stands by what was said of it; `frees`: whoever has it on the screen loses it."""
    said = [each for each in read.reviews_of(queue.project_id, [row.pk]) if not each.is_skip]
    base = wanted_of(queue.reviewers_per_item, queue.double_share, stored_config(queue.config).salt, row.trace_id)
    standing = outcome(rubric, [said_of(each) for each in said], base)
    values = (_free(row) if frees or standing.state not in (OPEN, DISPUTED) else {}) | {
        "state": standing.state,
        "wanted": standing.wanted,
        "reviews_count": len(said),
        "done_at": None if standing.state in (OPEN, DISPUTED) else clock.now(),
        # Whoever was to review it did; a disputed item is for anybody else.
        "assigned_to_id": None if standing.state != OPEN or row.assigned_to_id in _people(said) else row.assigned_to_id,
    }
    write.change_item(row.pk, values)
    row.state = standing.state
    return standing


def _people(said: list[ReviewView]) -> set[int | None]:
    return {each.reviewer_id for each in said}


def said_of(review: ReviewView) -> Said:
    """A review as agreement looks at it."""
    scores = {each.name: each.number if each.number is not None else each.label or "" for each in review.scores}
    return Said(review.verdict, scores, review.is_adjudication)


def _free(row: ReviewItem) -> dict[str, object]:
    return {"leased_by_id": None, "lease_key": "", "leased_until": None}
