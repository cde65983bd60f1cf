"""Monitors as lists, pages and the engine see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q, QuerySet

from alerts.models import Alarm, Budget, Monitor
from alerts.monitors.definition import read_definition
from alerts.monitors.states import Method, Standing
from alerts.monitors.types import Definition
from telltale.lib import clock


@dataclass(frozen=True, slots=True)
class MonitorRow:
    """One monitor. `arl0` windows until a false alarm; None of `muted_until`: not muted; `error` why it is broken.

    `updates_a_week / arl0` is what it may alarm in a week while nothing is wrong. `alarm_id`: the alarm that is open
    (or acknowledged), None without one. `baseline_id`: the baseline in force, None while learning.
    """

    id: int
    project_id: int
    name: str
    definition: Definition
    metric: str
    method: Method
    severity: int
    is_paging: bool
    weight: float
    updates_a_week: float
    arl0: float
    is_on: bool
    muted_until: datetime | None
    standing: Standing
    standing_words: str
    standing_since: datetime
    revision: int
    chart_no: int
    next_start: datetime
    decided_to: datetime | None
    due_at: datetime
    failures: int
    error: str
    alarm_id: int | None
    baseline_id: int | None
    created_by: str
    created_at: datetime
    changed_at: datetime
    archived_at: datetime | None

    @property
    def expected_a_week(self) -> float:
        """False alarms to expect a week while nothing is wrong, as the budget gives them now."""
        return self.updates_a_week / self.arl0

    def is_muted(self, now: datetime) -> bool:
        """Whether it is charted but may not page."""
        return self.muted_until is not None and self.muted_until > now


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """The alert budget of a project; the defaults where nobody set one (`changed_at` None)."""

    pages_a_week: float
    marked_days: tuple[str, ...]
    capacity: dict[str, float]
    changed_by: str
    changed_at: datetime | None


def list_monitors(
    project_id: int,
    *,
    archived: bool = False,
    standings: Sequence[Standing] = (),
    metric: str = "",
    method: str = "",
    search: str = "",
    after: int | None = None,
    limit: int = 500,
) -> list[MonitorRow]:
    """Monitors of a project by id, `after` the last id of the page before. Two queries, whatever their number."""
    rows = Monitor.objects.filter(project_id=project_id, archived_at__isnull=not archived)
    if standings:
        rows = rows.filter(standing__in=[str(one) for one in standings])
    if metric:
        rows = rows.filter(metric=metric)
    if method:
        rows = rows.filter(method=method)
    if search:
        rows = rows.filter(name__icontains=search)
    if after is not None:
        rows = rows.filter(pk__gt=after)
    return _rows(rows.order_by("pk")[:limit])


def get_monitor(project_id: int, monitor_id: int) -> MonitorRow | None:
    """One monitor of a project, archived ones too; None where there is none of this id."""
    found = _rows(Monitor.objects.filter(project_id=project_id, pk=monitor_id))
    return found[0] if found else None


def get_budget(project_id: int) -> BudgetRow:
    """The alert budget of a project."""
    row = Budget.objects.select_related("changed_by").filter(pk=project_id).first()
    if row is None:
        return BudgetRow(Budget._meta.get_field("pages_a_week").get_default(), (), {}, "", None)
    capacity = {str(key): float(value) for key, value in row.capacity.items()}
    return BudgetRow(row.pages_a_week, tuple(row.marked_days), capacity, _person(row.changed_by), row.changed_at)


def has_due_work() -> bool:
    """Whether a monitor is due: cheap enough to be asked every second."""
    now = clock.now()
    return Monitor.objects.filter(archived_at__isnull=True, is_on=True, due_at__lte=now).exists()


@dataclass(frozen=True, slots=True)
class Backlog:
    """Monitors that are due in the whole installation: how many, since when the oldest; and how many are broken."""

    due: int
    oldest_seconds: float | None
    broken: int


def read_watching_backlog(now: datetime) -> Backlog:
    """What waits to be evaluated. One query."""
    every = Monitor.objects.unscoped("how much work waits here, of every project")
    rows = every.filter(archived_at__isnull=True, is_on=True).aggregate(
        due=Count("pk", filter=Q(due_at__lte=now)),
        oldest=Min("due_at", filter=Q(due_at__lte=now)),
        broken=Count("pk", filter=Q(standing="broken")),
    )
    oldest = rows["oldest"]
    return Backlog(rows["due"], None if oldest is None else (now - oldest).total_seconds(), rows["broken"])


def _rows(rows: QuerySet[Monitor]) -> list[MonitorRow]:
    found = list(rows.select_related("created_by").defer("created_by__password"))
    open_alarms = dict(
        Alarm.objects.filter(monitor__in=[row.pk for row in found], state__in=("open", "acknowledged"))
        .order_by("pk")
        .values_list("monitor_id", "pk")
    )
    return [_row(row, open_alarms.get(row.pk)) for row in found]


def _row(row: Monitor, alarm_id: int | None) -> MonitorRow:
    return MonitorRow(
        id=row.pk,
        project_id=row.project_id,
        name=row.name,
        definition=read_definition(row.definition),
        metric=row.metric,
        method=Method(row.method),
        severity=row.severity,
        is_paging=row.is_paging,
        weight=row.weight,
        updates_a_week=row.updates_a_week,
        arl0=row.arl0,
        is_on=row.is_on,
        muted_until=row.muted_until,
        standing=Standing(row.standing),
        standing_words=row.standing_words,
        standing_since=row.standing_since,
        revision=row.revision,
        chart_no=row.chart_no,
        next_start=row.next_start,
        decided_to=row.decided_to,
        due_at=row.due_at,
        failures=row.failures,
        error=row.error,
        alarm_id=alarm_id,
        baseline_id=row.chart.get("baseline_id"),
        created_by=_person(row.created_by),
        created_at=row.created_at,
        changed_at=row.changed_at,
        archived_at=row.archived_at,
    )


def _person(user: object) -> str:
    return "" if user is None else str(getattr(user, "name", "") or getattr(user, "email", ""))
