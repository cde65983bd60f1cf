"""One judge: its versions, the editor of the newest, the gate, and putting it in production."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from evals import setup
from evals.forms import judge as form
from evals.forms.fields import clean, decimal_of
from evals.forms.judge import JudgeForm
from evals.pages.calibration_view import STATE_CSS, STATE_WORD, confusion_view, gate_view, headline
from evals.pages.judges import plan_words, state_of, tried_form
from evals.pages.routine_view import RoutineLine, line_of
from evals.read import setup as read
from evals.read.calibration import EVERYTHING, CalibrationRow, newest
from evals.read.gates import newest_done
from evals.read.setup import JudgeVersionView, JudgeView, PlanView
from evals.routines import ATTACKS
from evals.rubrics import lint
from evals.sampling.plan import RANDOM
from evals.setup import GateUnproven, SetupRefused
from evals.setup.estimating import estimate_plan
from evals.setup.preflights import find_preflight, start_preflight
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role

VERSIONS_SHOWN = 4
LIVE = "In production"


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def judge(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """One judge: the version asked for (`?v=`), else the newest; saving and trying it."""
    view = find(project, judge)
    if request.method == "POST":
        require(project, "measure")
        return _posted(request, project, view)
    version = asked_version(request, view)
    held = tried_form(request, project) if may(project, "measure") and version.id == view.newest.id else None
    if held is not None and held.text("kind") == view.kind:
        return _page(request, project, view, version, held, is_typed=True)
    return _page(request, project, view, version, form.form_of(view.name, view.kind, version))


def find(project: Project, slug: str) -> JudgeView:
    """The judge; Http404."""
    found = read.get_judge(project.pk, slug)
    if found is None:
        raise Http404
    return found


def asked_version(request: HttpRequest, view: JudgeView) -> JudgeVersionView:
    """The version that `?v=` names, the newest by default; Http404."""
    raw = request.GET.get("v", "")
    if not raw:
        return view.newest
    found = view.version(int(raw)) if raw.isascii() and raw.isdigit() and len(raw) < 9 else None
    if found is None:
        raise Http404
    return found


def _posted(request: HttpRequest, project: Project, view: JudgeView) -> HttpResponse:
    typed = form.read_form(request.POST)
    typed = typed.with_text("kind", view.kind)
    step = request.POST.get("do", "save")
    if step not in ("save", "try"):
        return _page(request, project, view, view.newest, form.changed(typed, step), is_typed=True)
    try:
        if step == "try":
            return _try(request, project, view, typed)
        saved = _save(request, project, view, typed)
    except SetupRefused as refused:
        return _page(request, project, view, view.newest, typed, refused, is_typed=True)
    if saved.id == view.newest.id:
        said = f"{view.name} v{saved.number} is saved."
    else:
        said = f"{view.name} is saved as v{saved.number}; v{view.newest.number} was used and stays as it is."
    messages.success(request, said)
    return redirect("judge", slug=project.slug, judge=view.slug)


@transaction.atomic
def _save(request: HttpRequest, project: Project, view: JudgeView, typed: JudgeForm) -> JudgeVersionView:
    """The judge, its rubric's instructions and its random share, as they were typed."""
    by_id = cast(User, request.user).pk
    version_id = typed.rubric_version_id
    chosen = read.get_rubric_version(project.pk, version_id)
    if chosen is not None and (spec := _with_instructions(chosen.spec, typed, chosen)) is not None:
        version_id = setup.save_rubric(project, spec, slug=chosen.slug, by_id=by_id, request=request).id
    saved = setup.save_judge(
        project, slug=view.slug, rubric_version_id=version_id, config=form.config_of(typed, view.kind),
        connection_id=typed.connection_id, model=typed.text("model"), by_id=by_id, request=request,
    )  # fmt: skip
    if typed.text("name") and typed.text("name") != view.name:
        setup.change_judge(project, view.slug, name=typed.text("name"), request=request)
    if typed.text("share").strip():
        pct = decimal_of("share", typed.text("share"))
        plan = read.plans_in_force(project.pk, clock.now()).get(view.id)
        if pct is not None and (plan is None or plan.spec["kind"] == RANDOM):
            spec = {**(plan.spec if plan else {}), "kind": RANDOM, "share": float(pct) / 100}
            setup.set_plan(project, view.slug, spec, by_id=by_id, request=request)
    return saved


