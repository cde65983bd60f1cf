"""Adding up what is spent of cost budgets, telling people of marks that were passed, and forecasting.

Runs every few seconds in the worker. Sums come from roll-ups; a stand and the message about it are written in one
transaction, so that nobody is told twice, and nobody is not told of what was written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import md5

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from alerts.allowances import wording
from alerts.allowances.definition import share_of
from alerts.allowances.forecast import Outlook, will_not_last
from alerts.allowances.periods import Bounds, bounds_at
from alerts.allowances.types import Allowance, Of, Period, told_share
from alerts.models import CostBudget
from alerts.notices.transitions import Kind
from alerts.notifying import tell_project
from alerts.read import spending as read
from alerts.read.outlooks import Histories
from alerts.read.spending import BudgetRow, Spent, StandRow
from alerts.write import spending as write
from telltale.lib import clock
from telltale.projects.models import Project
from traces.read import TooSlow
from traces.read.rollups import reading

logger = logging.getLogger("telltale.alerts.spending")

# Forecasts move little within a quarter of an hour, and cost more than sums.
FORECAST_EVERY = timedelta(minutes=15)
# Users who pass a mark are told of together, so often at most: a thousand of them are one message.
USERS_TOLD_EVERY = timedelta(hours=1)
# Stands of users are kept so long, of projects and features for good.
USERS_KEPT = timedelta(days=62)
SWEEP_ROWS = 20_000
# Each statement of one project; the others wait meanwhile.
TIMEOUT_MS = 10_000


def tend(*, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Add up every project's budgets; how many were."""
    done = 0
    for project_id in read.projects_with_budgets():
        if is_stopping():
            break
        try:
            done += add_up_project(project_id)
        except TooSlow:
            logger.warning("project %d: its cost budgets took too long to add up and are tried again", project_id)
        except Exception:
            # One project's trouble must not leave the others without their alerts.
            logger.exception("project %d: its cost budgets could not be added up", project_id)
    return done


def add_up_project(project_id: int, *, only: int | None = None, timeout_ms: int = TIMEOUT_MS) -> int:
    """Add up the budgets of a project (or `only` one), tell of passed marks, forecast what is due. TooSlow."""
    project = Project.objects.filter(pk=project_id).first()
    budgets = [each for each in read.list_budgets(project_id) if each.allowance.is_on and only in {None, each.id}]
    if project is None or not budgets:
        return 0
    now = clock.now()
    # Asked before the sums: what comes in between is in them and only seems to be missing.
    as_of = read.booked_to(project_id, now)
    with reading(project_id, project.time_zone, timeout_ms) as rollups:
        bounds = {period: bounds_at(period, rollups.calendar, now) for period in Period}
        wanted = {each.allowance.period for each in budgets if each.allowance.of != Of.USER}
        features = {period: read.by_feature(rollups, bounds[period]) for period in wanted}
    for budget in budgets:
        period = bounds[budget.allowance.period]
        sums = _sums(budget, features.get(budget.allowance.period, {}), period)
        _keep(project, budget, sums, period, as_of, now)
    due = [each for each in budgets if _is_forecast_due(each, bounds[each.allowance.period], now)]
    if due:
        _forecast(project, due, bounds, now, timeout_ms)
    return len(budgets)


def sweep() -> int:
    """Forget what users spent of budgets in periods long past."""
    return write.remove_stands([Of.USER], clock.now() - USERS_KEPT, SWEEP_ROWS)


def _sums(budget: BudgetRow, features: Mapping[str | None, Spent], bounds: Bounds) -> list[write.Sum]:
    """What each subject of a budget spent. Of each user: those who are near a mark; the others are read when asked."""
    allowance = budget.allowance
    found: list[tuple[str, Spent]]
    if allowance.of == Of.PROJECT:
        found = [("", read.all_together(features))]
    elif allowance.of == Of.FEATURE:
        if allowance.is_each:
            found = [(str(name), spent) for name, spent in features.items() if read.is_told_apart(name)]
        else:
            found = [(allowance.subject, features.get(allowance.subject, Spent()))]
    elif allowance.is_each:
        marks = [*allowance.tell_at, Decimal(1)]
        least = int(min(marks) * allowance.limit_pico)
        found = [(user, spent) for user, spent in read.users_over(budget.project_id, bounds, least) if len(user) <= 200]
    else:
        held = dict(read.users_over(budget.project_id, bounds, 0, user_ids=[allowance.subject]))
        found = [(allowance.subject, held.get(allowance.subject, Spent()))]
    return [(subject, spent.n, spent.pico, spent.unpriced, spent.upper_bound) for subject, spent in found]


