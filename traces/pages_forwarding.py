"""The forwarding pages: where accepted spans are sent on to, and how that goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from traces import forwarding, sending
from traces.forwarding import TargetRefused, TargetView, Wanted

HEADERS_CHARS_MAX = 100_000
# State -> (ribbon, word)
STATES = {
    "new": ("none", "Nothing sent yet"),
    "idle": ("ok", "Up to date"),
    "sending": ("ok", "Sending"),
    "waiting": ("watch", "Trying again"),
    "failing": ("bad", "Failing"),
    "paused": ("none", "Paused"),
}
DROPPED = {
    "too_old": "waited longer than a day",
    "queue_full": "more waited than is kept",
    "gone": "removed before their turn",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A target as the page writes it."""

    target: TargetView
    ribbon: str
    word: str
    lag_ms: float | None
    dropped: tuple[tuple[str, int], ...]


@require_http_methods(["GET", "HEAD"])
@project_page()
def targets(request: HttpRequest, project: Project) -> HttpResponse:
    """The targets with their state."""
    found = forwarding.list_targets(project.pk)
    context = {
        "project": project,
        "cards": [card(target) for target in found],
        "may_change": may(project, "forward"),
        "is_full": len(found) >= forwarding.TARGETS_MAX,
    }
    return render(request, "traces/forwarding.html", context)


def card(target: TargetView) -> Card:
    """A target with the words for its state."""
    ribbon, word = STATES[target.state]
    lag = target.lag_seconds
    dropped = tuple((DROPPED.get(reason, reason), n) for reason, n in target.dropped.items() if n)
    return Card(target, ribbon, word, None if lag is None else lag * 1000, dropped)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def new(request: HttpRequest, project: Project) -> HttpResponse:
    """Set up a target."""
    if request.method != "POST":
        return _form(request, project, None, {"with_content": True})
    typed = _typed(request)
    try:
        made = forwarding.add_target(project, _wanted(typed, None), by_id=cast(User, request.user).pk, request=request)
    except TargetRefused as refused:
        return _form(request, project, None, typed, refused)
    said = f"Spans accepted from about now on go to {made.name}. Send a test span to see that it takes them."
    messages.success(request, said)
    return redirect("forwarding", slug=project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def change(request: HttpRequest, project: Project, target_id: int) -> HttpResponse:
    """Change a target. Headers left empty stay, unless the host is another one."""
    target = _find(project, target_id)
    if request.method != "POST":
        typed = {"name": target.name, "url": target.url, "with_content": target.with_content}
        return _form(request, project, target, typed)
    typed = _typed(request)
    try:
        changed = forwarding.change_target(project, target_id, _wanted(typed, target), request=request)
    except TargetRefused as refused:
        return _form(request, project, target, typed, refused)
    if changed is None:
        raise Http404
    lost = target.headers and not changed.headers and not typed["headers"] and not typed["no_headers"]
    messages.success(
        request,
        f"{changed.name} is saved."
        + (" Its headers were entered for another host and are gone; enter them again." if lost else ""),
    )
    return redirect("forwarding", slug=project.slug)


@require_POST
@project_page(Role.ADMIN)
def test(request: HttpRequest, project: Project, target_id: int) -> HttpResponse:
    """Send one test span and say what came of it."""
    target = _find(project, target_id)
    tested = sending.send_test(project, target_id, request=request)
    if tested is None:
        raise Http404
    say = messages.success if tested.is_accepted else messages.error
    trace = f" Its trace is {tested.trace_id}." if tested.is_accepted else ""
    say(request, f"{target.name}: {tested.message}{trace}")
    return redirect("forwarding", slug=project.slug)


@require_POST
@project_page(Role.ADMIN)
def pause(request: HttpRequest, project: Project, target_id: int) -> HttpResponse:
    """Stop sending to a target for now."""
    return _paused(request, project, target_id, is_paused=True)


@require_POST
@project_page(Role.ADMIN)
def resume(request: HttpRequest, project: Project, target_id: int) -> HttpResponse:
    """Go on sending to a target, at once also where it failed."""
    return _paused(request, project, target_id, is_paused=False)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def remove(request: HttpRequest, project: Project, target_id: int) -> HttpResponse:
    """Ask, then remove a target with what waits for it."""
    target = _find(project, target_id)
    if request.method != "POST":
        return render(request, "traces/forwarding_remove.html", {"project": project, "target": target})
    if not forwarding.remove_target(project, target_id, request=request):
        raise Http404
    messages.success(request, f"{target.name} is removed. Nothing is sent to it any more.")
    return redirect("forwarding", slug=project.slug)


def _paused(request: HttpRequest, project: Project, target_id: int, *, is_paused: bool) -> HttpResponse:
    target = forwarding.pause_target(project, target_id, is_paused=is_paused, request=request)
    if target is None:
        raise Http404
    said = "is paused. What is accepted meanwhile waits up to a day." if is_paused else "is sent to again."
    messages.success(request, f"{target.name} {said}")
    return redirect("forwarding", slug=project.slug)


def _find(project: Project, target_id: int) -> TargetView:
    target = forwarding.get_target(project.pk, target_id)
    if target is None:
        raise Http404
    return target


def _typed(request: HttpRequest) -> dict[str, Any]:
    return {
        "name": request.POST.get("name", "")[:1000],
        "url": request.POST.get("url", "")[:5000],
        "headers": request.POST.get("headers", "")[:HEADERS_CHARS_MAX].strip(),
        "no_headers": "no_headers" in request.POST,
        "with_content": "without_content" not in request.POST,
    }


def _wanted(typed: dict[str, Any], target: TargetView | None) -> Wanted:
    headers: dict[str, str] | None = {} if target is None or typed["no_headers"] else None
    if typed["headers"]:
        headers = {}
        for line in typed["headers"].splitlines():
            name, colon, value = line.partition(":")
            if not line.strip():
                continue
            if not colon:
                raise TargetRefused("headers", "must be one a line, as Name: value")
            headers[name.strip()] = value.strip()
    return Wanted(typed["name"], typed["url"], headers, typed["with_content"])


def _form(
    request: HttpRequest,
    project: Project,
    target: TargetView | None,
    typed: dict[str, Any],
    refused: TargetRefused | None = None,
) -> HttpResponse:
    # Header values are never sent back, not even those just typed.
    shown = {key: value for key, value in typed.items() if key != "headers"}
    context = {"project": project, "target": target, "typed": shown, "refused": refused}
    return render(request, "traces/forwarding_form.html", context, status=400 if refused else 200)
