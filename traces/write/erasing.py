"""Removing what the room keeps of some traces, users or sessions. Sums that others share stay, without whose they were.

Every function runs in the caller's transaction and may be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import Cursor, sql

from telltale.lib import clock
from telltale.lib.rows import Table, list_leaves, list_tables
from traces.read.behaviour_units import UnitRef
from traces.rollup.booking import RateOf
from traces.write import behaviour, rollups, search, sessions

PREFIX = "traces_"
# What is kept by functions of its own below.
_APART = frozenset({"traces_rollup_aside", "traces_ledger", "traces_search_doc"})

_ORIGINS = "SELECT DISTINCT origin_id FROM traces_span WHERE project_id = %s AND trace_id = ANY(%s)"
_UNITS = """
    SELECT unit_key, session_id FROM traces_behaviour
    WHERE project_id = %(project_id)s AND (
        unit_key = ANY(%(trace_ids)s) OR unit_key = ANY(%(unit_keys)s::uuid[])
    )
    UNION
    SELECT unit_key, session_id FROM traces_behaviour_due
    WHERE project_id = %(project_id)s AND (
        unit_key = ANY(%(trace_ids)s) OR unit_key = ANY(%(unit_keys)s::uuid[])
    )
"""
# A unit stays as one that was counted: nothing leads to it, and nobody can count it again.
_ANONYMOUS = """
    UPDATE traces_behaviour
    SET unit_key = gen_random_uuid(), session_id = NULL, user_id = NULL, last_trace_id = NULL
    WHERE project_id = %(project_id)s AND unit_key = ANY(%(unit_keys)s)
"""
_LAST = """
    UPDATE traces_behaviour SET last_trace_id = NULL
    WHERE project_id = %(project_id)s AND last_trace_id = ANY(%(trace_ids)s)
"""
_OF_USERS = """
    UPDATE traces_behaviour SET user_id = NULL WHERE project_id = %(project_id)s AND user_id = ANY(%(users)s)
"""
_FEED = """
    UPDATE traces_feed AS f
    SET trace_ids = ARRAY(SELECT id FROM unnest(f.trace_ids) AS id WHERE id <> ALL(%(trace_ids)s))
    WHERE project_id = %(project_id)s AND trace_ids && %(trace_ids)s
"""
_FORWARD = """
    UPDATE traces_forward_queue AS q
    SET trace_ids = ARRAY(SELECT id FROM unnest(q.trace_ids) AS id WHERE id <> ALL(%(trace_ids)s)),
        done_trace = CASE WHEN done_trace = ANY(%(trace_ids)s) THEN NULL ELSE done_trace END
    WHERE project_id = %(project_id)s AND (trace_ids && %(trace_ids)s OR done_trace = ANY(%(trace_ids)s))
"""
_DUPLICATES = """
    UPDATE {leaf} SET duplicate_of_trace = NULL, duplicate_of_span = NULL
    WHERE project_id = {project_id} AND duplicate_of_trace IS NOT NULL AND duplicate_of_trace = ANY({trace_ids})
"""
_FIND_OF_USERS = "SELECT DISTINCT trace_id FROM {leaf} WHERE project_id = {project_id} AND {wanted}"
_USED = "SELECT DISTINCT origin_id FROM {leaf} WHERE project_id = {project_id} AND origin_id = ANY({origins})"
_LOCK_ORIGINS = """
    SELECT origin_id FROM traces_origin WHERE project_id = %s AND origin_id = ANY(%s) ORDER BY origin_id FOR UPDATE
