"""The reports of incidents: asked for, made by the worker, made anew while it goes on, kept for everybody.

A report that waits is a row; whoever holds it makes it in one transaction, so a killed worker leaves it waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from alerts import isolating, recovering, scoping
from alerts.incidents.types import GOING
from alerts.models import Incident, ScopeReport
from alerts.read.reports import ReportRow, reports_of
from alerts.series.asked import SeriesFault
from telltale.lib import clock
from telltale.lib.logs import describe_error
from telltale.projects.models import Project
from traces.read.asking import TooSlow

# While nobody has finished the step, and it goes on, what was found is looked for again.
ANEW = timedelta(minutes=15)
RECOVERY_ANEW = timedelta(minutes=1)
# Of one run of the task.
MADE_MOST = 20
TOO_SLOW = "Reading its responses took too long. It is tried again; a narrower monitor would make it quick."
_STEPS = {"scope": ("triage", "scope"), "isolate": ("triage", "scope", "isolate")}


def ask(project: Project, number: int, kind: str) -> ReportRow:
    """Have a report made anew; what it said stays until then. `kind` scope, isolate or recovery. NotThere."""
    incident = isolating.find_incident(project.pk, number)
    ScopeReport.objects.update_or_create(
        incident=incident, round=incident.round, kind=kind,
        defaults={"state": "waiting", "asked_at": clock.now(), "error": ""},
    )  # fmt: skip
    return reports_of(incident.pk, incident.round)[kind]


def tend(*, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Ask for the reports that incidents want now, and make those that wait; how many were made."""
    now = clock.now()
    _want(now)
    made = 0
    while made < MADE_MOST and not is_stopping() and make_next():
        made += 1
    return made


def make_next() -> bool:
    """Make the report that waits longest; False where none does."""
    with transaction.atomic():
        row = (
            ScopeReport.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("incident")
            .filter(state="waiting")
            # Isolate goes by what scope found.
            .order_by("asked_at", "-kind", "pk")
            .first()
        )
        if row is None:
            return False
        _make(row)
    return True


def make(incident: Incident, kind: str) -> ReportRow:
    """Make one report here and now, for tests and commands."""
    with transaction.atomic():
        row, _ = ScopeReport.objects.select_for_update().get_or_create(
            incident=incident, round=incident.round, kind=kind,
            defaults={"state": "waiting", "asked_at": clock.now()},
        )  # fmt: skip
        _make(row)
    return reports_of(incident.pk, incident.round)[kind]


def _make(row: ScopeReport) -> None:
    incident, now = row.incident, clock.now()
    project = Project.objects.get(pk=incident.project_id)
    try:
        with transaction.atomic():
            body = _body(project, incident, row.kind, now)
    except (TooSlow, SeriesFault) as fault:
        _put(row, "failed", TOO_SLOW if isinstance(fault, TooSlow) else fault.words, now)
        return
    except Exception as error:  # noqa: BLE001 - one report that cannot be made must not stop all others
        told = describe_error(error)
        _put(row, "failed", f"It could not be made: {told['error']}.", now)
        return
    row.body = body
    _put(row, "done", "", now)


def _put(row: ScopeReport, state: str, error: str, now: datetime) -> None:
    row.state, row.error, row.made_at = state, error[:400], now
    row.save(update_fields=["state", "error", "made_at", "body"])


def _body(project: Project, incident: Incident, kind: str, now: datetime) -> dict[str, Any]:
    if kind == "scope":
        return scoping.look(project.pk, incident.pk, now=now)
    if kind == "isolate":
        scope = reports_of(incident.pk, incident.round).get("scope")
        return isolating.look(project, incident, scope.body if scope is not None else None, now)
    return recovering.look(project, incident, now)


def _want(now: datetime) -> None:
    """Rows for the reports that open incidents lack, and for those that grew old while it goes on."""
    going = list(Incident.objects.filter(state__in=GOING).order_by("severity", "-opened_at")[:200])
    if not going:
        return
    held = {
        (row.incident_id, row.round, row.kind): row
        for row in ScopeReport.objects.filter(incident__in=going).defer("body")
    }
    responded = set(recovering.responded(going))
    new: list[ScopeReport] = []
    anew: list[int] = []
    for incident in going:
        for kind in ("scope", "isolate", "recovery"):
            if kind == "recovery" and incident.pk not in responded:
                continue
            row = held.get((incident.pk, incident.round, kind))
            if row is None:
                new.append(
                    ScopeReport(incident=incident, round=incident.round, kind=kind, state="waiting", asked_at=now)
                )
            elif _is_old(row, incident, now):
                anew.append(row.pk)
    ScopeReport.objects.bulk_create(new, ignore_conflicts=True)
    ScopeReport.objects.filter(~Q(state="waiting"), pk__in=anew).update(state="waiting", asked_at=now)


def _is_old(row: ScopeReport, incident: Incident, now: datetime) -> bool:
    if row.state == "waiting" or row.made_at is None:
        return False
    if row.kind == "recovery":
        return now - row.made_at >= RECOVERY_ANEW
    goes_on = incident.quiet_since is None or row.made_at < incident.quiet_since
    return incident.step in _STEPS[row.kind] and goes_on and now - row.made_at >= ANEW
