"""From a review into a dataset: the question, what people think of the answer, and where it came from."""

from __future__ import annotations

from django.http import Http404, HttpRequest

from evals.judges.material import Material
from evals.keeping import By, DatasetRefused, NewItem, put_items
from evals.models import Dataset
from evals.read.material import load_material
from evals.read.review import ReviewView
from telltale.projects.models import Project

CHOICES_MAX = 50


class NotKept(Exception):
    """The answer is in no dataset; the text says why."""


def choices(project_id: int) -> list[tuple[str, str]]:
    """The datasets that an answer may be kept in: (slug, name) by name."""
    rows = Dataset.objects.filter(project_id=project_id, archived_at=None).order_by("name")
    return list(rows.values_list("slug", "name")[:CHOICES_MAX])


def keep(
    project: Project, slug: str, said: ReviewView, *, by_id: int | None = None, request: HttpRequest | None = None
) -> str:
    """Keep a reviewed answer in a dataset; the dataset's slug. NotKept where it cannot be."""
    material = load_material(project.pk, said.trace_id, said.span_id)
    if material is None or not (material.question or material.messages):
        raise NotKept("nothing of its question is stored any more.")
    try:
        put_items(
            project, slug[:60], [_item(said, material)], note="from a review", by=By(by_id, said.reviewer, request)
        )
    except DatasetRefused as refused:
        raise NotKept(f"{refused.field} {refused.message}.") from None
    except Http404:
        raise NotKept("there is no such dataset.") from None
    return slug


def _item(said: ReviewView, material: Material) -> NewItem:
    pi = said.pi_review if said.pi_judge is None or said.pi_review is None else said.pi_judge * said.pi_review
    talk = [{"role": each.role, "content": each.text} for each in material.messages]
    asked = [*talk, {"role": "user", "content": material.question}] if talk else material.question
    told = {"verdict": said.verdict, "category": said.category, "note": said.note, "answer": material.answer}
    return NewItem(
        key=f"{said.trace_id.hex}" + (f"-{said.span_id & (2**64 - 1):016x}" if said.span_id else ""),
        input=asked,
        # Only an answer that a person found good is one to expect.
        expected=material.answer if said.verdict in ("good", "false_alarm") and material.answer else None,
        metadata={name: value for name, value in told.items() if value},
        origin="review",
        trace_id=said.trace_id,
        span_id=said.span_id or None,
        ref=f"review {said.id}",
        pi=pi,
    )
