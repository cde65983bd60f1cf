"""Edges of jobs: the sweep that runs what is open, and the broom."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from telltale.jobs import disk, quiet, work
from telltale.jobs.models import Job, JobState, Message
from telltale.lib import clock

# Nobody listens to a queue for a day: what lies in it is said again by the rows it spoke of.
MESSAGE_KEPT = timedelta(days=1)
JOB_KEPT = timedelta(days=90)


@quiet.watch
def has_open_jobs() -> bool:
    """Whether a job waits or runs."""
    return Job.objects.filter(state__in=[JobState.PENDING, JobState.RUNNING]).exists()


@shared_task(name="jobs.sweep", time_limit=3600)
def sweep() -> None:
    """Run one open job."""
    work.run_next()


@shared_task(name="jobs.tidy", time_limit=120)
def tidy() -> None:
    """Remove messages nobody took and jobs that ended long ago; write down how large the database is."""
    disk.take_sample(clock.now())
    Message.objects.filter(created_at__lt=clock.now() - MESSAGE_KEPT).delete()
    ended = [JobState.DONE, JobState.FAILED, JobState.CANCELLED]
    Job.objects.filter(state__in=ended, finished_at__lt=clock.now() - JOB_KEPT).delete()
