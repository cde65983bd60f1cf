"""How many labels people gave and what stands beside them: when a calibration is due, or holds no longer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

# Ends of a judgement in which the judge answered, and the answer was of no use.
UNUSABLE = ("unparsable", "refused", "out_of_range", "incomplete", "empty")


@dataclass(frozen=True, slots=True)
class LabelState:
    """A criterion of a project with labels: how many there are, and what the last look found (None: no look yet)."""

    project_id: int
    name: str
    labels: int
    newest_at: datetime
    marked: int | None
    marked_at: datetime | None
    judged: int | None
    looked_at: datetime | None

    @property
    def is_changed(self) -> bool:
        """Whether labels came, changed or went since the last look."""
        return (self.labels, self.newest_at) != (self.marked, self.marked_at)


def label_states(project_id: int | None = None) -> list[LabelState]:
    """Every criterion that people labelled, of one project or of all. One query over labels alone."""
    with raw_cursor(class_row(LabelState)) as cursor:
        cursor.execute(load("evals", "read_label_marks"), {"project_id": project_id})
        return cursor.fetchall()


def judged_counts(project_id: int, name: str) -> dict[int, int]:
    """How many labelled traces each judge version scored in a criterion, by version."""
    return dict(_all("read_judged_counts", {"project_id": project_id, "name": name}))


def unusable_counts(project_id: int, version_id: int) -> tuple[int, dict[str, int]]:
    """(answers that came of a judge version, those of no use by reason)."""
    rows = _all("read_unusable", {"project_id": project_id, "version_id": version_id})
    bad = {reason: n for state, reason, n in rows if state == "failed" and reason in UNUSABLE}
    return sum(n for state, _, n in rows if state == "scored") + sum(bad.values()), bad


def models_now(project_id: int, judge_id: int, since: datetime) -> list[tuple[str, str, int]]:
    """(feature, model, traces) that a judge's plans covered since a time."""
    rows = _all("read_models_now", {"project_id": project_id, "judge_id": judge_id, "since": since})
    return [(str(feature), str(model), int(covered)) for feature, model, covered in rows]


def reviews_here(project_id: int, ids: Collection[int]) -> dict[str, tuple[UUID, int, str]]:
    """Of these reviews those given in a queue here, as an export names them: (trace, span, who)."""
    if not ids:
        return {}
    rows = _all("read_reviews_here", {"project_id": project_id, "ids": list(ids)})
    return {f"review {row[0]}": row[1:] for row in rows}


def judgements_here(project_id: int, ids: Collection[int]) -> dict[str, tuple[UUID, int, str]]:
    """Of these judgements those that a judge made here, as an export names them: (target, span, judge and version)."""
    if not ids:
        return {}
    rows = _all("read_judgements_here", {"project_id": project_id, "ids": list(ids)})
    return {f"judgement {row[0]}": row[1:] for row in rows}


def _all(name: str, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    with raw_cursor() as cursor:
        cursor.execute(load("evals", name), asked)
        return cursor.fetchall()
