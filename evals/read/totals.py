"""How judging goes in the whole installation: for counters, never for a project's page."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection
from django.db.models import Sum

from evals.models import SpendDay
from evals.write.spend import WHOLE

# As they stand: a judgement that is tried again leaves its state.
_JUDGEMENTS = "SELECT state, sum(n)::bigint FROM evals_judgement_hour GROUP BY state"


@dataclass(frozen=True, slots=True)
class JudgingTotals:
    """Calls of models for judging since the beginning, their known cost, and judgements by how they ended."""

    calls: int
    lost_calls: int
    spent_pico: int
    judgements: dict[str, int]


def read_judging_totals() -> JudgingTotals:
    """What judging came to. Two queries over days and hours, none over judgements."""
    sums = SpendDay.objects.unscoped("what judging cost here").filter(judge_id=WHOLE).aggregate(
        calls=Sum("calls"), lost=Sum("lost_calls"), spent=Sum("spent_pico")
    )
    with connection.cursor() as cursor:
        cursor.execute(_JUDGEMENTS)
        judgements = dict(cursor.fetchall())
    return JudgingTotals(sums["calls"] or 0, sums["lost"] or 0, int(sums["spent"] or 0), judgements)