def _with_instructions(spec: Any, typed: JudgeForm, chosen: read.RubricVersionView) -> dict[str, Any] | None:
    """The rubric's JSON with the instructions typed, where they are others and the version is the newest."""
    if not typed.has_instructions or typed.text("instructions").strip() == str(spec.get("instructions", "")):
        return None
    return {**spec, "instructions": typed.text("instructions")}


def _try(request: HttpRequest, project: Project, view: JudgeView, typed: JudgeForm) -> HttpResponse:
    chosen = read.get_rubric_version(project.pk, typed.rubric_version_id)
    if chosen is None:
        raise SetupRefused("rubric_version", "is none of this project")
    job = start_preflight(
        project, kind=view.kind, rubric=_with_instructions(chosen.spec, typed, chosen) or dict(chosen.spec),
        config=form.config_of(typed, view.kind), connection_id=typed.connection_id, model=typed.text("model"),
        trace_ids=form.traces_of(typed), typed=form.form_json(typed), slug=view.slug,
        by_id=cast(User, request.user).pk,
    )  # fmt: skip
    return redirect("judge_try", slug=project.slug, try_id=job)


def _page(
    request: HttpRequest,
    project: Project,
    view: JudgeView,
    version: JudgeVersionView,
    typed: JudgeForm,
    refused: SetupRefused | None = None,
    *,
    is_typed: bool = False,
) -> HttpResponse:
    rubrics, connections = read.list_rubrics(project.pk, with_archived=True), read.list_connections(project.pk)
    plan = read.plans_in_force(project.pk, clock.now()).get(view.id)
    chosen = next((v for r in rubrics for v in r.versions if v.id == typed.rubric_version_id), version.rubric_version)
    rubric = chosen.rubric
    if form.id_of(typed.text("instructions_of")) != chosen.id:
        # Another rubric was chosen: its own instructions stand beside it.
        typed = typed.with_text("instructions", str(chosen.spec.get("instructions", "")))
        typed = typed.with_text("instructions_of", str(chosen.id))
    fields = form.fields_of(typed, refused, connections, rubrics)
    rules = form.rule_lines(typed, rubric, refused)
    rows = newest(project.pk, judge_id=view.id, version_id=version.id)
    calibrated = {each.criterion for each in rows}
    row = calibration_of(rows, request.GET.get("criterion", ""), version)
    gate = setup.gate_of(project, version)
    may_change = may(project, "measure") and version.id == view.newest.id and view.archived_at is None
    ribbon, word = state_of(view, plan)
    context = {
        "project": project,
        "judge": view,
        "version": version,
        "versions": shown_versions(view, version),
        "kind": view.kind,
        "kind_word": form.KINDS[view.kind][0],
        "ribbon": ribbon,
        "word": word if view.live_version_id in (None, version.id) or word != LIVE else f"v{live_number(view)} is live",
        "headline": headline(row, version.number) if view.kind != "person" else f"{view.name}: people score",
        "row": row,
        "rows": rows,
        "gate": None if row is None else gate_view(row.result),
        "confusion": None if row is None else confusion_view(row.result, version.number),
        "gate_of": "" if row is None else rubric_title(version, row.criterion),
        "marks": [
            (
                f"?v={version.number}&criterion={quote(key)}#gate" if key in calibrated else "",
                rubric_title(version, key),
                badge.words.removeprefix("not calibrated: "),
                STATE_CSS[badge.state],
                STATE_WORD[badge.state],
            )
            for key, badge in gate.items()
        ],
        "attacks": _attacks(project, view, version),
        "needs_reason": view.kind == "model" and any(badge.state != "proven" for badge in gate.values()),
        "form": typed,
        "fields": fields,
        "connections": connections,
        "chosen": chosen,
        "is_newest_rubric": any(r.newest.id == chosen.id for r in rubrics),
        "remarks": lint(rubric),
        "rules": rules,
        "parts": form.part_choices(typed),
        "flag_lines": form.flag_lines(typed, rubric),
        "has_points": rubric is not None and any(each.scale.kind == "points" for each in rubric.criteria),
        "share": typed.text("share") if is_typed else share_text(plan),
        "plan": plan,
        "plan_words": plan_words(plan),
        "has_random_plan": plan is None or plan.spec["kind"] == RANDOM,
        "estimate": estimate_plan(project, view, version, plan.spec) if plan is not None else None,
        "refused": refused,
        "refused_field": form.refused_field(fields, refused, rules),
        "refused_at": "judge-form",
        "refused_more": refused is not None and refused.field.startswith("config.m"),
        "is_typed": is_typed,
        "may_change": may_change,
        "may_run": may(project, "measure"),
        "may_connect": may(project, "connect"),
    }
    return render(request, "evals/judge.html", context, status=400 if refused else 200)


