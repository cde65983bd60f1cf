"""Reading datasets: their versions, the items of each, and what differs between two."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, F, IntegerField, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from evals.models import Dataset, DatasetItem, DatasetVersion, Experiment

LIST_MAX = 200


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset at its newest version."""

    id: int
    slug: str
    name: str
    description: str
    version: int
    items: int
    experiments: int
    made_by: str
    created_at: datetime
    changed_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version: how many items it holds, who made it and why."""

    number: int
    items: int
    note: str
    made_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One content of an item. It is in every version from `from_version` to before `to_version` (None: still)."""

    id: int
    key: str
    input: Any
    expected: Any
    metadata: dict[str, Any]
    origin: str
    trace_id: UUID | None
    span_id: int | None
    ref: str
    pi: float | None
    from_version: int
    to_version: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items of a version in the order of their keys; `before` and `after` are the keys to go on from, "" at an end."""

    items: tuple[ItemRow, ...]
    total: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """An item that differs between two versions: old is None where it was added, new where it was removed."""

    key: str
    old: ItemRow | None
    new: ItemRow | None

    @property
    def kind(self) -> str:
        """added, removed or changed."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"


def list_datasets(project_id: int, *, with_archived: bool = False, limit: int = LIST_MAX) -> list[DatasetRow]:
    """The project's datasets, last changed first; one query."""
    rows = _rows().filter(project_id=project_id)
    if not with_archived:
        rows = rows.filter(archived_at=None)
    return [_dataset(row) for row in rows.order_by("-changed", "-pk")[:limit]]


def get_dataset(project_id: int, slug: str) -> DatasetRow | None:
    """One dataset of the project, archived or not."""
    row = _rows().filter(project_id=project_id, slug=slug).first() if _may_be_stored(slug) else None
    return None if row is None else _dataset(row)


def get_dataset_by_id(project_id: int, dataset_id: int) -> DatasetRow | None:
    """One dataset of the project by its id, archived or not."""
    row = _rows().filter(project_id=project_id, pk=dataset_id).first()
    return None if row is None else _dataset(row)


def keys_at(dataset_id: int, version: int, keys: Collection[str]) -> set[str]:
    """Those of the keys that an item of this version has. One query."""
    rows = DatasetItem.objects.filter(valid_at(version), dataset_id=dataset_id, item_key__in=list(keys))
    return set(rows.values_list("item_key", flat=True))


def list_versions(dataset_id: int, limit: int = 100) -> list[VersionRow]:
    """The newest versions first."""
    rows = DatasetVersion.objects.filter(dataset_id=dataset_id).select_related("created_by").order_by("-number")
    return [VersionRow(row.number, row.items, row.note, _name(row.created_by), row.created_at) for row in rows[:limit]]


def list_items(
    dataset_id: int, version: int, *, after: str = "", before: str = "", q: str = "", limit: int = 50
) -> ItemPage:
    """A page of the items of a version; `q` is looked for in keys, inputs and expected answers."""
    rows = DatasetItem.objects.filter(valid_at(version), dataset_id=dataset_id)
    if q:
        rows = rows.filter(Q(item_key__icontains=q) | Q(input__icontains=q) | Q(expected__icontains=q))
    total = rows.count()
    if before:
        found = list(rows.filter(item_key__lt=before).order_by("-item_key")[: limit + 1])
        has_before, has_after = len(found) > limit, True
        found = found[:limit][::-1]
    else:
        found = list(rows.filter(item_key__gt=after).order_by("item_key")[: limit + 1])
        has_before, has_after = bool(after), len(found) > limit
        found = found[:limit]
    return ItemPage(
        tuple(map(item_row, found)),
        total,
        found[0].item_key if found and has_before else "",
        found[-1].item_key if found and has_after else "",
    )


def all_items(dataset_id: int, version: int) -> list[ItemRow]:
    """Every item of a version, in the order of their keys."""
    rows = DatasetItem.objects.filter(valid_at(version), dataset_id=dataset_id)
    return [item_row(row) for row in rows.order_by("item_key")]


def get_item(dataset_id: int, version: int, key: str) -> ItemRow | None:
    """One item as a version holds it."""
    if not _may_be_stored(key):
        return None
    row = DatasetItem.objects.filter(valid_at(version), dataset_id=dataset_id, item_key=key).first()
    return None if row is None else item_row(row)


def item_history(dataset_id: int, key: str) -> list[ItemRow]:
    """Every content an item ever had, newest first."""
    if not _may_be_stored(key):
        return []
    rows = DatasetItem.objects.filter(dataset_id=dataset_id, item_key=key).order_by("-from_version")
    return [item_row(row) for row in rows[:100]]


def diff(dataset_id: int, old: int, new: int) -> list[Change]:
    """The items that differ between two versions, by key. What was changed and changed back is no difference."""
    rows = DatasetItem.objects.filter(dataset_id=dataset_id)
    rows = rows.filter((valid_at(old) & ~valid_at(new)) | (valid_at(new) & ~valid_at(old)))
    before: dict[str, ItemRow] = {}
    after: dict[str, ItemRow] = {}
    for row in rows:
        side = before if row.from_version <= old and (row.to_version is None or row.to_version > old) else after
        side[row.item_key] = item_row(row)
    changes = []
    for key in sorted(before.keys() | after.keys()):
        was, is_ = before.get(key), after.get(key)
        if was is None or is_ is None or _content(was) != _content(is_):
            changes.append(Change(key, was, is_))
    return changes


def valid_at(version: int) -> Q:
    """The condition that an item is in `version`."""
    return Q(from_version__lte=version) & (Q(to_version=None) | Q(to_version__gt=version))


def item_row(row: DatasetItem) -> ItemRow:
    """A row of the table as a value."""
    return ItemRow(
        row.pk, row.item_key, row.input, row.expected, row.metadata, row.origin, row.origin_trace_id,
        row.origin_span_id, row.origin_ref, row.pi, row.from_version, row.to_version, row.created_at,
    )  # fmt: skip


def _may_be_stored(text: str) -> bool:
    """Whether PostgreSQL could hold a text at all; what it could not is in no row."""
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _content(item: ItemRow) -> tuple[str, str, str]:
    # repr tells 1 from true, which == does not.
    return repr(item.input), repr(item.expected), repr(sorted(item.metadata.items()))


def _rows() -> Any:
    newest = DatasetVersion.objects.filter(dataset=OuterRef("pk"), number=OuterRef("version"))
    runs = Experiment.objects.filter(dataset=OuterRef("pk")).order_by().values("dataset").annotate(n=Count("pk"))
    return Dataset.objects.select_related("created_by").annotate(
        item_count=Coalesce(Subquery(newest.values("items")), 0, output_field=IntegerField()),
        changed=Coalesce(Subquery(newest.values("created_at")), F("created_at")),
        runs=Coalesce(Subquery(runs.values("n")), 0, output_field=IntegerField()),
    )


def _dataset(row: Any) -> DatasetRow:
    return DatasetRow(
        row.pk, row.slug, row.name, row.description, row.version, row.item_count, row.runs, _name(row.created_by),
        row.created_at, row.changed, row.archived_at,
    )  # fmt: skip


def _name(person: Any) -> str:
    return (person.name or person.email) if person is not None else ""
