"""Setting up review queues: made, changed, closed and opened again; every change is in the audit log."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.text import slugify

from evals.models import ReviewItem, ReviewQueue
from evals.read import review as read
from evals.read.review import QueueView
from evals.read.setup import get_judge, get_judge_version, get_rubric, get_rubric_version
from evals.reviewing.agreeing import OPEN
from evals.reviewing.config import (
    CALIBRATION,
    KINDS,
    MANUAL,
    NAME_MAX,
    REVIEWERS_MAX,
    RULES,
    QueueConfig,
    RefusedReview,
    clean_text,
    read_config,
    stored_config,
)
from evals.reviewing.drawing import wanted_of
from evals.reviewing.filling import fill_new
from evals.reviewing.verdicts import settle_item
from evals.write import review as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project
from traces import changes

QUEUES_MAX = 200
SLUG_MAX = 60
DOUBLE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class WantedQueue:
    """A queue as somebody wants it. `judge`, `rubric` are slugs; no rubric: that of the judge's version."""

    name: str
    kind: str = MANUAL
    rubric: str = ""
    rubric_version: int | None = None
    judge: str = ""
    judge_version: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    reviewers_per_item: int = 1
    double_share: float = DOUBLE_SHARE
    is_blind: bool = True
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Clean:
    values: dict[str, Any]
    config: QueueConfig


