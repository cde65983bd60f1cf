"""What people do on the page of an incident: each POST one act, then back. Steps have addresses of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from alerts import moving, regrouping
from alerts.incidents.types import NotThere, Outdated, Step, WrongState, ref_of
from alerts.pages.alarm_view import number as number_of
from alerts.read.incidents import get_incident
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from telltale.projects.access import project_page
from telltale.projects.models import Project, Role

MUTES = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "24h": timedelta(days=1), "7d": timedelta(days=7)}
NOTHING = "Nothing was chosen, so nothing was done."
REPEATED = "It was like that already."
Act = Callable[[HttpRequest, Project, int], tuple[str, str]]


@require_POST
@project_page(Role.REVIEWER)
def incident_act(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """`act`: one of ACTS, with what its form holds."""
    if get_incident(project.pk, number) is None:
        raise Http404
    act = ACTS.get(request.POST.get("act", ""))
    anchor, to = "", number
    with said(request):
        if act is None:
            messages.info(request, NOTHING)
        else:
            words, anchor = act(request, project, number)
            if anchor.isdigit():
                anchor, to = "", int(anchor)
            messages.success(request, words) if words else messages.info(request, REPEATED)
    return back(request, project, to, anchor)


@contextmanager
def said(request: HttpRequest) -> Iterator[None]:
    """Tell the person what an act refused, on the page they come back to; Http404 where there is no such incident."""
    try:
        yield
    except ItemRefused as refused:
        for fault in refused.faults:
            limit = f" Accepted is {fault.limit}." if fault.limit else ""
            messages.error(request, f"{fault.field.replace('_', ' ').capitalize()} {fault.message}.{limit}")
    except WrongState as wrong:
        messages.error(request, wrong.words)
    except Outdated:
        messages.error(request, "Somebody changed the incident meanwhile. Look again, then do it once more.")
    except NotThere:
        raise Http404 from None


def back(request: HttpRequest, project: Project, number: int, anchor: str = "") -> HttpResponse:
    """To the incident, or to the page of ours that the form named as `next`."""
    here = request.POST.get("next", "")
    root = f"/p/{project.slug}/"
    if here.startswith(root) and len(here) < 2_000 and url_has_allowed_host_and_scheme(here, allowed_hosts=None):
        return redirect(here)
    return redirect(reverse("incident", args=[project.slug, number]) + (f"#{anchor}" if anchor else ""))


def me(request: HttpRequest) -> User:
    """Who is signed in; pages that act are for nobody else."""
    return cast(User, request.user)


def _acknowledge(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    done = moving.acknowledge(project, number, user=me(request), request=request)
    return f"{ref_of(number)} is acknowledged: you are on it." if done else "", ""


def _assign(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    raw = request.POST.get("user_id", "")
    user_id = number_of(raw) if raw else None
    if raw and user_id is None:
        return "", ""
    done = moving.assign(project, number, user_id, user=me(request), request=request)
    return ("It has another owner now." if user_id else "Nobody owns it now.") if done else "", ""


def _watch(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    done = moving.watch(project, number, user=me(request), request=request)
    return "You are told of it by e-mail, whatever the routes say." if done else "", ""


def _unwatch(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    return "You are told as the routes say." if moving.unwatch(
        project, number, user=me(request), request=request
    ) else "", ""


def _comment(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    moving.comment(project, number, request.POST.get("text", ""), user=me(request), request=request)
    return "The note is in the timeline.", "timeline"


def _retitle(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    done = moving.retitle(project, number, request.POST.get("title", ""), user=me(request), request=request)
    return "It has another title." if done else "", ""


def _severity(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    level = number_of(request.POST.get("severity", ""))
    done = moving.set_severity(project, number, -1 if level is None else level, user=me(request), request=request)
    return f"It is P{level} now; the timer of its step follows." if done else "", ""


def _mute(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    how = request.POST.get("for", "")
    until = clock.now() + MUTES[how] if how in MUTES else None
    done = moving.mute(project, number, until=until, until_worse=how == "worse", user=me(request), request=request)
    return "Nobody is told of it meanwhile; the page and the timeline go on." if done else "", ""


def _unmute(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    return "People are told of it again." if moving.unmute(
        project, number, user=me(request), request=request
    ) else "", ""


def _merge(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    into = number_of(request.POST.get("into", "").strip().upper().removeprefix("INC-"))
    regrouping.merge(project, number, into or 0, user=me(request), request=request)
    return f"{ref_of(number)} is merged: this is {ref_of(into or 0)}.", str(into)


def _split(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    chosen = [found for each in request.POST.getlist("member")[:1_000] if (found := number_of(each)) is not None]
    made = regrouping.split(project, number, chosen, user=me(request), request=request)
    return f"Split off {ref_of(number)}: this is {ref_of(made)}.", str(made)


def _go_back(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    raw = request.POST.get("step", "")
    if raw not in set(Step):
        return "", ""
    done = moving.go_back(project, number, Step(raw), user=me(request), request=request)
    return f"It is at {raw} again; its timer begins anew." if done else "", raw


def _reopen(request: HttpRequest, project: Project, number: int) -> tuple[str, str]:
    regrouping.open_again(project, number, request.POST.get("reason", ""), user=me(request), request=request)
    return f"{ref_of(number)} is open again, at triage.", ""


ACTS: dict[str, Act] = {
    "acknowledge": _acknowledge,
    "assign": _assign,
    "watch": _watch,
    "unwatch": _unwatch,
    "comment": _comment,
    "retitle": _retitle,
    "severity": _severity,
    "mute": _mute,
    "unmute": _unmute,
    "merge": _merge,
    "split": _split,
    "go_back": _go_back,
    "reopen": _reopen,
}
