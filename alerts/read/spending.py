"""What is spent: sums of days and months by feature and user from roll-ups, and cost budgets with their stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from django.db import connection
from django.db.models import F, Max, Q, QuerySet

from alerts.allowances.answering import Stood
from alerts.allowances.definition import share_of, steps_of
from alerts.allowances.periods import Bounds, bounds_at
from alerts.allowances.types import Allowance, Of, Period
from alerts.models import BudgetStand, CostBudget
from telltale.lib.sql import load
from traces.read.rollups import Rollups, requests, unbooked_since
from traces.rollup.buckets import Calendar, calendar_of
from traces.rollup.sums import OTHER, Sums

PICO = 10**12
# A budget is near its limit from the last fifth on, or where it is forecast to go over.
NEAR = Decimal("0.8")
# Users looked at in one round: those beyond have spent less than all of these.
USERS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Spent:
    """What one subject spent in a period: requests, pico-dollars, calls without a known cost, upper bounds."""

    n: int = 0
    pico: int = 0
    unpriced: int = 0
    upper_bound: int = 0


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A cost budget. `read_at`: until when its sums reach; None: never added up."""

    id: int
    project_id: int
    allowance: Allowance
    version: int
    read_at: datetime | None
    forecast_at: datetime | None
    created_by: str
    created_at: datetime
    changed_at: datetime
    archived_at: datetime | None

    @property
    def name(self) -> str:
        return self.allowance.name


@dataclass(frozen=True, slots=True)
class StandRow:
    """What one subject of a budget spent in one period, and its forecast. `read_at`: until when all is in."""

    id: int
    budget_id: int
    subject: str
    start: datetime
    end: datetime
    spent_pico: int
    n: int
    unpriced: int
    upper_bound: int
    told_at_share: float
    over_at: datetime | None
    read_at: datetime
    forecast_pico: int | None
    forecast_low_pico: int | None
    forecast_high_pico: int | None


def list_budgets(
    project_id: int,
    *,
    archived: bool = False,
    of: Of | None = None,
    after: int | None = None,
    limit: int | None = None,
) -> list[BudgetRow]:
    """Budgets in the order in which they were made."""
    rows = CostBudget.objects.filter(project_id=project_id, archived_at__isnull=not archived)
    if of is not None:
        rows = rows.filter(of=of)
    if after is not None:
        rows = rows.filter(pk__gt=after)
    rows = rows.select_related("created_by").order_by("pk")
    return [budget_row(row) for row in (rows if limit is None else rows[:limit])]


def get_budget(project_id: int, budget_id: int) -> BudgetRow | None:
    """One budget, put away ones too."""
    row = CostBudget.objects.select_related("created_by").filter(project_id=project_id, pk=budget_id).first()
    return None if row is None else budget_row(row)


def budget_row(row: CostBudget) -> BudgetRow:
    """A stored budget as a value."""
    return BudgetRow(
        id=row.pk,
        project_id=row.project_id,
        allowance=allowance_of(row),
        version=row.version,
        read_at=row.read_at,
        forecast_at=row.forecast_at,
        created_by=(row.created_by.name or row.created_by.email) if row.created_by else "",
        created_at=row.created_at,
        changed_at=row.changed_at,
        archived_at=row.archived_at,
    )


def allowance_of(row: CostBudget) -> Allowance:
    """What a stored budget says."""
    return Allowance(
        name=row.name,
        of=Of(row.of),
        subject=row.subject,
        period=Period(row.period),
        limit_pico=int(row.limit_pico),
        tell_at=tuple(share_of(share) for share in row.tell_at),
        policy=steps_of(row.policy),
        severity=row.severity,
        is_on=row.is_on,
    )


def stands_now(budgets: Sequence[BudgetRow], calendar: Calendar, now: datetime) -> dict[int, list[StandRow]]:
    """The stands of budgets in the periods that `now` lies in, the dearest first. One query."""
    starts = {period: bounds_at(period, calendar, now).start for period in Period}
    held = Q(pk__in=[])
    for period, start in starts.items():
        held |= Q(budget_id__in=[each.id for each in budgets if each.allowance.period == period], start_at=start)
    found: dict[int, list[StandRow]] = {each.id: [] for each in budgets}
    for row in _newest_first(BudgetStand.objects.filter(held)):
        found[row.budget_id].append(row)
    return found


