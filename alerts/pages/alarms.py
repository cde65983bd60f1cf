"""The list of alarms: what detectors said, newest first, and what people said of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts.incidents.types import Kind
from alerts.pages import alarm_view, words
from alerts.pages.alarm_view import UNJUDGED, AlarmsAsked
from alerts.read.alarms import AlarmRow, get_alarm, list_alarms
from alerts.read.incidents import incidents_of
from alerts.read.shown import Shown, list_shown
from telltale.lib import clock
from telltale.projects.access import may, project_page
from telltale.projects.models import Project
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import Window, query_string, read_window
from traces.read import TooSlow
from traces.read.asking import asking

PAGE_SIZE, PIECE = 50, 500
KEPT = ("state", "verdict", "severity", "tier", "monitor")
NAMES = (
    "id", "monitor_id", "monitor", "metric", "severity", "page", "state", "verdict", "note", "window_start",
    "window_end", "direction", "rule", "statistic", "limit", "value", "found_at", "acknowledged_by",
    "acknowledged_at", "ended_at", "closed_by", "closed_at", "baseline_id",
)  # fmt: skip


@require_http_methods(["GET", "HEAD"])
@project_page()
def alarm_list(request: HttpRequest, project: Project) -> HttpResponseBase:
    """The alarms of a window, filtered by the address; `format` has them as a file."""
    query, asked = request.GET, alarm_view.read_asked(request.GET)
    window = read_window(query, clock.zone_of(project.time_zone), clock.now(), default="28d", keep=KEPT)
    context: dict[str, Any] = {"project": project, "window": window, "asked": asked}
    try:
        with asking():
            monitors = list_shown(project.pk)
            before = get_alarm(project.pk, asked.before) if asked.before is not None else None
            spot = (before.window_start, before.id) if before else None
            if query.get("format") in FORMATS:
                rows = iter(()) if request.method == "HEAD" else _records(project.pk, asked, window)
                return download(
                    f"{project.slug}-alarms", query["format"], NAMES, rows, is_head=request.method == "HEAD"
                )
            found = _list(project.pk, asked, window, spot, PAGE_SIZE + 1)
            incidents = incidents_of(project.pk, Kind.ALARM, [row.id for row in found])
    except TooSlow:
        return render(request, "alerts/alarms.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    more, found = len(found) > PAGE_SIZE, found[:PAGE_SIZE]
    context |= {
        "lines": alarm_view.lines(found),
        "incidents": incidents,
        "may_work": may(project, "review"),
        "is_any": bool(monitors),
        "shown": f"{len(found)} alarm{'' if len(found) == 1 else 's'}, newest first",
        "older": query_string(query, before=str(found[-1].id)) if more else "",
        "newer": query_string(query, before=None) if spot else "",
        "states": [
            (query_string(query, state=key, before=None), word, key == asked.state)
            for key, (_, word) in words.ALARM_STATES.items()
        ],
        "all_states": query_string(query, state=None, before=None),
        "verdicts": [(UNJUDGED, "Nobody said"), *((k, w.capitalize()) for k, w in words.VERDICTS.items() if k)],
        "monitors": [(each.id, each.name) for each in monitors if each.archived_at is None],
        "kept": [(name, query[name]) for name in ("state", "t", "from", "to") if query.get(name)],
        "chips": _chips(request, asked, monitors),
        "csv": query_string(query, format="csv", before=None),
        "ndjson": query_string(query, format="ndjson", before=None),
        "address": reverse("alarms", args=[project.slug]),
        "base": reverse("monitors", args=[project.slug]),
    }
    return render(request, "alerts/alarms.html", context)


def _list(
    project_id: int, asked: AlarmsAsked, window: Window, before: tuple[datetime, int] | None, limit: int
) -> list[AlarmRow]:
    return list_alarms(
        project_id,
        monitor_id=asked.monitor_id,
        states=(asked.state,) if asked.state else (),
        verdicts=("" if asked.verdict == UNJUDGED else asked.verdict,) if asked.verdict else (),
        severities=() if asked.severity is None else (asked.severity,),
        pages_only=asked.pages_only,
        start=window.start_at,
        end=window.end_at,
        before=before,
        limit=limit,
    )


def _chips(request: HttpRequest, asked: AlarmsAsked, monitors: list[Shown]) -> list[dict[str, str]]:
    names = {each.id: each.name for each in monitors}
    told = {
        "state": words.ALARM_STATES[asked.state][1] if asked.state else "",
        "verdict": "nobody said" if asked.verdict == UNJUDGED else words.VERDICTS.get(asked.verdict or "-", ""),
        "severity": "" if asked.severity is None else f"P{asked.severity}",
        "tier": "pages" if asked.pages_only else "",
        "monitor": "" if asked.monitor_id is None else names.get(asked.monitor_id, f"number {asked.monitor_id}"),
    }
    return [
        {"field": name, "word": word, "remove": query_string(request.GET, before=None, **{name: None})}
        for name, word in told.items()
        if word
    ]


def _records(project_id: int, asked: AlarmsAsked, window: Window) -> Iterator[dict[str, Any]]:
    spot: tuple[datetime, int] | None = None
    while True:
        with asking():
            rows = _list(project_id, asked, window, spot, PIECE)
        for row in rows:
            yield {
                "id": row.id, "monitor_id": row.monitor_id, "monitor": row.monitor_name, "metric": row.metric,
                "severity": f"P{row.severity}", "page": row.is_page, "state": row.state,
                "verdict": row.verdict or None, "note": row.note or None, "window_start": row.window_start,
                "window_end": row.window_end, "direction": row.direction, "rule": row.rule,
                "statistic": row.statistic, "limit": row.limit, "value": row.value, "found_at": row.found_at,
                "acknowledged_by": row.acknowledged_by or None, "acknowledged_at": row.acknowledged_at,
                "ended_at": row.ended_at, "closed_by": row.closed_by or None, "closed_at": row.closed_at,
                "baseline_id": row.baseline_id,
            }  # fmt: skip
        if len(rows) < PIECE:
            return
        spot = (rows[-1].window_start, rows[-1].id)
