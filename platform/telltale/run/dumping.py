"""Backing up and restoring: PostgreSQL's own programs, of the right version, with the right settings.

A dump is a consistent picture of one moment, taken while everything runs. What is sealed in it opens with the
installation's secret key alone, which is not in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import psycopg
from django.conf import settings
from psycopg import sql

from telltale.lib.dsn import embedded_dsn
from telltale.run.home import Home, RunError
from telltale.run.postgres import binaries


def dsn() -> str:
    """The DSN of the installation's database."""
    return os.environ.get("TELLTALE_DATABASE_URL", "").strip() or embedded_dsn(settings.TELLTALE_HOME)


def dump(path: Path, source: str) -> int:
    """Write a dump of `source` to `path`, whole or not at all, readable by its owner alone; its bytes."""
    half = path.with_name(path.name + ".new")
    half.unlink(missing_ok=True)
    os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        # --compress: zstd is not in every build. Extensions and roles are the server's own.
        _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", "--file", str(half)], source)
        with open(half, "rb") as file:
            os.fsync(file.fileno())
        half.rename(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    return path.stat().st_size


def tables_of(source: str) -> list[str]:
    """The tables of the product in the database `source`; none where it is empty."""
    with psycopg.connect(source) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"
        )
        return [row[0] for row in rows.fetchall()]


def empty(target: str) -> None:
    """Remove everything from the database `target`. (pg_restore --clean stumbles over the keys of partitions.)"""
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def restore(path: Path, target: str) -> None:
    """Put a dump into the empty database `target`, whole or not at all."""
    _run("pg_restore", ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", str(path)], target)


def counts(source: str, tables: Iterable[str]) -> dict[str, int]:
    """How many rows each table has, all at one moment."""
    with psycopg.connect(source) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = {}
        for table in tables:
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
            found[table] = int(row[0]) if row else 0
    return found


def _run(program: str, arguments: list[str], database: str) -> None:
    """Run one of PostgreSQL's programs; RunError with its last words. The password goes by the environment, which no
    list of processes shows."""
    parts = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(database).items() if value}
    password = parts.pop("password", "")
    # Only a dump takes as long as it takes: the limits of requests are not its own.
    parts["options"] = "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
    command = [_program(program), *arguments, "--dbname", psycopg.conninfo.make_conninfo(**parts)]
    environment = {**os.environ, "PGPASSWORD": password} if password else dict(os.environ)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise RunError(f"{program}: {said[:300]}")


def _program(name: str) -> str:
    try:
        return str(binaries(Home(settings.TELLTALE_HOME, None)) / name)
    except RunError:
        found = shutil.which(name)
        if found is None:
            raise RunError(f"{name} is not installed: it is part of PostgreSQL's client programs.") from None
        return found
