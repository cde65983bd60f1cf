"""The list of incidents: those that go on by the time left, those that are closed; and the form that opens one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts.incidents import wording
from alerts.incidents.types import GOING, SEVERITIES, STEPS, State, ref_of
from alerts.pages import incident_view as view
from alerts.pages.alarm_view import number as number_of
from alerts.read.incident_list import is_watched, read_closed
from alerts.read.incidents import (
    IncidentRow,
    Sort,
    Spot,
    get_incident,
    list_incidents,
    members_of,
    spot_of,
    tally_closed,
)
from alerts.read.signals import count_agreeing
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.access import may, project_page
from telltale.projects.models import Project
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import Window, query_string, read_window
from traces.read import TooSlow
from traces.read.asking import asking

OPEN_SIZE, CLOSED_SIZE, PIECE = 100, 25, 500
KEPT = ("severity", "step", "verdict", "owner", "feature", "q")
NAMES = (
    "number", "title", "severity", "state", "step", "verdict", "round", "origin", "scope", "members", "opened_at",
    "began_at", "quiet_since", "acknowledged_at", "acknowledged_by", "assignee", "step_due_at", "overdue", "closed_at",
    "closed_by", "cause", "scope_note", "override_reason", "merged_into",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters of an address; what it says wrongly is left out."""

    severity: int | None = None
    step: str = ""
    verdict: str = ""
    owner: str = ""  # me, nobody
    feature: str = ""
    q: str = ""

    @property
    def is_filtered(self) -> bool:
        return self != Asked()


@dataclass(frozen=True, slots=True)
class OpenLine:
    """One incident that goes on. `agree`: "3 of 5", "" where nothing can be compared."""

    row: IncidentRow
    about: str
    number: int
    step: str
    timer: view.Timer | None
    agree: str
    open_for: str
    ribbon: str
    word: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def incident_list(request: HttpRequest, project: Project) -> HttpResponseBase:
    """Incidents by the address's filters; `format` has all of the window as a file."""
    query, now, asked = request.GET, clock.now(), read_asked(request.GET)
    zone = clock.zone_of(project.time_zone)
    window = read_window(query, zone, now, default="28d", keep=KEPT)
    if query.get("format") in FORMATS:
        try:
            rows = iter(()) if request.method == "HEAD" else _records(request, project, asked, window)
            name = f"{project.slug}-incidents"
            return download(name, query["format"], NAMES, rows, is_head=request.method == "HEAD")
        except TooSlow:
            return busy_response()
        except Busy:
            return busy_response()
    context: dict[str, Any] = {"project": project, "window": window, "asked": asked}
    try:
        with asking():
            going = _list(request, project, asked, GOING, "time_left", OPEN_SIZE + 1, _spot(project, query, "after"))
            closed = _list(
                request, project, asked, (State.RESOLVED, State.MERGED), "closed", CLOSED_SIZE + 1,
                _spot(project, query, "before"), window,
            )  # fmt: skip
            members = members_of([row.id for row in going])
            agreed = count_agreeing(project.pk, going)
            tally = tally_closed(project.pk, window.start_at, window.end_at)
            beside = read_closed([row.id for row in closed])
            has_monitors = bool(going or closed) or is_watched(project.pk)
    except TooSlow:
        return render(request, "alerts/incidents.html", context | {"too_slow": True}, status=503)
    more_open, more_closed = len(going) > OPEN_SIZE, len(closed) > CLOSED_SIZE
    going, closed = going[:OPEN_SIZE], closed[:CLOSED_SIZE]
    context |= {
        "title": view.headline(going, now) if not asked.is_filtered else "Incidents",
        "going": [_open_line(row, members[row.id], agreed.get(row.id, (0, 0)), now) for row in going],
        "closed": [
            (row, view.VERDICTS[row.verdict] if row.state == State.RESOLVED else "Merged", beside[row.id])
            for row in closed
        ],
        "tally_words": tally_words(tally.closed, tally.real, tally.false, tally.median_hours),
        "more_open": query_string(query, after=str(going[-1].number)) if more_open else "",
        "first_open": query_string(query, after=None) if query.get("after") else "",
        "older": query_string(query, before=str(closed[-1].number)) + "#closed" if more_closed else "",
        "newer": query_string(query, before=None) + "#closed" if query.get("before") else "",
        "shown": f"{len(closed)} closed incident{'' if len(closed) == 1 else 's'}, newest first",
        "steps": STEPS,
        "severities": [(level, view.LEVELS[level]) for level in SEVERITIES],
        "verdicts": [("real", "Real"), ("false", "False alarm")],
        "chips": _chips(query, asked),
        "kept": [(name, query[name]) for name in ("t", "from", "to") if query.get(name)],
        "csv": query_string(query, format="csv", after=None, before=None),
        "ndjson": query_string(query, format="ndjson", after=None, before=None),
        "is_watched": has_monitors,
        "may_work": may(project, "review"),
        "may_measure": may(project, "measure"),
        "base": reverse("incidents", args=[project.slug]),
    }  # fmt: skip
    return render(request, "alerts/incidents.html", context)


