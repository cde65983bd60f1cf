"""How long judgements wait, for many judges at once, and all judgements of one for a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from evals.read.judgements import JudgementRow, list_judgements
from telltale.lib.db import raw_cursor

_OLDEST = """
SELECT v.id, oldest.made_at FROM unnest(%(versions)s::bigint[]) AS v (id)
CROSS JOIN LATERAL (
    SELECT min(next.made_at) AS made_at FROM (
        SELECT j.made_at FROM evals_judgement AS j
        WHERE j.judge_version_id = v.id AND j.state = 'pending' AND j.purpose = 1
        ORDER BY j.next_at LIMIT 100
    ) AS next
) AS oldest
WHERE oldest.made_at IS NOT NULL
"""


def oldest_waiting(version_ids: Sequence[int]) -> dict[int, datetime]:
    """When the oldest of the next live judgements in turn of each version was made; those without are left out."""
    with raw_cursor() as cursor:
        cursor.execute(_OLDEST, {"versions": list(version_ids)})
        return dict(cursor.fetchall())


def each_judgement(project_id: int, judge_id: int, size: int = 1000, **wanted: Any) -> Iterator[JudgementRow]:
    """Every judgement of a judge that is wanted (as list_judgements takes it), newest first, read in pieces."""
    before = None
    while True:
        rows = list_judgements(project_id, judge_id=judge_id, before=before, limit=size, **wanted)
        yield from rows
        if len(rows) < size:
            return
        before = rows[-1].judgement_id


_ONE = "SELECT judge_id FROM evals_judgement WHERE project_id = %s AND judgement_id = %s AND repeat = 0"


def get_judgement(project_id: int, judgement_id: int) -> JudgementRow | None:
    """One judgement of the project."""
    with raw_cursor() as cursor:
        cursor.execute(_ONE, (project_id, judgement_id))
        row = cursor.fetchone()
    if row is None:
        return None
    # The newest at or below an id is the one of that id.
    found = list_judgements(project_id, judge_id=row[0], before=judgement_id + 1, limit=1)
    return found[0] if found else None
