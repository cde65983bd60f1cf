"""What scope, isolate and recovery came to, as it was kept at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.models import ResponseMade, ScopeReport

KINDS = ("scope", "isolate", "recovery")


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report. `state` waiting (a worker makes it; `body` is the one before, {} the first time), done, failed."""

    kind: str
    round: int
    state: str
    body: Mapping[str, Any]
    error: str
    asked_at: datetime
    made_at: datetime | None

    @property
    def is_there(self) -> bool:
        """Whether there is something to show."""
        return bool(self.body)


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """What people did. `change`: the change of the log that says the same; `recovered_at` None: not back yet."""

    id: int
    kind: str
    at: datetime
    note: str
    url: str
    change: int | None
    by: str
    recorded_at: datetime
    recovered_at: datetime | None


def reports_of(incident_id: int, round_no: int) -> dict[str, ReportRow]:
    """The reports of a round by kind. One query."""
    rows = ScopeReport.objects.filter(incident_id=incident_id, round=round_no)
    return {
        row.kind: ReportRow(row.kind, row.round, row.state, row.body, row.error, row.asked_at, row.made_at)
        for row in rows
    }


def responses_of(incident_id: int, round_no: int | None = None) -> list[ResponseRow]:
    """What people did, in the order of its effect; of all rounds by default. One query."""
    rows = ResponseMade.objects.filter(incident_id=incident_id).select_related("user")
    if round_no is not None:
        rows = rows.filter(round=round_no)
    return [
        ResponseRow(
            row.pk, row.kind, row.at, row.note, row.url, row.change,
            (row.user.name or row.user.email) if row.user else "", row.recorded_at, row.recovered_at,
        )
        for row in rows.order_by("at", "pk")
    ]  # fmt: skip


def has_reports_to_make() -> bool:
    """Whether a report waits: cheap enough to be asked every second."""
    return ScopeReport.objects.filter(state="waiting").exists()
