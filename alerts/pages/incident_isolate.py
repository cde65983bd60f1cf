"""The section "isolate" of an incident's page: where it began, changes by fit, versions and texts side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from alerts import isolating, looking
from alerts.incidents import isolated, scoped
from alerts.pages.alarm_view import number as number_of
from alerts.pages.chart_figure import time_ticks
from alerts.pages.incident_acts import NOTHING, REPEATED, back, me, said
from alerts.pages.units import unit_of
from alerts.read.incidents import IncidentRow, get_incident
from alerts.read.reports import reports_of
from alerts.series.catalogue import find_metric
from alerts.tasks import look_into_incidents
from telltale.jobs.wake import wake
from telltale.lib import charts
from telltale.lib import format as fmt
from telltale.lib.clock import zone_of
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

SHOWN, EVENTS_DRAWN, ROWS_SHOWN = 8, 6, 60
SIZE = (700, 220)
_BADGES = {"strong": "info", "possible": "", "weak": "line", "none": "line"}


@dataclass(frozen=True, slots=True)
class Row:
    """One change of the log and how it fits."""

    id: int
    title: str
    note: str
    author: str
    at: datetime
    href: str
    lag: str
    place: str
    overlap: str
    contrast: str
    match: str
    badge: str
    is_cause: bool


@dataclass(frozen=True, slots=True)
class Side:
    """Two versions of something at the same time."""

    name: str
    old: str
    new: str
    words: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change changed: pieces of text (op, text), settings (key, before, after)."""

    title: str
    pieces: tuple[tuple[str, str], ...]
    is_same: bool
    settings: tuple[tuple[str, str, str], ...]
    traces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IsolatePart:
    """What `alerts/incident/_isolate.html` shows."""

    is_there: bool
    is_waiting: bool
    finding: str
    began: str
    figure: charts.Figure | None
    rows: tuple[Row, ...]
    more: tuple[Row, ...]
    left: int
    versions: tuple[Side, ...]
    differences: tuple[Difference, ...]
    foot: str
    cause: str
    cause_note: str
    made_at: datetime | None
    error: str
    may_work: bool


def part(project: Project, incident: IncidentRow, request: HttpRequest) -> IsolatePart:
    """What `alerts/incident/_isolate.html` shows as `part`."""
    report = reports_of(incident.id, incident.round).get("isolate")
    body: Mapping[str, Any] = report.body if report is not None else {}
    zone = zone_of(project.time_zone)
    changes = body.get("changes", [])
    rows = tuple(_row(one, project, incident) for one in changes)
    cause = next((row.title for row in rows if row.is_cause), "")
    return IsolatePart(
        is_there=bool(body),
        is_waiting=report is None or report.state == "waiting",
        finding=isolated.finding(body) if body else "",
        began=_began(body, zone) if body else "",
        figure=_figure(body, zone) if body else None,
        rows=rows[:SHOWN],
        more=rows[SHOWN:],
        left=body.get("more_changes", 0),
        versions=tuple(_side(one) for one in body.get("versions", [])),
        differences=tuple(_difference(one) for one in body.get("differences", [])),
        foot=_foot(body, zone) if body else "",
        cause=cause or (f"change {incident.cause_change}" if incident.cause_change else ""),
        cause_note=incident.cause_note,
        made_at=report.made_at if report is not None else None,
        error=report.error if report is not None else "",
        may_work=may(project, "review") and incident.is_going,
    )


