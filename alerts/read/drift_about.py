"""What is known of the traces of drift's groups beside their texts: passages found and judges' scores. Two queries."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from alerts.drift.grouping import About
from telltale.lib.db import raw_cursor

_PASSAGES = """
    SELECT s.trace_id, s.passages FROM alerts_sample AS s
    WHERE s.project_id = %(project_id)s AND s.trace_id = ANY(%(trace_ids)s::uuid[]) AND s.passages IS NOT NULL
"""
# Of one version of one judge, for those of others are not comparable: the criterion that has the most scores on the
# side that has the fewer; of criteria judged together the first of their rubric. Scores of hand-picked traces have no
# pi and stand for nobody.
_SCORES = """
    WITH newest AS MATERIALIZED (
        SELECT DISTINCT ON (c.judge_version_id, c.name, c.trace_id)
            c.judge_version_id, c.name, c.trace_id, c.number, c.pi, c.score_id,
            c.trace_id = ANY(%(now)s::uuid[]) AS is_now
        FROM evals_score AS c
        WHERE c.project_id = %(project_id)s AND c.trace_id = ANY(%(trace_ids)s::uuid[])
          AND c.source = 1 AND c.target_kind = 1 AND c.data_type IN (1, 2)
          AND c.judge_version_id IS NOT NULL AND c.pi > 0 AND c.number > '-infinity' AND c.number < 'infinity'
        ORDER BY c.judge_version_id, c.name, c.trace_id, c.score_id DESC
    ), chosen AS (
        SELECT judge_version_id, name FROM newest
        GROUP BY judge_version_id, name
        ORDER BY least(count(*) FILTER (WHERE is_now), count(*) FILTER (WHERE NOT is_now)) DESC, count(*) DESC,
            min(score_id), name
        LIMIT 1
    )
    SELECT n.name, n.trace_id, n.number, n.pi FROM newest AS n JOIN chosen USING (judge_version_id, name)
"""


def read_about(project_id: int, then: Collection[str], now: Collection[str]) -> About:
    """What is known of the traces (hex) of a reference and of a window."""
    told = [UUID(hex=each) for each in {*then, *now}]
    params = {"project_id": project_id, "trace_ids": told, "now": [UUID(hex=each) for each in now]}
    if not told:
        return About()
    with raw_cursor() as cursor:
        cursor.execute(_PASSAGES, params)
        passages = {trace_id.hex: int(n) for trace_id, n in cursor.fetchall()}
        cursor.execute(_SCORES, params)
        rows = cursor.fetchall()
    scores = {trace_id.hex: (float(number), 1.0 / float(pi)) for _, trace_id, number, pi in rows}
    return About(passages, scores, rows[0][0] if rows else "")
