"""Keeping lists as views: the menu's form, and the page that renames, shares and deletes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page, roles_that_may
from telltale.projects.models import Project
from traces.forms import EVERYTHING, canonical_query, query_string, read_list, window_of
from traces.pages.listing import EVERYTHING_ADDRESS
from traces.saved_views import (
    NAME_MAX,
    View,
    ViewRefused,
    asker_of,
    change_view,
    delete_view,
    get_view,
    list_views,
    save_view,
    set_default,
)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def view_list(request: HttpRequest, project: Project) -> HttpResponse:
    """All one's views and the shared ones; POST keeps a new one and goes to it."""
    if request.method != "POST":
        return _page(request, project)
    person, query = cast(User, request.user), request.POST.get("query", "")
    query, _ = canonical_query(query.removeprefix("?"), clock.zone_of(project.time_zone), clock.now())
    try:
        made = save_view(
            project, asker_of(project, person), request.POST.get("name", ""), query,
            is_shared=request.POST.get("is_shared") == "yes", request=request,
        )  # fmt: skip
    except ViewRefused as refused:
        return _page(request, project, {"refused": refused, "typed": request.POST, "query": query}, status=400)
    if request.POST.get("is_default") == "yes":
        set_default(project, person, made.id)
    messages.success(request, f"Saved as “{made.name}”.")
    return HttpResponseRedirect(address_of(project, made))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def view_edit(request: HttpRequest, project: Project, view_id: int) -> HttpResponse:
    """Rename a view, share it or take it back."""
    asker = asker_of(project, cast(User, request.user))
    view = get_view(project, asker, view_id)
    if not view.may_change:
        raise PermissionDenied("A shared view is changed by who made it, or by an admin.")
    if request.method != "POST":
        return _form(request, project, view)
    may_share = may(project, "share")
    wants = request.POST.get("is_shared") == "yes" if may_share else None
    try:
        view = change_view(project, asker, view_id, name=request.POST.get("name", ""), is_shared=wants, request=request)
    except ViewRefused as refused:
        return _form(request, project, view, refused, request.POST.get("name", ""))
    messages.success(request, f"Saved “{view.name}”.")
    return redirect("trace_views", project.slug)


@require_POST
@project_page()
def view_delete(request: HttpRequest, project: Project, view_id: int) -> HttpResponse:
    """Remove a view."""
    asker = asker_of(project, cast(User, request.user))
    name = get_view(project, asker, view_id).name
    try:
        delete_view(project, asker, view_id, request=request)
    except PermissionError as error:
        raise PermissionDenied(str(error)) from None
    messages.success(request, f"Deleted the view “{name}”.")
    return redirect("trace_views", project.slug)


@require_POST
@project_page()
def view_default(request: HttpRequest, project: Project, view_id: int) -> HttpResponse:
    """Let one's own list open with a view, or no longer."""
    person = cast(User, request.user)
    view = get_view(project, asker_of(project, person), view_id)
    set_default(project, person, None if view.is_default else view_id, view.page)
    words = "Your list opens with all traces." if view.is_default else f"Your list opens with “{view.name}”."
    messages.success(request, words)
    return redirect("trace_views", project.slug)


def address_of(project: Project, view: View) -> str:
    """Where a view's list is."""
    query = f"?{view.query}" if view.query else query_string([EVERYTHING])
    return reverse("trace_list", args=[project.slug]) + query


def _page(
    request: HttpRequest, project: Project, more: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    zone, now = clock.zone_of(project.time_zone), clock.now()
    views = [
        (view, address_of(project, view), _words(view, zone, now))
        for view in list_views(project, asker_of(project, cast(User, request.user)))
    ]
    context = {
        "project": project,
        "views": views,
        "name_max": NAME_MAX,
        "may_share": may(project, "share"),
        "sharers": [role.label for role in roles_that_may("share")],
        "list_href": reverse("trace_list", args=[project.slug]) + EVERYTHING_ADDRESS,
    }
    return render(request, "traces/views.html", context | (more or {}), status=status)


def _form(
    request: HttpRequest, project: Project, view: View, refused: ViewRefused | None = None, typed: str | None = None
) -> HttpResponse:
    context = {
        "project": project,
        "view": view,
        "name": view.name if typed is None else typed,
        "refused": refused,
        "name_max": NAME_MAX,
        "may_share": may(project, "share"),
        "href": address_of(project, view),
    }
    return render(request, "traces/view_form.html", context, status=400 if refused else 200)


def _words(view: View, zone: ZoneInfo, now: datetime) -> str:
    """What a view shows, in the words of its chips."""
    state = read_list(QueryDict(view.query), zone, now)
    chips = [" ".join(word for word in (chip.field, chip.op, chip.word) if word) for chip in state.chips()]
    text = [f"“{state.wanted.q}”"] if state.wanted.q else []
    return ", ".join([*text, *chips, window_of(state, zone, now).label])
