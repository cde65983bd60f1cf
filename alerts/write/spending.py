"""Rows of cost budgets and of what is spent of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from alerts.allowances.definition import steps_json
from alerts.allowances.types import Allowance
from alerts.models import BudgetStand, CostBudget
from telltale.lib.db import raw_cursor

_PUT = """
    INSERT INTO alerts_budgetstand AS s (
        budget_id, subject, start_at, end_at, spent_pico, n, unpriced, upper_bound, told_at_share, over_at, read_at
    )
    SELECT %(budget)s, given.subject, %(start)s, %(end)s, given.pico, given.n, given.unpriced, given.upper_bound, 0,
        CASE WHEN given.pico >= %(limit)s THEN %(now)s::timestamptz END, %(read_at)s
    FROM unnest(
        %(subjects)s::text[], %(picos)s::numeric[], %(ns)s::bigint[], %(unpriced)s::bigint[], %(upper)s::bigint[]
    ) AS given (subject, pico, n, unpriced, upper_bound)
    ON CONFLICT (budget_id, subject, start_at) DO UPDATE SET
        spent_pico = excluded.spent_pico, n = excluded.n, unpriced = excluded.unpriced,
        upper_bound = excluded.upper_bound, read_at = excluded.read_at, end_at = excluded.end_at,
        over_at = CASE WHEN excluded.spent_pico >= %(limit)s THEN coalesce(s.over_at, %(now)s::timestamptz) END
    WHERE s.read_at <= excluded.read_at
    RETURNING s.id, s.subject, s.spent_pico, s.told_at_share
"""
Sum = tuple[str, int, int, int, int]  # subject, requests, pico-dollars, unpriced, upper bounds


def columns_of(allowance: Allowance) -> dict[str, Any]:
    """A budget as its columns."""
    return {
        "name": allowance.name,
        "of": str(allowance.of),
        "subject": allowance.subject,
        "period": str(allowance.period),
        "limit_pico": Decimal(allowance.limit_pico),
        "tell_at": [float(share) for share in allowance.tell_at],
        "policy": steps_json(allowance.policy),
        "severity": allowance.severity,
        "is_on": allowance.is_on,
    }


def insert(project_id: int, allowance: Allowance, by_id: int | None) -> int:
    """The id of a new budget."""
    made = CostBudget.objects.create(project_id=project_id, created_by_id=by_id, **columns_of(allowance))
    return int(made.pk)


def lock(project_id: int, budget_id: int) -> CostBudget | None:
    """The budget, held until the transaction ends."""
    rows = CostBudget.objects.select_for_update(no_key=True)
    return rows.filter(project_id=project_id, pk=budget_id).first()


def put(held: CostBudget, **fields: Any) -> None:
    """Set columns of a locked budget by a person's act: its version moves."""
    fields["version"] = held.version + 1
    for name, value in fields.items():
        setattr(held, name, value)
    held.save(update_fields=[*fields, "changed_at"])


def mark(budget_id: int, **fields: datetime) -> None:
    """Say until when a budget was added up, forecast or told of."""
    CostBudget.objects.filter(pk=budget_id).update(**fields)


def put_stands(
    budget: CostBudget, sums: Sequence[Sum], start: datetime, end: datetime, read_at: datetime, now: datetime
) -> list[tuple[int, str, int, float]]:
    """Keep what subjects spent: (id, subject, spent, share told of) of each that moved. Older sums change nothing."""
    if not sums:
        return []
    subjects, ns, picos, unpriced, upper = zip(*sums, strict=True)
    asked = {
        "budget": budget.pk,
        "start": start,
        "end": end,
        "read_at": read_at,
        "now": now,
        "limit": budget.limit_pico,
        "subjects": list(subjects),
        "picos": [Decimal(each) for each in picos],
        "ns": list(ns),
        "unpriced": list(unpriced),
        "upper": list(upper),
    }
    with raw_cursor() as cursor:
        cursor.execute(_PUT, asked)
        return [(key, subject, int(pico), told) for key, subject, pico, told in cursor.fetchall()]


def mark_told(shares: Iterable[tuple[int, float]]) -> None:
    """Remember which share people were told of, by stand."""
    by_share: dict[float, list[int]] = {}
    for key, share in shares:
        by_share.setdefault(share, []).append(key)
    for share, keys in by_share.items():
        BudgetStand.objects.filter(pk__in=keys).update(told_at_share=share)


def forget_told(budget_id: int, start: datetime) -> None:
    """Another limit: what was told of the current period was of the old one."""
    BudgetStand.objects.filter(budget_id=budget_id, start_at=start).update(
        told_at_share=0, forecast_told_at=None, over_at=None, forecast_pico=None, forecast_low_pico=None,
        forecast_high_pico=None,
    )  # fmt: skip


def put_forecast(stand_id: int, expected: int | None, low: int | None, high: int | None) -> None:
    """Keep what a stand's period will come to; None: not known."""
    BudgetStand.objects.filter(pk=stand_id).update(
        forecast_pico=expected, forecast_low_pico=low, forecast_high_pico=high
    )


def claim_forecast(stand_id: int, now: datetime) -> bool:
    """Whether people are still to be told that it will not last; True once."""
    return bool(BudgetStand.objects.filter(pk=stand_id, forecast_told_at=None).update(forecast_told_at=now))


def remove_stands(of: Sequence[str], before: datetime, limit: int) -> int:
    """Forget old periods of some kinds of budgets, at most `limit` rows."""
    rows = BudgetStand.objects.filter(budget__of__in=of, end_at__lt=before).values("pk")[:limit]
    return BudgetStand.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).delete()[0]


def remove_all_stands(budget_id: int) -> None:
    """Forget everything that was spent of a budget."""
    BudgetStand.objects.filter(budget_id=budget_id).delete()
