"""`telltale backup FILE`: a dump of the database, taken while everything runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

import psycopg

from telltale.jobs.models import Schedule
from telltale.lib import clock
from telltale.run.dumping import dsn, dump
from telltale.run.home import RunError
from telltale.web.ops.reading import BACKUP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("file", type=Path, help="where to write it; an older file of that name is replaced at the end")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Write it; 1 with the reason where it could not be."""
    began = clock.now()
    try:
        size = dump(options.file, dsn())
    except (RunError, OSError, psycopg.Error) as error:
        print(f"No backup was made. {error}", file=out)
        return 1
    Schedule.objects.update_or_create(name=BACKUP, defaults={"last_run_at": began})
    print(f"{options.file}: {size / 2**20:,.1f} MiB, as of {began:%Y-%m-%d %H:%M:%S} UTC.", file=out)
    print("Keep secret_key of the home (or TELLTALE_SECRET_KEY) apart from it: it opens what is sealed.", file=out)
    return 0