def _keep(
    project: Project, budget: BudgetRow, sums: Sequence[write.Sum], bounds: Bounds, as_of: datetime, now: datetime
) -> None:
    """Write the stands of a budget and tell of the marks that were passed, or nothing of it."""
    with transaction.atomic():
        held = write.lock(project.pk, budget.id)
        if held is None or held.version != budget.version or held.archived_at is not None or not held.is_on:
            return  # somebody changed it meanwhile: the next round adds up what it says now
        stands = write.put_stands(held, sums, bounds.start, bounds.end, as_of, now)
        write.mark(held.pk, read_at=as_of)
        _tell(project, held, budget.allowance, stands, bounds, now)


def _tell(
    project: Project,
    held: CostBudget,
    allowance: Allowance,
    stands: Sequence[tuple[int, str, int, float]],
    bounds: Bounds,
    now: datetime,
) -> None:
    """One message about all subjects that passed a mark since people were last told."""
    passed = []
    for key, subject, spent, told in stands:
        share = told_share(allowance.tell_at, spent, allowance.limit_pico)
        if share > share_of(told):
            passed.append((key, subject, spent, share))
    if not passed:
        return
    is_of_users = allowance.of == Of.USER and allowance.is_each
    if is_of_users and held.told_at is not None and held.told_at > now - USERS_TOLD_EVERY:
        return  # kept for the next message
    passed.sort(key=lambda each: (-each[2], each[1]))
    title, words = wording.crossed(allowance, [(subject, spent, share) for _, subject, spent, share in passed])
    # The stands that passed and their marks: told again by nobody, whatever else happens to the budget.
    marks = ";".join(f"{key}:{share}" for key, _, _, share in passed)
    tell_project(
        project.pk,
        Kind.BUDGET,
        f"budget:{held.pk}:v{held.version}:{bounds.first:%Y%m%d}:{_digest(marks)}",
        severity=allowance.severity,
        facts=_facts(project, held.pk, title, words),
        at=now,
    )
    write.mark_told((key, float(share)) for key, _, _, share in passed)
    write.mark(held.pk, told_at=now)


def _is_forecast_due(budget: BudgetRow, bounds: Bounds, now: datetime) -> bool:
    if budget.allowance.of == Of.USER and budget.allowance.is_each:
        return False
    last = budget.forecast_at
    return last is None or last < bounds.start or now - last >= FORECAST_EVERY


def _forecast(
    project: Project, due: Sequence[BudgetRow], bounds: Mapping[Period, Bounds], now: datetime, timeout_ms: int
) -> None:
    """Forecast the stands of some budgets, and tell of those that will not last."""
    found: list[tuple[BudgetRow, StandRow, Outlook]] = []
    with reading(project.pk, project.time_zone, timeout_ms) as rollups:
        stands = read.stands_now(due, rollups.calendar, now)
        histories = Histories(rollups, now)
        for budget in due:
            period = bounds[budget.allowance.period]
            for stand in stands[budget.id]:
                burn = histories.burn(budget.allowance.of, stand.subject, period)
                found.append((budget, stand, burn.outlook))
    for budget, stand, outlook in found:
        with transaction.atomic():
            held = write.lock(project.pk, budget.id)
            if held is None or held.version != budget.version:
                continue
            write.put_forecast(stand.id, outlook.pico, outlook.low_pico, outlook.high_pico)
            is_over = stand.spent_pico >= budget.allowance.limit_pico
            if is_over or not will_not_last(outlook, budget.allowance.limit_pico) or not budget.allowance.tell_at:
                continue
            if write.claim_forecast(stand.id, now):
                title, words = wording.will_not_last(budget.allowance, stand.subject, stand.spent_pico, outlook)
                tell_project(
                    project.pk,
                    Kind.BUDGET,
                    f"budget:{budget.id}:v{budget.version}:{stand.id}:forecast",
                    severity=budget.allowance.severity,
                    facts=_facts(project, budget.id, title, words),
                    at=now,
                )
    for budget in due:
        write.mark(budget.id, forecast_at=now)


def add_up_now(project_id: int, budget_id: int) -> None:
    """Add up a budget that was just made or changed, so that it can be asked at once; the worker does it otherwise."""
    with suppress(TooSlow):
        add_up_project(project_id, only=budget_id, timeout_ms=settings.PAGE_TIMEOUT_MS)


def _facts(project: Project, budget_id: int, title: str, words: str) -> dict[str, str]:
    return {"title": title, "words": words, "path": reverse("cost_budget", args=[project.slug, budget_id])}


def _digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()[:16]
