"""Taking an item out of its queue, and back in."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest

from evals.read.review import ItemView, QueueView
from evals.reviewing.agreeing import DISPUTED, DROPPED, OPEN
from evals.reviewing.config import RefusedReview
from evals.reviewing.handing import drop_item
from evals.reviewing.verdicts import settle_item
from evals.write import review as write
from telltale.audit.log import record_in
from telltale.projects.models import Project


def drop(
    project: Project,
    queue: QueueView,
    item: ItemView,
    *,
    is_dropped: bool,
    request: HttpRequest | None = None,
    actor: str = "",
) -> None:
    """Take an item out of its queue, or back in. Reviews of it stay; RefusedReview where it is reviewed."""
    with transaction.atomic():
        row = write.lock_item(project.pk, item.id)
        allowed = (OPEN, DISPUTED) if is_dropped else (DROPPED,)
        if row is None or row.state not in allowed:
            raise RefusedReview("item", "is reviewed already" if is_dropped else "is in the queue")
        if is_dropped:
            drop_item(item.id)
        else:
            # Where it stood it stands again: open, or disputed by what was said before.
            settle_item(queue, queue.rubric, row, frees=True)
        action = "review.drop" if is_dropped else "review.restore"
        record_in(project, action, queue.slug, request=request, actor=actor, after={"item": item.id})
