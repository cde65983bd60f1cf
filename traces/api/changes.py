"""REST: the change log, read, told and corrected."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import IO, Any

import orjson
from django.http import QueryDict
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.lib.faults import ItemRefused
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey
from telltale.rest import batch, form, paging, params, shapes
from telltale.rest.body import BODY_MAX_BYTES, JsonParser
from telltale.rest.problems import Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces import changelog
from traces.api.change_shapes import (
    CHANGE_ID,
    ChangeBody,
    ChangePageShape,
    ChangeResultsShape,
    ChangesBody,
    LoggedChangeShape,
)
from traces.api.traces import answers
from traces.changing.kinds import KIND_WORDS, SOURCE_WORDS
from traces.pages.export import FORMATS, download
from traces.read import changelog as read
from traces.read.changelog import Change, ChangeFilter

NAMES = (
    "id", "kind", "at", "ended_at", "title", "name", "version", "previous", "service", "feature", "environment",
    "author", "note", "url", "source", "client_id", "created_at", "updated_at",
)  # fmt: skip
FILE_NAMES = (*NAMES, "details")


def _parameter(name: str, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description, **more)


class ChangeParser(JsonParser):
    """A change, an array of changes, or an object with `changes`; UTF-8, at most `BODY_MAX_BYTES`."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(BODY_MAX_BYTES + 1)
        if len(raw) > BODY_MAX_BYTES:
            raise Problem(413, f"The body is larger than the limit of {BODY_MAX_BYTES} bytes.")
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"The body is not JSON: {error}.") from None


class _ChangeView(ProjectView):
    def by(self) -> changelog.By:
        """Who asks."""
        if self.person is not None:
            return changelog.By(self.person.pk, self.person.name or self.person.email, request=self.http)
        holder = self.request.auth
        assert isinstance(holder, KeyHolder)  # noqa: S101 - one of the two asks
        name = ApiKey.objects.filter(pk=holder.key_id).values_list("name", flat=True).first()
        words = f"API key {name or holder.key_id}"
        return changelog.By(None, words, words, self.http)


class ChangesView(_ChangeView):
    acts = {"GET": "read", "POST": "measure"}
    query = {
        "GET": (
            "from", "to", "kind", "source", "service", "feature", "environment", "q", "limit", "cursor", "format",
        )
    }  # fmt: skip
    parser_classes = (ChangeParser,)

    @shapes.describe(
        "List changes",
        ChangePageShape,
        tag="Changes",
        detail="Newest first, by when they took effect. What traces show and somebody told too is listed once, as told."
        " `format` csv and ndjson send all that match as a file.",
        query=(
            shapes.FROM,
            shapes.TO,
            _parameter("kind", "Any of these kinds.", enum=list(KIND_WORDS), many=True),
            _parameter("source", "Who says so.", enum=list(SOURCE_WORDS), many=True),
            _parameter("service", "That touch any of these services.", many=True),
            _parameter("feature", "That touch any of these features.", many=True),
            _parameter("environment", "That touch any of these environments.", many=True),
            _parameter("q", "With this text in name, version, author, note, address or client_id."),
            shapes.LIMIT,
            shapes.CURSOR,
            _parameter("format", "The whole list as a file.", enum=["json", *FORMATS]),
        ),
    )
    def get(self, request: Request) -> HttpResponseBase:
        query = request.query_params
        kind = params.choice(query, "format", ("json", *FORMATS), "json")
        limit, wanted = params.page_size(query), wanted_of(query)
        position = paging.read_cursor(params.text(query, "cursor"), str, str, int)
        if position is not None and position[0] not in {"before", "after"}:
            raise paging.bad_cursor(str(position[0]))
        with answers():
            if kind in FORMATS:
                records = (file_record(change) for change in read.each_change(self.project.pk, wanted))
                is_head = request.method == "HEAD"
                return download(f"{self.project.slug}-changes", kind, FILE_NAMES, records, is_head=is_head)
            side: dict[str, Any] = {}
            if position is not None:
                side[position[0]] = (params.parse_moment("cursor", position[1]), position[2])
            page = read.list_changes(self.project.pk, wanted, limit, **side)
        older = _cursor("before", page.rows[-1]) if page.rows and page.has_older else None
        newer = _cursor("after", page.rows[0]) if page.rows and page.has_newer else None
        return Response(paging.page(request, [change_json(change) for change in page.rows], older, newer))

    @shapes.describe(
        "Log changes",
        ChangeResultsShape,
        tag="Changes",
        body=ChangesBody,
        detail=f"One change, or up to {changelog.ITEMS_MAX} as `changes` or a bare array. Each is judged alone: a bad "
        "one is told with its field, limit and value, the others are kept, and the answer is 200 (400 where none could "
        "be kept). A `client_id` sent again replaces what it had, so a request without an answer can be sent again.",
        problems={413: "The body is too large."},
    )
    def post(self, request: Request) -> Response:
        told = batch.items_of(request.data, "changes", changelog.ITEMS_MAX)
        results = changelog.put_changes(self.project, told, self.by())
        counts = dict.fromkeys(("accepted", "updated", "unchanged", "superseded", "rejected"), 0)
        for result in results:
            counts[result.status] += 1
        if counts["rejected"] == len(results):
            raise batch.none_kept("changes", [result.faults for result in results])
        return Response(counts | {"items": [_result(at, result) for at, result in enumerate(results)]})


