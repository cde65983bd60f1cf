"""What end users did about traces: by signals, and by the scores that programs gave."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from evals.sampling.signals import THUMB_DOWN, THUMB_NAMES, is_thumb_down
from telltale.lib.db import raw_cursor
from traces.read.signals import thumbs_down

_THUMBS = """
SELECT trace_id, name, number, label FROM evals_score
WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s) AND source = 3 AND target_kind IN (1, 2)
    AND translate(lower(name), '- ', '__') = ANY(%(names)s)
"""


def signals_of(project_id: int, trace_ids: Sequence[UUID]) -> dict[UUID, frozenset[str]]:
    """The signals of traces, by trace; those without are left out. Two queries."""
    with raw_cursor() as cursor:
        params = {"project_id": project_id, "trace_ids": list(trace_ids), "names": list(THUMB_NAMES)}
        cursor.execute(_THUMBS, params)
        rows = cursor.fetchall()
    down = {trace_id for trace_id, name, number, label in rows if is_thumb_down(name, number, label)}
    down |= thumbs_down(project_id, trace_ids)
    return dict.fromkeys(down, frozenset({THUMB_DOWN}))
