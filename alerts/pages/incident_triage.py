"""The section "triage" of an incident's page."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from alerts.pages import triage_view as view
from alerts.read.incidents import IncidentRow
from alerts.read.triage import Deal, get_deal
from telltale.lib import clock
from telltale.projects.access import may
from telltale.projects.models import Project


@dataclass(frozen=True, slots=True)
class TriagePart:
    """What was dealt and what the verdicts come to; `deal` None: nothing was dealt, `result` None: nothing was said."""

    deal: Deal | None
    result: view.Result | None
    cells: list[view.Cell]
    concluded: str
    href: str
    may_work: bool


def part(project: Project, incident: IncidentRow, request: HttpRequest) -> object:
    """What `alerts/incident/_triage.html` shows as `part`. Three queries."""
    found = get_deal(incident.id, incident.round, clock.now())
    href = reverse("incident_triage", args=[project.slug, incident.number])
    shown = found is not None and found.said > 0
    return TriagePart(
        deal=found,
        result=view.result(found) if found is not None and shown else None,
        cells=view.strip(found, None, href) if found is not None else [],
        concluded=view.concluded(incident.verdict),
        href=href,
        may_work=may(project, "review") and incident.is_going,
    )
