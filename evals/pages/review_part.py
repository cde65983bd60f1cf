"""What the page of a trace says of reviews: in which queues it is, and a way to send it to one."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from evals.read import review as read
from telltale.projects.access import may
from telltale.projects.models import Project
from traces.extras import Part
from traces.read import TraceRow


@dataclass(frozen=True, slots=True)
class InQueue:
    """A queue that the trace is in, with the item's address."""

    name: str
    href: str
    state: str
    reviews: str


@dataclass(frozen=True, slots=True)
class ReviewPart:
    """Queues that have the trace, and those it may be sent to: (slug, name)."""

    held: tuple[InQueue, ...]
    choices: tuple[tuple[str, str], ...]
    action: str
    trace: str
    back: str


def trace_part(request: HttpRequest, project: Project, row: TraceRow) -> Part | None:
    """The part; none where the project has no open queue and the trace is in none."""
    held, choices = read.queues_of_trace(project.pk, row.trace_id)
    may_review = may(project, "review")
    if not held and not (choices and may_review):
        return None
    base = f"/p/{project.slug}/review/"
    part = ReviewPart(
        held=tuple(
            InQueue(name, f"{base}?queue={slug}&item={item_id}", state, f"{n} of {wanted}")
            for item_id, slug, name, state, n, wanted in held
        ),
        choices=tuple(choices) if may_review else (),
        action=f"{base}add/",
        trace=row.hex_id,
        back=f"/p/{project.slug}/traces/{row.hex_id}/#review",
    )
    return Part("evals/_review_trace.html", part)
