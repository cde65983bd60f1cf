"""Rows of what users did, and their counts by the hour: made from what is stored of a unit, and changed together.

Who folds a unit holds its row of `traces_behaviour_due` from before it reads until it commits, so a unit is folded by
one at a time, from everything that was committed when it was marked. Locks are taken in one order everywhere: rows of
`due` by unit, the definitions (shared), the outcomes (shared), rows of behaviour by unit, cells by key.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor, sql

from telltale.lib.sql import load
from traces.behaviour.definition import SHIPPED, Definition, DefinitionError, parse_definition
from traces.behaviour.rules import behaviour
from traces.behaviour.types import Earlier, Fact
from traces.cost.judging import JUDGE_SERVICE
from traces.outcomes.types import Unit
from traces.read.behaviour_units import Material, UnitRef, iterate_units
from traces.write import outcomes

log = logging.getLogger(__name__)

# Sums of a long session are behind: it is looked at again so soon, and no sooner than twice their own wait a turn.
STALE_WAIT = timedelta(seconds=30)
STALE_TURN_WAIT = timedelta(milliseconds=4)
# What was seen in turns that retention has taken since stays seen.
_LASTING = (
    Fact.RETRIED | Fact.REPHRASED | Fact.CORRECTED | Fact.FOLLOWED_UP | Fact.ESCALATED | Fact.COMPLETED
    | Fact.CONVERTED | Fact.COPIED | Fact.EDITED | Fact.ERROR
)  # fmt: skip

_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtext('traces_definition'), %s)"
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('traces_definition'), %s)"
_DEFINITION = """
    SELECT version, spec FROM traces_signaldefinition WHERE project_id = %s ORDER BY version DESC LIMIT 1
"""
_MARK = """
    INSERT INTO traces_behaviour_due AS d (project_id, unit_key, session_id, due_at)
    SELECT DISTINCT ON (unit_key) %(project_id)s, unit_key, session_id, %(due_at)s::timestamptz
    FROM unnest(%(keys)s::uuid[], %(session_ids)s::text[]) AS u (unit_key, session_id)
    ORDER BY unit_key
    ON CONFLICT (project_id, unit_key) DO UPDATE SET due_at = least(d.due_at, excluded.due_at)
    WHERE d.due_at > excluded.due_at
"""
_MARK_SESSIONS = """
    INSERT INTO traces_behaviour_due AS d (project_id, unit_key, session_id, due_at)
    SELECT %(project_id)s, md5(session_id)::uuid, session_id, %(due_at)s::timestamptz
    FROM unnest(%(session_ids)s::text[]) AS session_id
    ORDER BY 2
    ON CONFLICT (project_id, unit_key) DO UPDATE SET due_at = least(d.due_at, excluded.due_at)
    WHERE d.due_at > excluded.due_at
"""
# The units of changed traces: the session of each, or itself; and what it was counted as while it named none.
_UNITS = """
    SELECT md5(session_id)::uuid, session_id FROM traces_trace
    WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s) AND session_id IS NOT NULL
      AND service IS DISTINCT FROM %(judge)s
    UNION
    SELECT trace_id, NULL FROM traces_trace
    WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s) AND session_id IS NULL
      AND service IS DISTINCT FROM %(judge)s
    UNION
    SELECT unit_key, NULL FROM traces_behaviour
    WHERE project_id = %(project_id)s AND unit_key = ANY(%(trace_ids)s)
"""
_HOLD = """
    INSERT INTO traces_behaviour_due AS d (project_id, unit_key, session_id, due_at)
    SELECT %(project_id)s, unit_key, session_id, %(now)s::timestamptz
    FROM unnest(%(keys)s::uuid[], %(session_ids)s::text[]) AS u (unit_key, session_id)
    ORDER BY unit_key
    ON CONFLICT (project_id, unit_key) DO UPDATE SET due_at = d.due_at
"""
_CLAIM = """
    SELECT project_id, unit_key, session_id FROM traces_behaviour_due
    WHERE due_at <= %s
    ORDER BY due_at
    LIMIT %s
    FOR UPDATE SKIP LOCKED
"""
_SETTLE = """
    UPDATE traces_behaviour_due AS d SET due_at = u.due_at
    FROM unnest(%(keys)s::uuid[], %(due)s::timestamptz[]) AS u (unit_key, due_at)
    WHERE d.project_id = %(project_id)s AND d.unit_key = u.unit_key
