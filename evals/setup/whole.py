"""What holds for all judging of a project: daily limits, when a trace has settled, the gate's values."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest

from evals.read import setup as read
from evals.read.setup import SettingsView
from evals.setup.judges import BUDGET_PICO_MAX
from evals.setup.refusals import SetupRefused, whole
from evals.write import setup as write
from telltale.audit.log import record_in
from telltale.projects.models import Project

SETTLE_MIN, SETTLE_MAX = 1, 3600
CALLS_DAY_MAX = 10**9
FIELDS = ("budget_pico_day", "budget_calls_day", "settle_seconds", "gate")


def settings_for(project_id: int) -> SettingsView:
    """The settings of judging of a project."""
    return read.settings_for(project_id)


def save_settings(project: Project, *, request: HttpRequest | None = None, **changes: Any) -> SettingsView:
    """Change the named fields (FIELDS); budgets are of a day in the project's zone, None for no limit. SetupRefused."""
    pico = changes.get("budget_pico_day")
    if pico is not None and not 0 <= pico <= BUDGET_PICO_MAX:
        raise SetupRefused("budget_usd_day", "is out of range", "0 to 1,000,000 USD a day")
    whole("budget_calls_day", changes.get("budget_calls_day"), 0, CALLS_DAY_MAX)
    if "settle_seconds" in changes:
        whole("settle_seconds", changes["settle_seconds"], SETTLE_MIN, SETTLE_MAX)
    with transaction.atomic():
        write.lock_project(project.pk)
        before = read.settings_for(project.pk)
        told = {field: getattr(before, field) for field in FIELDS}
        wanted = told | {field: changes[field] for field in FIELDS if field in changes}
        if wanted != told:
            write.save_settings(project.pk, wanted)
            changed = [field for field in FIELDS if wanted[field] != told[field]]
            record_in(
                project, "evaluation.settings", project.slug, request=request,
                before={field: told[field] for field in changed}, after={field: wanted[field] for field in changed},
            )  # fmt: skip
    return read.settings_for(project.pk)
