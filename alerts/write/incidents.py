"""Rows of incidents. Callers hold a lock: the project to open or move between incidents, the incident to change it.

Locks are taken in one order: the project, incidents by id, then monitors and alarms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Max

from alerts.incidents.types import GOING, STEPS, Kind, Settings, Step
from alerts.models import (
    Incident,
    IncidentEvent,
    IncidentMember,
    IncidentSettings,
    IncidentStep,
    IncidentWatcher,
)
from telltale.projects.models import Project

Json = Mapping[str, Any]


def lock_project(project_id: int) -> bool:
    """Hold the project: nobody else opens, merges or groups in it meanwhile. False where it is gone."""
    return Project.objects.select_for_update(no_key=True).filter(pk=project_id).values_list("pk").first() is not None


def lock(project_id: int, number: int) -> Incident | None:
    """One incident, held until the transaction ends; None where there is none."""
    if not 0 < number < 2**31:
        return None
    return Incident.objects.select_for_update(no_key=True).filter(project_id=project_id, number=number).first()


def lock_many(project_id: int, numbers: Sequence[int]) -> dict[int, Incident]:
    """Some incidents by number, held in the order of their ids."""
    rows = Incident.objects.select_for_update(no_key=True).filter(project_id=project_id, number__in=list(numbers))
    return {row.number: row for row in rows.order_by("pk")}


def lock_going(project_id: int) -> list[Incident]:
    """The incidents that are open or acknowledged, held in the order of their ids."""
    rows = Incident.objects.select_for_update(no_key=True).filter(project_id=project_id, state__in=GOING)
    return list(rows.order_by("pk"))


def insert(project_id: int, **fields: Any) -> Incident:
    """A new incident under the next number; the project must be held."""
    last = Incident.objects.filter(project_id=project_id).aggregate(last=Max("number"))["last"] or 0
    return Incident.objects.create(project_id=project_id, number=last + 1, **fields)


def put(held: Incident, **fields: Any) -> None:
    """Set columns of a locked incident; its version moves."""
    for name, value in fields.items():
        setattr(held, name, value)
    held.version += 1
    held.save(update_fields=[*fields, "version"])


def add_event(
    incident: Incident,
    kind: str,
    at: datetime,
    *,
    user_id: int | None = None,
    actor: str = "",
    facts: Json | None = None,
    key: str | None = None,
) -> bool:
    """Add a line to the timeline; False where one under this key is there already."""
    line = _event(incident, kind, at, user_id, actor, facts, key)
    if key is None:
        line.save(force_insert=True)
        return True
    if IncidentEvent.objects.filter(incident=incident, key=key).exists():
        return False
    IncidentEvent.objects.bulk_create([line], ignore_conflicts=True)
    return True


def add_events(lines: Sequence[tuple[Incident, str, datetime, Json, str]]) -> None:
    """Add lines of the machine: incident, kind, moment, facts and key of each; those that are there stay."""
    rows = [_event(incident, kind, at, None, "", facts, key) for incident, kind, at, facts, key in lines]
    IncidentEvent.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def add_members(rows: Sequence[IncidentMember]) -> None:
    """Insert members. IntegrityError where one belongs to an incident already."""
    IncidentMember.objects.bulk_create(rows, batch_size=500)


def move_members(project_id: int, member_ids: Sequence[int], to: Incident) -> int:
    """Give members to another incident; how many."""
    rows = IncidentMember.objects.filter(project_id=project_id, pk__in=list(member_ids))
    return rows.update(incident=to)


def is_member(project_id: int, kind: Kind, ref: int) -> int | None:
    """The number of the incident something belongs to; None: to none."""
    rows = IncidentMember.objects.filter(project_id=project_id, kind=kind, ref=ref)
    return rows.values_list("incident__number", flat=True).first()


def begin_step(incident: Incident, step: Step, now: datetime, settings: Settings) -> IncidentStep:
    """Start a step of the incident's round with its timer; one that was finished opens again."""
    fields = {
        "started_at": now,
        "due_at": settings.due(step, incident.severity, now),
        "finished_at": None,
        "finished_by": None,
        "overdue_told_at": None,
    }
    row, _ = IncidentStep.objects.update_or_create(
        incident=incident, round=incident.round, step=str(step), defaults=fields
    )
    return row


def step_row(incident: Incident, step: Step, now: datetime) -> IncidentStep:
    """The row of a step of the incident's round, made without a timer where it was not begun yet."""
    row, _ = IncidentStep.objects.get_or_create(
        incident=incident, round=incident.round, step=str(step), defaults={"started_at": now}
    )
    return row


def put_step(row: IncidentStep, **fields: Any) -> None:
    """Set columns of a step of a locked incident."""
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(update_fields=list(fields))


def open_steps(incident: Incident) -> list[Step]:
    """The steps of the incident's round that nobody finished, in their order."""
    done = set(
        IncidentStep.objects.filter(incident=incident, round=incident.round, finished_at__isnull=False).values_list(
            "step", flat=True
        )
    )
    return [step for step in STEPS if step not in done]


def time_step(incident: Incident, settings: Settings) -> None:
    """Set the timer of the current step anew: the severity is another, or the timers are."""
    row = IncidentStep.objects.filter(
        incident=incident, round=incident.round, step=incident.step, finished_at=None
    ).first()
    if row is None:
        return
    due_at = settings.due(Step(incident.step), incident.severity, row.started_at)
    if due_at != row.due_at:
        put_step(row, due_at=due_at, overdue_told_at=None)


def watch(incident: Incident, user_id: int, now: datetime) -> bool:
    """Let somebody watch; False where they do already."""
    _, made = IncidentWatcher.objects.get_or_create(incident=incident, user_id=user_id, defaults={"since": now})
    return made


def unwatch(incident: Incident, user_id: int) -> bool:
    """Let somebody watch no longer; False where they did not."""
    return bool(IncidentWatcher.objects.filter(incident=incident, user_id=user_id).delete()[0])


def put_settings(project_id: int, by_id: int | None, **fields: Any) -> None:
    """Set what is given of the project's timers and gates."""
    IncidentSettings.objects.update_or_create(project_id=project_id, defaults={**fields, "changed_by_id": by_id})


def _event(
    incident: Incident, kind: str, at: datetime, user_id: int | None, actor: str, facts: Json | None, key: str | None
) -> IncidentEvent:
    return IncidentEvent(
        incident=incident, at=at, kind=kind, user_id=user_id, actor=actor[:120], facts=dict(facts or {}), key=key
    )
