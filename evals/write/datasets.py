"""Rows of datasets: every change of items makes a version, and what a version holds never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import orjson

from evals.models import Dataset, DatasetItem, DatasetVersion
from traces.masks import mask_id, mask_value


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item as somebody brings it. `pi` is the chance it had to be drawn, None where it was picked by hand."""

    key: str
    input: Any
    expected: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    origin: str = "api"
    trace_id: UUID | None = None
    span_id: int | None = None
    ref: str = ""
    pi: float | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """What a change did; `version` is the newest one after it, as before where nothing differed."""

    version: int
    items: int
    added: int = 0
    changed: int = 0
    removed: int = 0
    same: int = 0
    erased: int = 0  # left out, as of traces that were erased

    @property
    def is_change(self) -> bool:
        """Whether it made a version."""
        return bool(self.added or self.changed or self.removed)


def hold(project_id: int, slug: str) -> Dataset | None:
    """The dataset, locked until the caller's transaction ends: changes come one after the other."""
    return Dataset.objects.select_for_update().filter(project_id=project_id, slug=slug).first()


def put_items(held: Dataset, items: Sequence[NewItem], *, by_id: int | None, note: str) -> Put:
    """Add items, and replace the content of those whose key is there already. `held` comes from `hold`."""
    items = [_masked(held.project_id, item) for item in items]
    keys = [item.key for item in items]
    rows = DatasetItem.objects.filter(dataset=held, item_key__in=keys, to_version=None)
    current = {row.item_key: row for row in rows}
    fresh, closed, same = [], [], 0
    number = held.version + 1
    for item in items:
        row = current.get(item.key)
        if row is not None and content(row.input, row.expected, row.metadata) == content(
            item.input, item.expected, item.metadata
        ):
            same += 1
            continue
        if row is not None:
            closed.append(row.pk)
            # An edited item keeps saying where it came from.
            item = _with_origin(item, row)
        fresh.append(_row(held, item, number, by_id))
    if fresh:
        DatasetItem.objects.filter(pk__in=closed).update(to_version=number)
        DatasetItem.objects.bulk_create(fresh, batch_size=500)
    return _finish(held, Put(0, 0, len(fresh) - len(closed), len(closed), 0, same), by_id, note)


def _masked(project_id: int, item: NewItem) -> NewItem:
    """The item as the project may keep it."""
    input_, expected, metadata = mask_value(project_id, [item.input, item.expected, item.metadata])
    return replace(item, key=mask_id(project_id, item.key), input=input_, expected=expected, metadata=metadata)


def remove_items(held: Dataset, keys: Sequence[str], *, by_id: int | None, note: str) -> Put:
    """Leave items out from the next version on; keys that are not there are no error."""
    rows = DatasetItem.objects.filter(dataset=held, item_key__in=list(keys), to_version=None)
    removed = rows.update(to_version=held.version + 1)
    return _finish(held, Put(0, 0, removed=removed), by_id, note)


def content(input_: Any, expected: Any, metadata: Any) -> bytes:
    """An item's content in one form: equal bytes are equal content (1 and true are not)."""
    return orjson.dumps([input_, expected, metadata], option=orjson.OPT_SORT_KEYS)


def _finish(held: Dataset, put: Put, by_id: int | None, note: str) -> Put:
    if put.is_change:
        held.version += 1
        held.save(update_fields=["version"])
    items = DatasetItem.objects.filter(dataset=held, to_version=None).count()
    if put.is_change:
        DatasetVersion.objects.create(
            dataset=held, number=held.version, items=items, note=note[:300], created_by_id=by_id
        )
    return Put(held.version, items, put.added, put.changed, put.removed, put.same)


def _with_origin(item: NewItem, row: DatasetItem) -> NewItem:
    if item.trace_id is not None or item.ref:
        return item
    return NewItem(
        item.key, item.input, item.expected, item.metadata, row.origin, row.origin_trace_id, row.origin_span_id,
        row.origin_ref, row.pi,
    )  # fmt: skip


def _row(held: Dataset, item: NewItem, number: int, by_id: int | None) -> DatasetItem:
    return DatasetItem(
        dataset=held, item_key=item.key, from_version=number, input=item.input, expected=item.expected,
        metadata=item.metadata, origin=item.origin, origin_trace_id=item.trace_id, origin_span_id=item.span_id,
        origin_ref=item.ref[:200], pi=item.pi, created_by_id=by_id,
    )  # fmt: skip
