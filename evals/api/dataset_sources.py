"""REST: items of datasets from traces, from a list of traces, from reviews and from files."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import IO, Any
from uuid import UUID

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from evals import keeping
from evals.api.datasets import SLUG, DatasetKeepingView, ItemsPutShape, put_json
from evals.api.keeping import problem_of
from evals.keeping import DatasetRefused, NewItem
from evals.read.review import get_queue
from telltale.rest import params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import Problem, bad_field
from traces.api.traces import FAMILIES, FILTERS, answers, wanted_of
from traces.read import DEFAULT_SORT
from traces.read.listing import each_trace

VERDICTS = ("good", "failure", "false_alarm", "unsure")
SOURCES = ("trace_ids", "filter", "queue")
ACCEPTED = ("from", "to", "q", "judging", *FILTERS)


class DatasetAddBody(serializers.Serializer[Any]):
    trace_ids = serializers.ListField(
        child=serializers.CharField(), required=False, help_text=f"32 hex digits each, up to {keeping.TRACES_MAX}."
    )
    filter = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="The query of GET /api/v1/traces, such as feature=returns&status=error: the newest that match.",
    )
    queue = serializers.CharField(required=False, help_text="A review queue's slug: what was reviewed in it.")
    verdict = serializers.ChoiceField(VERDICTS, required=False, help_text="queue: those reviewed as this alone.")
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=keeping.TRACES_MAX, help_text=f"filter: at most {keeping.TRACES_MAX}."
    )
    keep_answer = serializers.BooleanField(required=False, help_text="The answer given becomes the expected one.")
    note = serializers.CharField(required=False, allow_blank=True)


class ItemsAddedShape(ItemsPutShape):
    left_out = serializers.IntegerField(help_text="Traces that are gone or tell nothing of what was asked.")


class _FileParser(BaseParser):
    """A file as its bytes."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(keeping.FILE_BYTES_MAX + 1)
        if len(raw) > keeping.FILE_BYTES_MAX:
            raise Problem(413, f"The file is larger than the limit of {keeping.FILE_BYTES_MAX:,} bytes.")
        return raw


class _Csv(_FileParser):
    media_type = "text/csv"


class _Tsv(_FileParser):
    media_type = "text/tab-separated-values"


class _Json(_FileParser):
    media_type = "application/json"


class _Ndjson(_FileParser):
    media_type = "application/x-ndjson"


_KINDS = {
    "text/csv": "csv", "text/tab-separated-values": "csv", "application/json": "json", "application/x-ndjson": "ndjson",
}  # fmt: skip


class AddView(DatasetKeepingView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Add traces or reviews",
        ItemsAddedShape,
        tag="Datasets",
        detail="One of `trace_ids`, `filter` and `queue`. Each trace becomes an item with its question, documents and "
        "origin; a reviewed one also with verdict, note and inclusion probability.",
        path=(SLUG,),
        body=DatasetAddBody,
    )
    def post(self, request: Request, dataset: str) -> Response:
        row, body = self.dataset(dataset), checked(DatasetAddBody, request)
        if sum(name in body for name in SOURCES) != 1:
            raise bad_field("trace_ids", "or filter or queue is needed", limit="one of the three")
        items, left_out, note = self._items(body)
        if not items:
            field = next(name for name in SOURCES if name in body)
            raise bad_field(field, "names nothing that tells what was asked", limit="traces that are still stored")
        try:
            put = keeping.put_items(self.project, row.slug, items, note=body.get("note") or note, by=self.by)
        except DatasetRefused as error:
            raise problem_of(error) from None
        return Response(put_json(put) | {"left_out": left_out})

    def _items(self, body: Mapping[str, Any]) -> tuple[list[NewItem], int, str]:
        with_answer = body.get("keep_answer", False)
        if "queue" in body:
            queue = get_queue(self.project.pk, params.clean_text("queue", body["queue"]))
            if queue is None:
                raise bad_field("queue", "is none of this project", limit="the slug of a review queue")
            verdict = body.get("verdict", "")
            found = keeping.items_of_reviews(self.project.pk, queue.id, verdict=verdict, with_answer=with_answer)
            return *found, f"reviewed in {queue.slug}"
        ids = self._traces(body) if "trace_ids" in body else self._listed(body)
        items, left_out = keeping.items_of_traces(self.project.pk, [(each, 0) for each in ids], with_answer=with_answer)
        return items, left_out, f"from {len(items)} trace{'' if len(items) == 1 else 's'}"

    def _traces(self, body: Mapping[str, Any]) -> list[UUID]:
        raw = body["trace_ids"]
        if not 1 <= len(raw) <= keeping.TRACES_MAX:
            raise bad_field("trace_ids", "are too few or too many", limit=f"1 to {keeping.TRACES_MAX}", value=len(raw))
        found = [params.trace_id(each) for each in raw]
        for place, each in enumerate(found):
            if each is None:
                raise bad_field(f"trace_ids[{place}]", "is no trace's id", limit="32 hex digits", value=raw[place])
        return [each for each in found if each is not None]

    def _listed(self, body: Mapping[str, Any]) -> list[UUID]:
        query = QueryDict(params.clean_text("filter", body["filter"]).removeprefix("?"))
        for name in query:
            if name not in ACCEPTED and not name.startswith(FAMILIES):
                raise bad_field("filter", "has an unknown parameter", limit="those of GET /api/v1/traces", value=name)
        most = body.get("limit", keeping.TRACES_MAX)
        with answers():
            rows = each_trace(self.project.pk, wanted_of(self, query), DEFAULT_SORT, most)
            return [row.trace_id for row in islice(rows, most)]


class ImportView(DatasetKeepingView):
    acts = {"POST": "measure"}
    query = {"POST": ("input", "expected", "key", "note")}
    parser_classes = (_Csv, _Tsv, _Ndjson, _Json)  # type: ignore[assignment]

    @shapes.describe(
        "Add the items of a file",
        ItemsPutShape,
        tag="Datasets",
        detail="The body is the file: CSV (text/csv), TSV, NDJSON (application/x-ndjson) or a JSON list, up to "
        f"{keeping.FILE_BYTES_MAX // 1024**2} MiB and {keeping.ITEMS_MAX:,} rows. All of it or nothing.",
        path=(SLUG,),
        # The other kinds are texts of their own; the document describes what is JSON.
        body={"application/json": OpenApiTypes.OBJECT},
        query=(
            OpenApiParameter("input", OpenApiTypes.STR, description="Columns of the input: question, or a,b for both."),
            OpenApiParameter("expected", OpenApiTypes.STR, description="The column of the expected answer."),
            OpenApiParameter("key", OpenApiTypes.STR, description="The column of the key."),
            OpenApiParameter("note", OpenApiTypes.STR, description="Why, for the list of versions."),
        ),
        problems={413: "The file is too large.", 415: "It is of no kind that can be read."},
    )
    def post(self, request: Request, dataset: str) -> Response:
        row, query = self.dataset(dataset), request.query_params
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if kind not in _KINDS:
            raise Problem(415, f"Content-Type {kind[:60] or 'none'!r} is not accepted; send {' or '.join(_KINDS)}.")
        mapping = keeping.Mapping(
            keeping.split_names(params.text(query, "input")), params.text(query, "expected"), params.text(query, "key")
        )
        try:
            data: Any = request.data
            items = keeping.read_file(_KINDS[kind], data if isinstance(data, bytes) else b"", mapping, "file")
            put = keeping.put_items(self.project, row.slug, items, note=params.text(query, "note"), by=self.by)
        except DatasetRefused as error:
            raise problem_of(error) from None
        return Response(put_json(put))