class OneChangeView(_ChangeView):
    acts = {"GET": "read", "PATCH": "measure", "DELETE": "measure"}

    @shapes.describe("One change", LoggedChangeShape, tag="Changes", path=(CHANGE_ID,))
    def get(self, request: Request, change_id: str) -> Response:
        found = read.get_change(self.project.pk, params.row_id(change_id))
        if found is None:
            raise not_found()
        return Response(change_json(found))

    @shapes.describe(
        "Correct a change",
        LoggedChangeShape,
        tag="Changes",
        path=(CHANGE_ID,),
        body=ChangeBody,
        detail="What is given; the audit log keeps what it said before. Of a derived change: author, note and url.",
    )
    def patch(self, request: Request, change_id: str) -> Response:
        key = params.row_id(change_id)
        if not request.data or not isinstance(request.data, dict):
            raise bad_field("note", "or another field is required: there is nothing to change")
        try:
            return Response(change_json(changelog.edit_change(self.project, key, request.data, self.by())))
        except changelog.Gone:
            raise not_found() from None
        except ItemRefused as refused:
            raise batch.none_kept("changes", [refused.faults]) from None

    @shapes.describe(
        "Remove a change",
        None,
        tag="Changes",
        status=204,
        path=(CHANGE_ID,),
        detail="The audit log keeps what it said. A derived one stays removed, whatever traces show.",
    )
    def delete(self, request: Request, change_id: str) -> Response:
        try:
            changelog.remove_change(self.project, params.row_id(change_id), self.by())
        except changelog.Gone:
            raise not_found() from None
        return Response(status=204)


def wanted_of(query: QueryDict) -> ChangeFilter:
    """What a list's parameters ask for."""
    start, end = params.moment(query, "from"), params.moment(query, "to")
    if start is not None and end is not None and start >= end:
        raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
    return ChangeFilter(
        start=start,
        end=end,
        kinds=_among(query, "kind", KIND_WORDS),
        sources=_among(query, "source", SOURCE_WORDS),
        services=tuple(params.texts(query, "service")),
        features=tuple(params.texts(query, "feature")),
        environments=tuple(params.texts(query, "environment")),
        text=params.text(query, "q").strip(),
    )


def change_json(change: Change) -> dict[str, Any]:
    """A change as REST shows it."""
    shown = record(change)
    for name in ("at", "ended_at", "created_at", "updated_at"):
        shown[name] = form.moment(shown[name])
    return shown | {"details": dict(change.details)}


def record(change: Change) -> dict[str, Any]:
    """A change as a file has it; what is not known is None."""
    values: dict[str, Any] = {name: getattr(change, name) for name in NAMES if name != "id"}
    values = {name: None if value == "" else value for name, value in values.items()}
    return {"id": str(change.id), **values, "kind": change.kind.value, "source": change.source.value}


def file_record(change: Change) -> dict[str, Any]:
    """The same with its details as JSON."""
    return record(change) | {"details": orjson.dumps(change.details).decode() if change.details else None}


def _among(query: QueryDict, name: str, accepted: Collection[str]) -> tuple[str, ...]:
    words = tuple(params.texts(query, name))
    for word in words:
        if word not in accepted:
            raise bad_field(name, "is not accepted", limit=f"one of {', '.join(accepted)}", value=word)
    return words


def _cursor(side: str, change: Change) -> str:
    at: datetime = change.at
    return paging.write_cursor(side, at.isoformat(), change.id)


def _result(at: int, result: changelog.Result) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "index": at,
        "status": result.status,
        "id": None if result.id is None else str(result.id),
        "client_id": result.client_id or None,
    }
    if result.faults:
        shown["errors"] = batch.errors_of(result.faults)
    return shown
