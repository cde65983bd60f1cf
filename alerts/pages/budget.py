"""The alert budget of a project: the one knob, what it gives each monitor, and whether it came true."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts import monitoring
from alerts.pages import budget_view, expecting, monitor_list
from alerts.read.alarms import tallies
from alerts.read.monitors import get_budget
from alerts.read.shown import list_shown, read_definitions, read_fixed
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import query_string
from traces.read import TooSlow
from traces.read.asking import asking

NAMES = (
    "id", "name", "tier", "weight", "windows_a_week", "windows_until_false_alarm", "false_expected_a_week", "pages",
    "real", "false", "accepted", "unjudged", "muted_until", "on",
)  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def alert_budget(request: HttpRequest, project: Project) -> HttpResponseBase:
    """The budget and what comes of it; POST sets `pages_a_week`."""
    if request.method == "POST":
        return _set(request, project)
    return _shown(request, project)


def _set(request: HttpRequest, project: Project) -> HttpResponseBase:
    require(project, "measure")
    told = request.POST.get("pages_a_week", "").strip().replace(",", ".")[:40]
    try:
        value: Any = float(told)
    except ValueError:
        value = told
    try:
        monitoring.set_budget(
            project, {"pages_a_week": value}, by_id=cast(User, request.user).pk, request=request
        )  # fmt: skip
    except ItemRefused as refused:
        fault = refused.faults[0]
        return _shown(request, project, told, f"{fault.message.capitalize()}; it takes {fault.limit}.")
    messages.success(request, "The budget is set. Limits follow for windows from now on; what was decided stays.")
    return redirect("alert_budget", slug=project.slug)


def _shown(request: HttpRequest, project: Project, typed: str = "", wrong: str = "") -> HttpResponseBase:
    now, query = clock.now(), request.GET
    after = monitor_list.read_asked(query).after
    context: dict[str, Any] = {"project": project, "may_measure": may(project, "measure"), "weeks": budget_view.WEEKS}
    try:
        with asking():
            every = list_shown(project.pk)
            fired = tallies(project.pk, now - timedelta(weeks=budget_view.WEEKS), now)
            held = get_budget(project.pk)
    except TooSlow:
        return render(request, "alerts/budget.html", context | {"too_slow": True}, status=503)
    costly = budget_view.by_cost(every, now)
    if query.get("format") in FORMATS:
        records = (
            {
                "id": each.id, "name": each.name, "tier": "page" if each.is_paging else "notice",
                "weight": each.weight, "windows_a_week": each.updates_a_week,
                "windows_until_false_alarm": each.arl0 if expecting.takes_share(each) else None,
                "false_expected_a_week": None if each.is_muted(now) else expecting.a_week(each),
                "pages": told.pages, "real": told.real, "false": told.false, "accepted": told.accepted,
                "unjudged": told.unjudged, "muted_until": each.muted_until if each.is_muted(now) else None,
                "on": each.is_on,
            }
            for each in costly
            for told in [fired.get(each.id, budget_view.NOTHING)]
        )  # fmt: skip
        is_head = request.method == "HEAD"
        try:
            return download(f"{project.slug}-alert-budget", query["format"], NAMES, records, is_head=is_head)
        except Busy:
            return busy_response()
    page, at = monitor_list.page_of(costly, after)
    unbudgeted = [each for each in page if not expecting.takes_share(each)]
    definitions, fixed = read_definitions(project.pk, [each.id for each in unbudgeted]), read_fixed(unbudgeted)
    chances = {
        each.id: expecting.by_chance(definitions[each.id], fixed.get(each.id), each.updates_a_week)
        for each in unbudgeted
    }
    sharing = budget_view.active(every, now)
    expected = expecting.pages_a_week(sharing, now)
    past = expecting.pages_of(every, now - timedelta(weeks=budget_view.WEEKS), now)
    context |= {
        "budget": held,
        "pages": f"{held.pages_a_week:g}",
        "typed": typed or f"{held.pages_a_week:g}",
        "wrong": wrong,
        "is_any": bool(every),
        "sharing": len([each for each in sharing if each.is_paging]),
        "found": budget_view.found(fired, expected, past, budget_view.weeks_of(every, now)),
        "choices": budget_view.choices(sharing, held.pages_a_week),
        "marginal": budget_view.marginal(sharing, held.pages_a_week),
        "lines": [
            budget_view.line(each, fired.get(each.id, budget_view.NOTHING), now, chances.get(each.id)) for each in page
        ],
        "suggested": [
            line
            for line in (budget_view.line(each, fired[each.id], now) for each in costly if each.id in fired)
            if line.suggestion
        ][:10],
        "shown": f"{at + 1:,}–{at + len(page):,} of {len(costly):,}, the dearest first" if page else "",
        "older": query_string(query, after=str(page[-1].id)) if at + len(page) < len(costly) else "",
        "newer": query_string(query, after=None) if at else "",
        "csv": query_string(query, format="csv", after=None),
        "ndjson": query_string(query, format="ndjson", after=None),
        "base": reverse("monitors", args=[project.slug]),
    }
    return render(request, "alerts/budget.html", context, status=400 if wrong else 200)
