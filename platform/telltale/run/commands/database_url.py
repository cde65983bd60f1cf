"""`telltale database-url`."""

from __future__ import annotations

import argparse
import os
from typing import TextIO

from django.conf import settings

from telltale.lib.dsn import embedded_dsn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print the DSN, with its password: for a person with the right to read the home."""
    given = os.environ.get("TELLTALE_DATABASE_URL", "").strip()
    if not given and not (settings.TELLTALE_HOME / "postgres.password").exists():
        print(f"There is no database below {settings.TELLTALE_HOME} yet: start Telltale once.", file=out)
        return 1
    print(given or embedded_dsn(settings.TELLTALE_HOME), file=out)
    return 0
