"""`telltale search`: how the search index stands, and building it anew."""

from __future__ import annotations

import argparse
from typing import TextIO

from telltale.projects.models import Project
from telltale.run.job_progress import run_job
from traces import indexing


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
    job = run_job(job_id, project.slug, out)
    if job is None:
        print(f"\nStopped. A worker goes on with job {job_id}.", file=out)
        return 130
    if job.state != "done":
        print(f"Job {job_id} is {job.state}. {job.error} A worker goes on with it.", file=out)
        return 1
    print(f"{project.slug}: {job.progress:,} traces indexed.", file=out)
    return 0
