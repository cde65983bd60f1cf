"""The list of monitors: which are outside their limits, what each says, and what they cost in false pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts.pages import expecting, monitor_list
from alerts.pages.monitor_list import FIRED_DAYS, PAGE_SIZE, STATES
from alerts.read.alarms import AlarmTally, tallies
from alerts.read.monitors import get_budget
from alerts.read.shown import Shown, list_shown, read_definitions, read_fixed, read_last, read_sparks
from alerts.series.catalogue import METRICS, find_metric
from evals.read.probe_state import suites
from telltale.lib import clock
from telltale.projects.access import may, project_page
from telltale.projects.models import Project
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import query_string
from traces.read import TooSlow
from traces.read.asking import asking

NAMES = (
    "id", "name", "metric", "method", "severity", "tier", "standing", "since", "says", "on", "muted_until", "value",
    "unit", "n", "window_start", "window_end", "limit_low", "limit_high", "alarms_30d", "pages_30d", "real", "false",
    "accepted", "unjudged", "windows_until_false_alarm", "false_expected_a_week",
)  # fmt: skip
_PIECE = 200


@require_http_methods(["GET", "HEAD"])
@project_page()
def monitor_list_page(request: HttpRequest, project: Project) -> HttpResponseBase:
    """The monitors of the project, most urgent first; `format` has all that are chosen as a file."""
    now, asked, query = clock.now(), monitor_list.read_asked(request.GET), request.GET
    since = monitor_list.since(now)
    context: dict[str, Any] = {
        "project": project,
        "asked": asked,
        "may_measure": may(project, "measure"),
        "days": FIRED_DAYS,
    }
    try:
        with asking():
            every = list_shown(project.pk)
            fired = tallies(project.pk, since, now)
            chosen = monitor_list.ordered(monitor_list.chosen(every, asked, now), now)
            if query.get("format") in FORMATS:
                return _download(project, chosen, fired, now, query["format"], is_head=request.method == "HEAD")
            page, at = monitor_list.page_of(chosen, asked.after)
            definitions = read_definitions(project.pk, [each.id for each in page])
            sparks, last, fixed = read_sparks(page, now), read_last(page), read_fixed(page)
            budget = get_budget(project.pk)
            probes = suites(project.pk) if not asked.is_filtered and not at else []
    except TooSlow:
        return render(request, "alerts/monitors.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    counted = monitor_list.count(every, now)
    context |= {
        "counted": counted,
        "is_any": bool(every),
        "headline": monitor_list.headline(counted),
        "rest": monitor_list.rest_words(counted),
        "false_pages": expecting.false_words(
            sum(fired[each.id].false for each in every if each.id in fired),
            sum(fired[each.id].unjudged for each in every if each.id in fired),
            expecting.pages_of(every, since, now),
            f"in the last {FIRED_DAYS} days",
        ),
        "budget": budget,
        "probes": monitor_list.probe_lines(probes),
        "lines": [
            monitor_list.line(
                each, definitions[each.id], sparks[each.id], last.get(each.id),
                fired.get(each.id, monitor_list.NOTHING_FIRED), expecting.count_of(each, since, now), now,
                None if expecting.takes_share(each) else expecting.by_chance(
                    definitions[each.id], fixed.get(each.id), each.updates_a_week
                ),
            )
            for each in page
        ],
        "shown": f"{at + 1:,}–{at + len(page):,} of {len(chosen):,}, most urgent first" if page else "",
        "older": query_string(query, after=str(page[-1].id)) if at + len(page) < len(chosen) else "",
        "newer": _newer(query, chosen, at),
        "states": [
            (query_string(query, state=key, after=None), word, key == asked.state) for key, word in STATES.items()
        ],
        "metrics": sorted({(each.metric, _title(each.metric)) for each in every}, key=lambda pair: pair[1]),
        "kept": [(name, query[name]) for name in ("state",) if query.get(name)],
        "chips": _chips(request),
        "csv": query_string(query, format="csv", after=None),
        "ndjson": query_string(query, format="ndjson", after=None),
        "address": reverse("monitors", args=[project.slug]),
    }  # fmt: skip
    return render(request, "alerts/monitors.html", context)


def _newer(query: QueryDict, chosen: Sequence[Shown], at: int) -> str:
    if not at:
        return ""
    before = at - PAGE_SIZE
    return query_string(query, after=str(chosen[before - 1].id) if before > 0 else None) or "?"


def _title(metric: str) -> str:
    found = find_metric(metric)
    return found.title if found else metric


def _chips(request: HttpRequest) -> list[dict[str, str]]:
    """The filters of the address, each with the address without it."""
    query, asked = request.GET, monitor_list.read_asked(request.GET)
    words = {
        "state": STATES.get(asked.state, ""),
        "severity": "" if asked.severity is None else f"P{asked.severity}",
        "tier": {"page": "pages", "notice": "notices only"}.get(asked.tier, ""),
        "metric": _title(asked.metric) if asked.metric else "",
        "q": asked.search,
    }
    names = {"q": "name has"}
    return [
        {"field": names.get(name, name), "word": word, "remove": query_string(query, after=None, **{name: None}) or "?"}
        for name, word in words.items()
        if word
    ]


def _download(
    project: Project,
    chosen: Sequence[Shown],
    fired: Mapping[int, AlarmTally],
    now: datetime,
    kind: str,
    *,
    is_head: bool,
) -> HttpResponseBase:
    records = _records(chosen, fired, now)
    return download(f"{project.slug}-monitors", kind, NAMES, iter(()) if is_head else records, is_head=is_head)


def _records(chosen: Sequence[Shown], fired: Mapping[int, AlarmTally], now: datetime) -> Iterator[dict[str, Any]]:
    for start in range(0, len(chosen), _PIECE):
        piece = chosen[start : start + _PIECE]
        last = read_last(piece)
        for each in piece:
            point, told = last.get(each.id), fired.get(each.id, monitor_list.NOTHING_FIRED)
            yield {
                "id": each.id,
                "name": each.name,
                "metric": each.metric,
                "method": each.method.value,
                "severity": f"P{each.severity}",
                "tier": "page" if each.is_paging else "notice",
                "standing": each.standing.value,
                "since": each.standing_since,
                "says": each.error or each.standing_words,
                "on": each.is_on,
                "muted_until": each.muted_until if each.is_muted(now) else None,
                "value": point and point.value,
                "unit": METRICS[each.metric].unit if each.metric in METRICS else None,
                "n": point and point.n,
                "window_start": point and point.start,
                "window_end": point and point.end,
                "limit_low": point and point.shown_low,
                "limit_high": point and point.shown_high,
                "alarms_30d": told.fired,
                "pages_30d": told.pages,
                "real": told.real,
                "false": told.false,
                "accepted": told.accepted,
                "unjudged": told.unjudged,
                "windows_until_false_alarm": each.arl0 if expecting.takes_share(each) else None,
                "false_expected_a_week": expecting.a_week(each),
            }
