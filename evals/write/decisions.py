"""Which traces were drawn and why, exactly once: candidates, decisions, their hourly counts, and the hour's factor.

Every function runs in the caller's transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Cursor

from evals.sampling import Draw
from evals.write.tallies import hour_of

_ADD_CANDIDATES = """
INSERT INTO evals_candidate (project_id, trace_id, due_at)
SELECT %(project_id)s, trace_id, %(due_at)s FROM unnest(%(trace_ids)s::uuid[]) AS trace_id
ON CONFLICT (project_id, trace_id) DO UPDATE SET due_at = excluded.due_at
"""
# Chosen once: a plan that chose again for each row would find others, and take more than was asked for.
_TAKE_DUE = """
WITH mine AS MATERIALIZED (
    SELECT project_id, trace_id FROM evals_candidate
    WHERE project_id = %(project_id)s AND due_at <= %(now)s
    ORDER BY due_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM evals_candidate AS c
USING mine
WHERE c.project_id = mine.project_id AND c.trace_id = mine.trace_id
RETURNING c.trace_id
"""
_DUE_PROJECTS = """
SELECT project_id FROM evals_candidate WHERE due_at <= %(now)s GROUP BY project_id ORDER BY project_id LIMIT 1000
"""


def add_candidates(cursor: Cursor[Any], project_id: int, trace_ids: Iterable[UUID], due_at: datetime) -> None:
    """Have traces looked at from `due_at` on; what changed again waits again."""
    # In one order for all writers, so that two of them never wait for each other.
    ids = sorted(set(trace_ids))
    if ids:
        cursor.execute(_ADD_CANDIDATES, {"project_id": project_id, "trace_ids": ids, "due_at": due_at})


def take_due(cursor: Cursor[Any], project_id: int, now: datetime, limit: int) -> list[UUID]:
    """Up to `limit` traces that are due, gone from the candidates when the transaction commits."""
    cursor.execute(_TAKE_DUE, {"project_id": project_id, "now": now, "limit": limit})
    return [row[0] for row in cursor.fetchall()]


def due_projects(cursor: Cursor[Any], now: datetime) -> list[int]:
    """The projects with traces that are due."""
    cursor.execute(_DUE_PROJECTS, {"now": now})
    return [row[0] for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Decided:
    """A stored decision: by which plan, with which chances, and whether the trace was taken."""

    trace_id: UUID
    plan_id: int
    pi: float
    pi_first: float
    phase: int
    is_taken: bool
    decided_at: datetime


_DECIDED = """
SELECT trace_id, plan_id, pi, pi_first, phase, is_taken, decided_at FROM evals_decision
WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s)
"""


def decisions_of(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID]) -> dict[UUID, list[Decided]]:
    """What was decided of traces before."""
    cursor.execute(_DECIDED, {"project_id": project_id, "trace_ids": list(trace_ids)})
    found: dict[UUID, list[Decided]] = defaultdict(list)
    for row in cursor.fetchall():
        found[row[0]].append(Decided(*row))
    return found


@dataclass(frozen=True, slots=True)
class Covered:
    """A trace that a plan covers, with its draw and what counts group by."""

    trace_id: UUID
    started_at: datetime
    feature: str
    model: str
    prompt_version: str
    draw: Draw


_ADD_DECISIONS = """
INSERT INTO evals_decision (
    project_id, trace_id, plan_id, decided_at, started_at, draw, pi, pi_first, phase, rule, stratum, is_taken
)
SELECT %(project_id)s, new.trace_id, %(plan_id)s, %(now)s, new.started_at, new.draw, new.pi, new.pi, 1, new.rule,
    new.stratum, new.is_taken
FROM unnest(
    %(traces)s::uuid[], %(starts)s::timestamptz[], %(draws)s::float8[], %(pis)s::float8[], %(rules)s::text[],
    %(strata)s::text[], %(taken)s::boolean[]
) AS new(trace_id, started_at, draw, pi, rule, stratum, is_taken)
ON CONFLICT (project_id, trace_id, plan_id) DO NOTHING
RETURNING trace_id
"""
_COUNT = """
INSERT INTO evals_decision_hour AS h (
    project_id, plan_id, judge_id, hour, feature, model, prompt_version, stratum, covered, taken, uncovered
)
SELECT %(project_id)s, %(plan_id)s, %(judge_id)s, new.* FROM unnest(
    %(hours)s::timestamptz[], %(features)s::text[], %(models)s::text[], %(prompts)s::text[], %(strata)s::text[],
    %(covered)s::bigint[], %(taken)s::bigint[], %(uncovered)s::bigint[]
) AS new
ON CONFLICT (project_id, plan_id, hour, feature, model, prompt_version, stratum) DO UPDATE
SET covered = h.covered + excluded.covered, taken = h.taken + excluded.taken,
    uncovered = h.uncovered + excluded.uncovered
