"""`telltale restore FILE`: put a dump of `telltale backup` into the installation's database."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

import psycopg

from telltale.run.dumping import dsn, empty, restore, tables_of
from telltale.run.home import RunError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("file", type=Path, help="a dump of `telltale backup`")
    parser.add_argument("--replace", action="store_true", help="remove everything that is in the database first")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Restore; 1 with the reason where it could not be. What a database holds is replaced by --replace alone."""
    if not options.file.is_file():
        print(f"There is no file {options.file}.", file=out)
        return 1
    target = dsn()
    try:
        if tables_of(target):
            if not options.replace:
                print("The database is not empty. --replace removes everything that is in it first.", file=out)
                return 1
            empty(target)
        restore(options.file, target)
    except (RunError, OSError, psycopg.Error) as error:
        print(f"It was not restored. {error}", file=out)
        return 1
    print("Restored. Run `telltale prepare` (or start Telltale), then `telltale doctor`.", file=out)
    return 0
