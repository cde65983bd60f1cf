"""The form that opens an incident by hand, or lets an alarm, a probe's alarm or a reviewed answer join one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts import regrouping
from alerts.incidents.grouping import Arrival
from alerts.incidents.types import SEVERITIES, Kind, NotThere, WrongState
from alerts.opening import title_of
from alerts.pages import incident_view as view
from alerts.pages.alarm_view import number as number_of
from alerts.pages.incident_acts import me
from alerts.read.incidents import open_of
from alerts.read.joining import find_arrival
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.access import project_page
from telltale.projects.models import Project, Role


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.REVIEWER)
def incident_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Open an incident by hand, or let an `alarm`, `probe` or `review` of the address join one that goes on."""
    query = request.POST if request.method == "POST" else request.GET
    members = [
        (kind, found) for kind in Kind for raw in query.getlist(kind)[:50] if (found := number_of(raw)) is not None
    ]
    faults: tuple[Fault, ...] = ()
    if request.method == "POST":
        into = number_of(request.POST.get("into", ""))
        try:
            if into is not None:
                regrouping.join(project, into, members, user=me(request), request=request)
                return redirect(reverse("incident", args=[project.slug, into]))
            level = number_of(request.POST.get("severity", ""))
            feature = request.POST.get("feature", "").strip()
            made = regrouping.open_by_hand(
                project, request.POST.get("title", ""), -1 if level is None else level,
                {"feature": [feature]} if feature else {}, members, user=me(request), request=request,
            )  # fmt: skip
            return redirect(reverse("incident", args=[project.slug, made]))
        except ItemRefused as refused:
            faults = refused.faults
        except (WrongState, NotThere):
            faults = (Fault("into", "is over or not there", "an incident that goes on"),)
    arrivals = [(kind, ref, find_arrival(project.pk, kind, ref)) for kind, ref in members]
    known = [(kind, ref, found) for kind, ref, found in arrivals if found is not None]
    lead = known[0][2] if known else None
    context = {
        "project": project,
        "faults": faults,
        "members": [
            (str(kind), ref, f"{one.facts.get('name', '')} {one.facts.get('says', '')}") for kind, ref, one in known
        ],
        "gone": len(arrivals) - len(known),
        "titled": query.get("title") or (title_of(lead.facts, lead.scope) if lead else ""),
        "severity": number_of(query.get("severity", "")) if query.get("severity") else (lead.severity if lead else 2),
        "feature": query.get("feature") or (next(iter(lead.scope.get("feature", ())), "") or "" if lead else ""),
        "severities": [(level, view.LEVELS[level]) for level in SEVERITIES],
        "going": open_of([project.pk])[project.pk],
    }
    return render(request, "alerts/incident_new.html", context, status=400 if faults else 200)


def _words(arrival: Arrival) -> str:
    return f"{arrival.facts.get('name', '')} {arrival.facts.get('says', '')}".strip()
