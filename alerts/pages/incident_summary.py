"""The summary of an incident as a page, and as Markdown."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts.pages.incident import find_incident
from alerts.summing_up import markdown, summarise
from telltale.lib.clock import zone_of
from telltale.projects.access import project_page
from telltale.projects.models import Project


@require_http_methods(["GET", "HEAD"])
@project_page()
def incident_summary(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """What happened, as it can be sent on; `format=markdown` has it as a file."""
    incident, zone = find_incident(project, number), zone_of(project.time_zone)
    summary = summarise(incident, zone)
    path = reverse("incident", args=[project.slug, number])
    if request.GET.get("format") == "markdown":
        text = markdown(summary, zone, request.build_absolute_uri(path))
        name = f"{project.slug}-{incident.ref.lower()}.md"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(text, content_type="text/markdown; charset=utf-8", headers=headers)
    context = {
        "project": project,
        "incident": incident,
        "summary": summary,
        "base": path,
        "root": f"/p/{project.slug}/",
    }
    return render(request, "alerts/incident_summary.html", context)
