"""`telltale search`: how the search index stands, and building it anew."""

from __future__ import annotations

import argparse
import threading
from typing import TextIO

from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.projects.models import Project
from traces import indexing

REPORT_SECONDS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options; without --rebuild nothing is changed."""
    parser.add_argument("--project", default="", help="the project's slug; every project where absent")
    parser.add_argument("--rebuild", action="store_true", help="empty the index of the project and fill it again")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print a line a project, or progress; exit code 1 where something asked for cannot be."""
    projects = Project.objects.order_by("slug")
    if options.project:
        projects = projects.filter(slug=options.project)
        if not projects:
            print(f"There is no project {options.project!r}.", file=out)
            return 1
    code = 0
    for project in projects:
        if options.rebuild:
            code |= _rebuild(project, out)
        else:
            print(f"{project.slug}: {_words(indexing.read_progress(project.pk))}", file=out)
    return code


def _words(progress: indexing.Progress) -> str:
    state = progress.state
    parts = []
    if state.since is not None:
        more = "at least " if state.is_more else ""
        parts.append(f"{more}{state.pending:,} traces wait, the oldest since {state.since.isoformat()}")
    if not state.is_backfilled:
        total = "an unknown number" if progress.total is None else f"{progress.total:,}"
        parts.append(f"older traces: {progress.done or 0:,} of {total}")
    if state.incomplete:
        parts.append(f"{state.incomplete:,}{'+' if state.incomplete >= 1000 else ''} not indexed whole")
    return "; ".join(parts) or "up to date"


def _rebuild(project: Project, out: TextIO) -> int:
    job_id = indexing.rebuild(project.pk)
    done = threading.Event()
    reporter = threading.Thread(target=_report, args=(job_id, project.slug, done, out), daemon=True)
    reporter.start()
    try:
        job = work.run_now(Job.objects.get(pk=job_id))
    except KeyboardInterrupt:
        print(f"\nStopped. A worker goes on with job {job_id}.", file=out)
        return 130
    finally:
        done.set()
        reporter.join(5)
    if job.state != "done":
        print(f"Job {job_id} is {job.state}. {job.error} A worker goes on with it.", file=out)
        return 1
    print(f"{project.slug}: {job.progress:,} traces indexed.", file=out)
    return 0


def _report(job_id: int, slug: str, done: threading.Event, out: TextIO) -> None:
    from django.db import connection

    try:
        while not done.wait(REPORT_SECONDS):
            job = Job.objects.filter(pk=job_id).first()
            if job is not None and job.total:
                print(f"{slug}: {job.progress:,} of {job.total:,} traces", file=out, flush=True)
    finally:
        connection.close()
