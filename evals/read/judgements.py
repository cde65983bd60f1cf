"""How judging goes: states that add up, failures by reason, lag, and why a trace was or was not judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from evals.models import Judge, SamplingPlan
from evals.sampling import FLOOR
from telltale.lib import clock
from traces.read.asking import asking, fetch

# Reasons in words, for pages; the codes are what is stored and what REST gives.
REASONS = {
    "": "",
    "budget": "the day's budget for judging is used up",
    "rate_limited": "the provider asked to slow down",
    "timeout": "the model did not answer in time",
    "unreachable": "the endpoint could not be reached",
    "server": "the provider had an error",
    "auth": "the provider does not accept the key",
    "egress": "this installation does not allow the address",
    "refused_request": "the provider refused the request",
    "worker_lost": "the worker died during the call",
    "unparsable": "the answer could not be read",
    "refused": "the model declined to judge",
    "out_of_range": "a score lay outside of the scale",
    "incomplete": "the answer left out a criterion",
    "empty": "the model answered nothing",
    "no_content": "the trace holds neither a question nor an answer",
    "gone": "the trace was removed before it was judged",
    "too_old": "it waited too long",
    "cancelled": "somebody cancelled it",
    "paused": "its backfill is paused",
    "judge_paused": "the judge is paused",
    "judge_archived": "the judge was put away",
    "no_connection": "the judge has no connection",
    "connection_archived": "the judge's connection was put away",
    "key_sealed": "the key of the judge's connection cannot be opened: enter it again",
}
STATES = ("pending", "running", "scored", "failed", "skipped")

_OPEN = """
SELECT EXISTS (SELECT 1 FROM evals_candidate WHERE due_at <= %(now)s)
    OR EXISTS (SELECT 1 FROM evals_judgement WHERE state = 'running')
    OR EXISTS (SELECT 1 FROM traces_feed WHERE consumer = 4)
    OR EXISTS (SELECT 1 FROM evals_backfill WHERE state = 'running')
"""
_DUE = """
WITH RECURSIVE open AS (
    (SELECT judge_version_id FROM evals_judgement WHERE state = 'pending' ORDER BY judge_version_id LIMIT 1)
    UNION ALL
    SELECT (SELECT j.judge_version_id FROM evals_judgement AS j WHERE j.state = 'pending'
            AND j.judge_version_id > open.judge_version_id ORDER BY j.judge_version_id LIMIT 1)
    FROM open WHERE open.judge_version_id IS NOT NULL
)
SELECT EXISTS (
    SELECT 1 FROM open WHERE judge_version_id IS NOT NULL AND EXISTS (
        SELECT 1 FROM evals_judgement AS j
        WHERE j.state = 'pending' AND j.judge_version_id = open.judge_version_id
            AND j.purpose IN (1, 2, 3, 4, 5) AND j.next_at <= %(now)s
    )
)
"""


def has_open_work() -> bool:
    """Whether anything is there that drawing or judging would take. Asked every second."""
    params = {"now": clock.now()}
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, params)
        if cursor.fetchone()[0]:
            return True
        cursor.execute(_DUE, params)
        return bool(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Counts:
    """Judgements by state, and those with a reason by (state, reason). Sums over states are all that were made."""

    by_state: Mapping[str, int] = field(default_factory=dict)
    by_reason: Mapping[tuple[str, str], int] = field(default_factory=dict)
    calls: int = 0
    cost_pico: int = 0
    unpriced_calls: int = 0

    @property
    def made(self) -> int:
        return sum(self.by_state.values())

    def of(self, state: str) -> int:
        """How many are in a state."""
        return self.by_state.get(state, 0)

    @property
    def ended(self) -> int:
        """Scored, failed or skipped."""
        return self.of("scored") + self.of("failed") + self.of("skipped")

    @property
    def unusable_share(self) -> float | None:
        """Of those that were scored or failed, the share that failed; None of none."""
        judged = self.of("scored") + self.of("failed")
        return self.of("failed") / judged if judged else None


_COUNTS = """
SELECT h.judge_version_id, h.state, h.reason, sum(h.n), sum(h.calls), sum(h.cost_pico), sum(h.unpriced)
FROM evals_judgement_hour AS h
WHERE h.project_id = %(project_id)s
    AND (%(judge_id)s::bigint IS NULL OR h.judge_id = %(judge_id)s)
    AND (%(version_id)s::bigint IS NULL OR h.judge_version_id = %(version_id)s)
    AND (%(purpose)s::smallint IS NULL OR h.purpose = %(purpose)s)
    AND (%(start)s::timestamptz IS NULL OR h.hour >= %(start)s)
    AND (%(stop)s::timestamptz IS NULL OR h.hour < %(stop)s)
