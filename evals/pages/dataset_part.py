"""What pages of traces offer for keeping: a way into datasets, and to saying which documents were of use."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from evals.read.retrieval import has_retrieval
from telltale.projects.access import may
from telltale.projects.models import Project
from traces.extras import ListAction, Part
from traces.read import TraceRow


@dataclass(frozen=True, slots=True)
class KeepPart:
    """Addresses, empty where the person may not."""

    dataset_href: str
    documents_href: str


def trace_part(request: HttpRequest, project: Project, row: TraceRow) -> Part | None:
    """The part; none for those who may do neither."""
    add = f"{reverse('dataset_add', args=[project.slug])}?trace={row.hex_id}" if may(project, "measure") else ""
    label = ""
    if may(project, "review") and has_retrieval(project.pk, row.trace_id, row.started_at, row.last_started_at):
        label = reverse("retrieval_documents", args=[project.slug, row.hex_id])
    return Part("evals/_keep_trace.html", KeepPart(add, label)) if add or label else None


def list_action(request: HttpRequest, project: Project) -> ListAction | None:
    """Everything in a list, or what is ticked in it, into a dataset."""
    if not may(project, "measure"):
        return None
    return ListAction(reverse("dataset_add", args=[project.slug]), "Add to a dataset", "Add those ticked to a dataset")
