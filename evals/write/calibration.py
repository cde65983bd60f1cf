"""Rows of calibrations, gates and routines: the only code that changes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from evals.models import Calibration, Judge, Routine, Settings
from telltale.lib import clock

OPEN = ("due", "running")


def add_calibration(
    project_id: int,
    version_id: int,
    criterion: str,
    scope: Mapping[str, str],
    *,
    result: Mapping[str, Any],
    verdict: str,
    pairs: int,
    reviewers: int,
    labels_until: datetime | None,
    expires_at: datetime | None,
) -> int:
    """Keep what was found; its id. Earlier ones stay."""
    made = Calibration.objects.create(
        project_id=project_id,
        judge_version_id=version_id,
        criterion=criterion,
        scope=dict(scope),
        result=dict(result),
        verdict=verdict,
        pairs=pairs,
        reviewers=reviewers,
        labels_until=labels_until,
        expires_at=expires_at,
    )
    return int(made.pk)


def mark_stale(calibration_id: int, reason: str) -> bool:
    """A calibration holds no longer; False where that was known."""
    fresh = Calibration.objects.filter(pk=calibration_id, stale_at=None)
    return fresh.update(stale_at=clock.now(), stale_reason=reason[:200]) == 1


def keep_mark(project_id: int, name: str, labels: int, newest_at: datetime | None, judged: int) -> None:
    """Remember what a look at a criterion of a project found."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_calibration_mark (project_id, name, labels, newest_at, judged, looked_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (project_id, name) DO UPDATE SET labels = excluded.labels,"
            " newest_at = excluded.newest_at, judged = excluded.judged, looked_at = excluded.looked_at",
            [project_id, name, labels, newest_at, judged, clock.now()],
        )


def set_gate(project_id: int, judge_id: int | None, gate: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """Keep what differs from the default gate, for the project or for one judge; None drops a judge's own gate.

    Gives back what was kept before and what is kept now.
    """
    with transaction.atomic():
        Settings.objects.get_or_create(project_id=project_id)
        kept = Settings.objects.select_for_update().get(project_id=project_id)
        whole = dict(kept.gate)
        judges = dict(whole.pop("judges", {}))
        if judge_id is None:
            before: Any = whole
            whole = dict(gate or {})
        else:
            before = judges.pop(str(judge_id), None)
            if gate is not None:
                judges[str(judge_id)] = dict(gate)
        kept.gate = whole | ({"judges": judges} if judges else {})
        kept.save(update_fields=["gate", "updated_at"])
    return before, gate


def add_routine(project_id: int, judge_id: int, kind: str, due_at: datetime, *, only_one: bool = True) -> int | None:
    """A dated task; its id. None where one of its kind is open already."""
    with transaction.atomic():
        Judge.objects.select_for_update(no_key=True).get(pk=judge_id)
        if only_one and Routine.objects.filter(judge_id=judge_id, kind=kind, state__in=OPEN).exists():
            return None
        made = Routine.objects.create(project_id=project_id, judge_id=judge_id, kind=kind, due_at=due_at)
    return int(made.pk)


def start_routine(
    routine_id: int, *, result: Mapping[str, Any], queue_id: int | None = None, job_id: int | None = None
) -> bool:
    """A due task is under way; False where somebody else began it."""
    due = Routine.objects.filter(pk=routine_id, state="due")
    return due.update(state="running", result=dict(result), queue_id=queue_id, job_id=job_id) == 1


def keep_result(routine_id: int, result: Mapping[str, Any]) -> None:
    """Figures so far of a task under way."""
    Routine.objects.filter(pk=routine_id, state="running").update(result=dict(result))


def end_routine(routine_id: int, result: Mapping[str, Any] | None, *, state: str = "done") -> bool:
    """A task is over, with what it found; False where it was over before."""
    changes: dict[str, Any] = {"state": state, "done_at": clock.now()}
    if result is not None:
        changes["result"] = dict(result)
    return Routine.objects.filter(pk=routine_id, state__in=OPEN).update(**changes) == 1


def close_routines(judge_ids: Collection[int], reason: str) -> int:
    """Drop the open tasks of judges that are live no longer."""
    open_ones = Routine.objects.filter(judge_id__in=list(judge_ids), state="due")
    return open_ones.update(state="skipped", done_at=clock.now(), result={"reason": reason})


def postpone_routine(routine_id: int, due_at: datetime, reason: str) -> bool:
    """A due task waits for another day, and says why."""
    due = Routine.objects.filter(pk=routine_id, state="due")
    return due.update(due_at=due_at, result={"reason": reason}) == 1
