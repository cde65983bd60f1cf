"""The dated checks of a judge: what is due, what is under way, what they found."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from evals import routines
from evals.pages import routine_view as view
from evals.pages.calibration import judge_of
from evals.read.gates import RoutineRow, find_routine
from evals.read.gates import routines as read_routines
from evals.read.setup import JudgeView
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

SHOWN_MAX = 100


def routine_of(project: Project, judge: str, routine_id: int) -> RoutineRow:
    """A task of a judge; Http404."""
    row = find_routine(project.pk, routine_id)
    if row is None or row.judge_slug != judge:
        raise Http404
    return row


@require_http_methods(["GET", "HEAD"])
@project_page()
def routine_list(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """Every task of a judge, newest first, and what else can be begun."""
    found = judge_of(project, judge)
    rows = read_routines(project.pk, judge_id=found.id, most=SHOWN_MAX)
    open_kinds = {row.kind for row in rows if row.state == "running"}
    context = {
        "project": project,
        "judge": found,
        "lines": [view.line_of(row) for row in rows],
        "kinds": [
            (kind, view.NAMES[kind], view.PURPOSES[kind], kind in open_kinds, kind in view.COSTS_MONEY)
            for kind in routines.kinds_for(found.kind)
        ],
        "may_change": may(project, "measure"),
    }
    return render(request, "evals/calibration_routines.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def routine(request: HttpRequest, project: Project, judge: str, routine_id: int) -> HttpResponse:
    """One task with all it found."""
    row = routine_of(project, judge, routine_id)
    by_kind = (row.result.get("by_kind") or {}).items()
    context = {
        "project": project,
        "row": row,
        "line": view.line_of(row),
        "purpose": view.PURPOSES.get(row.kind, ""),
        "results": view.result_lines(row),
        "attacks": [(kind, found["flips"], found["attacks"]) for kind, found in by_kind],
        "places": [
            (place, found["flips"], found["attacks"]) for place, found in (row.result.get("by_place") or {}).items()
        ],
        "flips": view.flip_lines(row),
        "cost": view.cost_words(row),
        "may_change": may(project, "measure"),
    }
    return render(request, "evals/calibration_routine.html", context)


@require_POST
@project_page(Role.ENGINEER)
def begin(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """Begin a task now instead of on its day."""
    found = judge_of(project, judge)
    kind = request.POST.get("kind", "")
    if kind not in routines.kinds_for(found.kind):
        messages.error(request, "There is no such check of this judge.")
        return redirect("routines", project.slug, found.slug)
    version = asked_version(request, found) if kind == routines.ATTACKS else None
    begun = routines.begin_now(project, found, kind, version=version, request=request)
    if begun is None:
        messages.info(request, f"{view.NAMES[kind]} is under way already.")
        return redirect("routines", project.slug, found.slug)
    return redirect("routine", project.slug, found.slug, begun)


def asked_version(request: HttpRequest, judge: JudgeView) -> int | None:
    """The version that the injection set is to be put to; None for the live or newest one. Http404."""
    raw = request.POST.get("v", "")
    if not raw:
        return None
    found = judge.version(int(raw)) if raw.isascii() and raw.isdigit() and len(raw) < 9 else None
    if found is None:
        raise Http404
    return found.number


@require_POST
@project_page(Role.ENGINEER)
def skip(request: HttpRequest, project: Project, judge: str, routine_id: int) -> HttpResponse:
    """Let a task that is due or under way go; the next of its kind comes on its day."""
    row = routine_of(project, judge, routine_id)
    if routines.skip(project, row, request=request):
        messages.success(request, f"{view.NAMES[row.kind]} is skipped this time.")
    return redirect("routines", project.slug, row.judge_slug)
