"""Answers that judges flagged and nobody has judged since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from telltale.lib.sql import load
from traces.read.asking import asking, fetch


@dataclass(frozen=True, slots=True)
class FlaggedAnswer:
    """One answer with its newest flag. `criterion` and `reason` of its lowest score, "" where there is none.

    `queue` is the slug of the review queue it waits in and `item_id` its item there; "" and None: it waits in none.
    """

    judgement_id: int
    judge_id: int
    judge_slug: str
    judge_name: str
    trace_id: UUID
    span_id: int
    flagged_at: datetime
    started_at: datetime
    feature: str
    model: str
    flags: tuple[str, ...]
    asked: str
    criterion: str
    reason: str
    item_id: int | None
    queue: str
    assigned_to_id: int | None
    assigned_to: str


def list_flagged(project_id: int, since: datetime, limit: int = 100) -> list[FlaggedAnswer]:
    """Flagged answers that were given since then, newest first: at most `limit`, and of a judge. One query. TooSlow."""
    params = {"project_id": project_id, "since": since, "each": limit, "most": limit}
    with asking() as cursor:
        return [_answer(row) for row in fetch(cursor, load("evals", "read_flagged_answers"), params)]


def _answer(row: tuple[Any, ...]) -> FlaggedAnswer:
    named = dict(zip(FlaggedAnswer.__slots__, row, strict=True))
    named["flags"] = tuple(named["flags"] or ())
    return FlaggedAnswer(**named | {name: named[name] or "" for name in ("asked", "criterion", "reason", "queue")})
