"""The pages of rubrics: the list, and one with its editor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from evals import setup
from evals.forms import rubric as form
from evals.forms.rubric import RubricForm
from evals.read import setup as read
from evals.read.setup import JudgeView, RubricVersionView, RubricView
from evals.rubrics import PRESETS, Preset, Remark, RubricRefused, lint, parse_rubric
from evals.setup import SetupRefused
from evals.setup.refusals import refused_rubric
from telltale.accounts.models import User
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role

PRESET = {preset.slug: preset for preset in PRESETS}


@dataclass(frozen=True, slots=True)
class Line:
    """A rubric as the list writes it."""

    rubric: RubricView
    criteria: tuple[str, ...]
    judges: tuple[JudgeView, ...]


@require_http_methods(["GET", "HEAD"])
@project_page()
def rubrics(request: HttpRequest, project: Project) -> HttpResponse:
    """The rubrics with what uses them, and those to begin with."""
    judges = read.list_judges(project.pk)
    found = read.list_rubrics(project.pk, with_archived=True)
    context = {
        "project": project,
        "lines": [line(each, judges) for each in found if each.archived_at is None],
        "archived": [each for each in found if each.archived_at is not None],
        "presets": PRESETS,
        "may_change": may(project, "measure"),
    }
    return render(request, "evals/rubrics.html", context)


def line(rubric: RubricView, judges: list[JudgeView]) -> Line:
    """A rubric with its criteria and the judges whose live or newest version scores by it."""
    users = tuple(
        judge
        for judge in judges
        if any(v.rubric_version.rubric_id == rubric.id for v in (judge.live, judge.newest) if v is not None)
    )
    criteria = tuple(each["title"] for each in rubric.newest.spec["criteria"])
    return Line(rubric, criteria, users)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def new(request: HttpRequest, project: Project) -> HttpResponse:
    """A new rubric, empty or from a preset (`?preset=`)."""
    if request.method == "POST":
        return _posted(request, project, None)
    preset = PRESET.get(request.GET.get("preset", ""))
    typed = form.form_of(preset.name, preset.spec) if preset else RubricForm()
    return _page(request, project, None, None, typed, preset=preset)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def rubric(request: HttpRequest, project: Project, rubric: str) -> HttpResponse:
    """One rubric: the version asked for (`?v=`), and the editor of the newest."""
    view = _find(project, rubric)
    if request.method == "POST":
        require(project, "measure")
        return _posted(request, project, view)
    asked = request.GET.get("v", "")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else view.newest.number
    version = view.version(number)
    if version is None:
        raise Http404
    return _page(request, project, view, version, form.form_of(view.name, version.spec))


@require_POST
@project_page(Role.ENGINEER)
def archive(request: HttpRequest, project: Project, rubric: str) -> HttpResponse:
    """Put a rubric away, or take it back."""
    view = _find(project, rubric)
    is_archived = view.archived_at is None
    setup.archive_rubric(project, rubric, is_archived=is_archived, request=request)
    said = "is put away: it is offered no more, and what uses it goes on." if is_archived else "is offered again."
    messages.success(request, f"{view.name} {said}")
    return redirect("rubrics", slug=project.slug)


def _find(project: Project, slug: str) -> RubricView:
    found = read.get_rubric(project.pk, slug)
    if found is None:
        raise Http404
    return found


def _posted(request: HttpRequest, project: Project, view: RubricView | None) -> HttpResponse:
    typed = form.read_form(request.POST)
    step = request.POST.get("do", "save")
    version = view.newest if view else None
    if step not in ("save", "check"):
        return _page(request, project, view, version, form.changed(typed, step), is_typed=True)
    try:
        spec = form.spec_of(typed)
        if step == "check":
            parse_rubric(spec)
            return _page(request, project, view, version, typed, is_typed=True)
        saved = setup.save_rubric(
            project, spec, slug=view.slug if view else "", name=typed.name, by_id=cast(User, request.user).pk,
            request=request,
        )  # fmt: skip
    except RubricRefused as error:
        return _page(request, project, view, version, typed, refused=refused_rubric(error), is_typed=True)
    except SetupRefused as refused:
        return _page(request, project, view, version, typed, refused=refused, is_typed=True)
    is_next = view is not None and saved.id != view.newest.id
    said = f"is saved as v{saved.number}; v{saved.number - 1} was used and stays as it is" if is_next else "is saved"
    messages.success(request, f"{saved.name} {said}.")
    return redirect("rubric", slug=project.slug, rubric=saved.slug)


def _page(
    request: HttpRequest,
    project: Project,
    view: RubricView | None,
    version: RubricVersionView | None,
    typed: RubricForm,
    *,
    preset: Preset | None = None,
    refused: SetupRefused | None = None,
    is_typed: bool = False,
) -> HttpResponse:
    is_newest = view is None or version is None or version.id == view.newest.id
    context: dict[str, Any] = {
        "project": project,
        "rubric": view,
        "version": version,
        "form": typed,
        "preset": preset,
        "refused": refused,
        "refused_at": form.input_of(refused.field) if refused else "",
        "remarks": _remarks(typed, is_empty=view is None and preset is None and not is_typed),
        "may_change": may(project, "measure") and is_newest and (view is None or view.archived_at is None),
        "may_archive": may(project, "measure"),
        "is_newest": is_newest,
        "is_typed": is_typed,
    }
    return render(request, "evals/rubric.html", context, status=400 if refused else 200)


def _remarks(typed: RubricForm, *, is_empty: bool) -> tuple[Remark, ...]:
    """What could be clearer in what stands in the form; nothing while it cannot be read."""
    if is_empty:
        return ()
    try:
        return lint(parse_rubric(form.spec_of(typed)))
    except (RubricRefused, SetupRefused):
        return ()