"""


def remove_traces(
    cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], rate_of: RateOf
) -> tuple[Counter[str], list[int]]:
    """Remove everything that hangs on these traces: rows by table, and the origins that their spans had.

    Inside of `rollups.holding`. What was booked of them stays booked.
    """
    ids = list(trace_ids)
    asked: dict[str, Any] = {"project_id": project_id, "trace_ids": ids}
    removed: Counter[str] = Counter()
    session_ids = sorted(set(sessions.find_session_ids(cursor, project_id, ids)))
    cursor.execute(_ORIGINS, (project_id, ids), prepare=False)
    origins = [row[0] for row in cursor.fetchall()]
    rollups.leave(cursor, project_id, ids, rate_of)
    removed["traces_search_doc"] += search.drop(cursor, project_id, ids)
    for table in _tables_with(cursor, "trace_id", "uuid"):
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE project_id = %s AND trace_id = ANY(%s)").format(sql.Identifier(table.name)),
            (project_id, ids),
            prepare=False,
        )
        removed[table.name] += cursor.rowcount
    cursor.execute(_FEED, asked, prepare=False)
    cursor.execute(_FORWARD, asked, prepare=False)
    sessions.refresh(cursor, project_id, session_ids)
    cursor.execute(
        "SELECT DISTINCT session_id FROM traces_trace WHERE project_id = %s AND session_id = ANY(%s)",
        (project_id, session_ids),
    )
    left = {row[0] for row in cursor.fetchall()}
    _leave_units(cursor, asked, [each for each in session_ids if each not in left])
    cursor.execute(_LAST, asked, prepare=False)
    # Those that go on are counted as what is left of them.
    behaviour.mark_sessions(cursor, project_id, sorted(left), clock.now() + timedelta(seconds=1))
    return removed, origins


def remove_names(cursor: Cursor[Any], project_id: int, users: Sequence[str], gone: Sequence[str]) -> Counter[str]:
    """Remove what names these users, or the sessions that are `gone`, beyond any trace; rows by table."""
    asked: dict[str, Any] = {"project_id": project_id, "trace_ids": [], "users": list(users), "gone": list(gone)}
    removed: Counter[str] = Counter()
    _leave_units(cursor, asked, gone)
    cursor.execute(_OF_USERS, asked, prepare=False)
    for name, values in (("session_id", list(gone)), ("user_id", list(users)), ("author", list(users))):
        apart = {"traces_trace", "traces_span", "traces_behaviour"}
        # The author of a note or label is a member of the project; of a signal, whoever gave it.
        apart |= {"traces_comment", "traces_label", "traces_change"} if name == "author" else set()
        apart |= {"traces_session"} if name == "user_id" else set()
        for table in _tables_with(cursor, name, "text"):
            if table.name in apart or not values:
                continue
            cursor.execute(
                sql.SQL("DELETE FROM {} WHERE project_id = %s AND {} = ANY(%s)").format(
                    sql.Identifier(table.name), sql.Identifier(name)
                ),
                (project_id, values),
                prepare=False,
            )
            removed[table.name] += cursor.rowcount
    cursor.execute(
        "SELECT session_id FROM traces_session WHERE project_id = %s AND user_id = ANY(%s)", (project_id, list(users))
    )
    sessions.refresh(cursor, project_id, [row[0] for row in cursor.fetchall()])
    return removed


def remove_origins(cursor: Cursor[Any], project_id: int, origins: Sequence[int]) -> int:
    """Remove those of the origins whose every span is gone; how many. What is just being stored is waited for."""
    cursor.execute(_LOCK_ORIGINS, (project_id, list(origins)))
    left = {row[0] for row in cursor.fetchall()}
    for leaf in list_leaves(cursor, "traces_span"):
        if not left:
            return 0
        cursor.execute(_filled(_USED, leaf, project_id, origins=list(left)), prepare=False)
        left -= {row[0] for row in cursor.fetchall()}
    cursor.execute("DELETE FROM traces_origin WHERE project_id = %s AND origin_id = ANY(%s)", (project_id, list(left)))
    return cursor.rowcount


def forget_duplicates(cursor: Cursor[Any], leaf: str, project_id: int, trace_ids: Sequence[UUID]) -> int:
    """Have no span of a partition say any more that it is the same call as one of these traces'; how many did."""
    cursor.execute(_filled(_DUPLICATES, leaf, project_id, trace_ids=list(trace_ids)), prepare=False)
    return cursor.rowcount


def find_in_leaf(
    cursor: Cursor[Any], leaf: str, project_id: int, users: Sequence[str], sessions_: Sequence[str]
) -> list[UUID]:
    """The traces of a partition of spans, one span of which names one of the users or sessions. Reads all of it."""
    parts = [
        sql.SQL("{} = ANY({})").format(sql.Identifier(name), sql.Literal(list(values)))
        for name, values in (("user_id", users), ("session_id", sessions_))
        if values
    ]
    if not parts:
        return []
    cursor.execute(_filled(_FIND_OF_USERS, leaf, project_id, wanted=sql.SQL(" OR ").join(parts)), prepare=False)
    return [row[0] for row in cursor.fetchall()]


