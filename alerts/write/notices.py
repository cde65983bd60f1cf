"""The outbox: what happened is written in the transaction that made it happen, once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerts.models import Transition
from alerts.notices.transitions import GROUPED, Kind, make_id


def put_transition(
    project_id: int,
    kind: Kind,
    key: str,
    *,
    at: datetime,
    due_at: datetime,
    incident_id: int | None = None,
    severity: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Transition:
    """The row of what happened: a new one, or the one that is there under this key."""
    row = Transition(
        id=make_id(project_id, key), project_id=project_id, key=key, kind=kind, incident_id=incident_id,
        severity=severity, at=at, due_at=due_at, facts=dict(facts or {}),
    )  # fmt: skip
    Transition.objects.bulk_create([row], ignore_conflicts=True)
    return Transition.objects.get(project_id=project_id, key=key)


def lock_untold(incident_id: int) -> Transition | None:
    """The message that an incident has begun, held, while nobody was sent it; None where it went out."""
    rows = Transition.objects.select_for_update(no_key=True)
    return rows.filter(incident_id=incident_id, kind__in=GROUPED, routed_at=None).order_by("-at").first()


def fold(row: Transition, severity: int, facts: Mapping[str, Any]) -> None:
    """Let a message that nobody was sent yet say what came to it meanwhile."""
    row.severity = severity if row.severity is None else min(row.severity, severity)
    row.facts = {**row.facts, **facts}
    row.save(update_fields=["severity", "facts"])
