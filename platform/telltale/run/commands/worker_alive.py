"""`telltale worker-alive`: the health check of a worker's container."""

from __future__ import annotations

import argparse
import socket
from typing import TextIO

from telltale.jobs.read import read_heartbeats
from telltale.lib import clock
from telltale.web.health import DATABASE_ERRORS, HEARTBEAT_LIMIT_SECONDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """0 where a worker of this machine wrote its row within the last minute.

    With the database away the row cannot be read: that is no fault of the worker's, which waits for it.
    """
    try:
        host = socket.gethostname()[:40] + ":"
        ages = [row.age_seconds for row in read_heartbeats(clock.now()) if row.name.startswith(host)]
    except DATABASE_ERRORS:
        print("The database does not answer; nothing can be said of the worker.", file=out)
        return 0
    if not ages or min(ages) > HEARTBEAT_LIMIT_SECONDS:
        print("No sign of life from this machine's worker in the last minute.", file=out)
        return 1
    print(f"Last sign of life {min(ages):.0f} s ago.", file=out)
    return 0
