"""The list of judges, and the page that makes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from evals import setup
from evals.forms import judge as form
from evals.forms.judge import JudgeForm
from evals.judges import JUDGE_PRESETS
from evals.judges.config import RULE
from evals.pages.calibration_view import STATE_CSS, STATE_WORD
from evals.read import setup as read
from evals.read.calibration import NO_BADGE, Badge, badges
from evals.read.judgements import counts_by_version
from evals.read.runs import oldest_waiting
from evals.read.setup import JudgeVersionView, JudgeView, PlanView
from evals.read.spend import day_of, used_on
from evals.rubrics import parse_rubric
from evals.sampling import describe, parse_plan
from evals.setup import SetupRefused
from evals.setup.preflights import find_preflight, start_preflight
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

PRESET = {preset.slug: preset for preset in JUDGE_PRESETS}
WINDOW = timedelta(hours=24)
# The least sure comes first: a judge is as proven as its least proven criterion.
WORST = ("failed", "stale", "none", "not_proven", "proven")


@dataclass(frozen=True, slots=True)
class Line:
    """A judge as the list writes it."""

    judge: JudgeView
    kind: str
    ribbon: str
    word: str
    version: str
    plan: str
    scored: int
    failed: int
    skipped: int
    waiting: int
    lag_ms: float | None
    spent_pico: int
    badge: Badge
    badge_css: str
    badge_word: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def judges(request: HttpRequest, project: Project) -> HttpResponse:
    """The judges with what they did in the last 24 hours."""
    now = clock.now()
    found = read.list_judges(project.pk, with_archived=True)
    in_use = [each for each in found if each.archived_at is None]
    limits = read.settings_for(project.pk)
    used = used_on(project.pk, day_of(now, clock.zone_of(project.time_zone)))
    context = {
        "project": project,
        "lines": lines_of(project, in_use, used.by_judge, now),
        "archived": [each for each in found if each.archived_at is not None],
        "limits": limits,
        "used": used,
        "is_over": is_over(limits.budget_pico_day, used.whole_pico)
        or is_over(limits.budget_calls_day, used.whole_calls),
        "may_change": may(project, "measure"),
    }
    return render(request, "evals/judges.html", context)


def is_over(limit: int | None, used: int) -> bool:
    """Whether a limit leaves no room."""
    return limit is not None and used >= limit


def lines_of(project: Project, found: list[JudgeView], spent: Mapping[int, int], now: datetime) -> tuple[Line, ...]:
    """The lines of judges; a fixed number of queries, however many there are."""
    versions = [version.id for each in found for version in each.versions]
    shown = {each.id: each.live or each.newest for each in found}
    counts = counts_by_version(project.pk, start=now - WINDOW)
    waiting = oldest_waiting(versions) if versions else {}
    marks = badges(project.pk, [version.id for version in shown.values()])
    plans = read.plans_in_force(project.pk, now)
    lines = []
    for each in found:
        version = shown[each.id]
        keys = [criterion["key"] for criterion in version.rubric_version.spec["criteria"]]
        worst = worst_of([marks.get((version.id, key), NO_BADGE) for key in keys])
        made = [counts[v.id] for v in each.versions if v.id in counts]
        oldest = min((waiting[v.id] for v in each.versions if v.id in waiting), default=None)
        ribbon, word = state_of(each, plans.get(each.id))
        lines.append(
            Line(
                judge=each,
                kind=form.KINDS[each.kind][0],
                ribbon=ribbon,
                word=word,
                version=f"v{version.number}" + ("" if each.live else " draft" if version.is_draft else ""),
                plan=plan_words(plans.get(each.id)),
                scored=sum(found.of("scored") for found in made),
                failed=sum(found.of("failed") for found in made),
                skipped=sum(found.of("skipped") for found in made),
                waiting=sum(found.of("pending") + found.of("running") for found in made),
                lag_ms=None if oldest is None else max((now - oldest).total_seconds(), 0) * 1000,
                spent_pico=spent.get(each.id, 0),
                badge=worst,
                badge_css=STATE_CSS[worst.state],
                badge_word=STATE_WORD[worst.state],
            )
        )
    return tuple(lines)


def worst_of(found: list[Badge]) -> Badge:
    """The badge of the least proven criterion."""
    return min(found, key=lambda badge: WORST.index(badge.state), default=NO_BADGE)


def state_of(judge: JudgeView, plan: PlanView | None) -> tuple[str, str]:
    """Ribbon and word for what a judge does now."""
    if judge.archived_at is not None:
        return "none", "Put away"
    if judge.live is None:
        return "none", "Not in production"
    if judge.paused_at is not None:
        return "watch", "Paused"
    if plan is None and judge.kind in ("model", "rule"):
        return "watch", "No sampling plan"
    return "ok", "In production"


def plan_words(plan: PlanView | None) -> str:
    """What a plan says, in a sentence; "" without one."""
    return "" if plan is None else describe(parse_plan(dict(plan.spec)))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def new(request: HttpRequest, project: Project) -> HttpResponse:
    """A new judge: from a preset, or of a kind by a rubric that is there."""
    if request.method != "POST":
        if (held := tried_form(request, project)) is not None:
            return _page(request, project, held)
        preset = PRESET.get(request.GET.get("preset", ""))
        if preset is not None:
            return _page(request, project, form.form_of_preset(preset))
        kind, rubric = request.GET.get("kind", ""), read.get_rubric(project.pk, request.GET.get("rubric", "")[:60])
        if rubric is None and kind == RULE:
            rubric = next(iter(read.list_rubrics(project.pk)), None)
        return _page(
            request, project, form.empty_form(kind if kind in form.KINDS else "", rubric.newest if rubric else None)
        )
    typed = form.read_form(request.POST)
    step = request.POST.get("do", "save")
    if step not in ("save", "try"):
        return _page(request, project, form.changed(typed, step))
    try:
        if step == "try":
            return _try(request, project, typed)
        version = _save(request, project, typed)
    except SetupRefused as refused:
        return _page(request, project, typed, refused)
    made = read.get_judge_by_id(project.pk, version.judge_id)
    assert made is not None  # noqa: S101 - saved just now
    messages.success(request, f"{made.name} is saved as a draft. Try it on traces before it goes to production.")
    return redirect("judge", slug=project.slug, judge=made.slug)


def tried_form(request: HttpRequest, project: Project) -> JudgeForm | None:
    """The form that was tried as `?try=` says; None where nothing was."""
    preflight_id = form.id_of(request.GET.get("try", ""))
    found = find_preflight(project.pk, preflight_id) if preflight_id else None
    return form.form_from_json(found.typed) if found is not None and found.typed else None


@transaction.atomic
def _save(request: HttpRequest, project: Project, typed: JudgeForm) -> JudgeVersionView:
    """The judge, with the preset's rubric where that was chosen."""
    by_id, kind = cast(User, request.user).pk, typed.text("kind")
    preset = PRESET.get(typed.text("preset"))
    rubric_version_id = typed.rubric_version_id
    if preset is not None and typed.text("rubric") == form.PRESET:
        rubric_version_id = setup.save_rubric(
            project, preset.rubric, name=preset.name, by_id=by_id, request=request
        ).id  # fmt: skip
    return setup.save_judge(
        project, name=typed.text("name"), kind=kind, rubric_version_id=rubric_version_id,
        config=form.config_of(typed, kind), connection_id=typed.connection_id, model=typed.text("model"),
        by_id=by_id, request=request,
    )  # fmt: skip


