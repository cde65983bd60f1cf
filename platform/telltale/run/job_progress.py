"""Running a long job in the foreground of a command, with its progress printed until it ends."""

from __future__ import annotations

import threading
from typing import TextIO

from django.db import connection

from telltale.jobs import work
from telltale.jobs.models import Job

REPORT_SECONDS = 2.0


def run_job(job_id: int, name: str, out: TextIO, unit: str = "traces") -> Job | None:
    """The job as it ended or as another holds it; None where somebody stopped the command, which a worker goes on with.

    `name` stands before each line of progress, which counts `unit`.
    """
    done = threading.Event()
    reporter = threading.Thread(target=_report, args=(job_id, name, unit, done, out), daemon=True)
    reporter.start()
    try:
        return work.run_now(Job.objects.get(pk=job_id))
    except KeyboardInterrupt:
        return None
    finally:
        done.set()
        reporter.join(5)


def _report(job_id: int, name: str, unit: str, done: threading.Event, out: TextIO) -> None:
    try:
        while not done.wait(REPORT_SECONDS):
            job = Job.objects.filter(pk=job_id).first()
            if job is not None and job.total:
                print(f"{name}: {job.progress:,} of {job.total:,} {unit}", file=out, flush=True)
    finally:
        connection.close()
