"""What was drawn and why, and what a draw must know: plans, past demand, money left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from psycopg import Cursor

from evals.models import Judge, JudgeVersion, SamplingPlan
from evals.read.setup import settings_for
from evals.read.spend import day_of, ends_at, used_on
from evals.sampling import Allowance, Plan, PlanRefused, factor_of, parse_plan
from evals.write.tallies import hour_of
from telltale.lib.clock import zone_of
from telltale.projects.models import Project
from traces.own_calls import JUDGE_SERVICE, Rates, price_call

# The demand of the hour to come: the largest of the last hours and of the same hour a day ago.
HOURS_BACK = 6
# Traces of the last hour that are counted, and those of them that are looked at.
RECENT_MAX, RECENT_SHOWN = 50_000, 200
# Tokens of a call of a judge that never called yet: some conversation and documents in, reasons and scores out.
TYPICAL_TOKENS = (2_500, 500)


def plan_at(judge_id: int, at: datetime) -> SamplingPlan | None:
    """The plan of a judge that is in force at `at`."""
    rows = SamplingPlan.objects.filter(judge_id=judge_id, valid_from__lte=at)
    return rows.filter(Q(valid_to=None) | Q(valid_to__gt=at)).order_by("-number").first()


def plans_by_id(ids: Iterable[int]) -> dict[int, tuple[SamplingPlan, Plan]]:
    """Plans with what they say, by id; those that cannot be read are left out."""
    wanted = list(ids)
    found: dict[int, tuple[SamplingPlan, Plan]] = {}
    if not wanted:
        return found
    for row in SamplingPlan.objects.filter(pk__in=wanted):
        try:
            found[row.pk] = (row, parse_plan(row.spec))
        except PlanRefused:
            continue
    return found


_OF_PLAN = """
SELECT judgement_id, target_id FROM evals_judgement
WHERE project_id = %(project_id)s AND target_id = ANY(%(targets)s) AND plan_id = %(plan_id)s AND repeat = 0
"""


def judgements_of_plan(
    cursor: Cursor[Any], project_id: int, plan_id: int, targets: Sequence[UUID]
) -> list[tuple[int, UUID]]:
    """The judgements that a plan made of traces: (judgement, trace)."""
    if not targets:
        return []
    cursor.execute(_OF_PLAN, {"project_id": project_id, "plan_id": plan_id, "targets": list(targets)})
    return [(row[0], row[1]) for row in cursor.fetchall()]


_DEMAND = """
SELECT h.hour, sum(h.n) FROM evals_judgement_hour AS h
WHERE h.project_id = %(project_id)s AND h.judge_version_id = ANY(%(versions)s) AND h.purpose = 1
    AND h.hour >= %(since)s AND h.hour < %(hour)s
GROUP BY h.hour
"""
_FACTORS = """
SELECT r.hour, min(r.factor) FROM evals_planrate AS r
JOIN evals_samplingplan AS p ON p.id = r.plan_id
WHERE p.judge_id = %(judge_id)s AND r.hour >= %(since)s AND r.hour < %(hour)s
GROUP BY r.hour
"""
_COST = """
SELECT sum(h.cost_pico), sum(h.n) FILTER (WHERE h.state IN ('scored', 'failed')),
    sum(h.n) FILTER (WHERE h.state IN ('pending', 'running')), sum(h.calls - h.unpriced)
FROM evals_judgement_hour AS h
WHERE h.project_id = %(project_id)s AND h.judge_version_id = %(version_id)s AND h.hour >= %(since)s
"""


_RECENT = """
SELECT trace_id FROM traces_trace
WHERE project_id = %(project_id)s AND started_at > %(since)s AND started_at <= %(now)s
    AND service IS DISTINCT FROM %(judging)s
