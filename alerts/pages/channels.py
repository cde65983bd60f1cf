"""The pages of channels: whom the project tells, by which routes, and how that goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from alerts import delivering
from alerts.addressing import NotThere, channels, checks, routes, settings
from alerts.notices.outgoing import ABOUT, ChannelKind
from alerts.notices.settings import CHANNELS_MAX
from alerts.pages import channel_view as view
from alerts.read import notices as read
from alerts.read.notices import ChannelRow, RouteRow
from telltale.accounts.mail import is_by_smtp
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

Page = Callable[..., HttpResponse]


def _there(page: Page) -> Page:
    """404 for what somebody else puts away while a page acts on it."""

    @wraps(page)
    def answer(*args: Any, **named: Any) -> HttpResponse:
        try:
            return page(*args, **named)
        except NotThere:
            raise Http404 from None

    return answer


@require_http_methods(["GET", "HEAD"])
@project_page()
def channel_list(request: HttpRequest, project: Project) -> HttpResponse:
    """The channels with their state and routes."""
    return _list(request, project)


def _list(request: HttpRequest, project: Project, **more: Any) -> HttpResponse:
    rows = read.list_channels(project.pk, with_archived=True)
    found = [row for row in rows if row.archived_at is None]
    context = {
        "project": project,
        "cards": [view.card(row, mail_leaves=is_by_smtp()) for row in found],
        "archived": [view.card(row) for row in rows if row.archived_at is not None],
        "kinds": ABOUT.values(),
        "telling": read.get_notice_settings(project.pk),
        "is_anybody_told": any(row.is_on and any(route.is_on for route in row.routes) for row in found),
        "may_change": may(project, "notify"),
        "is_full": len(found) >= CHANNELS_MAX,
        "now": clock.now(),
        **more,
    }
    return render(request, "alerts/channels.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def channel_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Set up a channel of the kind that `?kind=` names."""
    asked = request.GET.get("kind", "")
    kind = ChannelKind(asked) if asked in set(ChannelKind) else ChannelKind.EMAIL
    if request.method != "POST":
        return _form(request, project, kind, None, {})
    told = _told(request, kind) | {"kind": kind.value}
    try:
        made = channels.add(project, told, by_id=cast(User, request.user).pk, request=request)
    except ItemRefused as refused:
        return _form(request, project, kind, None, told, refused.faults)
    if made.signing_key:
        return _list(request, project, made=read.get_channel(project.pk, made.id), signing_key=made.signing_key)
    messages.success(request, f"{told['name']} is saved. Send a test message to see that it arrives.")
    return redirect("channels", slug=project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
@_there
def channel_edit(request: HttpRequest, project: Project, channel_id: int) -> HttpResponse:
    """Change a channel. A secret left empty stays, unless the host is another one."""
    row = _find(project, channel_id)
    if request.method != "POST":
        return _form(request, project, row.kind, row, {"name": row.name, **row.config})
    told = _told(request, row.kind)
    for field in ("key", "url") if ABOUT[row.kind].has_url else ("key",):
        if not told.get(field):
            told.pop(field, None)
    try:
        channels.change(project, channel_id, told, request=request)
    except ItemRefused as refused:
        return _form(request, project, row.kind, row, told, refused.faults)
    messages.success(request, f"{told['name']} is saved.")
    return redirect("channels", slug=project.slug)


@require_POST
@project_page(Role.ADMIN)
def channel_test(request: HttpRequest, project: Project, channel_id: int) -> HttpResponse:
    """Send a test message and say what came of it."""
    row = _find(project, channel_id)
    tested = delivering.send_test(project, channel_id, token=delivering.make_token(), request=request)
    if tested is None:
        raise Http404
    say = messages.success if tested.is_delivered else messages.error
    say(request, f"{row.name}: {tested.words}")
    return redirect("channels", slug=project.slug)


@require_POST
@project_page(Role.ADMIN)
@_there
def channel_switch(request: HttpRequest, project: Project, channel_id: int) -> HttpResponse:
    """Switch a channel on (`on=1`) or off."""
    row = _find(project, channel_id)
    is_on = request.POST.get("on") == "1"
    channels.change(project, channel_id, {"is_on": is_on}, request=request)
    words = "is on." if is_on else "is off. What waited for it is dropped, and the log says so."
    messages.success(request, f"{row.name} {words}")
    return redirect("channels", slug=project.slug)


@require_POST
@project_page(Role.ADMIN)
@_there
def channel_rotate(request: HttpRequest, project: Project, channel_id: int) -> HttpResponse:
    """Make a new signing key and show it, this once."""
    row = _find(project, channel_id)
    try:
        signing_key = channels.rotate(project, channel_id, request=request)
    except ItemRefused as refused:
        messages.error(request, f"{row.name}: {refused.faults[0].message}.")
        return redirect("channels", slug=project.slug)
    return _list(request, project, made=row, signing_key=signing_key, is_rotated=True)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
@_there
def channel_remove(request: HttpRequest, project: Project, channel_id: int) -> HttpResponse:
    """Ask, then put a channel away."""
    row = _find(project, channel_id)
    if request.method != "POST":
        return render(request, "alerts/channel_remove.html", {"project": project, "channel": row})
    channels.archive(project, channel_id, request=request)
    messages.success(request, f"{row.name} is put away. Nothing goes there any more.")
    return redirect("channels", slug=project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
@_there
def route_new(request: HttpRequest, project: Project, channel_id: int) -> HttpResponse:
    """Lead something more to a channel."""
    row = _find(project, channel_id)
    if request.method != "POST":
        return _route_form(request, project, row, None, dict(routes.DEFAULT))
    told, faults = _route_told(request)
    try:
        if faults:
            raise ItemRefused(*faults)
        routes.add(project, {**told, "channel": row.id}, request=request)
    except ItemRefused as refused:
        return _route_form(request, project, row, None, told, refused.faults)
    messages.success(request, f"The route to {row.name} is saved.")
    return redirect("channels", slug=project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
@_there
def route_edit(request: HttpRequest, project: Project, route_id: int) -> HttpResponse:
    """Change a route."""
    found = read.get_route(project.pk, route_id)
    if found is None:
        raise Http404
    row = _find(project, found.channel_id)
    if request.method != "POST":
        return _route_form(request, project, row, found, {name: getattr(found, name) for name in routes.DEFAULT})
    told, faults = _route_told(request)
    try:
        if faults:
            raise ItemRefused(*faults)
        routes.change(project, route_id, told, request=request)
    except ItemRefused as refused:
        return _route_form(request, project, row, found, told, refused.faults)
    messages.success(request, f"The route to {row.name} is saved.")
    return redirect("channels", slug=project.slug)


@require_POST
@project_page(Role.ADMIN)
@_there
def route_remove(request: HttpRequest, project: Project, route_id: int) -> HttpResponse:
    """Remove a route."""
    routes.remove(project, route_id, request=request)
    messages.success(request, "The route is removed.")
    return redirect("channels", slug=project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def telling(request: HttpRequest, project: Project) -> HttpResponse:
    """How the project tells: grouping, reminders, the dead man's switch."""
    held = read.get_notice_settings(project.pk)
    typed: dict[str, Any] = {
        "group_seconds": held.group_seconds,
        "repeat_minutes": held.repeat_minutes or "",
        "alive_seconds": held.alive_seconds,
    }
    faults: tuple[Fault, ...] = ()
    if request.method == "POST":
        typed = {name: request.POST.get(name, "").strip()[:20] for name in typed}
        told: dict[str, Any] = {name: _whole(value) for name, value in typed.items()}
        told["repeat_minutes"] = told["repeat_minutes"] if typed["repeat_minutes"] else None
        url = request.POST.get("alive_url", "").strip()[:2_000]
        if url or "no_alive_url" in request.POST:
            told["alive_url"] = "" if "no_alive_url" in request.POST else url
        try:
            settings.put(project, told, by_id=cast(User, request.user).pk, request=request)
        except ItemRefused as refused:
            faults = refused.faults
        else:
            messages.success(request, "How the project tells is saved.")
            return redirect("channels", slug=project.slug)
    context = {"project": project, "held": held, "typed": typed, "faults": view.fault_words(faults)}
    return render(request, "alerts/telling.html", context, status=400 if faults else 200)


def _find(project: Project, channel_id: int) -> ChannelRow:
    row = read.get_channel(project.pk, channel_id)
    if row is None or row.archived_at is not None:
        raise Http404
    return row


def _told(request: HttpRequest, kind: ChannelKind) -> dict[str, Any]:
    """What somebody typed, as `channels` takes it."""
    post = request.POST
    told: dict[str, Any] = {"name": post.get("name", "")[:1_000]}
    about = ABOUT[kind]
    if kind is ChannelKind.EMAIL:
        told["to"] = [part for part in post.get("to", "")[:10_000].replace(",", " ").split() if part]
    if about.has_url or about.has_key:
        told["url"] = post.get("url", "")[:5_000]
    if about.has_key:
        told["key"] = post.get("key", "")[:1_000]
        if not told["url"].strip():
            del told["url"]
    return told


def _form(
    request: HttpRequest,
    project: Project,
    kind: ChannelKind,
    row: ChannelRow | None,
    typed: Mapping[str, Any],
    faults: tuple[Fault, ...] = (),
) -> HttpResponse:
    # Secrets are never sent back, not even those just typed.
    about = ABOUT[kind]
    shown = {"name": typed.get("name", ""), "to": "\n".join(typed.get("to", ()))}
    if about.has_key:
        shown["url"] = typed.get("url", "")
    context = {
        "project": project,
        "channel": row,
        "about": about,
        "kinds": ABOUT.values(),
        "typed": shown,
        "faults": view.fault_words(faults),
        "bad": {fault.field.split("[")[0] for fault in faults},
    }
    return render(request, "alerts/channel_form.html", context, status=400 if faults else 200)


def _route_told(request: HttpRequest) -> tuple[dict[str, Any], list[Fault]]:
    """What somebody chose of a route, as `routes` takes it."""
    post, faults = request.POST, list[Fault]()
    hours: dict[str, Any] = {}
    if post.get("hours") == "some":
        days = [int(day) for day in post.getlist("day") if day in {"1", "2", "3", "4", "5", "6", "7"}]
        hours = {"days": days, "start": post.get("start", "")[:10], "end": post.get("end", "")[:10]}
        if not days:
            faults.append(Fault("hours", "names no day", "at least one day"))
    after: Any = None
    if post.get("when") == "after":
        after = _whole(post.get("after_minutes", ""))
    told = {
        "severities": [int(each) for each in post.getlist("severity") if each in {"0", "1", "2", "3"}],
        "features": [line.strip() for line in post.get("features", "")[:20_000].splitlines() if line.strip()],
        "kinds": post.getlist("kind")[:50],
        "hours": hours,
        "after_minutes": after,
        "is_on": "is_off" not in post,
    }
    return told, faults


def _route_form(
    request: HttpRequest,
    project: Project,
    row: ChannelRow,
    found: RouteRow | None,
    typed: Mapping[str, Any],
    faults: tuple[Fault, ...] = (),
) -> HttpResponse:
    hours = typed.get("hours") or {}
    context = {
        "project": project,
        "channel": row,
        "route": found,
        "typed": typed,
        "features": "\n".join(typed.get("features", ())),
        "severities": [(level, level in typed.get("severities", ())) for level in (0, 1, 2, 3)],
        "days": [(at, name, at in hours.get("days", range(1, 6))) for at, name in enumerate(view.DAYS, 1)],
        "kinds": [
            (kind.value, words, kind.value in typed.get("kinds", ()))
            for kind, words in view.KINDS.items()
            if kind.value in _ROUTED
        ],
        "hours": hours,
        "faults": view.fault_words(faults),
        "bad": {fault.field.split("[")[0].split(".")[0] for fault in faults},
    }
    return render(request, "alerts/route_form.html", context, status=400 if faults else 200)


def _whole(raw: str) -> Any:
    """The whole number that was typed; as it is where it is none, so that the refusal says so."""
    text = str(raw).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


_ROUTED = frozenset(kind.value for kind in checks.ROUTED)
