"""The list of sessions: filters, search and one page of rows, all of it from the address; or all rows as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import escape
from django.views.decorators.http import require_http_methods

from telltale.lib import clock
from telltale.projects.access import project_page
from telltale.projects.models import Project
from traces.forms import ListKind, ListState, added_term, query_string, read_list, with_term
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages.lists import Page, count_words, frame, headings, place_words, rows_html, ways_out
from traces.pages.session_columns import COLUMNS, NAMES, record
from traces.pages.session_tally import view_tally
from traces.read import Ask, Count, FilterError, TooSlow, TraceFilter
from traces.read.asking import asking
from traces.read.session_did import Did, Tally, did_of_sessions, read_did, tally_sessions
from traces.read.session_rows import SessionRow
from traces.read.sessions import (
    DEFAULT_SORT,
    SESSION_FIELDS,
    SESSION_SORTS,
    SessionPage,
    count_each_sessions,
    each_session,
    find_session_id,
    page_of_sessions,
)

SESSIONS = ListKind("sessions", SESSION_FIELDS, tuple(SESSION_SORTS), DEFAULT_SORT)
# Sessions of a file whose behaviour is read together.
CHUNK = 500
SORT_WORDS = {
    "started_at": ("Newest first", "Oldest first"),
    "last_at": ("Last active first", "Longest silent first"),
    "turns": ("Most turns first", "Fewest turns first"),
    "errors": ("Most turns with errors first", "Fewest turns with errors first"),
    "tokens": ("Most tokens first", "Fewest tokens first"),
    "cost": ("Most expensive first", "Cheapest first, unknown cost on top"),
    "length": ("Longest first", "Shortest first"),
}


@require_http_methods(["GET", "HEAD"])
@project_page()
def session_list(request: HttpRequest, project: Project) -> HttpResponseBase:
    """One page of the project's sessions, or all of them as CSV or NDJSON."""
    zone, now = clock.zone_of(project.time_zone), clock.now()
    state = read_list(request.GET, zone, now, SESSIONS)
    added = added_term(request.GET, SESSIONS)
    if added is not None and not isinstance(added, FilterError):
        return HttpResponseRedirect(request.path + with_term(state, added).address())
    errors = [*state.errors, *([added] if added else [])]
    context: dict[str, Any] = {"project": project, "errors": errors, **frame(state, zone, now, SESSION_FIELDS)}
    try:
        only = find_session_id(project.pk, state.wanted.q)
        if request.GET.get("format") in FORMATS:
            return export_sessions(
                project, state.wanted, state.sort, request.GET["format"], only, request.method == "HEAD"
            )
        try:
            ask = Ask(before=state.before, after=state.after)
            found = _read(project, state, ask, only)
        except FilterError as error:
            errors.append(error)
            found = _read(project, state, Ask(), only)
        context |= _answer(project, state, *found, zone) if found[0].rows else _nothing(project, state)
    except TooSlow:
        return render(request, "traces/sessions.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    return render(request, "traces/sessions.html", context)


def export_sessions(
    project: Project, wanted: TraceFilter, sort: str, kind: str, only: str | None = None, is_head: bool = False
) -> HttpResponseBase:
    """All sessions of a list as a download."""
    records = iter(()) if is_head else _records(project, each_session(project.pk, wanted, sort, only))
    return download(f"{project.slug}-sessions", kind, NAMES, records, is_head=is_head)


def _records(project: Project, rows: Iterator[SessionRow]) -> Iterator[dict[str, Any]]:
    while chunk := list(islice(rows, CHUNK)):
        did = did_of_sessions(project.pk, [row.key for row in chunk])
        yield from (record(row, did.get(row.key)) for row in chunk)


def _read(
    project: Project, state: ListState, ask: Ask, only: str | None
) -> tuple[SessionPage, dict[UUID, Did], Tally | None]:
    """A page of the list, what the users of its sessions did, and how many of all that match did what."""
    with asking() as cursor:
        page = page_of_sessions(cursor, project.pk, state.wanted, state.sort, ask, only)
        if not page.rows:
            return page, {}, None
        did = read_did(cursor, project.pk, [row.key for row in page.rows])
        return page, did, tally_sessions(cursor, project.pk, state.wanted) if only is None else None


def _answer(
    project: Project, state: ListState, page: SessionPage, did: dict[UUID, Did], tally: Tally | None, zone: ZoneInfo
) -> dict[str, Any]:
    suffix = query_string(state.pairs()) if state.pairs() else ""
    base = reverse("session_list", args=[project.slug])
    key, is_descending = page.sort.removeprefix("-"), page.sort.startswith("-")
    return {
        "page": page,
        "rows": rows_html(page.rows, COLUMNS, Page(base, escape(suffix), zone, clock.now(), did)),
        "tally": view_tally(tally, state) if tally is not None else None,
        "headings": headings(COLUMNS, state),
        "sort_words": SORT_WORDS[key][0 if is_descending else 1],
        "when_words": "last active" if key == "last_at" else "started",
        "count_words": count_words(page.count) if page.count else "",
        "place": place_words(page.first, len(page.rows), page.count),
        "newer": query_string([*state.pairs(), ("after", page.newer)]) if page.newer else "",
        "older": query_string([*state.pairs(), ("before", page.older)]) if page.older else "",
        "deeper": _in_traces(project, state),
    }


def _in_traces(project: Project, state: ListState) -> str:
    """Where every message is searched for what the list looks for in first questions and last answers; else empty."""
    if not state.wanted.q:
        return ""
    return reverse("trace_list", args=[project.slug]) + query_string([*state.time, ("q", state.wanted.q)])


def _nothing(project: Project, state: ListState) -> dict[str, Any]:
    """A list of nothing: because no trace names a session, or because nothing matches."""
    if not _count_each(project, [replace(state, wanted=TraceFilter())])[0].n:
        welcome = reverse("project_welcome", args=[project.slug])
        return {"has_none": True, "is_new": project.first_span_at is None, "welcome": welcome}
    return {"deeper": _in_traces(project, state), "ways": ways_out(state, lambda states: _count_each(project, states))}


def _count_each(project: Project, states: list[ListState]) -> list[Count]:
    return count_each_sessions(project.pk, [state.wanted for state in states], states[0].sort) if states else []
