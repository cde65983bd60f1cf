"""The calibration of a judge: whether it may be trusted, what it misses, and how that changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from evals import calibrating, routines
from evals.calibrating.asking import begin_task
from evals.calibrating.gates import GATE_FIELDS, METRICS, GateRefused, parse_gate, save_gate
from evals.pages import calibration_charts as charts
from evals.pages import calibration_versions, routine_view
from evals.pages import calibration_view as view
from evals.read import calibration as read
from evals.read import setup as set_up
from evals.read.calibration import EVERYTHING, CalibrationRow, Scope
from evals.read.gates import gate_for, last_routines
from evals.read.setup import JudgeVersionView, JudgeView
from evals.reviewing.config import DAYS_MAX, REVIEWERS_MAX, WANTED_MAX, RefusedReview
from evals.rubrics import Criterion
from telltale.accounts.models import User
from telltale.lib.clock import zone_of
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

HISTORY_MAX = 200
TEXT_MAX = 300


@dataclass(frozen=True, slots=True)
class Choice:
    """A link of a switch."""

    href: str
    word: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What part of a judge's calibration an address is about."""

    judge: JudgeView
    version: JudgeVersionView
    criterion: Criterion
    scope: Scope

    def link(self, **other: Any) -> str:
        """This address with something changed."""
        named = {"v": self.version.number, "criterion": self.criterion.key, **self.scope.stored(), **other}
        return "?" + urlencode({name: value for name, value in named.items() if value not in ("", None)})


def me(request: HttpRequest) -> User:
    """The person signed in."""
    return cast(User, request.user)


def judge_of(project: Project, slug: str) -> JudgeView:
    """A judge of the project; Http404."""
    found = set_up.get_judge(project.pk, slug)
    if found is None:
        raise Http404
    return found


def asked_of(request: HttpRequest, judge: JudgeView) -> Asked:
    """What the address asks for; what it leaves open is the live version, its first criterion and all traffic."""
    raw = request.GET.get("v", "")
    version = judge.live or judge.newest
    if raw:
        named = judge.version(int(raw)) if raw.isascii() and raw.isdigit() and len(raw) < 10 else None
        if named is None:
            raise Http404
        version = named
    rubric = version.rubric_version.rubric
    key = request.GET.get("criterion", "")
    criterion = rubric.criterion(key) if key else rubric.criteria[0]
    if criterion is None:
        raise Http404
    scope = Scope(*(request.GET.get(name, "")[:TEXT_MAX] for name in ("feature", "model", "prompt_version")))
    return Asked(judge, version, criterion, scope)