def _attacks(project: Project, view: JudgeView, version: JudgeVersionView) -> RoutineLine | None:
    """What the injection set found of this version; None where it was not tried."""
    row = None if view.kind != "model" else newest_done(project.pk, view.id, ATTACKS, version.id)
    return None if row is None else line_of(row)


def live_number(view: JudgeView) -> int:
    """The number of the version in production, 0 for none."""
    return view.live.number if view.live else 0


def rubric_title(version: JudgeVersionView, key: str) -> str:
    """The title of a criterion."""
    return next((each["title"] for each in version.rubric_version.spec["criteria"] if each["key"] == key), key)


def calibration_of(
    rows: tuple[CalibrationRow, ...], criterion: str, version: JudgeVersionView
) -> CalibrationRow | None:
    """The calibration that the page shows, over all traffic: of the criterion asked for, else of the rubric's first."""
    whole = {row.criterion: row for row in rows if row.scope == EVERYTHING}
    keys = [criterion, *(each["key"] for each in version.rubric_version.spec["criteria"]), *whole]
    return next((whole[key] for key in keys if key in whole), None)


def share_text(plan: PlanView | None) -> str:
    """The share of a random plan in per cent, as an input shows it."""
    if plan is None or plan.spec["kind"] != RANDOM:
        return ""
    return f"{float(plan.spec['share']) * 100:.6g}"


def shown_versions(view: JudgeView, version: JudgeVersionView) -> list[JudgeVersionView]:
    """The versions that the switch offers, oldest first: the newest, the live one and the one looked at."""
    first = {each.id for each in view.versions[:VERSIONS_SHOWN]} | {view.live_version_id, version.id}
    return [each for each in reversed(view.versions) if each.id in first]


@require_POST
@project_page(Role.ENGINEER)
def state(request: HttpRequest, project: Project, judge: str) -> HttpResponse:
    """Put a version in production, take it out, pause, resume, put away, take back, discard a draft."""
    view = find(project, judge)
    step = request.POST.get("do", "")
    raw = request.POST.get("v", "")
    number = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 9 else None
    try:
        said = _change_state(request, project, view, step, number)
    except GateUnproven as unproven:
        messages.error(request, f"Not in production: say why it goes there unproven. {unproven}")
        return redirect(f"/p/{project.slug}/judges/{view.slug}/?v={number or view.newest.number}")
    except SetupRefused as refused:
        messages.error(request, f"{refused.field.capitalize()} {refused.message}.")
    except setup.NotThere:
        raise Http404 from None
    else:
        messages.success(request, said) if said else messages.error(request, "There is no such step.")
    return redirect("judge", slug=project.slug, judge=view.slug)


def _change_state(request: HttpRequest, project: Project, view: JudgeView, step: str, number: int | None) -> str:
    """What was done, in words; "" for a step that is none."""
    if step == "live":
        reason = clean(request.POST.get("reason", ""))
        made = setup.make_live(project, view.slug, number, reason=reason, request=request)
        return f"v{made.live.number if made.live else number} is in production."
    if step == "down":
        setup.take_down(project, view.slug, request=request)
        return f"{view.name} is out of production. What waits is still judged."
    if step in ("pause", "resume"):
        setup.pause_judge(project, view.slug, is_paused=step == "pause", request=request)
        return f"{view.name} is paused; what is drawn waits." if step == "pause" else f"{view.name} goes on."
    if step in ("archive", "restore"):
        setup.archive_judge(project, view.slug, is_archived=step == "archive", request=request)
        return f"{view.name} is put away; its scores stay." if step == "archive" else f"{view.name} is back."
    if step == "discard":
        setup.discard_draft(project, view.slug, request=request)
        return f"The draft v{view.newest.number} is gone."
    return ""


@require_http_methods(["GET", "HEAD"])
@project_page()
def tried(request: HttpRequest, project: Project, try_id: int) -> HttpResponse:
    """A preflight: what came of each trace."""
    found = find_preflight(project.pk, try_id)
    if found is None:
        raise Http404
    view = read.get_judge(project.pk, found.judge)
    context = {"project": project, "preflight": found, "judge": view, "may_change": may(project, "measure")}
    is_swap = request.headers.get("HX-Request") == "true"
    return render(request, "evals/_judge_tried.html" if is_swap else "evals/judge_tried.html", context)
