"""What a sampling plan would take and cost a day, from the newest traces, before it is saved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from evals.drawing import covariates_of
from evals.models import JudgeVersion
from evals.read.decisions import cost_of_one
from evals.read.setup import JudgeVersionView, JudgeView, settings_for
from evals.read.signals import signals_of
from evals.sampling import parse_plan
from evals.sampling.plan import clause_of, covers
from telltale.lib import clock
from telltale.projects.models import Project
from traces.own_calls import JUDGE_SERVICE, without_calls
from traces.read import Ask, TraceFilter, list_traces
from traces.read.contents import read_kinds

WINDOW = timedelta(hours=24)
SAMPLE = 200


@dataclass(frozen=True, slots=True)
class PlanEstimate:
    """What a plan takes of a day like the last one. `looked_at` traces told it; None is not known.

    `share` is the mean chance of all traces, 0 for those the plan's filter leaves out. `is_lowered`: money or calls
    allowed a day are less, so that the shares are lowered ahead of the draw.
    """

    looked_at: int
    traces_day: int | None
    is_exact: bool
    share: float | None
    judgements_day: int | None
    one_pico: int | None
    day_pico: int | None
    is_lowered: bool = False


def estimate_plan(project: Project, judge: JudgeView, version: JudgeVersionView, spec: Any) -> PlanEstimate:
    """The estimate for a plan (clean JSON) of a judge; what calls cost comes from its own, else from the price book."""
    now = clock.now()
    wanted = without_calls(project.pk, TraceFilter(start=now - WINDOW, end=now))
    page = list_traces(project.pk, wanted, ask=Ask(limit=SAMPLE, count=True))
    rows = [row for row in page.rows if row.service != JUDGE_SERVICE]
    one = _one_pico(project, judge, version)
    if not rows:
        return PlanEstimate(0, 0, True, None, 0 if page.count else None, one, None)
    plan = parse_plan(dict(spec))
    kinds = read_kinds(project.pk, rows) if plan.needs_kinds else {}
    signals = signals_of(project.pk, [row.trace_id for row in rows]) if plan.needs_signals else {}
    none: frozenset[str] = frozenset()
    seen = [covariates_of(row, kinds.get(row.trace_id, none), signals.get(row.trace_id, none)) for row in rows]
    share = round(math.fsum(clause_of(plan, each).share for each in seen if covers(plan, each)) / len(seen), 9)
    traces = page.count.n if page.count else None
    judgements = None if traces is None else round(traces * share)
    cost = None if judgements is None or one is None else judgements * one
    limits = settings_for(project.pk)
    is_lowered = any(
        limit is not None and wanted is not None and wanted > limit
        for limit, wanted in (
            (limits.budget_pico_day, cost),
            (judge.budget_pico_day, cost),
            (limits.budget_calls_day if judge.kind == "model" else None, judgements),
        )
    )
    return PlanEstimate(
        len(rows), traces, bool(page.count and page.count.is_exact), share, judgements, one, cost, is_lowered
    )  # fmt: skip


def _one_pico(project: Project, judge: JudgeView, version: JudgeVersionView) -> int | None:
    if judge.kind != "model":
        return 0
    row = JudgeVersion.objects.select_related("connection").get(pk=version.id)
    cost, _ = cost_of_one(project.pk, row, clock.now())
    return None if cost is None else round(cost)
