"""What a project says its incidents are worth, its last report about monitors, and the proposals that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.models import MetricReport, Monitor, Proposal, QuestionSettings
from alerts.questions.settings import Worths, worths_of
from alerts.read.monitors import _person

OPEN = "open"
STATES = ("open", "accepted", "refused", "undone", "gone")
MOST = 200


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A project's report. `state`: waiting, working, done, failed; `body` {} where none was made yet."""

    state: str
    body: Mapping[str, Any]
    error: str
    asked_at: datetime
    made_at: datetime | None

    @property
    def is_under_way(self) -> bool:
        """Whether a newer one is being made, or will be within a minute."""
        return self.state in {"waiting", "working"}


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """A proposal about one monitor; `decided_by` "" where no person decided."""

    id: int
    monitor_id: int
    monitor_name: str
    kind: str
    into_id: int | None
    into_name: str
    reasons: tuple[str, ...]
    evidence: Mapping[str, Any]
    state: str
    note: str
    made_at: datetime
    decided_by: str
    decided_at: datetime | None


def get_worths(project_id: int) -> Worths:
    """What incidents and pages are worth in a project. One query."""
    row = QuestionSettings.objects.filter(project_id=project_id).first()
    return worths_of({}, None) if row is None else worths_of(row.worth, row.page_cost, row.application)


def monitor_params(project_id: int) -> dict[int, Mapping[str, Any]]:
    """The parameters of each monitor's metric, by id. One query."""
    rows = Monitor.objects.filter(project_id=project_id, archived_at=None)
    return {key: told or {} for key, told in rows.values_list("pk", "definition__params")}


def get_report(project_id: int) -> ReportRow | None:
    """The last report; None where none was asked for yet."""
    row = MetricReport.objects.filter(project_id=project_id).first()
    if row is None:
        return None
    # While one is made, `made_at` says since when.
    made_at = datetime.fromisoformat(row.body["made_at"]) if row.body else None
    return ReportRow(row.state, row.body, row.error, row.asked_at, made_at)


def list_proposals(project_id: int, *, states: tuple[str, ...] = (), limit: int = MOST) -> list[ProposalRow]:
    """Proposals, the newest first."""
    rows = Proposal.objects.filter(project_id=project_id).select_related("monitor", "into", "decided_by")
    if states:
        rows = rows.filter(state__in=states)
    return [_proposal(row) for row in rows.order_by("-made_at", "-pk")[:limit]]


def get_proposal(project_id: int, proposal_id: int) -> ProposalRow | None:
    """One proposal."""
    rows = Proposal.objects.filter(project_id=project_id, pk=proposal_id)
    row = rows.select_related("monitor", "into", "decided_by").first()
    return None if row is None else _proposal(row)


def _proposal(row: Proposal) -> ProposalRow:
    return ProposalRow(
        row.pk, row.monitor_id, row.monitor.name, row.kind, row.into_id, row.into.name if row.into else "",
        tuple(row.reasons), row.evidence, row.state, row.note, row.made_at, _person(row.decided_by), row.decided_at,
    )  # fmt: skip
