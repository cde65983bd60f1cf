"""Review queues, what waits in them and what people said, as frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Q, QuerySet

from evals.models import Review, ReviewItem, ReviewQueue
from evals.rubrics import Rubric, parse_rubric
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

# Of a person's last verdicts so many tell their pace; fewer than that are too few to tell it.
PACE_REVIEWS, PACE_LEAST = 20, 3
OPEN_STATES = ("open", "disputed")


@dataclass(frozen=True, slots=True)
class QueueView:
    """A review queue. `config` holds the rules of what comes in, as evals.reviewing.config reads it."""

    id: int
    project_id: int
    slug: str
    name: str
    kind: str  # rules, random, calibration, manual
    rubric_version_id: int
    rubric_name: str
    rubric_slug: str
    rubric_number: int
    spec: Mapping[str, Any] = field(hash=False, repr=False)
    judge_id: int | None
    judge_slug: str
    judge_name: str
    judge_version_id: int | None
    judge_version_number: int | None
    config: Mapping[str, Any] = field(hash=False)
    reviewers_per_item: int
    double_share: float
    is_blind: bool
    due_at: datetime | None
    created_at: datetime
    closed_at: datetime | None

    @property
    def rubric(self) -> Rubric:
        """The criteria that reviews of this queue are scored by."""
        return parse_rubric(dict(self.spec))

    @property
    def is_open(self) -> bool:
        """Whether it takes items and reviews."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items of a queue are in which state: they add up to `total`. `held` of the open ones are on a screen."""

    open: int = 0
    done: int = 0
    disputed: int = 0
    settled: int = 0
    dropped: int = 0
    held: int = 0
    oldest_at: datetime | None = None

    @property
    def total(self) -> int:
        return self.open + self.done + self.disputed + self.settled + self.dropped

    @property
    def reviewed(self) -> int:
        """Items with all the verdicts they wanted."""
        return self.done + self.disputed + self.settled

    @property
    def waiting(self) -> int:
        """Items somebody still has to look at."""
        return self.open + self.disputed


@dataclass(frozen=True, slots=True)
class ItemView:
    """One item of a queue; `held_by` is who has it on the screen now, empty where nobody does."""

    id: int
    queue_id: int
    trace_id: UUID
    span_id: int
    started_at: datetime
    feature: str
    model: str
    prompt_version: str
    reason: str
    stratum: str
    priority: float
    pi_judge: float | None
    pi_review: float | None
    state: str
    wanted: int
    reviews_count: int
    assigned_to_id: int | None
    assigned_to: str
    leased_by_id: int | None
    held_by: str
    lease_key: str
    leased_until: datetime | None
    created_at: datetime
    done_at: datetime | None

    @property
    def hex_id(self) -> str:
        """The trace's id as 32 hex digits."""
        return self.trace_id.hex

    def is_held(self, now: datetime) -> bool:
        """Whether it is on somebody's screen."""
        return self.leased_until is not None and self.leased_until > now


