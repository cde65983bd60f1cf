"""The page of one trace: head, facts, tree and waterfall, and the panel of the chosen span."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from telltale.lib import clock
from telltale.projects import keeping
from telltale.projects.access import project_page
from telltale.projects.models import Project
from traces.canonical.types import Kind, SpanFlag
from traces.extras import parts_of_span, parts_of_trace
from traces.forms import ListState, Pair, query_string, read_list
from traces.pages.addresses import write_id
from traces.pages.chat import view_chat
from traces.pages.naming import span_id_of, trace_of
from traces.pages.notes import notes_context
from traces.pages.panel import TABS, raw_json, view_panel
from traces.pages.signal_view import view_signals
from traces.pages.waterfall import (
    Slice,
    headline,
    place_of_slice,
    slice_span_ids,
    view_slice,
    view_ticks,
)
from traces.pages.words import COSTS, flag_words
from traces.read import (
    Steps,
    TooSlow,
    TraceRow,
    get_span,
    list_spans,
    neighbours,
    read_labels,
)
from traces.read.signals import OF_ONE_MAX, Signal, signals_of_traces
from traces.tree import Tree, build_tree, fold_tree, make_scale
from traces.wire.ids import hex_span_id

OPEN_MAX = 50
_PENDING = int(SpanFlag.PENDING)


@require_http_methods(["GET", "HEAD"])
@project_page()
def trace_page(request: HttpRequest, project: Project, trace: str) -> HttpResponse:
    """One trace, or the part of it that a script asks for: the panel of a span, further lines of the waterfall."""
    try:
        row = trace_of(project, trace)
        if row.hex_id != trace:
            query = request.META.get("QUERY_STRING", "")
            address = reverse("trace_page", args=[project.slug, row.hex_id])
            return HttpResponseRedirect(f"{address}?{query}" if query else address)
        if request.GET.get("format") == "json":
            return _raw(project, row, request.GET)
        return _answer(request, project, row)
    except TooSlow:
        return render(request, "traces/too_slow.html", {"project": project}, status=503)


def _answer(request: HttpRequest, project: Project, row: TraceRow) -> HttpResponse:
    zone = clock.zone_of(project.time_zone)
    query = request.GET
    state = read_list(query, zone, clock.now())
    tab = query.get("tab", "")
    tab = tab if tab in TABS else TABS[0]
    keep: list[Pair] = [*([("tab", tab)] if tab != TABS[0] else []), *state.pairs()]
    asked = span_id_of(query.get("span", ""))
    target = request.headers.get("HX-Target", "") if request.headers.get("HX-Request") == "true" else ""
    context: dict[str, Any] = {"project": project, "trace": row, "hex_id": row.hex_id}
    context["text_ran_out"] = row.last_started_at < keeping.cutoff_of(project, keeping.TEXT, clock.now())
    if target == "span" and asked is not None:
        context |= _panel(project, row, asked, tab, keep)
        return _varies(render(request, "traces/_panel.html", context))
    steps = list_spans(project.pk, row)
    tree = build_tree(steps.steps)
    chosen = tree.place_of(asked) if asked is not None else None
    if chosen is None:
        chosen = default_place(tree)
    waterfall = _waterfall(project, row, steps, tree, chosen if asked is not None else None, chosen, query, keep)
    context |= {"slice": waterfall[0], "ticks": waterfall[1], "folded": waterfall[2]}
    if target.startswith("more-"):
        return _varies(render(request, "traces/_lines.html", context))
    context |= _head(project, row, state, zone)
    context |= {
        "tree": tree,
        "is_whole": steps.is_whole,
        "n_calls": count_calls(tree) if steps.is_whole else row.generation_count,
        "headline": headline(tree, steps, row.duration_ms),
        "flags": flag_words(row.flags & ~_OF_SPANS),
        "views": _views(query, keep),
        "is_chat": query.get("view") == "chat",
        "span_missing": query.get("span", "") if asked is not None and tree.place_of(asked) is None else "",
    }
    signals = signals_of_traces(project.pk, [row.trace_id], OF_ONE_MAX).get(row.trace_id, ())
    context |= notes_context(request, project, row) | {"parts": parts_of_trace(request, project, row)}
    context["signals"] = view_signals(project, signals, _signals_href(project, row))
    if query.get("view") == "chat":
        context["chat"] = view_chat(project.pk, row, tree, keep)
    if chosen is not None:
        context |= _panel(project, row, tree.steps[chosen].span_id, tab, keep, signals)
    return _varies(render(request, "traces/trace.html", context))


# Said in the panel of the span they are about; on the trace they would only worry.
_OF_SPANS = SpanFlag.CACHE_UNKNOWN | SpanFlag.REPAIRED_TEXT | SpanFlag.CACHE_TTL_ASSUMED


def default_place(tree: Tree) -> int | None:
    """The step that a reader most likely came for: the last model call that counts, else the last one, else the top."""
    steps = tree.steps
    calls = [at for at, step in enumerate(steps) if step.kind == Kind.GENERATION and not step.flags & _PENDING]
    counted = [at for at in calls if steps[at].is_counted]
    if calls:
        return (counted or calls)[-1]
    return tree.roots[0] if tree.roots else None


def count_calls(tree: Tree) -> int:
    """How many model calls there were: one that several spans tell is one."""
    return sum(step.kind == Kind.GENERATION and step.is_counted for step in tree.steps)


def _waterfall(
    project: Project,
    row: TraceRow,
    steps: Steps,
    tree: Tree,
    asked: int | None,
    chosen: int | None,
    query: QueryDict,
    keep: list[Pair],
) -> tuple[Slice, Any, int]:
    opened = _opened(tree, query)
    folded = fold_tree(tree, opened, asked)
    at = folded.find(asked) if asked is not None else None
    raw = query.get("from", "")
    wanted = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 9 else None
    first = place_of_slice(wanted, len(folded.lines), at)
    scale = make_scale(steps.steps)
    labels = read_labels(project.pk, row, slice_span_ids(tree, folded.lines, first))
    lines = view_slice(tree, folded.lines, first, scale, labels, chosen, keep, opened)
    return lines, view_ticks(scale), folded.folded


def _opened(tree: Tree, query: QueryDict) -> list[int]:
    ids = {found for found in map(span_id_of, query.getlist("open")[:OPEN_MAX]) if found is not None}
    return [at for at, step in enumerate(tree.steps) if step.span_id in ids] if ids else []


def _panel(
    project: Project, row: TraceRow, span_id: int, tab: str, keep: list[Pair], signals: Sequence[Signal] | None = None
) -> dict[str, Any]:
    """What the panel of a span shows; `signals` are those of the trace, read here where they are not at hand."""
    detail = get_span(project.pk, row, span_id)
    if detail is None:
        raise Http404
    panel = view_panel(project.pk, detail, tab, keep, _trace_base(project))
    if tab != TABS[0]:
        return {"panel": panel}
    if signals is None:
        signals = signals_of_traces(project.pk, [row.trace_id], OF_ONE_MAX).get(row.trace_id, ())
    own = [signal for signal in signals if signal.span_id == span_id]
    return {
        "panel": panel,
        "panel_parts": parts_of_span(project, row.trace_id, span_id),
        "panel_signals": view_signals(project, own, _signals_href(project, row)),
    }


def _head(project: Project, row: TraceRow, state: ListState, zone: ZoneInfo) -> dict[str, Any]:
    """The head of the page: title, links into the list, the traces before and after."""
    base = _trace_base(project)
    suffix = query_string(state.pairs()) if state.pairs() else ""
    newer = older = None
    began = row.started_at.astimezone(zone)
    # Neighbours are a convenience: without them the page still answers what it was asked.
    with suppress(TooSlow):
        newer, older = neighbours(project.pk, state.wanted, state.sort, row)
    cost_before, cost_word = COSTS[row.cost.state]
    listing = reverse("trace_list", args=[project.slug])
    return {
        "title": row.preview_in or row.name or "(no name)",
        "is_quote": bool(row.preview_in),
        "list_href": listing + suffix,
        "list_base": listing,
        "compare_href": reverse("trace_compare", args=[project.slug]) + query_string([("a", row.hex_id)]),
        "copy_href": reverse("trace_copy", args=[project.slug, row.hex_id]),
        "newer": f"{base}{newer.hex_id}/{suffix}" if newer else "",
        "older": f"{base}{older.hex_id}/{suffix}" if older else "",
        "cost_before": cost_before,
        "cost_word": cost_word,
        "cost_note": cost_note(row),
        "cached_share": row.cached_tokens / row.tokens_in if row.tokens_in and row.cached_tokens else None,
        "facts": _links(row, listing),
        "models": ", ".join(row.models[:3]) + (f" and {len(row.models) - 3} more" if len(row.models) > 3 else "")
        or "no model named",
        "began": f"{began:%a} {began.day} {began:%b} {began.year}, {began:%H:%M:%S} {began.tzname() or zone}",
    }


def _links(row: TraceRow, listing: str) -> list[tuple[str, str, str]]:
    """What the trace belongs to, each a link: (word, value, address)."""
    values = (
        ("", "feature", row.feature),
        ("prompt", "prompt", row.prompt_name),
        ("version", "prompt_version", row.prompt_version),
        ("user", "user", row.user_id),
        ("session", "session", row.session_id),
        ("release", "release", row.release),
        ("in", "environment", row.environment),
        ("from", "service", row.service),
    )
    return [(word, value, _page_of(row, listing, key, value)) for word, key, value in values if value]


def _page_of(row: TraceRow, listing: str, key: str, value: str) -> str:
    """Where a fact leads: a session and a user to their pages, others to the traces that share them."""
    if key == "session":
        return f"{listing.removesuffix('traces/')}sessions/{write_id(value)}/?trace={row.hex_id}#t-{row.hex_id[:8]}"
    if key == "user":
        return f"{listing.removesuffix('traces/')}users/{write_id(value)}/"
    return listing + query_string([(key, value)])


def cost_note(row: TraceRow) -> str:
    """What stands below the cost: what is missing in it, and the senders' own figure."""
    cost = row.cost
    parts = [
        f"{n:,} span{'' if n == 1 else 's'} {word}"
        for n, word in (
            (cost.unpriced, "unpriced"),
            (cost.partial, "only partly priced"),
            (cost.unknown_usage, "without token counts"),
            (cost.upper_bound, "with cache counts unknown"),
        )
        if n
    ]
    if row.duplicate_count:
        n = row.duplicate_count
        parts.append(f"{n:,} span{'' if n == 1 else 's'} told again, counted once")
    if not parts and cost.is_known:
        n = cost.priced
        parts.append(f"{n:,} priced span{'' if n == 1 else 's'}")
    return ", ".join(parts)


