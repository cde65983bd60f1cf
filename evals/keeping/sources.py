"""Items made from stored traces and from what people reviewed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from evals.judges.material import Material
from evals.models import Review
from evals.read.material import load_materials
from evals.write.datasets import NewItem

TRACES_MAX = 500
CHUNK = 100
REVIEWS_MAX = 500


def items_of_traces(
    project_id: int, targets: Sequence[tuple[UUID, int]], *, with_answer: bool
) -> tuple[list[NewItem], int]:
    """An item for each trace (or span of it, 0 for the whole) that says what was asked; and how many gave none.

    `with_answer` keeps what was answered as the expected answer, for people to mend.
    """
    wanted = list(dict.fromkeys(targets))[:TRACES_MAX]
    items = []
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        found = load_materials(project_id, part)
        for trace_id, span_id in part:
            material = found.get((trace_id, span_id))
            if material is not None and (material.question or material.messages):
                items.append(_item(material, trace_id, span_id, with_answer=with_answer))
    return items, len(wanted) - len(items)


def items_of_reviews(
    project_id: int, queue_id: int, *, verdict: str = "", with_answer: bool
) -> tuple[list[NewItem], int]:
    """An item for each reviewed trace of a queue, with what people said of it; and how many are not stored any more.

    The inclusion probability is that of being judged and drawn for review; None where somebody picked the trace.
    """
    rows = Review.objects.filter(project_id=project_id, item__queue_id=queue_id, undone_at=None, is_skip=False)
    if verdict:
        rows = rows.filter(verdict=verdict)
    reviews: dict[tuple[UUID, int], list[Review]] = {}
    for review in rows.order_by("created_at")[: REVIEWS_MAX * 3]:
        reviews.setdefault((review.trace_id, review.span_id), []).append(review)
    targets = list(reviews)[:REVIEWS_MAX]
    items, gone = [], 0
    for start in range(0, len(targets), CHUNK):
        part = targets[start : start + CHUNK]
        found = load_materials(project_id, part)
        for place in part:
            material = found.get(place)
            if material is None or not (material.question or material.messages):
                gone += 1
                continue
            items.append(_reviewed(_item(material, *place, with_answer=with_answer), reviews[place]))
    return items, gone


def _item(material: Material, trace_id: UUID, span_id: int, *, with_answer: bool) -> NewItem:
    asked: dict[str, Any] = {"question": material.question}
    if material.messages:
        asked["messages"] = [
            *({"role": message.role, "content": message.text} for message in material.messages),
            {"role": "user", "content": material.question},
        ]
    if material.documents:
        asked["documents"] = [
            {"id": document.id, "text": document.text, "score": document.score} for document in material.documents
        ]
    told = {"feature": material.feature, "model": material.model}
    key = trace_id.hex if not span_id else f"{trace_id.hex}-{span_id & (2**64 - 1):016x}"
    return NewItem(
        key, asked, material.answer or None if with_answer else None, {k: v for k, v in told.items() if v}, "trace",
        trace_id, span_id or None,
    )  # fmt: skip


def _reviewed(item: NewItem, reviews: Sequence[Review]) -> NewItem:
    newest = reviews[-1]
    said = {
        "verdict": newest.verdict, "category": newest.category, "note": newest.note, "reviewers": len(reviews),
    }  # fmt: skip
    told = {**item.metadata, "review": {name: value for name, value in said.items() if value}}
    pi = newest.pi_review
    if pi is not None and newest.pi_judge is not None:
        pi *= newest.pi_judge
    return NewItem(
        item.key, item.input, item.expected, told, "review", item.trace_id, item.span_id, f"review {newest.pk}", pi
    )  # fmt: skip