@dataclass(frozen=True, slots=True)
class ScoreView:
    """One criterion's score of a review."""

    name: str
    data_type: int
    number: float | None
    label: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class ReviewView:
    """What one person said of an item, or of a trace by an import. `is_skip`: they passed it on."""

    id: int
    item_id: int | None
    trace_id: UUID
    span_id: int
    reviewer_id: int | None
    reviewer: str
    verdict: str
    category: str
    note: str
    is_adjudication: bool
    was_blind: bool
    is_skip: bool
    pi_judge: float | None
    pi_review: float | None
    seconds: float | None
    external_id: str | None
    created_at: datetime
    undone_at: datetime | None
    rubric_version_id: int
    scores: tuple[ScoreView, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedScore:
    """What a judge gave one criterion, and why."""

    name: str
    data_type: int
    number: float | None
    label: str | None
    reason: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """The newest scores of a judge on a target. `flags`: injection_attempt, evidence_not_found, cut."""

    judgement_id: int
    judge_id: int
    judge_name: str
    judge_slug: str
    version: int
    is_flagged: bool | None
    flags: tuple[str, ...]
    scores: tuple[JudgedScore, ...]
    spec: Mapping[str, Any] = field(hash=False, repr=False)

    @property
    def evidence(self) -> tuple[str, ...]:
        """All quotes that the judge gave."""
        return tuple(quote for score in self.scores for quote in score.evidence)


@dataclass(frozen=True, slots=True)
class Progress:
    """What one person did in a queue: verdicts by kind of everybody, their own, and their pace in seconds an item."""

    verdicts: Mapping[str, int]
    mine: int
    pace_seconds: float | None


def list_queues(project_id: int, *, with_closed: bool = False) -> list[QueueView]:
    """The queues of a project, those due first, then by name."""
    rows = _queues(project_id).order_by("closed_at", "due_at", "name", "id")
    return [_queue(row) for row in (rows if with_closed else rows.filter(closed_at=None))]


def get_queue(project_id: int, slug: str) -> QueueView | None:
    """One queue of the project; None where it has none of this name."""
    if "\x00" in slug or len(slug) > 60:
        return None
    row = _queues(project_id).filter(slug=slug).first()
    return None if row is None else _queue(row)


def get_queue_by_id(project_id: int, queue_id: int) -> QueueView | None:
    """One queue of the project by its id."""
    row = _queues(project_id).filter(pk=queue_id).first()
    return None if row is None else _queue(row)


def count_items(queue_ids: Sequence[int]) -> dict[int, Counts]:
    """How many items of each queue are in which state; one query."""
    if not queue_ids:
        return {}
    now = clock.now()
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_review_counts"), {"queue_ids": list(queue_ids), "now": now})
        rows = cursor.fetchall()
    found: dict[int, dict[str, Any]] = {queue_id: {} for queue_id in queue_ids}
    for queue_id, state, n, held, oldest_at in rows:
        known = found[queue_id]
        known[state] = n
        known["held"] = known.get("held", 0) + held
        if state in OPEN_STATES and oldest_at is not None:
            known["oldest_at"] = min(known.get("oldest_at") or oldest_at, oldest_at)
    return {queue_id: Counts(**known) for queue_id, known in found.items()}


def list_items(
    project_id: int,
    queue_id: int,
    *,
    states: Sequence[str] = (),
    assigned_to: int | None = None,
    limit: int = 50,
    after: tuple[float, int] | None = None,
) -> list[ItemView]:
    """Items in the order in which they are handed out, behind the place (priority, id) where given."""
    rows = _items(project_id).filter(queue_id=queue_id)
    if states:
        rows = rows.filter(state__in=list(states))
    if assigned_to is not None:
        rows = rows.filter(assigned_to_id=assigned_to)
    if after is not None:
        rows = rows.filter(Q(priority__lt=after[0]) | Q(priority=after[0], pk__gt=after[1]))
    return [_item(row) for row in rows.order_by("-priority", "pk")[:limit]]


def recent_items(project_id: int, queue_id: int, person_id: int, limit: int = 6) -> list[ItemView]:
    """The items that somebody reviewed last in a queue, the newest first."""
    said = Review.objects.filter(
        project_id=project_id, reviewer_id=person_id, item__queue_id=queue_id, undone_at=None, is_skip=False
    )
    ids = list(said.order_by("-pk").values_list("item_id", flat=True)[:limit])
    rows = {row.pk: row for row in _items(project_id).filter(pk__in=ids)}
    return [_item(rows[each]) for each in ids if each in rows]


def get_item(project_id: int, item_id: int) -> ItemView | None:
    """One item of the project."""
    row = _items(project_id).filter(pk=item_id).first()
    return None if row is None else _item(row)


def queues_of_trace(
    project_id: int, trace_id: UUID
) -> tuple[list[tuple[int, str, str, str, int, int]], list[tuple[str, str]]]:
    """The queues that have a trace, as (item, slug, name, state, reviews, wanted); open ones without: (slug, name).

    One query.
    """
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_review_of_trace"), {"project_id": project_id, "trace_id": trace_id})
        rows = cursor.fetchall()
    held = [(item_id, slug, name, state, n, wanted) for item_id, slug, name, state, n, wanted in rows if item_id]
    return held, [(slug, name) for item_id, slug, name, *_ in rows if not item_id]


def find_item(project_id: int, queue_id: int, trace_id: UUID, span_id: int) -> ItemView | None:
    """The item that a target is in a queue; None where it is not in it."""
    row = _items(project_id).filter(queue_id=queue_id, trace_id=trace_id, span_id=span_id).first()
    return None if row is None else _item(row)


def get_review(project_id: int, review_id: int) -> ReviewView | None:
    """One review of the project that was not taken back."""
    row = Review.objects.filter(project_id=project_id, pk=review_id, undone_at=None).select_related("reviewer").first()
    return None if row is None else with_scores(project_id, [row])[0]


def held_item(project_id: int, queue_id: int, person_id: int, lease_keys: Sequence[str]) -> ItemView | None:
    """What a browser tab of somebody holds in a queue; None where it holds nothing (any more)."""
    rows = _items(project_id).filter(
        queue_id=queue_id, leased_by_id=person_id, lease_key__in=list(lease_keys), leased_until__gt=clock.now()
    )
    row = rows.first()
    return None if row is None else _item(row)


@dataclass(frozen=True, slots=True)
class Left:
    """Of the items that wait: `free` for this person now, `held` by others, `others`: waiting for somebody else."""

    free: int
    held: int
    others: int


def left_for(queue_id: int, person_id: int, able: Sequence[int], *, may_settle: bool) -> Left:
    """What is left in a queue for somebody. `able`: who may review; what is kept for anybody else is for everybody."""
    params = {
        "queue_id": queue_id,
        "user_id": person_id,
        "able": list(able),
        "states": list(OPEN_STATES if may_settle else OPEN_STATES[:1]),
        "now": clock.now(),
    }
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_review_left"), params)
        row = cursor.fetchone() or (0, 0, 0)
    return Left(*row)


def reviews_of(project_id: int, item_ids: Iterable[int], *, with_undone: bool = False) -> list[ReviewView]:
    """What was said of items, oldest first, with the scores; two queries."""
    rows = Review.objects.filter(project_id=project_id, item_id__in=list(item_ids))
    if not with_undone:
        rows = rows.filter(undone_at=None)
    return with_scores(project_id, list(rows.select_related("reviewer").order_by("pk")))


def last_act(project_id: int, queue_id: int, person_id: int) -> ReviewView | None:
    """The last verdict or skip of somebody in a queue that was not taken back: what undo takes back."""
    rows = Review.objects.filter(
        project_id=project_id, reviewer_id=person_id, item__queue_id=queue_id, undone_at=None
    ).select_related("reviewer")
    row = rows.order_by("-pk").first()
    return None if row is None else with_scores(project_id, [row])[0]


def list_reviews(
    project_id: int,
    *,
    queue_id: int | None = None,
    trace_id: UUID | None = None,
    reviewer: str = "",
    before: int | None = None,
    limit: int = 50,
) -> list[ReviewView]:
    """Verdicts of a project, newest first; skips and what was taken back are left out."""
    rows = Review.objects.filter(project_id=project_id, undone_at=None, is_skip=False).select_related("reviewer")
    if queue_id is not None:
        rows = rows.filter(item__queue_id=queue_id)
    if trace_id is not None:
        rows = rows.filter(trace_id=trace_id)
    if reviewer:
        rows = rows.filter(reviewer_name=reviewer)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return with_scores(project_id, list(rows.order_by("-pk")[:limit]))


def with_scores(project_id: int, rows: Sequence[Review]) -> list[ReviewView]:
    """Rows of reviews as values, with their scores by one query."""
    scores: dict[int, list[ScoreView]] = {}
    if rows:
        with raw_cursor() as cursor:
            cursor.execute(
                "SELECT review_id, name, data_type, number, label, comment FROM evals_score"
                " WHERE project_id = %s AND review_id = ANY(%s) ORDER BY score_id",
                (project_id, [row.pk for row in rows]),
            )
            for review_id, *values in cursor.fetchall():
                scores.setdefault(review_id, []).append(ScoreView(*values))
    return [_review(row, tuple(scores.get(row.pk, ()))) for row in rows]


def progress(project_id: int, queue_id: int, person_id: int | None) -> Progress:
    """Verdicts of a queue by kind, and how many and how quickly somebody gave theirs; two queries."""
    said = Review.objects.filter(project_id=project_id, item__queue_id=queue_id, undone_at=None, is_skip=False)
    verdicts: dict[str, int] = {}
    mine = 0
    for verdict, reviewer_id, n in said.values_list("verdict", "reviewer_id").annotate(n=Count("pk")):
        verdicts[verdict] = verdicts.get(verdict, 0) + n
        mine += n if reviewer_id is not None and reviewer_id == person_id else 0
    pace = None
    if mine >= PACE_LEAST:
        own = said.filter(reviewer_id=person_id).exclude(seconds=None).order_by("-pk")
        took = sorted(float(each or 0.0) for each in own.values_list("seconds", flat=True)[:PACE_REVIEWS])
        pace = took[len(took) // 2] if len(took) >= PACE_LEAST else None
    return Progress(verdicts, mine, pace)


def reviewers(project_id: int, queue_id: int) -> list[tuple[str, int, int, datetime]]:
    """Who reviewed in a queue: (name, verdicts, skips, last at), the busiest first; one query."""
    said = Review.objects.filter(project_id=project_id, item__queue_id=queue_id, undone_at=None)
    rows = (
        said.values("reviewer_name")
        .annotate(
            n=Count("pk", filter=Q(is_skip=False)), skips=Count("pk", filter=Q(is_skip=True)), at=Max("created_at")
        )
        .order_by("-n", "reviewer_name")
    )
    return [(row["reviewer_name"], row["n"], row["skips"], row["at"]) for row in rows[:100]]


def judged_targets(
    project_id: int,
    targets: Sequence[tuple[UUID, int]],
    *,
    judge_id: int | None = None,
    judge_version_id: int | None = None,
) -> dict[tuple[UUID, int], Judged]:
    """The newest scores on each (trace, span): of this judge or version where named, else of whoever judged last."""
    if not targets:
        return {}
    params = {
        "project_id": project_id,
        "trace_ids": [trace_id for trace_id, _ in targets],
        "span_ids": [span_id for _, span_id in targets],
        "judge_id": judge_id,
        "version_id": judge_version_id,
    }
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_review_judged"), params)
        rows = cursor.fetchall()
    found: dict[tuple[UUID, int], Judged] = {}
    for trace_id, span_id, judgement_id, by_id, name, slug, number, is_flagged, flags, spec, scores in rows:
        read = tuple(_judged_score(score) for score in scores or ())
        found[trace_id, span_id] = Judged(judgement_id, by_id, name, slug, number, is_flagged, tuple(flags), read, spec)
    return found


def previews(project_id: int, trace_ids: Sequence[UUID]) -> dict[UUID, str]:
    """What was asked in each trace, as lists show it; those that are gone are not among them. One query."""
    if not trace_ids:
        return {}
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT trace_id, coalesce(preview_in, name, '') FROM traces_trace"
            " WHERE project_id = %s AND trace_id = ANY(%s)",
            (project_id, list(trace_ids)),
        )
        return dict(cursor.fetchall())


def session_of(project_id: int, trace_id: UUID) -> str:
    """The session of a trace; empty where it has none or is not there."""
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT session_id FROM traces_trace WHERE project_id = %s AND trace_id = %s", (project_id, trace_id)
        )
        row = cursor.fetchone()
    return str(row[0]) if row and row[0] else ""


