"""What an incident left behind: failing cases in datasets, and the experiment over them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from alerts.models import IncidentCase
from alerts.read.monitors import _person
from evals.read.datasets import get_dataset_by_id, keys_at
from evals.read.experiments import ExperimentRow, answered_keys, get_experiment, list_experiments


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A failing case that went into a dataset. `is_kept`: the newest version of it still has the item."""

    trace_id: UUID
    span_id: int | None
    dataset_id: int
    dataset_slug: str
    dataset_name: str
    item_key: str
    added_by: str
    added_at: datetime
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """An experiment over a dataset with cases of the incident. `covers`: how many of them it has an answer to.

    `lacking`: why it does not count as one over these cases, "" where it does.
    """

    row: ExperimentRow
    covers: int
    lacking: str


def list_cases(project_id: int, incident_id: int) -> list[CaseRow]:
    """The cases of an incident, oldest first. Two queries, and one for each dataset."""
    rows = list(
        IncidentCase.objects.filter(incident_id=incident_id)
        .select_related("added_by", "dataset")
        .order_by("pk")[:2_000]
    )
    kept: dict[int, Collection[str]] = {}
    for row in rows:
        if row.dataset_id not in kept:
            held = get_dataset_by_id(project_id, row.dataset_id)
            keys = [each.item_key for each in rows if each.dataset_id == row.dataset_id]
            is_there = held is not None and held.archived_at is None
            kept[row.dataset_id] = keys_at(row.dataset_id, held.version, keys) if is_there and held else ()
    return [
        CaseRow(
            row.trace_id, row.span_id, row.dataset_id, row.dataset.slug, row.dataset.name, row.item_key,
            _person(row.added_by), row.added_at, row.item_key in kept[row.dataset_id],
        )
        for row in rows
    ]  # fmt: skip


def tried_of(project_id: int, experiment_id: int, cases: Collection[CaseRow], since: datetime) -> Tried | None:
    """One experiment against the cases; None where it is gone. At most three queries."""
    row = get_experiment(project_id, experiment_id)
    return None if row is None else _tried(row, cases, since)


def list_tried(project_id: int, cases: Collection[CaseRow], since: datetime, limit: int = 20) -> list[Tried]:
    """Experiments over the datasets that hold the cases, newest first, those alone that were made `since`."""
    found = []
    for dataset_id in sorted({case.dataset_id for case in cases if case.is_kept})[:5]:
        for row in list_experiments(project_id, dataset_id=dataset_id, limit=limit):
            if row.created_at >= since:
                found.append(_tried(row, cases, since))
    return sorted(found, key=lambda each: -each.row.id)[:limit]


def _tried(row: ExperimentRow, cases: Collection[CaseRow], since: datetime) -> Tried:
    keys = [case.item_key for case in cases if case.dataset_id == row.dataset_id and case.is_kept]
    keys = list(keys_at(row.dataset_id, row.version, keys)) if keys else []
    covers = len(answered_keys(row.id, keys)) if keys else 0
    lacking = ""
    if not keys:
        lacking = "it ran over a version of the dataset without these cases"
    elif row.created_at < since:
        lacking = "it was made before the incident was opened again"
    elif row.state in {"failed", "cancelled"}:
        lacking = f"it {'failed' if row.state == 'failed' else 'was cancelled'}"
    elif row.state != "done":
        lacking = "it is not done yet"
    elif not covers:
        lacking = "it has no answer to any of these cases"
    return Tried(row, covers, lacking)
