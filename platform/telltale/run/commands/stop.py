"""`telltale stop`."""

from __future__ import annotations

import argparse
from typing import TextIO

from telltale.run.home import RunError, wanted_home
from telltale.run.supervisor import stop_running


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Stop the installation of this home; 0 as well where none runs."""
    try:
        print(stop_running(wanted_home()), file=out)
    except (RunError, PermissionError) as error:
        print(f"Telltale was not stopped. {error}", file=out)
        return 1
    return 0
