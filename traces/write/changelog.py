"""Rows of the change log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg import Cursor, sql

from traces.changing.items import NewChange

# What makes a row another one when it is told again.
_TOLD = (
    "kind", "ended_at", "name", "version", "previous", "service", "feature", "environment", "author", "note",
    "url", "details", "source",
)  # fmt: skip
_NAMES = sql.SQL(", ").join(map(sql.Identifier, _TOLD))
_PUT = sql.SQL("""
    INSERT INTO traces_change AS c (project_id, client_id, created_by_id, origin, created_at, updated_at, at, {names})
    VALUES (%(project_id)s, %(client_id)s, %(by_id)s, '', now(), now(), %(at)s, {values})
    ON CONFLICT (project_id, client_id) WHERE NOT (client_id = '') DO UPDATE
    SET ({names}) = ({excluded}), at = {at}, updated_at = now()
    WHERE ({mine}, c.at) IS DISTINCT FROM ({excluded}, {at})
    RETURNING id, xmax = 0
""").format(
    names=_NAMES,
    values=sql.SQL(", ").join(map(sql.Placeholder, _TOLD)),
    excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in _TOLD),
    mine=sql.SQL(", ").join(sql.Identifier("c", name) for name in _TOLD),
    # Told again without a time it keeps its own: a worker that starts later tells of the same deploy.
    at=sql.SQL("CASE WHEN %(is_dated)s THEN excluded.at ELSE least(c.at, coalesce(excluded.ended_at, c.at)) END"),
)
_FIND = "SELECT id FROM traces_change WHERE project_id = %s AND client_id = %s"
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM traces_change WHERE project_id = %s AND origin = '' LIMIT %s) AS told"
# One writer of a project at a time: so the cap holds, and two requests of the same ids never wait for each other.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('traces_change'), %s)"


@dataclass(frozen=True, slots=True)
class Put:
    """What became of one change: accepted, updated, unchanged."""

    id: int
    status: str


def lock(cursor: Cursor[Any], project_id: int) -> None:
    """Alone among writers of the project's change log until the transaction ends."""
    cursor.execute(_LOCK, (project_id,))


def count_told(cursor: Cursor[Any], project_id: int, most: int) -> int:
    """How many changes were told, counted up to `most`."""
    cursor.execute(_COUNT, (project_id, most))
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def put(cursor: Cursor[Any], project_id: int, changes: Sequence[NewChange], by_id: int | None) -> list[Put]:
    """Keep changes; one whose `client_id` is there already replaces what that said."""
    done = []
    for change in changes:
        cursor.execute(_PUT, values_of(change) | {"project_id": project_id, "by_id": by_id})
        row = cursor.fetchone()
        if row is None:
            cursor.execute(_FIND, (project_id, change.client_id))
            found = cursor.fetchone()
            assert found is not None  # noqa: S101 - the conflict is with it
            done.append(Put(found[0], "unchanged"))
        else:
            done.append(Put(row[0], "accepted" if row[1] else "updated"))
    return done


def values_of(change: NewChange) -> dict[str, Any]:
    """The values of a row."""
    values = {name: getattr(change, name) for name in (*_TOLD, "at", "client_id", "is_dated")}
    return values | {
        "kind": change.kind.value,
        "source": change.source.value,
        "details": orjson.dumps(change.details).decode(),
    }