GROUP BY h.judge_version_id, h.state, h.reason
"""


def counts(
    project_id: int,
    *,
    judge_id: int | None = None,
    version_id: int | None = None,
    purpose: int | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Counts:
    """States of judgements that were made in whole hours of [start, end), by hour of their making. One query."""
    by_version = counts_by_version(
        project_id, judge_id=judge_id, version_id=version_id, purpose=purpose, start=start, end=end
    )
    return _sum(by_version.values())


def counts_by_version(
    project_id: int,
    *,
    judge_id: int | None = None,
    version_id: int | None = None,
    purpose: int | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> dict[int, Counts]:
    """As `counts`, by judge version. One query."""
    params = {
        "project_id": project_id, "judge_id": judge_id, "version_id": version_id, "purpose": purpose, "start": start,
        "stop": end,
    }  # fmt: skip
    states: dict[int, dict[str, int]] = {}
    reasons: dict[int, dict[tuple[str, str], int]] = {}
    sums: dict[int, list[int]] = {}
    with asking() as cursor:
        for version, state, reason, n, calls, cost, unpriced in fetch(cursor, _COUNTS, params):
            held = states.setdefault(version, {})
            held[state] = held.get(state, 0) + int(n)
            if reason and n:
                reasons.setdefault(version, {})[state, reason] = int(n)
            total = sums.setdefault(version, [0, 0, 0])
            for at, value in enumerate((calls, cost, unpriced)):
                total[at] += int(value)
    return {
        version: Counts({s: n for s, n in held.items() if n}, reasons.get(version, {}), *sums[version])
        for version, held in states.items()
    }


def _sum(parts: Iterable[Counts]) -> Counts:
    states: dict[str, int] = {}
    reasons: dict[tuple[str, str], int] = {}
    calls = cost = unpriced = 0
    for part in parts:
        for state, n in part.by_state.items():
            states[state] = states.get(state, 0) + n
        for reason, n in part.by_reason.items():
            reasons[reason] = reasons.get(reason, 0) + n
        calls, cost, unpriced = calls + part.calls, cost + part.cost_pico, unpriced + part.unpriced_calls
    return Counts(states, reasons, calls, cost, unpriced)


_BACKFILL = """
SELECT state, reason, count(*), coalesce(sum(attempts), 0), coalesce(sum(cost_pico), 0),
    coalesce(sum(attempts) FILTER (WHERE cost_pico IS NULL), 0)
FROM evals_judgement
WHERE backfill_id = %(id)s AND project_id = %(project_id)s
GROUP BY state, reason
"""


def backfill_counts(project_id: int, backfill_id: int) -> Counts:
    """States of the judgements of a backfill. One query."""
    states: dict[str, int] = {}
    reasons: dict[tuple[str, str], int] = {}
    calls = cost = unpriced = 0
    with asking() as cursor:
        params = {"id": backfill_id, "project_id": project_id}
        for state, reason, n, attempts, pico, unknown in fetch(cursor, _BACKFILL, params):
            states[state] = states.get(state, 0) + int(n)
            if reason:
                reasons[state, reason] = int(n)
            calls, cost, unpriced = calls + int(attempts), cost + int(pico), unpriced + int(unknown)
    return Counts(states, reasons, calls, cost, unpriced)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far judging is behind. None where nothing waits, or nothing ended lately."""

    oldest_waiting_at: datetime | None
    waits: int
    median_seconds: float | None
    p95_seconds: float | None


_OLDEST = """
SELECT min(made_at), count(*) FROM (
    SELECT made_at FROM evals_judgement AS j
    WHERE j.state = 'pending' AND j.judge_version_id = ANY(%(versions)s) AND j.purpose = 1
    LIMIT 10000
) AS waiting
"""
_LATELY = """
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY lag), percentile_disc(0.95) WITHIN GROUP (ORDER BY lag)
FROM (
    SELECT extract(epoch FROM done_at - made_at) AS lag FROM (
        SELECT done_at, made_at, purpose FROM evals_judgement
        WHERE project_id = %(project_id)s AND judge_id = %(judge_id)s
        ORDER BY judgement_id DESC LIMIT 500
    ) AS newest
    WHERE done_at IS NOT NULL AND purpose = 1
) AS ended
"""


