"""`telltale roll-up`: how far roll-ups are behind; with --rebuild, book every stored trace anew."""

from __future__ import annotations

import argparse
from typing import TextIO

from telltale.projects.models import Project
from telltale.run.job_progress import run_job
from traces import folding
from traces.read.rollups import reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options; without --rebuild nothing is changed."""
    parser.add_argument("--project", default="", help="the project's slug; every project where absent")
    parser.add_argument("--rebuild", action="store_true", help="read every stored trace again and book it anew")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print the state of each project, or the progress of its rebuild; exit code 1 where one did not end well."""
    projects = list(Project.objects.order_by("slug"))
    if options.project:
        projects = [project for project in projects if project.slug == options.project]
        if not projects:
            print(f"There is no project {options.project!r}.", file=out)
            return 1
    code = 0
    for project in projects:
        if options.rebuild:
            code = max(code, _rebuild(project, out))
        else:
            _tell(project, out)
        if code == 130:
            break
    return code


def _tell(project: Project, out: TextIO) -> None:
    with reading(project.pk, project.time_zone) as rollups:
        state = rollups.state()
    waits = f"{state.waiting:,}{' or more' if state.waiting >= 1000 else ''} commits wait"
    print(f"{project.slug}: {state.lag_seconds:.1f} s behind, {waits}, {state.set_aside:,} traces set aside.", file=out)
    if state.is_rebuilding:
        print(f"  A rebuild is under way: {state.rebuild_done:,} of {state.rebuild_total or 0:,} traces.", file=out)


def _rebuild(project: Project, out: TextIO) -> int:
    job_id = folding.start_rebuild(project.pk)
    if job_id is None:
        print(f"{project.slug}: nothing is stored yet.", file=out)
        return 0
    job = run_job(job_id, project.slug, out)
    if job is None:
        print(f"\nStopped. A worker goes on with job {job_id}.", file=out)
        return 130
    if job.state == "running":
        print(f"{project.slug}: a worker does it, as job {job_id}: {job.progress:,} traces so far.", file=out)
        return 0
    if job.state != "done":
        print(f"{project.slug}: job {job_id} is {job.state}. {job.error}", file=out)
        return 1
    found = job.result or {}
    print(
        f"{project.slug}: {found.get('traces', 0):,} traces of {found.get('spans', 0):,} spans booked,"
        f" {found.get('set_aside', 0):,} set aside.",
        file=out,
    )
    return 0
