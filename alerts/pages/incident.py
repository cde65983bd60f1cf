"""The page of one incident: head, steps with timers, five sections, signals that agree, the timeline.

Each step's section is made by `alerts.pages.incident_<step>.part` and shown by `alerts/incident/_<step>.html`. One
that fails or takes too long says so in its place: the page stands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts.incidents.types import SEVERITIES, Step
from alerts.pages import incident_isolate, incident_learn, incident_respond, incident_scope, incident_triage
from alerts.pages import incident_view as view
from alerts.read.incident_settings import get_settings
from alerts.read.incidents import IncidentRow, get_incident, list_events, list_members, list_steps, list_watchers
from alerts.read.signals import agreeing
from telltale.lib import clock
from telltale.projects.access import may, project_page
from telltale.projects.models import Project
from telltale.projects.read import list_members as list_people
from traces.read import TooSlow
from traces.read.asking import asking

logger = logging.getLogger(__name__)
EVENTS_SHOWN, MEMBERS_SHOWN = 40, 50
Part = Callable[[Project, IncidentRow, HttpRequest], object]
PARTS: Mapping[Step, Part] = {
    Step.TRIAGE: incident_triage.part,
    Step.SCOPE: incident_scope.part,
    Step.ISOLATE: incident_isolate.part,
    Step.RESPOND: incident_respond.part,
    Step.LEARN: incident_learn.part,
}


@dataclass(frozen=True, slots=True)
class Section:
    """One step's section. `error`: why it could not be made, "" where `part` is its context."""

    line: view.StepLine
    template: str
    part: object
    error: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def incident_page(request: HttpRequest, project: Project, number: int) -> HttpResponseBase:
    """An incident; `all` in the address has the whole timeline."""
    incident = find_incident(project, number)
    now, zone = clock.now(), clock.zone_of(project.time_zone)
    is_all = request.GET.get("all") == "1"
    try:
        with asking():
            steps = list_steps(incident.id)
            members = list_members(incident.id, limit=MEMBERS_SHOWN)
            events = list_events(incident.id, limit=2_000 if is_all else EVENTS_SHOWN + 1)
            watchers = list_watchers(incident.id)
            settings = get_settings(project.pk)
            agreement = agreeing(project.pk, incident)
    except TooSlow:
        return render(
            request, "alerts/incident.html", {"project": project, "incident": incident, "too_slow": True}, status=503
        )
    may_work = may(project, "review")
    lines = view.steps(incident, steps, settings, now)
    ribbon, word = view.STATES[incident.state]
    context: dict[str, Any] = {
        "project": project,
        "incident": incident,
        "sections": [section(project, incident, request, line) for line in lines],
        "steps": lines,
        "ribbon": ribbon,
        "word": word,
        "level": view.LEVELS[incident.severity],
        "lede": view.lede(incident, members),
        "stands": view.stands(incident, zone, now),
        "open_for": view.span_words((incident.closed_at or now) - incident.opened_at),
        "verdict": view.VERDICTS[incident.verdict],
        "next_words": view.NEXT[incident.step],
        "members": members,
        "more_members": max(incident.members - len(members), 0),
        "lead": next((row for row in members if row.is_page), members[0] if members else None),
        "agreement": agreement,
        "timeline": view.lines(events if is_all else events[:EVENTS_SHOWN]),
        "more_events": not is_all and len(events) > EVENTS_SHOWN,
        "watchers": watchers,
        "is_watching": any(row.user_id == request.user.pk for row in watchers),
        "is_muted": incident.is_muted(now),
        "rounds": range(1, incident.round),
        "people": [row for row in list_people(project) if row.role != "viewer"] if may_work else [],
        "severities": [(level, view.LEVELS[level]) for level in SEVERITIES],
        "may_work": may_work,
        "base": reverse("incident", args=[project.slug, incident.number]),
        "root": f"/p/{project.slug}/",
        "now": now,
    }
    return render(request, "alerts/incident.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def incident_moves(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """What others did since the page was made (`since` the version it shows): a fragment that asks again by itself."""
    incident = find_incident(project, number)
    text = request.GET.get("since", "")
    since = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else incident.version
    last = list_events(incident.id, limit=1) if incident.version > since else []
    context = {
        "project": project,
        "incident": incident,
        "since": since,
        "has_moved": incident.version > since,
        "last": view.lines(last)[0] if last else None,
    }
    return render(request, "alerts/incident/_moves.html", context)


def find_incident(project: Project, number: int) -> IncidentRow:
    """The incident of that number in the project; Http404."""
    found = get_incident(project.pk, number)
    if found is None:
        raise Http404
    return found


def section(project: Project, incident: IncidentRow, request: HttpRequest, line: view.StepLine) -> Section:
    """One step's section; what its part raises is told in its place."""
    part, error = None, ""
    try:
        with transaction.atomic():
            part = PARTS[line.step](project, incident, request)
    except TooSlow:
        error = "This took too long and was stopped, so that nothing else waits for it. Look again in a moment."
    except Exception:
        logger.exception("the step %s of incident %s could not be shown", line.step, incident.id)
        error = "This part could not be made; the rest of the page is right. It is in the log of the server."
    return Section(line, f"alerts/incident/_{line.step}.html", part, error)
