"""The list of traces: filters, facets, a histogram and one page of rows, all of it from the address."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import escape
from django.views.decorators.http import require_http_methods

from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.access import may, project_page
from telltale.projects.models import Project
from traces.extras import actions_of_list, columns_of, find_column
from traces.forms import EVERYTHING, TRACES, ListState, Pair, added_term, query_string, read_list, window_of, with_term
from traces.own_calls import without_calls
from traces.pages.columns import COLUMNS, Page, chosen, rows_html
from traces.pages.export import FORMATS, Busy, busy_response, export_traces
from traces.pages.found import matches_html, search_notes
from traces.pages.histogram import draw
from traces.pages.lists import OPS, Heading, count_words, place_words, ways_out
from traces.read import (
    FIELDS,
    Ask,
    Count,
    Facet,
    Facets,
    FilterError,
    TooSlow,
    TracePage,
    TraceRow,
    finding,
    list_with_facets,
    resolve_id,
)
from traces.read.filters import META, ops_of
from traces.read.listing import count_each
from traces.read.notes import read_marks
from traces.saved_views import NAME_MAX, View, asker_of, default_of, list_views

SORT_WORDS = {
    "started_at": ("Newest first", "Oldest first"),
    "duration": ("Slowest first", "Fastest first"),
    "cost": ("Most expensive first", "Cheapest first, unknown cost on top"),
    "tokens": ("Most tokens first", "Fewest tokens first"),
    "errors": ("Most errors first", "Fewest errors first"),
}
EVERYTHING_ADDRESS = query_string([EVERYTHING])


@dataclass(frozen=True, slots=True)
class FacetView:
    """A facet with its checkboxes: (value, word, n in words, is chosen)."""

    field: str
    label: str
    values: tuple[tuple[str, str, str, bool], ...]
    more: bool


@cache
def form_fields() -> tuple[tuple[str, tuple[Pair, ...]], ...]:
    """For the select: fields of the trace, of one call, of rooms above, what senders attach; numbers with units."""
    own = [f for f in FIELDS.values() if f.extra is None and not f.is_call]
    groups = (
        ("The trace", [(f.key, f.label) for f in own if f.shape not in {"number", "meta"}]),
        ("The trace, numbers", [(f.key, f"{f.label} ({f.unit})") for f in own if f.shape == "number"]),
        (
            "One call in it",
            [(f.key, f"{f.label} ({f.unit})" if f.unit else f.label) for f in FIELDS.values() if f.is_call],
        ),
        (
            "What was said of it",
            [
                (f.key, f"{f.label}, by its {f.extra.key_word}" if f.is_family else f.label)
                for f in FIELDS.values()
                if f.extra
            ],
        ),
        ("Metadata", [(META, "Metadata, by its key")]),
    )
    return tuple((group, tuple(members)) for group, members in groups if members)


@cache
def key_label() -> str:
    """What the form calls the key that some fields need."""
    extra = [f.label.lower() for f in FIELDS.values() if f.extra is not None and f.is_family]
    return " or name, for ".join(["Key, for metadata", *extra])


@require_http_methods(["GET", "HEAD"])
@project_page()
def trace_list(request: HttpRequest, project: Project) -> HttpResponseBase:
    """One page of the project's traces, or all of them as CSV or NDJSON."""
    zone, now = clock.zone_of(project.time_zone), clock.now()
    views = list_views(project, asker_of(project, cast(User, request.user)))
    opening = default_of(views)
    if not request.META.get("QUERY_STRING") and opening is not None and opening.query:
        return HttpResponseRedirect(f"{request.path}?{opening.query}")
    state = read_list(request.GET, zone, now)
    added = added_term(request.GET)
    if added is not None and not isinstance(added, FilterError):
        return HttpResponseRedirect(request.path + with_term(state, added).address())
    state = replace(state, wanted=without_calls(project.pk, state.wanted, is_shown=state.shows_judging))
    errors = [*state.errors, *([added] if added else [])]
    context: dict[str, Any] = frame(project, state, zone, now) | {"errors": errors} | view_menu(project, views, state)
    context["actions"] = [(action, action.href + state.address()) for action in actions_of_list(request, project)]
    try:
        wanted = resolve_id(project.pk, state.wanted)
        wrong = finding.fault(wanted)
        if wrong is not None:
            errors.append(wrong)
            wanted = replace(wanted, q="")
        if request.GET.get("format") in FORMATS:
            is_head = request.method == "HEAD"
            kind = request.GET["format"]
            return export_traces(project, wanted, state.sort, kind, columns=state.columns, is_head=is_head)
        try:
            exactly = request.GET.get("count") == "exact"
            ask = Ask(before=state.before, after=state.after, exactly=exactly, is_window=state.is_window)
            found = list_with_facets(project.pk, wanted, state.sort, ask)
        except FilterError as error:
            errors.append(error)
            found = list_with_facets(project.pk, wanted, state.sort, Ask())
        context |= answer(project, replace(state, wanted=wanted), *found, zone)
        context["search_notes"] = search_notes(project, wanted, zone, now, found[0])
    except Busy:
        return busy_response()
    except TooSlow:
        return render(request, "traces/list.html", context | {"too_slow": True}, status=503)
    return render(request, "traces/list.html", context)


