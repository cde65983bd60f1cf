"""`telltale prepare`: the one-shot step before work begins. Prints as JSON what provisioning made."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TextIO

import psycopg
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from telltale.run.provision import provision_first

# Any number no other use of the database takes: "telltale" in ASCII, cut to a bigint.
MIGRATION_LOCK = 0x74656C6C74616C65


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Migrate under a lock and provision. Safe to run twice, and at once: the second waits and finds nothing to do."""
    without_time_limits()
    with migration_lock():
        if MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=0, stdout=sys.stderr)
        made = provision_first()
    print(json.dumps(made), file=out)
    return 0


def without_time_limits() -> None:
    """Lift the limits of requests from this process' connection: a migration takes what it takes."""
    connection.close()
    options = connection.settings_dict["OPTIONS"]
    options["options"] = "-c statement_timeout=0 -c lock_timeout=0 -c timezone=UTC"
    options.pop("pool", None)


def migration_lock() -> psycopg.Connection[tuple[object, ...]]:
    """A connection that holds the migration lock until it is closed."""
    params = connection.get_connection_params()
    known = {"dbname", "user", "password", "host", "port", "connect_timeout", "options", "target_session_attrs"}
    lock = psycopg.connect(**{k: v for k, v in params.items() if k in known or k.startswith("ssl")}, autocommit=True)
    lock.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
    return lock
