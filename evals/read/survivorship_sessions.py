"""Silent sessions that left, to be read by people: drawn at random, with what was asked first and answered last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from traces.behaviour.types import Stratum
from traces.read.asking import asking, fetch
from traces.read.behaviour import sample_units

_SESSIONS = """
    SELECT session_key, preview_in, preview_out FROM traces_session
    WHERE project_id = %(project_id)s AND session_key = ANY(%(keys)s::uuid[])
"""
_TRACES = """
    SELECT trace_id, preview_in, preview_out FROM traces_trace
    WHERE project_id = %(project_id)s AND trace_id = ANY(%(keys)s::uuid[])
"""


@dataclass(frozen=True, slots=True)
class Silent:
    """One silent session that left. `asked` and `answered` are previews; None where they are gone or never told."""

    session_id: str | None
    trace_id: UUID | None
    feature: str
    first_at: datetime
    turns: int
    answers: int
    length_seconds: float | None
    asked: str | None
    answered: str | None


def read_silent(
    project_id: int, start: datetime, end: datetime, feature: str | None, n: int, seed: int
) -> list[Silent]:
    """Up to `n` closed sessions that left without a vote, the same for the same seed. traces.read.TooSlow.

    Three queries. Drawn among the newest 20,000 of the window.
    """
    with asking() as cursor:
        rows = sample_units(project_id, start, end, feature, Stratum.ABANDONED, 0, n, seed)
        found: dict[UUID, tuple[str | None, str | None]] = {}
        for query, keys in (
            (_SESSIONS, [row.unit_key for row in rows if row.session_id is not None]),
            (_TRACES, [row.unit_key for row in rows if row.session_id is None]),
        ):
            if keys:
                params = {"project_id": project_id, "keys": keys}
                found |= {key: (asked, answered) for key, asked, answered in fetch(cursor, query, params)}
    return [
        Silent(
            row.session_id,
            row.last_trace_id,
            row.feature,
            row.first_at,
            row.turns,
            row.answers,
            row.length_seconds,
            *found.get(row.unit_key, (None, None)),
        )
        for row in rows
    ]
