"""The list of all signals: filters, facets and one page of rows, all of it from the address; or all rows as a file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import escape
from django.views.decorators.http import require_http_methods

from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.access import project_page
from telltale.projects.models import Project
from traces.forms import ListKind, ListState, Pair, added_term, query_string, read_list, with_term
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages.lists import Page, count_words, frame, headings, place_words, rows_html, ways_out
from traces.pages.signal_columns import COLUMNS, NAMES, record
from traces.read import Ask, Count, Facet, FilterError, TooSlow, TraceFilter
from traces.read.signal_list import (
    DEFAULT_SORT,
    SIGNAL_FIELDS,
    SIGNAL_SORTS,
    SignalPage,
    count_each_signals,
    each_signal,
    list_with_facets,
)

SIGNALS = ListKind("signals", SIGNAL_FIELDS, tuple(SIGNAL_SORTS), DEFAULT_SORT)
SORT_WORDS = {"happened_at": ("Newest first", "Oldest first")}
FACET_KEYS = frozenset({"kind", "source", "bound", "feature"})


@require_http_methods(["GET", "HEAD"])
@project_page()
def signal_list(request: HttpRequest, project: Project) -> HttpResponseBase:
    """One page of the project's signals, or all of them as CSV or NDJSON."""
    zone, now = clock.zone_of(project.time_zone), clock.now()
    state = read_list(request.GET, zone, now, SIGNALS)
    added = added_term(request.GET, SIGNALS)
    if added is not None and not isinstance(added, FilterError):
        return HttpResponseRedirect(request.path + with_term(state, added).address())
    errors = [*state.errors, *([added] if added else [])]
    context: dict[str, Any] = {"project": project, "errors": errors, **frame(state, zone, now, SIGNAL_FIELDS)}
    context["facet_hidden"] = _kept(state, FACET_KEYS)
    try:
        if request.GET.get("format") in FORMATS:
            kind, is_head = request.GET["format"], request.method == "HEAD"
            return export_signals(project, state.wanted, state.sort, kind, is_head=is_head)
        try:
            ask = Ask(before=state.before, after=state.after)
            page, facets, n = list_with_facets(project.pk, state.wanted, state.sort, ask)
        except FilterError as error:
            errors.append(error)
            page, facets, n = list_with_facets(project.pk, state.wanted, state.sort, Ask())
        context |= _answer(project, state, page, facets, n, zone) if page.rows else _nothing(project, state)
    except TooSlow:
        return render(request, "traces/signals.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    return render(request, "traces/signals.html", context)


def export_signals(
    project: Project, wanted: TraceFilter, sort: str, kind: str, *, is_head: bool = False
) -> HttpResponseBase:
    """All signals of a list as a download."""
    rows = iter(()) if is_head else each_signal(project.pk, wanted, sort)
    return download(f"{project.slug}-signals", kind, NAMES, (record(row) for row in rows), is_head=is_head)


def _kept(state: ListState, without: Collection[str]) -> list[Pair]:
    return [pair for pair in state.pairs() if pair[0] not in without]


def _answer(
    project: Project, state: ListState, page: SignalPage, facets: tuple[Facet, ...], n: int, zone: ZoneInfo
) -> dict[str, Any]:
    is_descending = page.sort.startswith("-")
    base = reverse("session_list", args=[project.slug]).removesuffix("sessions/")
    suffix = escape(query_string(state.pairs())) if state.pairs() else ""
    return {
        "page": page,
        "rows": rows_html(page.rows, COLUMNS, Page(base, suffix, zone, clock.now())),
        "headings": headings(COLUMNS, state),
        "facets": [_facet(facet, state) for facet in facets if facet.values],
        "facets_n": n,
        "facets_whole": all(facet.is_whole for facet in facets),
        "sort_words": SORT_WORDS["happened_at"][0 if is_descending else 1],
        "count_words": count_words(page.count) if page.count else "",
        "place": place_words(page.first, len(page.rows), page.count),
        "newer": query_string([*state.pairs(), ("after", page.newer)]) if page.newer else "",
        "older": query_string([*state.pairs(), ("before", page.older)]) if page.older else "",
    }


def _facet(facet: Facet, state: ListState) -> dict[str, Any]:
    """A facet with its boxes: (value, word, n in words, is chosen)."""
    known = SIGNAL_FIELDS[facet.field]
    words = {value: word for value, word, _ in known.choices}
    picked = state.wanted.values(facet.field)
    least = "" if facet.is_whole else "+"
    values = [
        (v.value, words.get(v.value, v.value), fmt.count(v.n, short=True) + least, v.value in picked)
        for v in facet.values
    ]
    return {"field": facet.field, "label": known.label, "values": values, "more": facet.more}


def _nothing(project: Project, state: ListState) -> dict[str, Any]:
    """A list of nothing: because nobody told anything yet, or because nothing matches."""
    if not _count_each(project, [replace(state, wanted=TraceFilter())])[0].n:
        return {"has_none": True}
    return {"ways": ways_out(state, lambda states: _count_each(project, states))}


def _count_each(project: Project, states: list[ListState]) -> list[Count]:
    return count_each_signals(project.pk, [state.wanted for state in states])
