"""Datasets: items in from traces, reviews, files and the API; every change a version; all of it in the audit log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest
from django.utils.text import slugify

from evals.models import Dataset
from evals.read.datasets import DatasetRow, get_dataset
from evals.write import datasets as write
from evals.write.datasets import NewItem, Put
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project
from traces import erasure
from traces.masks import mask_id, mask_text

# A dataset is read whole for an experiment and by people in part: judgement calls, far above what either needs.
DATASETS_MAX = 500
ITEMS_MAX = 10_000
ITEM_BYTES_MAX = 256 * 1024
DEPTH_MAX = 40
KEY_CHARS_MAX = 100
NAME_MAX = 120
DESCRIPTION_MAX = 4000
NOTE_MAX = 300
METADATA_FIELDS_MAX = 64
RESERVED = ("add",)
ORIGINS = ("trace", "review", "incident", "file", "api")


class DatasetRefused(Exception):
    """What cannot be kept: which field, what is wrong, what is accepted, what came."""

    def __init__(self, field: str, message: str, limit: str = "", value: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


@dataclass(frozen=True, slots=True)
class By:
    """Who changes something: a person by id, or a key by its words."""

    id: int | None = None
    words: str = ""
    request: HttpRequest | None = None


def make_dataset(project: Project, name: str, description: str = "", *, slug: str = "", by: By) -> DatasetRow:
    """A new, empty dataset at version 0. DatasetRefused."""
    name, description = _named(name), _described(project, description)
    slug = slug or slugify(name)[:60] or "dataset"
    if slug in RESERVED:
        raise DatasetRefused("name", "is a word that addresses need", "another name", slug)
    if slugify(slug) != slug or len(slug) > 60:
        raise DatasetRefused("slug", "is no slug", "up to 60 small letters, digits and hyphens", slug)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)
        if Dataset.objects.filter(project=project).count() >= DATASETS_MAX:
            raise DatasetRefused("name", "is one dataset too many", f"{DATASETS_MAX} datasets a project")
        try:
            with transaction.atomic():
                Dataset.objects.create(
                    project=project, slug=slug, name=name, description=description, created_by_id=by.id
                )
        except IntegrityError:
            raise DatasetRefused("name", "is taken by another dataset", "a name of its own", slug) from None
        _audit(project, "dataset.add", slug, by, None, {"name": name})
    return _found(project, slug)


def change_dataset(
    project: Project, slug: str, *, name: str | None = None, description: str | None = None,
    is_archived: bool | None = None, by: By,
) -> DatasetRow:  # fmt: skip
    """Rename, describe, put away or bring back. Http404, DatasetRefused. No version: items stay as they are."""
    with transaction.atomic():
        held = _hold(project, slug)
        before = {"name": held.name, "description": held.description, "archived": held.archived_at is not None}
        if name is not None:
            held.name = _named(name)
        if description is not None:
            held.description = _described(project, description)
        if is_archived is not None:
            held.archived_at = (held.archived_at or clock.now()) if is_archived else None
        held.save(update_fields=["name", "description", "archived_at"])
        after = {"name": held.name, "description": held.description, "archived": held.archived_at is not None}
        if before != after:
            _audit(project, "dataset.change", slug, by, before, after)
    return _found(project, slug)


def put_items(project: Project, slug: str, items: Sequence[NewItem], *, note: str = "", by: By) -> Put:
    """Add items, or replace those of the same key: one version, none where nothing differs. DatasetRefused, Http404.

    Items that say they come from a trace which was erased are left out, and counted.
    """
    ready = [checked(item, f"items[{place}]") for place, item in enumerate(items)]
    seen: set[str] = set()
    for place, item in enumerate(ready):
        if item.key in seen:
            raise DatasetRefused(f"items[{place}].key", "is there twice", "each key once", item.key)
        seen.add(item.key)
    gone = erasure.find_gone(project.pk, traces={item.trace_id for item in ready if item.trace_id is not None})
    left = [item for item in ready if gone.why(item.trace_id)]
    ready = [item for item in ready if not gone.why(item.trace_id)]
    with transaction.atomic():
        held, note = _hold(project, slug, is_open=True), _noted(project, note)
        erasure.count_refused(project.pk, "items", len(left), "its trace")
        put = replace(write.put_items(held, ready, by_id=by.id, note=note), erased=len(left))
        if put.items > ITEMS_MAX:
            raise DatasetRefused("items", "are too many", f"{ITEMS_MAX:,} items a dataset", f"{put.items:,}")
        if put.is_change:
            told = {"version": put.version, "added": put.added, "changed": put.changed, "note": note}
            _audit(project, "dataset.items", slug, by, {"version": put.version - 1}, told)
    return put


def remove_items(project: Project, slug: str, keys: Sequence[str], *, note: str = "", by: By) -> Put:
    """Leave items out from a new version on; versions before keep them. Http404."""
    with transaction.atomic():
        held, note = _hold(project, slug, is_open=True), _noted(project, note)
        known = [mask_id(project.pk, str(clean(key, "keys"))) for key in keys]
        put = write.remove_items(held, known, by_id=by.id, note=note)
        if put.is_change:
            told = {"version": put.version, "removed": put.removed, "note": note}
            _audit(project, "dataset.items", slug, by, {"version": put.version - 1}, told)
    return put


def checked(item: NewItem, where: str = "item") -> NewItem:
    """The item as it is stored: texts clean, a key of its own. DatasetRefused names the field below `where`."""
    if item.input is None or item.input in ("", [], {}):
        raise DatasetRefused(f"{where}.input", "needs a value", "text, or JSON")
    if not isinstance(item.metadata, dict):
        raise DatasetRefused(f"{where}.metadata", "is no object", "an object of JSON values")
    if len(item.metadata) > METADATA_FIELDS_MAX:
        raise DatasetRefused(f"{where}.metadata", "has too many fields", f"{METADATA_FIELDS_MAX} fields")
    if item.pi is not None and not 0 < item.pi <= 1:
        raise DatasetRefused(f"{where}.pi", "is no probability", "above 0, up to 1", str(item.pi))
    input_, expected = clean(item.input, f"{where}.input"), clean(item.expected, f"{where}.expected")
    metadata = clean(item.metadata, f"{where}.metadata")
    size = len(write.content(input_, expected, metadata))
    if size > ITEM_BYTES_MAX:
        raise DatasetRefused(where, "is too large", f"{ITEM_BYTES_MAX:,} bytes of JSON", f"{size:,} bytes")
    key = clean(item.key.strip(), f"{where}.key") or key_of(input_)
    if len(key) > KEY_CHARS_MAX:
        limit = f"{KEY_CHARS_MAX} characters"
        raise DatasetRefused(f"{where}.key", "is too long", limit, f"{len(key)} characters")
    if not key.isprintable() or "/" in key:
        raise DatasetRefused(f"{where}.key", "has characters that no address can hold", "no slash, no line break", key)
    return NewItem(
        key, input_, expected, metadata, item.origin, item.trace_id, item.span_id, item.ref, item.pi
    )  # fmt: skip


def key_of(input_: Any) -> str:
    """The key of an item that brings none: the same input is the same item, whoever sends it again."""
    return hashlib.sha256(orjson.dumps(input_, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def clean(value: Any, where: str, depth: int = 0) -> Any:
    """JSON as PostgreSQL can hold it: U+0000 and lone surrogates become U+FFFD. DatasetRefused beyond DEPTH_MAX."""
    if isinstance(value, str):
        if value.isascii() and "\x00" not in value:
            return value
        return "".join("\ufffd" if c == "\x00" or "\ud800" <= c <= "\udfff" else c for c in value)
    if depth >= DEPTH_MAX:
        raise DatasetRefused(where, "is nested too deeply", f"{DEPTH_MAX} levels")
    if isinstance(value, Mapping):
        return {clean(str(name), where): clean(each, where, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [clean(each, where, depth + 1) for each in value]
    return value


def _named(name: str) -> str:
    name = " ".join(clean(name, "name").split())
    if not name:
        raise DatasetRefused("name", "needs a value", f"1 to {NAME_MAX} characters")
    if len(name) > NAME_MAX:
        raise DatasetRefused("name", "is too long", f"{NAME_MAX} characters", f"{len(name)} characters")
    return name


def _described(project: Project, text: str) -> str:
    if len(text) > DESCRIPTION_MAX:
        limit = f"{DESCRIPTION_MAX} characters"
        raise DatasetRefused("description", "is too long", limit, f"{len(text)} characters")
    return mask_text(project.pk, str(clean(text.strip(), "description")))[:DESCRIPTION_MAX]


def _noted(project: Project, note: str) -> str:
    note = str(clean(" ".join(note.split()), "note"))
    if len(note) > NOTE_MAX:
        raise DatasetRefused("note", "is too long", f"{NOTE_MAX} characters", f"{len(note)} characters")
    return mask_text(project.pk, note)


def _hold(project: Project, slug: str, *, is_open: bool = False) -> Dataset:
    held = write.hold(project.pk, slug)
    if held is None:
        raise Http404
    if is_open and held.archived_at is not None:
        raise DatasetRefused("dataset", "is archived", "a dataset that is not; bring it back first", slug)
    return held


def _found(project: Project, slug: str) -> DatasetRow:
    row = get_dataset(project.pk, slug)
    if row is None:
        raise Http404
    return row


def _audit(
    project: Project, action: str, slug: str, by: By, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    record_in(
        project, action, f"dataset {slug}", request=by.request, actor=by.words, before=before, after=after
    )  # fmt: skip