def find_of_trace_rows(
    cursor: Cursor[Any], project_id: int, users: Sequence[str], session_ids: Sequence[str], most: int
) -> list[UUID]:
    """Up to `most` traces that name one of the users or sessions."""
    cursor.execute(
        "(SELECT trace_id FROM traces_trace WHERE project_id = %(project_id)s AND user_id = ANY(%(users)s)"
        " LIMIT %(most)s) UNION (SELECT trace_id FROM traces_trace WHERE project_id = %(project_id)s"
        " AND session_id = ANY(%(sessions)s) LIMIT %(most)s)",
        {"project_id": project_id, "users": list(users), "sessions": list(session_ids), "most": most},
        prepare=False,
    )
    return [row[0] for row in cursor.fetchall()]


def _leave_units(cursor: Cursor[Any], asked: dict[str, Any], session_ids: Sequence[str]) -> None:
    """Keep the units of these traces and sessions as counts of nobody."""
    project_id = asked["project_id"]
    cursor.execute("SELECT md5(id)::uuid FROM unnest(%s::text[]) AS id", (list(session_ids),))
    of_sessions = [row[0] for row in cursor.fetchall()]
    cursor.execute(_UNITS, asked | {"unit_keys": of_sessions}, prepare=False)
    refs = sorted({UnitRef(row[0], row[1]) for row in cursor.fetchall()}, key=lambda ref: ref.unit_key)
    if not refs:
        return
    behaviour.hold(cursor, project_id, refs, clock.now())
    keys = {"project_id": project_id, "unit_keys": [ref.unit_key for ref in refs]}
    cursor.execute(_ANONYMOUS, keys, prepare=False)
    cursor.execute(
        "DELETE FROM traces_behaviour_due WHERE project_id = %(project_id)s AND unit_key = ANY(%(unit_keys)s)",
        keys,
        prepare=False,
    )


def _tables_with(cursor: Cursor[Any], name: str, kind: str) -> Iterator[Table]:
    """Tables of the room with such a column, traces first so that no page shows a trace whose spans are gone."""
    found = [table for table in list_tables(cursor) if table.name.startswith(PREFIX) and table.name not in _APART]
    for table in sorted(found, key=lambda each: (each.name != "traces_trace", each.name)):
        column = table.column(name)
        if column is not None and column.kind == kind and table.own == "project_id" and not table.path:
            yield table


def _filled(text: str, leaf: str, project_id: int, **values: Any) -> sql.Composed:
    told = {name: value if isinstance(value, sql.Composable) else sql.Literal(value) for name, value in values.items()}
    return sql.SQL(text).format(leaf=sql.SQL(leaf), project_id=sql.Literal(project_id), **told)


_OWN_SESSIONS = """
    SELECT DISTINCT session_id FROM traces_trace AS t
    WHERE t.project_id = %(project_id)s AND t.user_id = ANY(%(users)s) AND t.session_id IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM traces_trace AS o
            WHERE o.project_id = t.project_id AND o.session_id = t.session_id
                AND o.user_id IS NOT NULL AND o.user_id <> ALL(%(users)s)
        )
"""
_COUNT = "SELECT count(*) FROM traces_trace WHERE project_id = %s AND (user_id = ANY(%s) OR session_id = ANY(%s))"


def find_own_sessions(cursor: Cursor[Any], project_id: int, users: Sequence[str]) -> list[str]:
    """The sessions in which no trace names anybody but these users."""
    cursor.execute(_OWN_SESSIONS, {"project_id": project_id, "users": list(users)}, prepare=False)
    return [row[0] for row in cursor.fetchall()]


def count_traces(cursor: Cursor[Any], project_id: int, users: Sequence[str], session_ids: Sequence[str]) -> int:
    """How many traces name one of the users or sessions."""
    cursor.execute(_COUNT, (project_id, list(users), list(session_ids)), prepare=False)
    row = cursor.fetchone()
    return int(row[0]) if row else 0
