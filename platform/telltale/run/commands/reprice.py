"""`telltale reprice`: price again what is stored, after saying what that changes."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TextIO

from telltale.jobs import work
from telltale.lib import clock
from telltale.projects.models import Project
from telltale.run.job_progress import run_job
from traces import reprice

ACTOR = "telltale reprice"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options; without --apply nothing is changed."""
    parser.add_argument("--project", required=True, help="the project's slug")
    parser.add_argument("--from", dest="start", default="", help="traces that started at or after this, ISO 8601")
    parser.add_argument("--to", dest="end", default="", help="and before this; now where absent")
    parser.add_argument("--model", action="append", default=[], help="as senders name it; repeat; all where absent")
    parser.add_argument("--apply", action="store_true", help="change what the preview tells")
    parser.add_argument("--resume", type=int, default=0, metavar="JOB", help="go on with a job that was stopped")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print progress and the difference; exit code 1 where something asked for cannot be."""
    project = Project.objects.filter(slug=options.project).first()
    if project is None:
        print(f"There is no project {options.project!r}.", file=out)
        return 1
    if options.resume:
        if reprice.find_job(project.pk, options.resume) is None:
            print(f"Project {project.slug} has no re-pricing job {options.resume}.", file=out)
            return 1
        work.retry(options.resume)
        return _run(project, options.resume, out)
    try:
        end = _moment(options.end) if options.end else clock.now()
        order = reprice.Order(_moment(options.start), end, tuple(options.model))
    except ValueError as error:
        print(f"--from and --to must be times such as 2026-11-01 or 2026-11-01T12:00:00Z: {error}", file=out)
        return 1
    preview = reprice.start_preview(project, order, by_id=None)
    code = _run(project, preview, out)
    if code or not options.apply:
        return code
    try:
        job = reprice.start_apply(project, preview, by_id=None, actor=ACTOR)
    except reprice.Conflict as conflict:
        print(conflict, file=out)
        return 1
    return _run(project, job, out)


def _run(project: Project, job_id: int, out: TextIO) -> int:
    job = run_job(job_id, f"job {job_id}", out)
    if job is None:
        print(f"\nStopped. Go on with --project {project.slug} --resume {job_id}.", file=out)
        return 130
    if job.state != "done":
        print(f"Job {job_id} is {job.state}. {job.error} A worker goes on with it, or --resume {job_id}.", file=out)
        return 1
    _tell(reprice.find_job(project.pk, job_id), out)
    return 0


def _tell(job: reprice.JobView | None, out: TextIO) -> None:
    if job is None:
        return
    found = job.difference
    said = "would change" if job.kind == "preview" else "changed"
    told = reprice.difference_json(found)
    print(
        f"Job {job.id}: {said} {found.changed:,} of {found.spans:,} counted calls, {told['delta_usd']} USD.", file=out
    )
    for model in told["models"][:20]:
        if model["changed"]:
            print(f"  {model['model'] or 'unnamed'}: {model['changed']:,} calls, {model['delta_usd']} USD", file=out)


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
