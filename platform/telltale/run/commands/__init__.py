"""What `telltale <command>` and `python manage.py telltale <command>` know. A room that brings one adds a line here.

Each module has `add_arguments(parser)` and `handle(options, out) -> int`, the exit code; it is imported when asked for.
"""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass
from typing import Protocol, TextIO, cast


class CommandModule(Protocol):
    """A module of a command."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's options."""

    def handle(self, options: argparse.Namespace, out: TextIO) -> int:
        """Do it; the exit code."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its help line, its module, and whether it needs Django."""

    help: str
    module: str
    needs_django: bool = True

    def load(self) -> CommandModule:
        """The module."""
        return cast(CommandModule, importlib.import_module(self.module))


COMMANDS: dict[str, Command] = {
    "run": Command("start PostgreSQL, web and worker", "telltale.run.commands.run", needs_django=False),
    "worker-alive": Command("exit 0 when this machine's worker shows life", "telltale.run.commands.worker_alive"),
    "stop": Command("stop what `run` started", "telltale.run.commands.stop", needs_django=False),
    "database-url": Command("print a DSN that psql accepts", "telltale.run.commands.database_url"),
    "audit": Command("remove old entries of the audit log", "telltale.run.commands.audit"),
    "backup": Command("dump the database into a file, while everything runs", "telltale.run.commands.backup"),
    "restore": Command("put a dump into the database", "telltale.run.commands.restore"),
    "change": Command("log a change of what a project runs, or list the newest", "telltale.run.commands.change"),
    "demo": Command("fill a project with made-up traffic, or remove it", "telltale.run.commands.demo"),
    "erase": Command("erase a trace, session or user, or remove a project", "telltale.run.commands.erase"),
    "doctor": Command("check everything and say what is wrong", "telltale.run.commands.doctor"),
    "export": Command("write everything of a project, or of one user, to files", "telltale.run.commands.export"),
    "import": Command("read an archive of `export` into a project", "telltale.run.commands.import_"),
    "jobs": Command("queues, the oldest work, failed jobs; try failed ones again", "telltale.run.commands.jobs"),
    "injections": Command("try a judge on the injection set", "telltale.run.commands.injections"),
    "prepare": Command("migrate, then provision what the environment names", "telltale.run.commands.prepare"),
    "provision": Command("make or update people, projects and keys", "telltale.run.commands.provision"),
    "roll-up": Command("how far roll-ups are behind; book everything anew", "telltale.run.commands.roll_up"),
    "reprice": Command("price again what is stored", "telltale.run.commands.reprice"),
    "rotate-secrets": Command("seal anew what is sealed under earlier keys", "telltale.run.commands.rotate_secrets"),
    "second-factor": Command("remove a second factor that was lost", "telltale.run.commands.second_factor"),
    "stand-in": Command("serve a stand-in for a model", "telltale.run.commands.stand_in", needs_django=False),
    "search": Command("tell how the search index stands, or build it anew", "telltale.run.commands.search"),
}


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Give `parser` a sub-command for each of `COMMANDS`; options are declared when one is chosen."""
    names = parser.add_subparsers(dest="telltale_command", metavar="command", required=True)
    for name, command in sorted(COMMANDS.items()):
        names.add_parser(name, help=command.help, add_help=False)


def run_command(argv: list[str], out: TextIO, program: str = "telltale") -> int:
    """Run the command `argv` names; the exit code. argparse ends the process at wrong options."""
    parser = argparse.ArgumentParser(prog=program, description="Operate a Telltale installation.")
    add_commands(parser)
    name = parser.parse_args(argv[:1]).telltale_command
    command = COMMANDS[name]
    if command.needs_django:
        import django

        django.setup()
    module = command.load()
    description = command.help[0].upper() + command.help[1:] + "."
    own = argparse.ArgumentParser(prog=f"{program} {name}", description=description)
    module.add_arguments(own)
    return module.handle(own.parse_args(argv[1:]), out)