"""
_FORGET_DUE = "DELETE FROM traces_behaviour_due WHERE project_id = %s AND unit_key = ANY(%s)"
_COLUMNS = (
    "unit_key", "session_id", "definition", "feature", "first_at", "last_at", "closes_at", "is_closed",
    "last_trace_id", "turns", "answers", "facts", "stratum", "vote", "votes", "rating", "length_seconds", "cost_pico",
    "is_cost_known", "user_id", "outcomes",
)  # fmt: skip
_OLD = sql.SQL(
    "SELECT {} FROM traces_behaviour WHERE project_id = %s AND unit_key = ANY(%s) ORDER BY unit_key FOR UPDATE"
).format(sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)))
_REMOVED = """
    SELECT session_key, removed_count FROM traces_session
    WHERE project_id = %s AND session_id = ANY(%s) AND removed_count > 0
"""
_KEPT_SINCE = "SELECT retention_days FROM projects_project WHERE id = %s"
_DELETE = "DELETE FROM traces_behaviour WHERE project_id = %s AND unit_key = ANY(%s)"
_TIDY = """
    DELETE FROM traces_behaviour_hour AS h
    USING unnest(%(hours)s::timestamptz[], %(features)s::text[], %(strata)s::smallint[], %(facts)s::integer[],
        %(votes)s::smallint[], %(closed)s::boolean[]) AS u (hour, feature, stratum, facts, vote, is_closed)
    WHERE h.project_id = %(project_id)s AND h.hour = u.hour AND h.feature = u.feature AND h.stratum = u.stratum
        AND h.facts = u.facts AND h.vote = u.vote AND h.is_closed = u.is_closed AND h.n = 0
"""
# Rows stay as counts; whose they were goes with the last of their traces.
_LEAVE = """
    WITH gone AS (
        SELECT unnest(%(trace_ids)s::uuid[]) AS unit_key
        UNION
        SELECT md5(session_id)::uuid FROM unnest(%(session_ids)s::text[]) AS session_id
        WHERE NOT EXISTS (
            SELECT FROM traces_trace AS t
            WHERE t.project_id = %(project_id)s AND t.session_id = session_id.session_id
        )
    ), mine AS (
        SELECT b.unit_key
        FROM gone
        JOIN traces_behaviour AS b ON b.project_id = %(project_id)s AND b.unit_key = gone.unit_key
        WHERE b.user_id IS NOT NULL
        ORDER BY b.unit_key
        FOR UPDATE OF b
    )
    UPDATE traces_behaviour AS b SET user_id = NULL
    FROM mine
    WHERE b.project_id = %(project_id)s AND b.unit_key = mine.unit_key
"""


@dataclass(frozen=True, slots=True)
class Folded:
    """One unit after its fold: when it has to be looked at again, None not until something changes."""

    unit_key: UUID
    due_at: datetime | None


def mark(cursor: Cursor[Any], project_id: int, units: Iterable[UnitRef], due_at: datetime) -> None:
    """Have units looked at from `due_at` on, or sooner where they have to be already; in the caller's transaction."""
    told = list(units)
    if told:
        keys, session_ids = [unit.unit_key for unit in told], [unit.session_id for unit in told]
        params = {"project_id": project_id, "keys": keys, "session_ids": session_ids, "due_at": due_at}
        cursor.execute(_MARK, params)


def mark_sessions(cursor: Cursor[Any], project_id: int, session_ids: Iterable[str], due_at: datetime) -> None:
    """The same for sessions by their ids."""
    told = list(set(session_ids))
    if told:
        cursor.execute(_MARK_SESSIONS, {"project_id": project_id, "session_ids": told, "due_at": due_at})


def mark_traces(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], due_at: datetime) -> int:
    """The same for the units that these traces are, or are in; how many. The product's own calls are none."""
    cursor.execute(_UNITS, {"project_id": project_id, "trace_ids": list(trace_ids), "judge": JUDGE_SERVICE})
    units = [UnitRef(row[0], row[1]) for row in cursor.fetchall()]
    mark(cursor, project_id, units, due_at)
    return len(units)


def claim(cursor: Cursor[Any], now: datetime, limit: int) -> dict[int, list[UnitRef]]:
    """Up to `limit` units whose time has come, by project, held until the caller's transaction ends."""
    cursor.execute(_CLAIM, (now, limit))
    found: dict[int, list[UnitRef]] = {}
    for project_id, unit_key, session_id in cursor.fetchall():
        found.setdefault(project_id, []).append(UnitRef(unit_key, session_id))
    return dict(sorted(found.items()))


def hold(cursor: Cursor[Any], project_id: int, refs: Sequence[UnitRef], now: datetime) -> None:
    """Hold these units, marked or not, until the caller's transaction ends. Waits for who folds them."""
    keys, session_ids = [ref.unit_key for ref in refs], [ref.session_id for ref in refs]
    cursor.execute(_HOLD, {"project_id": project_id, "keys": keys, "session_ids": session_ids, "now": now})


