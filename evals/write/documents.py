"""Whether retrieved documents were of use: rows of `evals_document_score`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

# A retrieval of more ranks is read up to here: precision is asked at 10 at most.
RANK_MAX = 100


@dataclass(frozen=True, slots=True)
class DocumentScore:
    """One verdict on one retrieved document.

    `source` is 1 judge, 2 person, 3 API; `rank` counts from 1; `relevance` is 0..1; `pi` is the chance the retrieval
    had to be judged, None where no design drew it; `started_at` is the trace's.
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
        "ids": [row.document_id for row in rows],
        "relevances": [row.relevance for row in rows],
        "scores": [row.retrieval_score for row in rows],
        "pis": [row.pi for row in rows],
        "features": [row.feature for row in rows],
        "starts": [row.started_at for row in rows],
    }
    with connection.cursor() as cursor:
        cursor.execute(_PUT, params)
    return len(rows)


def drop_labels(project_id: int, trace_id: UUID, span_id: int, ranks: Sequence[int], source: int) -> int:
    """Take back what people (2) or the API (3) said about documents; how many rows went."""
    with connection.cursor() as cursor:
        cursor.execute(_DROP, [project_id, trace_id, span_id, list(ranks), source])
        return int(cursor.rowcount)
