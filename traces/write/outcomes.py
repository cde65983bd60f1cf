"""Booking what sessions came to: the figures of each unit's row and the hourly sums change together.

`traces_behaviour.outcomes` holds what of a unit is booked, as {outcome id: [revision, x, y]}, x and y in decimal text
and null where unknown. Whoever changes the row calls `book` in the same transaction with what it held and what it
holds, so `traces_outcome_hour` is always the sum of the rows. Both stand on one lock a project: a fold holds it shared
from reading the measures (`load_measured`) to its commit, a change of a measure holds it alone. So no unit is booked by
a measure that is no longer in force, and what an older revision booked is never subtracted from the newer one's sums.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor, sql

from traces.outcomes.figures import figures
from traces.outcomes.spec import Measure, OutcomeSpec, SpecRefused, parse_outcome
from traces.outcomes.types import Figure, Unit
from traces.read.outcome_units import COLUMNS, units_of

log = logging.getLogger(__name__)
Booked = Mapping[str, Sequence[Any]]

_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtext('traces_outcome'), %s)"
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('traces_outcome'), %s)"
_MEASURED = """
    SELECT id, revision, spec FROM traces_outcome WHERE project_id = %s AND archived_at IS NULL ORDER BY id
"""
# In order of the key: folds that book at once wait for each other, and never in a circle.
_BOOK = """
    INSERT INTO traces_outcome_hour AS held (project_id, outcome_id, hour, feature, n, unknown, x, y, xx, xy, yy)
    SELECT %(project_id)s, outcome_id, date_trunc('hour', first_at, 'UTC'), feature,
        coalesce(sum(sign) FILTER (WHERE x IS NOT NULL), 0), coalesce(sum(sign) FILTER (WHERE x IS NULL), 0),
        coalesce(sum(sign * x), 0), coalesce(sum(sign * y), 0),
        coalesce(sum(sign * x * x), 0), coalesce(sum(sign * x * y), 0), coalesce(sum(sign * y * y), 0)
    FROM jsonb_to_recordset(%(lines)s::jsonb)
        AS line (outcome_id bigint, first_at timestamptz, feature text, sign integer, x numeric, y numeric)
    GROUP BY 2, 3, 4
    HAVING sum(sign) FILTER (WHERE x IS NOT NULL) <> 0 OR sum(sign) FILTER (WHERE x IS NULL) <> 0
        OR sum(sign * x) <> 0 OR sum(sign * y) <> 0 OR sum(sign * x * x) <> 0 OR sum(sign * x * y) <> 0
        OR sum(sign * y * y) <> 0
    ORDER BY 2, 3, 4
    ON CONFLICT (project_id, outcome_id, hour, feature) DO UPDATE SET
        n = held.n + excluded.n, unknown = held.unknown + excluded.unknown, x = held.x + excluded.x,
        y = held.y + excluded.y, xx = held.xx + excluded.xx, xy = held.xy + excluded.xy, yy = held.yy + excluded.yy
"""
_NEXT = """
    SELECT first_at, unit_key FROM traces_behaviour
    WHERE project_id = %(project_id)s AND is_closed AND first_at >= %(since)s
        AND (%(at)s::timestamptz IS NULL OR (first_at, unit_key) < (%(at)s::timestamptz, %(key)s::uuid))
    ORDER BY first_at DESC, unit_key DESC
    LIMIT %(limit)s
"""
# Whoever changes several rows takes them in this order.
_LOCK = sql.SQL("""
    SELECT {columns} FROM traces_behaviour
    WHERE project_id = %(project_id)s AND unit_key = ANY(%(keys)s) AND is_closed
    ORDER BY unit_key
    FOR NO KEY UPDATE
""").format(columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)))
_KEEP = """
    UPDATE traces_behaviour AS held SET outcomes = told.outcomes
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS told (unit_key uuid, outcomes jsonb)
    WHERE held.project_id = %(project_id)s AND held.unit_key = told.unit_key
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """An outcome in force: what `figures` takes, and the revision it is booked under."""

    outcome_id: int
    revision: int
    spec: OutcomeSpec


@dataclass(frozen=True, slots=True)
class Place:
    """What of a unit is booked, and in which cell: that of its feature and the hour of its first turn."""

    first_at: datetime
    feature: str
    outcomes: Booked | None


