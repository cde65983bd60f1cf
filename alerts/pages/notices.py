"""The log of what people were told, and the silences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from alerts import delivering
from alerts.addressing import NotThere, silences
from alerts.notices.messages import from_json
from alerts.notices.transitions import KINDS
from alerts.pages import channel_view as view
from alerts.read import notices as read
from alerts.read.notices import STATES, DeliveryRow
from alerts.read.shown import list_shown
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import query_string, read_window
from traces.read import TooSlow
from traces.read.asking import asking

PAGE_SIZE, PIECE = 50, 500
KEPT = ("state", "kind", "channel", "incident")
NAMES = (
    "id", "message_id", "kind", "at", "severity", "incident", "to", "state", "headline", "attempts", "status", "error",
    "receiver_ref", "created_at", "ended_at",
)  # fmt: skip
# How long a silence of the form may last, in words.
LENGTHS = (("1", "1 hour"), ("4", "4 hours"), ("24", "1 day"), ("72", "3 days"), ("168", "1 week"))


@require_http_methods(["GET", "HEAD"])
@project_page()
def notice_log(request: HttpRequest, project: Project) -> HttpResponseBase:
    """Deliveries of a window, newest first, filtered by the address; `format` has them as a file."""
    query = request.GET
    window = read_window(query, clock.zone_of(project.time_zone), clock.now(), default="7d", keep=KEPT)
    asked = _asked(request)
    context: dict[str, Any] = {"project": project, "window": window, "asked": asked}
    try:
        with asking():
            if query.get("format") in FORMATS:
                rows = iter(()) if request.method == "HEAD" else _records(project.pk, asked, window)
                is_head = request.method == "HEAD"
                return download(f"{project.slug}-notices", query["format"], NAMES, rows, is_head=is_head)
            found = _rows(project.pk, asked, window, asked["before"], PAGE_SIZE + 1)
            channels = read.list_channels(project.pk, with_archived=True)
    except TooSlow:
        return render(request, "alerts/notices.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    more, found = len(found) > PAGE_SIZE, found[:PAGE_SIZE]
    names = {row.id: row.name for row in channels}
    context |= {
        "lines": [view.delivery(row) for row in found],
        "has_channel": any(row.archived_at is None for row in channels),
        "shown": f"{len(found)} message{'' if len(found) == 1 else 's'}, newest first",
        "older": query_string(query, before=str(found[-1].id)) if more else "",
        "newer": query_string(query, before=None) if asked["before"] else "",
        "states": [
            (query_string(query, state=key, before=None), word, key == asked["state"])
            for key, (_, word) in view.DELIVERY_STATES.items()
        ],
        "all_states": query_string(query, state=None, before=None),
        "kinds": [(kind.value, words) for kind, words in view.KINDS.items()],
        "channels": [(row.id, row.name) for row in channels],
        "kept": [(name, query[name]) for name in ("state", "t", "from", "to") if query.get(name)],
        "chips": _chips(request, asked, names),
        "csv": query_string(query, format="csv", before=None),
        "ndjson": query_string(query, format="ndjson", before=None),
        "address": reverse("notices", args=[project.slug]),
        "is_filtered": any(asked[name] for name in KEPT),
    }
    return render(request, "alerts/notices.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def notice(request: HttpRequest, project: Project, delivery_id: int) -> HttpResponse:
    """One message with its attempts."""
    row = _find(project, delivery_id)
    context = {
        "project": project,
        "line": view.delivery(row),
        "message": from_json(row.message) if row.message else None,
        "attempts": read.list_attempts(row.id),
        "may_change": may(project, "notify"),
    }
    return render(request, "alerts/notice.html", context)


@require_POST
@project_page(Role.ADMIN)
def notice_retry(request: HttpRequest, project: Project, delivery_id: int) -> HttpResponse:
    """Let a delivery that waits or was given up be tried at once."""
    row = _find(project, delivery_id)
    if delivering.retry_now(project, row.id, request=request):
        messages.success(request, "It is tried again within seconds.")
    else:
        messages.error(request, "There is nothing to try again.")
    return redirect("notice", slug=project.slug, delivery_id=delivery_id)


@require_http_methods(["GET", "HEAD"])
@project_page()
def silence_list(request: HttpRequest, project: Project) -> HttpResponse:
    """The silences that are on or ahead, those that are over, and the form for a new one."""
    return _silences(request, project, {"hours": "1"})


@require_POST
@project_page(Role.ENGINEER)
def silence_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Add a silence."""
    post = request.POST
    typed = {name: post.get(name, "")[:20_000] for name in ("hours", "until", "features", "reason")}
    chosen = [int(each) for each in post.getlist("monitor") if each.isascii() and each.isdigit() and len(each) < 19]
    levels = [int(each) for each in post.getlist("severity") if each in {"0", "1", "2", "3"}]
    told = {
        "end_at": _until(typed, clock.zone_of(project.time_zone)),
        "severities": levels,
        "features": [line.strip() for line in typed["features"].splitlines() if line.strip()],
        "monitors": chosen,
        "reason": typed["reason"],
    }
    try:
        silences.add(project, told, by_id=cast(User, request.user).pk, request=request)
    except ItemRefused as refused:
        return _silences(request, project, typed | {"monitors": chosen, "severities": levels}, refused.faults)
    messages.success(request, "The silence is on. Incidents open all the same; what still goes on is told at its end.")
    return redirect("silences", slug=project.slug)


