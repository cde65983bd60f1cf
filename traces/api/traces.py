"""REST: traces and their spans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.rest import paging, params, shapes
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces import read
from traces.api import search, trace_json, trace_shapes
from traces.extras import find_column
from traces.forms import COLUMNS_MAX
from traces.ingest.views import native_traces
from traces.own_calls import without_calls
from traces.pages.export import FORMATS, RETRY_AFTER_SECONDS, Busy, export_traces
from traces.read.filters import find_field, ops_of
from traces.read.signals import signals_of_traces

_SUFFIX = {"is": ""} | {op: f".{op}" for op in ("not", "min", "max", "missing", "exists")}
FILTERS = tuple(
    name + _SUFFIX[op] for name, known in read.FIELDS.items() for op in ops_of(known) if not known.is_family
)
# Fields whose names are the caller's own, such as keys of metadata.
FAMILIES = tuple(f"{name}." for name, known in read.FIELDS.items() if known.is_family)
BODIES_MAX = 50
TRACE_ID = OpenApiParameter(
    "trace_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="32 hex digits, a UUID, or the id its sender uses."
)
JUDGING = OpenApiParameter(
    "judging", OpenApiTypes.STR, enum=["shown"],
    description="Traces of the calls that judges make are left out unless this is `shown` or a service is asked for.",
)  # fmt: skip
SPAN_ID = OpenApiParameter("span_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="16 hex digits.")


def _filter_parameter(name: str) -> OpenApiParameter:
    known, op = find_field(read.FIELDS, name)
    if known is None:
        raise LookupError(name)
    if known.shape == "moment":
        return OpenApiParameter(name, OpenApiTypes.DATETIME, description=f"{known.label}, ISO 8601.")
    many = op in {"", "not"} and known.shape != "number"
    enum = [value for value, _, _ in known.choices] or None
    words = {"": "is any of", "not": "is none of", "min": "at least", "max": "at most", "missing": "has none"}
    return OpenApiParameter(
        name,
        OpenApiTypes.NUMBER if known.shape == "number" else OpenApiTypes.STR,
        enum=None if op == "missing" else enum,
        many=many,
        description=f"{known.label} {words[op]}{f' ({known.unit})' if known.unit else ''}.",
    )


def _columns(raw: str) -> tuple[str, ...]:
    """The further columns of a file that are asked for."""
    keys = tuple(dict.fromkeys(key.strip() for key in raw.split(",") if key.strip()))
    if len(keys) > COLUMNS_MAX:
        raise bad_field("columns", "are too many", limit=f"{COLUMNS_MAX} columns", value=len(keys))
    for key in keys:
        column = find_column(key)
        if column is None or column.values is None:
            limit = "signals, score.<name>, scores or flagged"
            raise bad_field("columns", "has no such column", limit=limit, value=key[:80])
    return keys


class TraceListView(ProjectView):
    query = {"GET": ("from", "to", "q", "sort", "limit", "cursor", "format", "columns", "include", "judging", *FILTERS)}
    query_prefixes = FAMILIES

    @shapes.describe(
        "List traces",
        search.trace_page(),
        tag="Traces",
        detail="Newest first unless sorted otherwise. Repeated keys mean any of them, different keys all of them. A "
        "window makes it quick: without one, all that is kept is looked at. All `call.*` are about one and the same "
        "span of a trace. `meta.<key>` (with .not, .min, .max, .missing) is metadata that any of them carries; "
        "other families of names: " + (", ".join(f"`{f}<name>`" for f in FAMILIES if f != "meta.") or "none") + ".",
        query=(
            shapes.FROM,
            shapes.TO,
            OpenApiParameter("q", OpenApiTypes.STR, description="An id, or words anywhere in a trace; docs/search.md."),
            OpenApiParameter(
                "sort", OpenApiTypes.STR, enum=[sign + key for key in read.SORTS for sign in ("-", "")],
                description="- for descending.",
            ),
            shapes.LIMIT,
            shapes.CURSOR,
            OpenApiParameter(
                "format", OpenApiTypes.STR, enum=["json", *FORMATS],
                description="csv and ndjson send the whole list as a file, whatever `limit` says.",
            ),
            OpenApiParameter(
                "columns", OpenApiTypes.STR,
                description="Of files: further columns, with commas, such as `score.tone`, `flagged` or `signals`.",
            ),
            OpenApiParameter(
                "include", OpenApiTypes.STR, enum=["signals"], description="What else to tell of each: `signals`.",
            ),
            JUDGING,
            *(_filter_parameter(name) for name in FILTERS),
        ),
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponseBase:
        query = request.query_params
        kind = params.choice(query, "format", ("json", *FORMATS), "json")
        wants_users = params.choice(query, "include", ("signals",)) == "signals"
        columns = _columns(params.text(query, "columns"))
        side, _, cursor = params.text(query, "cursor").partition(".")
        if side not in {"", "older", "newer"}:
            raise paging.bad_cursor(side)
        ask = read.Ask(
            limit=params.page_size(query),
            before=cursor if side == "older" else "",
            after=cursor if side == "newer" else "",
            count=False,
        )
        sort = params.text(query, "sort") or read.DEFAULT_SORT
        with answers():
            wanted = wanted_of(self, query)
            if kind in FORMATS:
                is_head = request.method == "HEAD"
                return export_traces(self.project, wanted, sort, kind, columns=columns, is_head=is_head)
            page = read.list_traces(self.project.pk, wanted, sort, ask)
            users = signals_of_traces(self.project.pk, [row.trace_id for row in page.rows]) if wants_users else {}
        older = f"older.{page.older}" if page.older else None
        newer = f"newer.{page.newer}" if page.newer else None
        items = [trace_json.trace(row, users.get(row.trace_id, ()) if wants_users else None) for row in page.rows]
        told = search.search_json(self.project.pk, wanted, page.rows)
        return Response(paging.page(request, items, older, newer) | {"search": told})

    def handle_exception(self, exc: Exception) -> Response:
        """A file that has to wait says how long."""
        response: Response = super().handle_exception(exc)
        if response.status_code == 503:
            response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response


class TraceFacetsView(ProjectView):
    query = {"GET": ("from", "to", "q", "count", "judging", *FILTERS)}
    query_prefixes = FAMILIES

    @shapes.describe(
        "What a list of traces has in common",
        trace_shapes.FacetsShape,
        tag="Traces",
        detail="How many traces match (and how many calls, where `call.*` are asked for), the most frequent values of "
        "some fields, and how many traces began when, over the newest that match. Same filters as the list.",
        query=(
            shapes.FROM,
            shapes.TO,
            OpenApiParameter("q", OpenApiTypes.STR, description="As for the list."),
            OpenApiParameter(
                "count", OpenApiTypes.STR, enum=["exact"], description="Count to the end, however long it takes."
            ),
            JUDGING,
            *(_filter_parameter(name) for name in FILTERS),
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        exactly = params.choice(query, "count", ("exact",)) == "exact"
        with answers():
            wanted = wanted_of(self, query)
            is_window = wanted.start is not None and wanted.end is not None
            ask = read.Ask(limit=1, exactly=exactly, is_window=is_window)
            page, facets = read.list_with_facets(self.project.pk, wanted, read.DEFAULT_SORT, ask)
        return Response(trace_json.facets(page.count, facets))


def wanted_of(view: ProjectView, query: QueryDict) -> read.TraceFilter:
    """The filter that an address' parameters are; 400 for what is none."""
    terms, wrong = read.parse_terms(query.lists())
    if wrong:
        errors = [FieldError(e.key, e.message, e.limit or None, e.value or None) for e in wrong]
        raise Problem(400, "; ".join(f"{e.field} {e.message}" for e in errors[:5]), *errors)
    start, end = params.moment(query, "from"), params.moment(query, "to")
    if start is not None and end is not None and start >= end:
        raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
    wanted = read.TraceFilter(start=start, end=end, q=params.text(query, "q"), terms=terms)
    is_shown = params.choice(query, "judging", ("shown",)) == "shown"
    wanted = without_calls(view.project.pk, wanted, is_shown=is_shown)
    return read.resolve_id(view.project.pk, wanted) if wanted.q else wanted


