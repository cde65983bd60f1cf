"""A project's settings of incidents: timers by severity and step, what closing asks for, when a trouble comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts.incidents.types import SEVERITIES, STEPS, TIMER_LEAST, TIMER_MOST, Settings, Step
from alerts.read.incident_settings import get_settings
from alerts.write import incidents as write
from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project

CASES_MOST, HOURS_LEAST, HOURS_MOST, DAYS_MOST = 1_000, 0.25, 336.0, 90
Timers = Mapping[int, Mapping[Step, int | None]]


def change(
    project: Project,
    *,
    timers: Timers | None = None,
    cases_least: int | None = None,
    recovery_hours: float | None = None,
    reopen_days: int | None = None,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> bool:
    """Set what is given; what is left out of `timers` stays. Steps under way get their new timer. False: no change.

    ItemRefused.
    """
    with transaction.atomic():
        write.lock_project(project.pk)
        before = get_settings(project.pk)
        after = Settings(
            {level: {**before.timers[level], **(timers or {}).get(level, {})} for level in SEVERITIES},
            before.cases_least if cases_least is None else cases_least,
            before.recovery_hours if recovery_hours is None else recovery_hours,
            before.reopen_days if reopen_days is None else reopen_days,
        )
        faults = _faults(after)
        if faults:
            raise ItemRefused(*faults)
        if after == before:
            return False
        stored = as_json(after)
        write.put_settings(project.pk, user.pk if user else None, **stored)
        for row in write.lock_going(project.pk):
            write.time_step(row, after)
        record_in(
            project, "incident.settings", "incidents", request=request, actor=actor or (user.email if user else ""),
            before=as_json(before), after=stored,
        )  # fmt: skip
    return True


def as_json(settings: Settings) -> dict[str, Any]:
    """Settings as they are kept."""
    return {
        "timers": {str(level): {str(step): settings.timers[level][step] for step in STEPS} for level in SEVERITIES},
        "cases_least": settings.cases_least,
        "recovery_hours": settings.recovery_hours,
        "reopen_days": settings.reopen_days,
    }


def _faults(told: Settings) -> list[Fault]:
    faults = []
    for level in SEVERITIES:
        for step in STEPS:
            minutes = told.timers[level][step]
            if minutes is not None and not TIMER_LEAST <= minutes <= TIMER_MOST:
                limit = f"{TIMER_LEAST} to {TIMER_MOST} minutes, or none"
                faults.append(Fault(f"timers.p{level}.{step}", "is out of range", limit, minutes))
    if not 0 <= told.cases_least <= CASES_MOST:
        faults.append(Fault("cases_least", "is out of range", f"0 to {CASES_MOST}", told.cases_least))
    if not (math.isfinite(told.recovery_hours) and HOURS_LEAST <= told.recovery_hours <= HOURS_MOST):
        faults.append(
            Fault("recovery_hours", "is out of range", f"{HOURS_LEAST} to {HOURS_MOST:g}", told.recovery_hours)
        )
    if not 0 <= told.reopen_days <= DAYS_MOST:
        faults.append(Fault("reopen_days", "is out of range", f"0 to {DAYS_MOST}", told.reopen_days))
    return faults
