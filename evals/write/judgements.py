"""Judgements as a queue: made once for a target and a judge version, taken by one holder at a time, ended once.

pending -> running -> scored | failed | skipped, or back to pending with a reason and a time. Every function runs in
the caller's transaction, and moves the hourly tallies in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

from psycopg import Cursor
from psycopg.rows import class_row

from evals.models import JudgeVersion
from evals.write.ids import new_ids
from evals.write.tallies import Tallies, hour_of
from telltale.lib import clock
from telltale.lib.db import raw_cursor

TRACE, SPAN, SESSION, RESULT = 1, 2, 3, 4
PENDING, RUNNING, SCORED, FAILED, SKIPPED = "pending", "running", "scored", "failed", "skipped"


class Purpose(IntEnum):
    """Why a target is judged."""

    LIVE = 1
    BACKFILL = 2
    CALIBRATION = 3
    EXPERIMENT = 4
    PROBE = 5


# What is new comes first: charts and alerts wait for it.
ORDER = (Purpose.LIVE, Purpose.CALIBRATION, Purpose.EXPERIMENT, Purpose.PROBE, Purpose.BACKFILL)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be judged, with what estimates and lists group by. `target_id`: a trace's, or a result's (kind 4).

    `pi` is the chance it had to be drawn; None where somebody picked it: such scores are never weighted.
    """

    target_id: UUID
    started_at: datetime
    kind: int = TRACE
    span_id: int = 0
    feature: str = ""
    model: str = ""
    prompt_version: str = ""
    service: str = ""
    environment: str = ""
    release: str = ""
    session_id: str = ""
    stratum: str = ""
    pi: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A row of the queue, as whoever judges needs it."""

    project_id: int
    judgement_id: int
    judge_id: int
    judge_version_id: int
    target_kind: int
    target_id: UUID
    span_id: int
    repeat: int
    purpose: int
    plan_id: int | None
    backfill_id: int | None
    pi: float | None
    state: str
    reason: str
    attempts: int
    lost: int
    failures: int
    unusable: int
    made_at: datetime
    started_at: datetime
    feature: str
    model: str
    prompt_version: str
    session_id: str
    stratum: str
    reserved_pico: int | None
    reserved_day: date | None

    def tally(self, state: str, reason: str = "") -> tuple[int, int, int, datetime, str, str]:
        """Where it is counted while in a state."""
        return (self.judge_id, self.judge_version_id, self.purpose, hour_of(self.made_at), state, reason)


COLUMNS = ", ".join(f"j.{field.name}" for field in fields(Judgement))

_QUEUE = """
INSERT INTO evals_judgement AS j (
    project_id, judgement_id, judge_id, judge_version_id, target_kind, target_id, span_id, repeat, purpose, plan_id,
    backfill_id, pi, next_at, made_at, started_at, feature, model, prompt_version, service, environment, release,
    session_id, stratum
)
SELECT %(project_id)s, new.id, %(judge_id)s, %(version_id)s, new.kind, new.target, new.span, %(repeat)s, %(purpose)s,
    %(plan_id)s, %(backfill_id)s, new.pi, %(now)s, %(now)s, new.started, new.feature, new.model, new.prompt,
    new.service, new.environment, new.release, new.session, new.stratum
