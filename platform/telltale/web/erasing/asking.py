"""Asking for an erasure, taking it back, and letting what was erased arrive again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.http import HttpRequest

from telltale.accounts.models import Organisation
from telltale.audit.log import record_in
from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from telltale.web.erasing import running
from telltale.web.erasing.subject import hint_of, seal_subject, spellings, subject_key
from telltale.web.models import Erasure
from traces import erasure as of_traces

KINDS = ("trace", "session", "user")
UNDO = timedelta(days=7)
SUBJECT_BYTES = 1024
_HEX = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Fault(Exception):
    """What was asked for cannot be: which field, what is wrong, what is accepted."""

    field: str
    message: str
    limit: str = ""

    def __str__(self) -> str:
        return f"{self.field} {self.message}"


class Conflict(Exception):
    """What is asked for does not fit the state of things; the text says why, for people."""


def read_subject(kind: str, subject: str) -> str:
    """A subject as it is erased under; Fault where it can be none."""
    if kind not in KINDS:
        raise Fault("kind", "is none that can be erased", f"one of {', '.join(KINDS)}")
    if kind == "trace":
        told = subject.strip().lower().replace("-", "")
        if not _HEX.match(told) or not int(told, 16):
            raise Fault("id", "is no trace id", "32 hexadecimal digits, not all zero")
        return told
    if not subject or not subject.strip():
        raise Fault("id", "is missing", f"1 to {SUBJECT_BYTES:,} bytes")
    if len(subject.encode("utf-8", "replace")) > SUBJECT_BYTES:
        raise Fault("id", "is too long", f"1 to {SUBJECT_BYTES:,} bytes")
    return of_traces.spelled(subject)


def ask(
    project: Project,
    kind: str,
    subject: str,
    *,
    by: str = "",
    by_id: int | None = None,
    request: HttpRequest | None = None,
) -> Erasure:
    """Have a trace, session or user removed; from now on what arrives of it is refused. Fault for no such subject.

    The same again while it is under way gives that erasure.
    """
    subject = read_subject(kind, subject)
    key = subject_key(project.pk, kind, subject)
    held = _open(project.pk, kind, key)
    if held is not None:
        return held
    what = {"trace": of_traces.What.TRACE, "session": of_traces.What.SESSION, "user": of_traces.What.USER}[kind]
    try:
        with transaction.atomic(), raw_cursor() as cursor:
            erasure = Erasure.objects.create(
                project_id=project.pk,
                organisation_id=project.organisation_id,
                project_slug=project.slug,
                kind=kind,
                subject=seal_subject(subject),
                subject_key=key,
                hint=hint_of(subject),
                asked_by=by,
                asked_at=clock.now(),
            )
            names = [subject] if kind == "trace" else spellings(project.pk, subject)
            of_traces.refuse(cursor, project.pk, what, names, erasure.pk)
            of_traces.begin(cursor, project.pk, erasure.pk)
            job = work.start(running.KIND, project_id=project.pk, created_by_id=by_id, params={"erasure": erasure.pk})
            Erasure.objects.filter(pk=erasure.pk).update(job_id=job.pk)
            record_in(
                project, "erasure.ask", _target(erasure), request=request, actor=by, after={"erasure": erasure.pk}
            )
            wake(sweep)
    except IntegrityError:
        held = _open(project.pk, kind, key)
        if held is None:
            raise
        return held
    erasure.job_id = job.pk
    return erasure


def try_again(project: Project, erasure: Erasure, *, by: str = "", request: HttpRequest | None = None) -> None:
    """Go on with an erasure that failed, or whose job was cancelled. Conflict where it did not."""
    with transaction.atomic():
        row = Erasure.objects.select_for_update().get(pk=erasure.pk)
        job = Job.objects.filter(pk=row.job_id or 0).first()
        is_stopped = row.state == "failed" or (
            row.state in {"waiting", "running"} and job is not None and job.state in {"failed", "cancelled"}
        )
        if not is_stopped:
            raise Conflict("It has not failed.")
        Erasure.objects.filter(pk=row.pk).update(state="waiting", error="", remaining={})
        if job is None or not work.retry(job.pk):
            project_id = None if row.kind == "project" else project.pk
            job = work.start(running.KIND, project_id=project_id, params={"erasure": row.pk})
            Erasure.objects.filter(pk=row.pk).update(job_id=job.pk)
        record_in(project, "erasure.retry", _target(row), request=request, actor=by, after={"erasure": row.pk})
        wake(sweep)


def lift(project: Project, erasure: Erasure, *, by: str = "", request: HttpRequest | None = None) -> None:
    """Take again what arrives of what was erased; what is gone stays gone. Conflict where nothing is refused."""
    with transaction.atomic(), raw_cursor() as cursor:
        row = Erasure.objects.select_for_update().get(pk=erasure.pk)
        if row.state != "done" or row.kind not in KINDS or row.lifted_at is not None:
            raise Conflict("Nothing is refused because of this erasure.")
        of_traces.lift(cursor, row.pk)
        Erasure.objects.filter(pk=row.pk).update(lifted_at=clock.now(), lifted_by=by)
        record_in(project, "erasure.lift", _target(row), request=request, actor=by, after={"erasure": row.pk})


def ask_project(
    project: Project,
    *,
    by: str = "",
    request: HttpRequest | None = None,
    at: datetime | None = None,
    due_at: datetime | None = None,
) -> Erasure:
    """Stop the project's keys now, and remove it with everything in it in seven days. Conflict where it was asked.

    `at`, `due_at`: when its organisation was asked to go, and when it goes.
    """
    now = at or clock.now()
    due_at = due_at or now + UNDO
    with transaction.atomic():
        done = Project.objects.filter(pk=project.pk, deletion_asked_at=None).update(
            deletion_asked_at=now, deletion_due_at=due_at, deletion_asked_by=by[:254]
        )
        if not done:
            raise Conflict("The project is being removed already.")
        erasure = Erasure.objects.create(
            project_id=project.pk,
            organisation_id=project.organisation_id,
            project_slug=project.slug,
            kind="project",
            subject_key=subject_key(project.pk, "project", ""),
            hint=project.slug,
            asked_by=by,
            asked_at=now,
        )
        record_in(
            project, "project.remove", project.slug, request=request, actor=by,
            after={"erasure": erasure.pk, "due_at": due_at.isoformat()}, outcome="asked",
        )  # fmt: skip
    return erasure


def undo_project(project: Project, *, by: str = "", request: HttpRequest | None = None) -> None:
    """Keep the project after all; its keys answer again. Conflict where nothing was asked, or it has begun.

    Or where its organisation is being removed.
    """
    with transaction.atomic():
        if Organisation.objects.filter(pk=project.organisation_id).exclude(deletion_asked_at=None).exists():
            raise Conflict("Its organisation is being removed with it; keep the organisation first.")
        held = Erasure.objects.select_for_update().filter(project_id=project.pk, kind="project", state="waiting")
        row = held.first()
        if row is None or row.job_id is not None:
            raise Conflict("The project is not being removed, or its removal has begun.")
        Project.objects.filter(pk=project.pk).update(deletion_asked_at=None, deletion_due_at=None, deletion_asked_by="")
        Erasure.objects.filter(pk=row.pk).update(state="undone", finished_at=clock.now())
        record_in(project, "project.keep", project.slug, request=request, actor=by, after={"erasure": row.pk})


def start_due() -> int:
    """Begin to remove the projects whose days are over, and tidy what is refused no longer; how many projects."""
    of_traces.sweep_refused()
    started = 0
    due = Project.objects.filter(deletion_due_at__lte=clock.now()).values_list("pk", flat=True)
    for project_id in list(due):
        with transaction.atomic():
            row = (
                Erasure.objects.select_for_update()
                .filter(project_id=project_id, kind="project", state="waiting", job_id=None)
                .first()
            )
            if row is None:
                continue
            begin(row)
            started += 1
    return started


def begin(row: Erasure) -> None:
    """Start the job of a removal that is due, in the caller's transaction."""
    # A job of no project: one of the project would go with it.
    job = work.start(running.KIND, params={"erasure": row.pk})
    Erasure.objects.filter(pk=row.pk).update(job_id=job.pk)
    wake(sweep)


def _open(project_id: int, kind: str, key: UUID) -> Erasure | None:
    held = Erasure.objects.filter(project_id=project_id, kind=kind, subject_key=key, state__in=["waiting", "running"])
    return held.first()


def _target(erasure: Erasure) -> str:
    """How the audit log names an erasure's subject: never by its id."""
    return f"{erasure.kind} {erasure.subject_key.hex}"


def is_stopped(erasure: Erasure) -> bool:
    """Whether an erasure that is not done will not go on by itself."""
    if erasure.state not in {"waiting", "running"} or erasure.job_id is None:
        return erasure.state == "failed"
    ended = [JobState.FAILED, JobState.CANCELLED]
    return Job.objects.filter(pk=erasure.job_id, state__in=ended).exists()
