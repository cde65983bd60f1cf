"""The page of a judge's sampling plan: what it takes and costs before it is saved, and the versions there were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from evals import setup
from evals.forms import plan as form
from evals.forms.fields import typed_of
from evals.pages.judge import find
from evals.pages.judges import plan_words
from evals.read import setup as read
from evals.read.setup import JudgeView, PlanView
from evals.setup import SetupRefused
from evals.setup.estimating import PlanEstimate, estimate_plan
from evals.setup.plans import checked_plan
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role

VERSIONS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Line:
    """A version of a plan as the table writes it."""

    plan: PlanView
    words: str
    filter: str
    state: str


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def plan(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """The plan in force, its editor with an estimate, and all versions."""
    view = find(project, judge)
    plans = read.list_plans(project.pk, view.id)
    now = clock.now()
    current = next((each for each in plans if each.holds_at(now)), None)
    if request.method == "POST":
        require(project, "measure")
        return _posted(request, project, view, plans, current)
    newest = next((each for each in plans if each.valid_to is None), current)
    typed = form.typed_from(newest.spec) if newest else dict(form.DEFAULTS)
    estimate = estimate_plan(project, view, view.live or view.newest, newest.spec) if newest else None
    return _page(request, project, view, plans, current, typed, estimate=estimate)


def _posted(
    request: HttpRequest, project: Project, view: JudgeView, plans: list[PlanView], current: PlanView | None
) -> HttpResponse:
    typed = typed_of(request.POST, form.NAMES)
    try:
        spec = checked_plan(form.spec_of(typed))
        start = form.start_of(typed, clock.zone_of(project.time_zone))
        if request.POST.get("do") == "estimate":
            estimate = estimate_plan(project, view, view.live or view.newest, spec)
            return _page(request, project, view, plans, current, typed, estimate=estimate, is_typed=True)
        made = setup.set_plan(
            project, view.slug, spec, valid_from=start, by_id=cast(User, request.user).pk, request=request
        )
    except SetupRefused as refused:
        return _page(request, project, view, plans, current, typed, refused, is_typed=True)
    messages.success(request, f"Plan {made.number} is saved. What was drawn before stays as it was drawn.")
    return redirect("judge_plan", slug=project.slug, judge=view.slug)


@require_POST
@project_page(Role.ENGINEER)
def end(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """Have nothing more drawn."""
    view = find(project, judge)
    if setup.end_plan(project, view.slug, request=request):
        messages.success(request, "Nothing more is drawn. What was drawn is still judged.")
    else:
        messages.error(request, "No plan was in force.")
    return redirect("judge_plan", slug=project.slug, judge=view.slug)


def _page(
    request: HttpRequest,
    project: Project,
    view: JudgeView,
    plans: list[PlanView],
    current: PlanView | None,
    typed: dict[str, str],
    refused: SetupRefused | None = None,
    *,
    estimate: PlanEstimate | None = None,
    is_typed: bool = False,
) -> HttpResponse:
    fields = form.fields_of(typed, refused)
    refused_at = refused.field.partition(".")[0] if refused else ""
    if refused_at == "share" and typed.get("kind") == "errors":
        refused_at = "signal_share"
    context: dict[str, Any] = {
        "project": project,
        "judge": view,
        "current": current,
        "words": plan_words(current),
        "lines": [_line(each) for each in plans[:VERSIONS_SHOWN]],
        "fields": fields,
        "estimate": estimate,
        "is_typed": is_typed,
        "refused": refused,
        "refused_field": fields.get("signal_error" if refused_at == "signals" else refused_at),
        "refused_at": "plan-form",
        "may_change": may(project, "measure") and view.archived_at is None,
    }
    return render(request, "evals/judge_plan.html", context, status=400 if refused else 200)


def _line(plan: PlanView) -> Line:
    now = clock.now()
    if plan.valid_to == plan.valid_from:
        state = "never in force"
    elif plan.holds_at(now):
        state = "in force"
    else:
        state = "to come" if plan.valid_from > now else "over"
    return Line(plan, plan_words(plan), form.typed_from(plan.spec)["filter"].replace("\n", "; "), state)
