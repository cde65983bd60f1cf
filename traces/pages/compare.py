"""The page that puts two traces or two spans side by side, and the choice of what to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from telltale.projects.access import project_page
from telltale.projects.models import Project
from traces.pages.comparison import Side, StepLine, compare, read_side
from traces.pages.naming import span_id_of
from traces.read import Ask, Term, TooSlow, TraceFilter, TraceRow, find_trace, list_traces

NAME_CHARS_MAX = 512
SUGGESTED = 5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A trace to compare with."""

    href: str
    title: str
    why: str
    started_at: datetime


@require_http_methods(["GET", "HEAD"])
@project_page()
def trace_compare(request: HttpRequest, project: Project) -> HttpResponse:
    """`a` and `b` name a trace each, or a span as `trace:span`; with one of them, what to compare it with."""
    asked = {name: request.GET.get(name, "").strip()[:NAME_CHARS_MAX] for name in ("a", "b")}
    # The list's checkboxes say `pick` twice.
    for name, picked in zip(("a", "b"), request.GET.getlist("pick")[:2], strict=False):
        asked[name] = asked[name] or picked.strip()[:NAME_CHARS_MAX]
    context: dict[str, Any] = {"project": project, "asked": asked}
    try:
        sides = {name: find_side(project.pk, text) for name, text in asked.items()}
        missing = [name for name, text in asked.items() if text and sides[name] is None]
        a, b = sides["a"] or sides["b"], sides["b"]
        context |= {"missing": [asked[name] for name in missing], "a": a}
        if a is not None and b is not None and sides["a"] is not None:
            context |= _answer(project, a, b)
        elif a is not None:
            context["suggestions"] = suggest(project, a)
            context["asked"] = {"a": a.place, "b": asked["b"] if "b" in missing else ""}
    except TooSlow:
        return render(request, "traces/too_slow.html", {"project": project}, status=503)
    return render(request, "traces/compare.html", context, status=404 if missing else 200)


def find_side(project_id: int, text: str) -> Side | None:
    """What `text` names, `trace` or `trace:span`; None where the project has no such thing."""
    if not text or "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        return None
    trace, _, span = text.rpartition(":")
    number = span_id_of(span) if trace and len(span) == 16 else None
    row = find_trace(project_id, trace if number is not None else text)
    return None if row is None else read_side(project_id, row, number)


def _answer(project: Project, a: Side, b: Side) -> dict[str, Any]:
    compared = compare(project.pk, a, b)
    base = reverse("trace_list", args=[project.slug])
    return {
        "compared": compared,
        "b": b,
        "lines": [(line, _line_href(line, a, b)) for line in compared.steps],
        "swap": "?" + urlencode([("a", b.place), ("b", a.place)]),
        "links": [_link(base, side) for side in (a, b)],
        "is_same_trace": a.trace.trace_id == b.trace.trace_id,
    }


def _link(base: str, side: Side) -> tuple[str, str]:
    span = f"?span={side.detail.span.hex_id}" if side.detail else ""
    return f"{base}{side.trace.hex_id}/{span}", title_of(side.trace)


def _line_href(line: StepLine, a: Side, b: Side) -> str:
    """The address that compares the spans of a line; a step that one side lacks is compared with nothing."""
    if line.only:
        return ""
    pairs = [("a", f"{a.trace.hex_id}:{line.span_a}"), ("b", f"{b.trace.hex_id}:{line.span_b}")]
    return "?" + urlencode(pairs) + "#said"


def title_of(row: TraceRow) -> str:
    """What a trace is called where there is little room."""
    return (row.preview_in or row.name or "(no name)")[:120]


def suggest(project: Project, side: Side) -> list[Suggestion]:
    """Traces before this one that are most like it: of its feature and prompt, of its session, of its name."""
    row = side.trace
    ways = (
        ("the one before of the same feature", "feature", row.feature),
        ("the one before in the same session", "session", row.session_id),
        ("the one before of the same name", "name", row.name),
    )
    found: dict[str, Suggestion] = {}
    for why, field, value in ways:
        if not value:
            continue
        wanted = TraceFilter(end=row.started_at, terms=(Term(field, "is", (value,)),))
        for other in list_traces(project.pk, wanted, ask=Ask(limit=2, count=False)).rows:
            href = "?" + urlencode([("a", other.hex_id), ("b", row.hex_id)])
            found.setdefault(other.hex_id, Suggestion(href, title_of(other), why, other.started_at))
    return list(found.values())[:SUGGESTED]