FROM unnest(
    %(ids)s::bigint[], %(kinds)s::smallint[], %(targets)s::uuid[], %(spans)s::bigint[], %(pis)s::float8[],
    %(starts)s::timestamptz[], %(features)s::text[], %(models)s::text[], %(prompts)s::text[], %(services)s::text[],
    %(environments)s::text[], %(releases)s::text[], %(sessions)s::text[], %(strata)s::text[]
) AS new(id, kind, target, span, pi, started, feature, model, prompt, service, environment, release, session, stratum)
ON CONFLICT (judge_version_id, target_id, span_id, repeat) DO NOTHING
"""
_FREEZE = """
WITH frozen AS (
    UPDATE evals_judgeversion SET frozen_at = now() WHERE id = %(version_id)s AND frozen_at IS NULL
    RETURNING rubric_version_id
)
UPDATE evals_rubricversion SET frozen_at = now()
WHERE id IN (SELECT rubric_version_id FROM frozen) AND frozen_at IS NULL
"""


def queue(
    project_id: int,
    version: JudgeVersion,
    targets: Iterable[Target],
    purpose: int,
    *,
    plan_id: int | None = None,
    backfill_id: int | None = None,
    repeat: int = 0,
) -> int:
    """Have a judge version score `targets`; how many were new. A target it has, or has had, is left as it is.

    `repeat` counts from 1 for judgements that are no scores of the target: bias probes, agreement with itself. Freezes
    the version and its rubric: from now on they are what scores were made with.
    """
    rows = sorted({(each.target_id, each.span_id): each for each in targets}.items())
    if not rows:
        return 0
    kept = [target for _, target in rows]
    now = clock.now()
    params: dict[str, Any] = {
        "project_id": project_id,
        "judge_id": version.judge_id,
        "version_id": version.pk,
        "repeat": repeat,
        "purpose": int(purpose),
        "plan_id": plan_id,
        "backfill_id": backfill_id,
        "now": now,
        "ids": new_ids(len(kept)),
        "kinds": [each.kind for each in kept],
        "targets": [each.target_id for each in kept],
        "spans": [each.span_id for each in kept],
        "pis": [each.pi for each in kept],
        "starts": [each.started_at for each in kept],
        "features": [each.feature for each in kept],
        "models": [each.model for each in kept],
        "prompts": [each.prompt_version for each in kept],
        "services": [each.service for each in kept],
        "environments": [each.environment for each in kept],
        "releases": [each.release for each in kept],
        "sessions": [each.session_id for each in kept],
        "strata": [each.stratum for each in kept],
    }
    with raw_cursor() as cursor:
        if version.frozen_at is None:
            cursor.execute(_FREEZE, {"version_id": version.pk})
        cursor.execute(_QUEUE, params)
        queued = cursor.rowcount
        tallies = Tallies(project_id)
        tallies.add((version.judge_id, version.pk, int(purpose), hour_of(now), PENDING, ""), queued)
        tallies.write(cursor)
    return queued


_OPEN_VERSIONS = """
WITH RECURSIVE open AS (
    (SELECT judge_version_id FROM evals_judgement WHERE state = 'pending' ORDER BY judge_version_id LIMIT 1)
    UNION ALL
    SELECT (SELECT j.judge_version_id FROM evals_judgement AS j WHERE j.state = 'pending'
            AND j.judge_version_id > open.judge_version_id ORDER BY j.judge_version_id LIMIT 1)
    FROM open WHERE open.judge_version_id IS NOT NULL
)
SELECT judge_version_id FROM open
WHERE judge_version_id IS NOT NULL AND EXISTS (
    SELECT 1 FROM evals_judgement AS j
    WHERE j.state = 'pending' AND j.judge_version_id = open.judge_version_id AND j.purpose = ANY(%(purposes)s)
        AND j.next_at <= %(now)s
)
"""
# One index step per purpose and row: evals_judgement_due.
_PICK = """
SELECT picked.project_id, picked.judgement_id
FROM unnest(%(purposes)s::smallint[]) WITH ORDINALITY AS p(purpose, place)
CROSS JOIN LATERAL (
    SELECT j.project_id, j.judgement_id, j.next_at FROM evals_judgement AS j
    WHERE j.state = 'pending' AND j.judge_version_id = %(version_id)s AND j.purpose = p.purpose
        AND j.next_at <= %(now)s
    ORDER BY j.next_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) AS picked
