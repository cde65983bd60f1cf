"""What a judge must show, and the dated tasks about judges: settings and routines as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from evals.models import Routine, Settings
from evals.stats.gate import GateSettings

NAMES = tuple(each.name for each in fields(GateSettings))


@dataclass(frozen=True, slots=True)
class GateChoice:
    """The gate of a judge: `is_own` where it has one of its own, else the project's holds."""

    settings: GateSettings
    project: GateSettings
    is_own: bool


def gate_for(project_id: int, judge_id: int | None = None) -> GateChoice:
    """The gate that holds for a judge, or the project's. One query."""
    kept = Settings.objects.filter(pk=project_id).values_list("gate", flat=True).first() or {}
    of_project = _settings(kept)
    own = (kept.get("judges") or {}).get(str(judge_id)) if judge_id is not None else None
    return GateChoice(of_project if own is None else _settings(own), of_project, own is not None)


def _settings(kept: Mapping[str, Any]) -> GateSettings:
    return GateSettings(**{name: kept[name] for name in NAMES if name in kept})


@dataclass(frozen=True, slots=True)
class RoutineRow:
    """A dated task about a judge."""

    id: int
    judge_id: int
    judge_slug: str
    judge_name: str
    kind: str
    due_at: datetime
    state: str
    queue_id: int | None
    queue_slug: str
    job_id: int | None
    created_at: datetime
    done_at: datetime | None
    result: dict[str, Any] = field(hash=False)


def routines(
    project_id: int, *, judge_id: int | None = None, kind: str = "", state: str = "", before: int = 0, most: int = 100
) -> tuple[RoutineRow, ...]:
    """Tasks of a project, newest first; `before` is the id where the last page ended. One query."""
    rows = Routine.objects.filter(project_id=project_id).select_related("judge", "queue").order_by("-id")
    if judge_id is not None:
        rows = rows.filter(judge_id=judge_id)
    if kind:
        rows = rows.filter(kind=kind)
    if state:
        rows = rows.filter(state=state)
    if before:
        rows = rows.filter(pk__lt=before)
    return tuple(_routine(row) for row in rows[:most])


def last_routines(project_id: int, judge_id: int) -> tuple[RoutineRow, ...]:
    """The newest task of a judge of each kind and state, what was skipped left out. One query."""
    rows = Routine.objects.filter(project_id=project_id, judge_id=judge_id).exclude(state="skipped")
    newest = rows.select_related("judge", "queue").order_by("kind", "state", "-id").distinct("kind", "state")
    return tuple(_routine(row) for row in newest)


def newest_done(project_id: int, judge_id: int, kind: str, version_id: int) -> RoutineRow | None:
    """The newest finished task of a kind that was about one version of a judge. One query."""
    rows = Routine.objects.filter(project_id=project_id, judge_id=judge_id, kind=kind, state="done")
    row = rows.filter(result__version_id=version_id).select_related("judge", "queue").order_by("-id").first()
    return None if row is None else _routine(row)


def find_routine(project_id: int, routine_id: int) -> RoutineRow | None:
    """One task of the project."""
    row = Routine.objects.filter(project_id=project_id, pk=routine_id).select_related("judge", "queue").first()
    return None if row is None else _routine(row)


def due_routines(now: datetime) -> list[tuple[int, int]]:
    """(project, task) of tasks whose day has come, and of those under way; oldest first."""
    rows = Routine.objects.filter(state__in=("due", "running"), due_at__lte=now).order_by("due_at", "id")
    return list(rows.values_list("project_id", "id")[:200])


def _routine(row: Routine) -> RoutineRow:
    return RoutineRow(
        id=row.pk,
        judge_id=row.judge_id,
        judge_slug=row.judge.slug,
        judge_name=row.judge.name,
        kind=row.kind,
        due_at=row.due_at,
        state=row.state,
        queue_id=row.queue_id,
        queue_slug=row.queue.slug if row.queue else "",
        job_id=row.job_id,
        created_at=row.created_at,
        done_at=row.done_at,
        result=row.result or {},
    )