"""
CountKey = tuple[datetime, str, str, str, str]


def _count_key(one: Covered) -> CountKey:
    return (hour_of(one.started_at), one.feature, one.model, one.prompt_version, one.draw.stratum)


def add_decisions(
    cursor: Cursor[Any], project_id: int, plan_id: int, judge_id: int, covered: Sequence[Covered], now: datetime
) -> list[Covered]:
    """Write first decisions with their counts; those that were not there before."""
    if not covered:
        return []
    rows = sorted({one.trace_id: one for one in covered}.values(), key=lambda one: one.trace_id)
    params: dict[str, Any] = {
        "project_id": project_id,
        "plan_id": plan_id,
        "now": now,
        "traces": [one.trace_id for one in rows],
        "starts": [one.started_at for one in rows],
        "draws": [one.draw.draw for one in rows],
        "pis": [one.draw.pi for one in rows],
        "rules": [one.draw.rule for one in rows],
        "strata": [one.draw.stratum for one in rows],
        "taken": [one.draw.is_taken for one in rows],
    }
    cursor.execute(_ADD_DECISIONS, params)
    new = {row[0] for row in cursor.fetchall()}
    added = [one for one in rows if one.trace_id in new]
    counts: dict[CountKey, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in added:
        count = counts[_count_key(one)]
        if one.draw.is_covered:
            count[0] += 1
            count[1] += one.draw.is_taken
        else:
            count[2] += 1
    _write_counts(cursor, project_id, plan_id, judge_id, counts)
    return added


def _write_counts(
    cursor: Cursor[Any], project_id: int, plan_id: int, judge_id: int, counts: dict[CountKey, list[int]]
) -> None:
    if not counts:
        return
    keys = sorted(counts)
    params: dict[str, Any] = {"project_id": project_id, "plan_id": plan_id, "judge_id": judge_id}
    for at, name in enumerate(("hours", "features", "models", "prompts", "strata")):
        params[name] = [key[at] for key in keys]
    for at, name in enumerate(("covered", "taken", "uncovered")):
        params[name] = [counts[key][at] for key in keys]
    cursor.execute(_COUNT, params)


_SECOND = """
UPDATE evals_decision AS d
SET phase = 2, pi = new.pi, is_taken = new.is_taken, rule = new.rule, stratum = new.stratum
FROM unnest(%(traces)s::uuid[], %(pis)s::float8[], %(taken)s::boolean[], %(rules)s::text[], %(strata)s::text[])
    AS new(trace_id, pi, is_taken, rule, stratum)
WHERE d.project_id = %(project_id)s AND d.plan_id = %(plan_id)s AND d.trace_id = new.trace_id AND d.phase = 1
RETURNING d.trace_id, (
    SELECT old.stratum FROM evals_decision AS old
    WHERE old.project_id = d.project_id AND old.plan_id = d.plan_id AND old.trace_id = d.trace_id
)
"""


def redraw(
    cursor: Cursor[Any],
    project_id: int,
    plan_id: int,
    judge_id: int,
    late: Sequence[tuple[Covered, Decided]],
) -> list[tuple[Covered, Decided]]:
    """Write second draws, for what became known late; those that had no second one before. Counts move along."""
    if not late:
        return []
    rows = sorted({one.trace_id: (one, was) for one, was in late}.values(), key=lambda pair: pair[0].trace_id)
    params: dict[str, Any] = {
        "project_id": project_id,
        "plan_id": plan_id,
        "traces": [one.trace_id for one, _ in rows],
        "pis": [one.draw.pi for one, _ in rows],
        "taken": [one.draw.is_taken for one, _ in rows],
        "rules": [one.draw.rule for one, _ in rows],
        "strata": [one.draw.stratum for one, _ in rows],
    }
    cursor.execute(_SECOND, params)
    strata = dict(cursor.fetchall())
    counts: dict[CountKey, list[int]] = defaultdict(lambda: [0, 0, 0])
    changed = [(one, was) for one, was in rows if one.trace_id in strata]
    for one, was in changed:
        old = counts[(*_count_key(one)[:4], strata[one.trace_id])]
        if was.pi_first > 0.0:
            old[0] -= 1
            old[1] -= was.is_taken
        else:
            old[2] -= 1
        new = counts[_count_key(one)]
        new[0] += 1
        new[1] += one.draw.is_taken
    _write_counts(cursor, project_id, plan_id, judge_id, counts)
    return changed


_FIX_RATE = """
INSERT INTO evals_planrate (plan_id, hour, factor, reason) VALUES (%(plan_id)s, %(hour)s, %(factor)s, %(reason)s)
ON CONFLICT (plan_id, hour) DO NOTHING
"""
_RATE = "SELECT factor FROM evals_planrate WHERE plan_id = %(plan_id)s AND hour = %(hour)s"


def find_rate(cursor: Cursor[Any], plan_id: int, hour: datetime) -> float | None:
    """By how much a plan's shares are lowered in an hour; None where that is not fixed yet."""
    cursor.execute(_RATE, {"plan_id": plan_id, "hour": hour})
    found = cursor.fetchone()
    return None if found is None else float(found[0])


def fix_rate(cursor: Cursor[Any], plan_id: int, hour: datetime, factor: float, reason: str) -> float:
    """Fix the factor of an hour, once; the one that holds."""
    cursor.execute(_FIX_RATE, {"plan_id": plan_id, "hour": hour, "factor": factor, "reason": reason})
    found = find_rate(cursor, plan_id, hour)
    return factor if found is None else found
