"""What probes of judges said, and what the same judges scored before: rows for the routines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row

from evals.stats.weighted import Sums
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load


@dataclass(frozen=True, slots=True)
class Judged:
    """A target that a judge version scored."""

    target_kind: int
    target_id: UUID
    span_id: int
    started_at: datetime
    feature: str
    model: str
    prompt_version: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe and where it stands; `answer` is packed, None until there is one."""

    target_id: UUID
    span_id: int
    repeat: int
    state: str
    reason: str
    answer: bytes | None
    cost_pico: int | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ("scored", "failed", "skipped")


def judged_targets(project_id: int, judge_id: int, version_id: int, since: datetime, most: int) -> list[Judged]:
    """Targets that a judge version scored since, the newest first."""
    asked = {"project_id": project_id, "judge_id": judge_id, "version_id": version_id, "since": since, "most": most}
    with raw_cursor(class_row(Judged)) as cursor:
        cursor.execute(load("evals", "read_probe_targets"), asked)
        return cursor.fetchall()


def probes_of(project_id: int, version_id: int, target_ids: list[UUID], first: int, last: int) -> list[Probed]:
    """The probes of targets whose `repeat` lies from `first` to `last`."""
    asked = {
        "project_id": project_id,
        "version_id": version_id,
        "target_ids": target_ids,
        "first": first,
        "last": last,
    }
    with raw_cursor(class_row(Probed)) as cursor:
        cursor.execute(load("evals", "read_probes"), asked)
        return cursor.fetchall()


def base_scores(
    project_id: int, version_id: int, trace_ids: list[UUID]
) -> dict[tuple[UUID, int], dict[str, tuple[float | None, str | None]]]:
    """What a judge version scored targets proper: (number, label) by criterion."""
    asked = {"project_id": project_id, "version_id": version_id, "trace_ids": trace_ids}
    found: dict[tuple[UUID, int], dict[str, tuple[float | None, str | None]]] = {}
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_base_scores"), asked)
        for trace_id, span_id, name, number, label in cursor:
            found.setdefault((trace_id, span_id), {})[name] = (number, label)
    return found


def score_sums(project_id: int, judge_id: int, version_id: int, start: datetime, end: datetime) -> dict[str, Sums]:
    """The weighted sums of a judge version's scores in [start, end), cut at hours, by criterion."""
    asked: dict[str, Any] = {"project_id": project_id, "judge_id": judge_id, "version_id": version_id}
    with raw_cursor(dict_row) as cursor:
        cursor.execute(load("evals", "read_score_sums"), asked | {"start": start, "end_": end})
        return {row.pop("name"): Sums(**row) for row in cursor.fetchall()}
