"""`telltale export`: everything of a project, or of one of its users, into a directory; goes on where it stopped."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

from telltale.jobs import work
from telltale.projects.models import Project
from telltale.run.job_progress import run_job
from telltale.web.archive.exporting import export, start
from telltale.web.models import Archive

# A kind of its own: the directory is this machine's, so no worker elsewhere may take it over.
JOB = "archive.files"
work.register(JOB)(export)
ACTOR = "telltale export"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("project", help="the project's slug")
    parser.add_argument("--out", type=Path, required=True, help="a directory; it is made where there is none")
    parser.add_argument("--user", default="", help="only what is of this user of the application")
    parser.add_argument("--csv", action="store_true", help="write each table as CSV as well")
    parser.add_argument("--resume", action="store_true", help="go on with an export into this directory that stopped")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Write the archive, and print what it holds; exit code 1 where it did not end well, 130 where it was stopped."""
    project = Project.objects.filter(slug=options.project).first()
    if project is None:
        print(f"There is no project {options.project!r}.", file=out)
        return 1
    directory = str(options.out.resolve())
    if options.resume:
        open_ones = Archive.objects.filter(project=project, directory=directory, finished_at=None)
        archive = open_ones.order_by("-pk").first()
        if archive is None or archive.job_id is None:
            print(f"No export of {project.slug} into {directory} has stopped.", file=out)
            return 1
        work.retry(archive.job_id)
    else:
        if options.out.exists() and any(options.out.iterdir()):
            print(f"{directory} is not empty. Choose another, or go on with one that stopped by --resume.", file=out)
            return 1
        archive = start(
            project, by_id=None, by=ACTOR, user=options.user, is_csv=options.csv, directory=directory, kind=JOB
        )
    return _run(archive, project, options, out)


def _run(archive: Archive, project: Project, options: argparse.Namespace, out: TextIO) -> int:
    assert archive.job_id is not None  # noqa: S101
    try:
        job = run_job(archive.job_id, project.slug, out, unit="rows")
    except OSError as error:
        print(f"{options.out} cannot be written: {error.strerror}. Go on with --resume.", file=out)
        return 1
    if job is None:
        print(f"\nStopped. Go on with: telltale export {project.slug} --out {options.out} --resume", file=out)
        return 130
    if job.state != "done":
        print(
            f"Job {job.pk} is {job.state}. {job.error} Go on with --resume, in a minute where it was killed.", file=out
        )
        return 1
    told = job.result if isinstance(job.result, dict) else {}
    print(f"{told['rows']:,} rows in {told['files']:,} files, {told['bytes']:,} bytes: {options.out}", file=out)
    return 0
