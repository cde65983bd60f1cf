"""The feed of changed traces: told in the transaction that changes them, taken in the one that has taken them in.

Consumers (roll-ups, search, forwarding) pull from it at their own pace. A claim deletes rows under `FOR UPDATE SKIP
LOCKED`: while its transaction is open nobody else sees them, and if it dies they are back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

from psycopg import Cursor

from traces.write.batch import new_id


class Consumer(IntEnum):
    """Who takes changed traces in."""

    ROLL_UP = 1
    SEARCH = 2
    FORWARD = 3
    ABOVE = 4  # whoever stands on this room (traces.changes)
    BEHAVIOUR = 5  # what users did, and signals that wait for their traces (traces.behaving)
    CHANGES = 6  # which releases, models and prompts are seen (traces.sighting)
    SAMPLE = 7  # whoever stands on this room and samples traffic (traces.changes)
    # Below zero: waiting for it is no work that the sweeps of this room have to wake for.
    ERASED = -1  # traces, late spans of which were refused as an erased user's or session's (traces.write.late)


# Whoever shows or sums what is stored; forwarding and the rooms above are told by project, of new spans.
EVERY_CHANGE = (Consumer.ROLL_UP, Consumer.SEARCH, Consumer.BEHAVIOUR, Consumer.CHANGES)

_TELL = """
    INSERT INTO traces_feed (consumer, project_id, feed_id, batch_id, trace_ids)
    SELECT consumer, %s, %s, %s, %s::uuid[] FROM unnest(%s::smallint[]) AS consumer
"""
# Chosen once: a plan that chose again for each row would find others, and take more than was asked for.
_CLAIM = """
    WITH mine AS MATERIALIZED (
        SELECT consumer, project_id, feed_id FROM traces_feed
        WHERE consumer = %(consumer)s AND project_id = %(project_id)s
        ORDER BY feed_id
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM traces_feed AS f
    USING mine
    WHERE f.consumer = mine.consumer AND f.project_id = mine.project_id AND f.feed_id = mine.feed_id
    RETURNING f.feed_id, f.changed_at, f.batch_id, f.trace_ids
"""
_PEEK = """
    SELECT feed_id, changed_at, batch_id, trace_ids FROM traces_feed
    WHERE consumer = %(consumer)s AND project_id = %(project_id)s
    ORDER BY feed_id
    LIMIT %(limit)s
"""
_TAKE = """
    DELETE FROM traces_feed AS f
    USING (
        SELECT consumer, project_id, feed_id FROM traces_feed
        WHERE consumer = %(consumer)s AND project_id = %(project_id)s AND feed_id = ANY(%(feed_ids)s)
        FOR UPDATE SKIP LOCKED
    ) AS mine
    WHERE f.consumer = mine.consumer AND f.project_id = mine.project_id AND f.feed_id = mine.feed_id
    RETURNING f.feed_id, f.changed_at, f.batch_id, f.trace_ids
"""
# The projects with something to take, each found by one step along the key, however many rows it has.
_OPEN = """
    WITH RECURSIVE open AS (
        (SELECT project_id FROM traces_feed WHERE consumer = %(consumer)s ORDER BY project_id LIMIT 1)
        UNION ALL
        SELECT (SELECT f.project_id FROM traces_feed AS f WHERE f.consumer = %(consumer)s
                AND f.project_id > open.project_id ORDER BY f.project_id LIMIT 1)
        FROM open WHERE open.project_id IS NOT NULL
    )
    SELECT project_id FROM open WHERE project_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of the feed. `batch_id` is None where stored spans changed without new ones."""

    feed_id: int
    changed_at: datetime
    batch_id: int | None
    trace_ids: tuple[UUID, ...]


def tell(
    cursor: Cursor[Any],
    project_id: int,
    trace_ids: Iterable[UUID],
    consumers: Sequence[Consumer] = EVERY_CHANGE,
    batch_id: int | None = None,
) -> None:
    """Tell `consumers` that these traces changed, in the caller's transaction. Nothing for no traces."""
    ids = list(trace_ids)
    if ids and consumers:
        cursor.execute(_TELL, (project_id, new_id(), batch_id, ids, [int(c) for c in consumers]), prepare=True)


def claim(cursor: Cursor[Any], consumer: Consumer, project_id: int, limit: int) -> list[Told]:
    """Take up to `limit` entries, oldest first; they are gone when the caller's transaction commits."""
    cursor.execute(_CLAIM, {"consumer": int(consumer), "project_id": project_id, "limit": limit})
    rows = [Told(row[0], row[1], row[2], tuple(row[3])) for row in cursor.fetchall()]
    return sorted(rows, key=lambda told: told.feed_id)


def peek(cursor: Cursor[Any], consumer: Consumer, project_id: int, limit: int) -> list[Told]:
    """The oldest entries, which stay where they are: for work that may be done twice before they are taken."""
    cursor.execute(_PEEK, {"consumer": int(consumer), "project_id": project_id, "limit": limit})
    return [Told(row[0], row[1], row[2], tuple(row[3])) for row in cursor.fetchall()]


def take(cursor: Cursor[Any], consumer: Consumer, project_id: int, feed_ids: Sequence[int]) -> list[Told]:
    """Take these entries, as `claim` does; those that somebody else has taken or holds are left out."""
    cursor.execute(_TAKE, {"consumer": int(consumer), "project_id": project_id, "feed_ids": list(feed_ids)})
    return [Told(row[0], row[1], row[2], tuple(row[3])) for row in cursor.fetchall()]


def oldest(cursor: Cursor[Any], consumer: Consumer, project_id: int) -> datetime | None:
    """When the oldest change came that the consumer has not taken; None where nothing waits. One step on the key."""
    cursor.execute(_PEEK, {"consumer": consumer, "project_id": project_id, "limit": 1})
    row = cursor.fetchone()
    return row[1] if row else None


def open_projects(cursor: Cursor[Any], consumer: Consumer) -> list[int]:
    """The ids of projects with entries for `consumer`, ascending."""
    cursor.execute(_OPEN, {"consumer": int(consumer)})
    return [row[0] for row in cursor.fetchall()]
