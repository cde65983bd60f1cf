"""Long jobs: rooms register what a kind of job does; this module claims, runs, resumes, and writes down how it went.

A handler is a function of a `Run`. It works in steps, each in a transaction of its own, and calls `run.step(...)` at
the end of each, inside that transaction: progress and cursor are then exactly as far as the work. After a kill the next
claimer calls the handler again with the cursor of the last committed step.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.db.models.functions import Coalesce, Now

from telltale.jobs import leases
from telltale.jobs.models import Job, JobState
from telltale.lib.logs import describe_error

LEASE_SECONDS = 60.0
ATTEMPTS_MAX = 5
Handler = Callable[["Run"], "dict[str, Any] | None"]
_handlers: dict[str, Handler] = {}


class JobError(Exception):
    """Base of what ends a job's run early.

    JobError
    ├── JobFailed      the handler says that trying again is no use; its text is shown to people
    └── RunEnded       this run is over without being the job's end
        ├── LeaseLost      somebody else runs the job by now
        └── Cancelled      a person cancelled it
    """


class JobFailed(JobError):
    """Trying again is no use. The text is shown to people: it must not quote what they sent."""


class RunEnded(JobError):
    """This run is over."""


class LeaseLost(RunEnded):
    """Somebody else runs the job by now."""


class Cancelled(RunEnded):
    """A person cancelled the job."""


class Run:
    """One attempt at a job, as its handler sees it."""

    def __init__(self, job: Job) -> None:
        self.job = job

    @property
    def params(self) -> dict[str, Any]:
        """What the job was made with."""
        return dict(self.job.params)

    @property
    def cursor(self) -> dict[str, Any]:
        """Where the last committed step ended; empty at the beginning."""
        return dict(self.job.cursor)

    def step(self, *, cursor: dict[str, Any], progress: int, total: int | None = None) -> None:
        """Write down a step, and hold the job on. LeaseLost or Cancelled: raised so that the step rolls back."""
        changes: dict[str, Any] = {"cursor": cursor, "progress": progress}
        if total is not None:
            changes["total"] = total
        held = Job.objects.filter(pk=self.job.pk, lease_by=self.job.lease_by, state=JobState.RUNNING)
        if not held.update(lease_until=Now() + timedelta(seconds=LEASE_SECONDS), **changes):
            state = Job.objects.filter(pk=self.job.pk).values_list("state", flat=True).first()
            raise Cancelled if state in {JobState.CANCELLED, None} else LeaseLost
        self.job.cursor, self.job.progress = cursor, progress


def register(kind: str) -> Callable[[Handler], Handler]:
    """Decorator: this function does jobs of `kind`. What it returns is kept as the job's result."""

    def keep(handler: Handler) -> Handler:
        _handlers[kind] = handler
        return handler

    return keep


def start(
    kind: str, *, project_id: int | None = None, created_by_id: int | None = None, params: dict[str, Any] | None = None
) -> Job:
    """A new job, in the caller's transaction; a worker finds it within seconds. KeyError for a kind nobody does."""
    _ = _handlers[kind]
    return Job.objects.create(kind=kind, project_id=project_id, created_by_id=created_by_id, params=params or {})


def cancel(job_id: int) -> bool:
    """Cancel a job that has not ended; False where it has. A running one stops at its next step."""
    open_job = Job.objects.filter(pk=job_id, state__in=[JobState.PENDING, JobState.RUNNING])
    return open_job.update(state=JobState.CANCELLED, finished_at=Now(), lease_by="", lease_until=None) == 1


def retry(job_id: int) -> bool:
    """Try a failed or cancelled job again from where it stopped; False where it is neither."""
    ended = Job.objects.filter(pk=job_id, state__in=[JobState.FAILED, JobState.CANCELLED])
    return ended.update(state=JobState.PENDING, attempts=0, error="", finished_at=None) == 1


def discard(job_id: int) -> bool:
    """Let a failed job rest as cancelled: nobody is told of it any more; False where it is not failed."""
    return Job.objects.filter(pk=job_id, state=JobState.FAILED).update(state=JobState.CANCELLED) == 1


def run_next() -> Job | None:
    """Claim one open job, whose turn it is or whose holder died, and run it; the job as it ended, or None."""
    open_jobs = Job.objects.filter(state__in=[JobState.PENDING, JobState.RUNNING], kind__in=list(_handlers))
    claimed = leases.claim(open_jobs, seconds=LEASE_SECONDS)
    return run(claimed[0]) if claimed else None


def run_now(job: Job) -> Job:
    """Claim and run this job here, for a command in the foreground; the job as it ended or as another holds it."""
    claimed = leases.claim(Job.objects.filter(pk=job.pk, state__in=["pending", "running"]), seconds=LEASE_SECONDS)
    return run(claimed[0]) if claimed else Job.objects.get(pk=job.pk)


def run(job: Job) -> Job:
    """Run a job claimed just now. What its handler raised is written down and raised again."""
    held = Job.objects.filter(pk=job.pk, lease_by=job.lease_by, state__in=["pending", "running"])
    held.update(state=JobState.RUNNING, started_at=Coalesce(F("started_at"), Now()))
    ended: dict[str, Any] = {"finished_at": Now(), "lease_by": "", "lease_until": None}
    if job.attempts > ATTEMPTS_MAX:
        held.update(state=JobState.FAILED, error=job.error or "It ended its worker each time it was tried.", **ended)
        return Job.objects.get(pk=job.pk)
    try:
        result = _handlers[job.kind](Run(job))
    except RunEnded:
        pass
    except JobFailed as error:
        held.update(state=JobState.FAILED, error=str(error), **ended)
    except Exception as error:
        # Written down, not swallowed: it goes on to whoever runs us.
        told = describe_error(error)
        reason = f"{told['error']} {told.get('sqlstate', '')}".strip()
        if job.attempts >= ATTEMPTS_MAX:
            held.update(state=JobState.FAILED, error=reason, **ended)
        else:
            # Again when the lease ends: the pause between attempts.
            held.update(state=JobState.PENDING, error=reason)
        raise
    else:
        held.update(state=JobState.DONE, result=result, error="", **ended)
    return Job.objects.get(pk=job.pk)
