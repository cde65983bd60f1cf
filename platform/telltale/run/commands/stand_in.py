"""`telltale stand-in`: a local server that stands in for a model, so that judging can be seen without one."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from telltale.run.stand_in import StandIn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; any free one by default")
    parser.add_argument("--faults", type=_share, default=0.0, help="share of calls that go wrong, 0 to 1 (0)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that a call takes (0)")
    parser.add_argument("--address-file", type=Path, help=argparse.SUPPRESS)


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Serve until told to stop."""
    try:
        server = _serve(options)
    except OSError as error:
        print(f"Port {options.port} of 127.0.0.1 cannot be used: {error.strerror}.", file=out)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if options.address_file:
        partial = options.address_file.with_suffix(".new")
        partial.write_text(server.url + "\n")
        os.replace(partial, options.address_file)
    print(f"A stand-in, not a model, answers at {server.url}. ", end="", file=out)
    print("Judges reach it where Telltale runs with TELLTALE_EGRESS_ALLOW=127.0.0.1/32.", file=out, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


def _serve(options: argparse.Namespace) -> StandIn:
    """The server, at the port it had before where that is told and free: judges know it by its address."""
    if not options.port and options.address_file:
        with contextlib.suppress(OSError, ValueError):
            before = options.address_file.with_suffix(".before").read_text()
            return StandIn(urlsplit(before.strip()).port or 0, options.faults, options.delay)
    return StandIn(options.port, options.faults, options.delay)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("a share lies from 0 to 1")
    return value