ORDER BY started_at DESC
LIMIT %(limit)s
"""
_RECENT_COUNT = f"SELECT count(*) FROM ({_RECENT}) AS recent"  # noqa: S608


def recent_traffic(project_id: int, now: datetime) -> tuple[int, list[UUID]]:
    """How many traces began in the last hour (`RECENT_MAX` at most), and the newest of them. Two queries."""
    params: dict[str, Any] = {
        "project_id": project_id, "since": now - timedelta(hours=1), "now": now, "judging": JUDGE_SERVICE,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_RECENT, params | {"limit": RECENT_SHOWN})
        newest = [row[0] for row in cursor.fetchall()]
        if len(newest) < RECENT_SHOWN:
            return len(newest), newest
        cursor.execute(_RECENT_COUNT, params | {"limit": RECENT_MAX})
        return int(cursor.fetchone()[0]), newest


def demand_of(project_id: int, judge: Judge, now: datetime, since: datetime | None = None) -> float:
    """How many traces an hour the judge would take at full shares: the largest of the last hours, from `since` on."""
    versions = list(JudgeVersion.objects.filter(judge=judge).values_list("pk", flat=True))
    hour = hour_of(now)
    params: dict[str, Any] = {
        "project_id": project_id, "versions": versions, "judge_id": judge.pk, "hour": hour,
        "since": hour - timedelta(hours=24),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_DEMAND, params)
        taken = dict(cursor.fetchall())
        cursor.execute(_FACTORS, params)
        factors = dict(cursor.fetchall())
    wanted = {hour - timedelta(hours=back) for back in (*range(1, HOURS_BACK + 1), 24)}
    wanted = {at for at in wanted if since is None or at >= since}
    return max((float(n) / max(factors.get(at, 1.0), 1e-3) for at, n in taken.items() if at in wanted), default=0.0)


def cost_of_one(project_id: int, version: JudgeVersion, now: datetime) -> tuple[float | None, int]:
    """What one judgement of a version costs in pico-dollars, with its retries, and how many wait. None unknown."""
    params: dict[str, Any] = {
        "project_id": project_id,
        "version_id": version.pk,
        "since": hour_of(now) - timedelta(hours=48),
    }
    with connection.cursor() as cursor:
        cursor.execute(_COST, params)
        cost, ended, waiting, priced = cursor.fetchone()
    if ended and priced:
        return float(cost) / float(ended), int(waiting or 0)
    found = version.connection
    rates = None
    if found is not None and found.input_pico is not None and found.output_pico is not None:
        rates = Rates(found.input_pico, found.output_pico)
    provider = found.kind if found is not None else ""
    pico = price_call(project_id, provider, version.model, *TYPICAL_TOKENS, rates=rates, at=now)
    return None if pico is None else float(pico), int(waiting or 0)


def money_factor(
    project_id: int,
    judge: Judge,
    version: JudgeVersion,
    live: Sequence[tuple[Judge, JudgeVersion]],
    now: datetime,
    *,
    since: Mapping[int, datetime] | None = None,
    expected: Callable[[], Mapping[int, float]] = dict,
) -> tuple[float, str]:
    """By how much money and calls left today lower a judge's shares in the hour to come, and why in words.

    `since`, by judge: what was drawn earlier was drawn by another plan. `expected`: how many traces an hour each
    judge's plan would take of recent traffic at full shares; asked only where there is a limit.
    """
    limits = settings_for(project_id)
    if limits.budget_pico_day is None and limits.budget_calls_day is None and judge.budget_pico_day is None:
        return 1.0, ""
    zone = zone_of(Project.objects.values_list("time_zone", flat=True).get(pk=project_id))
    used = used_on(project_id, day_of(now, zone))
    hours = (ends_at(now, zone) - now) / timedelta(hours=1)
    costs: dict[int, float] = {}
    calls: dict[int, float] = {}
    queued: dict[int, float] = {}
    planned = expected()
    for each, live_version in live:
        demand = max(demand_of(project_id, each, now, (since or {}).get(each.pk)), planned.get(each.pk, 0.0))
        cost, waiting = cost_of_one(project_id, live_version, now)
        calls[each.pk] = demand
        costs[each.pk] = demand * (cost or 0.0)
        queued[each.pk] = waiting * (cost or 0.0)
    allowances = []
    if limits.budget_pico_day is not None:
        left = limits.budget_pico_day - used.whole_pico - sum(queued.values())
        allowances.append(Allowance(left, hours, sum(costs.values())))
    if limits.budget_calls_day is not None:
        allowances.append(Allowance(limits.budget_calls_day - used.whole_calls, hours, sum(calls.values())))
    if judge.budget_pico_day is not None:
        left = judge.budget_pico_day - used.pico(judge.pk) - queued.get(judge.pk, 0.0)
        allowances.append(Allowance(left, hours, costs.get(judge.pk, 0.0)))
    factor = factor_of(allowances)
    reason = "" if factor >= 1.0 else "the rest of the day's budget, spread over its hours"
    return factor, reason