ORDER BY p.place, picked.next_at
LIMIT %(limit)s
"""
_READ = f"SELECT {COLUMNS} FROM evals_judgement AS j WHERE j.project_id = %(p)s AND j.judgement_id = ANY(%(ids)s)"  # noqa: S608
_TAKE = """
UPDATE evals_judgement AS j
SET state = 'running', reason = '', lease_by = %(holder)s, lease_until = now() + %(seconds)s * interval '1 second',
    reserved_pico = new.reserved, reserved_day = %(day)s
FROM unnest(%(ids)s::bigint[], %(reserved)s::bigint[]) AS new(id, reserved)
WHERE j.project_id = %(project_id)s AND j.judgement_id = new.id
"""


def open_versions(now: datetime) -> list[int]:
    """The judge versions with judgements that are due, ascending."""
    with raw_cursor() as cursor:
        cursor.execute(_OPEN_VERSIONS, {"now": now, "purposes": [int(each) for each in ORDER]})
        return [row[0] for row in cursor.fetchall()]


_PENDING_VERSIONS = """
WITH RECURSIVE open AS (
    (SELECT judge_version_id FROM evals_judgement WHERE state = 'pending' ORDER BY judge_version_id LIMIT 1)
    UNION ALL
    SELECT (SELECT j.judge_version_id FROM evals_judgement AS j WHERE j.state = 'pending'
            AND j.judge_version_id > open.judge_version_id ORDER BY j.judge_version_id LIMIT 1)
    FROM open WHERE open.judge_version_id IS NOT NULL
)
SELECT judge_version_id FROM open
WHERE judge_version_id IS NOT NULL AND (%(reasons)s::text[] IS NULL OR EXISTS (
    SELECT 1 FROM evals_judgement AS j
    WHERE j.state = 'pending' AND j.judge_version_id = open.judge_version_id AND j.next_at > %(now)s
        AND j.reason = ANY(%(reasons)s)
))
"""


def pending_versions() -> list[int]:
    """The judge versions with judgements that wait, due or not, ascending."""
    with raw_cursor() as cursor:
        cursor.execute(_PENDING_VERSIONS, {"reasons": None, "now": None})
        return [row[0] for row in cursor.fetchall()]


def waiting_versions(reasons: Iterable[str], now: datetime) -> list[int]:
    """The judge versions with judgements that wait for one of these reasons, ascending."""
    with raw_cursor() as cursor:
        cursor.execute(_PENDING_VERSIONS, {"reasons": list(reasons), "now": now})
        return [row[0] for row in cursor.fetchall()]


def pick(cursor: Cursor[Any], version_id: int, limit: int, now: datetime) -> list[Judgement]:
    """Up to `limit` due judgements of a version, locked until the transaction ends; what is live first."""
    purposes = [int(each) for each in ORDER]
    cursor.execute(_PICK, {"version_id": version_id, "limit": limit, "now": now, "purposes": purposes})
    found = cursor.fetchall()
    if not found:
        return []
    place = {judgement_id: at for at, (_, judgement_id) in enumerate(found)}
    rows = read_judgements(found[0][0], list(place))
    return sorted(rows, key=lambda row: place[row.judgement_id])


def read_judgements(project_id: int, ids: Sequence[int]) -> list[Judgement]:
    """Judgements by id."""
    with raw_cursor(class_row(Judgement)) as cursor:
        cursor.execute(_READ, {"p": project_id, "ids": list(ids)})
        return list(cursor.fetchall())


def take(
    cursor: Cursor[Any],
    rows: Sequence[Judgement],
    holder: str,
    seconds: float,
    reserved: Sequence[int | None],
    day: date,
    tallies: Tallies | None = None,
) -> list[Judgement]:
    """Hold picked judgements of one project for `seconds`, with what is set aside for each call; as they are then.

    `tallies`, here and below, are the caller's to write; see `Tallies`.
    """
    if not rows:
        return []
    params = {"holder": holder, "seconds": seconds, "reserved": list(reserved), "day": day}
    params |= {"project_id": rows[0].project_id, "ids": [row.judgement_id for row in rows]}
    cursor.execute(_TAKE, params)
    with _tallied(cursor, rows[0].project_id, tallies) as moved:
        for row in rows:
            moved.move(row.tally(PENDING, row.reason), row.tally(RUNNING))
    return [
        replace(row, state=RUNNING, reason="", reserved_pico=pico, reserved_day=day)
        for row, pico in zip(rows, reserved, strict=True)
    ]


_RENEW = """
UPDATE evals_judgement SET lease_until = now() + %(seconds)s * interval '1 second'
WHERE state = 'running' AND lease_by = %(holder)s AND lease_until >= now() - interval '1 day'
"""


def renew(holder: str, seconds: float) -> int:
    """Hold on to everything `holder` has, for `seconds` from now; how many judgements that is."""
    with raw_cursor() as cursor:
        cursor.execute(_RENEW, {"holder": holder, "seconds": seconds})
        return cursor.rowcount


_EXPIRED = f"""
SELECT {COLUMNS} FROM evals_judgement AS j
WHERE j.state = 'running' AND j.lease_until < now()
ORDER BY j.project_id, j.judgement_id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
"""  # noqa: S608
_GIVE_BACK = """
UPDATE evals_judgement AS j
SET state = %(state)s, reason = %(reason)s, lease_by = '', lease_until = NULL, reserved_pico = NULL,
    reserved_day = NULL, attempts = attempts + %(calls)s, lost = lost + %(calls)s, next_at = %(now)s,
    done_at = CASE WHEN %(state)s = 'pending' THEN NULL ELSE %(now)s END
