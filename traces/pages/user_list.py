"""The list of users: who used and cost most, over whole days; or all of them as a file."""

from __future__ import annotations

from datetime import timedelta
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
from traces.forms import ListKind, ListState, added_term, query_string, read_list, with_term
from traces.pages.addresses import write_id
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages.lists import (
    Column,
    Page,
    cost_cell,
    count_cell,
    count_words,
    errors_cell,
    frame,
    headings,
    place_words,
    rows_html,
    text,
    tokens_cell,
    ways_out,
    when,
)
from traces.read import Ask, Count, FilterError, TooSlow, TraceFilter
from traces.read.rollups import reading, requests
from traces.read.users import (
    DEFAULT_SORT,
    USER_FIELDS,
    USER_SORTS,
    Days,
    UserPage,
    UserRow,
    each_user,
    list_users,
)
from traces.rollup.buckets import Calendar, calendar_of

USERS = ListKind("users", USER_FIELDS, tuple(USER_SORTS), DEFAULT_SORT)
SORT_WORDS = {
    "cost": ("Most expensive first", "Cheapest first"),
    "requests": ("Most requests first", "Fewest requests first"),
    "errors": ("Most requests with errors first", "Fewest requests with errors first"),
    "tokens": ("Most tokens first", "Fewest tokens first"),
    "last_at": ("Last seen first", "Longest away first"),
}


def _user(row: UserRow, page: Page) -> str:
    href = f"{page.base}{escape(write_id(row.user_id))}/{page.suffix}"
    return f'<td class="clip"><a class="rowlink clip2" dir="auto" data-item href="{href}">{text(row.user_id)}</a></td>'


def _seen(row: UserRow, page: Page) -> str:
    shown = when(row.last_at, page) if row.last_at is not None else '<span class="mut">traces gone</span>'
    return f'<td class="nowrap" data-l="Last seen">{shown}</td>'


def _first(row: UserRow, page: Page) -> str:
    shown = when(row.first_at, page) if row.first_at is not None else '<span class="mut">traces gone</span>'
    return f'<td class="nowrap" data-l="First seen">{shown}</td>'


COLUMNS: tuple[Column[UserRow], ...] = (
    Column("user", "User", "", "w-said", _user),
    Column("first", "First seen", "", "w-time", _first),
    Column("last", "Last seen", "last_at", "w-time", _seen),
    Column(
        "requests", "Requests", "requests", "w-num", lambda row, page: count_cell("Requests", row.sums.requests),
        is_number=True,
    ),
    Column("errors", "Errors", "errors", "w-num", lambda row, page: errors_cell(row.sums.errors), is_number=True),
    Column(
        "tokens", "Tokens", "tokens", "w-num",
        lambda row, page: tokens_cell(
            row.sums.input_tokens if row.sums.has_tokens else None, row.sums.output_tokens, "none told"
        ),
        is_number=True,
    ),
    Column("cost", "Cost", "cost", "w-wide", lambda row, page: cost_cell(row.sums.cost), is_number=True),
)  # fmt: skip


NAMES = (
    "user_id", "first_at", "last_at", "requests", "requests_with_errors", "input_tokens", "cached_tokens",
    "output_tokens", "cost_usd", "cost_state", "unpriced_spans",
)  # fmt: skip


def record(row: UserRow) -> dict[str, Any]:
    """A user as an export has it: flat, unknown as None, money exact."""
    sums, known = row.sums, row.sums.has_tokens
    return {
        "user_id": row.user_id,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "requests": sums.requests,
        "requests_with_errors": sums.errors,
        "input_tokens": sums.input_tokens if known else None,
        "cached_tokens": sums.cached_tokens if known else None,
        "output_tokens": sums.output_tokens if known else None,
        "cost_usd": sums.cost.usd,
        "cost_state": sums.cost.state.value,
        "unpriced_spans": sums.unpriced_count,
    }


@require_http_methods(["GET", "HEAD"])
@project_page()
def user_list(request: HttpRequest, project: Project) -> HttpResponseBase:
    """One page of the project's users, or all of them as CSV or NDJSON."""
    zone, now, calendar = clock.zone_of(project.time_zone), clock.now(), calendar_of(project.time_zone)
    state = read_list(request.GET, zone, now, USERS)
    added = added_term(request.GET, USERS)
    if added is not None and not isinstance(added, FilterError):
        return HttpResponseRedirect(request.path + with_term(state, added).address())
    errors = [*state.errors, *([added] if added else [])]
    context: dict[str, Any] = {"project": project, "errors": errors, **frame(state, zone, now, USER_FIELDS)}
    try:
        if (kind := request.GET.get("format", "")) in FORMATS:
            return export_users(project, state.wanted, state.sort, kind, request.method == "HEAD")
        try:
            ask = Ask(before=state.before, after=state.after)
            page = list_users(project.pk, calendar, state.wanted, state.sort, ask)
        except FilterError as error:
            errors.append(error)
            page = list_users(project.pk, calendar, state.wanted, state.sort)
        context |= _answer(project, state, page, zone) if page.rows else _nothing(project, state, calendar)
    except TooSlow:
        return render(request, "traces/users.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    return render(request, "traces/users.html", context)


def export_users(
    project: Project, wanted: TraceFilter, sort: str, kind: str, is_head: bool = False
) -> HttpResponseBase:
    """All users of a list as a download."""
    rows = iter(()) if is_head else each_user(project.pk, calendar_of(project.time_zone), wanted, sort)
    return download(f"{project.slug}-users", kind, NAMES, (record(row) for row in rows), is_head=is_head)


def day_words(days: Days, zone: ZoneInfo) -> str:
    """ "Thu 12 Nov 2026 to Thu 19 Nov 2026", or one day."""
    first, last = fmt.day(days.start, zone), fmt.day(days.end - timedelta(minutes=1), zone)
    return first if first == last else f"{first} to {last}"


def _answer(project: Project, state: ListState, page: UserPage, zone: ZoneInfo) -> dict[str, Any]:
    suffix = query_string(state.time) if state.time else ""
    base = reverse("user_list", args=[project.slug])
    key, is_descending = page.sort.removeprefix("-"), page.sort.startswith("-")
    with reading(project.pk, project.time_zone) as rollups:
        total = rollups.ask(requests(), page.days.start, page.days.end, want=("counts",)).total.n
    return {
        "page": page,
        "rows": rows_html(page.rows, COLUMNS, Page(base, escape(suffix), zone, clock.now())),
        "headings": headings(COLUMNS, state),
        "sort_words": SORT_WORDS[key][0 if is_descending else 1],
        "days": day_words(page.days, zone),
        "count_words": count_words(page.count),
        "place": place_words(page.first, len(page.rows), page.count),
        "newer": query_string([*state.pairs(), ("after", page.newer)]) if page.newer else "",
        "older": query_string([*state.pairs(), ("before", page.older)]) if page.older else "",
        "total": total,
        "unnamed_share": (total - page.named) / total if total > page.named and not state.wanted.q else None,
    }


def _nothing(project: Project, state: ListState, calendar: Calendar) -> dict[str, Any]:
    """A list of nothing: because no trace names a user, or because nothing matches."""
    if not list_users(project.pk, calendar, TraceFilter(), ask=Ask(limit=1)).rows:
        welcome = reverse("project_welcome", args=[project.slug])
        return {"has_none": True, "is_new": project.first_span_at is None, "welcome": welcome}

    def count_each(states: list[ListState]) -> list[Count]:
        return [list_users(project.pk, calendar, one.wanted, ask=Ask(limit=1)).count for one in states]

    return {"ways": ways_out(state, count_each)}