@require_POST
@project_page(Role.ENGINEER)
def silence_end(request: HttpRequest, project: Project, silence_id: int) -> HttpResponse:
    """End a silence now."""
    try:
        if silences.end(project, silence_id, request=request):
            messages.success(request, "The silence is over. What it held back and still goes on is told.")
    except NotThere:
        raise Http404 from None
    return redirect("silences", slug=project.slug)


def _silences(
    request: HttpRequest, project: Project, typed: dict[str, Any], faults: tuple[Fault, ...] = ()
) -> HttpResponse:
    now = clock.now()
    monitors = [(each.id, each.name) for each in list_shown(project.pk) if each.archived_at is None]
    names = dict(monitors)
    found = [view.silence(row, row.state(now), names) for row in read.list_silences(project.pk)]
    context = {
        "project": project,
        "going": [line for line in found if not line.is_over],
        "over": [line for line in found if line.is_over][:50],
        "monitors": [(key, name, key in typed.get("monitors", ())) for key, name in monitors[:500]],
        "severities": [(level, level in typed.get("severities", ())) for level in (0, 1, 2, 3)],
        "lengths": LENGTHS,
        "typed": typed,
        "may_measure": may(project, "measure"),
        "faults": view.fault_words(faults),
        "bad": {fault.field.split("[")[0] for fault in faults},
    }
    return render(request, "alerts/silences.html", context, status=400 if faults else 200)


def _until(typed: dict[str, str], zone: ZoneInfo) -> datetime | None:
    """The end that was chosen: so many hours from now, or a moment on the wall clock of the project."""
    if typed["hours"] in dict(LENGTHS):
        return clock.now() + timedelta(hours=int(typed["hours"]))
    try:
        at = datetime.fromisoformat(typed["until"][:30])
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _asked(request: HttpRequest) -> dict[str, Any]:
    """The filters of an address; what it says wrongly is left out."""
    query = request.GET
    state, kind = query.get("state", ""), query.get("kind", "")
    incident = re.fullmatch(r"(?:INC-)?([0-9]{1,9})", query.get("incident", ""), re.ASCII | re.IGNORECASE)
    return {
        "state": state if state in STATES else "",
        "kind": kind if kind in {each.value for each in KINDS} else "",
        "channel": _number(query.get("channel", "")),
        "incident": int(incident[1]) if incident else None,
        "before": _number(query.get("before", "")),
    }


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _rows(project_id: int, asked: dict[str, Any], window: Any, before: int | None, limit: int) -> list[DeliveryRow]:
    return read.list_deliveries(
        project_id, states=(asked["state"],) if asked["state"] else (), kinds=(asked["kind"],) if asked["kind"] else (),
        channel_id=asked["channel"], incident_number=asked["incident"], start=window.start_at, end=window.end_at,
        before=before, limit=limit,
    )  # fmt: skip


def _records(project_id: int, asked: dict[str, Any], window: Any) -> Iterator[dict[str, Any]]:
    before: int | None = None
    while True:
        with asking():
            rows = _rows(project_id, asked, window, before, PIECE)
        for row in rows:
            yield {
                "id": row.id, "message_id": str(row.transition_id), "kind": row.kind, "at": row.at,
                "severity": None if row.severity is None else f"P{row.severity}",
                "incident": f"INC-{row.incident_number}" if row.incident_number else None, "to": row.to or None,
                "state": row.state, "headline": row.headline or None, "attempts": row.attempts, "status": row.status,
                "error": row.error or None, "receiver_ref": row.ref or None, "created_at": row.created_at,
                "ended_at": row.ended_at,
            }  # fmt: skip
        if len(rows) < PIECE:
            return
        before = rows[-1].id


def _chips(request: HttpRequest, asked: dict[str, Any], names: dict[int, str]) -> list[dict[str, str]]:
    told = {
        "state": view.DELIVERY_STATES[asked["state"]][1] if asked["state"] else "",
        "kind": next((words for kind, words in view.KINDS.items() if kind.value == asked["kind"]), ""),
        "channel": names.get(asked["channel"], f"number {asked['channel']}") if asked["channel"] else "",
        "incident": f"INC-{asked['incident']}" if asked["incident"] else "",
    }
    return [
        {"field": name, "word": word, "remove": query_string(request.GET, before=None, **{name: None}) or "?"}
        for name, word in told.items()
        if word
    ]


def _find(project: Project, delivery_id: int) -> DeliveryRow:
    row = read.get_delivery(project.pk, delivery_id)
    if row is None:
        raise Http404
    return row
