"""The page where owners remove an organisation, or keep it after all; with receipts of projects that are gone."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.projects.access import get_organisation_for
from telltale.web.erasing import asking, organisations, read


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, organisation_slug: str) -> HttpResponse:
    """Ask for the removal of the organisation with all its projects; its slug is typed to confirm."""
    found = get_organisation_for(request.user, organisation_slug)
    context = {
        "organisation": found,
        "undo_days": asking.UNDO.days,
        "projects": found.projects.order_by("name"),
        "gone": read.list_removed_projects(found.pk),
        "typed": "",
    }
    if request.method != "POST":
        return render(request, "web/erasing/organisation.html", context)
    if request.POST.get("slug", "").strip() != found.slug:
        context |= {"typed": request.POST.get("slug", "")[:60], "fault": f"Type {found.slug} to confirm."}
        return render(request, "web/erasing/organisation.html", context, status=400)
    try:
        organisations.ask(found, by=cast(User, request.user).email, request=request)
    except asking.Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect("organisation_remove", organisation_slug=found.slug)


@login_required
@require_POST
def keep(request: HttpRequest, organisation_slug: str) -> HttpResponse:
    """Undo the removal while it is not due."""
    found = get_organisation_for(request.user, organisation_slug)
    try:
        organisations.undo(found, by=cast(User, request.user).email, request=request)
        messages.success(request, "The organisation stays. Keys of its projects answer again within 5 seconds.")
    except asking.Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect("organisation", organisation_slug=found.slug)
