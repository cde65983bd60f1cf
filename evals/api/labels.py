"""REST: labels of people and scores of judges, many at once, in and out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals.read.review import get_queue
from evals.read.setup import get_judge
from evals.reviewing.config import RefusedReview
from evals.reviewing.exporting import ALL, BY, Wanted, columns, records
from evals.reviewing.import_names import By, Imported
from evals.reviewing.importing import bring_in
from evals.reviewing.label_files import check_size, read_csv, read_json, read_ndjson
from evals.reviewing.label_rows import ROWS_MAX, Fault, Read
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey
from telltale.rest import params, shapes
from telltale.rest.body import JsonParser
from telltale.rest.problems import FieldError, Problem, bad_field, not_found, shown_value
from telltale.rest.views import ProjectView
from traces.api.traces import answers
from traces.canonical.types import WireError
from traces.ingest.body import Stalled, discard_body, hang_up, read_body
from traces.pages.export import FORMATS, RETRY_AFTER_SECONDS, download
from traces.wire.compression import inflate

BODY_MAX_BYTES = 32 * 1024 * 1024
# Reading a full body takes some hundred MB for some seconds: of bodies over this size one at a time in a process.
LARGE_BYTES = 4 * 1024 * 1024
_large = threading.BoundedSemaphore(1)
# Of the rows that were not taken so many are told; the counts are of all.
FAULTS_MAX = 1_000


class _Raw(JsonParser):
    """Of the schema alone: the view reads the body itself, chunked and packed ones too."""


class _Json(_Raw):
    media_type = "application/json"


class _Ndjson(_Raw):
    media_type = "application/x-ndjson"


class _Jsonl(_Raw):
    media_type = "application/jsonl"


class _Csv(_Raw):
    media_type = "text/csv"


_KINDS = tuple(each.media_type for each in (_Json, _Ndjson, _Jsonl, _Csv))


class ReviewLabelShape(serializers.Serializer[Any]):
    id = serializers.CharField(required=False, help_text="Yours, at most 200 characters: sent again it replaces.")
    trace_id = serializers.CharField(help_text="32 hex digits, a UUID, or your own id of the item.")
    span_id = serializers.CharField(required=False, help_text="16 hex digits: about this span of the trace.")
    reviewer = serializers.CharField(required=False, help_text="Who said it; an e-mail of a member is that member.")
    judge = serializers.CharField(
        required=False, help_text="Or which judge: one that is not known is made. Small letters, digits, - and _."
    )
    judge_version = serializers.IntegerField(required=False, help_text="1 where left out.")
    model = serializers.CharField(required=False, help_text="Of a judge that is made.")
    rubric = serializers.CharField(required=False, help_text="The slug of the rubric it is scored by.")
    rubric_version = serializers.IntegerField(required=False, help_text="The newest where left out.")
    scores = serializers.JSONField(
        required=False,
        help_text="criterion -> value, or -> {value, reason, evidence}. Whole numbers, true or false, labels.",
    )
    verdict = serializers.ChoiceField(["failure", "false_alarm", "good", "unsure"], required=False)
    category = serializers.CharField(required=False)
    note = serializers.CharField(required=False)
    is_adjudication = serializers.BooleanField(required=False, help_text="It settles what others disagree on.")
    was_blind = serializers.BooleanField(required=False, help_text="true where left out; others calibrate nothing.")
    is_flagged = serializers.BooleanField(required=False, help_text="A judge's flag; by its rubric where left out.")
    pi_judge = serializers.FloatField(required=False, help_text="The chance the item had to be judged.")
    pi_review = serializers.FloatField(required=False, help_text="The chance it had to be drawn for review.")
    at = serializers.DateTimeField(required=False)


class LabelsBody(serializers.Serializer[Any]):
    items = ReviewLabelShape(
        many=True,
        help_text="Each a label; or an item {trace_id, reviews: [...], judgements: [...]} with labels below it.",
    )
    rubric = serializers.JSONField(
        required=False, help_text="A slug, or {name, slug, criteria} to make one of. For rows that name none."
    )
    dry_run = serializers.BooleanField(required=False, help_text="Try everything, keep nothing.")


class RowFaultShape(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="Of the row, from 0.")
    line = serializers.IntegerField(allow_null=True, help_text="Of a CSV or NDJSON body, from 1.")
    id = serializers.CharField(allow_null=True)
    errors = shapes.FieldErrorShape(many=True)  # type: ignore[assignment]


class ImportShape(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    rejected = serializers.IntegerField()
    reviews = serializers.JSONField(
        help_text="{created, updated, unchanged}; unchanged: of an export, and given in a queue here."
    )
    judgements = serializers.JSONField(help_text="{created, updated, unchanged}")
    unknown_targets = serializers.IntegerField(help_text="Items that are no trace of the project (any more).")
    rubrics = serializers.JSONField(help_text="[{slug, version, is_new}]: what the scores were read by.")
    judges = serializers.JSONField(help_text="[{slug, version, is_new}]")
    is_dry_run = serializers.BooleanField()
    items = RowFaultShape(many=True, help_text=f"The rows that were not taken, at most {FAULTS_MAX}.")


class LabelsImportView(ProjectView):
    acts = {"POST": "measure"}
    query = {"POST": ("rubric", "dry_run")}
    parser_classes = (_Json, _Ndjson, _Jsonl, _Csv)  # type: ignore[assignment]

    @shapes.describe(
        "Bring in labels of people and scores of judges",
        ImportShape,
        tag="Review",
        body=LabelsBody,
        detail=f"Up to {ROWS_MAX} rows as JSON, NDJSON (application/x-ndjson) or CSV (text/csv; a column "
        "`score.<criterion>` for each, or `name` and `value`); gzip, deflate or zstd as well. Each row is judged "
        "alone; the answer is 200 and names those that were not taken by line and field (400 where none was). Sent "
        "again, a label replaces what it was: by `id`, else by who said it of what. Committed when answered.",
        query=(
            OpenApiParameter("rubric", OpenApiTypes.STR, description="For rows that name none: a slug."),
            OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="Try everything, keep nothing."),
        ),
        problems={413: "The body is too large.", 415: "It is of no kind that can be read."},
    )
    def post(self, request: Request) -> Response:
        rubric: Any = params.text(request.query_params, "rubric")
        is_dry = params.boolean(request.query_params, "dry_run") or False
        kind = request.content_type.partition(";")[0].strip().lower()
        if kind not in _KINDS:
            raise Problem(415, f"Content-Type {kind[:60] or 'none'!r} is not accepted; send {' or '.join(_KINDS)}.")
        try:
            with self._body() as raw:
                if kind == "text/csv":
                    read = read_csv(raw)
                elif kind == "application/json":
                    read, told = _json(raw)
                    rubric, is_dry = told.get("rubric", rubric), is_dry or told.get("dry_run") is True
                else:
                    read = read_ndjson(raw)
                del raw
                if not isinstance(rubric, str | dict):
                    raise RefusedReview("rubric", "is neither a name nor a rubric", "text, or an object with criteria")
                if not read.total:
                    raise RefusedReview("items", "is empty", f"1 to {ROWS_MAX:,} rows")
                found = bring_in(self.project, read, by=self._by(), rubric=rubric, is_dry=is_dry)
        except RefusedReview as refused:
            raise bad_field(
                refused.field, refused.message, limit=refused.limit or None, value=refused.value or None
            ) from None
        if not found.accepted:
            errors = [_error(fault) for fault in found.faults[:100]]
            detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:5])
            raise Problem(400, f"No row could be taken: {detail}", *errors)
        return Response(_shown(found, is_dry=is_dry))

    @contextmanager
    def _body(self) -> Iterator[bytes]:
        """The body, unpacked, at most BODY_MAX_BYTES; large ones one at a time."""
        environ = self.http.environ  # type: ignore[attr-defined]
        is_read = False
        try:
            raw = read_body(self.http, BODY_MAX_BYTES)
            is_read = True
            raw = inflate(raw, self.http.headers.get("Content-Encoding", ""), BODY_MAX_BYTES)
        except WireError as error:
            if not is_read:
                discard_body(environ, BODY_MAX_BYTES)
            if error.status == 413:
                message = f"The body is larger than the limit of {BODY_MAX_BYTES:,} bytes; send it in parts."
                raise Problem(413, message) from None
            raise Problem(error.status, f"The body cannot be read: {error.message}.") from None
        except Stalled:
            hang_up(environ)
            raise Problem(408, "The body stopped arriving; send it again.") from None
        is_large = len(raw) > LARGE_BYTES
        if is_large and not _large.acquire(blocking=False):
            raise Problem(503, "Another large import is under way; send this one again in a few seconds.")
        try:
            yield raw
        finally:
            if is_large:
                _large.release()

    def handle_exception(self, exc: Exception) -> Response:
        """What has to wait says how long."""
        return _with_retry(super().handle_exception(exc))

    def _by(self) -> By:
        if self.person is not None:
            return By(user_id=self.person.pk, request=self.http)
        holder = self.request.auth
        if not isinstance(holder, KeyHolder):
            raise not_found()
        name = ApiKey.objects.filter(pk=holder.key_id).values_list("name", flat=True).first()
        return By(key_id=holder.key_id, words=f"API key {name or holder.key_id}", request=self.http)


class LabelsExportView(ProjectView):
    query = {"GET": ("format", "by", "queue", "judge", "from")}

    @shapes.describe(
        "Labels as a file",
        OpenApiTypes.BINARY,
        tag="Review",
        detail="One line for each review of a person and each judgement of a judge, its scores as columns "
        "`score.<criterion>`: as the import takes them. CSV (text that a spreadsheet would compute gets an apostrophe) "
        "or NDJSON, streamed.",
        query=(
            OpenApiParameter("format", OpenApiTypes.STR, enum=[*FORMATS], required=True),
            OpenApiParameter("by", OpenApiTypes.STR, enum=[*BY], description="Of people, of judges; all."),
            OpenApiParameter("queue", OpenApiTypes.STR, description="Reviews of one queue."),
            OpenApiParameter("judge", OpenApiTypes.STR, description="Of one judge, and of queues about it."),
            shapes.FROM,
        ),
    )
    def get(self, request: Request) -> HttpResponseBase:
        query = request.query_params
        kind = params.choice(query, "format", tuple(FORMATS))
        if not kind:
            raise bad_field("format", "is missing", limit="csv or ndjson")
        wanted = Wanted(
            by=params.choice(query, "by", BY, ALL),
            queue_id=self._queue(params.text(query, "queue")),
            judge_id=self._judge(params.text(query, "judge")),
            since=params.moment(query, "from"),
        )
        is_head = request.method == "HEAD"
        with answers():
            names = columns(self.project.pk, wanted)
            found = iter(()) if is_head else records(self.project.pk, wanted, names)
            return download(f"{self.project.slug}-labels", kind, names, found, is_head=is_head)

    def _queue(self, slug: str) -> int | None:
        if not slug:
            return None
        queue = get_queue(self.project.pk, slug)
        if queue is None:
            raise bad_field("queue", "is none of this project", value=slug)
        return queue.id

    def _judge(self, slug: str) -> int | None:
        if not slug:
            return None
        judge = get_judge(self.project.pk, slug)
        if judge is None:
            raise bad_field("judge", "is none of this project", value=slug)
        return judge.id

    def handle_exception(self, exc: Exception) -> Response:
        """A file that has to wait says how long."""
        return _with_retry(super().handle_exception(exc))


def _with_retry(response: Response) -> Response:
    if response.status_code == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _json(raw: bytes) -> tuple[Read, dict[str, Any]]:
    check_size(raw)
    try:
        value = orjson.loads(raw) if raw.strip() else {}
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not JSON: {error}.") from None
    told = value if isinstance(value, dict) else {}
    unknown = sorted(str(name) for name in told if name not in ("items", "rubric", "dry_run"))
    if unknown:
        raise bad_field(str(shown_value(unknown[0])), "unknown field", limit="one of dry_run, items, rubric")
    return read_json(value), told


def _error(fault: Fault) -> FieldError:
    where = f"items[{fault.index}].{fault.field}"
    if fault.line:
        where = f"line {fault.line}" + (f": {fault.field}" if fault.field != "row" else "")
    return FieldError(where, fault.message, fault.limit or None, fault.value or None)


def _shown(found: Imported, *, is_dry: bool) -> dict[str, Any]:
    return {
        "accepted": found.accepted,
        "rejected": found.rejected,
        "reviews": {
            "created": found.reviews_new, "updated": found.reviews_replaced, "unchanged": found.reviews_unchanged,
        },
        "judgements": {
            "created": found.judgements_new, "updated": found.judgements_replaced,
            "unchanged": found.judgements_unchanged,
        },
        "unknown_targets": found.unknown_targets,
        "rubrics": [
            {"slug": slug, "version": number, "is_new": is_new} for slug, (number, is_new) in found.rubrics.items()
        ],
        "judges": [
            {"slug": slug, "version": number, "is_new": is_new} for (slug, number), is_new in found.judges.items()
        ],
        "is_dry_run": is_dry,
        "items": [
            {
                "index": fault.index, "line": fault.line or None, "id": fault.external_id or None,
                "errors": [_error(fault).as_json()],
            }
            for fault in found.faults[:FAULTS_MAX]
        ],
    }  # fmt: skip