def frame(project: Project, state: ListState, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    """What the page shows whatever the answer is."""
    return {
        "project": project,
        "state": state,
        "window": window_of(state, zone, now),
        "chips": state.chips(),
        "q": state.wanted.q,
        "hidden": kept(state, {"q"}),
        "facet_hidden": kept(state, FACET_KEYS),
        "clear": state.without_filters(),
        "last_hour": replace(state, time=(("t", "1h"),)).address(),
        "fields": form_fields(),
        "key_label": key_label(),
        "ops": OPS,
        "columns": column_choices(project, state),
        "column_hidden": kept(state, {"columns"}),
        "zone_name": str(zone),
        "csv": state.address(("format", "csv")),
        "ndjson": state.address(("format", "ndjson")),
        "welcome": reverse("project_welcome", args=[project.slug]),
    }


def kept(state: ListState, without: Collection[str]) -> list[Pair]:
    """What a form keeps of the address beside its own fields; never nothing, which would open somebody's view."""
    return [pair for pair in state.pairs() if pair[0] not in without and pair != EVERYTHING] or [EVERYTHING]


def view_menu(project: Project, views: Sequence[View], state: ListState) -> dict[str, Any]:
    """The menu of saved views: each with its address, the one that this list is, and what would be saved."""
    here = urlencode([pair for pair in state.pairs() if pair != EVERYTHING])
    current = next((view for view in views if view.query == here), None)
    return {
        "views": [(view, f"?{view.query}" if view.query else EVERYTHING_ADDRESS) for view in views],
        "current_view": current,
        "view_query": here,
        "view_name_max": NAME_MAX,
        "may_share": may(project, "share"),
        "everything": EVERYTHING_ADDRESS,
    }


def column_choices(project: Project, state: ListState) -> list[tuple[str, str, bool, bool]]:
    """The columns to choose from: (key, label, is shown, is always shown)."""
    shown = {column.key: column.label for column in chosen(state.columns)}
    choices = {column.key: column.label for column in COLUMNS.values()}
    choices |= {column.key: column.label for column in columns_of(project)} | shown
    return [(key, label, key in shown, key == TRACES.always) for key, label in choices.items()]


def extra_cells(project: Project, columns: Iterable[str], rows: Sequence[TraceRow]) -> dict[str, Mapping[UUID, str]]:
    """The insides of the cells of columns that rooms above bring, one query a column."""
    ids = [row.trace_id for row in rows]
    extra = (column for key in columns if key not in COLUMNS and (column := find_column(key)) is not None)
    return {column.key: column.read(project, ids) for column in extra}


def answer(
    project: Project, state: ListState, page: TracePage, facets: Facets | None, zone: ZoneInfo
) -> dict[str, Any]:
    """What the page shows of the traces found."""
    if facets is None:
        is_new = project.first_span_at is None
        try:
            ways = [] if is_new else ways_out(state, partial(_count_each, project))
        except TooSlow:
            ways = None
        return {"page": page, "is_new": is_new, "ways": ways, "found_by_id": False}
    base = reverse("trace_page", args=[project.slug, "0" * 32]).removesuffix("0" * 32 + "/")
    suffix = query_string(state.pairs()) if state.pairs() else ""
    return {
        "page": page,
        "rows": rows_html(
            page.rows,
            chosen(state.columns),
            Page(
                base,
                escape(suffix),
                zone,
                clock.now(),
                matches_html(project, state.wanted, page.rows),
                read_marks(project.pk, [row.trace_id for row in page.rows]) if "notes" in state.columns else {},
                extra_cells(project, state.columns, page.rows),
            ),
        ),
        "compare": reverse("trace_compare", args=[project.slug]) if "pick" in state.columns else "",
        "headings": headings(state),
        "facets": facet_views(facets, state),
        "facets_n": facets.n,
        "facets_whole": facets.is_whole,
        "chart": draw(facets.histogram, zone) if facets.histogram else None,
        "sort_words": sort_words(page.sort),
        "place": place_words(page.first, len(page.rows), page.count),
        "count_words": count_words(page.count) if page.count else "",
        "exact": "" if page.count is None or page.count.is_exact else state.address(("count", "exact")),
        "last": page.first + len(page.rows) - 1,
        "newer": query_string([*state.pairs(), ("after", page.newer)]) if page.newer else "",
        "older": query_string([*state.pairs(), ("before", page.older)]) if page.older else "",
        "found_by_id": state.wanted.trace_ids is not None,
    }


def headings(state: ListState) -> list[Heading]:
    """The columns, each with the address that sorts by it: the largest first, then the other way."""
    shown = []
    for column in chosen(state.columns):
        key = column.sort
        sort = key if state.sort == f"-{key}" else f"-{key}"
        href = replace(state, sort=sort, before="", after="").address() if key else ""
        shown.append(Heading(key, column.label, column.is_number, href, f"-{key}", column.width))
    return shown


FACET_KEYS = {
    "status", "feature", "model", "prompt_version", "environment", "service", "error_type", "cost_status", "signal",
}  # fmt: skip


def facet_views(facets: Facets, state: ListState) -> list[FacetView]:
    """The facets that have something to choose from."""
    return [_facet_view(facet, state) for facet in facets.facets if facet.values]


def _facet_view(facet: Facet, state: ListState) -> FacetView:
    known = FIELDS[facet.field]
    words = {value: word for value, word, _ in known.choices}
    picked = state.wanted.values(facet.field)
    least = "" if facet.is_whole else "+"
    values = tuple(
        (v.value, words.get(v.value, v.value), fmt.count(v.n, short=True) + least, v.value in picked)
        for v in facet.values
    )
    return FacetView(facet.field, known.label, values, facet.more)


def sort_words(sort: str) -> str:
    """The order of the list in words."""
    key = sort.removeprefix("-")
    return SORT_WORDS[key][0 if sort.startswith("-") else 1]


def _count_each(project: Project, states: list[ListState]) -> list[Count]:
    return count_each(project.pk, [state.wanted for state in states])


assert {key for key, _ in OPS} >= {op for field in FIELDS.values() for op in ops_of(field)}  # noqa: S101
