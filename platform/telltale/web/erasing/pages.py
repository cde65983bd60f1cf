"""Pages below Settings, Privacy: what was erased and how that went, asking for it, and removing the project."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from telltale.web.erasing import asking, read
from telltale.web.models import Erasure

SHOWN = 50


def _kinds() -> list[tuple[str, str]]:
    return [(kind, read.KINDS[kind]) for kind in asking.KINDS]


def _me(request: HttpRequest) -> User:
    return cast(User, request.user)


@require_http_methods(["GET", "HEAD"])
@project_page(Role.ADMIN)
def privacy(request: HttpRequest, project: Project) -> HttpResponse:
    """What was asked to be erased, and how it went."""
    before = request.GET.get("before", "")
    receipts = read.list_receipts(
        project.pk, before=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
        limit=SHOWN + 1,
    )  # fmt: skip
    context = {
        "project": project,
        "receipts": receipts[:SHOWN],
        "older": f"?before={receipts[SHOWN - 1].id}" if len(receipts) > SHOWN else "",
        "kinds": _kinds(),
        "may_remove": may(project, "remove"),
        "undo_days": asking.UNDO.days,
    }
    return render(request, "web/erasing/privacy.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def erase(request: HttpRequest, project: Project) -> HttpResponse:
    """Say what will be removed, and remove it when that is confirmed."""
    data = request.POST if request.method == "POST" else request.GET
    kind, subject = data.get("kind", ""), data.get("id", "")
    context = {"project": project, "kind": kind, "id": subject, "word": read.KINDS.get(kind, "").lower()}
    try:
        context["subject"] = asking.read_subject(kind, subject)
        if request.method == "POST":
            erasure = asking.ask(project, kind, subject, by=_me(request).email, by_id=_me(request).pk, request=request)
            return redirect("erasure", slug=project.slug, erasure_id=erasure.pk)
    except asking.Fault as fault:
        words = f"It {fault.message}." + (f" Accepted: {fault.limit}." if fault.limit else "")
        told = {"fault": words, "fault_field": fault.field, "kinds": _kinds(), "kind": kind or "user"}
        return render(request, "web/erasing/erase.html", context | told, status=400)
    return render(request, "web/erasing/erase.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page(Role.ADMIN)
def erasure(request: HttpRequest, project: Project, erasure_id: int) -> HttpResponse:
    """One erasure: how far it is, then its receipt."""
    row = _find(project, erasure_id)
    name = "web/erasing/_receipt.html" if request.headers.get("HX-Request") == "true" else "web/erasing/receipt.html"
    receipt = read.receipt_of(row)
    return render(request, name, {"project": project, "receipt": receipt, "word": read.KINDS[row.kind]})


@require_POST
@project_page(Role.ADMIN)
def erasure_again(request: HttpRequest, project: Project, erasure_id: int) -> HttpResponse:
    """Go on with one that stopped."""
    return _act(request, project, erasure_id, asking.try_again, "It goes on.")


@require_POST
@project_page(Role.ADMIN)
def erasure_lift(request: HttpRequest, project: Project, erasure_id: int) -> HttpResponse:
    """Take again what arrives."""
    return _act(request, project, erasure_id, asking.lift, "What arrives of it is stored again.")


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.OWNER)
def remove(request: HttpRequest, project: Project) -> HttpResponse:
    """Ask for the whole project's removal; its slug is typed to confirm."""
    context = {"project": project, "undo_days": asking.UNDO.days, "typed": ""}
    if request.method != "POST":
        return render(request, "web/erasing/remove.html", context)
    if request.POST.get("slug", "").strip() != project.slug:
        context |= {"typed": request.POST.get("slug", "")[:60], "fault": f"Type {project.slug} to confirm."}
        return render(request, "web/erasing/remove.html", context, status=400)
    try:
        asking.ask_project(project, by=_me(request).email, request=request)
    except asking.Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect("project_privacy", slug=project.slug)


@require_POST
@project_page(Role.OWNER)
def keep(request: HttpRequest, project: Project) -> HttpResponse:
    """Undo the removal while it has not begun."""
    try:
        asking.undo_project(project, by=_me(request).email, request=request)
        messages.success(request, "The project stays. Its keys answer again within 5 seconds.")
    except asking.Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect("project_privacy", slug=project.slug)


def _act(request: HttpRequest, project: Project, erasure_id: int, act: Callable[..., None], words: str) -> HttpResponse:
    row = _find(project, erasure_id)
    try:
        act(project, row, by=_me(request).email, request=request)
        messages.success(request, words)
    except asking.Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect("erasure", slug=project.slug, erasure_id=row.pk)


def _find(project: Project, erasure_id: int) -> Erasure:
    row = read.find_erasure(project.pk, erasure_id)
    if row is None:
        raise Http404
    return row