WHERE j.project_id = %(project_id)s AND j.judgement_id = ANY(%(ids)s)
"""


_HELD = f"""
SELECT {COLUMNS} FROM evals_judgement AS j
WHERE j.state = 'running' AND j.lease_by = %(holder)s
ORDER BY j.project_id, j.judgement_id
FOR UPDATE
"""  # noqa: S608


def held_by(holder: str) -> list[Judgement]:
    """What somebody holds, locked until the transaction ends."""
    with raw_cursor(class_row(Judgement)) as rows:
        rows.execute(_HELD, {"holder": holder})
        return list(rows.fetchall())


def expired(limit: int = 200) -> list[Judgement]:
    """Judgements whose holder is gone, locked until the transaction ends."""
    with raw_cursor(class_row(Judgement)) as rows:
        rows.execute(_EXPIRED, {"limit": limit})
        return list(rows.fetchall())


def give_back(
    cursor: Cursor[Any],
    rows: Sequence[Judgement],
    state: str,
    reason: str,
    now: datetime,
    *,
    was_called: bool,
    tallies: Tallies | None = None,
) -> None:
    """End the hold on running judgements of one project without a verdict; `was_called`: a call of each is lost."""
    if not rows:
        return
    params = {"state": state, "reason": reason, "calls": int(was_called), "now": now}
    params |= {"project_id": rows[0].project_id, "ids": [row.judgement_id for row in rows]}
    cursor.execute(_GIVE_BACK, params)
    with _tallied(cursor, rows[0].project_id, tallies) as moved:
        for row in rows:
            moved.move(row.tally(RUNNING), row.tally(state, reason))
            if was_called:
                moved.add(row.tally(state, reason), calls=1, unpriced=1)


_OF_TARGETS = """
SELECT target_id, judgement_id, pi FROM evals_judgement
WHERE judge_version_id = %(version_id)s AND target_id = ANY(%(targets)s) AND span_id = 0 AND repeat = 0
"""


def of_targets(version_id: int, targets: Sequence[UUID]) -> dict[UUID, tuple[int, float | None]]:
    """The judgements a version has of targets: (judgement, chance) by target."""
    with raw_cursor() as cursor:
        cursor.execute(_OF_TARGETS, {"version_id": version_id, "targets": list(targets)})
        return {row[0]: (row[1], row[2]) for row in cursor.fetchall()}


_WAIT = """
UPDATE evals_judgement AS j SET reason = %(reason)s, next_at = %(until)s
WHERE j.project_id = %(project_id)s AND j.judgement_id = ANY(%(ids)s)
"""
_SKIP = """
UPDATE evals_judgement AS j SET state = 'skipped', reason = %(reason)s, done_at = %(now)s
WHERE j.project_id = %(project_id)s AND j.judgement_id = ANY(%(ids)s)
"""
_PENDING = f"""
SELECT {COLUMNS} FROM evals_judgement AS j
WHERE j.state = 'pending' AND j.judge_version_id = %(version_id)s AND j.purpose = ANY(%(purposes)s)
    AND (%(reasons)s::text[] IS NULL OR j.reason = ANY(%(reasons)s))
    AND (%(before)s::timestamptz IS NULL OR j.made_at < %(before)s)
