"""`telltale audit prune`: remove entries of the audit log that are older than a year or more."""

from __future__ import annotations

import argparse
from typing import TextIO

from telltale.audit.prune import KEEP_DAYS_LEAST, TooFew, prune

ACTOR = "telltale audit prune"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is to be done to the log, and the days."""
    parser.add_argument("act", choices=["prune"], help="remove old entries")
    told = f"keep this many days; {KEEP_DAYS_LEAST} at least"
    parser.add_argument("--days", type=int, required=True, metavar="N", help=told)


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print how many entries went; exit code 1 for too few days."""
    try:
        gone = prune(options.days, ACTOR)
    except TooFew as refused:
        print(refused, file=out)
        return 1
    print(f"{gone} {'entry' if gone == 1 else 'entries'} older than {options.days} days removed.", file=out)
    return 0
