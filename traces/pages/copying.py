"""Copying a trace or a span: its JSON as REST gives it, or the curl that sends it again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from telltale.projects.access import project_page
from telltale.projects.models import Project
from traces import resend
from traces.api import trace_json
from traces.forms import Pair
from traces.pages.naming import span_id_of, trace_of
from traces.read import TooSlow, TraceRow, get_span
from traces.wire.ids import hex_span_id

# More than this is a file: no browser is quick with it, and nobody reads it.
SHOWN_MAX = 200_000
_SALT = frozenset("0123456789abcdef")


@require_http_methods(["GET", "HEAD"])
@project_page()
def trace_copy(request: HttpRequest, project: Project, trace: str) -> HttpResponseBase:
    """What to copy, as text on a page or, with `format=file`, as a file."""
    query = request.GET
    try:
        row = trace_of(project, trace)
        span_id = span_id_of(query.get("span", ""))
        if query.get("span") and span_id is None:
            raise Http404
        kind = "curl" if query.get("as") == "curl" else "json"
        salt = _salt(query.get("salt", "")) if query.get("ids") == "new" else None
        texts = _curl(project, row, span_id, salt) if kind == "curl" else _json(project, row, span_id)
        if query.get("format") == "file":
            return _file(texts, row, span_id, kind)
        try:
            text, is_large = resend.joined(texts, SHOWN_MAX), False
        except resend.TooLarge:
            text, is_large = "", True
    except TooSlow:
        return render(request, "traces/too_slow.html", {"project": project}, status=503)
    return render(request, "traces/copy.html", _context(project, row, span_id, kind, salt, text, is_large))


def _context(
    project: Project, row: TraceRow, span_id: int | None, kind: str, salt: str | None, text: str, is_large: bool
) -> dict[str, Any]:
    span: list[Pair] = [] if span_id is None else [("span", hex_span_id(span_id))]
    chosen: list[Pair] = [("as", kind)] if kind == "curl" else []
    ids: list[Pair] = [] if salt is None else [("ids", "new"), ("salt", salt)]
    path = reverse("api-trace", args=[row.hex_id])
    if span_id is not None:
        path = reverse("api-span", args=[row.hex_id, hex_span_id(span_id)])
    return {
        "project": project,
        "trace": row,
        "hex_id": row.hex_id,
        "span_id": "" if span_id is None else hex_span_id(span_id),
        "kind": kind,
        "is_new": salt is not None,
        "text": text,
        "is_large": is_large,
        "shown_max": SHOWN_MAX,
        "forms": [
            ("JSON", "?" + urlencode(span), kind == "json"),
            ("curl that sends it again", "?" + urlencode([*span, ("as", "curl")]), kind == "curl"),
        ],
        "same_href": "?" + urlencode([*span, ("as", "curl")]),
        "new_href": "?" + urlencode([*span, ("as", "curl"), ("ids", "new")]),
        "file_href": "?" + urlencode([*span, *chosen, *ids, ("format", "file")]),
        "back": reverse("trace_page", args=[project.slug, row.hex_id]) + ("?" + urlencode(span) if span else ""),
        "whole_href": "?" + urlencode(chosen) if span else "",
        "rest": f"{settings.TELLTALE_PUBLIC_URL}{path}",
    }


def _json(project: Project, row: TraceRow, span_id: int | None) -> Iterator[str]:
    if span_id is None:
        yield resend.plain_json(trace_json.trace(row), indent=True)
        return
    detail = get_span(project.pk, row, span_id)
    if detail is None:
        raise Http404
    yield resend.plain_json(trace_json.span(detail.span, detail), indent=True)


def _curl(project: Project, row: TraceRow, span_id: int | None, salt: str | None) -> Iterator[str]:
    ids = resend.trace_ids(project.pk, row)
    if span_id is not None and span_id not in ids:
        raise Http404
    requests = resend.each_request(project.pk, row, ids, only=span_id, salt=salt)
    return resend.curl_commands(requests, settings.TELLTALE_PUBLIC_URL)


def _file(texts: Iterator[str], row: TraceRow, span_id: int | None, kind: str) -> StreamingHttpResponse:
    """The text as a file, written while it is read."""
    name = f"trace-{row.hex_id}" if span_id is None else f"span-{hex_span_id(span_id)}"
    ending = "sh" if kind == "curl" else "json"
    response = StreamingHttpResponse(texts, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.{ending}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _salt(told: str) -> str:
    """What makes the new ids; the page's own, so that its file has the ids that it shows."""
    return told if 0 < len(told) <= 32 and set(told) <= _SALT else secrets.token_hex(16)