def next_words(project_id: int, trace_id: UUID) -> str:
    """What the end user said next in the session of a trace; empty where there is no session or nothing came."""
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_review_next"), {"project_id": project_id, "trace_id": trace_id})
        row = cursor.fetchone()
    return str(row[0]) if row and row[0] else ""


def _queues(project_id: int) -> QuerySet[ReviewQueue]:
    related = ("rubric_version__rubric", "judge", "judge_version")
    return ReviewQueue.objects.filter(project_id=project_id).select_related(*related)


def _items(project_id: int) -> QuerySet[ReviewItem]:
    return ReviewItem.objects.filter(project_id=project_id).select_related("assigned_to", "leased_by")


def _queue(row: ReviewQueue) -> QueueView:
    version = row.rubric_version
    return QueueView(
        id=row.pk,
        project_id=row.project_id,
        slug=row.slug,
        name=row.name,
        kind=row.kind,
        rubric_version_id=version.pk,
        rubric_name=version.rubric.name,
        rubric_slug=version.rubric.slug,
        rubric_number=version.number,
        spec=version.spec,
        judge_id=row.judge_id,
        judge_slug=row.judge.slug if row.judge else "",
        judge_name=row.judge.name if row.judge else "",
        judge_version_id=row.judge_version_id,
        judge_version_number=row.judge_version.number if row.judge_version else None,
        config=row.config,
        reviewers_per_item=row.reviewers_per_item,
        double_share=row.double_share,
        is_blind=row.is_blind,
        due_at=row.due_at,
        created_at=row.created_at,
        closed_at=row.closed_at,
    )


