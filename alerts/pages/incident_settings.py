"""Settings of incidents: timers by severity and step, what closing asks for, when a trouble counts as back."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from alerts import timing
from alerts.incidents.types import SEVERITIES, STEPS, TIMER_LEAST, TIMER_MOST, Settings, Step
from alerts.pages import incident_view as view
from alerts.pages.incident_acts import me
from alerts.read.incident_settings import get_settings_row
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project

TEXT_MAX = 20
GATES = ("cases_least", "recovery_hours", "reopen_days")


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def incident_settings(request: HttpRequest, project: Project) -> HttpResponse:
    """See the timers and gates of incidents; POST changes them."""
    row = get_settings_row(project.pk)
    typed, faults = _typed(row.settings), tuple[Fault, ...]()
    if request.method == "POST":
        require(project, "measure")
        typed = {name: request.POST.get(name, "").strip()[:TEXT_MAX] for name in typed}
        try:
            done = _save(request, project, request.POST)
        except ItemRefused as refused:
            faults = refused.faults
        else:
            messages.success(request, "Saved. Steps under way have their new timer." if done else "Nothing changed.")
            return redirect("incident_settings", slug=project.slug)
    context = {
        "project": project,
        "row": row,
        "faults": faults,
        "bad": {fault.field for fault in faults},
        "steps": [view.TITLES[step][0] for step in STEPS],
        "levels": [
            (
                f"p{level}",
                view.LEVELS[level],
                [(f"timers.p{level}.{step}", view.TITLES[step][0], typed[f"timers.p{level}.{step}"]) for step in STEPS],
            )
            for level in SEVERITIES
        ],
        "typed": typed,
        "may_measure": may(project, "measure"),
    }
    return render(request, "alerts/incident_settings.html", context, status=400 if faults else 200)


def _typed(settings: Settings) -> dict[str, str]:
    """The inputs that say settings: "" is no timer."""
    told = {
        f"timers.p{level}.{step}": "" if settings.timers[level][step] is None else str(settings.timers[level][step])
        for level in SEVERITIES
        for step in STEPS
    }
    return told | {
        "cases_least": str(settings.cases_least),
        "recovery_hours": f"{settings.recovery_hours:g}",
        "reopen_days": str(settings.reopen_days),
    }


def _save(request: HttpRequest, project: Project, post: QueryDict) -> bool:
    faults: list[Fault] = []
    timers: dict[int, dict[Step, int | None]] = {}
    for level in SEVERITIES:
        timers[level] = {step: _whole(post, f"timers.p{level}.{step}", faults, is_needed=False) for step in STEPS}
    cases, days = (_whole(post, name, faults, is_needed=True) for name in ("cases_least", "reopen_days"))
    hours = _hours(post, faults)
    if faults:
        raise ItemRefused(*faults)
    return timing.change(
        project, timers=timers, cases_least=cases, recovery_hours=hours, reopen_days=days, user=me(request),
        request=request,
    )  # fmt: skip


def _whole(post: QueryDict, name: str, faults: list[Fault], *, is_needed: bool) -> int | None:
    text = post.get(name, "").strip()
    if not text and not is_needed:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        limit = "a whole number" if is_needed else f"{TIMER_LEAST} to {TIMER_MOST} minutes, or empty for no timer"
        faults.append(Fault(name, "is no whole number", limit, text[:TEXT_MAX]))
        return None
    return int(text)


def _hours(post: QueryDict, faults: list[Fault]) -> float | None:
    text = post.get("recovery_hours", "").strip()[:TEXT_MAX]
    try:
        return float(text)
    except ValueError:
        limit = f"{timing.HOURS_LEAST} to {timing.HOURS_MOST:g}"
        faults.append(Fault("recovery_hours", "is no number", limit, text))
        return None
