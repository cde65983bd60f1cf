"""The section "scope" of an incident's page: who is affected, ranked, with the traces behind each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from alerts import looking, moving, scoping
from alerts.incidents import scoped
from alerts.incidents.types import Step
from alerts.pages.incident_acts import NOTHING, back, me, said
from alerts.read.incidents import IncidentRow, get_incident
from alerts.read.reports import ReportRow, reports_of
from alerts.tasks import look_into_incidents
from telltale.jobs.wake import wake
from telltale.lib import format as fmt
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

UNCLEAR_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One slice. `share_bad`, `share_all` in per cent, for the bars; `href` "" where no list can show it."""

    parts: tuple[tuple[str, str], ...]
    name: str
    share_bad: int
    share_all: int
    bad: str
    all: str
    ratio: str
    interval: str
    told: str
    is_proposed: bool
    note: str
    href: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScopePart:
    """What `alerts/incident/_scope.html` shows. `rows` empty: nothing stands out, and `finding` says so."""

    report: ReportRow | None
    is_waiting: bool
    finding: str
    affected: str
    rows: tuple[Row, ...]
    unclear: tuple[Row, ...]
    foot: str
    left_out: tuple[str, ...]
    fields: int
    is_mix: bool
    draft: str
    made_at: datetime | None
    error: str
    may_work: bool


def part(project: Project, incident: IncidentRow, request: HttpRequest) -> ScopePart:
    """What `alerts/incident/_scope.html` shows as `part`."""
    report = reports_of(incident.id, incident.round).get("scope")
    body = report.body if report is not None else {}
    root = f"/p/{project.slug}/traces/"
    is_there = bool(body)
    return ScopePart(
        report=report,
        is_waiting=report is None or report.state == "waiting",
        finding=scoped.finding(body) if is_there else "",
        affected=_affected(body) if is_there else "",
        rows=tuple(_row(one, root, body) for one in body.get("slices", [])),
        unclear=tuple(_row(one, root, body) for one in body.get("unclear", [])[:UNCLEAR_SHOWN]),
        foot=_foot(body) if is_there else "",
        left_out=tuple(body.get("not_compared", [])),
        fields=len(body.get("fields", [])),
        is_mix=bool(body.get("is_mix")),
        draft=scoped.draft(body) if is_there else "",
        made_at=report.made_at if report is not None else None,
        error=report.error if report is not None else "",
        may_work=may(project, "review") and incident.is_going,
    )


@require_POST
@project_page(Role.REVIEWER)
def scope_act(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """`act` finish (with `note`), draft, or again."""
    if get_incident(project.pk, number) is None:
        raise Http404
    act, note = request.POST.get("act", ""), request.POST.get("note", "")
    anchor = "scope"
    with said(request):
        if act == "finish":
            step = scoping.write_scope(project, number, note, user=me(request), request=request)
            anchor = str(step)
            messages.success(request, "The scope is written. It goes into messages and the summary.")
        elif act == "draft":
            moving.save_draft(project, number, Step.SCOPE, {"note": note[:4_000]})
            messages.success(request, "The draft is kept.")
        elif act == "again":
            looking.ask(project, number, "scope")
            wake(look_into_incidents)
            messages.success(request, "It is compared again; that takes some seconds.")
        else:
            messages.info(request, NOTHING)
    return back(request, project, number, anchor)


def _row(one: Mapping[str, Any], root: str, body: Mapping[str, Any]) -> Row:
    then = one.get("share_before") if body.get("is_mix") else None
    share_bad, share_all = one["share_of_bad"] or 0.0, (then if then is not None else one["share_of_all"]) or 0.0
    return Row(
        parts=tuple((scoped.title_of(name), value) for name, value in one["parts"]),
        name=one["name"],
        share_bad=round(100 * share_bad),
        share_all=round(100 * share_all),
        bad=fmt.share(share_bad),
        all=fmt.share(share_all),
        ratio=_times(one["ratio"]),
        interval=f"{_times(one['ratio_low'])}{fmt.EN_DASH}{_times(one['ratio_high'])}",
        told=_told(one, body),
        is_proposed=one["is_proposed"],
        note=_note(one),
        href=f"{root}?{one['traces']}" if one.get("traces") else "",
        examples=tuple(one.get("examples", [])[:3]),
    )


def _told(one: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    if body.get("is_mix"):
        return f"{fmt.count(one['bad'])} responses now"
    part = one["share_of_excess"]
    told = f"{fmt.count(one['bad'])} of {fmt.count(one['n'])}, {fmt.share(one['rate_outside'])} elsewhere"
    return f"{told}; {fmt.share(part)} of the excess" if part is not None and part > 0 else told


def _note(one: Mapping[str, Any]) -> str:
    notes = []
    if one["was_always_bad"]:
        notes.append(f"as much worse before{' in ' + one['like'] if one['like'] else ''}")
    elif not one["is_proposed"]:
        notes.append("may be chance")
    if one["through"]:
        notes.append(f"through {one['through']}")
    if one["also"]:
        notes.append(f"the same responses: {', '.join(one['also'][:3])}")
    return "; ".join(notes)


def _affected(body: Mapping[str, Any]) -> str:
    now, before = body["now"], body["before"]
    if body.get("is_mix"):
        return (
            f"No single response is bad by this measure, so {fmt.count(now['n'])} responses of the stretch are "
            f"compared with {fmt.count(before['n'])} of the baseline: what there is more of."
        )
    if now["share"] is None:
        return "No response of the stretch can be judged by this measure."
    told = (
        f"{fmt.count(now['bad'])} of {fmt.count(now['n'])} responses {body['by']['words']}: {fmt.share(now['share'])} "
        f"({fmt.share(now['low'])}{fmt.EN_DASH}{fmt.share(now['high'])})"
    )
    return f"{told}, in the baseline {fmt.share(before['share'])}." if before["share"] is not None else f"{told}."


def _foot(body: Mapping[str, Any]) -> str:
    if body.get("too_little"):
        return ""
    told = (
        f"{fmt.count(body['tested'])} values and pairs of {len(body['fields'])} fields were tested, false discoveries "
        f"held to {body['q']:.0%} of a list. Range: 95% interval. Grey bars: all responses."
    )
    if body["too_few"]:
        told += f" {fmt.count(body['too_few'])} had fewer than 10 affected and were not tested."
    if body["left_out"]:
        told += f" {fmt.count(body['left_out'])} more were left out: the 2,000 with most affected are tested."
    more = body.get("more_slices", 0)
    return f"{told} {fmt.count(more)} more rows are in the API." if more else told


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
