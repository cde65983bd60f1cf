"""Reading what jobs and workers are doing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Min, Q

from telltale.jobs.beat import LEASE_NAME, LEASE_SECONDS
from telltale.jobs.models import Heartbeat, Job, Lease, Message


@dataclass(frozen=True, slots=True)
class QueueState:
    """Messages of one queue that nobody holds; `oldest_seconds` is None where there are none."""

    name: str
    waiting: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class HeartbeatAge:
    """A worker's last sign of life. `name` holds host and process: for the operator's eyes alone."""

    name: str
    age_seconds: float
    tasks_done: int
    tasks_failed: int
    oldest_task: str
    oldest_task_seconds: float | None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as a page or a command shows it; `total` is None where it is not known yet."""

    id: int
    kind: str
    project_id: int | None
    state: str
    progress: int
    total: int | None
    error: str
    result: object
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def read_queues(now: datetime) -> list[QueueState]:
    """Every queue, in the order of the settings; with a broker of another kind the messages are not ours to count."""
    free = Message.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now))
    rows = {
        row["queue"]: (row["n"], (now - row["oldest"]).total_seconds())
        for row in free.values("queue").annotate(n=Count("id"), oldest=Min("created_at"))
    }
    return [
        QueueState(name, rows.get(name, (0, None))[0], max(0.0, rows[name][1]) if name in rows else None)
        for name in settings.TELLTALE_QUEUES
    ]


def read_heartbeats(now: datetime) -> list[HeartbeatAge]:
    """The workers seen in the last hour, latest sign of life first."""
    return [
        HeartbeatAge(
            row.name,
            max(0.0, (now - row.at).total_seconds()),
            row.tasks_done,
            row.tasks_failed,
            row.oldest_task,
            (now - row.oldest_task_since).total_seconds() if row.oldest_task_since else None,
        )
        for row in Heartbeat.objects.order_by("-at", "name")
    ]


def read_scheduler_at(now: datetime) -> float | None:
    """Seconds since the scheduler's lease was renewed, or None where nobody holds one that is good."""
    until = Lease.objects.filter(name=LEASE_NAME, until__gt=now).values_list("until", flat=True).first()
    return None if until is None else max(0.0, LEASE_SECONDS - (until - now).total_seconds())


def read_jobs(project_id: int | None = None, kind: str = "", limit: int = 50) -> list[JobView]:
    """The latest jobs, newest first."""
    jobs = Job.objects.order_by("-pk")
    if project_id is not None:
        jobs = jobs.filter(project_id=project_id)
    if kind:
        jobs = jobs.filter(kind=kind)
    return [_view(job) for job in jobs[:limit]]


def read_job(job_id: int, project_id: int) -> JobView | None:
    """One job of a project, or None where it is not there or not the project's."""
    job = Job.objects.filter(pk=job_id, project_id=project_id).first()
    return _view(job) if job else None


def _view(job: Job) -> JobView:
    return JobView(
        job.pk, job.kind, job.project_id, job.state, job.progress, job.total, job.error, job.result,
        job.created_at, job.started_at, job.finished_at,
    )  # fmt: skip