def pressing(project_ids: Sequence[int], now: datetime) -> dict[int, tuple[int, int]]:
    """How many cost budgets of some projects are spent, and how many near their limit or forecast to pass it.

    Those of which somebody is, where a budget is for each feature or user. One query.
    """
    rows = BudgetStand.objects.filter(
        budget__project_id__in=project_ids, budget__is_on=True, budget__archived_at=None, start_at__lte=now,
        end_at__gt=now,
    )  # fmt: skip
    rows = rows.filter(
        Q(spent_pico__gte=F("budget__limit_pico") * NEAR) | Q(forecast_pico__gte=F("budget__limit_pico"))
    ).order_by()
    found: dict[int, tuple[int, int]] = {}
    groups = rows.values_list("budget__project_id", "budget__limit_pico", "budget_id").annotate(most=Max("spent_pico"))
    for project_id, limit, _, most in groups:
        over, near = found.get(project_id, (0, 0))
        found[project_id] = (over + 1, near) if most >= limit else (over, near + 1)
    return found


def read_stand(budget: BudgetRow, subject: str, bounds: Bounds) -> StandRow | None:
    """What one subject spent in a period; of users who passed no mark, as their own sums say. None: nobody knows."""
    row = BudgetStand.objects.filter(budget_id=budget.id, subject=subject, start_at=bounds.start).first()
    if row is not None:
        return stand_row(row)
    if budget.read_at is None or budget.read_at < bounds.start:
        return None
    spent = Spent()
    if budget.allowance.of == Of.USER:
        spent = dict(users_over(budget.project_id, bounds, 0, user_ids=[subject])).get(subject, spent)
    return StandRow(
        0, budget.id, subject, bounds.start, bounds.end, spent.pico, spent.n, spent.unpriced, spent.upper_bound, 0.0,
        None, budget.read_at, None, None, None,
    )  # fmt: skip


def list_stands(budget_id: int, start: datetime, *, after: tuple[int, str] | None = None, limit: int) -> list[StandRow]:
    """The stands of a budget in the period that began then, the dearest first, after (spent, subject)."""
    rows = BudgetStand.objects.filter(budget_id=budget_id, start_at=start)
    if after is not None:
        rows = rows.filter(Q(spent_pico__lt=after[0]) | Q(spent_pico=after[0], subject__gt=after[1]))
    return _newest_first(rows, limit)


def past_stands(budget_id: int, subject: str, before: datetime, limit: int = 12) -> list[StandRow]:
    """Earlier periods of one subject, the newest first."""
    rows = BudgetStand.objects.filter(budget_id=budget_id, subject=subject, start_at__lt=before)
    return [stand_row(row) for row in rows.order_by("-start_at")[:limit]]


def _newest_first(rows: QuerySet[BudgetStand], limit: int = USERS_MAX) -> list[StandRow]:
    return [stand_row(row) for row in rows.order_by("budget_id", "-spent_pico", "subject")[:limit]]


def stand_row(row: BudgetStand) -> StandRow:
    """A stored stand as a value."""
    return StandRow(
        id=row.pk,
        budget_id=row.budget_id,
        subject=row.subject,
        start=row.start_at,
        end=row.end_at,
        spent_pico=int(row.spent_pico),
        n=row.n,
        unpriced=row.unpriced,
        upper_bound=row.upper_bound,
        told_at_share=row.told_at_share,
        over_at=row.over_at,
        read_at=row.read_at,
        forecast_pico=_whole(row.forecast_pico),
        forecast_low_pico=_whole(row.forecast_low_pico),
        forecast_high_pico=_whole(row.forecast_high_pico),
    )


def projects_with_budgets() -> list[int]:
    """The projects that have a budget which is on."""
    rows = CostBudget.objects.filter(is_on=True, archived_at=None)
    return list(rows.values_list("project_id", flat=True).distinct().order_by("project_id"))


