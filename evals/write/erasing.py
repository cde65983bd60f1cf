"""Removing what the room keeps about some traces or sessions. Hourly and daily sums stay: they name nobody.

Every function runs in the caller's transaction and may be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from psycopg import Cursor, sql

from telltale.lib.rows import Table, list_tables

PREFIX = "evals_"
# Items made of a trace, in every version of their dataset, edited ones too: they share a key.
_ITEMS = """
    SELECT DISTINCT i.dataset_id, i.item_key
    FROM evals_datasetitem AS i
    JOIN evals_dataset AS d ON d.id = i.dataset_id
    WHERE d.project_id = %(project_id)s AND i.origin_trace_id = ANY(%(trace_ids)s)
"""
_DROP_ITEMS = """
    DELETE FROM evals_datasetitem AS i
    USING unnest(%(datasets)s::bigint[], %(keys)s::text[]) AS gone (dataset_id, item_key)
    WHERE i.dataset_id = gone.dataset_id AND i.item_key = gone.item_key
"""
# What experiments answered to those items, and the calls that judged these answers.
_RESULTS = """
    SELECT r.id, r.target_id, r.trace_id
    FROM evals_experimentresult AS r
    JOIN evals_experiment AS e ON e.id = r.experiment_id
    WHERE e.project_id = %(project_id)s AND (
        r.trace_id = ANY(%(trace_ids)s)
        OR (e.dataset_id, r.item_key) IN (SELECT * FROM unnest(%(datasets)s::bigint[], %(keys)s::text[]))
    )
"""
_JUDGEMENTS = """
    DELETE FROM evals_judgement
    WHERE project_id = %(project_id)s AND (target_id = ANY(%(targets)s) OR session_id = ANY(%(sessions)s))
    RETURNING judgement_id, call_trace_id
"""
_CALLS = """
    UPDATE evals_judgement SET call_trace_id = NULL
    WHERE project_id = %(project_id)s AND call_trace_id = ANY(%(trace_ids)s)
"""
_FLAGGED = "DELETE FROM evals_flagged WHERE project_id = %s AND judgement_id = ANY(%s)"
_SCORES = """
    DELETE FROM evals_score
    WHERE project_id = %(project_id)s AND (
        trace_id = ANY(%(targets)s) OR session_id = ANY(%(sessions)s)
        OR (judgement_id = ANY(%(judgements)s) AND judgement_id IS NOT NULL)
    )
    RETURNING score_id
"""
_FEEDBACK = "DELETE FROM evals_feedback WHERE project_id = %s AND score_id = ANY(%s)"
# Asked before the room below removes its signals.
_TOLD = """
    DELETE FROM evals_told_signal WHERE project_id = %(project_id)s AND signal_key IN (
        SELECT signal_key FROM traces_signal
        WHERE project_id = %(project_id)s AND (trace_id = ANY(%(trace_ids)s) OR session_id = ANY(%(sessions)s))
    )
"""
_BY_USER = "DELETE FROM evals_score WHERE project_id = %s AND author = ANY(%s) AND author_id IS NULL RETURNING score_id"


def remove(
    cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], session_ids: Sequence[str] = ()
) -> tuple[Counter[str], set[UUID]]:
    """Remove what is about these traces and sessions: rows by table, and traces of calls that were told of them."""
    asked: dict[str, Any] = {
        "project_id": project_id, "trace_ids": list(trace_ids), "sessions": list(session_ids),
    }  # fmt: skip
    removed: Counter[str] = Counter()
    calls: set[UUID] = set()
    cursor.execute(_ITEMS, asked, prepare=False)
    items = cursor.fetchall()
    asked |= {"datasets": [each[0] for each in items], "keys": [each[1] for each in items]}
    cursor.execute(_DROP_ITEMS, asked, prepare=False)
    removed["evals_datasetitem"] += cursor.rowcount
    cursor.execute(_RESULTS, asked, prepare=False)
    results = cursor.fetchall()
    calls |= {each[2] for each in results if each[2] is not None}
    cursor.execute("DELETE FROM evals_experimentresult WHERE id = ANY(%s)", ([each[0] for each in results],))
    removed["evals_experimentresult"] += cursor.rowcount
    asked["targets"] = [*trace_ids, *(each[1] for each in results)]
    cursor.execute(_JUDGEMENTS, asked, prepare=False)
    judgements = cursor.fetchall()
    removed["evals_judgement"] += len(judgements)
    calls |= {each[1] for each in judgements if each[1] is not None}
    asked["judgements"] = [each[0] for each in judgements]
    cursor.execute(_CALLS, asked, prepare=False)
    cursor.execute(_FLAGGED, (project_id, asked["judgements"]), prepare=False)
    removed["evals_flagged"] += cursor.rowcount
    cursor.execute(_SCORES, asked, prepare=False)
    scores = [row[0] for row in cursor.fetchall()]
    removed["evals_score"] += len(scores)
    cursor.execute(_FEEDBACK, (project_id, scores), prepare=False)
    removed["evals_feedback"] += cursor.rowcount
    cursor.execute(_TOLD, asked, prepare=False)
    removed["evals_told_signal"] += cursor.rowcount
    for table in _of_traces(cursor):
        scope = table.of_project(project_id)
        if scope is None:
            continue
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE trace_id = ANY({}) AND {}").format(
                sql.Identifier(table.name), sql.Literal(list(trace_ids)), scope
            ),
            prepare=False,
        )
        removed[table.name] += cursor.rowcount
    return removed, calls - set(trace_ids)


def remove_given(cursor: Cursor[Any], project_id: int, users: Sequence[str]) -> Counter[str]:
    """Remove the scores that these users gave themselves; rows by table."""
    cursor.execute(_BY_USER, (project_id, list(users)), prepare=False)
    scores = [row[0] for row in cursor.fetchall()]
    cursor.execute(_FEEDBACK, (project_id, scores), prepare=False)
    return Counter({"evals_score": len(scores), "evals_feedback": cursor.rowcount})


def _of_traces(cursor: Cursor[Any]) -> Iterator[Table]:
    """Tables of the room whose rows name a trace, those that others refer to last."""
    found = [table for table in list_tables(cursor) if table.name.startswith(PREFIX)]
    parents = {parent for table in found for parent in table.parents}
    for table in sorted(found, key=lambda each: (each.name in parents, each.name)):
        column = table.column("trace_id")
        if column is not None and column.kind == "uuid":
            yield table
