"""`telltale jobs`: what waits and for how long, and long jobs that failed, to be tried again or put aside."""

from __future__ import annotations

import argparse
from typing import TextIO

from telltale.lib.format import visible
from telltale.web.health import read_vitals
from telltale.web.ops.failed import ACTS, FailedJob, act_on, read_failed
from telltale.web.ops.words import backlogs

ACTOR = "telltale jobs"
LISTED = 100
AT_ONCE = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """An act and the jobs it is for; without one everything is told and nothing changed."""
    acts = ("list", *ACTS)
    parser.add_argument("act", nargs="?", choices=acts, default="list", help="list is what it does by itself")
    parser.add_argument("id", nargs="*", type=int, help="the numbers of failed jobs")
    parser.add_argument("--all", default="", metavar="KIND", help="every failed job of a kind, such as reprice")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Tell, or act; exit code 1 where a job that was named has not failed, 2 where none was named."""
    if options.act == "list":
        if options.id:
            print("Numbers go with retry or discard.", file=out)
            return 2
        _list(options.all, out)
        return 0
    if bool(options.id) == bool(options.all):
        print(f"Name the jobs to {options.act} by number, or all of a kind with --all KIND.", file=out)
        return 2
    if options.all:
        return _act_on_all(options.act, options.all, out)
    return _act_on(options.act, options.id, out)


def _act_on(act: str, numbers: list[int], out: TextIO) -> int:
    code = 0
    for number in numbers:
        done = act_on(number, act, actor=ACTOR)
        if done:
            print(f"Job {number} is {ACTS[act][1]}.", file=out)
        else:
            print(f"Job {number} {'is not there' if done is None else 'has not failed'}: nothing was done.", file=out)
            code = 1
    return code


def _act_on_all(act: str, kind: str, out: TextIO) -> int:
    # By number: what fails again meanwhile is not taken twice.
    last, n = None, 0
    while found := read_failed(kind=kind, before=last, limit=AT_ONCE):
        n += sum(bool(act_on(row.id, act, actor=ACTOR)) for row in found)
        last = found[-1].id
    words = "job is" if n == 1 else "jobs are"
    print(f"{n} {words} {ACTS[act][1]}, of the kind {visible(kind)}.", file=out)
    return 0


def _list(kind: str, out: TextIO) -> None:
    vitals = read_vitals()
    print(f"{'of':<24} {'waiting':>9}  oldest", file=out)
    for each in backlogs(vitals):
        mark = "  TOO LONG" if each.state == "watch" else ""
        print(f"{each.name:<24} {each.waiting:>9}  {each.oldest}{mark}", file=out)
    print(f"{vitals.workers_alive} worker(s) alive.", file=out)
    failed = read_failed(kind=kind, limit=LISTED)
    if not failed:
        print("No job failed.", file=out)
        return
    more = vitals.failed_jobs > len(failed) and not kind
    print(f"Failed jobs, newest first{f' ({len(failed)} of {vitals.failed_jobs})' if more else ''}:", file=out)
    for row in failed:
        print(f"  {_words(row)}", file=out)
    print("Try again: telltale jobs retry NUMBER, or --all KIND. A job goes on where it stopped.", file=out)


def _words(row: FailedJob) -> str:
    far = f"{row.progress:,}" + ("" if row.total is None else f" of {row.total:,}")
    ended = f"{row.finished_at:%Y-%m-%d %H:%M} UTC" if row.finished_at else "at an unknown time"
    where = f" of {row.project}" if row.project else ""
    why = visible(" ".join(row.error.split()))[:200] or "no reason was kept"
    return f"{row.id} {row.kind}{where}: {why} (ended {ended}, {row.attempts} tries, {far} done)"