@require_POST
@project_page(Role.REVIEWER)
def isolate_act(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """`act` cause (with `change` or `note`), clear, or again."""
    if get_incident(project.pk, number) is None:
        raise Http404
    act = request.POST.get("act", "")
    anchor = "isolate"
    with said(request):
        if act == "cause":
            raw = request.POST.get("change", "")
            change = number_of(raw) if raw else None
            if raw and change is None:
                messages.info(request, NOTHING)
                return back(request, project, number, anchor)
            note = request.POST.get("note", "")
            anchor = str(isolating.mark_cause(project, number, change, note, user=me(request), request=request))
            messages.success(request, "It is noted what it began with.")
        elif act == "clear":
            done = isolating.clear_cause(project, number, user=me(request), request=request)
            messages.success(request, "It is open again what it began with.") if done else messages.info(
                request, REPEATED
            )
        elif act == "again":
            looking.ask(project, number, "isolate")
            wake(look_into_incidents)
            messages.success(request, "The log is ranked again; that takes some seconds.")
        else:
            messages.info(request, NOTHING)
    return back(request, project, number, anchor)


def _row(one: Mapping[str, Any], project: Project, incident: IncidentRow) -> Row:
    about = one["note"].strip().split("\n", 1)[0][:120] or ("seen in traces" if one["is_derived"] else "")
    shared = ", ".join(scoped.slice_name([part.split(" ", 1)]) for part in one["shared"])
    return Row(
        id=one["id"],
        title=one["title"],
        note=about,
        author=one["author"],
        at=datetime.fromisoformat(one["at"]),
        href=reverse("change", args=[project.slug, one["id"]]),
        lag=isolated.lag_words(one["lag_seconds"]) if one["lag_seconds"] is not None else "",
        place=isolated.PLACES.get(one["place"] or "", ""),
        overlap=f"Yes: {shared}" if one["overlap"] == "same" and shared else isolated.OVERLAPS[one["overlap"]],
        contrast=_contrast(one["contrast"], one["says"]),
        match=isolated.MATCHES[one["match"]],
        badge=_BADGES[one["match"]],
        is_cause=one["id"] == incident.cause_change,
    )


def _contrast(found: Mapping[str, Any] | None, says: str) -> str:
    if found is None:
        return ""
    words = {"worse": "the new one is worse", "alike": "no difference", "open": "cannot be told yet"}.get(says, "")
    return f"{words}: {_versus(found)}" if words else _versus(found)


def _versus(found: Mapping[str, Any]) -> str:
    low, high = (f"{100 * found[name]:+.1f}".replace("-", fmt.MINUS) for name in ("low", "high"))
    return (
        f"{fmt.share(found['new_rate'])} of {fmt.count(found['n_new'])} against {fmt.share(found['old_rate'])} of "
        f"{fmt.count(found['n_old'])} (difference {low} to {high} points)"
    )


def _side(one: Mapping[str, Any]) -> Side:
    title = scoped.title_of(one["attribute"])
    if one["low"] > 0:
        told = f"At the same time {one['new']} is worse than {one['old']}"
    elif one["high"] < 0:
        told = f"At the same time {one['old']} is worse than {one['new']}"
    else:
        told = f"No difference between {one['new']} and {one['old']} at the same time is beyond chance"
    return Side(title, one["old"], one["new"], f"{told}: {_versus(one)}, in {one['windows']} windows with both.")


def _difference(one: Mapping[str, Any]) -> Difference:
    text = one.get("text") or {}
    return Difference(
        title=one["title"],
        pieces=tuple((op, piece) for op, piece in text.get("pieces", [])),
        is_same=bool(text.get("is_same")),
        settings=tuple(
            (each["key"], _known(each["before"]), _known(each["after"])) for each in one.get("settings", [])
        ),
        traces=tuple(one.get("traces", [])),
    )


def _known(value: str | None) -> str:
    return "not told" if value is None else value


def _began(body: Mapping[str, Any], zone: ZoneInfo) -> str:
    onset = body["onset"]
    if onset["at"] is None:
        return ""
    at, low, high = (datetime.fromisoformat(onset[name]).astimezone(zone) for name in ("at", "low", "high"))
    same_day = low.date() == high.date() == at.date()
    style = "%H:%M" if same_day else "%a %d %b %H:%M"
    span = f"95% interval {low.strftime(style)}{fmt.EN_DASH}{high.strftime(style)}"
    if low == high:
        span = f"95%: in that window of {_minutes(onset['window_seconds'])}"
    told = f"It began {at:%a %d %b %H:%M} ({span})"
    return f"{told}, by the share {onset['words']}." if onset["words"] else f"{told}."


def _figure(body: Mapping[str, Any], zone: ZoneInfo) -> charts.Figure | None:
    onset = body["onset"]
    series = [(datetime.fromisoformat(at), value, n) for at, value, n in onset["series"]]
    known = [value for _, value, _ in series if value is not None]
    if len(known) < 2:
        return None
    is_part = onset["at"] is not None and bool(onset["words"])
    unit = charts.SHARE if is_part else unit_of(find_metric(body["metric"]))
    half = onset["window_seconds"] / 2
    xs = [at.timestamp() + half for at, _, _ in series]
    start, end = xs[0] - half, xs[-1] + half
    lines = [charts.Line(xs, [value for _, value, _ in series], "c-line")]
    if onset["at"] is not None:
        low, high = (datetime.fromisoformat(onset[name]).timestamp() for name in ("low", "high"))
        high = max(high, low + 2 * half)
        top, bottom = max(known), 0.0 if min(known) >= 0 else min(known)
        lines.insert(0, charts.Line([low, high], [None, None], "c-grid", [bottom] * 2, [top] * 2, "c-zone"))
    drawn = [
        one
        for one in body["changes"]
        if start <= datetime.fromisoformat(one["at"]).timestamp() <= end and one["match"] in {"strong", "possible"}
    ]
    events = [
        charts.Event(datetime.fromisoformat(one["at"]).timestamp(), one["label"], one["match"] == "strong")
        for one in drawn[:EVENTS_DRAWN]
    ]
    first, last = (datetime.fromtimestamp(x, zone) for x in (start, end))
    picture = charts.line_picture(
        lines,
        time_ticks(first, last, zone),
        unit,
        x_range=(start, end),
        size=SIZE,
        from_zero=min(known) >= 0,
        events=events,
        marks=[
            charts.Mark(x, value, "c-pt", 2) for x, (_, value, _) in zip(xs, series, strict=True) if value is not None
        ],
    )
    name = f"Share affected {onset['words']}" if is_part else body["monitor"] or "The series"
    finding = f"{name}, in windows of {_minutes(onset['window_seconds'])}"
    rows = tuple(
        charts.Row((f"{at.astimezone(zone):%a %d %b %H:%M}", unit.text(value), fmt.count(n)))
        for at, value, n in reversed(series[-ROWS_SHOWN:])
    )
    told = f"between {unit.text(min(known))} and {unit.text(max(known))}"
    legend = (("s1", "value of a window"), ("s6s", "where it began, 95%")) if onset["at"] else ()
    return charts.Figure(
        finding=finding,
        note="",
        sentence=f"{finding}: {len(known)} windows, {told}.",
        picture=picture,
        head=("Window", "Value", "n"),
        rows=rows,
        legend=legend,
        is_fit=True,
    )


def _foot(body: Mapping[str, Any], zone: ZoneInfo) -> str:
    if body["onset"]["at"] is None:
        return "Without a clear start the log is listed, newest first, and nothing is proposed."
    told = "The match weighs the time before it began, whom the change touched"
    told += ", and versions side by side" if body["versions"] else ""
    return f"{told}. It suggests; a person decides."


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 or minutes % 60 else f"{minutes // 60} h"
