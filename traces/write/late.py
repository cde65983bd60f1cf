"""Parts of a trace that were stored before the span that says whose it is, an erased user's or session's, was refused.

A door that refuses such a span refuses from then on whatever comes of its trace, and tells of the trace once; who
erases pulls what was told, a while later, and removes what is stored of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Cursor

from telltale.lib import clock
from traces.write import feed
from traces.write.erased import What, key_of, keys_of, known

KEPT = timedelta(days=30)
# So many traces an hour that one key may have looked at, in each process; spans beyond are refused all the same.
AN_HOUR = 1_000
# A trace whose parts come further apart than this is not looked for: what is older is nobody's to remove by a span.
WITHIN = timedelta(days=1)
_KEYS_MAX = 10_000
_spent: dict[tuple[int, int], tuple[int, int]] = {}

_REFUSE = """
    INSERT INTO traces_erased AS e (project_id, key, what, erasure_id, until)
    SELECT %(project_id)s, new.key, %(what)s, new.erasure_id, %(until)s
    FROM unnest(%(keys)s::uuid[], %(erasures)s::bigint[]) AS new (key, erasure_id)
    ORDER BY new.key
    ON CONFLICT (project_id, key) DO UPDATE SET erasure_id = excluded.erasure_id, until = excluded.until
        WHERE e.until < clock_timestamp()
    RETURNING key
"""
_OF = "SELECT key, erasure_id FROM traces_erased WHERE project_id = %s AND key = ANY(%s)"
# What is stored of traces: any row by which a page would show one, and who is named in them.
_STORED = """
    SELECT wanted.id,
        ARRAY(SELECT DISTINCT s.user_id FROM traces_span AS s
              WHERE s.project_id = %(project_id)s AND s.trace_id = wanted.id AND s.started_at >= %(since)s
                  AND s.started_at < %(until)s AND s.user_id IS NOT NULL LIMIT 20),
        ARRAY(SELECT DISTINCT s.session_id FROM traces_span AS s
              WHERE s.project_id = %(project_id)s AND s.trace_id = wanted.id AND s.started_at >= %(since)s
                  AND s.started_at < %(until)s AND s.session_id IS NOT NULL LIMIT 20)
    FROM unnest(%(trace_ids)s::uuid[]) AS wanted (id)
    LEFT JOIN traces_trace AS t ON t.project_id = %(project_id)s AND t.trace_id = wanted.id
    WHERE CASE WHEN t.trace_id IS NOT NULL THEN t.started_at >= %(since)s ELSE EXISTS (
        SELECT FROM traces_span_log AS l
        WHERE l.project_id = %(project_id)s AND l.trace_id = wanted.id AND l.happened_at >= %(since)s
    ) END
"""


def refuse(
    cursor: Cursor[Any], project_id: int, key_id: int, parted: Mapping[UUID, int], batch_id: int | None = None
) -> int:
    """Refuse these traces from now on, in the caller's transaction, and have what is stored of them looked for.

    `parted`: trace -> the erasure that refuses its user or session. How many are new; bounded by the hour and key.
    """
    room = _room(project_id, key_id)
    taken = dict(list(parted.items())[:room])
    if not taken:
        return 0
    keys = {key_of(project_id, What.TRACE, trace_id.hex): trace_id for trace_id in taken}
    asked = {
        "project_id": project_id, "what": int(What.TRACE), "until": clock.now() + KEPT, "keys": list(keys),
        "erasures": [taken[trace_id] for trace_id in keys.values()],
    }  # fmt: skip
    cursor.execute(_REFUSE, asked, prepare=False)
    new = [keys[row[0]] for row in cursor.fetchall()]
    feed.tell(cursor, project_id, new, (feed.Consumer.ERASED,), batch_id)
    _spend(project_id, key_id, len(new))
    return len(new)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Traces that a late span says are somebody's who was erased, by erasure; `feed_ids` is what told of them."""

    feed_ids: tuple[int, ...]
    by_erasure: Mapping[int, tuple[UUID, ...]]


def peek(cursor: Cursor[Any], project_id: int, before: datetime, most: int) -> Waiting:
    """What was told until `before`, about `most` traces of it; what was let arrive again since is left out."""
    told = [each for each in feed.peek(cursor, feed.Consumer.ERASED, project_id, most) if each.changed_at <= before]
    ids: list[UUID] = []
    feed_ids = []
    for each in told:
        if ids and len(ids) + len(each.trace_ids) > most:
            break
        ids += each.trace_ids
        feed_ids.append(each.feed_id)
    keys = keys_of(project_id, What.TRACE, (each.hex for each in ids))
    cursor.execute(_OF, (project_id, list(keys)), prepare=False)
    by_erasure: dict[int, list[UUID]] = {}
    for key, erasure_id in cursor.fetchall():
        by_erasure.setdefault(erasure_id, []).append(UUID(hex=keys[key]))
    return Waiting(tuple(feed_ids), {erasure_id: tuple(found) for erasure_id, found in by_erasure.items()})


def take(cursor: Cursor[Any], project_id: int, feed_ids: Sequence[int]) -> None:
    """Tell of these no more; in the caller's transaction."""
    feed.take(cursor, feed.Consumer.ERASED, project_id, feed_ids)


def open_projects(cursor: Cursor[Any]) -> list[int]:
    """The projects of which some was told."""
    return feed.open_projects(cursor, feed.Consumer.ERASED)


def find_parts(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], *, of_session: bool) -> list[UUID]:
    """Those of the traces of which something is stored that began within `WITHIN`, and that name nobody else.

    Somebody else is a user who was not erased; `of_session`: or a session that was not. A key that may only send cannot
    have anybody else's traces removed by naming them beside an erased user.
    """
    now = clock.now()
    asked = {
        "project_id": project_id, "trace_ids": list(trace_ids), "since": now - WITHIN, "until": now + WITHIN,
    }  # fmt: skip
    cursor.execute(_STORED, asked, prepare=False)
    rows = cursor.fetchall()
    gone = known(
        project_id,
        users={user for _, users, _ in rows for user in users},
        sessions={session for _, _, sessions in rows for session in sessions} if of_session else (),
    )
    return [
        trace_id
        for trace_id, users, sessions in rows
        if all(user in gone.users for user in users)
        and (not of_session or all(session in gone.sessions for session in sessions))
    ]


def forget() -> None:
    """Forget what keys had looked at (tests)."""
    _spent.clear()


def _hour() -> int:
    return int(clock.now().timestamp() // 3600)


def _room(project_id: int, key_id: int) -> int:
    hour, n = _spent.get((project_id, key_id), (0, 0))
    return AN_HOUR - (n if hour == _hour() else 0)


def _spend(project_id: int, key_id: int, n: int) -> None:
    if len(_spent) > _KEYS_MAX:
        _spent.clear()
    hour, before = _spent.get((project_id, key_id), (0, 0))
    _spent[project_id, key_id] = (_hour(), n + (before if hour == _hour() else 0))
