"""Pages that need more than one room."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from telltale.projects.access import owned_organisations, projects_of
from telltale.web.home import headline, home_lines


@login_required
@require_http_methods(["GET", "HEAD"])
def project_list(request: HttpRequest) -> HttpResponse:
    """Every project one is in: how it stands, its open incidents, what it did in the last day."""
    lines = home_lines(projects_of(request.user))
    context = {"lines": lines, "title": headline(lines), "owned": owned_organisations(request.user)}
    return render(request, "web/projects.html", context)