def lag(project_id: int, judge_id: int, version_ids: Iterable[int]) -> Lag:
    """How far the live judging of a judge is behind, from its newest 500 judgements. Two queries."""
    params: dict[str, Any] = {"project_id": project_id, "judge_id": judge_id, "versions": list(version_ids)}
    with asking() as cursor:
        oldest, waits = fetch(cursor, _OLDEST, params)[0]
        median, p95 = fetch(cursor, _LATELY, params)[0]
    return Lag(oldest, waits, None if median is None else float(median), None if p95 is None else float(p95))


@dataclass(frozen=True, slots=True)
class JudgementRow:
    """One judgement as lists show it. `words` says the reason; `cost_pico` None is not known."""

    judgement_id: int
    judge_id: int
    judge_version_id: int
    target_kind: int
    target_id: UUID
    span_id: int
    purpose: int
    state: str
    reason: str
    attempts: int
    made_at: datetime
    done_at: datetime | None
    next_at: datetime
    started_at: datetime
    feature: str
    model: str
    pi: float | None
    is_flagged: bool | None
    flags: tuple[str, ...]
    cost_pico: int | None
    duration_ms: int | None
    call_trace_id: UUID | None

    @property
    def words(self) -> str:
        return REASONS.get(self.reason, self.reason)


_ROW_COLUMNS = ", ".join(f"j.{name}" for name in JudgementRow.__slots__)
_LIST = f"""
SELECT {_ROW_COLUMNS} FROM evals_judgement AS j
WHERE j.project_id = %(project_id)s
    AND (%(judge_id)s::bigint IS NULL OR j.judge_id = %(judge_id)s)
    AND (%(version_id)s::bigint IS NULL OR j.judge_version_id = %(version_id)s)
    AND (%(state)s::text IS NULL OR j.state = %(state)s)
    AND (%(reason)s::text IS NULL OR j.reason = %(reason)s)
    AND (%(flagged)s::boolean IS NULL OR j.is_flagged = %(flagged)s)
    AND (%(target)s::uuid IS NULL OR j.target_id = %(target)s)
    AND (%(before)s::bigint IS NULL OR j.judgement_id < %(before)s)
    AND j.repeat = 0
ORDER BY j.judgement_id DESC
LIMIT %(limit)s
"""  # noqa: S608


