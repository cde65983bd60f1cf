"""What leads from a page of a lower room to the incident that something of it belongs to, or may open."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.urls import reverse

from alerts.read.incidents import incidents_of
from telltale.projects.access import may
from telltale.projects.models import Project

register = template.Library()


@register.inclusion_tag("_incident_link.html")
def incident_link(project: Project, kind: str, ref: int) -> dict[str, object]:
    """`{% incident_link project "review" item.id %}`: its incident, else where one is opened with it. One query."""
    return _link(project, kind, ref, incidents_of(project.pk, kind, [ref]))


@register.simple_tag
def incidents_with(project: Project, kind: str, refs: Sequence[int]) -> dict[int, tuple[int, str]]:
    """`{% incidents_with project "probe" refs as held %}`: number and state of the incidents of many. One query."""
    return incidents_of(project.pk, kind, refs) if refs else {}


@register.inclusion_tag("_incident_link.html")
def incident_link_of(project: Project, kind: str, ref: int, held: dict[int, tuple[int, str]]) -> dict[str, object]:
    """As `incident_link`, of one of those that `incidents_with` looked up."""
    return _link(project, kind, ref, held)


def _link(project: Project, kind: str, ref: int, held: dict[int, tuple[int, str]]) -> dict[str, object]:
    number = held[ref][0] if ref in held else None
    return {
        "number": number,
        "href": reverse("incident", args=[project.slug, number])
        if number is not None
        else f"{reverse('incident_new', args=[project.slug])}?{kind}={ref}",
        "may_open": may(project, "review"),
    }