@contextmanager
def answers() -> Iterator[None]:
    """What reading a list may raise, as problems."""
    try:
        yield
    except read.FilterError as error:
        raise bad_field(error.key, error.message, limit=error.limit or None, value=error.value or None) from None
    except read.TooSlow:
        raise too_slow() from None
    except Busy:
        raise busy() from None


def busy() -> Problem:
    """What is answered where as many files as may be are being sent."""
    return Problem(503, f"Other files are being sent just now. Ask again in {RETRY_AFTER_SECONDS} seconds.")


class TraceView(ProjectView):
    @shapes.describe("One trace with its sums", trace_shapes.TraceShape, tag="Traces", path=(TRACE_ID,))
    def get(self, request: Request, trace_id: str) -> Response:
        return Response(trace_json.trace(find_trace(self, trace_id)))


class SpanListView(ProjectView):
    query = {"GET": ("limit", "cursor", "include")}

    @shapes.describe(
        "The spans of a trace",
        shapes.page_of(trace_shapes.SpanShape, "SpanPage"),
        tag="Traces",
        detail=f"In order of start. With `include=body` messages, raw attributes and events too, {BODIES_MAX} a page.",
        path=(TRACE_ID,),
        query=(
            shapes.LIMIT,
            shapes.CURSOR,
            OpenApiParameter("include", OpenApiTypes.STR, enum=["body"], description="What else to send."),
        ),
    )
    def get(self, request: Request, trace_id: str) -> Response:
        query = request.query_params
        limit = params.page_size(query)
        wants_body = params.choice(query, "include", ("body",)) == "body"
        if wants_body:
            limit = min(limit, BODIES_MAX)
        position = paging.read_cursor(params.text(query, "cursor"), str, int, int)
        if position is not None and position[0] not in {"after", "before"}:
            raise paging.bad_cursor(str(position[0]))
        row = find_trace(self, trace_id)
        try:
            keys = [(step.started_us, step.span_id) for step in read.list_spans(self.project.pk, row).steps]
            chosen, has_before, has_after = _slice(keys, position, limit)
            ids = [span_id for _, span_id in chosen]
            if wants_body:
                items = [trace_json.span(detail.span, detail) for detail in read.get_spans(self.project.pk, row, ids)]
            else:
                items = [trace_json.span(span) for span in read.get_rows(self.project.pk, row, ids)]
        except read.TooSlow:
            raise too_slow() from None
        after = paging.write_cursor("after", *chosen[-1]) if has_after and chosen else None
        before = paging.write_cursor("before", *chosen[0]) if has_before and chosen else None
        return Response(paging.page(request, items, after, before))