def read_asked(query: QueryDict) -> Asked:
    """The filters of an address."""
    severity = query.get("severity", "").lower()
    return Asked(
        severity=int(severity[1]) if severity in {"p0", "p1", "p2", "p3"} else None,
        step=query.get("step", "") if query.get("step") in set(STEPS) else "",
        verdict=query.get("verdict", "") if query.get("verdict") in {"real", "false"} else "",
        owner=query.get("owner", "") if query.get("owner") in {"me", "nobody"} else "",
        feature=query.get("feature", "").replace("\x00", "").strip()[:200],
        q=query.get("q", "").replace("\x00", "").strip()[:200],
    )


def tally_words(closed: int, real: int, false: int, hours: float | None) -> str:
    """ "7 incidents: 5 real, 2 false alarms (29%). Median time to close 5 h 10 min"; "" without any."""
    if not closed:
        return ""
    told = f"{closed} closed: {real} real, {false} false alarm{'' if false == 1 else 's'}"
    told += f" ({fmt.share(false / closed)})" if false else ""
    return f"{told}. Median time to close {view.minutes_words(hours * 60)}" if hours is not None else told


def _list(
    request: HttpRequest,
    project: Project,
    asked: Asked,
    states: tuple[State, ...],
    sort: Sort,
    limit: int,
    after: Spot | None,
    window: Window | None = None,
) -> list[IncidentRow]:
    return list_incidents(
        project.pk,
        states=states,
        severities=() if asked.severity is None else (asked.severity,),
        steps=(asked.step,) if asked.step else (),
        verdicts=(asked.verdict,) if asked.verdict else (),
        assignee_id=request.user.pk if asked.owner == "me" else None,
        unassigned=asked.owner == "nobody",
        feature=asked.feature,
        q=asked.q,
        since=window.start_at if window else None,
        until=window.end_at if window else None,
        limit=limit,
        after=after,
        sort=sort,
    )


def _spot(project: Project, query: QueryDict, name: str) -> Spot | None:
    """Where the page before ended: the place of the incident that the address names."""
    number = number_of(query.get(name, ""))
    row = get_incident(project.pk, number) if number is not None else None
    return None if row is None else spot_of(row, "time_left" if name == "after" else "closed")


def _open_line(row: IncidentRow, members: Any, agreed: tuple[int, int], now: Any) -> OpenLine:
    told = [f"{each.name} {each.before_now or each.says}".strip() for each in members]
    more = row.members - len(told)
    about = "; ".join(told) + (f"; and {more} more" if more > 0 and told else "")
    started, due = row.step_started_at, row.step_due_at
    ribbon, word = view.STATES[row.state]
    return OpenLine(
        row,
        wording.cut(about or f"Opened by {row.created_by}" if about or row.created_by else "No alarm", 240),
        STEPS.index(row.step) + 1,
        view.TITLES[row.step][0],
        view.timer(started, due, now) if started and due else None,
        f"{agreed[0]} of {agreed[1]}" if agreed[1] else "",
        view.span_words(now - row.opened_at),
        ribbon,
        word,
    )


def _chips(query: QueryDict, asked: Asked) -> list[dict[str, str]]:
    told = {
        "severity": "" if asked.severity is None else f"P{asked.severity}",
        "step": asked.step,
        "verdict": view.VERDICTS[asked.verdict].lower() if asked.verdict else "",
        "owner": {"me": "me", "nobody": "nobody"}.get(asked.owner, ""),
        "feature": asked.feature,
        "q": asked.q,
    }
    return [
        {
            "field": "search" if name == "q" else name,
            "word": word,
            "remove": query_string(query, after=None, before=None, **{name: None}),
        }
        for name, word in told.items()
        if word
    ]


def _records(request: HttpRequest, project: Project, asked: Asked, window: Window) -> Iterator[dict[str, Any]]:
    spot: Spot | None = None
    while True:
        with asking():
            rows = _list(request, project, asked, tuple(State), "opened", PIECE, spot, window)
        for row in rows:
            yield {
                "number": row.number, "title": row.title, "severity": f"P{row.severity}", "state": str(row.state),
                "step": str(row.step), "verdict": row.verdict or None, "round": row.round, "origin": row.origin,
                "scope": row.scope_words, "members": row.members, "opened_at": row.opened_at,
                "began_at": row.began_at, "quiet_since": row.quiet_since, "acknowledged_at": row.acknowledged_at,
                "acknowledged_by": row.acknowledged_by or None, "assignee": row.assignee or None,
                "step_due_at": row.step_due_at, "overdue": row.is_overdue, "closed_at": row.closed_at,
                "closed_by": row.closed_by or None, "cause": row.cause_note or None,
                "scope_note": row.scope_note or None, "override_reason": row.override_reason or None,
                "merged_into": ref_of(row.merged_into) if row.merged_into else None,
            }  # fmt: skip
        if len(rows) < PIECE:
            return
        spot = spot_of(rows[-1], "opened")
