"""Whether retrieved documents were of use: rows of `evals_document_score`, and of `evals_retrieval` made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper

from evals.retrieval import DEPTHS, Retrieval
from traces.masks import mask_id

# A retrieval of more ranks is read up to here: precision is asked at 10 at most.
RANK_MAX = 100


@dataclass(frozen=True, slots=True)
class DocumentScore:
    """One verdict on one retrieved document.

    `source` is 1 judge, 2 person, 3 API; `rank` counts from 1; `relevance` is 0..1; `pi` is the chance the retrieval
    had to be judged, None where no design drew it; `started_at` is the trace's; `documents` is how many documents the
    retrieval brought, 0 where as many as were judged.
    """

    trace_id: UUID
    span_id: int
    rank: int
    source: int
    relevance: float
    started_at: datetime
    judge_version_id: int = 0
    document_id: str = ""
    retrieval_score: float | None = None
    pi: float | None = None
    feature: str = ""
    documents: int = 0


# One retrieval as one source judged it: (trace, span, source, judge version).
Place = tuple[UUID, int, int, int]

_PUT = """
INSERT INTO evals_document_score AS d (
    project_id, trace_id, span_id, rank, source, judge_version_id, document_id, relevance, retrieval_score, pi, feature,
    started_at, made_at
)
SELECT %(project)s, new.*, now()
FROM unnest(
    %(traces)s::uuid[], %(spans)s::bigint[], %(ranks)s::smallint[], %(sources)s::smallint[], %(judges)s::bigint[],
    %(ids)s::text[], %(relevances)s::float8[], %(scores)s::float8[], %(pis)s::float8[], %(features)s::text[],
    %(starts)s::timestamptz[]
) AS new
ON CONFLICT (project_id, trace_id, span_id, rank, source, judge_version_id) DO UPDATE
SET document_id = excluded.document_id, relevance = excluded.relevance, pi = excluded.pi, feature = excluded.feature,
    retrieval_score = coalesce(excluded.retrieval_score, d.retrieval_score), started_at = excluded.started_at,
    made_at = excluded.made_at
"""
_DROP = """
DELETE FROM evals_document_score
WHERE project_id = %s AND trace_id = %s AND span_id = %s AND rank = ANY(%s) AND source = %s AND judge_version_id = 0
"""
# Locks the rows as well: two people who label one retrieval count one after the other.
_HOLD = """
INSERT INTO evals_retrieval AS r (
    project_id, trace_id, span_id, source, judge_version_id, feature, started_at, pi, documents
)
SELECT %(project)s, new.*
FROM unnest(
    %(traces)s::uuid[], %(spans)s::bigint[], %(sources)s::smallint[], %(judges)s::bigint[], %(features)s::text[],
    %(starts)s::timestamptz[], %(pis)s::float8[], %(documents)s::smallint[]
) AS new
ON CONFLICT (project_id, trace_id, span_id, source, judge_version_id) DO UPDATE
SET feature = excluded.feature, started_at = excluded.started_at, pi = excluded.pi,
    documents = greatest(r.documents, excluded.documents)
"""
_JUDGED = """
SELECT r.trace_id, r.span_id, r.source, r.judge_version_id, r.documents, array_agg(d.rank), array_agg(d.relevance)
FROM unnest(%(traces)s::uuid[], %(spans)s::bigint[], %(sources)s::smallint[], %(judges)s::bigint[])
    AS wanted(trace_id, span_id, source, judge_version_id)
JOIN evals_retrieval AS r USING (trace_id, span_id, source, judge_version_id)
JOIN evals_document_score AS d USING (project_id, trace_id, span_id, source, judge_version_id)
WHERE r.project_id = %(project)s
GROUP BY 1, 2, 3, 4, 5
"""
_COUNT = """
UPDATE evals_retrieval AS r
SET documents = new.documents, judged = new.judged, relevant_1 = new.relevant_1, relevant_3 = new.relevant_3,
    relevant_5 = new.relevant_5, relevant_10 = new.relevant_10, reciprocal = new.reciprocal
FROM unnest(
    %(traces)s::uuid[], %(spans)s::bigint[], %(sources)s::smallint[], %(judges)s::bigint[], %(documents)s::smallint[],
    %(judged)s::smallint[], %(relevant_1)s::smallint[], %(relevant_3)s::smallint[], %(relevant_5)s::smallint[],
    %(relevant_10)s::smallint[], %(reciprocal)s::float8[]
) AS new(trace_id, span_id, source, judge_version_id, documents, judged, relevant_1, relevant_3, relevant_5,
    relevant_10, reciprocal)
WHERE r.project_id = %(project)s AND r.trace_id = new.trace_id AND r.span_id = new.span_id AND r.source = new.source
    AND r.judge_version_id = new.judge_version_id
"""
_LOCK = """
SELECT 1 FROM evals_retrieval
WHERE project_id = %s AND trace_id = %s AND span_id = %s AND source = %s AND judge_version_id = 0
FOR UPDATE
"""
_EMPTY = """
DELETE FROM evals_retrieval AS r
WHERE r.project_id = %s AND r.trace_id = %s AND r.span_id = %s AND r.source = %s AND r.judge_version_id = 0
    AND NOT EXISTS (
        SELECT 1 FROM evals_document_score AS d
        WHERE d.project_id = r.project_id AND d.trace_id = r.trace_id AND d.span_id = r.span_id
            AND d.source = r.source AND d.judge_version_id = 0
    )