def lock_definition(cursor: Cursor[Any], project_id: int) -> None:
    """Wait until nobody folds by the present definition, and keep folds away until the transaction ends."""
    cursor.execute(_ALONE, (project_id,))


def settle(cursor: Cursor[Any], project_id: int, folded: Sequence[Folded]) -> None:
    """Put back the units that have to be looked at again, and take out the others."""
    again = [each for each in folded if each.due_at is not None]
    if again:
        keys, due = [each.unit_key for each in again], [each.due_at for each in again]
        cursor.execute(_SETTLE, {"project_id": project_id, "keys": keys, "due": due})
    done = [each.unit_key for each in folded if each.due_at is None]
    if done:
        cursor.execute(_FORGET_DUE, (project_id, done))


def put_off(cursor: Cursor[Any], project_id: int, unit_key: UUID, due_at: datetime) -> None:
    """Have a unit looked at no sooner than `due_at`."""
    cursor.execute(_SETTLE, {"project_id": project_id, "keys": [unit_key], "due": [due_at]})


def fold(cursor: Cursor[Any], project_id: int, refs: Sequence[UnitRef], now: datetime) -> list[Folded]:
    """Bring the rows of held units, and all that is counted of them, to what is stored; in the caller's transaction."""
    cursor.execute(_SHARED, (project_id,))
    version, definition = _definition(cursor, project_id)
    measured = outcomes.load_measured(cursor, project_id)
    keys = [ref.unit_key for ref in refs]
    cursor.execute(_OLD, (project_id, keys))
    old = {row[0]: _old(row) for row in cursor.fetchall()}
    removed = _removed(cursor, project_id, [ref for ref in refs if ref.unit_key in old])
    kept_since = _kept_since(cursor, project_id, now) if old else now
    changes: list[tuple[dict[str, Any] | None, dict[str, Any] | None]] = []
    folded = []
    for unit in iterate_units(cursor, project_id, refs):
        key = unit.ref.unit_key
        before = old.get(key)
        gone = removed.get(key, 0)
        due_at = None
        if unit.turns:
            if gone and before is not None and before["first_at"] < unit.turns[0].started_at:
                unit.earlier = _with_removed(unit, before, gone)
            after = _row(unit, definition, version, measured, now)
            due_at = _due_at(unit, after, now)
        elif before is not None and (gone or before["last_at"] < kept_since):
            after = before  # retention took its traces: it stays counted as it was last seen
        else:
            after = None
        if before != after:
            changes.append((before, after))
        folded.append(Folded(key, due_at))
    _write(cursor, project_id, measured, changes)
    return folded


def leave(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], session_ids: Iterable[str]) -> None:
    """Forget whose the units were whose last traces retention has just removed, in the caller's transaction."""
    params = {"project_id": project_id, "trace_ids": list(trace_ids), "session_ids": sorted(set(session_ids))}
    cursor.execute(_LEAVE, params)


def _definition(cursor: Cursor[Any], project_id: int) -> tuple[int, Definition]:
    cursor.execute(_DEFINITION, (project_id,))
    row = cursor.fetchone()
    if row is None:
        return 0, SHIPPED
    version, spec = row
    known = _read.get(project_id)
    if known is None or known[0] != version:
        try:
            definition = parse_definition(orjson.loads(spec) if isinstance(spec, str | bytes) else spec)
        except DefinitionError as error:
            # Of a release to come, or changed by hand.
            log.warning("definition %s of project %s cannot be read: %s", version, project_id, error)
            return version, SHIPPED
        if len(_read) > _READ_MAX:
            _read.clear()
        known = _read[project_id] = (version, definition)
    return known


# Definitions by project, as last read: a version never changes.
_read: dict[int, tuple[int, Definition]] = {}
_READ_MAX = 1000


def forget() -> None:
    """Forget which definitions were read (tests)."""
    _read.clear()


def _old(values: Sequence[Any]) -> dict[str, Any]:
    row = dict(zip(_COLUMNS, values, strict=True))
    if isinstance(row["outcomes"], str | bytes):
        row["outcomes"] = orjson.loads(row["outcomes"])
    return row


def _removed(cursor: Cursor[Any], project_id: int, refs: Sequence[UnitRef]) -> dict[UUID, int]:
    session_ids = [ref.session_id for ref in refs if ref.session_id is not None]
    if not session_ids:
        return {}
    cursor.execute(_REMOVED, (project_id, session_ids))
    return dict(cursor.fetchall())


