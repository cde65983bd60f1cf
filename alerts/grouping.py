"""Alarms become incidents: what pages opens or joins one, what does not joins as evidence.

One transaction for a project under its row's lock, and a member once by its unique key: grouped twice, from two
processes, or killed in between, everything belongs to one incident exactly once, and so do the messages.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, transaction

from alerts.incidents import grouping, scopes, wording
from alerts.incidents.grouping import Arrival, Going
from alerts.incidents.types import GOING, Kind, Origin, Scope, Settings, State
from alerts.models import Incident, IncidentMember
from alerts.moving import grown_worse
from alerts.opening import joined_facts, make_member, open_incident, reopen, title_of
from alerts.read.incident_settings import get_settings
from alerts.read.joining import arrivals_of, projects_with_arrivals
from alerts.write import incidents as write
from telltale.lib import clock

logger = logging.getLogger(__name__)
# Lines of a timeline that one round of grouping adds for one incident; the rest is said as a number.
JOINED_SHOWN = 5
_COMPOSITE = "composite"


@dataclass(slots=True)
class _Held:
    """An incident that is held while a project is grouped, with what its members say and what came this time."""

    row: Incident
    scopes: list[Scope] = field(default_factory=list)
    is_wide: bool = False
    metrics: set[str] = field(default_factory=set)
    monitors: set[tuple[int, str]] = field(default_factory=set)
    lead: Mapping[str, Any] | None = None  # what the first member that pages said
    title: str = ""  # as the machine called it before; "" where a person called it otherwise
    came: list[Arrival] = field(default_factory=list)

    def takes(self, facts: Mapping[str, Any], monitor_id: int | None, *, is_page: bool) -> None:
        """Count what a member says."""
        metric, scope = str(facts.get("metric", "")), scopes.read(facts.get("scope", {}))
        if is_page:
            self.lead = self.lead or facts
            self.scopes.append(scope)
            self.is_wide = self.is_wide or not scope
            if metric and metric != _COMPOSITE:
                self.metrics.add(metric)
        if monitor_id is not None:
            self.monitors.add((monitor_id, str(facts.get("direction", ""))))

    def going(self) -> Going:
        """What the rule needs to know of it."""
        row = self.row
        return Going(
            row.pk, scopes.read(row.scope), self.is_wide, row.began_at, row.last_moved_at, row.opened_at,
            frozenset(self.metrics), frozenset(self.monitors),
        )  # fmt: skip


def take_alarms(project_ids: Iterable[int] | None = None) -> int:
    """Group what no incident has taken yet, in some projects or in all; how many members that made.

    A project that fails is logged and costs the others nothing.
    """
    now = clock.now()
    asked = projects_with_arrivals(now) if project_ids is None else sorted(set(project_ids))
    taken = 0
    for project_id in asked:
        try:
            taken += _take(project_id, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("alarms of project %s could not be grouped", project_id)
    return taken


def take(project_id: int, arrivals: Sequence[Arrival], *, origin: Origin = Origin.ALARM) -> list[Incident]:
    """Group some arrivals now; the incident of each that has one, in the order in which they were taken."""
    with transaction.atomic():
        if not write.lock_project(project_id):
            return []
        return [held.row for held in _group(project_id, arrivals, clock.now(), origin) if held is not None]


def join_budget(
    project_id: int,
    ref: int,
    *,
    severity: int,
    title: str,
    says: str,
    began_at: datetime,
    scope: Scope | None = None,
    path: str = "cost/budgets/",
    at: datetime | None = None,
    over_at: datetime | None = None,
) -> int | None:
    """Let a cost budget open or join an incident; its number, None where the project is gone.

    `ref`: the BudgetStand; told twice, it stays where it is and only its severity follows. `says` goes behind its
    name: "has spent 80% of $500". It joins what began about the same cost at the same time.
    """
    now = at or clock.now()
    held = write.is_member(project_id, Kind.BUDGET, ref)
    if held is not None:
        _heighten(project_id, held, ref, severity, says, now)
        return held
    facts = {
        "name": title, "says": says, "title": wording.cut(f"{title} {says}", 200), "path": path,
        "scope": scopes.as_json(scope or {}), "window_start": began_at.isoformat(), "window_end": now.isoformat(),
    }  # fmt: skip
    arrival = Arrival(
        Kind.BUDGET, ref, severity, True, began_at, max(now, began_at), scope=scope or {}, over_at=over_at, facts=facts
    )
    found = take(project_id, [arrival], origin=Origin.BUDGET)
    return found[0].number if found else write.is_member(project_id, Kind.BUDGET, ref)


def _take(project_id: int, now: datetime) -> int:
    with transaction.atomic():
        if not write.lock_project(project_id):
            return 0
        return sum(
            1 for held in _group(project_id, arrivals_of(project_id, now), now, Origin.ALARM) if held is not None
        )


def _group(project_id: int, arrivals: Sequence[Arrival], now: datetime, origin: Origin) -> list[_Held | None]:
    """The incident each arrival went to, in the order of taking; the project is held."""
    if not arrivals:
        return []
    settings = get_settings(project_id)
    held = _held(project_id)
    went: list[_Held | None] = []
    for arrival in grouping.order(arrivals):
        found = grouping.choose(arrival, [each.going() for each in held.values()])
        if found is not None:
            place = held[found.id]
        elif not arrival.is_page:
            went.append(None)
            continue
        else:
            place = _again(project_id, arrival, now, settings) or _open(project_id, arrival, now, origin)
            held[place.row.pk] = place
        _join(place, arrival)
        went.append(place)
    for place in held.values():
        if place.came:
            _settle(place, now, settings)
    return went


def _held(project_id: int) -> dict[int, _Held]:
    rows = {row.pk: _Held(row) for row in write.lock_going(project_id)}
    for member in IncidentMember.objects.filter(incident__in=list(rows)).order_by("pk"):
        rows[member.incident_id].takes(member.facts, member.monitor_id, is_page=member.is_page)
    for held in rows.values():
        if held.lead is not None and held.row.title == title_of(held.lead, scopes.read(held.row.scope)):
            held.title = held.row.title
    return rows


def _again(project_id: int, arrival: Arrival, now: datetime, settings: Settings) -> _Held | None:
    """The incident that this alarm opens again: closed lately, not as a false alarm, and of the same monitor."""
    if arrival.monitor_id is None or not settings.reopen_days:
        return None
    since = now - timedelta(days=settings.reopen_days)
    member = (
        IncidentMember.objects.filter(
            project_id=project_id, kind=Kind.ALARM, monitor_id=arrival.monitor_id, is_page=True,
            facts__direction=arrival.direction, incident__state=State.RESOLVED, incident__closed_at__gte=since,
        )
        .exclude(incident__verdict="false")
        .order_by("-incident__closed_at")
        .values_list("incident__number", flat=True)
        .first()
    )  # fmt: skip
    row = write.lock(project_id, member) if member is not None else None
    if row is None or row.state != State.RESOLVED:
        return None
    closed_at = row.closed_at
    reopen(row, now, severity=arrival.severity, began_at=arrival.start, settings=settings)
    found = _Held(row)
    words = f"{arrival.facts.get('name', '')} {arrival.facts.get('says', '')}".strip()
    facts = {"words": words, "closed_at": closed_at.isoformat() if closed_at else None, "severity": row.severity}
    write.add_event(row, "reopened", now, facts=facts, key=f"reopened:r{row.round}")
    return found


def _open(project_id: int, arrival: Arrival, now: datetime, origin: Origin) -> _Held:
    born = Origin(arrival.kind) if origin == Origin.ALARM else origin
    title = title_of(arrival.facts, arrival.scope)
    row = open_incident(
        project_id,
        title=title,
        severity=arrival.severity,
        scope=arrival.scope,
        began_at=arrival.start,
        last_moved_at=arrival.end,
        origin=born,
        now=now,
    )
    return _Held(row, title=title)


def _join(place: _Held, arrival: Arrival) -> None:
    place.came.append(arrival)
    place.takes(arrival.facts, arrival.monitor_id, is_page=arrival.is_page)
    row = place.row
    if arrival.is_page:
        row.began_at = min(row.began_at, arrival.start)
        row.last_moved_at = max(row.last_moved_at, arrival.end)
        row.scope = scopes.as_json(scopes.common(place.scopes))


def _settle(place: _Held, now: datetime, settings: Settings) -> None:
    """Write what came: members, lines, and what it makes of the incident."""
    row, came = place.row, place.came
    write.add_members([make_member(row, arrival, now) for arrival in came])
    shown = came[:JOINED_SHOWN]
    lines = [(row, "joined", now, joined_facts(arrival), f"joined:{arrival.kind}:{arrival.ref}") for arrival in shown]
    if len(came) > len(shown):
        lines[-1][3]["more"] = len(came) - len(shown)
    write.add_events(lines)
    fields: dict[str, object] = {"began_at": row.began_at, "last_moved_at": row.last_moved_at, "scope": row.scope}
    if place.title and place.lead is not None:
        fields["title"] = title_of(place.lead, scopes.read(row.scope))
    if row.quiet_since is not None and any(arrival.is_page and arrival.over_at is None for arrival in came):
        fields["quiet_since"] = None
        write.add_event(row, "moves", now)
    worst = min((arrival.severity for arrival in came if arrival.is_page), default=row.severity)
    before = row.severity
    if worst < before:
        fields["severity"] = worst
    write.put(row, **fields)
    if worst < before:
        write.time_step(row, settings)
        write.add_event(row, "worse", now, facts={"severity": worst, "before": before})
        grown_worse(row, before)


def _heighten(project_id: int, number: int, ref: int, severity: int, says: str, now: datetime) -> None:
    """Let a budget's member say what it says now; the incident is as bad as its worst member."""
    with transaction.atomic():
        row = write.lock(project_id, number)
        member = IncidentMember.objects.filter(project_id=project_id, kind=Kind.BUDGET, ref=ref).first()
        if row is None or member is None or member.incident_id != row.pk:
            return
        if (member.severity, member.facts.get("says")) == (severity, says):
            return
        member.severity, member.facts = severity, {**member.facts, "says": says}
        member.save(update_fields=["severity", "facts"])
        if row.state not in GOING:
            return
        before = row.severity
        facts = {"name": member.facts.get("name", ""), "says": says, "is_page": True, "path": member.facts.get("path")}
        write.add_event(row, "joined", now, facts=facts)
        write.put(row, severity=min(before, severity), last_moved_at=max(row.last_moved_at, now), quiet_since=None)
        if severity < before:
            write.time_step(row, get_settings(project_id))
            write.add_event(row, "worse", now, facts={"severity": severity, "before": before})
            grown_worse(row, before)
