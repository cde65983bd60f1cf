"""Long jobs that failed and wait for a person: found, tried again, put aside. By page, REST and `telltale jobs`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.http import HttpRequest

from telltale.audit.log import record
from telltale.jobs import work
from telltale.jobs.models import Job, JobState

# What a person may do with a failed job, and how that is said.
ACTS: dict[str, tuple[Callable[[int], bool], str]] = {
    "retry": (work.retry, "tried again"),
    "discard": (work.discard, "put aside"),
}


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A long job that ended as failed and waits for a person. `project` "" belongs to none."""

    id: int
    kind: str
    project: str
    error: str
    attempts: int
    progress: int
    total: int | None
    created_at: datetime
    finished_at: datetime | None


def read_failed(*, kind: str = "", before: int | None = None, limit: int) -> list[FailedJob]:
    """Failed jobs, newest first, of one `kind` where it is named, with ids below `before`. One query."""
    rows = Job.objects.filter(state=JobState.FAILED).select_related("project").order_by("-pk")
    if kind:
        rows = rows.filter(kind=kind)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [
        FailedJob(
            row.pk, row.kind, row.project.slug if row.project else "", row.error, row.attempts, row.progress, row.total,
            row.created_at, row.finished_at,
        )
        for row in rows[:limit]
    ]  # fmt: skip


def act_on(job_id: int, act: str, *, request: HttpRequest | None = None, actor: str = "") -> bool | None:
    """Do what `ACTS` names to a failed job, and write it down; False where it has not failed, None where there is none.

    A job that is tried again goes on where it stopped.
    """
    do, _ = ACTS[act]
    with transaction.atomic():
        job = Job.objects.select_related("project").filter(pk=job_id).first()
        if job is None:
            return None
        if job.state != JobState.FAILED or not do(job_id):
            return False
        record(
            f"job.{act}",
            request=request,
            actor=actor,
            organisation_id=job.project.organisation_id if job.project else None,
            project_id=job.project_id,
            target=f"job {job.pk} ({job.kind})",
        )
    return True
