"""Labels on retrieved documents: of use or not, as a person or a program says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from evals.judges.material import Document
from evals.read.material import load_materials
from evals.write.documents import RANK_MAX, DocumentScore, drop_labels, put_documents
from telltale.projects.models import Project
from traces.read.contents import read_rows

TRACES_MAX = 100
LABELS_MAX = 500
PERSON, API = 2, 3


@dataclass(frozen=True, slots=True)
class Label:
    """One label as it came: the document by its rank, or by its id; `relevance` 0..1, None takes a label back."""

    trace_id: UUID
    relevance: float | None
    rank: int | None = None
    document_id: str = ""
    span_id: int | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of labels: how many are stored, and for each refused one its place and why."""

    accepted: int
    refused: tuple[tuple[int, str], ...]


def label_documents(project: Project, labels: Sequence[Label], *, source: int) -> Labelled:
    """Store labels of people or of the API: the same document again replaces what the same source said before."""
    traces = list(dict.fromkeys(label.trace_id for label in labels))[:TRACES_MAX]
    rows = read_rows(project.pk, traces)
    materials = load_materials(project.pk, [(trace_id, 0) for trace_id in rows])
    scores: list[DocumentScore] = []
    drops: list[tuple[UUID, int, int]] = []
    refused: list[tuple[int, str]] = []
    for index, label in enumerate(labels):
        row, material = rows.get(label.trace_id), materials.get((label.trace_id, 0))
        if row is None:
            many = label.trace_id not in traces
            refused.append((index, f"more than {TRACES_MAX} traces at once" if many else "the trace is not stored"))
            continue
        document = _find(label, material.documents if material is not None else ())
        if isinstance(document, str):
            refused.append((index, document))
        elif label.relevance is None:
            drops.append((row.trace_id, document.span_id, document.rank))
        else:
            scores.append(DocumentScore(
                row.trace_id, document.span_id, document.rank, source, label.relevance, row.started_at,
                document_id=document.id[:300], retrieval_score=document.score, feature=row.feature or "",
                documents=sum(each.span_id == document.span_id for each in material.documents) if material else 0,
            ))  # fmt: skip
    with transaction.atomic():
        put_documents(project.pk, scores)
        for trace_id, span_id, rank in drops:
            drop_labels(project.pk, trace_id, span_id, [rank], source)
    return Labelled(len(scores) + len(drops), tuple(refused))


def _find(label: Label, documents: Sequence[Document]) -> Document | str:
    """The document that a label means, or why there is none."""
    there = [each for each in documents if label.span_id in (None, each.span_id)]
    if not there:
        return "the trace (or span) holds no retrieved documents"
    if label.rank is not None:
        if not 1 <= label.rank <= RANK_MAX:
            return f"rank is out of range (1 to {RANK_MAX})"
        found = next((each for each in there if each.rank == label.rank), None)
        return found or f"there is no document of rank {label.rank}"
    found = next((each for each in there if label.document_id and each.id == label.document_id), None)
    return found or "there is no document of this id"
