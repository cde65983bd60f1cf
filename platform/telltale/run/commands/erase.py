"""`telltale erase`: remove a trace, a session or a user from every table, or a whole project or organisation."""

from __future__ import annotations

import argparse
import json
from typing import Any, TextIO

from telltale.accounts.models import Organisation
from telltale.projects.models import Project
from telltale.run.job_progress import run_job
from telltale.web.erasing import asking, organisations, read
from telltale.web.models import Erasure

ACTOR = "telltale erase"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options; what is to go is named by exactly one of them."""
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--project", help="the project's slug")
    of.add_argument("--organisation", help="the organisation's slug")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--user", metavar="ID", help="everything about this user")
    what.add_argument("--session", metavar="ID", help="everything of this session")
    what.add_argument("--trace", metavar="ID", help="everything of this trace, 32 hexadecimal digits")
    what.add_argument("--whole-project", action="store_true", help="ask for the project's removal in seven days")
    what.add_argument("--keep-project", action="store_true", help="take that back")
    what.add_argument("--whole-organisation", action="store_true", help="ask for its removal in seven days")
    what.add_argument("--keep-organisation", action="store_true", help="take that back")
    what.add_argument("--resume", type=int, metavar="ID", help="go on with an erasure that stopped")
    what.add_argument("--list", action="store_true", help="print the receipts, newest first")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print progress, then the receipt as JSON; exit code 1 where it cannot be done or something is left."""
    if options.organisation is not None:
        return _of_organisation(options, out)
    if options.whole_organisation or options.keep_organisation:
        print("Name the organisation by --organisation SLUG.", file=out)
        return 1
    project = Project.objects.filter(slug=options.project).select_related("organisation").first()
    if project is None:
        print(f"There is no project {options.project!r}.", file=out)
        return 1
    if options.list:
        for told in read.list_receipts(project.pk, limit=500):
            _print(told, out)
        return 0
    try:
        if options.whole_project:
            asking.ask_project(project, by=ACTOR)
            project.refresh_from_db()
            print(f"{project.slug} goes at {project.deletion_due_at:%Y-%m-%d %H:%M} UTC; its keys stop now.", file=out)
            return 0
        if options.keep_project:
            asking.undo_project(project, by=ACTOR)
            print(f"{project.slug} stays; its keys answer again.", file=out)
            return 0
        return _run(project, _erasure(project, options), out)
    except (asking.Fault, asking.Conflict) as refused:
        limit = f" Accepted: {refused.limit}." if isinstance(refused, asking.Fault) and refused.limit else ""
        print(f"{refused}.{limit}".replace("..", "."), file=out)
        return 1


def _of_organisation(options: argparse.Namespace, out: TextIO) -> int:
    if options.list:
        for told in read.list_of_organisation(options.organisation):
            _print(told, out)
        return 0
    found = Organisation.objects.filter(slug=options.organisation).first()
    if found is None:
        print(f"There is no organisation {options.organisation!r}.", file=out)
        return 1
    try:
        if options.whole_organisation:
            organisations.ask(found, by=ACTOR)
            found.refresh_from_db()
            print(f"{found.slug} goes at {found.deletion_due_at:%Y-%m-%d %H:%M} UTC with its projects.", file=out)
            print("Keys of these stop now.", file=out)
            return 0
        if options.keep_organisation:
            organisations.undo(found, by=ACTOR)
            print(f"{found.slug} stays with its projects; their keys answer again.", file=out)
            return 0
    except asking.Conflict as refused:
        print(str(refused), file=out)
        return 1
    print("Of an organisation: --whole-organisation, --keep-organisation or --list.", file=out)
    return 1


def _erasure(project: Project, options: argparse.Namespace) -> Erasure:
    if options.resume:
        row = read.find_erasure(project.pk, options.resume)
        if row is None:
            raise asking.Conflict(f"Project {project.slug} has no erasure {options.resume}")
        if asking.is_stopped(row):
            asking.try_again(project, row, by=ACTOR)
            row.refresh_from_db()
        return row
    told = {kind: getattr(options, kind) for kind in asking.KINDS if getattr(options, kind) is not None}
    kind, subject = next(iter(told.items()))
    return asking.ask(project, kind, subject, by=ACTOR)


def _run(project: Project, erasure: Erasure, out: TextIO) -> int:
    if erasure.state not in {"done", "undone"} and erasure.job_id is not None:
        job = run_job(erasure.job_id, f"erasure {erasure.pk}", out)
        if job is None:
            print(f"\nStopped. A worker goes on, or --project {project.slug} --resume {erasure.pk}.", file=out)
            return 130
    told = read.receipt_of(Erasure.objects.get(pk=erasure.pk))
    _print(told, out)
    if told.state == "running":
        print(f"A worker is at it. Follow it with --project {project.slug} --list.", file=out)
        return 0
    return 0 if told.state == "done" else 1


def _print(told: read.Receipt, out: TextIO) -> None:
    held: dict[str, Any] = read.receipt_json(told)
    print(json.dumps(held, default=str), file=out)
