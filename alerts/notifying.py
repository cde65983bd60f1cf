"""Telling people: what others call in the transaction in which something happened.

The row is all that is written then. Who is told, by which channel, and how often it is tried is decided from the row
(`alerts.routing`, `alerts.delivering`), so that nothing that was committed is ever missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from alerts.models import Incident, NoticeSettings, Transition
from alerts.notices.settings import GROUP_SECONDS
from alerts.notices.transitions import GROUPED, KEY_MAX, Kind
from alerts.write import notices as write
from telltale.lib import clock


def tell(
    incident: Incident,
    kind: Kind | str,
    key: str,
    *,
    facts: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    delay: timedelta = timedelta(),
) -> Transition:
    """The row of a transition of an incident; told twice under one key, the row that is there.

    Call it in the transaction that changed the incident. "opened" and "reopened" wait as long as the project groups
    alarms, whatever `delay`; "worse" while such a message waits is folded into it, and its row is the answer; anything
    else lets it wait no longer.
    """
    told, now = Kind(kind), at or clock.now()
    if len(key) > KEY_MAX:
        raise ValueError(f"a key has at most {KEY_MAX} characters")
    if told == Kind.WORSE:
        with transaction.atomic():
            waiting = write.lock_untold(incident.pk)
            if waiting is not None:
                write.fold(waiting, incident.severity, facts or {})
                return waiting
    elif told not in GROUPED:
        # That it began is told before whatever follows.
        write.hurry_untold(incident.pk, now + delay - timedelta(microseconds=1))
    if told in GROUPED:
        delay = max(delay, timedelta(seconds=group_seconds(incident.project_id)))
    return write.put_transition(
        incident.project_id, told, key, at=now, due_at=now + delay, incident_id=incident.pk,
        severity=incident.severity, facts=facts,
    )  # fmt: skip


def tell_project(
    project_id: int,
    kind: Kind | str,
    key: str,
    *,
    severity: int | None = None,
    facts: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    delay: timedelta = timedelta(),
) -> Transition:
    """As `tell`, for what belongs to no incident: the engine, a cost budget. `facts["words"]` is what it says."""
    now = at or clock.now()
    if len(key) > KEY_MAX:
        raise ValueError(f"a key has at most {KEY_MAX} characters")
    return write.put_transition(
        project_id, Kind(kind), key, at=now, due_at=now + delay, severity=severity, facts=facts
    )  # fmt: skip


def group_seconds(project_id: int) -> int:
    """How long a project waits for alarms of one trouble before it says that it began."""
    found = NoticeSettings.objects.filter(project_id=project_id).values_list("group_seconds", flat=True).first()
    return GROUP_SECONDS if found is None else found
