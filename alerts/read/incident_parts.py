"""What belongs to an incident: members, steps, watchers, and the lines of its timeline. Frozen rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q

from alerts.incidents import scopes, wording
from alerts.incidents.types import STEPS, Scope, Step
from alerts.models import IncidentEvent, IncidentMember, IncidentStep, IncidentWatcher
from alerts.read.monitors import _person


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of one round. `due_at` None: no timer; `finished_at` None: not finished."""

    step: Step
    round: int
    started_at: datetime
    due_at: datetime | None
    finished_at: datetime | None
    finished_by: str
    draft: Mapping[str, Any]
    outcome: Mapping[str, Any]

    @property
    def in_time(self) -> bool | None:
        """Whether it was finished before its timer ran out; None: not finished, or no timer."""
        return None if self.finished_at is None or self.due_at is None else self.finished_at <= self.due_at


@dataclass(frozen=True, slots=True)
class MemberRow:
    """What belongs to an incident, and what it said when it joined. `value`, `before` in the metric's unit or None."""

    id: int
    kind: str
    ref: int
    monitor_id: int | None
    name: str
    metric: str
    direction: str
    rule: str
    value: float | None
    before: float | None
    n: int | None
    scope: Scope
    path: str
    severity: int
    is_page: bool
    joined_at: datetime
    began_at: datetime
    over_at: datetime | None
    facts: Mapping[str, Any]

    @property
    def sev(self) -> str:
        """p0 to p3, as badges are named."""
        return f"p{self.severity}"

    @property
    def says(self) -> str:
        """What it said, without its name: "fell below its lower limit"; a probe's or budget's own words."""
        return str(self.facts.get("says") or wording.happened(self.rule, self.direction))

    @property
    def before_now(self) -> str:
        """ "1.9% → 6.9%"; what is known of it, "" where nothing is."""
        if self.value is None:
            return ""
        now = wording.number(self.metric, self.value)
        return f"{wording.number(self.metric, self.before)} → {now}" if self.before is not None else now


@dataclass(frozen=True, slots=True)
class WatcherRow:
    """A person who is told of an incident whatever the routes say."""

    user_id: int
    name: str
    email: str
    since: datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of a timeline. `who`: a person, else the key that acted, "" for the machine."""

    id: int
    at: datetime
    kind: str
    who: str
    user_id: int | None
    facts: Mapping[str, Any]


def list_members(incident_id: int, *, after: tuple[datetime, int] | None = None, limit: int = 500) -> list[MemberRow]:
    """What belongs to an incident, in the order in which it began, behind (began_at, id). One query."""
    rows = IncidentMember.objects.filter(incident_id=incident_id)
    if after is not None:
        rows = rows.filter(Q(began_at__gt=after[0]) | Q(began_at=after[0], pk__gt=after[1]))
    return [_member(row) for row in rows.order_by("began_at", "pk")[:limit]]


def members_of(incident_ids: Sequence[int], most: int = 3) -> dict[int, list[MemberRow]]:
    """The first paging members of some incidents, at most `most` each. One query, over at most 2,000 members."""
    found: dict[int, list[MemberRow]] = {incident_id: [] for incident_id in incident_ids}
    rows = IncidentMember.objects.filter(incident_id__in=list(found)).order_by("-is_page", "began_at", "pk")[:2_000]
    for row in rows:
        if len(found[row.incident_id]) < most:
            found[row.incident_id].append(_member(row))
    return found


def list_steps(incident_id: int, round: int | None = None) -> list[StepRow]:
    """The steps of an incident that were begun, by round and order; of one round where it is given. One query."""
    rows = IncidentStep.objects.filter(incident_id=incident_id)
    if round is not None:
        rows = rows.filter(round=round)
    found = [
        StepRow(
            Step(row.step),
            row.round,
            row.started_at,
            row.due_at,
            row.finished_at,
            _person(row.finished_by),
            row.draft,
            row.outcome,
        )
        for row in rows.select_related("finished_by")
    ]
    return sorted(found, key=lambda row: (row.round, STEPS.index(row.step)))


def steps_in_time(incident_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Of some incidents, how many finished steps with a timer were in time, of how many. One query."""
    rows = (
        IncidentStep.objects.filter(incident_id__in=list(incident_ids), finished_at__isnull=False, due_at__isnull=False)
        .values("incident_id")
        .annotate(all=Count("pk"), good=Count("pk", filter=Q(finished_at__lte=F("due_at"))))
    )
    return {row["incident_id"]: (row["good"], row["all"]) for row in rows}


def list_watchers(incident_id: int) -> list[WatcherRow]:
    """Who watches an incident. One query."""
    rows = IncidentWatcher.objects.filter(incident_id=incident_id, user__is_active=True).order_by("since", "pk")
    told = rows.values_list("user_id", "user__name", "user__email", "since")
    return [WatcherRow(user_id, name or email, email, since) for user_id, name, email, since in told]


def list_events(
    incident_id: int,
    *,
    kinds: Sequence[str] = (),
    before: tuple[datetime, int] | None = None,
    after: int | None = None,
    limit: int = 100,
) -> list[EventRow]:
    """The timeline of an incident, newest first. One query.

    `before`: (at, id) of the last row of the page before; `after`: those alone that were written after this id.
    """
    rows = IncidentEvent.objects.filter(incident_id=incident_id)
    if kinds:
        rows = rows.filter(kind__in=list(kinds))
    if before is not None:
        rows = rows.filter(Q(at__lt=before[0]) | Q(at=before[0], pk__lt=before[1]))
    if after is not None:
        rows = rows.filter(pk__gt=after)
    return [
        EventRow(row.pk, row.at, row.kind, _person(row.user) or row.actor, row.user_id, row.facts)
        for row in rows.select_related("user").order_by("-at", "-pk")[:limit]
    ]


def _member(row: IncidentMember) -> MemberRow:
    facts = row.facts
    return MemberRow(
        id=row.pk,
        kind=row.kind,
        ref=row.ref,
        monitor_id=row.monitor_id,
        name=facts.get("name", ""),
        metric=facts.get("metric", ""),
        direction=facts.get("direction", ""),
        rule=facts.get("rule", ""),
        value=facts.get("value"),
        before=facts.get("before"),
        n=facts.get("n"),
        scope=scopes.read(facts.get("scope", {})),
        path=facts.get("path", ""),
        severity=row.severity,
        is_page=row.is_page,
        joined_at=row.joined_at,
        began_at=row.began_at,
        over_at=row.over_at,
        facts=facts,
    )
