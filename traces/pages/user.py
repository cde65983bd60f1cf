"""The page of one user: what they used and cost by day, their sessions, traces and errors."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import escape
from django.views.decorators.http import require_http_methods

from telltale.lib import charts, clock
from telltale.lib import format as fmt
from telltale.projects.access import project_page
from telltale.projects.models import Project
from traces.forms import ListState, query_string, read_list, window_of
from traces.pages import columns as trace_columns
from traces.pages.addresses import read_ids, write_id
from traces.pages.lists import Page, headings, rows_html
from traces.pages.session_columns import COLUMNS as SESSION_COLUMNS
from traces.pages.session_list import SESSIONS
from traces.pages.session_tally import view_tally
from traces.pages.signal_columns import COLUMNS as ALL_SIGNAL_COLUMNS
from traces.pages.user_list import USERS, day_words
from traces.pages.words import COSTS
from traces.read import Ask, Term, TooSlow, TraceFilter
from traces.read.asking import asking
from traces.read.listing import DEFAULT_SORT, page_of_traces
from traces.read.session_did import read_did, tally_sessions
from traces.read.sessions import page_of_sessions
from traces.read.signals import signals_of_user
from traces.read.users import UserDay, UserDetail, UserSums, read_user
from traces.rollup.buckets import calendar_of

SHOWN = 10
SIGNALS_SHOWN = 10
# The user's own page need not name the user on each line.
SIGNAL_COLUMNS = tuple(column for column in ALL_SIGNAL_COLUMNS if column.key != "user")
LABELS_MAX = 10


@require_http_methods(["GET", "HEAD"])
@project_page()
def user_page(request: HttpRequest, project: Project, user: str) -> HttpResponse:
    """One user over a window of whole days."""
    zone, now = clock.zone_of(project.time_zone), clock.now()
    state = read_list(request.GET, zone, now, USERS)
    try:
        for user_id in read_ids(user):
            context = _context(project, user_id, state, zone, now)
            if context is not None:
                break
        else:
            raise Http404
    except TooSlow:
        return render(request, "traces/user_slow.html", {"project": project}, status=503)
    if write_id(user_id) != user:
        query = request.META.get("QUERY_STRING", "")
        address = reverse("user_page", args=[project.slug, write_id(user_id)])
        return HttpResponseRedirect(f"{address}?{query}" if query else address)
    return render(request, "traces/user.html", context)


def _context(project: Project, user_id: str, state: ListState, zone: ZoneInfo, now: datetime) -> dict[str, Any] | None:
    calendar = calendar_of(project.time_zone)
    window = state.wanted
    with asking() as cursor:
        found = read_user(cursor, project.pk, calendar, user_id, window.start, window.end or now)
        if found is None:
            return None
        of_user = (Term("user", "is", (user_id,)),)
        wanted = TraceFilter(found.days.start, found.days.end, terms=of_user)
        failed = TraceFilter(found.days.start, found.days.end, terms=(*of_user, Term("status", "is", ("error",))))
        ask = Ask(limit=SHOWN, count=False)
        sessions = page_of_sessions(cursor, project.pk, wanted, "-started_at", ask)
        traces = page_of_traces(cursor, project.pk, wanted, DEFAULT_SORT, ask)
        errors = page_of_traces(cursor, project.pk, failed, DEFAULT_SORT, ask)
        did = read_did(cursor, project.pk, [row.key for row in sessions.rows])
        tally = tally_sessions(cursor, project.pk, wanted)
    signals = signals_of_user(project.pk, user_id, SIGNALS_SHOWN + 1)
    time = [("from", fmt.iso(found.days.start)), ("to", fmt.iso(found.days.end))]
    listing, session_base = reverse("trace_list", args=[project.slug]), reverse("session_list", args=[project.slug])
    pairs = [*time, ("user", user_id)]
    suffix = escape(query_string(pairs))
    chosen = trace_columns.chosen(())
    trace_page = trace_columns.Page(listing, suffix, zone, now)
    return {
        "project": project,
        "user_id": user_id,
        "found": found,
        "errors": state.errors,
        "window": window_of(state, zone, now),
        "days": day_words(found.days, zone),
        "zone_name": str(zone),
        "list_href": reverse("user_list", args=[project.slug]) + (query_string(state.time) if state.time else ""),
        "stats": stats(found.total),
        "figure": figure(found, zone, listing, user_id),
        "session_rows": rows_html(sessions.rows, SESSION_COLUMNS, Page(session_base, suffix, zone, now, did)),
        "tally": view_tally(tally, _sessions_of(state, user_id, time)),
        "session_base": session_base,
        "signal_rows": rows_html(
            signals[:SIGNALS_SHOWN], SIGNAL_COLUMNS, Page(f"/p/{project.slug}/", "", zone, now)
        ),
        "signal_headings": [(column.label, column.is_number, column.width) for column in SIGNAL_COLUMNS],
        "signals_href": f"/p/{project.slug}/signals/all/{query_string([('t', 'all'), ('author', user_id)])}",
        "signals_more": len(signals) > SIGNALS_SHOWN,
        "session_headings": headings(SESSION_COLUMNS, ListState(wanted, "", "", "", (), (), kind=SESSIONS)),
        "sessions_href": session_base + query_string(pairs),
        "trace_rows": trace_columns.rows_html(traces.rows, chosen, trace_page),
        "error_rows": trace_columns.rows_html(errors.rows, chosen, trace_page),
        "trace_headings": [(column.label, column.is_number, column.width) for column in chosen],
        "traces_href": listing + query_string(pairs),
        "errors_href": listing + query_string([*pairs, ("status", "error")]),
        "errors_more": errors.older is not None,
    }


def _sessions_of(state: ListState, user_id: str, time: list[tuple[str, str]]) -> ListState:
    """The list of the user's sessions that the groups above lead to."""
    wanted = TraceFilter(state.wanted.start, state.wanted.end, terms=(Term("user", "is", (user_id,)),))
    return ListState(wanted, SESSIONS.default_sort, "", "", tuple(time), (), kind=SESSIONS)


