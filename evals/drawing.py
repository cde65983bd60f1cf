"""Drawing: from what changed in traces to what judges are to score, each trace decided once by each judge.

Two steps, each in one transaction: what was told becomes candidates that wait until their trace is quiet; candidates
that are due become decisions, hourly counts and judgements. So nothing is skipped and nothing comes twice, whenever a
process dies. Nothing of this is on the way of ingest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg import Cursor

from evals.models import Judge, JudgeVersion, SamplingPlan
from evals.read import decisions as read
from evals.read.setup import settings_for
from evals.read.signals import signals_of
from evals.sampling import Covariates, Draw, Plan, PlanRefused, decide, decide_late, parse_plan, share_of
from evals.write import decisions as write
from evals.write.decisions import Covered, Decided
from evals.write.judgements import Purpose, Target, queue
from evals.write.scores import set_inclusion
from evals.write.tallies import hour_of
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces import changes
from traces.own_calls import JUDGE_SERVICE
from traces.read import TraceRow
from traces.read.contents import read_kinds, read_rows
from traces.signalling import Placed

RUN_SECONDS = 20.0
# Requests taken at a time, and traces decided at a time (about 0.1 s each).
TAKE_MAX = 200
DRAW_MAX = 500
DRAWN_KINDS = ("model", "rule")
Settled = Callable[[int, Sequence[TraceRow]], None]
_also: list[Settled] = []


def also(work: Settled) -> Settled:
    """Decorator: `work(project_id, traces)` sees traces that were due, in the transaction that decides them."""
    _also.append(work)
    return work


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did."""

    told: int
    decided: int
    queued: int


@dataclass(frozen=True, slots=True)
class Live:
    """A judge that draws: its live version and the plan in force."""

    judge: Judge
    version: JudgeVersion
    plan_row: SamplingPlan
    plan: Plan

    @property
    def key(self) -> str:
        """What the draw hashes beside the salt: of the judge and the purpose, not of the plan's version."""
        return plan_key(self.judge.pk)


def plan_key(judge_id: int) -> str:
    """The part of the hash that belongs to a judge's live draws."""
    return f"judge:{judge_id}:live"


def draw_changes(seconds: float = RUN_SECONDS) -> Done:
    """Take what changed and decide what is due, in all projects, until nothing is left or `seconds` are over."""
    ends = time.monotonic() + seconds
    told = decided = queued = 0
    for project_id in changes.open_projects():
        while taken := take_told(project_id):
            told += taken
            if taken < TAKE_MAX or time.monotonic() > ends:
                break
    with raw_cursor() as cursor:
        projects = write.due_projects(cursor, clock.now())
    for project_id in projects:
        while time.monotonic() < ends:
            seen, new = draw_due(project_id)
            decided, queued = decided + seen, queued + new
            if seen < DRAW_MAX:
                break
    return Done(told, decided, queued)


def live_judges(project_id: int, at: datetime) -> list[Live]:
    """The judges of a project that draw now: live, not paused, with a plan in force, of models or rules."""
    rows = Judge.objects.filter(
        project_id=project_id, kind__in=DRAWN_KINDS, archived_at=None, paused_at=None, live_version__isnull=False
    ).select_related("live_version")
    found = []
    for judge in rows.order_by("pk"):
        plan_row = read.plan_at(judge.pk, at)
        if plan_row is None or judge.live_version is None:
            continue
        try:
            plan = parse_plan(plan_row.spec)
        except PlanRefused:
            continue
        found.append(Live(judge, judge.live_version, plan_row, plan))
    return found


def take_told(project_id: int) -> int:
    """Turn up to `TAKE_MAX` accepted requests into candidates; how many traces. Dropped where nobody draws."""
    now = clock.now()
    with transaction.atomic():
        trace_ids = changes.take(project_id, TAKE_MAX)
        if trace_ids and (live_judges(project_id, now) or _also):
            due_at = now + timedelta(seconds=settings_for(project_id).settle_seconds)
            with raw_cursor() as cursor:
                write.add_candidates(cursor, project_id, trace_ids, due_at)
    return len(trace_ids)


