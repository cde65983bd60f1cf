"""REST: datasets, their versions and items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals import keeping
from evals.api.keeping import KeepingView, problem_of
from evals.keeping import DatasetRefused, NewItem
from evals.read import datasets as read
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import bad_field, not_found

ITEMS_A_REQUEST = 500
SLUG = OpenApiParameter("dataset", OpenApiTypes.STR, OpenApiParameter.PATH, description="The dataset's slug.")
KEY = OpenApiParameter("item_key", OpenApiTypes.STR, OpenApiParameter.PATH, description="The item's key.")
VERSION = OpenApiParameter("version", OpenApiTypes.INT, description="A version of the dataset; the newest if left out.")


class DatasetShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    version = serializers.IntegerField(help_text="The newest; 0 before the first item.")
    items = serializers.IntegerField(help_text="In the newest version.")
    experiments = serializers.IntegerField()
    is_archived = serializers.BooleanField()
    made_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()


class DatasetsShape(serializers.Serializer[Any]):
    items = DatasetShape(many=True)


class DatasetBody(serializers.Serializer[Any]):
    name = serializers.CharField(help_text=f"At most {keeping.NAME_MAX} characters.")
    description = serializers.CharField(required=False, allow_blank=True)
    slug = serializers.CharField(required=False, help_text="For addresses; made from the name if left out.")


class DatasetChange(serializers.Serializer[Any]):
    name = serializers.CharField(required=False)
    description = serializers.CharField(required=False, allow_blank=True)
    is_archived = serializers.BooleanField(required=False, help_text="Out of lists; nothing is lost.")


class DatasetVersionShape(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    items = serializers.IntegerField()
    note = serializers.CharField()
    made_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class DatasetVersionsShape(serializers.Serializer[Any]):
    items = DatasetVersionShape(many=True)


class DatasetItemShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    input = serializers.JSONField()
    expected = serializers.JSONField(allow_null=True)
    metadata = serializers.JSONField()
    origin = serializers.ChoiceField(["trace", "review", "incident", "file", "api"])
    trace_id = serializers.CharField(allow_null=True)
    span_id = serializers.CharField(allow_null=True)
    ref = serializers.CharField()
    inclusion_probability = serializers.FloatField(
        allow_null=True, help_text="With which it was drawn from traffic; null: picked by hand."
    )
    from_version = serializers.IntegerField()
    to_version = serializers.IntegerField(allow_null=True, help_text="The first version without it; null: still there.")


class NewDatasetItemShape(serializers.Serializer[Any]):
    input = serializers.JSONField(help_text="Text, or any JSON; what a system is asked.")
    key = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="A key that is there already replaces that item. Left out: a hash of the input.",
    )
    expected = serializers.JSONField(required=False, allow_null=True)
    metadata = serializers.JSONField(required=False, help_text="An object.")
    trace_id = serializers.CharField(required=False, allow_null=True, help_text="Where it came from, 32 hex digits.")
    span_id = serializers.CharField(required=False, allow_null=True, help_text="16 hex digits.")
    inclusion_probability = serializers.FloatField(required=False, allow_null=True)


class NewDatasetItemsShape(serializers.Serializer[Any]):
    items = NewDatasetItemShape(many=True, help_text=f"1 to {ITEMS_A_REQUEST}.")
    note = serializers.CharField(required=False, allow_blank=True, help_text="Why, for the list of versions.")


class RemoveItemsShape(serializers.Serializer[Any]):
    keys = serializers.ListField(child=serializers.CharField())
    note = serializers.CharField(required=False, allow_blank=True)


class ItemsPutShape(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="The newest; as before where nothing differed.")
    items = serializers.IntegerField()
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    removed = serializers.IntegerField()
    same = serializers.IntegerField()
    erased = serializers.IntegerField(help_text="Left out: they say they come from a trace that was erased.")


class DatasetItemsShape(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    total = serializers.IntegerField()
    items = DatasetItemShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The key to go on from, as `after`.")


class ItemChangeShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    kind = serializers.ChoiceField(["added", "removed", "changed"])
    old = DatasetItemShape(allow_null=True)
    new = DatasetItemShape(allow_null=True)


class DatasetDiffShape(serializers.Serializer[Any]):
    old = serializers.IntegerField()
    new = serializers.IntegerField()
    items = ItemChangeShape(many=True)


class ItemHistoryShape(serializers.Serializer[Any]):
    items = DatasetItemShape(many=True)


class DatasetKeepingView(KeepingView):
    """An address of one dataset."""

    def dataset(self, slug: str) -> read.DatasetRow:
        """The dataset, or 404."""
        row = read.get_dataset(self.project.pk, slug)
        if row is None:
            raise not_found()
        return row

    def version(self, dataset: read.DatasetRow, name: str = "version") -> int:
        """The version asked for, or the newest."""
        return params.integer(self.request.query_params, name, dataset.version, 0, dataset.version)


class DatasetsView(DatasetKeepingView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("archived",)}

    @shapes.describe(
        "List datasets",
        DatasetsShape,
        tag="Datasets",
        query=(OpenApiParameter("archived", OpenApiTypes.BOOL, description="Archived ones too."),),
    )
    def get(self, request: Request) -> Response:
        with_archived = params.boolean(request.query_params, "archived") or False
        rows = read.list_datasets(self.project.pk, with_archived=with_archived)
        return Response({"items": [dataset_json(row) for row in rows]})

    @shapes.describe("Make a dataset", DatasetShape, tag="Datasets", body=DatasetBody, status=201)
    def post(self, request: Request) -> Response:
        body = checked(DatasetBody, request)
        try:
            made = keeping.make_dataset(
                self.project, body["name"], body.get("description", ""), slug=body.get("slug", ""), by=self.by
            )
        except DatasetRefused as error:
            raise problem_of(error) from None
        return Response(dataset_json(made), status=201)


class DatasetView(DatasetKeepingView):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe("One dataset", DatasetShape, tag="Datasets", path=(SLUG,))
    def get(self, request: Request, dataset: str) -> Response:
        return Response(dataset_json(self.dataset(dataset)))

    @shapes.describe(
        "Rename, describe or archive a dataset", DatasetShape, tag="Datasets", path=(SLUG,), body=DatasetChange
    )
    def patch(self, request: Request, dataset: str) -> Response:
        self.dataset(dataset)
        try:
            changed = keeping.change_dataset(self.project, dataset, **checked(DatasetChange, request), by=self.by)
        except DatasetRefused as error:
            raise problem_of(error) from None
        return Response(dataset_json(changed))


class VersionsView(DatasetKeepingView):
    acts = {"GET": "read"}

    @shapes.describe(
        "The versions of a dataset", DatasetVersionsShape, tag="Datasets", path=(SLUG,), detail="Newest first."
    )
    def get(self, request: Request, dataset: str) -> Response:
        rows = read.list_versions(self.dataset(dataset).id, 1000)
        return Response({"items": [version_json(row) for row in rows]})


class ItemsView(DatasetKeepingView):
    acts = {"GET": "read", "POST": "measure", "DELETE": "measure"}
    query = {"GET": ("version", "limit", "after", "q")}

    @shapes.describe(
        "The items of a dataset",
        DatasetItemsShape,
        tag="Datasets",
        detail="Of one version, in the order of their keys.",
        path=(SLUG,),
        query=(
            VERSION,
            shapes.LIMIT,
            OpenApiParameter("after", OpenApiTypes.STR, description="The key to go on from."),
            OpenApiParameter("q", OpenApiTypes.STR, description="Text in key, input or expected answer."),
        ),
    )
    def get(self, request: Request, dataset: str) -> Response:
        row = self.dataset(dataset)
        version, limit = self.version(row), params.page_size(request.query_params)
        after, q = params.text(request.query_params, "after"), params.text(request.query_params, "q")
        page = read.list_items(row.id, version, after=after, q=q, limit=limit)
        items = [item_json(item) for item in page.items]
        return Response({"version": version, "total": page.total, "items": items, "next": page.after or None})

    @shapes.describe(
        "Add or replace items",
        ItemsPutShape,
        tag="Datasets",
        detail="All of them or none, as one new version. Sent again, nothing differs and no version is made.",
        path=(SLUG,),
        body=NewDatasetItemsShape,
    )
    def post(self, request: Request, dataset: str) -> Response:
        self.dataset(dataset)
        body = checked(NewDatasetItemsShape, request)
        if not 1 <= (n := len(body["items"])) <= ITEMS_A_REQUEST:
            raise bad_field("items", "are too few or too many", limit=f"1 to {ITEMS_A_REQUEST}", value=n)
        items = [new_item(told, place) for place, told in enumerate(body["items"])]
        try:
            put = keeping.put_items(self.project, dataset, items, note=body.get("note", ""), by=self.by)
        except DatasetRefused as error:
            raise problem_of(error) from None
        return Response(put_json(put))

    @shapes.describe(
        "Remove items",
        ItemsPutShape,
        tag="Datasets",
        detail="From a new version on; versions before keep them.",
        path=(SLUG,),
        body=RemoveItemsShape,
    )
    def delete(self, request: Request, dataset: str) -> Response:
        self.dataset(dataset)
        body = checked(RemoveItemsShape, request)
        try:
            put = keeping.remove_items(self.project, dataset, body["keys"], note=body.get("note", ""), by=self.by)
        except DatasetRefused as error:
            raise problem_of(error) from None
        return Response(put_json(put))


class ItemView(DatasetKeepingView):
    acts = {"GET": "read"}

    @shapes.describe(
        "One item with its history",
        ItemHistoryShape,
        tag="Datasets",
        detail="Every content it had, newest first.",
        path=(SLUG, KEY),
    )
    def get(self, request: Request, dataset: str, item_key: str) -> Response:
        rows = read.item_history(self.dataset(dataset).id, item_key)
        if not rows:
            raise not_found()
        return Response({"items": [item_json(row) for row in rows]})


class DiffView(DatasetKeepingView):
    acts = {"GET": "read"}
    query = {"GET": ("old", "new")}

    @shapes.describe(
        "What differs between two versions",
        DatasetDiffShape,
        tag="Datasets",
        path=(SLUG,),
        query=(
            OpenApiParameter("old", OpenApiTypes.INT, description="A version; the one before `new` if left out."),
            OpenApiParameter("new", OpenApiTypes.INT, description="A version; the newest if left out."),
        ),
    )
    def get(self, request: Request, dataset: str) -> Response:
        row = self.dataset(dataset)
        new = self.version(row, "new")
        old = params.integer(request.query_params, "old", max(new - 1, 0), 0, row.version)
        changes = read.diff(row.id, old, new)
        return Response({"old": old, "new": new, "items": [change_json(change) for change in changes]})


def new_item(told: Mapping[str, Any], place: int) -> NewItem:
    """An item of a request."""
    trace_id = span_id = None
    if raw := told.get("trace_id"):
        trace_id = params.trace_id(raw)
        if trace_id is None:
            raise bad_field(f"items[{place}].trace_id", "is no trace's id", limit="32 hex digits", value=raw)
    if raw := told.get("span_id"):
        span_id = params.span_id(raw)
        if span_id is None:
            raise bad_field(f"items[{place}].span_id", "is no span's id", limit="16 hex digits", value=raw)
    return NewItem(
        told.get("key", ""), told["input"], told.get("expected"), told.get("metadata", {}),
        "api" if trace_id is None else "trace", trace_id, span_id, "", told.get("inclusion_probability"),
    )  # fmt: skip


def dataset_json(row: read.DatasetRow) -> dict[str, Any]:
    """A dataset as REST shows it."""
    return {
        "slug": row.slug, "name": row.name, "description": row.description, "version": row.version, "items": row.items,
        "experiments": row.experiments, "is_archived": row.archived_at is not None, "made_by": row.made_by,
        "created_at": form.moment(row.created_at), "changed_at": form.moment(row.changed_at),
    }  # fmt: skip


def version_json(row: read.VersionRow) -> dict[str, Any]:
    """A version as REST shows it."""
    return {
        "number": row.number, "items": row.items, "note": row.note, "made_by": row.made_by,
        "created_at": form.moment(row.created_at),
    }  # fmt: skip


def item_json(row: read.ItemRow) -> dict[str, Any]:
    """An item as REST and exports show it."""
    trace_id: UUID | None = row.trace_id
    return {
        "key": row.key, "input": row.input, "expected": row.expected, "metadata": row.metadata, "origin": row.origin,
        "trace_id": form.hex_trace(trace_id), "span_id": form.hex_span(row.span_id), "ref": row.ref,
        "inclusion_probability": row.pi, "from_version": row.from_version, "to_version": row.to_version,
    }  # fmt: skip


def change_json(change: read.Change) -> dict[str, Any]:
    """A difference as REST shows it."""
    return {
        "key": change.key, "kind": change.kind, "old": None if change.old is None else item_json(change.old),
        "new": None if change.new is None else item_json(change.new),
    }  # fmt: skip


def put_json(put: keeping.Put) -> dict[str, Any]:
    """What a change did."""
    return {
        "version": put.version, "items": put.items, "added": put.added, "changed": put.changed, "removed": put.removed,
        "same": put.same, "erased": put.erased,
    }  # fmt: skip