@require_http_methods(["GET", "HEAD"])
@project_page()
def calibration(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """One judge version against people, in one criterion and scope: gate, figures, what it misses, history."""
    asked = asked_of(request, judge_of(project, judge))
    rows = read.newest(project.pk, version_id=asked.version.id, criterion=asked.criterion.key)
    row = next((each for each in rows if each.scope == asked.scope), None)
    history = read.kept(
        project.pk, judge_id=asked.judge.id, criterion=asked.criterion.key, scope=asked.scope, most=HISTORY_MAX
    )
    choice = gate_for(project.pk, asked.judge.id)
    result = row.result if row is not None else {}
    found = result.get("missed") or []
    questions = read.questions(project.pk, read.ids_of(found[: view.MISSED_SHOWN]))
    queue = _review_href(project, result)
    labels = 0 if row is not None else read.count_labels(project.pk, asked.criterion.key)
    context = {
        "project": project,
        "judge": asked.judge,
        "version": asked.version,
        "criterion": asked.criterion,
        "scope": asked.scope,
        "row": row,
        "labels": labels,
        "headline": view.headline(row, asked.version.number),
        "badge_css": view.STATE_CSS[row.state if row else "none"],
        "badge_word": view.STATE_WORD[row.state if row else "none"],
        "gate": view.gate_view(result),
        "confusion": view.confusion_view(result, asked.version.number),
        "missed": view.missed_view(result, questions, f"/p/{project.slug}/traces/", queue),
        "lines": view.figure_lines(result),
        "lean": view.lean_lines(result),
        "flag": view.flag_lines(result),
        "has_traffic": bool(result.get("agreement_of_traffic")),
        "checks": _checks(project, asked.judge),
        "notes": view.notes(result),
        "figure": charts.history(history, choice.settings, zone_of(project.time_zone)),
        "versions": _versions(asked),
        "criteria": _criteria(asked),
        "scopes": _scopes(asked, rows),
        "others": [each for each in asked.judge.versions if each.number != asked.version.number],
        "link": asked.link(),
        "metric": view.metric_words(str((result.get("gate") or {}).get("metric") or choice.settings.metric)),
        "edit": reverse("calibration_gate", args=[project.slug, asked.judge.slug]),
        "may_change": may(project, "measure"),
    }
    return render(request, "evals/calibration.html", context)


def _checks(project: Project, judge: JudgeView) -> tuple[routine_view.CheckLine, ...]:
    return routine_view.last_lines(last_routines(project.pk, judge.id), routines.kinds_for(judge.kind))


def _versions(asked: Asked) -> list[Choice]:
    live = asked.judge.live_version_id
    return [
        Choice(
            asked.link(v=each.number),
            f"v{each.number}" + (" live" if each.id == live else ""),
            each.id == asked.version.id,
        )
        for each in asked.judge.versions[:6]
        if each.rubric_version.rubric.criterion(asked.criterion.key) is not None
    ]


def _criteria(asked: Asked) -> list[Choice]:
    return [
        Choice(asked.link(criterion=each.key), each.title, each.key == asked.criterion.key)
        for each in asked.version.rubric_version.rubric.criteria
    ]


def _scopes(asked: Asked, rows: tuple[CalibrationRow, ...]) -> list[Choice]:
    base = {"feature": "", "model": "", "prompt_version": ""}
    known = sorted(
        {row.scope for row in rows} | {EVERYTHING, asked.scope}, key=lambda each: (each != EVERYTHING, each.words)
    )
    return [Choice(asked.link(**base | each.stored()), each.words, each == asked.scope) for each in known]


def _review_href(project: Project, result: dict[str, Any]) -> str:
    slug = result.get("queue_slug")
    return f"/p/{project.slug}/review/{slug}/" if slug else f"/p/{project.slug}/review/"


@require_POST
@project_page(Role.ENGINEER)
def again(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """Set a judge version against the labels there are by now."""
    asked = asked_of(request, judge_of(project, judge))
    found = calibrating.calibrate(project.pk, asked.version, asked.criterion, asked.scope)
    if found is None:
        messages.info(request, "No answer has both a label of a person and a score of this version yet.")
    else:
        messages.success(
            request, f"Set against {found.pairs:,} labelled answers: {view.STATE_WORD[found.state].lower()}."
        )
    return redirect(reverse("calibration", args=[project.slug, asked.judge.slug]) + asked.link())


@require_http_methods(["GET", "HEAD"])
@project_page()
def compare(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """Two versions of a judge on the same labelled answers; `v` and `against` name them."""
    asked = asked_of(request, judge_of(project, judge))
    raw = request.GET.get("against", "")
    other = asked.judge.version(int(raw)) if raw.isascii() and raw.isdigit() and len(raw) < 10 else None
    if raw and other is None:
        raise Http404
    if other is None:
        other = next((each for each in asked.judge.versions if each.id != asked.version.id), asked.version)
    found = None
    if other.id != asked.version.id:
        found = calibrating.compare(project.pk, asked.version, other, asked.criterion, asked.scope)
    context = {
        "project": project,
        "judge": asked.judge,
        "version": asked.version,
        "other": other,
        "criterion": asked.criterion,
        "scope": asked.scope,
        "found": found,
        "lines": calibration_versions.comparison_lines(found),
        "headline": calibration_versions.comparison_headline(found, asked.version.number, other.number),
        "link": asked.link(),
    }
    return render(request, "evals/calibration_compare.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def gate(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """The values of the gate: of this judge, or of the whole project."""
    found = judge_of(project, judge)
    choice = gate_for(project.pk, found.id)
    typed: dict[str, str] = {}
    error: GateRefused | None = None
    of = "project"
    if request.method == "POST":
        of = "judge" if request.POST.get("of") == "judge" else "project"
        typed = {
            name: request.POST.get(name, "")[:TEXT_MAX] for name in ("metric", *(each.name for each in GATE_FIELDS))
        }
        try:
            wanted = parse_gate(typed)
        except GateRefused as refused:
            error = refused
        else:
            if of == "judge":
                save_gate(project, wanted, judge_id=found.id, judge_slug=found.slug, request=request)
                messages.success(request, f"{found.name} has a gate of its own, and what was calibrated is put to it.")
            else:
                save_gate(project, wanted, request=request)
                if choice.is_own:
                    save_gate(project, None, judge_id=found.id, judge_slug=found.slug, request=request)
                messages.success(request, "Saved for all judges without a gate of their own.")
            calibrating.judge_again(project.pk, found.id)
            return redirect("calibration", project.slug, found.slug)
    else:
        of = "judge" if choice.is_own else "project"
        values = choice.settings
        typed = {each.name: _text(getattr(values, each.name)) for each in GATE_FIELDS} | {"metric": values.metric}
    context = {
        "project": project,
        "judge": found,
        "of": of,
        "metrics": [(name, view.METRICS[name], name == typed["metric"]) for name in METRICS],
        "fields": [
            (each, typed[each.name], error.message if error is not None and error.field == each.name else "")
            for each in GATE_FIELDS
        ],
        "error": error,
        "error_label": _label(error),
    }
    return render(request, "evals/calibration_gate.html", context, status=400 if error else 200)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _label(error: GateRefused | None) -> str:
    if error is None:
        return ""
    return next((each.label for each in GATE_FIELDS if each.name == error.field), "Measure of agreement")


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def task(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """Draw answers for people to label blind; the answer is a review queue."""
    asked = asked_of(request, judge_of(project, judge))
    typed = {"wanted": "200", "days": "28", "reviewers": "1", "double": "20"}
    error: RefusedReview | None = None
    if request.method == "POST":
        typed = {name: request.POST.get(name, "")[:TEXT_MAX].strip() for name in typed}
        try:
            made = begin_task(
                project,
                asked.judge,
                asked.version,
                criterion=asked.criterion.key,
                feature=asked.scope.feature,
                wanted=_whole(typed, "wanted", 1, WANTED_MAX),
                days=_whole(typed, "days", 1, DAYS_MAX),
                reviewers=_whole(typed, "reviewers", 1, REVIEWERS_MAX),
                double_share=_whole(typed, "double", 0, 100) / 100,
                by_id=me(request).pk,
                request=request,
            )
        except RefusedReview as refused:
            error = refused
        else:
            words = f"{made.items:,} answers wait for people to label them blind."
            if made.to_judge:
                words += f" v{asked.version.number} has yet to score {made.to_judge:,} of them."
            messages.success(request, words)
            return redirect(f"/p/{project.slug}/review/{made.queue.slug}/")
    context = {
        "project": project,
        "judge": asked.judge,
        "version": asked.version,
        "criterion": asked.criterion,
        "scope": asked.scope,
        "typed": typed,
        "error": error,
        "link": asked.link(),
    }
    return render(request, "evals/calibration_task.html", context, status=400 if error else 200)


def _whole(typed: dict[str, str], name: str, low: int, high: int) -> int:
    raw = typed[name]
    if not (raw.isascii() and raw.isdigit() and len(raw) < 10) or not low <= int(raw) <= high:
        raise RefusedReview(name, "must be a whole number", f"{low} to {high:,}", raw[:40])
    return int(raw)