class SpanView(ProjectView):
    @shapes.describe("One span with its body", trace_shapes.SpanDetailShape, tag="Traces", path=(TRACE_ID, SPAN_ID))
    def get(self, request: Request, trace_id: str, span_id: str) -> Response:
        number = params.span_id(span_id)
        row = find_trace(self, trace_id)
        if number is None:
            raise not_found()
        try:
            detail = read.get_span(self.project.pk, row, number)
        except read.TooSlow:
            raise too_slow() from None
        if detail is None:
            raise not_found()
        return Response(trace_json.span(detail.span, detail))


def find_trace(view: ProjectView, raw: str) -> read.TraceRow:
    """The trace of an address; the one 404 where the project has none of this id."""
    if len(raw) > 512 or "\x00" in raw or any("\ud800" <= c <= "\udfff" for c in raw):
        raise not_found()
    row = read.find_trace(view.project.pk, raw)
    if row is None:
        raise not_found()
    return row


def too_slow() -> Problem:
    """What is answered where the database took longer than an answer may: 503, since the question itself is right."""
    return Problem(
        503,
        "This took longer than an answer may. Narrow the window with `from` and `to`, or filter by an exact value.",
        FieldError("from", "the window is too wide for this filter"),
    )


def _slice(
    keys: list[tuple[int, int]], position: list[Any] | None, limit: int
) -> tuple[list[tuple[int, int]], bool, bool]:
    """One page of sorted keys beside a position, and whether there is something before and after it."""
    keys = sorted(keys)
    if position is None:
        start = 0
    elif position[0] == "after":
        start = sum(1 for key in keys if key <= (position[1], position[2]))
    else:
        start = max(sum(1 for key in keys if key < (position[1], position[2])) - limit, 0)
    chosen = keys[start : start + limit]
    return chosen, start > 0, start + limit < len(keys)


_list = TraceListView.as_view()


@csrf_exempt
def traces(request: HttpRequest) -> HttpResponseBase:
    """The one address of two things: POST is native ingest, which reads its body itself; the rest lists traces."""
    if request.method == "POST":
        return native_traces(request)
    response: HttpResponseBase = _list(request)
    if response.status_code == 405:
        response.headers["Allow"] = "GET, HEAD, POST"
    return response


# What the schema generator looks for in a view.
traces.cls = TraceListView  # type: ignore[attr-defined]
traces.initkwargs = {}  # type: ignore[attr-defined]
