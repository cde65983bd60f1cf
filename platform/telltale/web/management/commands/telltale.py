"""`python manage.py telltale <command>`: the same commands as the script `telltale`."""

from __future__ import annotations

import sys
from argparse import REMAINDER
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandParser

from telltale.run.commands import COMMANDS, run_command


class Command(BaseCommand):
    """Hands over; options after the name belong to the command."""

    help = "Operate this installation: " + ", ".join(sorted(COMMANDS)) + "."
    # The commands that need a migrated database say so themselves.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Everything after `telltale`."""
        parser.add_argument("arguments", nargs=REMAINDER)

    def run_from_argv(self, argv: list[str]) -> None:
        """Take the arguments as they are: `--help` and others belong to the command named."""
        sys.exit(run_command(argv[2:], sys.stdout, program=f"{argv[0]} telltale"))

    def handle(self, *args: Any, **options: Any) -> None:
        """For `call_command("telltale", ...)`."""
        code = run_command(list(options["arguments"]), cast(TextIO, self.stdout), program="telltale")
        if code:
            sys.exit(code)
