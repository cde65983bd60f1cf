"""Alarms: what detectors said, and what people said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from alerts.models import Alarm
from alerts.read.monitors import _person
from telltale.lib import clock

OPEN, ACKNOWLEDGED, ENDED, CLOSED = "open", "acknowledged", "ended", "closed"
STATES = (OPEN, ACKNOWLEDGED, ENDED, CLOSED)
REAL, FALSE, ACCEPTED = "real", "false", "accepted"
VERDICTS = (REAL, FALSE, ACCEPTED)


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm, from the window that crossed until it ended or a person closed it. `verdict` "": nobody said.

    `statistic` and `limit` on the scale of `rule`, `value` in the metric's unit. `is_page`: it may page.
    """

    id: int
    project_id: int
    monitor_id: int
    monitor_name: str
    metric: str
    baseline_id: int | None
    chart_no: int
    window_start: datetime
    window_end: datetime
    direction: str
    rule: str
    statistic: float | None
    limit: float | None
    value: float | None
    severity: int
    is_page: bool
    state: str
    verdict: str
    note: str
    found_at: datetime
    acknowledged_by: str
    acknowledged_at: datetime | None
    ended_at: datetime | None
    closed_by: str
    closed_at: datetime | None
    evidence: Mapping[str, Any]

    @property
    def is_open(self) -> bool:
        """Whether it goes on: neither ended by itself nor closed."""
        return self.state in {OPEN, ACKNOWLEDGED}


@dataclass(frozen=True, slots=True)
class AlarmTally:
    """What a monitor alarmed in a stretch: all, those that may page, and what people said of those that page."""

    fired: int
    pages: int
    real: int
    false: int
    accepted: int
    unjudged: int


def list_alarms(
    project_id: int,
    *,
    monitor_id: int | None = None,
    states: Sequence[str] = (),
    verdicts: Sequence[str] = (),
    severities: Sequence[int] = (),
    pages_only: bool = False,
    start: datetime | None = None,
    end: datetime | None = None,
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[AlarmRow]:
    """Alarms of a project, newest window first; `before`: (window_start, id) of the last row of the page before.

    `start`, `end`: windows that begin in [start, end). One query.
    """
    rows = Alarm.objects.filter(project_id=project_id)
    if monitor_id is not None:
        rows = rows.filter(monitor_id=monitor_id)
    if states:
        rows = rows.filter(state__in=list(states))
    if verdicts:
        rows = rows.filter(verdict__in=list(verdicts))
    if severities:
        rows = rows.filter(severity__in=list(severities))
    if pages_only:
        rows = rows.filter(is_page=True)
    if start is not None:
        rows = rows.filter(window_start__gte=start)
    if end is not None:
        rows = rows.filter(window_start__lt=end)
    if before is not None:
        rows = rows.filter(Q(window_start__lt=before[0]) | Q(window_start=before[0], pk__lt=before[1]))
    return _rows(rows.order_by("-window_start", "-pk")[:limit])


def get_alarm(project_id: int, alarm_id: int) -> AlarmRow | None:
    """One alarm of a project; None where there is none of this id."""
    found = _rows(Alarm.objects.filter(project_id=project_id, pk=alarm_id))
    return found[0] if found else None


def list_alarms_by_id(project_id: int, alarm_ids: Sequence[int]) -> list[AlarmRow]:
    """The alarms of these ids that the project has. One query."""
    return _rows(Alarm.objects.filter(project_id=project_id, pk__in=list(alarm_ids))) if alarm_ids else []


def tallies(project_id: int, start: datetime, end: datetime | None = None) -> dict[int, AlarmTally]:
    """What each monitor alarmed in windows that begin in [start, end), by monitor; none: it has no entry. One query."""
    page = Q(is_page=True)
    rows = (
        Alarm.objects.filter(project_id=project_id, window_start__gte=start, window_start__lt=end or clock.now())
        .values("monitor_id")
        .annotate(
            fired=Count("pk"),
            pages=Count("pk", filter=page),
            real=Count("pk", filter=page & Q(verdict=REAL)),
            false=Count("pk", filter=page & Q(verdict=FALSE)),
            accepted=Count("pk", filter=page & Q(verdict=ACCEPTED)),
            unjudged=Count("pk", filter=page & Q(verdict="")),
        )
    )
    return {
        row["monitor_id"]: AlarmTally(
            row["fired"], row["pages"], row["real"], row["false"], row["accepted"], row["unjudged"]
        )
        for row in rows
    }


def _rows(rows: QuerySet[Alarm]) -> list[AlarmRow]:
    found = rows.select_related("acknowledged_by", "closed_by").annotate(
        of_name=F("monitor__name"), of_metric=F("monitor__metric")
    )
    return [
        AlarmRow(
            id=row.pk,
            project_id=row.project_id,
            monitor_id=row.monitor_id,
            monitor_name=row.of_name,
            metric=row.of_metric,
            baseline_id=row.baseline_id,
            chart_no=row.chart_no,
            window_start=row.window_start,
            window_end=row.window_end,
            direction=row.direction,
            rule=row.rule,
            statistic=row.statistic,
            limit=row.limit,
            value=row.value,
            severity=row.severity,
            is_page=row.is_page,
            state=row.state,
            verdict=row.verdict,
            note=row.note,
            found_at=row.found_at,
            acknowledged_by=_person(row.acknowledged_by),
            acknowledged_at=row.acknowledged_at,
            ended_at=row.ended_at,
            closed_by=_person(row.closed_by),
            closed_at=row.closed_at,
            evidence=row.evidence,
        )
        for row in found
    ]
