"""Rows of drift: what waits to be embedded, samples, vectors. Every function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Cursor
from psycopg.types.json import Jsonb

# The hour's share is chosen once: whoever comes second finds what the first wrote.
_FIX_HOUR = """
    INSERT INTO alerts_drift_hour AS h (project_id, hour, share) VALUES (%(project_id)s, %(hour)s, %(share)s)
    ON CONFLICT (project_id, hour) DO UPDATE SET share = h.share
    RETURNING share
"""
_HOURS = "SELECT hour, share FROM alerts_drift_hour WHERE project_id = %(project_id)s AND hour = ANY(%(hours)s)"
_TAKEN = """
    SELECT coalesce(sum(taken), 0) FROM alerts_drift_hour
    WHERE project_id = %(project_id)s AND hour > %(hour)s - interval '24 hours' AND hour <= %(hour)s
"""
_COUNT = "UPDATE alerts_drift_hour SET taken = taken + %(n)s WHERE project_id = %(project_id)s AND hour = %(hour)s"
_LEFT_OUT = """
    UPDATE alerts_drift_hour
    SET left_out = jsonb_set(
        left_out, ARRAY[%(reason)s::text], to_jsonb(coalesce((left_out ->> %(reason)s)::bigint, 0) + %(n)s)
    )
    WHERE project_id = %(project_id)s AND hour = %(hour)s
"""
# A trace that is sampled already is embedded again only where nothing of it is there.
_ADD_DUE = """
    INSERT INTO alerts_drift_due AS d (project_id, trace_id, pi, draw, due_at, since)
    SELECT %(project_id)s, t.trace_id, t.pi, t.draw, %(due_at)s, %(now)s
    FROM unnest(%(trace_ids)s::uuid[], %(pis)s::float8[], %(draws)s::float8[]) AS t (trace_id, pi, draw)
    WHERE %(again)s OR NOT EXISTS (
        SELECT 1 FROM alerts_sample AS s WHERE s.project_id = %(project_id)s AND s.trace_id = t.trace_id
    )
    ON CONFLICT (project_id, trace_id) DO UPDATE SET due_at = greatest(d.due_at, excluded.due_at)
    WHERE d.lease_until IS NULL
    RETURNING (xmax = 0), trace_id
"""
_CLAIM = """
    WITH mine AS MATERIALIZED (
        SELECT trace_id FROM alerts_drift_due
        WHERE project_id = %(project_id)s AND due_at <= %(now)s AND (lease_until IS NULL OR lease_until < now())
        ORDER BY due_at, trace_id
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    )
    UPDATE alerts_drift_due AS d
    SET lease_by = %(holder)s, lease_until = now() + %(seconds)s * interval '1 second', attempts = d.attempts + 1
    FROM mine
    WHERE d.project_id = %(project_id)s AND d.trace_id = mine.trace_id
    RETURNING d.trace_id, d.pi, d.draw, d.since, d.attempts
"""
_DUE_PROJECTS = """
    SELECT DISTINCT project_id FROM alerts_drift_due
    WHERE due_at <= %(now)s AND (lease_until IS NULL OR lease_until < now())
    ORDER BY project_id
"""
# Only what is still ours: somebody else may have taken it over meanwhile.
_OURS = """
    SELECT trace_id FROM alerts_drift_due
    WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s::uuid[]) AND lease_by = %(holder)s
    ORDER BY trace_id
    FOR UPDATE
"""
_DONE = "DELETE FROM alerts_drift_due WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s::uuid[])"
_PUT_OFF = """
    UPDATE alerts_drift_due
    SET due_at = greatest(%(until)s, due_at), lease_by = '', lease_until = NULL, reason = %(reason)s,
        attempts = attempts - %(back)s
    WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s::uuid[]) AND lease_by = %(holder)s