def _try(request: HttpRequest, project: Project, typed: JudgeForm) -> HttpResponse:
    """Try what stands in the form; nothing is saved."""
    kind, rubric = typed.text("kind"), _spec(project, typed)
    if rubric is None:
        raise SetupRefused("rubric_version", "is none of this project")
    job = start_preflight(
        project, kind=kind, rubric=rubric, config=form.config_of(typed, kind), connection_id=typed.connection_id,
        model=typed.text("model"), trace_ids=form.traces_of(typed), typed=form.form_json(typed),
        by_id=cast(User, request.user).pk,
    )  # fmt: skip
    return redirect("judge_try", slug=project.slug, try_id=job)


def _spec(project: Project, typed: JudgeForm) -> dict[str, Any] | None:
    """The rubric that the form chose, as JSON."""
    preset = PRESET.get(typed.text("preset"))
    if preset is not None and typed.text("rubric") == form.PRESET:
        return dict(preset.rubric)
    version = read.get_rubric_version(project.pk, typed.rubric_version_id)
    return None if version is None else dict(version.spec)


def _page(
    request: HttpRequest, project: Project, typed: JudgeForm, refused: SetupRefused | None = None
) -> HttpResponse:
    kind = typed.text("kind")
    kind = kind if kind in form.KINDS else ""
    rubrics, connections = read.list_rubrics(project.pk), read.list_connections(project.pk)
    preset = PRESET.get(typed.text("preset"))
    if not typed.text("rubric") and rubrics:
        typed = typed.with_text("rubric", str(rubrics[0].newest.id))
    spec = _spec(project, typed)
    rubric = None if spec is None else parse_rubric(spec)
    fields = form.fields_of(typed, refused, connections, rubrics, preset.name if preset else "")
    rules = form.rule_lines(typed, rubric, refused)
    context = {
        "project": project,
        "kinds": [(value, word, text) for value, (word, text) in form.KINDS.items()],
        "presets": JUDGE_PRESETS,
        "preset": preset,
        "kind": kind,
        "kind_word": form.KINDS[kind][0] if kind else "",
        "form": typed,
        "fields": fields,
        "rubrics": rubrics,
        "connections": connections,
        "rules": rules,
        "parts": form.part_choices(typed),
        "flag_lines": form.flag_lines(typed, rubric),
        "has_points": rubric is not None and any(each.scale.kind == "points" for each in rubric.criteria),
        "refused": refused,
        "refused_field": form.refused_field(fields, refused, rules),
        "refused_at": "judge-form",
        "may_connect": may(project, "connect"),
    }
    return render(request, "evals/judge_new.html", context, status=400 if refused else 200)
