"""`telltale import`: an archive of `telltale export`, read into a project; reading it twice changes nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

from telltale.projects.models import Project
from telltale.web.archive.importing import BadArchive, Report, read_archive

ACTOR = "telltale import"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("archive", type=Path, help="a directory of `telltale export`, or the tar file of the page")
    parser.add_argument("--project", required=True, help="the slug of the project that it is read into")
    parser.add_argument("--merge", action="store_true", help="also where the project has traces of its own")
    parser.add_argument("--quiet", action="store_true", help="print the result alone")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Read it in, count, compare; exit code 1 where it cannot be read or where counts or costs differ."""
    project = Project.objects.filter(slug=options.project).first()
    if project is None:
        print(f"There is no project {options.project!r}.", file=out)
        return 1

    def say(line: str) -> None:
        if not options.quiet:
            print(line, file=out, flush=True)

    try:
        report = read_archive(options.archive, project, say=say, merge=options.merge, actor=ACTOR)
    except BadArchive as error:
        print(str(error), file=out)
        return 1
    _tell(report, out)
    return 0 if report.is_equal else 1


def _tell(report: Report, out: TextIO) -> None:
    for name, read in report.tables.items():
        cost = ""
        if read.wanted_pico:
            cost = f", {read.cost_pico} of {read.wanted_pico} pico-dollars"
        left = f", {read.left:,} left out: they clash with rows that are here" if read.left else ""
        if read.erased:
            left += f", {read.erased:,} not read in: erased in this project"
        if read.dropped:
            left += f", {read.dropped:,} not read in: the project stores no content"
        if read.changed:
            left += f", {read.changed:,} masked"
        verdict = {True: "equal", False: "DIFFERS", None: ""}[read.is_equal]
        print(
            f"{name}: {read.rows:,} in the archive, {read.new:,} new, {read.here:,} here{cost}{left}: {verdict}",
            file=out,
        )
    if report.masked:
        print("Masked: " + ", ".join(f"{n:,} {rule}" for rule, n in report.masked.items()) + ".", file=out)
    if report.not_read:
        names = ", ".join(f"{name} ({rows:,})" for name, rows in sorted(report.not_read.items()))
        print(f"In the archive, but not read in: {names}.", file=out)