"""
_SAMPLE_COLUMNS = (
    "project_id", "trace_id", "started_at", "pi", "draw", "feature", "service", "environment", "release",
    "prompt_name", "prompt_version", "provider", "model", "finish_reason", "is_error", "input_chars", "output_chars",
    "input_tokens", "output_tokens", "input_language", "output_language", "tools", "passages", "fields",
    "taken_at",
)  # fmt: skip
_KEPT = ("project_id", "trace_id", "pi", "draw")
_ADD_SAMPLE = f"""
    INSERT INTO alerts_sample ({", ".join(_SAMPLE_COLUMNS)})
    VALUES ({", ".join(f"%({name})s" for name in _SAMPLE_COLUMNS)})
    ON CONFLICT (project_id, trace_id)
    DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _SAMPLE_COLUMNS if name not in _KEPT)}
"""  # noqa: S608 - names of columns, all from above
_ADD_VECTOR = """
    INSERT INTO alerts_vector (project_id, encoder, side, trace_id, started_at, feature, draw, data)
    VALUES (%(project_id)s, %(encoder)s, %(side)s, %(trace_id)s, %(started_at)s, %(feature)s, %(draw)s, %(data)s)
    ON CONFLICT (project_id, encoder, side, trace_id) DO UPDATE SET data = excluded.data
"""
_TABLES = ("alerts_vector", "alerts_sample", "alerts_drift_due", "alerts_drift_hour")
_ERASE = """
    DELETE FROM {table}
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE project_id = %s LIMIT %s FOR UPDATE SKIP LOCKED))
"""
_OLD = """
    DELETE FROM {table}
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {table} WHERE project_id = %s AND {column} < %s LIMIT %s FOR UPDATE SKIP LOCKED
    ))
