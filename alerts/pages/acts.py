"""What people do on the page of a monitor: alarms, baselines, muting. Each POST does one act and goes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from alerts import alarming, baselining, monitoring
from alerts.pages.chart import find_monitor
from alerts.read.alarms import get_alarm
from alerts.read.baselines import get_baseline
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.lib.faults import ItemRefused
from telltale.projects.access import project_page
from telltale.projects.models import Project, Role

MUTES = {"1h": timedelta(hours=1), "8h": timedelta(hours=8), "24h": timedelta(days=1), "7d": timedelta(days=7)}
NOTHING = "Nothing was chosen, so nothing was done."
_CLOSED = {
    "real": "The alarm is closed as real.",
    "false": "The alarm is closed as a false alarm. It counts against the budget.",
    "accepted": "The alarm is closed: the change is accepted. It needs a new baseline once the level is there.",
}


class _Unread(Exception):
    """What was typed cannot be read; its text is for the person."""


@require_POST
@project_page(Role.REVIEWER)
def alarm_act(request: HttpRequest, project: Project, monitor_id: int, alarm_id: int) -> HttpResponse:
    """`act` acknowledge, or close with `verdict` and `note`."""
    found = get_alarm(project.pk, alarm_id) if 0 < alarm_id < 2**63 else None
    if found is None or found.monitor_id != monitor_id:
        raise Http404
    act = request.POST.get("act", "")
    try:
        if act == "acknowledge":
            done = alarming.acknowledge(project, alarm_id, _me(request), request=request)
            said = "It is noted that you are on it." if done else "The alarm is over, or somebody was on it already."
        elif act == "close":
            verdict, note = request.POST.get("verdict", ""), request.POST.get("note", "").replace("\x00", "")
            done = alarming.close(project, alarm_id, verdict, note, _me(request), request=request)
            said = _CLOSED.get(verdict, "The alarm is closed.") if done else "It was closed like that already."
        else:
            done, said = False, NOTHING
    except ItemRefused as refused:
        _refuse(request, refused)
    except alarming.NoAlarm:
        raise Http404 from None
    else:
        (messages.success if done else messages.info)(request, said)
    return _back(request, project, monitor_id, "#alarm")


@require_POST
@project_page(Role.ENGINEER)
def baseline_act(request: HttpRequest, project: Project, monitor_id: int) -> HttpResponse:
    """`act` approve or refuse a `baseline`, or renew from `start` to `end` (empty: from where the level began)."""
    find_monitor(project, monitor_id)
    act = {"approve": _approve, "refuse": _refuse_baseline, "renew": _renew}.get(request.POST.get("act", ""))
    if act is None:
        messages.info(request, NOTHING)
        return _back(request, project, monitor_id, "#baseline")
    try:
        said = act(request, project, monitor_id)
    except ItemRefused as refused:
        _refuse(request, refused)
    except _Unread as unread:
        messages.error(request, str(unread))
    except baselining.NoBaseline:
        raise Http404 from None
    else:
        messages.success(request, said)
    return _back(request, project, monitor_id, "#baseline")


@require_POST
@project_page(Role.ENGINEER)
def switch_act(request: HttpRequest, project: Project, monitor_id: int) -> HttpResponse:
    """`act` mute (`for` 1h, 8h, 24h, 7d), unmute, on, off, archive, restore."""
    monitor = find_monitor(project, monitor_id)
    act, name = request.POST.get("act", ""), monitor.name
    if act == "mute" and request.POST.get("for") not in MUTES:
        messages.error(request, "Choose for how long to mute it.")
        return _back(request, project, monitor_id, "#settings")
    until = clock.now() + MUTES.get(request.POST.get("for", ""), timedelta(0))
    acts: dict[str, tuple[Callable[[], None], str]] = {
        "mute": (
            lambda: monitoring.mute(project, monitor_id, until, request=request),
            f"{name} is muted until {_words(project, until)}. It is still charted; the others share its part of the "
            "budget meanwhile.",
        ),
        "unmute": (lambda: monitoring.unmute(project, monitor_id, request=request), f"{name} may page again."),
        "on": (lambda: monitoring.switch(project, monitor_id, is_on=True, request=request), f"{name} is on."),
        "off": (
            lambda: monitoring.switch(project, monitor_id, is_on=False, request=request),
            f"{name} is off: nothing is charted until it is on again.",
        ),
        "archive": (
            lambda: monitoring.archive(project, monitor_id, request=request),
            f"{name} is put away. Its chart and alarms stay.",
        ),
        "restore": (lambda: monitoring.restore(project, monitor_id, request=request), f"{name} is back."),
    }
    if act not in acts:
        messages.info(request, NOTHING)
        return _back(request, project, monitor_id, "#settings")
    do, said = acts[act]
    try:
        do()
    except ItemRefused as refused:
        _refuse(request, refused)
    except monitoring.NotThere:
        messages.error(request, f"{name} is put away; take it back first.")
    else:
        messages.success(request, said)
    return _back(request, project, monitor_id, "#settings")


def _approve(request: HttpRequest, project: Project, monitor_id: int) -> str:
    baselining.approve(project, _baseline(request, project, monitor_id), _me(request), request=request)
    return "The baseline is approved."


def _refuse_baseline(request: HttpRequest, project: Project, monitor_id: int) -> str:
    baselining.refuse(project, _baseline(request, project, monitor_id), request=request)
    return "The proposed baseline is refused; the one in force stays."


def _renew(request: HttpRequest, project: Project, monitor_id: int) -> str:
    zone = clock.zone_of(project.time_zone)
    reason = request.POST.get("reason", "").strip()
    if not reason:
        raise _Unread("Say why: the reason is kept with the baseline.")
    done = baselining.rebaseline(
        project,
        monitor_id,
        start=_moment(request.POST.get("start", ""), zone, "From"),
        end=_moment(request.POST.get("end", ""), zone, "To"),
        reason=reason,
        user=_me(request),
        request=request,
    )
    start = fmt.moment(done.learns_from, zone, clock.now(), seconds=False)
    if done.baseline_id is None:
        return f"The chart learns anew from {start}: {done.words}."
    return f"Baseline {done.baseline_id}, learned from {start} on, is {done.words}."


def _baseline(request: HttpRequest, project: Project, monitor_id: int) -> int:
    text = request.POST.get("baseline", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    found = get_baseline(project.pk, number) if number else None
    if found is None or found.monitor_id != monitor_id:
        raise Http404
    return number


def _moment(text: str, zone: ZoneInfo, name: str) -> datetime | None:
    text = text.strip()[:40]
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=zone)
        if not 1970 <= found.year <= 2200:
            raise ValueError
    except ValueError:
        raise _Unread(f"{name} takes a time such as 2026-11-19 11:00, not {fmt.visible(text)}.") from None
    return found


def _words(project: Project, at: datetime) -> str:
    return fmt.moment(at, clock.zone_of(project.time_zone), clock.now(), seconds=False)


def _refuse(request: HttpRequest, refused: ItemRefused) -> None:
    for fault in refused.faults:
        limit = f" Accepted is {fault.limit}." if fault.limit else ""
        messages.error(request, f"{fault.field.replace('_', ' ').capitalize()} {fault.message}.{limit}")


def _back(request: HttpRequest, project: Project, monitor_id: int, anchor: str) -> HttpResponse:
    """To where the form stood, if that is a page of ours."""
    here = request.POST.get("next", "")
    own = reverse("monitor", args=[project.slug, monitor_id])
    if here.startswith(own) and url_has_allowed_host_and_scheme(here, allowed_hosts=None) and len(here) < 2_000:
        return redirect(here.split("#")[0] + anchor)
    return redirect(own + anchor)


def _me(request: HttpRequest) -> User:
    return cast(User, request.user)
