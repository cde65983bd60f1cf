"""What people decide about dated tasks: begin one now, let one go. Both are in the audit log."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest

from evals.models import Routine
from evals.read.gates import RoutineRow
from evals.read.setup import JudgeView
from evals.routines.tending import work
from evals.write import calibration as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project


def begin_now(
    project: Project,
    judge: JudgeView,
    kind: str,
    *,
    version: int | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> int | None:
    """Begin a task now: the one that waits for its day, else a new one; its id. None where one is under way.

    `version` is the number of the version that the injection set is put to; the live, else the newest one by default.
    """
    now = clock.now()
    with transaction.atomic():
        waiting = Routine.objects.select_for_update().filter(judge_id=judge.id, kind=kind, state="due").first()
        if waiting is not None:
            routine_id: int | None = waiting.pk
            write.postpone_routine(waiting.pk, now, "")
        else:
            routine_id = write.add_routine(project.pk, judge.id, kind, now)
        if routine_id is None:
            return None
        if version is not None:
            Routine.objects.filter(pk=routine_id).update(result={"version": version})
        record_in(project, "routine.begin", f"{judge.slug} {kind}", request=request, actor=actor)
    work(project.pk, routine_id)
    return routine_id


def skip(project: Project, row: RoutineRow, *, request: HttpRequest | None = None, actor: str = "") -> bool:
    """Let a task go; False where it was over."""
    with transaction.atomic():
        result = dict(row.result) | {"reason": "skipped by a person"}
        is_done = write.end_routine(row.id, result, state="skipped")
        if is_done:
            record_in(project, "routine.skip", f"{row.judge_slug} {row.kind}", request=request, actor=actor)
    return is_done
