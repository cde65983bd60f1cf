"""Baselines: the frozen references of charts, kept for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from alerts.detectors.base import Baseline as Learned
from alerts.models import Baseline
from alerts.read.monitors import _person

PROPOSED, IN_FORCE, REPLACED, REFUSED = "proposed", "in_force", "replaced", "refused"
STATES = (PROPOSED, IN_FORCE, REPLACED, REFUSED)


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One frozen reference with its limits. `arl0`: the run length in windows its limits were made for.

    `centre`: the middle of what was drawn over the stretch, in the metric's unit. `excluded`: starts of windows that
    phase I left out. `limits_of`: the baseline whose reference this one has, with other limits. `approved_at` None:
    frozen by the engine, and no person has said yes to it so far.
    """

    id: int
    project_id: int
    monitor_id: int
    chart_no: int
    state: str
    kind: str
    start_at: datetime
    end_at: datetime
    n: int
    windows: int
    arl0: float
    learned: Learned
    centre: float | None
    excluded: tuple[datetime, ...]
    limits_of: int | None
    reason: str
    made_by: str
    approved_by: str
    approved_at: datetime | None
    in_force_from: datetime | None
    in_force_to: datetime | None
    created_at: datetime


def list_baselines(
    project_id: int,
    monitor_id: int,
    *,
    chart_no: int | None = None,
    states: tuple[str, ...] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[BaselineRow]:
    """Baselines of a monitor, newest first; `before`: the last id of the page before. One query."""
    rows = Baseline.objects.filter(project_id=project_id, monitor_id=monitor_id)
    if chart_no is not None:
        rows = rows.filter(chart_no=chart_no)
    if states:
        rows = rows.filter(state__in=states)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return _rows(rows.order_by("-pk")[:limit])


def get_baseline(project_id: int, baseline_id: int) -> BaselineRow | None:
    """One baseline of a project; None where there is none of this id."""
    found = _rows(Baseline.objects.filter(project_id=project_id, pk=baseline_id))
    return found[0] if found else None


def learned_of(baseline_ids: Sequence[int]) -> dict[int, Learned]:
    """What detectors need of baselines, by id. One query."""
    rows = Baseline.objects.filter(pk__in=list(baseline_ids)).values_list("pk", "learned")
    return {key: Learned.from_json(learned["detector"]) for key, learned in rows}


def _rows(rows: QuerySet[Baseline]) -> list[BaselineRow]:
    return [
        BaselineRow(
            id=row.pk,
            project_id=row.project_id,
            monitor_id=row.monitor_id,
            chart_no=row.chart_no,
            state=row.state,
            kind=row.kind,
            start_at=row.start_at,
            end_at=row.end_at,
            n=row.n,
            windows=row.windows,
            arl0=row.arl0,
            learned=Learned.from_json(row.learned["detector"]),
            centre=row.learned.get("centre"),
            excluded=tuple(datetime.fromisoformat(one) for one in row.excluded),
            limits_of=row.limits_of_id,
            reason=row.reason,
            made_by=_person(row.made_by),
            approved_by=_person(row.approved_by),
            approved_at=row.approved_at,
            in_force_from=row.in_force_from,
            in_force_to=row.in_force_to,
            created_at=row.created_at,
        )
        for row in rows.select_related("made_by", "approved_by")
    ]