def add_queue(
    project: Project,
    wanted: WantedQueue,
    *,
    by_id: int | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> QueueView:
    """A new queue; a calibration task has its sample drawn at once. RefusedReview."""
    clean = _checked(project, wanted, secrets.token_hex(16))
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        open_queues = ReviewQueue.objects.filter(project=project)
        if open_queues.count() >= QUEUES_MAX:
            raise RefusedReview("name", "is one too many", f"{QUEUES_MAX} queues in a project")
        slug = _free_slug(project.pk, clean.values["name"])
        values = clean.values | {"slug": slug, "created_by_id": by_id, "config": clean.config.stored()}
        queue_id = write.add_queue(project.pk, values)
        record_in(
            project, "review.queue.add", slug, request=request, actor=actor, after=_told(values, clean.config),
        )  # fmt: skip
        made = _there(project.pk, queue_id)
        fill_new(made)
    if made.kind in (RULES, "random"):
        changes.watch(project.pk)
    return _there(project.pk, queue_id)


def change_queue(
    project: Project, queue: QueueView, wanted: WantedQueue, *, request: HttpRequest | None = None, actor: str = ""
) -> QueueView:
    """Change a queue; its kind and, once reviewed, its rubric stay. Open items want as many reviews as it says now."""
    if wanted.kind != queue.kind:
        raise RefusedReview("kind", "of a queue stays as it is", queue.kind, wanted.kind)
    old = stored_config(queue.config)
    clean = _checked(project, wanted, old.salt or secrets.token_hex(16), keeps=queue)
    if clean.values["rubric_version_id"] != queue.rubric_version_id and _has_reviews(queue.id):
        raise RefusedReview("rubric", "stays as it is: reviews were given by it", queue.rubric_slug)
    with transaction.atomic():
        row = write.lock_queue(project.pk, queue.id)
        if row is None:
            raise RefusedReview("queue", "is not there any more")
        before = _told({name: getattr(row, name) for name in clean.values}, old)
        config = clean.config.stored() | {"told": dict(old.told)}
        write.change_queue(queue.id, clean.values | {"config": config})
        if any(clean.values[name] != getattr(row, name) for name in ("reviewers_per_item", "double_share")):
            _rewant(_there(project.pk, queue.id), clean.config.salt)
        after = _told(clean.values, clean.config)
        if before != after:
            record_in(
                project, "review.queue.change", queue.slug, request=request, actor=actor, before=before, after=after
            )
    return _there(project.pk, queue.id)


def close_queue(
    project: Project, queue: QueueView, *, is_closed: bool, request: HttpRequest | None = None, actor: str = ""
) -> QueueView:
    """Close a queue, so that it takes and hands out nothing; or open it again. What was reviewed stays."""
    with transaction.atomic():
        row = write.lock_queue(project.pk, queue.id)
        if row is not None and (row.closed_at is not None) != is_closed:
            write.change_queue(queue.id, {"closed_at": clock.now() if is_closed else None})
            action = "review.queue.close" if is_closed else "review.queue.open"
            record_in(project, action, queue.slug, request=request, actor=actor)
    return _there(project.pk, queue.id)


def _has_reviews(queue_id: int) -> bool:
    return ReviewItem.objects.filter(queue_id=queue_id, reviews_count__gt=0).exists()


def _rewant(queue: QueueView, salt: str) -> None:
    """Have what waits want as many reviews as the queue says now; what has them all by that is done."""
    changed: dict[int, list[int]] = {}
    rows = ReviewItem.objects.filter(queue_id=queue.id, state=OPEN, reviews_count=0)
    for item_id, trace_id, now_wanted in rows.values_list("pk", "trace_id", "wanted").iterator():
        wants = wanted_of(queue.reviewers_per_item, queue.double_share, salt, trace_id)
        if wants != now_wanted:
            changed.setdefault(wants, []).append(item_id)
    write.change_open_items(queue.id, changed)
    begun = ReviewItem.objects.filter(queue_id=queue.id, state=OPEN, reviews_count__gt=0).order_by("pk")
    for item_id in begun.values_list("pk", flat=True):
        row = write.lock_item(queue.project_id, item_id)
        if row is not None and row.state == OPEN:
            settle_item(queue, queue.rubric, row, frees=False)


def _checked(project: Project, wanted: WantedQueue, salt: str, *, keeps: QueueView | None = None) -> _Clean:
    name = " ".join(clean_text("name", wanted.name, NAME_MAX, is_needed=True).split())
    if not name.isprintable():
        raise RefusedReview("name", "holds characters that cannot be seen")
    if wanted.kind not in KINDS:
        raise RefusedReview("kind", "is none", ", ".join(KINDS), wanted.kind[:40])
    judge_id, version_id, rubric_version_id = _judge(project.pk, wanted, keeps)
    if wanted.rubric:
        rubric_version_id = _rubric(project.pk, wanted)
    if rubric_version_id is None:
        raise RefusedReview("rubric", "is missing", "the name of a rubric, or of a judge, whose rubric it then is")
    version = get_rubric_version(project.pk, rubric_version_id)
    if version is None:
        raise RefusedReview("rubric", "is not there (any more)")
    if not 1 <= wanted.reviewers_per_item <= REVIEWERS_MAX:
        raise RefusedReview(
            "reviewers_per_item", "is out of range", f"1 to {REVIEWERS_MAX}", str(wanted.reviewers_per_item)[:20]
        )
    if not 0.0 <= wanted.double_share <= 1.0:
        raise RefusedReview("double_share", "is out of range", "0 to 1", f"{wanted.double_share:g}")
    if wanted.due_at is not None and not 2000 <= wanted.due_at.year <= 2200:
        raise RefusedReview("due_at", "is out of range", "years 2000 to 2200", wanted.due_at.isoformat())
    if wanted.kind == CALIBRATION and judge_id is None:
        raise RefusedReview("judge", "is missing: a calibration task is of one judge", "the name of a judge")
    values = {
        "name": name,
        "kind": wanted.kind,
        "rubric_version_id": rubric_version_id,
        "judge_id": judge_id,
        "judge_version_id": version_id if wanted.kind == CALIBRATION or wanted.judge_version else None,
        "reviewers_per_item": wanted.reviewers_per_item,
        "double_share": wanted.double_share,
        "is_blind": wanted.is_blind or wanted.kind == CALIBRATION,
        "due_at": wanted.due_at,
    }
    return _Clean(values, read_config(wanted.kind, wanted.config, version.rubric, salt))


def _judge(project_id: int, wanted: WantedQueue, keeps: QueueView | None) -> tuple[int | None, int | None, int | None]:
    """The ids of the judge, its version and that one's rubric; None for a queue of no judge."""
    if not wanted.judge:
        return None, None, None
    judge = get_judge(project_id, wanted.judge)
    if judge is None or not judge.versions:
        raise RefusedReview("judge", "is not there", "the name of a judge in addresses", wanted.judge[:60])
    version = judge.live or judge.newest
    if keeps is not None and keeps.judge_id == judge.id and wanted.judge_version is None:
        kept = get_judge_version(project_id, keeps.judge_version_id) if keeps.judge_version_id else None
        version = kept or version
    if wanted.judge_version is not None:
        found = judge.version(wanted.judge_version)
        if found is None:
            raise RefusedReview("judge_version", "is none of this judge", value=str(wanted.judge_version)[:20])
        version = found
    return judge.id, version.id, version.rubric_version.id


def _rubric(project_id: int, wanted: WantedQueue) -> int:
    rubric = get_rubric(project_id, wanted.rubric)
    if rubric is None or not rubric.versions:
        raise RefusedReview("rubric", "is not there", "the name of a rubric in addresses", wanted.rubric[:60])
    if wanted.rubric_version is None:
        return rubric.newest.id
    found = rubric.version(wanted.rubric_version)
    if found is None:
        raise RefusedReview("rubric_version", "is none of this rubric", value=str(wanted.rubric_version)[:20])
    return found.id


def _free_slug(project_id: int, name: str) -> str:
    base = slugify(name)[: SLUG_MAX - 5].strip("-") or "queue"
    # Beside these addresses are pages.
    taken = {
        "new",
        "queues",
        "add",
        "export",
        *ReviewQueue.objects.filter(project_id=project_id).values_list("slug", flat=True),
    }
    numbered = (base if n == 1 else f"{base}-{n}" for n in range(1, len(taken) + 2))
    return next(slug for slug in numbered if slug not in taken)


def _there(project_id: int, queue_id: int) -> QueueView:
    found = read.get_queue_by_id(project_id, queue_id)
    if found is None:
        raise RefusedReview("queue", "is not there any more")
    return found


def _told(values: Mapping[str, Any], config: QueueConfig) -> dict[str, Any]:
    """A queue as the audit log keeps it."""
    names = ("name", "kind", "rubric_version_id", "judge_id", "reviewers_per_item", "double_share", "is_blind")
    due = values.get("due_at")
    kept = {name: values[name] for name in names} | {"due_at": due.isoformat() if due else None}
    return kept | {name: value for name, value in config.stored().items() if name not in ("told", "salt")}
