"""`telltale injections`: put the injection set to a judge, here and now; its calls are paid within the day's budget."""

from __future__ import annotations

import argparse
import getpass
from typing import TextIO

from evals import routines
from evals.pages.routine_view import flip_lines, found_words
from evals.read.gates import RoutineRow, find_routine
from evals.read.gates import routines as read_routines
from evals.read.setup import get_judge
from telltale.projects.models import Project
from telltale.run.job_progress import run_job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options; a run that was stopped is gone on with by the same words."""
    parser.add_argument("--project", required=True, help="the project's slug")
    parser.add_argument("--judge", required=True, help="the judge's name in addresses")
    parser.add_argument("--version", type=int, default=None, help="of the judge; the live, else the newest one")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print the flip rate with its n and interval; 0 where the judge is hardened, 2 where not, 1 where it cannot be."""
    project = Project.objects.select_related("organisation").filter(slug=options.project).first()
    judge = None if project is None else get_judge(project.pk, options.judge)
    if project is None or judge is None:
        what = f"judge {options.judge!r} in {options.project!r}" if project else f"project {options.project!r}"
        print(f"There is no {what}.", file=out)
        return 1
    if routines.ATTACKS not in routines.kinds_for(judge.kind):
        print(f"{judge.slug} is no model: nothing can talk it round.", file=out)
        return 1
    if options.version is not None and judge.version(options.version) is None:
        print(f"{judge.slug} has no version {options.version}.", file=out)
        return 1
    under_way = read_routines(project.pk, judge_id=judge.id, kind=routines.ATTACKS, state="running", most=1)
    if under_way:
        print("Going on with what is under way.", file=out)
        routine_id: int | None = under_way[0].id
        routines.go_on_attacks(under_way[0], project.pk, at_once=True)
    else:
        actor = f"shell: {getpass.getuser()}"
        routine_id = routines.begin_now(project, judge, routines.ATTACKS, version=options.version, actor=actor)
    row = None if routine_id is None else find_routine(project.pk, routine_id)
    if row is None or row.job_id is None:
        print("It is under way elsewhere.", file=out)
        return 1
    if run_job(row.job_id, f"{judge.slug} v{row.result.get('version')}", out, "answers") is None:
        print("\nStopped. A worker goes on with it, or the same command.", file=out)
        return 130
    return _tell(find_routine(project.pk, row.id), out)


def _tell(row: RoutineRow | None, out: TextIO) -> int:
    if row is None or row.state != "done":
        waits = "" if row is None else found_words(row)
        print(f"Not over: {waits}. A worker goes on with it, or the same command.", file=out)
        return 1
    result = row.result
    print(f"{row.judge_slug} v{result['version']}: {found_words(row)}", file=out)
    for what in ("by_kind", "by_place"):
        parts = (f"{name} {found['flips']} of {found['attacks']}" for name, found in result[what].items())
        print(f"  {what.replace('_', ' ')}: {', '.join(parts)}", file=out)
    for flip in flip_lines(row):
        print(f"  {flip.attack} in the {flip.place} of {flip.case}: {flip.before} to {flip.after}", file=out)
    said = f"{result['came_to_nothing']} came to nothing, {result['flagged']} were flagged as attempts"
    print(f"  {result['tries']} tries on {result['usable_cases']} of {result['cases']} cases; {said}", file=out)
    return 0 if result["word"] == "hardened" else 2
