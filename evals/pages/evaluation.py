"""The settings that hold for all judging of a project."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from evals import setup
from evals.forms.fields import Field, error_at, pico_of, typed_of, usd_text, whole_of
from evals.setup import SetupRefused
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project

NAMES = ("budget_usd_day", "budget_calls_day", "settle_seconds")


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def evaluation(request: HttpRequest, project: Project) -> HttpResponse:
    """Limits a day, and when a trace has settled."""
    if request.method != "POST":
        held = setup.settings_for(project.pk)
        typed = {
            "budget_usd_day": usd_text(held.budget_pico_day),
            "budget_calls_day": "" if held.budget_calls_day is None else str(held.budget_calls_day),
            "settle_seconds": str(held.settle_seconds),
        }
        return _page(request, project, typed)
    require(project, "connect")
    typed = typed_of(request.POST, NAMES)
    try:
        seconds = whole_of("settle_seconds", typed["settle_seconds"])
        if seconds is None:
            raise SetupRefused("settle_seconds", "is empty")
        setup.save_settings(
            project, request=request, budget_pico_day=pico_of("budget_usd_day", typed["budget_usd_day"]),
            budget_calls_day=whole_of("budget_calls_day", typed["budget_calls_day"]), settle_seconds=seconds,
        )  # fmt: skip
    except SetupRefused as refused:
        return _page(request, project, typed, refused)
    messages.success(request, "The limits are saved. They hold from the next call on.")
    return redirect("evaluation", slug=project.slug)


def _page(
    request: HttpRequest, project: Project, typed: dict[str, str], refused: SetupRefused | None = None
) -> HttpResponse:
    fields = {
        name: Field(name, label, typed[name], hint, error_at(refused, name), kind="number", suffix=suffix)
        for name, label, hint, suffix in (
            ("budget_usd_day", "Money a day, at most", "All judges together. Empty: no limit.", "USD"),
            (
                "budget_calls_day",
                "Calls a day, at most",
                "Calls of unknown price count too. Empty: no limit.",
                "calls",
            ),
            ("settle_seconds", "A trace has settled after", "Without a new span for so long, it is looked at.", "s"),
        )
    }
    context = {
        "project": project,
        "fields": fields,
        "refused": refused,
        "refused_field": fields.get(refused.field) if refused else None,
        "may_change": may(project, "connect"),
    }
    return render(request, "evals/connection_limits.html", context, status=400 if refused else 200)