def load_measured(cursor: Cursor[Any], project_id: int) -> tuple[Measured, ...]:
    """The outcomes in force. They stay so until the transaction ends: who changes one waits for it."""
    cursor.execute(_SHARED, (project_id,))
    cursor.execute(_MEASURED, (project_id,))
    found = []
    for outcome_id, revision, told in cursor.fetchall():
        try:
            found.append(Measured(outcome_id, revision, parse_outcome(_read(told))))
        except SpecRefused as refused:
            # Of a release to come, or changed by hand: the others go on.
            log.warning("outcome %s cannot be read and is not counted: %s", outcome_id, refused)
    return tuple(found)


def lock_measures(cursor: Cursor[Any], project_id: int) -> None:
    """Wait until nobody folds by the present measures, and keep folds away until the transaction ends."""
    cursor.execute(_ALONE, (project_id,))


def figures_of(measured: Sequence[Measured], unit: Unit) -> dict[str, list[Any]]:
    """What of a unit is to be booked, as its row keeps it; empty for one that is not closed."""
    revisions = {each.outcome_id: each.revision for each in measured}
    found = figures([(each.outcome_id, each.spec) for each in measured], unit)
    return {str(each.outcome_id): _kept(revisions[each.outcome_id], each) for each in found}


def book(
    cursor: Cursor[Any],
    project_id: int,
    measured: Sequence[Measured],
    changes: Iterable[tuple[Place | None, Place | None]],
) -> None:
    """Book the differences between what rows held (None: there was no row) and what they hold (None: it is gone).

    To be called in the transaction that changes the rows, after `load_measured` and with its answer.
    """
    revisions = {str(each.outcome_id): each.revision for each in measured}
    lines = []
    for before, after in changes:
        for place, sign in ((before, -1), (after, 1)):
            if place is None:
                continue
            for key, (revision, x, y) in (place.outcomes or {}).items():
                if revisions.get(key) == revision:
                    told = {"outcome_id": int(key), "first_at": place.first_at.isoformat(), "feature": place.feature}
                    lines.append({**told, "sign": sign, "x": x, "y": y})
    if lines:
        cursor.execute(_BOOK, {"project_id": project_id, "lines": orjson.dumps(lines).decode()})


@dataclass(frozen=True, slots=True)
class Slice:
    """What one step of counting again did: sessions looked at, and where the next one begins (None: at the end)."""

    units: int
    at: datetime | None
    key: UUID | None


def recount_slice(
    cursor: Cursor[Any],
    project_id: int,
    outcome_id: int,
    revision: int,
    *,
    since: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Slice | None:
    """Book one outcome anew for the next closed units before `after`, newest first, of those since `since`.

    In the caller's transaction. None where this revision of the outcome is no longer in force.
    """
    measured = [each for each in load_measured(cursor, project_id) if each.outcome_id == outcome_id]
    if not measured or measured[0].revision != revision:
        return None
    at, key = after if after is not None else (None, None)
    params = {"project_id": project_id, "since": since, "at": at, "key": key, "limit": limit}
    cursor.execute(_NEXT, params)
    found = cursor.fetchall()
    if not found:
        return Slice(0, None, None)
    cursor.execute(_LOCK, {"project_id": project_id, "keys": [row[1] for row in found]})
    with_turns = measured[0].spec.measure is Measure.ANSWERS
    changes, rows = [], []
    for kept in units_of(cursor, project_id, cursor.fetchall(), with_turns=with_turns):
        seen = kept.unit.behaviour
        others = {key: told for key, told in (kept.outcomes or {}).items() if key != str(outcome_id)}
        outcomes = others | figures_of(measured, kept.unit)
        if outcomes != (kept.outcomes or {}):
            before = Place(seen.first_at, seen.feature, kept.outcomes)
            changes.append((before, Place(seen.first_at, seen.feature, outcomes)))
            rows.append({"unit_key": str(kept.unit_key), "outcomes": outcomes})
    if rows:
        cursor.execute(_KEEP, {"project_id": project_id, "rows": orjson.dumps(rows).decode()})
        book(cursor, project_id, measured, changes)
    return Slice(len(found), *found[-1])


def clear(cursor: Cursor[Any], project_id: int, outcome_id: int) -> None:
    """Throw the sums of an outcome away, under `lock_measures`, before its revision changes."""
    cursor.execute(
        "DELETE FROM traces_outcome_hour WHERE project_id = %s AND outcome_id = %s", (project_id, outcome_id)
    )


def _kept(revision: int, figure: Figure) -> list[Any]:
    x, y = (None if each is None else f"{each.normalize():f}" for each in (figure.x, figure.y))
    return [revision, x, y]


def _read(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value
