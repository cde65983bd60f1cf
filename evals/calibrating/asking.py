"""Asking people: a calibration task draws judged answers for blind review; the version scores what it has not yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from evals.models import JudgeVersion, ReviewItem
from evals.read.review import QueueView
from evals.read.setup import JudgeVersionView, JudgeView
from evals.reviewing.config import CALIBRATION, RefusedReview
from evals.reviewing.queues import WantedQueue, add_queue
from evals.write.judgements import SPAN, TRACE, Purpose, Target, queue
from telltale.projects.models import Project

ANSWERS = 200


@dataclass(frozen=True, slots=True)
class Task:
    """A calibration task: its queue, how many answers it has, and how many the version has yet to score."""

    queue: QueueView
    items: int
    to_judge: int


def begin_task(
    project: Project,
    judge: JudgeView,
    version: JudgeVersionView,
    *,
    criterion: str = "",
    feature: str = "",
    wanted: int = ANSWERS,
    days: int = 28,
    reviewers: int = 1,
    double_share: float = 0.2,
    due_at: datetime | None = None,
    name: str = "",
    by_id: int | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> Task:
    """Draw `wanted` judged answers of the last `days` for blind review. RefusedReview.

    They are drawn of what this version scored; of what the live one scored where it has scored nothing yet, and then
    they are queued for this version to score as well, for calibration and at its usual price.
    """
    config: dict[str, Any] = {"wanted": wanted, "days": days, "feature": feature}
    if criterion:
        config["criterion"] = criterion
    asked = WantedQueue(
        name=name or f"Calibration of {judge.name} v{version.number}",
        kind=CALIBRATION,
        judge=judge.slug,
        judge_version=version.number,
        config=config,
        reviewers_per_item=reviewers,
        double_share=double_share,
        due_at=due_at,
    )
    with transaction.atomic():
        try:
            with transaction.atomic():
                made = add_queue(project, asked, by_id=by_id, request=request, actor=actor)
        except RefusedReview as refused:
            live = judge.live
            if refused.field != "judge" or live is None or live.id == version.id:
                raise
            other = WantedQueue(**{**_fields(asked), "judge_version": live.number, "name": asked.name})
            made = add_queue(project, other, by_id=by_id, request=request, actor=actor)
        items = list(ReviewItem.objects.filter(queue_id=made.id))
        to_judge = _have_scored(project.pk, version.id, items) if judge.kind in ("model", "rule") else 0
    return Task(made, len(items), to_judge)


def _fields(asked: WantedQueue) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in WantedQueue.__dataclass_fields__}


def _have_scored(project_id: int, version_id: int, items: list[ReviewItem]) -> int:
    """Queue the items for a version to score; those that it has scored are left."""
    row = JudgeVersion.objects.get(pk=version_id)
    targets = [
        Target(
            target_id=item.trace_id,
            started_at=item.started_at,
            kind=SPAN if item.span_id else TRACE,
            span_id=item.span_id,
            feature=item.feature,
            model=item.model,
            prompt_version=item.prompt_version,
            stratum=item.stratum,
            pi=item.pi_judge,
        )
        for item in items
    ]
    return queue(project_id, row, targets, Purpose.CALIBRATION)
