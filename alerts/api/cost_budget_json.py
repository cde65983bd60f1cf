"""Cost budgets as REST shows them: money as exact decimal text, shares as floats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alerts.allowances.answering import Answer, Stood
from alerts.allowances.definition import to_json
from alerts.allowances.forecast import runs_out
from alerts.allowances.periods import Bounds
from alerts.allowances.types import Of
from alerts.read.outlooks import Burn
from alerts.read.spending import BudgetRow, StandRow
from telltale.rest import form


def budget(row: BudgetRow, stands: Sequence[StandRow]) -> dict[str, Any]:
    """One budget with the stand of whoever spent most in the current period."""
    limit = row.allowance.limit_pico
    return {
        "id": row.id,
        **to_json(row.allowance),
        "version": row.version,
        "dearest": stand(stands[0], limit) if stands else None,
        "over": sum(each.spent_pico >= limit for each in stands),
        "as_of": form.moment(row.read_at),
        "created_by": row.created_by or None,
        "created_at": form.moment(row.created_at),
        "changed_at": form.moment(row.changed_at),
        "archived_at": form.moment(row.archived_at),
    }


def stand(row: StandRow, limit_pico: int) -> dict[str, Any]:
    """What one subject spent."""
    return {
        "subject": row.subject,
        "start": form.moment(row.start),
        "end": form.moment(row.end),
        "spent_usd": form.usd(row.spent_pico),
        "remaining_usd": form.usd(max(limit_pico - row.spent_pico, 0)),
        "share": row.spent_pico / limit_pico,
        "over": row.spent_pico >= limit_pico,
        "over_at": form.moment(row.over_at),
        "requests": row.n,
        "unpriced_calls": row.unpriced,
        "upper_bound_calls": row.upper_bound,
        "told_at_share": row.told_at_share,
        "forecast_usd": form.usd(row.forecast_pico),
        "forecast_low_usd": form.usd(row.forecast_low_pico),
        "forecast_high_usd": form.usd(row.forecast_high_pico),
        "as_of": form.moment(row.read_at),
    }


def burn(found: Burn, subject: str, bounds: Bounds, limit_pico: int) -> dict[str, Any]:
    """A period so far and ahead."""
    pieces, total = [], 0
    for piece in found.pieces:
        total += piece.pico
        pieces.append(
            {
                "start": form.moment(piece.start),
                "end": form.moment(piece.end),
                "spent_usd": form.usd(piece.pico),
                "requests": piece.n,
                "total_usd": form.usd(total),
                "remaining_usd": form.usd(limit_pico - total),
            }
        )
    told, ends = found.outlook, runs_out(found.outlook, limit_pico)
    return {
        "subject": subject,
        "start": form.moment(bounds.start),
        "end": form.moment(bounds.end),
        "limit_usd": form.usd(limit_pico),
        "items": pieces,
        "forecast_usd": form.usd(told.pico),
        "low_usd": form.usd(told.low_pico),
        "high_usd": form.usd(told.high_pico),
        "level": told.level,
        "n": told.n,
        "needed": told.needed,
        "ahead": [
            {"day": day, "total_usd": form.usd(total), "low_usd": form.usd(low), "high_usd": form.usd(high)}
            for day, total, low, high in told.ahead
        ],
        "runs_out": ends.expected,
        "runs_out_earliest": ends.earliest,
        "runs_out_latest": ends.latest,
    }


def check(found: Answer, feature: str | None, user: str | None) -> dict[str, Any]:
    """What an application is told."""
    step = found.advice
    budgets = [_holds(each, feature, user) for each in found.budgets]
    decides = next((told for told, each in zip(budgets, found.budgets, strict=True) if each is found.decides), None)
    return {
        "allowed": found.is_allowed,
        "over": found.is_over,
        "advice": str(step.do) if step else None,
        "with": (step.using or None) if step else None,
        "budget": decides,
        "budgets": budgets,
        "as_of": form.moment(found.as_of),
        "is_stale": found.is_stale,
    }


def _holds(stood: Stood, feature: str | None, user: str | None) -> dict[str, Any]:
    step, subject = stood.step, {Of.PROJECT: "", Of.FEATURE: feature, Of.USER: user}[stood.of]
    return {
        "id": stood.budget_id,
        "name": stood.name,
        "of": str(stood.of),
        "subject": subject or "",
        "period": str(stood.period),
        "limit_usd": form.usd(stood.limit_pico),
        "spent_usd": form.usd(stood.spent_pico),
        "remaining_usd": form.usd(stood.remaining_pico),
        "share": None if stood.spent_pico is None else stood.spent_pico / stood.limit_pico,
        "over": stood.is_over,
        "is_at_least": stood.unpriced > 0,
        "unpriced_calls": stood.unpriced,
        "advice": str(step.do) if step else None,
        "with": (step.using or None) if step else None,
        "resets_at": form.moment(stood.resets_at),
        "as_of": form.moment(stood.as_of),
    }