ORDER BY j.judgement_id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
"""  # noqa: S608


def pending(
    version_id: int,
    *,
    purposes: Sequence[int] = ORDER,
    reasons: Iterable[str] | None = None,
    before: datetime | None = None,
    limit: int = 1000,
) -> list[Judgement]:
    """Waiting judgements of a version, oldest first, locked: of some reasons, made before a time."""
    held = None if reasons is None else list(reasons)
    params: dict[str, Any] = {"version_id": version_id, "reasons": held, "before": before, "limit": limit}
    with raw_cursor(class_row(Judgement)) as cursor:
        cursor.execute(_PENDING, params | {"purposes": [int(each) for each in purposes]})
        return list(cursor.fetchall())


def wait(cursor: Cursor[Any], rows: Sequence[Judgement], reason: str, until: datetime) -> None:
    """Leave picked judgements of one project pending until a time, saying why."""
    if not rows:
        return
    ids = [row.judgement_id for row in rows]
    cursor.execute(_WAIT, {"reason": reason, "until": until, "project_id": rows[0].project_id, "ids": ids})
    tallies = Tallies(rows[0].project_id)
    for row in rows:
        tallies.move(row.tally(PENDING, row.reason), row.tally(PENDING, reason))
    tallies.write(cursor)


def skip(cursor: Cursor[Any], rows: Sequence[Judgement], reason: str, now: datetime) -> None:
    """End waiting judgements of one project without a verdict, saying why."""
    if not rows:
        return
    ids = [row.judgement_id for row in rows]
    cursor.execute(_SKIP, {"reason": reason, "now": now, "project_id": rows[0].project_id, "ids": ids})
    tallies = Tallies(rows[0].project_id)
    for row in rows:
        tallies.move(row.tally(PENDING, row.reason), row.tally(SKIPPED, reason))
    tallies.write(cursor)


@dataclass(frozen=True, slots=True)
class Ending:
    """What one turn at a judgement came to. `state` is scored, failed, or pending with a reason and a time.

    `calls` were made and answered; `cost_pico` of them, None unknown. `failures` and `unusable` as they stand now.
    """

    row: Judgement
    state: str
    reason: str = ""
    next_at: datetime | None = None
    calls: int = 0
    cost_pico: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    duration_ms: int | None = None
    failures: int = 0
    unusable: int = 0
    is_flagged: bool | None = None
    flags: tuple[str, ...] = ()
    answer: bytes | None = None
    call_trace_id: UUID | None = None


_END = """
UPDATE evals_judgement AS j
SET state = new.state, reason = new.reason, next_at = coalesce(new.next_at, j.next_at),
    attempts = j.attempts + new.calls, failures = new.failures, unusable = new.unusable,
    lease_by = '', lease_until = NULL, reserved_pico = NULL, reserved_day = NULL,
    done_at = CASE WHEN new.state = 'pending' THEN NULL ELSE %(now)s END,
    is_flagged = new.is_flagged, flags = string_to_array(new.flags, ','),
    answer = coalesce(new.answer, j.answer),
    cost_pico = CASE WHEN new.cost IS NULL THEN j.cost_pico ELSE coalesce(j.cost_pico, 0) + new.cost END,
    input_tokens = CASE WHEN new.tokens_in IS NULL THEN j.input_tokens
        ELSE coalesce(j.input_tokens, 0) + new.tokens_in END,
    output_tokens = CASE WHEN new.tokens_out IS NULL THEN j.output_tokens
        ELSE coalesce(j.output_tokens, 0) + new.tokens_out END,
    duration_ms = coalesce(new.duration, j.duration_ms), call_trace_id = coalesce(new.call_trace, j.call_trace_id)
