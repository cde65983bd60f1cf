"""The page of one session: its conversation in the order of its turns, with what each cost and how long it took."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db.backends.utils import CursorWrapper
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.access import project_page
from telltale.projects.models import Project
from traces.extras import parts_of_session
from traces.forms import ListState, query_string, read_list
from traces.pages.addresses import read_ids, write_id
from traces.pages.session_list import SESSIONS
from traces.pages.session_signals import BehaviourView, session_signals
from traces.pages.session_turns import anchor_of, view_turns
from traces.pages.words import COSTS
from traces.read import FilterError, TooSlow
from traces.read.asking import asking
from traces.read.session_rows import SessionRow
from traces.read.sessions import MEDIAN_SAMPLE, Medians, get_session, neighbours_of, read_medians
from traces.read.turns import TurnPage, cursor_at, list_turns, read_words, session_of

FACTS_MAX = 5
USERS_MAX = 8
# Of fewer sessions a median says nothing about what is usual.
MEDIANS_LEAST = 5


@dataclass(frozen=True, slots=True)
class Stat:
    """One figure of the head: what it is, the figure in words, what it is compared with, where it leads."""

    label: str
    value: str
    note: str
    unit: str = ""
    href: str = ""


@require_http_methods(["GET", "HEAD"])
@project_page()
def session_page(request: HttpRequest, project: Project, session: str) -> HttpResponse:
    """One session, a page of its turns at a time."""
    state = read_list(request.GET, clock.zone_of(project.time_zone), clock.now(), SESSIONS)
    try:
        with asking() as cursor:
            for session_id in read_ids(session):
                context = _context(cursor, request.GET, project, session_id, state)
                if context is not None:
                    break
            else:
                raise Http404
            if write_id(session_id) != session:
                query = request.META.get("QUERY_STRING", "")
                address = reverse("session_page", args=[project.slug, write_id(session_id)])
                return HttpResponseRedirect(f"{address}?{query}" if query else address)
    except TooSlow:
        return render(request, "traces/session_slow.html", {"project": project}, status=503)
    with suppress(TooSlow), asking() as cursor:
        # Neighbours and medians are a convenience: without them the page still answers what it was asked.
        context |= _around(cursor, project, context["session"], state)
    context["stats"] = stats(context["session"], context.get("medians"), context["trace_base"], context.get("did"))
    return render(request, "traces/session.html", context)


def _context(
    cursor: CursorWrapper, query: QueryDict, project: Project, session_id: str, state: ListState
) -> dict[str, Any] | None:
    """What the page shows of the session itself; None where the project has none of this id."""
    errors: list[FilterError] = []
    try:
        after, before = query.get("after", ""), query.get("before", "")
        page = list_turns(cursor, project.pk, session_id, after=after, before=before, last="last" in query)
        if query.get("trace") and page.later is not None:
            after = cursor_at(cursor, project.pk, session_id, query.get("trace", "")) or ""
            page = list_turns(cursor, project.pk, session_id, after=after)
    except FilterError as error:
        errors.append(error)
        page = list_turns(cursor, project.pk, session_id)
    kept = get_session(cursor, project.pk, session_id)
    if not page.turns and (after or before):
        page = list_turns(cursor, project.pk, session_id)
    row = session_of(session_id, page, kept)
    if row is None:
        return None
    words = read_words(cursor, project.pk, page.turns)
    zone = clock.zone_of(project.time_zone)
    listing, suffix = reverse("session_list", args=[project.slug]), query_string(state.pairs()) if state.pairs() else ""
    trace_base = reverse("trace_list", args=[project.slug])
    parts, notes = parts_of_session(project, session_id, [turn.trace.trace_id for turn in page.turns])
    numbered = enumerate(page.turns, page.first)
    places = {turn.trace.trace_id: (number, anchor_of(turn.trace)) for number, turn in numbered}
    users = session_signals(project, session_id, places)
    for trace_id, told in notes.items():
        users.notes[trace_id] = (*users.notes.get(trace_id, ()), *told)
    return {
        "project": project,
        "session": row,
        "parts": parts,
        "did": users.did,
        "signals": users.signals,
        "errors": errors,
        "title": row.preview_in or f"Session {session_id}",
        "is_quote": bool(row.preview_in),
        "turns": view_turns(page, words, zone, trace_base, row.user_count > 1, users.notes),
        "trace_base": trace_base,
        "traces_href": trace_base + query_string([("session", session_id), ("t", "all")]),
        "list_href": listing + suffix,
        "suffix": suffix,
        "facts": facts(project, row),
        "span": span_words(row, zone),
        "days": project.retention_days,
        "is_whole": page.is_whole,
        "is_summing": not page.is_whole and (kept is None or not kept.turns),
        "was": fmt.full_moment(row.last_started_at, zone) if row.last_started_at > clock.EPOCH else "",
        **_users(project, row, page),
        "first": page.first,
        "shown_to": page.first + len(page.turns) - 1,
        "start_href": _here(state),
        "earlier_href": _here(state, ("before", page.earlier)) if page.earlier else "",
        "later_href": _here(state, ("after", page.later)) if page.later else "",
        "last_href": _here(state, ("last", "1")),
    }


def _users(project: Project, row: SessionRow, page: TurnPage) -> dict[str, Any]:
    """Whose session it is, and where it is several people's, some of them."""
    here = sorted({turn.trace.user_id for turn in page.turns if turn.trace.user_id})[:USERS_MAX]
    return {
        "user_href": reverse("user_page", args=[project.slug, write_id(row.user_id)]) if row.user_id else "",
        "users_here": [(name, reverse("user_page", args=[project.slug, write_id(name)])) for name in here],
        "more_users": max(row.user_count - len(here), 0),
    }