def look_again(project_id: int, trace_ids: Iterable[UUID]) -> None:
    """Have traces decided on again whose end user told something since; only where somebody draws by that."""
    now = clock.now()
    ids = list(trace_ids)
    if ids and any(each.plan.needs_signals for each in live_judges(project_id, now)):
        due_at = now + timedelta(seconds=settings_for(project_id).settle_seconds)
        with raw_cursor() as cursor:
            write.add_candidates(cursor, project_id, ids, due_at)


def hear(project_id: int, signals: Sequence[Placed]) -> None:
    """Look again at traces that end users gave a thumbs-down, in the transaction that stores or binds it."""
    look_again(project_id, {one.trace_id for one in signals if one.vote == -1})


def draw_due(project_id: int, now: datetime | None = None) -> tuple[int, int]:
    """Decide up to `DRAW_MAX` traces that are due; how many were, and how many judgements that made."""
    now = now or clock.now()
    with transaction.atomic(), raw_cursor() as cursor:
        trace_ids = write.take_due(cursor, project_id, now, DRAW_MAX)
        if not trace_ids:
            return 0, 0
        queued = _decide(cursor, project_id, trace_ids, now)
    return len(trace_ids), queued


def _decide(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], now: datetime) -> int:
    # What judging itself called is nobody's answer.
    rows = [row for row in read_rows(project_id, trace_ids).values() if row.service != JUDGE_SERVICE]
    if not rows:
        return 0
    for work in _also:
        work(project_id, rows)
    live = live_judges(project_id, now)
    if not live:
        return 0
    before = write.decisions_of(cursor, project_id, [row.trace_id for row in rows])
    plans = read.plans_by_id({each.plan_id for held in before.values() for each in held})
    seen = _covariates(project_id, rows, [*(each.plan for each in live), *(plan for _, plan in plans.values())])
    queued = 0
    for judge in live:
        factor = _factor(cursor, project_id, judge, live, now)
        first: list[Covered] = []
        late: list[tuple[Covered, Decided]] = []
        for row in rows:
            held = next((d for d in before.get(row.trace_id, ()) if _is_of(plans, d, judge.judge.pk)), None)
            covariates = seen[row.trace_id]
            if held is None:
                drawn = decide(judge.plan, judge.plan_row.salt, judge.key, row.trace_id, covariates, factor)
                if drawn is not None:
                    first.append(_covered(row, drawn))
            elif held.phase == 1:
                plan_row, plan = plans[held.plan_id]
                was = (held.pi_first, held.is_taken)
                again = decide_late(plan, plan_row.salt, judge.key, row.trace_id, covariates, was, factor)
                if again is not None:
                    late.append((_covered(row, again), held))
        queued += _write_first(cursor, project_id, judge, first, {row.trace_id: row for row in rows}, now)
        queued += _write_late(cursor, project_id, judge, late, {row.trace_id: row for row in rows})
    return queued


def _covariates(project_id: int, rows: Sequence[TraceRow], plans: Sequence[Plan]) -> dict[UUID, Covariates]:
    """Traces as `plans` see them; what is not on their rows is read only where a plan asks."""
    kinds = read_kinds(project_id, rows) if any(plan.needs_kinds for plan in plans) else {}
    is_asked = any(plan.needs_signals for plan in plans)
    signals = signals_of(project_id, [row.trace_id for row in rows]) if is_asked else {}
    none: frozenset[str] = frozenset()
    return {
        row.trace_id: covariates_of(row, kinds.get(row.trace_id, none), signals.get(row.trace_id, none)) for row in rows
    }


def _is_of(plans: dict[int, tuple[SamplingPlan, Plan]], decided: Decided, judge_id: int) -> bool:
    found = plans.get(decided.plan_id)
    return found is not None and found[0].judge_id == judge_id


def _covered(row: TraceRow, drawn: Draw) -> Covered:
    model = next(iter(row.models), "")
    return Covered(row.trace_id, row.started_at, row.feature or "", model, row.prompt_version or "", drawn)


def _write_first(
    cursor: Cursor[Any],
    project_id: int,
    judge: Live,
    covered: Sequence[Covered],
    rows: dict[UUID, TraceRow],
    now: datetime,
) -> int:
    new = write.add_decisions(cursor, project_id, judge.plan_row.pk, judge.judge.pk, covered, now)
    targets = [target_of(rows[one.trace_id], one.draw.pi, one.draw.stratum) for one in new if one.draw.is_taken]
    return queue(project_id, judge.version, targets, Purpose.LIVE, plan_id=judge.plan_row.pk)


