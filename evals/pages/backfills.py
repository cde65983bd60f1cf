"""The pages of backfills: past traces that a judge is to score, priced before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from evals import backfilling
from evals.backfilling import BackfillRefused, Estimated
from evals.forms.fields import Field, choices_of, decimal_of, error_at, typed_of
from evals.pages.judge import find
from evals.pages.runs import reason_lines
from evals.read.backfills import list_backfills, view_of
from evals.read.setup import JudgeView
from evals.setup import SetupRefused
from telltale.accounts.models import User
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project
from traces.read import TooSlow

NAMES = ("version", "query", "share")
STATES = {
    "running": ("ok", "Running"),
    "paused": ("watch", "Paused"),
    "done": ("ok", "Done"),
    "cancelled": ("none", "Cancelled"),
}
STEPS = {
    "pause": (backfilling.pause, "Paused. What is being judged is finished.", "It does not run."),
    "resume": (backfilling.resume, "It goes on.", "It is not paused."),
    "cancel": (backfilling.cancel, "Cancelled. Its scores stay; what waited is skipped.", "It is over already."),
}


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def backfills(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """The form with its estimate, and the backfills there were."""
    view = find(project, judge)
    if request.method != "POST":
        version = view.live or view.newest
        typed = {"version": str(version.number), "query": request.GET.get("query", "t=7d")[:4000], "share": "100"}
        return _page(request, project, view, typed)
    require(project, "measure")
    typed = typed_of(request.POST, NAMES)
    try:
        version_id, share = _checked(view, typed)
        if request.POST.get("do") != "start":
            told = backfilling.estimate(project, version_id, typed["query"], share)
            return _page(request, project, view, typed, estimate=told)
        row = backfilling.start(
            project, version_id, typed["query"], share, by_id=cast(User, request.user).pk, request=request
        )
    except SetupRefused as refused:
        return _page(request, project, view, typed, refused)
    except BackfillRefused as error:
        return _page(request, project, view, typed, SetupRefused(error.field, error.message, error.limit))
    except TooSlow:
        slow = SetupRefused("query", "takes too long to count", "a shorter window or fewer words")
        return _page(request, project, view, typed, slow)
    messages.success(request, "Started. Live traces go first, so it may take its time.")
    return redirect("judge_backfill_one", slug=project.slug, judge=view.slug, backfill_id=row.pk)


def _checked(view: JudgeView, typed: Mapping[str, str]) -> tuple[int, float]:
    """The version's id and the share; SetupRefused."""
    raw = typed["version"]
    version = view.version(int(raw)) if raw.isascii() and raw.isdigit() and len(raw) < 9 else None
    if version is None:
        raise SetupRefused("version", "is none of this judge")
    pct = decimal_of("share", typed["share"])
    if pct is None:
        raise SetupRefused("share", "is empty", "0.1 to 100 %")
    return version.id, float(pct) / 100


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def backfill(request: HttpRequest, project: Project, judge: str, backfill_id: int) -> HttpResponse:
    """How far one backfill is; pause, resume, cancel."""
    view = find(project, judge)
    found = backfilling.progress(project.pk, backfill_id)
    if found is None or found.row.judge_version.judge_id != view.id:
        raise Http404
    if request.method == "POST":
        require(project, "measure")
        step = STEPS.get(request.POST.get("do", ""))
        if step is None:
            messages.error(request, "There is no such step.")
        elif step[0](project, backfill_id, request=request):
            messages.success(request, step[1])
        else:
            messages.error(request, step[2])
        return redirect("judge_backfill_one", slug=project.slug, judge=view.slug, backfill_id=backfill_id)
    shown = view_of(found.row)
    ribbon, word = STATES[shown.state]
    context: dict[str, Any] = {
        "project": project,
        "judge": view,
        "backfill": shown,
        "counts": found.counts,
        "reasons": reason_lines(found.counts, "28d"),
        "share_done": found.share_done,
        "done_pct": round((found.share_done or 0.0) * 100),
        "ribbon": ribbon,
        "word": word,
        "is_over": shown.state in ("done", "cancelled"),
        "may_change": may(project, "measure"),
    }
    is_swap = request.headers.get("HX-Request") == "true"
    return render(request, "evals/_judge_backfill.html" if is_swap else "evals/judge_backfill_one.html", context)


def _page(
    request: HttpRequest,
    project: Project,
    view: JudgeView,
    typed: Mapping[str, str],
    refused: SetupRefused | None = None,
    *,
    estimate: Estimated | None = None,
) -> HttpResponse:
    at = refused.field.partition(".")[0] if refused else ""
    versions = [
        (str(each.number), f"v{each.number}" + (" live" if each.id == view.live_version_id else ""))
        for each in view.versions[:50]
    ]

    def make(name: str, label: str, hint: str = "", **more: Any) -> Field:
        error = error_at(SetupRefused(at, refused.message, refused.limit), name) if refused else ""
        return Field(name, label, typed.get(name, ""), hint, error, **more)

    fields = {
        "version": make("version", "Version", kind="select", choices=choices_of(versions, typed.get("version", ""))),
        "query": make(
            "query",
            "Which traces",
            "As the address of the trace list has it behind the question mark, such as t=7d&feature=refunds.",
        ),
        "share": make("share", "Of these, at random", suffix="%", kind="number"),
    }
    found = list_backfills(project.pk, judge_id=view.id)
    context = {
        "project": project,
        "judge": view,
        "fields": fields,
        "refused": refused,
        "refused_field": fields.get("version" if at == "judge_version" else at),
        "estimate": estimate,
        "lines": [(each, *STATES[each.state]) for each in found],
        "may_change": may(project, "measure") and view.archived_at is None,
        "can_run": view.kind in ("model", "rule"),
    }
    return render(request, "evals/judge_backfill.html", context, status=400 if refused else 200)
