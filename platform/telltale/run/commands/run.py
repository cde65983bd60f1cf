"""`telltale run`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import TextIO

from telltale.run.demo.running import run_with_demo
from telltale.run.home import RunError, prepare_home
from telltale.run.supervisor import Supervisor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--detach", action="store_true", help="return once it is ready; `telltale stop` ends it")
    parser.add_argument("--demo", action="store_true", help="fill a demo project once it is ready; see docs/demo.md")
    parser.add_argument("--report-to", type=int, help=argparse.SUPPRESS)


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Run in the foreground until a signal, or start one that goes on by itself."""
    if options.detach and options.demo:
        print("--demo fills while it runs in the foreground; after --detach, use `telltale demo`.", file=out)
        return 2
    if options.detach:
        return _detach(out)

    def say(text: str) -> None:
        print(text, file=out, flush=True)

    if options.demo:
        return run_with_demo(say)
    if options.report_to is None:
        return Supervisor(say).run()

    report = os.fdopen(options.report_to, "w")

    def tell(text: str) -> None:
        if not report.closed:
            print(text, file=report, flush=True)

    def tell_and_log(text: str) -> None:
        say(text)
        tell(text)

    # The first login goes to the person who started it and into no log.
    supervisor = Supervisor(tell_and_log, tell)
    supervisor.on_ready = report.close
    return supervisor.run()


def _detach(out: TextIO) -> int:
    try:
        home = prepare_home()
    except RunError as error:
        print(f"Telltale cannot start. {error}", file=out)
        return 1
    read, write = os.pipe()
    log_path = home.log / "supervisor.log"
    with open(log_path, "ab") as log:
        home.own(log_path, 0o600)
        child = subprocess.Popen(
            [sys.executable, "-m", "telltale.run.cli", "run", "--report-to", str(write)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(write,),
            start_new_session=True,
        )
    os.close(write)
    is_ready = False
    with os.fdopen(read) as report:
        for line in report:
            is_ready = is_ready or line.startswith("Telltale is ready")
            print(line, end="", file=out, flush=True)
    return 0 if is_ready else child.wait() or 1
