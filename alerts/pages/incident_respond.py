"""The section "respond" of an incident's page: what was done, and whether its series are back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from alerts import looking, recovering
from alerts.incidents import recovered
from alerts.pages.alarm_view import number as number_of
from alerts.pages.incident_acts import NOTHING, back, me, said
from alerts.pages.units import unit_of
from alerts.read.incidents import IncidentRow, get_incident
from alerts.read.reports import ResponseRow, reports_of, responses_of
from alerts.series.catalogue import find_metric
from alerts.tasks import look_into_incidents
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

_RIBBONS = {
    "back": ("ok", "Back"),
    "not_yet": ("watch", "Not yet"),
    "waiting": ("none", "Waiting"),
    "relapsed": ("bad", "Out again"),
    "nothing": ("none", "Nothing to watch"),
}
_ABOUT = {
    "rollback": "Back to the version before.",
    "hotfix": "A new version that mends it.",
    "config": "A setting, a route, an index.",
    "provider": "The provider mended it, or another one answers.",
    "other": "Anything else: say what.",
    "none": "It went by itself, or stays as it is.",
}


@dataclass(frozen=True, slots=True)
class Made:
    """One response."""

    row: ResponseRow
    word: str


@dataclass(frozen=True, slots=True)
class Series:
    """One series since the response: before the incident, during, since; and where it stands."""

    name: str
    href: str
    ribbon: str
    word: str
    levels: str
    words: str


@dataclass(frozen=True, slots=True)
class RespondPart:
    """What `alerts/incident/_respond.html` shows. `kinds`: (kind, word, about, is chosen)."""

    made: tuple[Made, ...]
    ribbon: str
    word: str
    words: str
    series: tuple[Series, ...]
    is_waiting: bool
    made_at: datetime | None
    error: str
    kinds: tuple[tuple[str, str, str, bool], ...]
    now: str
    hours: float | None
    may_work: bool


def part(project: Project, incident: IncidentRow, request: HttpRequest) -> RespondPart:
    """What `alerts/incident/_respond.html` shows as `part`."""
    report = reports_of(incident.id, incident.round).get("recovery")
    responses = responses_of(incident.id, incident.round)
    body: Mapping[str, Any] = report.body if report is not None and responses else {}
    ribbon, word = _RIBBONS.get(body.get("state", ""), ("none", "Waiting"))
    suggested = "rollback" if incident.cause_change is not None else "hotfix"
    return RespondPart(
        made=tuple(Made(row, recovered.KIND_WORDS.get(row.kind, row.kind)) for row in responses),
        ribbon=ribbon,
        word=word,
        words=str(body.get("words", "")),
        series=tuple(_series(one, project) for one in body.get("series", [])),
        is_waiting=bool(responses) and (report is None or report.state == "waiting"),
        made_at=report.made_at if report is not None else None,
        error=report.error if report is not None and responses else "",
        kinds=tuple((kind, recovered.KIND_WORDS[kind], _ABOUT[kind], kind == suggested) for kind in recovered.KINDS),
        now=f"{clock.now().astimezone(clock.zone_of(project.time_zone)):%Y-%m-%dT%H:%M}",
        hours=body.get("hours_needed"),
        may_work=may(project, "review") and incident.is_going,
    )


@require_POST
@project_page(Role.REVIEWER)
def respond_act(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """`act` record (`kind`, `at`, `note`, `url`, `log`), withdraw (`response`), or again."""
    if get_incident(project.pk, number) is None:
        raise Http404
    act = request.POST.get("act", "")
    anchor = "respond"
    with said(request):
        if act == "record":
            recovering.record(
                project, number, request.POST.get("kind", ""), at=_moment(request, project),
                note=request.POST.get("note", ""), url=request.POST.get("url", "").strip(),
                as_change=request.POST.get("log") == "yes", user=me(request), request=request,
            )  # fmt: skip
            looking.ask(project, number, "recovery")
            wake(look_into_incidents)
            messages.success(request, "The response is recorded. Its series are watched until they are back.")
        elif act == "withdraw":
            response = number_of(request.POST.get("response", ""))
            if response is None:
                messages.info(request, NOTHING)
            else:
                recovering.withdraw(project, number, response, user=me(request), request=request)
                messages.success(request, "The response is taken back.")
        elif act == "again":
            looking.ask(project, number, "recovery")
            wake(look_into_incidents)
            messages.success(request, "Its series are looked at again.")
        else:
            messages.info(request, NOTHING)
    return back(request, project, number, anchor)


def _moment(request: HttpRequest, project: Project) -> datetime | None:
    text = request.POST.get("at", "").strip()[:40]
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=clock.zone_of(project.time_zone))
        if not 1970 <= found.year <= 2200:
            raise ValueError
    except ValueError:
        raise ItemRefused(Fault("at", "is no time", "a time such as 2026-11-19 11:00", text)) from None
    # The form says minutes: one that was just begun is now.
    return min(found, clock.now())


def _series(one: Mapping[str, Any], project: Project) -> Series:
    unit = unit_of(find_metric(one["metric"]))
    told = [
        f"{word} {unit.text(one[key])}"
        for word, key in (("before", "value_before"), ("during", "value_during"), ("since", "value_after"))
        if one[key] is not None
    ]
    if one["is_back"]:
        ribbon, word = "ok", "Back"
    elif one["state"] == "out":
        ribbon, word = "bad", "Out of limits"
    else:
        ribbon, word = ("none", "Waiting") if one["state"] == "waiting" else ("watch", "Not yet")
    href = f"/p/{project.slug}/monitors/{one['monitor_id']}/"
    return Series(one["name"], href, ribbon, word, ", ".join(told), one["words"])
