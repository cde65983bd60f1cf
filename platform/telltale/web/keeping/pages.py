"""The page Settings, Retention."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects import keeping
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from telltale.web.keeping.sweeping import ask_sweep
from telltale.web.keeping.view import WORDS, read_kinds


@require_http_methods(["GET", "HEAD"])
@project_page()
def retention(request: HttpRequest, project: Project) -> HttpResponse:
    """What is stored of each kind, for how long, where it levels off, and what the sweeps removed."""
    now = clock.now()
    kinds = read_kinds(project, now)
    context = {
        "project": project,
        "kinds": kinds,
        "proofs": [(row, WORDS[row.kind][0]) for row in keeping.read_proofs(project)],
        "late": [row for row in kinds if row.standing == "late"],
        "measured_at": max((row.measured_at for row in kinds if row.measured_at), default=None),
        "may_sweep": may(project, "settings"),
        "text_is_cut": project.text_days > project.retention_days,
    }
    return render(request, "web/keeping/retention.html", context)


@require_POST
@project_page(Role.ADMIN)
def sweep(request: HttpRequest, project: Project) -> HttpResponse:
    """Have sweeps run now instead of within the hour."""
    ask_sweep()
    record_in(project, "retention.sweep", project.slug, request=request)
    messages.success(request, "Sweeps are asked for. A worker begins within seconds; reload to see what they did.")
    return redirect("project_retention", slug=project.slug)