FROM unnest(
    %(ids)s::bigint[], %(states)s::text[], %(reasons)s::text[], %(nexts)s::timestamptz[], %(calls)s::smallint[],
    %(failures)s::smallint[], %(unusable)s::smallint[], %(flagged)s::boolean[], %(flags)s::text[], %(answers)s::bytea[],
    %(costs)s::bigint[], %(tokens_in)s::bigint[], %(tokens_out)s::bigint[], %(durations)s::integer[],
    %(traces)s::uuid[]
) AS new(id, state, reason, next_at, calls, failures, unusable, is_flagged, flags, answer, cost, tokens_in, tokens_out,
    duration, call_trace)
WHERE j.project_id = %(project_id)s AND j.judgement_id = new.id AND j.state = %(was)s AND j.lease_by = %(holder)s
RETURNING j.judgement_id
"""


def end(
    cursor: Cursor[Any], endings: Sequence[Ending], holder: str, now: datetime, tallies: Tallies | None = None
) -> set[int]:
    """Write what became of judgements of one project; the ids of those that were still `holder`'s, and so changed.

    `holder` "" ends picked rows that were never let out of the transaction.
    """
    if not endings:
        return set()
    params: dict[str, Any] = {
        "project_id": endings[0].row.project_id,
        "holder": holder,
        "was": RUNNING if holder else PENDING,
        "now": now,
        "ids": [each.row.judgement_id for each in endings],
        "states": [each.state for each in endings],
        "reasons": [each.reason for each in endings],
        "nexts": [each.next_at for each in endings],
        "calls": [each.calls for each in endings],
        "failures": [each.failures for each in endings],
        "unusable": [each.unusable for each in endings],
        "flagged": [each.is_flagged for each in endings],
        "flags": [",".join(each.flags) for each in endings],
        "answers": [each.answer for each in endings],
        "costs": [each.cost_pico for each in endings],
        "tokens_in": [each.input_tokens for each in endings],
        "tokens_out": [each.output_tokens for each in endings],
        "durations": [each.duration_ms for each in endings],
        "traces": [each.call_trace_id for each in endings],
    }
    cursor.execute(_END, params)
    ours = {row[0] for row in cursor.fetchall()}
    with _tallied(cursor, endings[0].row.project_id, tallies) as moved:
        for each in endings:
            if each.row.judgement_id not in ours:
                continue
            was = each.row.tally(RUNNING) if holder else each.row.tally(PENDING, each.row.reason)
            now_at = each.row.tally(each.state, each.reason)
            moved.move(was, now_at)
            unpriced = each.calls if each.cost_pico is None else 0
            moved.add(now_at, calls=each.calls, cost_pico=each.cost_pico or 0, unpriced=unpriced)
    return ours


@contextmanager
def _tallied(cursor: Cursor[Any], project_id: int, given: Tallies | None) -> Iterator[Tallies]:
    """The caller's tallies, or new ones that are written at the end."""
    tallies = given or Tallies(project_id)
    yield tallies
    if given is None:
        tallies.write(cursor)