def list_judgements(
    project_id: int,
    *,
    judge_id: int | None = None,
    version_id: int | None = None,
    state: str | None = None,
    reason: str | None = None,
    is_flagged: bool | None = None,
    target_id: UUID | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[JudgementRow]:
    """Judgements, newest first; `before` is the id of the last one of the page before. One query."""
    params = {
        "project_id": project_id, "judge_id": judge_id, "version_id": version_id, "state": state, "reason": reason,
        "flagged": is_flagged, "target": target_id, "before": before, "limit": limit,
    }  # fmt: skip
    with asking() as cursor:
        return [_row(values) for values in fetch(cursor, _LIST, params)]


def _row(values: tuple[Any, ...]) -> JudgementRow:
    named = dict(zip(JudgementRow.__slots__, values, strict=True))
    named["flags"] = tuple(named["flags"] or ())
    return JudgementRow(**named)


_ANSWER = """
SELECT answer FROM evals_judgement WHERE project_id = %(project_id)s AND judgement_id = %(judgement_id)s
"""


def read_answer(project_id: int, judgement_id: int) -> bytes | None:
    """What is kept of the last answer, packed (evals.judging.answers.unpack_answer); None where nothing is."""
    with asking() as cursor:
        rows = fetch(cursor, _ANSWER, {"project_id": project_id, "judgement_id": judgement_id})
    return bytes(rows[0][0]) if rows and rows[0][0] is not None else None


@dataclass(frozen=True, slots=True)
class Why:
    """Why one judge did or did not judge a trace. `words` is a whole sentence; `state` "" where there is no judgement.

    `pi` is the chance the trace had; None where it was not drawn by a plan.
    """

    judge_id: int
    judge_slug: str
    judge_name: str
    state: str
    reason: str
    words: str
    pi: float | None = None
    draw: float | None = None
    rule: str = ""
    plan_number: int | None = None
    attempts: int = 0
    next_at: datetime | None = None
    judgement_id: int | None = None
    judge_version_id: int | None = None
    call_trace_id: UUID | None = None


_DECISIONS = """
SELECT p.judge_id, p.number, d.draw, d.pi, d.rule, d.is_taken, d.phase, r.factor FROM evals_decision AS d
JOIN evals_samplingplan AS p ON p.id = d.plan_id
LEFT JOIN evals_planrate AS r ON r.plan_id = d.plan_id AND r.hour = date_trunc('hour', d.decided_at, 'UTC')
WHERE d.project_id = %(project_id)s AND d.trace_id = %(trace_id)s
"""
_WAITS = "SELECT due_at FROM evals_candidate WHERE project_id = %(project_id)s AND trace_id = %(trace_id)s"


def why(project_id: int, trace_id: UUID) -> tuple[Why, ...]:
    """Why each judge of models or rules did or did not judge a trace, by the judge's name. Five queries."""
    params = {"project_id": project_id, "trace_id": trace_id}
    with asking() as cursor:
        decided = {row[0]: row[1:] for row in fetch(cursor, _DECISIONS, params)}
        waits = fetch(cursor, _WAITS, params)
    judged: dict[int, JudgementRow] = {}
    for row in list_judgements(project_id, target_id=trace_id, limit=200):
        judged.setdefault(row.judge_id, row)
    planned = set(SamplingPlan.objects.filter(project_id=project_id, valid_to=None).values_list("judge_id", flat=True))
    judges = Judge.objects.filter(project_id=project_id, kind__in=("model", "rule")).order_by("name", "pk")
    return tuple(
        _why(judge, decided.get(judge.pk), judged.get(judge.pk), judge.pk in planned, bool(waits))
        for judge in judges
        if judge.archived_at is None or judge.pk in decided or judge.pk in judged
    )


def _why(
    judge: Judge, decided: tuple[Any, ...] | None, row: JudgementRow | None, is_planned: bool, is_waiting: bool
) -> Why:
    base: dict[str, Any] = {"judge_id": judge.pk, "judge_slug": judge.slug, "judge_name": judge.name}
    chance = ""
    if decided is not None:
        number, draw, pi, rule, is_taken, phase, factor = decided
        base |= {"pi": pi, "draw": draw, "rule": rule, "plan_number": number}
        chance = f" Plan {number} gave it a chance of {_percent(pi)} ({rule})"
        chance += ", after a second draw" if phase == 2 else ""
        is_lowered = factor is not None and factor < 1.0
        chance += f", of which the day’s budget left {_percent(max(factor, FLOOR))}." if is_lowered else "."
    if row is not None:
        base |= {
            "state": row.state, "reason": row.reason, "attempts": row.attempts, "judgement_id": row.judgement_id,
            "judge_version_id": row.judge_version_id, "call_trace_id": row.call_trace_id,
            "next_at": row.next_at if row.state == "pending" else None,
        }  # fmt: skip
        if decided is None:
            base["pi"] = row.pi
        return Why(**base, words=_judged_words(row) + chance)
    if decided is not None:
        if pi <= 0.0:
            words = f"Not covered: plan {number} gives traces like it no chance ({rule})."
        elif is_taken:
            words = "Drawn, and its judgement is not there any more." + chance
        else:
            words = f"Not drawn: its number is {draw:.4f}, and below {pi:.4g} it would have been.{chance}"
        return Why(**base, state="", reason="not_drawn" if pi > 0 else "not_covered", words=words)
    if is_waiting:
        return Why(**base, state="", reason="waiting", words="Not decided yet: its spans may still arrive.")
    if judge.live_version_id is None:
        return Why(**base, state="", reason="not_live", words="The judge is not live.")
    if judge.paused_at is not None:
        return Why(**base, state="", reason="paused", words="The judge is paused.")
    if not is_planned:
        return Why(**base, state="", reason="no_plan", words="The judge has no sampling plan.")
    return Why(
        **base, state="", reason="not_seen",
        words="Not looked at: the trace came before the judge was live, or the judge's filter leaves it out.",
    )  # fmt: skip


def _judged_words(row: JudgementRow) -> str:
    times = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
    if row.state == "scored":
        return "Judged."
    if row.state == "failed":
        return f"Failed after {times}: {row.words}."
    if row.state == "skipped":
        return f"Skipped: {row.words}."
    if row.state == "running":
        return "Being judged now."
    return f"Waiting: {row.words}; {times} so far." if row.reason else "Waiting for its turn."


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