def _kept_since(cursor: Cursor[Any], project_id: int, now: datetime) -> datetime:
    cursor.execute(_KEPT_SINCE, (project_id,))
    row = cursor.fetchone()
    return now - timedelta(days=row[0]) if row else now


def _with_removed(unit: Material, before: dict[str, Any], gone: int) -> Earlier:
    """What is known of turns that retention has taken: how many, and what was seen while they were there."""
    facts = Fact(before["facts"]) & _LASTING
    known = unit.earlier
    return Earlier(
        first_at=before["first_at"],
        feature=before["feature"],
        turns=gone + (known.turns if known else 0),
        answers=gone + (known.answers if known else 0),
        has_failed=bool(facts & Fact.ERROR) or (known is not None and known.has_failed),
        facts=facts,
    )


def _due_at(unit: Material, row: dict[str, Any], now: datetime) -> datetime | None:
    due_at = None if row["is_closed"] else row["closes_at"]
    if unit.is_stale:
        turns = unit.earlier.turns if unit.earlier else 0
        again = now + max(STALE_WAIT, turns * STALE_TURN_WAIT)
        due_at = again if due_at is None else min(due_at, again)
    return due_at


def _row(
    unit: Material, definition: Definition, version: int, measured: Sequence[outcomes.Measured], now: datetime
) -> dict[str, Any]:
    found = behaviour(
        unit.turns, unit.seen, definition, now, is_session=unit.ref.session_id is not None, earlier=unit.earlier
    )
    told = Unit(found, unit.seen, unit.cost_pico, unit.turns if unit.earlier is None else None)
    booked = outcomes.figures_of(measured, told) if measured else {}
    length = found.length_seconds
    return {
        "unit_key": unit.ref.unit_key,
        "session_id": unit.ref.session_id,
        "definition": version,
        "feature": found.feature,
        "first_at": found.first_at,
        "last_at": found.last_at,
        "closes_at": found.closes_at,
        "is_closed": found.is_closed,
        "last_trace_id": found.last_trace_id,
        "turns": found.turns,
        "answers": found.answers,
        "facts": int(found.facts),
        "stratum": int(found.stratum),
        "vote": found.vote,
        "votes": found.votes,
        "rating": found.rating,
        # To the microsecond: as many digits as a number of the database keeps when it is summed.
        "length_seconds": None if length is None else round(length, 6),
        "cost_pico": unit.cost_sum,
        "is_cost_known": unit.is_cost_known,
        "user_id": unit.user_id,
        "outcomes": booked or None,
    }


def _write(
    cursor: Cursor[Any],
    project_id: int,
    measured: Sequence[outcomes.Measured],
    changes: Sequence[tuple[dict[str, Any] | None, dict[str, Any] | None]],
) -> None:
    if not changes:
        return
    rows = [after | {"cost_pico": str(after["cost_pico"])} for _, after in changes if after is not None]
    gone = [before["unit_key"] for before, after in changes if before is not None and after is None]
    if rows:
        cursor.execute(load("traces", "put_behaviour"), {"project_id": project_id, "rows": orjson.dumps(rows).decode()})
    if gone:
        cursor.execute(_DELETE, (project_id, gone))
    lines = [
        {name: row[name] for name in _COUNTED} | {"sign": sign}
        for before, after in changes
        for row, sign in ((before, -1), (after, 1))
        if row is not None and not _same_count(before, after)
    ]
    if lines:
        cursor.execute(
            load("traces", "book_behaviour"), {"project_id": project_id, "lines": orjson.dumps(lines).decode()}
        )
        if empty := cursor.fetchall():
            hours, features, strata, facts, votes, closed = (list(column) for column in zip(*empty, strict=True))
            cursor.execute(
                _TIDY,
                {"project_id": project_id, "hours": hours, "features": features, "strata": strata, "facts": facts,
                 "votes": votes, "closed": closed},
            )  # fmt: skip
    outcomes.book(cursor, project_id, measured, [(_place(before), _place(after)) for before, after in changes])


_COUNTED = ("first_at", "feature", "stratum", "facts", "vote", "is_closed", "answers", "length_seconds")


def _same_count(before: dict[str, Any] | None, after: dict[str, Any] | None) -> bool:
    return before is not None and after is not None and all(before[name] == after[name] for name in _COUNTED)


def _place(row: dict[str, Any] | None) -> outcomes.Place | None:
    return None if row is None else outcomes.Place(row["first_at"], row["feature"], row["outcomes"])


__all__ = [
    "Folded", "claim", "fold", "forget", "hold", "leave", "lock_definition", "mark", "mark_sessions", "mark_traces",
    "put_off", "settle",
]  # fmt: skip
