"""Cost budgets as people make them, and what an application is told when it asks whether it may spend."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts import spending
from alerts.allowances.answering import Answer, answer
from alerts.allowances.definition import parse, to_json
from alerts.allowances.periods import bounds_at
from alerts.allowances.types import Allowance
from alerts.models import CostBudget
from alerts.read.spending import allowance_of, check_rows
from alerts.write import spending as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.rollup.buckets import calendar_of

# Each is asked by every check, in about 10 microseconds.
BUDGETS_MAX = 200
BUDGETS_KEPT = 1_000


class NotThere(Exception):
    """There is no such budget, or it was put away."""


class Outdated(Exception):
    """Somebody changed it meanwhile: `version` is in force."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} is in force")
        self.version = version


def check(project_id: int, time_zone: str, *, feature: str | None = None, user: str | None = None) -> Answer:
    """What a feature or user may still spend. Three small queries, whatever the traffic."""
    now = clock.now()
    found, _ = check_rows(project_id, time_zone, feature, user, now)
    return answer(found, now)


def create(
    project: Project, told: Any, *, by_id: int | None = None, request: HttpRequest | None = None, actor: str = ""
) -> int:
    """The id of a new budget, added up as far as this month or day has come; ItemRefused."""
    allowance = parse(told)
    with transaction.atomic():
        _queue(project)
        _check_room(project.pk)
        _check_name(project.pk, allowance.name, None)
        made = write.insert(project.pk, allowance, by_id)
        _record(project, "cost_budget.create", allowance, request, actor, after=to_json(allowance))
    if allowance.is_on:
        spending.add_up_now(project.pk, made)
    return made


def change(
    project: Project,
    budget_id: int,
    told: Any,
    *,
    of_version: int | None = None,
    is_archived: bool | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> bool:
    """Change what is given of a budget; whether anything changed. ItemRefused, NotThere, Outdated.

    Another limit, period or subject begins anew: people are told again of marks that the new one has passed.
    """
    with transaction.atomic():
        _queue(project)
        held = write.lock(project.pk, budget_id)
        if held is None or (held.archived_at is not None and is_archived is not False):
            raise NotThere
        if of_version is not None and of_version != held.version:
            raise Outdated(held.version)
        before = allowance_of(held)
        after = parse(told, before)
        fields: dict[str, Any] = {}
        if after != before:
            fields |= write.columns_of(after)
        if is_archived is not None and is_archived != (held.archived_at is not None):
            fields["archived_at"] = clock.now() if is_archived else None
        if not fields:
            return False
        if fields.get("archived_at", held.archived_at) is None:
            _check_name(project.pk, after.name, held.pk)
            if held.archived_at is not None:
                _check_room(project.pk, is_new=False)
        is_other = _counts(before) != _counts(after)
        if is_other:
            fields |= {"read_at": None, "forecast_at": None, "told_at": None}
            _begin_anew(project, held, after)
        write.put(held, **fields)
        action = "cost_budget.change"
        if is_archived is not None and "archived_at" in fields:
            action = "cost_budget.archive" if is_archived else "cost_budget.restore"
        _record(project, action, after, request, actor, before=to_json(before), after=to_json(after))
    if after.is_on and held.archived_at is None:
        spending.add_up_now(project.pk, budget_id)
    return True


def archive(project: Project, budget_id: int, *, request: HttpRequest | None = None, actor: str = "") -> None:
    """Put a budget away: nobody asks it any more; what was spent of it is kept. NotThere."""
    change(project, budget_id, {}, is_archived=True, request=request, actor=actor)


def _counts(allowance: Allowance) -> tuple[Any, ...]:
    """What its sums and marks are about."""
    return allowance.of, allowance.subject, allowance.period, allowance.limit_pico


def _begin_anew(project: Project, held: CostBudget, after: Allowance) -> None:
    start = bounds_at(after.period, calendar_of(project.time_zone), clock.now()).start
    write.forget_told(held.pk, start)
    if (held.of, held.subject) != (after.of, after.subject):
        # What somebody else spent is no history of this one.
        write.remove_all_stands(held.pk)


def _queue(project: Project) -> None:
    """Wait for whoever changes budgets of the project: names and their number stay right."""
    Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)


def _check_name(project_id: int, name: str, own: int | None) -> None:
    held = CostBudget.objects.filter(project_id=project_id, name=name, archived_at=None)
    if held.exclude(pk=own or 0).exists():
        raise ItemRefused(Fault("name", "is another budget’s already", "a name of its own", name))


def _check_room(project_id: int, *, is_new: bool = True) -> None:
    held = CostBudget.objects.filter(project_id=project_id)
    if is_new and held.count() >= BUDGETS_KEPT:
        raise ItemRefused(Fault("name", "is one budget too many, those put away counted", f"{BUDGETS_KEPT} budgets"))
    if held.filter(archived_at=None).count() >= BUDGETS_MAX:
        raise ItemRefused(Fault("name", "is one budget too many: put another one away", f"{BUDGETS_MAX} budgets"))


def _record(
    project: Project,
    action: str,
    allowance: Allowance,
    request: HttpRequest | None,
    actor: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    record_in(
        project, action, f"cost budget {allowance.name}", request=request, actor=actor, before=before, after=after
    )  # fmt: skip
