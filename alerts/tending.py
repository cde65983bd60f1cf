"""What time does to incidents: alarms are grouped, members end, steps run out of time. No incident closes by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet

from alerts import notifying
from alerts.grouping import JOINED_SHOWN, take_alarms
from alerts.incidents.types import GOING
from alerts.models import Incident, IncidentMember, IncidentStep
from alerts.moving import key_of
from alerts.notices.transitions import Kind as Told
from alerts.read.joining import has_arrivals, over_members
from alerts.write import incidents as write
from telltale.lib import clock

OVERDUE_MOST = 500


def tend(now: datetime | None = None) -> int:
    """Everything time does to incidents: group, note what is over, tell which steps are overdue; how much it did."""
    at = now or clock.now()
    return take_alarms() + end_members(at) + tell_overdue(at)


def end_members(now: datetime) -> int:
    """Note which members are over, and which incidents are quiet since; how many members that is."""
    ended = 0
    for project_id, members in over_members(now).items():
        with transaction.atomic():
            ended += _end(project_id, dict(members), now)
    return ended


def tell_overdue(now: datetime) -> int:
    """Tell once of each step that is not done in its time; how many."""
    due = _due(now)
    told = 0
    for pk, project_id, number in due.values_list("pk", "incident__project_id", "incident__number")[:OVERDUE_MOST]:
        with transaction.atomic():
            told += _overdue(project_id, number, pk, now)
    return told


def has_overdue(now: datetime) -> bool:
    """Whether a step is overdue and nobody was told. One query, on incident_step_due."""
    return _due(now).exists()


def has_work() -> bool:
    """Whether an alarm waits to be grouped or a step is overdue: cheap enough to be asked every second."""
    now = clock.now()
    return has_arrivals(now) or has_overdue(now)


def _due(now: datetime) -> QuerySet[IncidentStep]:
    return IncidentStep.objects.filter(
        due_at__lt=now,
        finished_at=None,
        overdue_told_at=None,
        incident__state__in=GOING,
        incident__round=F("round"),
        incident__step=F("step"),
    )


def _end(project_id: int, over: dict[int, datetime], now: datetime) -> int:
    numbers = list(
        IncidentMember.objects.filter(pk__in=list(over)).values_list("incident__number", flat=True).distinct()
    )
    rows = {row.pk: row for row in write.lock_many(project_id, numbers).values()}
    members = list(IncidentMember.objects.filter(pk__in=list(over), over_at=None, incident__in=list(rows)))
    for member in members:
        member.over_at = over[member.pk]
    IncidentMember.objects.bulk_update(members, ["over_at"], batch_size=500)
    for row in rows.values():
        mine = [member for member in members if member.incident_id == row.pk]
        if mine:
            _quieten(row, mine, now)
    return len(members)


def _quieten(row: Incident, ended: Sequence[IncidentMember], now: datetime) -> None:
    """Say which members are over; where no paging one goes on, the incident is quiet since."""
    shown = list(ended)[:JOINED_SHOWN]
    for member in shown:
        facts = {
            "name": member.facts.get("name", ""),
            "over_at": member.over_at.isoformat() if member.over_at else None,
        }
        write.add_event(row, "over", now, facts=facts, key=f"over:{member.pk}")
    left = IncidentMember.objects.filter(incident=row)
    if row.quiet_since is None and not left.filter(over_at=None, is_page=True).exists():
        last = left.exclude(over_at=None).order_by("-over_at").values_list("over_at", flat=True).first() or now
        write.put(row, quiet_since=last)
        write.add_event(row, "quiet", now, facts={"since": last.isoformat()})
    else:
        write.put(row)


def _overdue(project_id: int, number: int, step_id: int, now: datetime) -> int:
    row = write.lock(project_id, number)
    step = IncidentStep.objects.filter(pk=step_id, finished_at=None, overdue_told_at=None).first()
    if row is None or step is None or row.state not in GOING or (step.step, step.round) != (row.step, row.round):
        return 0
    if step.due_at is None or step.due_at >= now:
        return 0
    write.put_step(step, overdue_told_at=now)
    minutes = round((step.due_at - step.started_at).total_seconds() / 60)
    facts = {"step": step.step, "minutes": minutes, "due_at": step.due_at.isoformat()}
    began = f"{step.started_at:%Y%m%dT%H%M%S}"
    write.add_event(row, "overdue", now, facts=facts, key=f"overdue:r{row.round}:{step.step}:{began}")
    write.put(row)
    notifying.tell(row, Told.OVERDUE, key_of(row, f"overdue:{step.step}:{began}"), facts=facts, at=now)
    return 1