def person_words(user: Any) -> str:
    """Somebody as pages name them; empty for nobody."""
    return "" if user is None else str(user.name or user.email)


def _item(row: ReviewItem) -> ItemView:
    is_held = row.leased_until is not None and row.leased_until > clock.now()
    return ItemView(
        id=row.pk,
        queue_id=row.queue_id,
        trace_id=row.trace_id,
        span_id=row.span_id,
        started_at=row.started_at,
        feature=row.feature,
        model=row.model,
        prompt_version=row.prompt_version,
        reason=row.reason,
        stratum=row.stratum,
        priority=row.priority,
        pi_judge=row.pi_judge,
        pi_review=row.pi_review,
        state=row.state,
        wanted=row.wanted,
        reviews_count=row.reviews_count,
        assigned_to_id=row.assigned_to_id,
        assigned_to=person_words(row.assigned_to),
        leased_by_id=row.leased_by_id,
        held_by=(person_words(row.leased_by) or "a script") if is_held else "",
        lease_key=row.lease_key,
        leased_until=row.leased_until,
        created_at=row.created_at,
        done_at=row.done_at,
    )


def _review(row: Review, scores: tuple[ScoreView, ...]) -> ReviewView:
    return ReviewView(
        id=row.pk,
        item_id=row.item_id,
        trace_id=row.trace_id,
        span_id=row.span_id,
        reviewer_id=row.reviewer_id,
        reviewer=row.reviewer_name,
        verdict=row.verdict,
        category=row.category,
        note=row.note,
        is_adjudication=row.is_adjudication,
        was_blind=row.was_blind,
        is_skip=row.is_skip,
        pi_judge=row.pi_judge,
        pi_review=row.pi_review,
        seconds=row.seconds,
        external_id=row.external_id,
        created_at=row.created_at,
        undone_at=row.undone_at,
        rubric_version_id=row.rubric_version_id,
        scores=scores,
    )


def _judged_score(told: Mapping[str, Any]) -> JudgedScore:
    return JudgedScore(
        told["name"],
        told["data_type"],
        told["number"],
        told["label"],
        told["comment"] or "",
        tuple(told["evidence"] or ()),
    )
