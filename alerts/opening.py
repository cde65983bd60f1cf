"""The beginning of an incident, and of another round of one: what grouping, people and reopening share.

The caller holds the project's row (to open) or the incident's (to reopen).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerts import notifying
from alerts.incidents import scopes, wording
from alerts.incidents.grouping import Arrival
from alerts.incidents.types import TITLE_MAX, Origin, Scope, Settings, State, Step
from alerts.models import Incident, IncidentMember
from alerts.moving import key_of
from alerts.notices.transitions import Kind as Told
from alerts.read.incident_settings import get_settings
from alerts.write import incidents as write


def open_incident(
    project_id: int,
    *,
    title: str,
    severity: int,
    scope: Scope,
    began_at: datetime,
    last_moved_at: datetime,
    origin: Origin,
    now: datetime,
    user_id: int | None = None,
    actor: str = "",
    split_from: Incident | None = None,
) -> Incident:
    """A new incident of a held project at its first step; people are told once alarms had time to come together."""
    row = write.insert(
        project_id, title=wording.cut(title, 200), severity=severity, origin=origin, scope=scopes.as_json(scope),
        opened_at=now, began_at=began_at, last_moved_at=last_moved_at, created_by_id=user_id, split_from=split_from,
    )  # fmt: skip
    write.begin_step(row, Step.TRIAGE, now, get_settings(project_id))
    write.add_event(
        row, "opened", now, user_id=user_id, actor=actor, facts={"severity": severity, "origin": origin}, key="opened"
    )
    notifying.tell(row, Told.OPENED, key_of(row, "opened"), at=now)
    return row


def reopen(row: Incident, now: datetime, *, severity: int, began_at: datetime, settings: Settings) -> None:
    """Begin the next round of a locked incident that was resolved: triage anew, what was found before is kept."""
    write.put(
        row, state=State.OPEN, step=Step.TRIAGE, round=row.round + 1, severity=severity, opened_at=now,
        began_at=began_at, last_moved_at=began_at, quiet_since=None, acknowledged_at=None, acknowledged_by=None,
        verdict="", closed_at=None, closed_by=None, override_reason="", muted_until=None, muted_until_worse=False,
    )  # fmt: skip
    write.begin_step(row, Step.TRIAGE, now, settings)
    notifying.tell(row, Told.REOPENED, key_of(row, "reopened"), at=now)


def make_member(row: Incident, arrival: Arrival, now: datetime) -> IncidentMember:
    """The row by which something belongs to an incident, not yet written."""
    return IncidentMember(
        project_id=row.project_id, incident=row, kind=arrival.kind, ref=arrival.ref, monitor_id=arrival.monitor_id,
        severity=arrival.severity, is_page=arrival.is_page, joined_at=now, began_at=arrival.start,
        over_at=None, facts=dict(arrival.facts),
    )  # fmt: skip


def joined_facts(arrival: Arrival) -> dict[str, object]:
    """What the timeline says of a member that joins."""
    facts, metric = arrival.facts, arrival.metric
    value, before = facts.get("value"), facts.get("before")
    words = ""
    if value is not None:
        words = wording.number(metric, value)
        words = f"{wording.number(metric, before)} → {words}" if before is not None else words
    return {
        "name": facts.get("name", ""),
        "says": facts.get("says", ""),
        "before_now": words,
        "path": facts.get("path", ""),
        "is_page": arrival.is_page,
        "began_at": arrival.start.isoformat(),
    }


def title_of(facts: Mapping[str, Any], scope: Scope) -> str:
    """What an incident is called after its first member that pages, and how many features it has come to."""
    if facts.get("title"):
        return wording.cut(str(facts["title"]), TITLE_MAX)
    name, metric, rule, direction = (str(facts.get(key, "")) for key in ("name", "metric", "rule", "direction"))
    return wording.title(name, metric, rule, direction, wording.features_of(scope))
