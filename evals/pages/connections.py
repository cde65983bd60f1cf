"""The pages of connections: which model endpoints judges and experiments may call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from evals import setup
from evals.forms import connection as form
from evals.forms.fields import clean, typed_of, usd_text
from evals.read import setup as read
from evals.read.setup import ConnectionView
from evals.setup import SetupRefused
from evals.setup.connections import CONNECTIONS_MAX
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.format import cost_pico, latency
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role


@dataclass(frozen=True, slots=True)
class Card:
    """A connection as the list writes it."""

    connection: ConnectionView
    kind: str
    ribbon: str
    word: str
    input_usd: str
    output_usd: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def connections(request: HttpRequest, project: Project) -> HttpResponse:
    """The connections, those put away last."""
    found = read.list_connections(project.pk, with_archived=True)
    in_use = [each for each in found if each.archived_at is None]
    context = {
        "project": project,
        "cards": [card(each) for each in in_use],
        "archived": [each for each in found if each.archived_at is not None],
        "may_change": may(project, "connect"),
        "is_full": len(in_use) >= CONNECTIONS_MAX,
    }
    return render(request, "evals/connections.html", context)


def card(view: ConnectionView) -> Card:
    """A connection with the words for its state."""
    ribbon, word = ("ok", "Ready")
    if view.paused_until is not None and view.paused_until > clock.now():
        ribbon, word = ("watch", "Waiting")
    prices = [usd_text(pico, tokens=form.MILLION) for pico in (view.input_pico, view.output_pico)]
    return Card(view, form.KIND_WORDS.get(view.kind, view.kind), ribbon, word, prices[0], prices[1])


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def new(request: HttpRequest, project: Project) -> HttpResponse:
    """Set up a connection."""
    if request.method != "POST":
        return _form(request, project, None, form.DEFAULTS)
    typed = typed_of(request.POST, form.NAMES)
    try:
        made = setup.add_connection(
            project, **form.values_of(typed), key=typed["key"], by_id=cast(User, request.user).pk, request=request
        )
    except SetupRefused as refused:
        return _form(request, project, None, typed, refused)
    messages.success(request, f"{made.name} is saved. Test it with the name of a model.")
    return redirect("connections", slug=project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def change(request: HttpRequest, project: Project, connection_id: int) -> HttpResponse:
    """Change a connection. A key left empty stays, unless the host is another one."""
    view = _find(project, connection_id)
    if request.method != "POST":
        return _form(request, project, view, form.typed_from(view))
    typed = typed_of(request.POST, form.NAMES)
    try:
        values = form.values_of(typed)
        if typed["key"].strip() or typed["no_key"]:
            values["key"] = "" if typed["no_key"] else typed["key"]
        changed = setup.change_connection(project, connection_id, request=request, **values)
    except SetupRefused as refused:
        return _form(request, project, view, typed, refused)
    lost = view.key_hint and not changed.key_hint and not typed["no_key"]
    said = " Its key was entered for another host and is gone; enter it again." if lost else ""
    messages.success(request, f"{changed.name} is saved.{said}")
    return redirect("connections", slug=project.slug)


@require_POST
@project_page(Role.ADMIN)
def test(request: HttpRequest, project: Project, connection_id: int) -> HttpResponse:
    """Make one short call and say what came of it."""
    view = _find(project, connection_id)
    try:
        tested = setup.try_connection(project, connection_id, clean(request.POST.get("model", "")), request=request)
    except SetupRefused as refused:
        messages.error(request, f"{view.name}: the name of the model {refused.message} ({refused.limit}).")
        return redirect("connections", slug=project.slug)
    if tested.is_ok:
        said = f"{view.name}: {tested.message} It took {latency(tested.duration_ms)}"
        said += (
            f" and cost {cost_pico(tested.cost_pico)}." if tested.cost_pico is not None else "; its price is unknown."
        )
        messages.success(request, said)
    else:
        messages.error(request, f"{view.name}: {tested.message}")
    return redirect("connections", slug=project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def archive(request: HttpRequest, project: Project, connection_id: int) -> HttpResponse:
    """Ask, then put a connection away."""
    view = _find(project, connection_id)
    if request.method != "POST":
        return render(request, "evals/connection_archive.html", {"project": project, "connection": view})
    try:
        setup.archive_connection(project, connection_id, request=request)
    except SetupRefused as refused:
        messages.error(request, f"{view.name} {refused.message}. Take that judge out of production first.")
    else:
        messages.success(request, f"{view.name} is put away, and its key forgotten.")
    return redirect("connections", slug=project.slug)


@require_POST
@project_page(Role.ADMIN)
def restore(request: HttpRequest, project: Project, connection_id: int) -> HttpResponse:
    """Take a connection back; its key has to be entered again."""
    view = _find(project, connection_id)
    try:
        setup.archive_connection(project, connection_id, is_archived=False, request=request)
    except SetupRefused as refused:
        messages.error(request, f"{view.name} {refused.message} ({refused.limit}). Put another one away first.")
        return redirect("connections", slug=project.slug)
    return redirect("connection_change", slug=project.slug, connection_id=connection_id)


def _find(project: Project, connection_id: int) -> ConnectionView:
    found = read.get_connection(project.pk, connection_id)
    if found is None:
        raise Http404
    return found


def _form(
    request: HttpRequest,
    project: Project,
    view: ConnectionView | None,
    typed: dict[str, str],
    refused: SetupRefused | None = None,
) -> HttpResponse:
    fields = form.fields_of(typed, refused, view)
    at = form.SHOWN_AS.get(refused.field, refused.field) if refused else ""
    context = {
        "project": project,
        "connection": view,
        "fields": fields,
        "refused": refused,
        "refused_field": fields.get(at),
    }
    return render(request, "evals/connection_form.html", context, status=400 if refused else 200)
