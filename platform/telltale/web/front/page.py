"""The front page of a project."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page
from telltale.projects.models import Project
from telltale.web.front.view import overview
from traces.pages_accounting import read_window


@require_http_methods(["GET", "HEAD"])
@project_page()
def front_page(request: HttpRequest, project: Project) -> HttpResponse:
    """Is anything wrong, how sure are we, whose turn is it; or how to send the first trace."""
    if not project.first_span_at:
        return redirect("welcome/")
    now = clock.now()
    window = read_window(request.GET, clock.zone_of(project.time_zone), now, default="7d", keep=())
    person = request.user if isinstance(request.user, User) else None
    context = {
        "project": project,
        "window": window,
        "o": overview(project, person, window.start_at, window.end_at, now),
        "base": f"/p/{project.slug}/",
        "may_measure": may(project, "measure"),
        "may_review": may(project, "review"),
        "now": now,
    }
    return render(request, "web/overview.html", context)
