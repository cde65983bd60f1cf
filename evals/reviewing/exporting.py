"""Labels as files: one record a review of a person or a judgement of a judge, its scores as columns, in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

PIECE = 1_000
CRITERIA_MAX = 200
PEOPLE, JUDGES, ALL = "people", "judges", "all"
BY = (PEOPLE, JUDGES, ALL)
HEAD = (
    "id", "trace_id", "span_id", "reviewer", "judge", "judge_version", "rubric", "rubric_version", "verdict",
    "category", "note", "is_adjudication", "was_blind", "is_flagged", "pi_judge", "pi_review", "queue", "at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which labels: of `by`, of one queue, judge, or since a time; None is all."""

    by: str = ALL
    queue_id: int | None = None
    judge_id: int | None = None
    since: Any = None


def columns(project_id: int, wanted: Wanted) -> tuple[str, ...]:
    """The columns of the file: the head, then a `score.<criterion>` for each criterion that somebody scored.

    With judges also a `reason.<criterion>` for each. Of people the note is the reason.
    """
    sources = [source for by, source in ((PEOPLE, 2), (JUDGES, 1)) if wanted.by in (by, ALL)]
    with raw_cursor() as cursor:
        cursor.execute(
            load("evals", "read_label_names"),
            {"project_id": project_id, "sources": sources, "limit": CRITERIA_MAX, "queue_id": wanted.queue_id},
        )
        names = [row[0] for row in cursor.fetchall()]
    reasons = names if wanted.by in (JUDGES, ALL) and wanted.queue_id is None else []
    return (*HEAD, *(f"score.{name}" for name in names), *(f"reason.{name}" for name in reasons))


def records(project_id: int, wanted: Wanted, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Every label as a record of `names`, people first, oldest first; read in pieces, no snapshot stands meanwhile."""
    if wanted.by in (PEOPLE, ALL):
        yield from _pieces("read_labels_of_people", project_id, wanted, names)
    if wanted.by in (JUDGES, ALL) and wanted.queue_id is None:
        yield from _pieces("read_labels_of_judges", project_id, wanted, names)


def _pieces(query: str, project_id: int, wanted: Wanted, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        params = {
            "project_id": project_id,
            "after": after,
            "limit": PIECE,
            "queue_id": wanted.queue_id,
            "judge_id": wanted.judge_id,
            "since": wanted.since,
        }
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute(load("evals", query), params)
            heads = [column.name for column in cursor.description or ()]
            rows = cursor.fetchall()
        for row in rows:
            told = dict(zip(heads, row, strict=True))
            after = told.pop("row_id")
            yield _record(told, names)
        if len(rows) < PIECE:
            return


def _record(told: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    scores, reasons = told.pop("scores") or {}, told.pop("reasons", None) or {}
    span_id: int = told["span_id"]
    told["span_id"] = f"{span_id & (2**64 - 1):016x}" if span_id else None
    trace_id: UUID = told["trace_id"]
    told["trace_id"] = trace_id.hex
    found: dict[str, Any] = dict.fromkeys(names)
    found |= {name: told.get(name) for name in HEAD}
    for name, value in scores.items():
        if f"score.{name}" in found:
            found[f"score.{name}"] = value
    for name, reason in reasons.items():
        if f"reason.{name}" in found:
            found[f"reason.{name}"] = reason
    return found
