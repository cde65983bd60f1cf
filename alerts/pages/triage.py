"""Triage of one incident: responses one by one, blind, by a key or a thumb; then what the verdicts come to.

Looking changes nothing. A verdict is one POST; the page's script sends it while the next response is on the screen
already, without it the same form leads to the next one.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from alerts import triaging
from alerts.incidents.types import NotThere, WrongState, ref_of
from alerts.pages import triage_view as view
from alerts.pages.alarm_view import number as number_of
from alerts.pages.incident_acts import me, said
from alerts.read.incidents import IncidentRow, get_incident
from alerts.read.triage import Deal, ItemRow, get_deal
from alerts.stats.triage import ENOUGH
from evals.read.material import load_material
from evals.read.review import next_words
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

GONE = "There is no such response in this deal."


@require_http_methods(["GET", "HEAD"])
@project_page()
def triage_page(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """One response (`at` its place, else the next for the person), or what all verdicts come to."""
    incident = find(project, number)
    found = get_deal(incident.id, incident.round, clock.now())
    may_work = may(project, "review") and incident.is_going
    address = reverse("incident_triage", args=[project.slug, number])
    context: dict[str, Any] = {
        "project": project,
        "incident": incident,
        "address": address,
        "incident_href": reverse("incident", args=[project.slug, number]) + "#triage",
        "may_work": may_work,
        "deal": found,
    }
    if found is None or not found.items:
        return render(request, "alerts/triage.html", context)
    person_id = me(request).pk
    asked = number_of(request.GET.get("at", ""))
    item = found.item(asked) if asked is not None else None
    if item is None and may_work:
        item = found.next_for(person_id, clock.now())
    mine = [each for each in found.items if each.verdict and each.user_id == person_id]
    last = max(mine, key=lambda each: (each.decided_at, each.position), default=None)
    context |= {
        "card": _card(project, found, item, person_id) if item is not None else None,
        "cells": view.strip(found, item.position if item else None, address),
        "options": view.OPTIONS,
        "last": last,
        "said_share": round(100 * found.said / len(found.items)),
        "enough": ENOUGH,
        **result_context(found, incident),
    }
    return render(request, "alerts/triage.html", context)


def result_context(found: Deal | None, incident: IncidentRow) -> dict[str, Any]:
    """What the verdicts come to, and the words of a decision; for this page and the incident's."""
    shown = found is not None and (found.is_open or found.said > 0)
    return {
        "result": view.result(found) if found is not None and shown else None,
        "concluded": view.concluded(incident.verdict),
    }


@require_http_methods(["GET", "HEAD"])
@project_page()
def triage_card(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """One response alone, for the script that has the next ones ready."""
    incident = find(project, number)
    found = get_deal(incident.id, incident.round, clock.now())
    at = number_of(request.GET.get("at", ""))
    item = found.item(at) if found is not None and at is not None else None
    if found is None or item is None:
        return redirect(reverse("incident_triage", args=[project.slug, number]))
    card = _card(project, found, item, me(request).pk)
    return render(request, "alerts/triage/_card.html", {"card": card, "project": project})


@require_POST
@project_page(Role.REVIEWER)
def triage_deal(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Deal responses, or more of them; then the first."""
    find(project, number)
    with said(request):
        found = triaging.deal(project, number, user=me(request), request=request)
        if found.lacking:
            messages.info(request, found.lacking)
        if found.items:
            triaging.hold(project, number, user=me(request))
    return redirect(reverse("incident_triage", args=[project.slug, number]))


@require_POST
@project_page(Role.REVIEWER)
def triage_hold(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Hold the next responses for whoever has the page open: JSON for its script."""
    try:
        return _told(triaging.hold(project, number, user=me(request)))
    except NotThere:
        raise Http404 from None
    except WrongState as wrong:
        return JsonResponse({"words": wrong.words}, status=409)


@require_POST
@project_page(Role.REVIEWER)
def triage_verdict(request: HttpRequest, project: Project, number: int) -> HttpResponseBase:
    """What somebody says of one response; JSON for the script, else on to the next."""
    find(project, number)
    position = number_of(request.POST.get("position", "")) or 0
    is_script = request.headers.get("Accept", "").startswith("application/json")
    note = request.POST.get("note")
    try:
        told = triaging.say(
            project, number, position, request.POST.get("verdict", ""), user=me(request), note=note or None
        )
    except NotThere:
        if is_script:
            return JsonResponse({"words": GONE}, status=404)
        messages.error(request, GONE)
    except triaging.TakenBy as taken:
        words = f"{taken.who} said of response {position} meanwhile: {taken.verdict}. That stays."
        if is_script:
            return JsonResponse({"words": words, "verdict": taken.verdict}, status=409)
        messages.info(request, words)
    except WrongState as wrong:
        if is_script:
            return JsonResponse({"words": wrong.words}, status=409)
        messages.error(request, wrong.words)
    except ItemRefused as refused:
        fault = refused.faults[0]
        words = f"{fault.field.capitalize()} {fault.message}: {fault.limit}."
        if is_script:
            return JsonResponse({"words": words}, status=400)
        messages.error(request, words)
    else:
        if is_script:
            return _told(told)
    return redirect(reverse("incident_triage", args=[project.slug, number]))


@require_POST
@project_page(Role.REVIEWER)
def triage_undo(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Take back what one said of a response, and look at it again."""
    find(project, number)
    position = number_of(request.POST.get("position", "")) or 0
    try:
        with said(request):
            triaging.take_back(project, number, position, user=me(request))
    except Http404:
        messages.error(request, GONE)
        return redirect(reverse("incident_triage", args=[project.slug, number]))
    return redirect(f"{reverse('incident_triage', args=[project.slug, number])}?at={position}")


@require_POST
@project_page(Role.REVIEWER)
def triage_conclude(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Decide: real goes on to scope, a false alarm closes the incident."""
    find(project, number)
    verdict = request.POST.get("verdict", "")
    back = reverse("incident", args=[project.slug, number])
    with said(request):
        triaging.conclude(project, number, verdict, request.POST.get("note", ""), user=me(request), request=request)
        if verdict == "false":
            messages.success(
                request, f"{ref_of(number)} is closed as a false alarm; it counts in its monitors’ record."
            )
            return redirect(back)
        messages.success(request, "Decided: a real regression. Next: who is affected?")
        return redirect(f"{back}#scope")
    return redirect(f"{back}#triage")


def find(project: Project, number: int) -> IncidentRow:
    """The incident of that number; Http404."""
    found = get_incident(project.pk, number)
    if found is None:
        raise Http404
    return found


def _card(project: Project, found: Deal, item: ItemRow, person_id: int) -> view.Card:
    material = load_material(project.pk, item.trace_id, item.span_id or 0) or _whole(project, item.trace_id)
    after = next_words(project.pk, item.trace_id) if material is not None else ""
    return view.card(item, material, after, person_id=person_id, base=f"/p/{project.slug}/", is_open=found.is_open)


def _whole(project: Project, trace_id: UUID) -> Any:
    """The whole trace, where the call that was flagged says nothing by itself."""
    return load_material(project.pk, trace_id)


def _told(told: triaging.Said) -> JsonResponse:
    return JsonResponse({"ahead": list(told.ahead), "left": told.left, "dealt": told.dealt})