def _views(query: QueryDict, keep: list[Pair]) -> list[tuple[str, str, bool]]:
    is_chat = query.get("view") == "chat"
    asked = query.get("span", "")
    span: list[Pair] = [("span", asked)] if asked else []
    return [
        ("Waterfall", query_string([*span, *keep]), not is_chat),
        ("Chat", query_string([("view", "chat"), *span, *keep]), is_chat),
    ]


def _signals_href(project: Project, row: TraceRow) -> str:
    return f"/p/{project.slug}/signals/all/{query_string([('trace', row.hex_id), ('t', 'all')])}"


def _trace_base(project: Project) -> str:
    return reverse("trace_list", args=[project.slug])


def _raw(project: Project, row: TraceRow, query: QueryDict) -> HttpResponse:
    """One span as a file of JSON; never shown by the browser itself."""
    span_id = span_id_of(query.get("span", ""))
    detail = get_span(project.pk, row, span_id) if span_id is not None else None
    if detail is None:
        raise Http404
    response = HttpResponse(raw_json(detail), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="span-{hex_span_id(detail.span.span_id)}.json"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _varies(response: HttpResponse) -> HttpResponse:
    """The same address answers a page or a part of it."""
    response["Vary"] = "HX-Request, HX-Target, Cookie"
    return response