def booked_to(project_id: int, now: datetime) -> datetime:
    """Until when everything that came is in the sums of a project."""
    waiting = unbooked_since(project_id)
    return now if waiting is None else min(waiting, now)


def by_feature(rollups: Rollups, bounds: Bounds) -> dict[str | None, Spent]:
    """What each feature spent in a period; None is requests that name none. All together are the project. One query."""
    answer = rollups.ask(requests(), bounds.start, bounds.end, by=("feature",), want=("counts", "statuses", "cost"))
    found: dict[str | None, Spent] = {}
    for (feature,), sums in answer.groups().items():
        found[None if feature is None else str(feature)] = spent_of(sums)
    return found


def all_together(found: Mapping[str | None, Spent]) -> Spent:
    """The project, from its features."""
    return Spent(
        sum(each.n for each in found.values()),
        sum(each.pico for each in found.values()),
        sum(each.unpriced for each in found.values()),
        sum(each.upper_bound for each in found.values()),
    )


def spent_of(sums: Sums) -> Spent:
    """Sums of roll-ups as a budget counts them: whatever has no full price makes the sum "at least"."""
    missing = sums.unpriced_count + sums.unknown_usage_count + sums.partial_count
    return Spent(sums.n, sums.cost_pico, missing, sums.upper_bound_count)


def is_told_apart(feature: str | None) -> bool:
    """Whether a feature can have a budget of its own: it has a name, and is not what was folded for want of room."""
    return feature is not None and feature not in {"", OTHER} and len(feature) <= 200


def users_over(
    project_id: int, bounds: Bounds, least_pico: int, *, user_ids: Sequence[str] | None = None, limit: int = USERS_MAX
) -> list[tuple[str, Spent]]:
    """Users who spent so much in a period, the dearest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            load("alerts", "budgets_users"),
            {
                "project_id": project_id,
                "grain": int(bounds.grain),
                "bucket": bounds.start,
                "least": least_pico,
                "user_ids": None if user_ids is None else list(user_ids),
                "limit": limit,
            },
        )
        return [(user, Spent(n, int(pico), unpriced)) for user, n, pico, unpriced in cursor.fetchall()]


def check_rows(
    project_id: int, time_zone: str, feature: str | None, user_id: str | None, now: datetime
) -> tuple[list[Stood], datetime]:
    """The budgets that hold for a feature and a user and until when users' sums reach. Two queries."""
    calendar = calendar_of(time_zone)
    bounds = {period: bounds_at(period, calendar, now) for period in Period}
    asked = {
        "project_id": project_id,
        "feature": feature,
        "user_id": user_id,
        "day_start": bounds[Period.DAY].start,
        "month_start": bounds[Period.MONTH].start,
    }
    booked = booked_to(project_id, now)
    with connection.cursor() as cursor:
        cursor.execute(load("alerts", "budgets_check"), asked)
        rows = cursor.fetchall()
    return [_stood(row, bounds[Period(row[4])], booked) for row in rows], booked


def _stood(row: tuple[Any, ...], bounds: Bounds, booked: datetime) -> Stood:
    """One row of `budgets_check`. A subject without a stand spent nothing where its budget was added up since."""
    key, name, of, subject, period, limit, policy, read_at, *sums = row
    spent, unpriced, upper_bound, stand_at, of_user, unpriced_of_user = sums
    as_of: datetime | None = booked
    if of == Of.USER:
        spent, unpriced, upper_bound = of_user or 0, unpriced_of_user or 0, 0
    elif spent is not None:
        as_of = stand_at
    else:
        unpriced = upper_bound = 0
        as_of = read_at if read_at is not None and read_at >= bounds.start else None
        spent = None if as_of is None else 0
    return Stood(
        budget_id=key,
        name=name,
        of=Of(of),
        subject=subject,
        period=Period(period),
        limit_pico=int(limit),
        # Django hands JSON of its own cursors on as text.
        policy=steps_of(orjson.loads(policy) if isinstance(policy, str) else policy),
        start=bounds.start,
        resets_at=bounds.end,
        spent_pico=None if spent is None else int(spent),
        unpriced=unpriced,
        upper_bound=upper_bound,
        as_of=as_of,
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
