"""REST: signals, sent by servers, SDKs and pages in browsers, and read by those who may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.projects.keys import KeyHolder, browser_key_ids
from telltale.rest import batch, cors, form, paging, params, shapes
from telltale.rest.auth import BrowserAuthentication
from telltale.rest.problems import CONTENT_TYPE, bad_field, body_of, not_found
from telltale.rest.views import ProjectView
from traces import signalling
from traces.api.signal_bodies import (
    BeaconParser,
    SignalKeyAuthentication,
    SignalParser,
    TooMany,
    check_browser,
    foreign_origin,
    take_body,
    within_rate,
)
from traces.api.signal_shapes import (
    SIGNAL_ID,
    VOTES,
    NewSignalsShape,
    SignalNamesShape,
    SignalPageShape,
    SignalResultsShape,
    SignalShape,
)
from traces.api.traces import answers
from traces.canonical.types import WireError
from traces.ingest.body import STALL_SECONDS, Stalled, hang_up
from traces.pages.export import FORMATS, RETRY_AFTER_SECONDS, download
from traces.read import signals as read
from traces.read.signals import KIND_NAMES, SOURCE_WORDS, STATES, TARGET_NAMES, Signal, SignalFilter
from traces.signals import items as rules
from traces.signals.kinds import Kind
from traces.signals.names import MEANINGS

NAMES = (
    "id", "client_id", "name", "kind", "value", "vote", "target", "trace_id", "span_id", "session_id", "request_id",
    "comment", "user_id", "source", "happened_at", "is_dated", "received_at", "updated_at", "revision", "state",
    "bound_at", "feature",
)  # fmt: skip
_VOTE_WORDS = {number: word for word, number in VOTES.items()}


def _parameter(name: str, description: str, kind: Any = OpenApiTypes.STR, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, description=description, **more)


_QUERY = (
    "from", "to", "name", "kind", "source", "vote", "trace_id", "span_id", "session_id", "request_id", "client_id",
    "user_id", "feature", "bound", "state", "limit", "cursor", "format",
)  # fmt: skip
_FILE_NAMES = (*NAMES, "metadata")


class SignalsView(ProjectView):
    acts = {"GET": "read", "POST": "note"}
    key_scopes = {"POST": "signal|write"}
    query = {"GET": _QUERY}
    parser_classes = (SignalParser, BeaconParser)  # type: ignore[assignment]
    authentication_classes = (SignalKeyAuthentication, BrowserAuthentication)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """A key that a page uses may send signals alone, from pages that it lists."""
        holder = request.auth if isinstance(request.auth, KeyHolder) else None
        if holder is not None and request.method == "POST":
            request._request.listed_origins = holder.origins  # type: ignore[attr-defined]
            check_browser(holder, foreign_origin(request._request))
        super().initial(request, *args, **kwargs)

    @shapes.describe(
        "List signals",
        SignalPageShape,
        tag="Signals",
        detail="Newest first, by when they happened. `bound=no` lists those whose target is not here. `format` csv and "
        "ndjson send all that match as a file.",
        query=(
            shapes.FROM,
            shapes.TO,
            _parameter("name", "Any of these names, as told.", many=True),
            _parameter("kind", "Any of these kinds.", enum=list(KIND_NAMES.values()), many=True),
            _parameter("source", "Who says so.", enum=list(rules.SOURCES), many=True),
            _parameter("vote", "Thumbs of this direction.", enum=list(VOTES)),
            _parameter("trace_id", "On this trace and its spans."),
            _parameter("span_id", "On this span; with `trace_id`."),
            _parameter("session_id", "That name this session."),
            _parameter("request_id", "That name this request."),
            _parameter("client_id", "The caller's id."),
            _parameter("user_id", "Of this end user."),
            _parameter("feature", "About traces of this feature."),
            _parameter("bound", "Whether the target is here.", enum=["yes", "no"]),
            _parameter("state", "The same, with orphans apart.", enum=list(STATES)),
            shapes.LIMIT,
            shapes.CURSOR,
            _parameter("format", "The whole list as a file.", enum=["json", *FORMATS]),
        ),
    )
    def get(self, request: Request) -> HttpResponseBase:
        query = request.query_params
        kind = params.choice(query, "format", ("json", *FORMATS), "json")
        limit = params.page_size(query)
        position = paging.read_cursor(params.text(query, "cursor"), str, str, int)
        if position is not None and position[0] not in {"before", "after"}:
            raise paging.bad_cursor(str(position[0]))
        wanted = wanted_of(query)
        with answers():
            if kind in FORMATS:
                records = (record(signal) | {"metadata": _text(signal.metadata)} for signal in
                           read.each_signal(self.project.pk, wanted))  # fmt: skip
                is_head = request.method == "HEAD"
                return download(f"{self.project.slug}-signals", kind, _FILE_NAMES, records, is_head=is_head)
            side: dict[str, Any] = {}
            if position is not None:
                side[position[0]] = (params.parse_moment("cursor", position[1]), position[2])
            page = read.list_signals(self.project.pk, wanted, limit, **side)
            unbound = read.unbound_counts(self.project.pk)
        older = _cursor("before", page.older)
        newer = _cursor("after", page.newer)
        body = paging.page(request, [signal_json(signal) for signal in page.rows], older, newer)
        return Response(body | {"unbound": {"waiting": unbound.waiting, "orphans": unbound.orphans}})

    @shapes.describe(
        "Put signals",
        SignalResultsShape,
        tag="Signals",
        body=NewSignalsShape,
        detail=f"One signal, or up to {signalling.ITEMS_MAX} as `signals` or a bare array. Each is judged alone: a bad "
        "one is told with its field, limit and value, the others are kept, and the answer is 200 (400 where none could "
        "be kept). A signal may come before its trace, and without it. A `client_id` sent again replaces what it had; "
        "without one, what is told twice of one target by one user at one time is one signal. Committed when answered, "
        "so a request without an answer can be sent again. From a browser: docs/signals.md.",
        problems={413: "The body is too large.", 429: "A key for browsers sent more than it may; see `Retry-After`."},
    )
    def post(self, request: Request) -> Response:
        told = batch.items_of(request.data, "signals", signalling.ITEMS_MAX, beside=("key",))
        holder = request.auth if isinstance(request.auth, KeyHolder) else None
        browser_keys = None
        if holder is not None and holder.origins:
            within_rate(holder, len(told))
            browser_keys = browser_key_ids(self.project.pk)
        key_id = holder.key_id if holder is not None else None
        sender = signalling.Sender(key_id, self.body_bytes(request), browser_keys=browser_keys)
        results = signalling.put_signals(self.project.pk, told, sender)
        counts = dict.fromkeys(("accepted", "updated", "unchanged", "superseded", "rejected"), 0)
        for result in results:
            counts[result.status] += 1
        if counts["rejected"] == len(results):
            raise batch.none_kept("signals", [result.faults for result in results])
        return Response(counts | {"items": [_result(at, result) for at, result in enumerate(results)]})

    def body_bytes(self, request: Request) -> int:
        """How large the body was said to be; 0 where it came in chunks."""
        told = request.META.get("CONTENT_LENGTH") or ""
        return int(told) if told.isdigit() else 0

    def handle_exception(self, exc: Exception) -> Response:
        """What has to wait says how long."""
        response: Response = super().handle_exception(exc)
        if response.status_code == 503:
            response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        if isinstance(exc, TooMany):
            response["Retry-After"] = str(exc.seconds)
        return response


_signals = SignalsView.as_view()


@csrf_exempt
def signals(request: HttpRequest) -> HttpResponseBase:
    """The address of signals: pages of other origins are told whether they may, before and after."""
    if request.method == "OPTIONS":
        return cors.preflight(request, "GET, HEAD, POST, OPTIONS")
    response: HttpResponseBase
    try:
        if request.method == "POST":
            take_body(request)
        response = _signals(request)
    except WireError as error:
        response = _refused(error.status, error.message)
    except Stalled:
        hang_up(request.environ)  # type: ignore[attr-defined]
        response = _refused(503, f"The body stopped arriving for {STALL_SECONDS:g} s. Send it again.")
        response["Retry-After"] = "1"
    listed = getattr(request, "listed_origins", ())
    return cors.share(response, cors.origin_of(request) if request.method == "POST" else "", listed)


def _refused(status: int, message: str) -> HttpResponse:
    return HttpResponse(orjson.dumps(body_of(status, message)), status=status, content_type=CONTENT_TYPE)


# For the OpenAPI document, which looks for the class behind an address.
signals.cls = SignalsView  # type: ignore[attr-defined]
signals.initkwargs = {}  # type: ignore[attr-defined]


class OneSignalView(ProjectView):
    acts = {"GET": "read", "DELETE": "note"}

    @shapes.describe("One signal", SignalShape, tag="Signals", path=(SIGNAL_ID,))
    def get(self, request: Request, signal_id: str) -> Response:
        with answers():
            found = read.get_signal(self.project.pk, _key_of(signal_id))
        if found is None:
            raise not_found()
        return Response(signal_json(found))

    @shapes.describe(
        "Remove a signal",
        None,
        tag="Signals",
        status=204,
        path=(SIGNAL_ID,),
        detail="The behaviour of its session is looked at again without it.",
    )
    def delete(self, request: Request, signal_id: str) -> Response:
        if not signalling.remove_signal(self.project.pk, _key_of(signal_id)):
            raise not_found()
        return Response(status=204)


class SignalNamesView(ProjectView):
    @shapes.describe(
        "The names of signals of a project",
        SignalNamesShape,
        tag="Signals",
        detail="With what each means here; the definitions of signals say so for names of your own.",
    )
    def get(self, request: Request) -> Response:
        with answers():
            found = read.signal_names(self.project.pk)
        items = [{"name": one.name, "kind": KIND_NAMES[one.kind], "n": one.n} for one in found]
        return Response({"items": items, "meanings": list(MEANINGS)})


def signal_json(signal: Signal) -> dict[str, Any]:
    """A signal as REST shows it."""
    shown = record(signal)
    for name in ("happened_at", "received_at", "updated_at", "bound_at"):
        shown[name] = form.moment(shown[name])
    return shown | {"metadata": signal.metadata}


def record(signal: Signal) -> dict[str, Any]:
    """A signal as a file has it."""
    values = (
        str(signal.key),
        signal.client_id,
        signal.name,
        KIND_NAMES[signal.kind],
        signal.value,
        None if signal.vote is None else _VOTE_WORDS[signal.vote],
        TARGET_NAMES[signal.target],
        signal.trace_id.hex if signal.trace_id is not None else None,
        signal.span_hex,
        signal.session_id,
        signal.request_id,
        signal.comment,
        signal.author,
        SOURCE_WORDS[signal.source],
        signal.happened_at,
        signal.is_dated,
        signal.received_at,
        signal.updated_at,
        signal.revision,
        signal.state,
        signal.bound_at,
        signal.feature,
    )
    return dict(zip(NAMES, values, strict=True))


def wanted_of(query: QueryDict) -> SignalFilter:
    """What a list's parameters ask for."""
    start, end = params.moment(query, "from"), params.moment(query, "to")
    if start is not None and end is not None and start >= end:
        raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
    trace, span = params.text(query, "trace_id"), params.text(query, "span_id")
    trace_id, span_id = params.trace_id(trace) if trace else None, params.span_id(span) if span else None
    if trace and trace_id is None:
        raise bad_field("trace_id", "is no trace's id", limit="32 hex digits or a UUID", value=trace)
    if span and span_id is None:
        raise bad_field("span_id", "is no span's id", limit="16 hex digits", value=span)
    if span and not trace:
        raise bad_field("span_id", "needs the trace it is in", limit="trace_id with span_id")
    vote = params.choice(query, "vote", tuple(VOTES))
    bound = params.choice(query, "bound", ("yes", "no"))
    kinds = {word: kind for kind, word in KIND_NAMES.items()}
    return SignalFilter(
        start=start,
        end=end,
        names=tuple(params.texts(query, "name")),
        kinds=tuple(Kind(value) for value in _among(query, "kind", kinds)),
        sources=tuple(_among(query, "source", rules.SOURCES)),
        vote=VOTES[vote] if vote else None,
        trace_id=trace_id,
        span_id=span_id,
        session_id=params.text(query, "session_id") or None,
        request_id=params.text(query, "request_id") or None,
        client_id=params.text(query, "client_id") or None,
        author=params.text(query, "user_id") or None,
        feature=params.text(query, "feature") or None,
        state=params.choice(query, "state", STATES) or {"yes": read.BOUND, "no": "no"}.get(bound, ""),
    )


def _among(query: QueryDict, name: str, accepted: Mapping[str, Any]) -> list[Any]:
    for word in params.texts(query, name):
        if word not in accepted:
            raise bad_field(name, "is not accepted", limit=f"one of {', '.join(accepted)}", value=word)
    return [accepted[word] for word in params.texts(query, name)]


def _result(at: int, result: signalling.Result) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "index": at,
        "status": result.status,
        "id": str(result.key) if result.key is not None and result.status != "rejected" else None,
        "client_id": result.client_id,
        "bound": result.is_bound,
    }
    if result.faults:
        shown["errors"] = batch.errors_of(result.faults)
    return shown


def _cursor(side: str, place: read.Place | None) -> str | None:
    return None if place is None else paging.write_cursor(side, place[0].isoformat(), place[1])


def _text(metadata: dict[str, Any] | None) -> str | None:
    return None if metadata is None else orjson.dumps(metadata).decode()


def _key_of(raw: str) -> UUID:
    try:
        return UUID(raw)
    except ValueError:
        raise not_found() from None
