"""Alarms of probes across projects, for whoever gathers what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evals.models import ProbeAlarm


@dataclass(frozen=True, slots=True)
class ProbeAlarmRow:
    """An alarm of a model of a suite. `path` is its page below /p/<slug>/; `run_at` when what moved was asked."""

    id: int
    project_id: int
    suite: str
    suite_slug: str
    model: str
    evidence: Sequence[Mapping[str, Any]]
    run_at: datetime
    opened_at: datetime
    closed_at: datetime | None

    @property
    def path(self) -> str:
        return f"probes/{self.suite_slug}/"


def recent_ids(since: datetime) -> list[int]:
    """Ids of the alarms that opened after a moment, of the whole installation. One query."""
    return list(ProbeAlarm.objects.filter(opened_at__gt=since).values_list("pk", flat=True)[:1_000])


def alarms_by_id(alarm_ids: Sequence[int], project_id: int | None = None) -> list[ProbeAlarmRow]:
    """Some alarms by id, of one project where it is given; those that are gone are left out. One query."""
    rows = ProbeAlarm.objects.filter(pk__in=list(alarm_ids))
    if project_id is not None:
        rows = rows.filter(suite__project_id=project_id)
    found = rows.order_by("pk").values_list(
        "pk", "suite__project_id", "suite__name", "suite__slug", "target__model", "evidence", "run__created_at",
        "opened_at", "closed_at",
    )  # fmt: skip
    return [ProbeAlarmRow(*row) for row in found]


def closed_of(alarm_ids: Sequence[int]) -> dict[int, datetime]:
    """When some alarms closed, by id; those that go on have no entry, nor those that are gone. One query."""
    rows = ProbeAlarm.objects.filter(pk__in=list(alarm_ids), closed_at__isnull=False)
    return {pk: closed_at for pk, closed_at in rows.values_list("pk", "closed_at") if closed_at}