def stats(total: UserSums) -> list[tuple[str, str, str]]:
    """The figures of the head: (label, figure, note)."""
    before, word = COSTS[total.cost.state]
    usd = total.cost.usd
    a_request = "" if usd is None or not total.requests else f"{fmt.cost(usd / total.requests)} a request"
    unpriced = total.unpriced_count
    notes = [a_request, f"{unpriced:,} span{'' if unpriced == 1 else 's'} unpriced" if unpriced else ""]
    cached = total.cached_tokens / total.input_tokens if total.input_tokens and total.cached_tokens else None
    error_share = fmt.share(total.errors / total.requests) if total.errors else ""
    tokens = (
        f"{fmt.count(total.input_tokens)} in, {fmt.count(total.output_tokens)} out" if total.has_tokens else "unknown"
    )
    return [
        ("Requests", fmt.count(total.requests), ""),
        ("Cost", word if usd is None else f"{before}{fmt.cost(usd)}", "; ".join(note for note in notes if note)),
        (
            "Requests with errors",
            fmt.count(total.errors) if total.errors else "none",
            error_share,
        ),
        ("Tokens", tokens, f"{fmt.share(cached)} of input cached" if cached else ""),
    ]


def figure(found: UserDetail, zone: ZoneInfo, listing: str, user_id: str) -> charts.Figure | None:
    """Cost by day as bars; None where nothing has a price."""
    points = found.points
    if not any(point.sums.cost_pico for point in points):
        return None
    unit = "month" if found.is_by_month else "day"
    hrefs = [_href(point, listing, user_id) for point in points]
    costs = [None if point.sums.cost.usd is None else float(point.sums.cost.usd) for point in points]
    spots = [(href, f"{_label(p, zone, found.is_by_month)}: {_cost(p)}") for p, href in zip(points, hrefs, strict=True)]
    shown = charts.spread(len(points), LABELS_MAX)
    labels = [_label(point, zone, found.is_by_month) if at in shown else "" for at, point in enumerate(points)]
    picture = charts.bar_picture([charts.Stack("cost", costs, "f1")], labels, charts.USD, spots=spots)
    dearest = max(points, key=lambda point: point.sums.cost_pico)
    finding = f"At most {_cost(dearest)} a {unit}, {_label(dearest, zone, found.is_by_month)}"
    rows = tuple(
        charts.Row(
            (
                _label(p, zone, found.is_by_month), _cost(p), fmt.count(p.sums.requests), fmt.count(p.sums.errors),
            ),
            href if p.sums.requests else "",
        )
        for p, href in zip(points, hrefs, strict=True)
    )  # fmt: skip
    note = f"Cost by {unit} in {zone}."
    head = (unit.capitalize(), "Cost", "Requests", "With errors")
    return charts.Figure(finding, note, f"{note} {finding}.", picture, head, rows)


def _cost(point: UserDay) -> str:
    before, word = COSTS[point.sums.cost.state]
    if not point.sums.requests:
        return "no requests"
    usd: Decimal | None = point.sums.cost.usd
    return word if usd is None else f"{before}{fmt.cost(usd)}"


def _label(point: UserDay, zone: ZoneInfo, is_by_month: bool) -> str:
    local = (point.start + timedelta(minutes=1)).astimezone(zone)
    return f"{local:%b %Y}" if is_by_month else f"{local.day} {local:%b}"


def _href(point: UserDay, listing: str, user_id: str) -> str:
    return listing + query_string([("from", fmt.iso(point.start)), ("to", fmt.iso(point.end)), ("user", user_id)])