"""
_AGES = {
    "alerts_vector": "started_at",
    "alerts_sample": "started_at",
    "alerts_drift_hour": "hour",
    "alerts_drift_due": "since",
}
SLICE_ROWS = 2000
_OLDEST = """
    SELECT least(
        (SELECT min(started_at) FROM alerts_sample WHERE project_id = %(project_id)s),
        (SELECT min(started_at) FROM alerts_vector WHERE project_id = %(project_id)s)
    )
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A sampled trace to be embedded, leased by whoever claimed it."""

    trace_id: UUID
    pi: float
    draw: float
    since: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class NewVector:
    """A vector to keep."""

    trace_id: UUID
    side: int
    encoder: str
    started_at: datetime
    feature: str | None
    draw: float
    data: bytes


def shares_of(cursor: Cursor[Any], project_id: int, hours: Sequence[datetime]) -> dict[datetime, float]:
    """The shares of those hours that have one."""
    cursor.execute(_HOURS, {"project_id": project_id, "hours": list(hours)})
    return dict(cursor.fetchall())


def fix_share(cursor: Cursor[Any], project_id: int, hour: datetime, share: float) -> float:
    """The share of an hour: `share`, unless it has one already."""
    cursor.execute(_FIX_HOUR, {"project_id": project_id, "hour": hour, "share": share})
    found = cursor.fetchone()
    return float(found[0]) if found else share


def taken_before(cursor: Cursor[Any], project_id: int, hour: datetime) -> int:
    """How many traces of the 24 hours up to this one are sampled."""
    cursor.execute(_TAKEN, {"project_id": project_id, "hour": hour})
    found = cursor.fetchone()
    return int(found[0]) if found else 0


def add_due(
    cursor: Cursor[Any],
    project_id: int,
    drawn: Sequence[tuple[UUID, float, float]],
    due_at: datetime,
    now: datetime,
    *,
    again: bool = False,
) -> set[UUID]:
    """Have sampled traces (id, pi, draw) wait until `due_at`; those that are new. `again`: those with a sample, too."""
    params: dict[str, Any] = {
        "project_id": project_id, "trace_ids": [each[0] for each in drawn], "pis": [each[1] for each in drawn],
        "draws": [each[2] for each in drawn], "due_at": due_at, "now": now, "again": again,
    }  # fmt: skip
    cursor.execute(_ADD_DUE, params)
    return {trace_id for is_new, trace_id in cursor.fetchall() if is_new}


def count_taken(cursor: Cursor[Any], project_id: int, hour: datetime, n: int) -> None:
    """Count what was sampled of an hour."""
    cursor.execute(_COUNT, {"project_id": project_id, "hour": hour, "n": n})


def count_left_out(cursor: Cursor[Any], project_id: int, hour: datetime, reason: str, n: int) -> None:
    """Count what was sampled of an hour and has no vector."""
    cursor.execute(_LEFT_OUT, {"project_id": project_id, "hour": hour, "reason": reason, "n": n})


def due_projects(cursor: Cursor[Any], now: datetime) -> list[int]:
    """The ids of projects with something to embed now."""
    cursor.execute(_DUE_PROJECTS, {"now": now})
    return [row[0] for row in cursor.fetchall()]


def claim(
    cursor: Cursor[Any], project_id: int, now: datetime, limit: int, holder: str, seconds: float
) -> list[Due]:  # fmt: skip
    """Take up to `limit` traces that are due, for `seconds`."""
    params: dict[str, Any] = {
        "project_id": project_id, "now": now, "limit": limit, "holder": holder, "seconds": seconds,
    }  # fmt: skip
    cursor.execute(_CLAIM, params)
    return sorted((Due(*row) for row in cursor.fetchall()), key=lambda due: due.trace_id)


def still_ours(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], holder: str) -> set[UUID]:
    """Which of the traces are still `holder`'s; locked until the transaction's end."""
    cursor.execute(_OURS, {"project_id": project_id, "trace_ids": list(trace_ids), "holder": holder})
    return {row[0] for row in cursor.fetchall()}


def end(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID]) -> None:
    """Have traces wait no longer."""
    cursor.execute(_DONE, {"project_id": project_id, "trace_ids": list(trace_ids)})


def put_off(
    cursor: Cursor[Any],
    project_id: int,
    trace_ids: Sequence[UUID],
    holder: str,
    until: datetime,
    reason: str,
    *,
    counts: bool = False,
) -> None:
    """Let go of traces until then. `counts`: the attempt was one."""
    params: dict[str, Any] = {
        "project_id": project_id, "trace_ids": list(trace_ids), "holder": holder, "until": until,
        "reason": reason[:200], "back": 0 if counts else 1,
    }  # fmt: skip
    cursor.execute(_PUT_OFF, params)


def add_samples(cursor: Cursor[Any], rows: Sequence[dict[str, Any]]) -> None:
    """Keep samples; one that is there gets what its trace holds now."""
    if rows:
        cursor.executemany(_ADD_SAMPLE, [row | {"fields": Jsonb(row["fields"])} for row in rows])


def add_vectors(cursor: Cursor[Any], project_id: int, vectors: Sequence[NewVector]) -> None:
    """Keep vectors; one of the same trace, side and encoder is replaced."""
    if vectors:
        cursor.executemany(
            _ADD_VECTOR,
            [
                {"project_id": project_id} | {name: getattr(each, name) for name in NewVector.__slots__}
                for each in vectors
            ],
        )


def erase_slice(cursor: Cursor[Any], project_id: int) -> int:
    """Remove up to `SLICE_ROWS` rows of a project from each table that no foreign key empties; how many went."""
    gone = 0
    for table in _TABLES:
        cursor.execute(_ERASE.format(table=table), (project_id, SLICE_ROWS))
        gone += cursor.rowcount
    return gone


def remove_older(cursor: Cursor[Any], project_id: int, before: datetime) -> int:
    """Remove up to `SLICE_ROWS` samples, vectors and hours each from before `before`; how many rows went."""
    gone = 0
    for table, column in _AGES.items():
        cursor.execute(_OLD.format(table=table, column=column), (project_id, before, SLICE_ROWS))
        gone += cursor.rowcount
    return gone


def oldest(cursor: Cursor[Any], project_id: int) -> datetime | None:
    """When the oldest trace began of which a sample or a vector is left; None where none is."""
    cursor.execute(_OLDEST, {"project_id": project_id})
    row = cursor.fetchone()
    return row[0] if row else None


def hour_of(at: datetime) -> datetime:
    """The start of the hour that `at` lies in, by UTC."""
    return at.replace(minute=0, second=0, microsecond=0)


HOUR = timedelta(hours=1)