def _around(cursor: CursorWrapper, project: Project, row: SessionRow, state: ListState) -> dict[str, Any]:
    """The sessions ahead and behind in the list that the address names, and what is usual."""
    base, suffix = reverse("session_list", args=[project.slug]), query_string(state.pairs()) if state.pairs() else ""
    if row.is_gone:
        return {}
    medians = read_medians(cursor, project.pk, clock.now())
    usual: dict[str, Any] = {}
    if medians.n >= MEDIANS_LEAST:
        newest = "the newest " if medians.n == MEDIAN_SAMPLE else "all "
        usual = {"medians": medians, "medians_of": f"{newest}{medians.n:,} sessions of the project"}
    ahead, behind = neighbours_of(cursor, project.pk, state.wanted, state.sort, row)
    return {
        **usual,
        "previous_href": f"{base}{write_id(ahead.session_id)}/{suffix}" if ahead else "",
        "next_href": f"{base}{write_id(behind.session_id)}/{suffix}" if behind else "",
    }


def stats(
    row: SessionRow, medians: Medians | None, trace_base: str, did: BehaviourView | None = None
) -> list[Stat]:
    """The figures of the head, each beside what is usual in the project; behind them what its users did."""
    before, word = COSTS[row.cost.state]
    m = medians
    usual_turns = f"median {m.turns:g}" if m is not None and m.turns is not None else ""
    usual_cost = f"median {fmt.cost(m.cost_usd)}" if m is not None and m.cost_usd is not None else ""
    usual_length = f"median {fmt.latency(m.length_ms, short=True)}" if m is not None and m.length_ms is not None else ""
    usual_worst = f"median {fmt.latency(m.worst_ms)}" if m is not None and m.worst_ms is not None else ""
    n = row.error_turns
    cached = row.cached_tokens / row.tokens_in if row.tokens_in and row.cached_tokens else None
    tokens = "none" if not row.generation_count else "unknown"
    if row.tokens_in is not None:
        tokens = f"{fmt.count(row.tokens_in)} in, {fmt.count(row.tokens_out)} out"
    failed = f"{row.failed_turns:,} failed as a whole" if row.failed_turns else "none failed as a whole"
    return [
        Stat("Turns", fmt.count(row.turns), usual_turns),
        Stat(
            "Cost", word if row.cost.usd is None else fmt.cost(row.cost.usd), _join(cost_note(row), usual_cost), before
        ),
        Stat("Length", fmt.latency(row.length_ms, short=True, missing="not ended"), usual_length),
        Stat(
            "Slowest turn",
            fmt.latency(row.worst_ms, missing="not ended"),
            usual_worst,
            href=f"{trace_base}{row.worst_trace_id.hex}/" if row.worst_trace_id else "",
        ),
        Stat("Turns with errors", fmt.count(n) if n else "none", failed if n else f"of {row.turns:,}"),
        Stat("Tokens", tokens, f"{fmt.share(cached)} of input cached" if cached else ""),
        *([Stat("What they did", did.word, did.note), Stat("Vote", did.vote, did.vote_note)] if did else []),
    ]


def cost_note(row: SessionRow) -> str:
    """What is missing in the cost, in words."""
    cost = row.cost
    parts = [
        f"{n:,} span{'' if n == 1 else 's'} {words}"
        for n, words in (
            (cost.unpriced, "unpriced"),
            (cost.partial, "only partly priced"),
            (cost.unknown_usage, "without token counts"),
            (cost.upper_bound, "with cache counts unknown"),
        )
        if n
    ]
    return ", ".join(parts)


def facts(project: Project, row: SessionRow) -> list[tuple[str, str, str]]:
    """Whom and what it belongs to, each a link to the sessions that share it: (word, value, address)."""
    listing = reverse("session_list", args=[project.slug])
    found = [("" if at else "feature", "feature", one) for at, one in enumerate(row.features[:FACTS_MAX])]
    found += [
        (word, key, value)
        for word, key, value in (
            ("in", "environment", row.environment),
            ("from", "service", row.service),
            ("release", "release", row.release),
        )
        if value
    ]
    return [(word, value, listing + query_string([(key, value)])) for word, key, value in found]


def span_words(row: SessionRow, zone: ZoneInfo) -> str:
    """ "Thu 19 Nov 2026, 10:40:18 to 10:44:51 UTC (4 min 33 s)"."""
    first = row.first_started_at.astimezone(zone)
    last = (row.ended_at or row.last_started_at).astimezone(zone)
    day = fmt.day(row.first_started_at, zone)
    until = f"{last:%H:%M:%S}" if last.date() == first.date() else f"{fmt.day(last, zone)}, {last:%H:%M:%S}"
    length = f" ({fmt.latency(row.length_ms, short=True)})" if row.length_ms is not None else ""
    return f"{day}, {first:%H:%M:%S} to {until} {first.tzname() or zone}{length}"


def _join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _here(state: ListState, *extra: tuple[str, str]) -> str:
    return query_string([*state.pairs(), *extra])