def _write_late(
    cursor: Cursor[Any],
    project_id: int,
    judge: Live,
    late: Sequence[tuple[Covered, Decided]],
    rows: dict[UUID, TraceRow],
) -> int:
    """Second draws: what they take is queued, and what the first took has a larger chance now."""
    queued = 0
    for plan_id in sorted({was.plan_id for _, was in late}):
        changed = write.redraw(
            cursor, project_id, plan_id, judge.judge.pk, [pair for pair in late if pair[1].plan_id == plan_id]
        )
        taken = [one for one, was in changed if one.draw.is_taken and not was.is_taken]
        targets = [target_of(rows[one.trace_id], one.draw.pi, one.draw.stratum) for one in taken]
        queued += queue(project_id, judge.version, targets, Purpose.LIVE, plan_id=plan_id)
        known = {one.trace_id: one.draw for one, was in changed if was.is_taken}
        judged = read.judgements_of_plan(cursor, project_id, plan_id, list(known))
        set_inclusion(
            project_id,
            {judgement_id: known[trace_id].pi for judgement_id, trace_id in judged},
            {judgement_id: known[trace_id].stratum for judgement_id, trace_id in judged},
        )
    return queued


def target_of(row: TraceRow, pi: float | None, stratum: str = "") -> Target:
    """A trace as what is to be judged."""
    return Target(
        target_id=row.trace_id,
        started_at=row.started_at,
        feature=row.feature or "",
        model=next(iter(row.models), ""),
        prompt_version=row.prompt_version or "",
        service=row.service or "",
        environment=row.environment or "",
        release=row.release or "",
        session_id=row.session_id or "",
        stratum=stratum,
        pi=pi,
    )


def covariates_of(row: TraceRow, kinds: Iterable[str] = (), signals: Iterable[str] = ()) -> Covariates:
    """A trace as a plan sees it."""
    return Covariates(
        feature=row.feature or "",
        service=row.service or "",
        environment=row.environment or "",
        release=row.release or "",
        model=next(iter(row.models), ""),
        prompt_name=row.prompt_name or "",
        prompt_version=row.prompt_version or "",
        name=row.name,
        user_id=row.user_id or "",
        session_id=row.session_id or "",
        finish_reason=row.finish_reason or "",
        error_type=row.error_type or "",
        models=frozenset(row.models),
        tags=frozenset(row.tags),
        kinds=frozenset(kinds),
        signals=frozenset(signals),
        duration_ms=row.duration_ms,
        ttft_ms=row.ttft_ms,
        cost_usd=None if row.cost.usd is None else float(row.cost.usd),
        input_tokens=row.tokens_in,
        output_tokens=row.tokens_out,
        span_count=row.span_count,
        generation_count=row.generation_count,
        error_count=row.error_count,
        is_error=row.error_count > 0,
    )


def _factor(cursor: Cursor[Any], project_id: int, judge: Live, live: Sequence[Live], now: datetime) -> float:
    """By how much the money limit lowers the shares of this hour: fixed before its first draw, then kept."""
    if judge.judge.kind != "model":
        return 1.0
    hour = hour_of(now)
    known = write.find_rate(cursor, judge.plan_row.pk, hour)
    if known is not None:
        return known
    models = [each for each in live if each.judge.kind == "model"]
    factor, reason = read.money_factor(
        project_id,
        judge.judge,
        judge.version,
        [(each.judge, each.version) for each in models],
        now,
        since={each.judge.pk: each.plan_row.valid_from for each in models},
        expected=lambda: _expected(project_id, models, now),
    )
    return write.fix_rate(cursor, judge.plan_row.pk, hour, factor, reason)


def _expected(project_id: int, live: Sequence[Live], now: datetime) -> dict[int, float]:
    """How many traces an hour each judge's plan takes of traffic like the last hour's, at full shares."""
    n, newest = read.recent_traffic(project_id, now)
    rows = list(read_rows(project_id, newest).values())
    if not rows:
        return {}
    seen = _covariates(project_id, rows, [each.plan for each in live]).values()
    return {each.judge.pk: n * sum(share_of(each.plan, one) for one in seen) / len(rows) for each in live}
