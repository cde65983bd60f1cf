"""The quality page: how good the answers are, how sure that is, over time and by part of the traffic."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from evals.pages import quality_charts, quality_view
from evals.read.estimates import (
    FLAG,
    SCORES_MIN,
    Estimates,
    Reviewed,
    Row,
    Step,
    Where,
    read_estimates,
    read_levels,
    read_over_time,
)
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.access import may, project_page
from telltale.projects.models import Project
from traces.pages.change_marks import marks_in
from traces.pages_accounting import query_string, read_window
from traces.read import TooSlow

DIMS = ("feature", "model", "prompt_version")
LABELS = {"feature": "Feature", "model": "Model", "prompt_version": "Prompt version"}
HOURLY_UP_TO, DAILY_UP_TO = timedelta(hours=49), timedelta(days=62)
VALUE_CHARS_MAX = 1024
LINES_MAX = 50
By = Literal["feature", "model", "prompt_version"]


@require_http_methods(["GET", "HEAD"])
@project_page()
def quality(request: HttpRequest, project: Project) -> HttpResponse:
    """The estimates of the window asked for."""
    zone, query = clock.zone_of(project.time_zone), request.GET
    names = (*DIMS, *(f"{name}.missing" for name in DIMS), "by", "of")
    window = read_window(query, zone, clock.now(), default="7d", keep=names)
    where, errors = read_where(query)
    by = query.get("by", "feature")
    if by not in DIMS:
        errors.append(f"by: {by[:40]!r} is no breakdown; {', '.join(DIMS)} are.")
        by = "feature"
    links = quality_view.Links(project, zone, where)
    context: dict[str, Any] = {
        "project": project,
        "window": window,
        "errors": errors,
        "chips": _chips(query, where),
        "clear": query_string(query, **dict.fromkeys(names[:6])),
        "may_measure": may(project, "measure"),
        "judges_href": f"{links.base}judges/",
        "new_judge": f"{links.base}judges/new/",
        "review_href": f"{links.base}review/",
        "label": LABELS[by],
    }
    length = window.end_at - window.start_at
    step: Step = "hour" if length <= HOURLY_UP_TO else "day" if length <= DAILY_UP_TO else "week"
    try:
        asked = (project.pk, project.time_zone, window.start_at, window.end_at, where, step)
        found, over_time, reviewed = read_over_time(*asked)
        chosen = _chosen(found, query.get("of", ""))
        context |= _answer(project, query, found, chosen, links)
        if found.rows:
            marks = marks_in(project.pk, over_time.start, over_time.end, features=[where.feature])
            context |= {"figures": marks.on_each(quality_charts.figures(over_time, zone, links)), "marks": marks}
            context |= {"step": step, "least": SCORES_MIN}
        if chosen is not None:
            context |= _breakdown(project, query, found, chosen, links, by, reviewed)  # type: ignore[arg-type]
    except TooSlow:
        return render(request, "evals/quality.html", context | {"too_slow": True}, status=503)
    return render(request, "evals/quality.html", context)


def read_where(query: QueryDict) -> tuple[Where, list[str]]:
    """The part of the traffic that an address asks about, and what of it was not understood."""
    values: dict[str, str | None] = {}
    errors = []
    for name in DIMS:
        value = query.get(name, "").strip()
        if query.get(f"{name}.missing") == "yes":
            values[name] = ""
        elif len(value) > VALUE_CHARS_MAX:
            errors.append(f"{name}: at most {VALUE_CHARS_MAX:,} characters, got {len(value):,}; it was left out.")
        elif "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
            errors.append(f"{name}: holds characters that no stored text has; it was left out.")
        elif value:
            values[name] = value
    return Where(**values), errors  # type: ignore[arg-type]


def _answer(
    project: Project, query: QueryDict, found: Estimates, chosen: Row | None, links: quality_view.Links
) -> dict[str, Any]:
    unordered = {row.of.name for row in found.rows if row.is_unordered}
    levels = read_levels(project.pk, found.start, found.end, unordered, links.where) if unordered else {}
    choose = query_string(query, of=None) + "&{}#by"
    judged = any(each.states for each in found.coverage.values())
    main = quality_view.primary(found.rows)
    return {
        "found": found,
        "headline": quality_view.headline(found, judged),
        "judges": quality_view.judge_views(found, links, levels, choose),
        "is_empty": not found.rows and not judged,
        "has_judges": bool(found.judges),
        "main": main,
        "limit": quality_view.NONRESPONSE_WORDS,
    }


def _chosen(found: Estimates, asked: str) -> Row | None:
    """The criterion that the breakdown is about: the one asked for, else the headline's."""
    rows = [row for row in found.rows if row.of.name != FLAG]
    named = next((row for row in rows if quality_view.criterion_key(row.of) == asked), None)
    return named or quality_view.primary(found.rows) or next(iter(rows), None)


def _breakdown(
    project: Project,
    query: QueryDict,
    found: Estimates,
    chosen: Row,
    links: quality_view.Links,
    by: By,
    reviewed: Reviewed,
) -> dict[str, Any]:
    where = Where(
        version_id=chosen.of.version_id,
        judge_id=chosen.of.judge_id,
        **{name: getattr(links.where, name) for name in DIMS},
    )
    groups = read_estimates(
        project.pk,
        project.time_zone,
        found.start,
        found.end,
        where,
        by,
        with_coverage=False,
        name=chosen.of.name,
        reviewed=reviewed,
    )
    narrow = query_string(query, **{by: None, f"{by}.missing": None}) + "&{}"
    lines = quality_view.lines(groups.rows, found, links, by, narrow)
    return {
        "chosen": chosen,
        "lines": lines[:LINES_MAX],
        "more": max(len(lines) - LINES_MAX, 0),
        "tabs": [(query_string(query, by=name) + "#by", f"By {LABELS[name].lower()}", name == by) for name in DIMS],
    }


def _chips(query: QueryDict, where: Where) -> list[tuple[str, str, str]]:
    """Each filter as (field, word, the address without it)."""
    chips = []
    for name in DIMS:
        value = getattr(where, name)
        if value is not None:
            without = query_string(query, **{name: None, f"{name}.missing": None})
            chips.append((LABELS[name].lower(), value or fmt.UNKNOWN, without))
    return chips