"""
_SET_PI = """
WITH new AS (
    SELECT * FROM unnest(%(traces)s::uuid[], %(judges)s::bigint[], %(pis)s::float8[]) AS n(trace_id, version_id, pi)
), told AS (
    UPDATE evals_retrieval AS r SET pi = new.pi FROM new
    WHERE r.project_id = %(project)s AND r.trace_id = new.trace_id AND r.judge_version_id = new.version_id
        AND r.source = 1
)
UPDATE evals_document_score AS d SET pi = new.pi FROM new
WHERE d.project_id = %(project)s AND d.trace_id = new.trace_id AND d.judge_version_id = new.version_id AND d.source = 1
"""


def put_documents(project_id: int, scores: Sequence[DocumentScore]) -> int:
    """Store verdicts in the caller's transaction; the same document, source and judge version again replaces.

    The number stored: ranks beyond `RANK_MAX` are left out, and of two verdicts on one document the last counts.
    """
    kept = {
        (one.trace_id, one.span_id, one.rank, one.source, one.judge_version_id): one
        for one in scores
        if 1 <= one.rank <= RANK_MAX
    }
    if not kept:
        return 0
    # In one order for all writers, so that two of them never wait for each other.
    rows = [kept[place] for place in sorted(kept)]
    params: dict[str, Any] = {
        "project": project_id,
        "traces": [row.trace_id for row in rows],
        "spans": [row.span_id for row in rows],
        "ranks": [row.rank for row in rows],
        "sources": [row.source for row in rows],
        "judges": [row.judge_version_id for row in rows],
        "ids": [mask_id(project_id, row.document_id) for row in rows],
        "relevances": [row.relevance for row in rows],
        "scores": [row.retrieval_score for row in rows],
        "pis": [row.pi for row in rows],
        "features": [row.feature for row in rows],
        "starts": [row.started_at for row in rows],
    }
    retrievals = {(row.trace_id, row.span_id, row.source, row.judge_version_id): row for row in rows}
    with connection.cursor() as cursor:
        _hold(cursor, project_id, retrievals)
        cursor.execute(_PUT, params)
        _count(cursor, project_id, list(retrievals))
    return len(rows)


def drop_labels(project_id: int, trace_id: UUID, span_id: int, ranks: Sequence[int], source: int) -> int:
    """Take back what people (2) or the API (3) said about documents, in the caller's transaction; how many went."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [project_id, trace_id, span_id, source])
        cursor.execute(_DROP, [project_id, trace_id, span_id, list(ranks), source])
        gone = int(cursor.rowcount)
        if gone:
            _count(cursor, project_id, [(trace_id, span_id, source, 0)])
            cursor.execute(_EMPTY, [project_id, trace_id, span_id, source])
    return gone


def set_document_chances(project_id: int, chances: Mapping[tuple[UUID, int], float]) -> None:
    """Give the verdicts of a judge on a trace, by (trace, judge version), the chance that a second draw came to."""
    if not chances:
        return
    places = sorted(chances)
    params: dict[str, Any] = {
        "project": project_id, "traces": [trace for trace, _ in places], "judges": [version for _, version in places],
        "pis": [chances[place] for place in places],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_SET_PI, params)


def _hold(cursor: CursorWrapper, project_id: int, retrievals: Mapping[Place, DocumentScore]) -> None:
    places = sorted(retrievals)
    params = _keys(project_id, places) | {
        "features": [retrievals[place].feature for place in places],
        "starts": [retrievals[place].started_at for place in places],
        "pis": [retrievals[place].pi for place in places],
        "documents": [min(max(retrievals[place].documents, 0), 2**15 - 1) for place in places],
    }
    cursor.execute(_HOLD, params)


def _count(cursor: CursorWrapper, project_id: int, places: Sequence[Place]) -> None:
    """Bring the rows of retrievals up to the verdicts that there are now."""
    cursor.execute(_JUDGED, _keys(project_id, places))
    found: dict[Place, Retrieval] = {}
    for trace_id, span_id, source, version_id, documents, ranks, relevances in cursor.fetchall():
        relevance = dict(zip(ranks, relevances, strict=True))
        found[trace_id, span_id, source, version_id] = Retrieval(relevance, documents)
    ready = sorted(found)
    params = _keys(project_id, ready) | {
        "documents": [found[place].length for place in ready],
        "judged": [len(found[place].relevance) for place in ready],
        **{f"relevant_{k}": [found[place].relevant_at(k) for place in ready] for k in DEPTHS},
        "reciprocal": [found[place].reciprocal_rank() for place in ready],
    }
    cursor.execute(_COUNT, params)


def _keys(project_id: int, places: Sequence[Place]) -> dict[str, Any]:
    return {
        "project": project_id, "traces": [place[0] for place in places], "spans": [place[1] for place in places],
        "sources": [place[2] for place in places], "judges": [place[3] for place in places],
    }  # fmt: skip
