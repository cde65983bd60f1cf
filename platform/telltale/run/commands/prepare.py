"""`telltale prepare`: the one-shot step before work begins. Prints as JSON what provisioning made."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from telltale.run import audit_owner
from telltale.run.home import Home
from telltale.run.postgres import Postgres
from telltale.run.provision import provision_first

# Any number no other use of the database takes: "telltale" in ASCII, cut to a bigint.
MIGRATION_LOCK = 0x74656C6C74616C65


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Migrate under a lock and provision. Safe to run twice, and at once: the second waits and finds nothing to do."""
    without_time_limits()
    with migration_lock(), audit_admin() as admin:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        role = str(connection.settings_dict["USER"])
        if admin is not None and audit_owner.is_settled(admin) and any(m.app_label == "audit" for m, _ in plan):
            audit_owner.hand_back(admin, role)
        if plan:
            call_command("migrate", interactive=False, verbosity=0, stdout=sys.stderr)
        if admin is not None:
            audit_owner.settle(admin, role)
        made = provision_first()
    print(json.dumps(made), file=out)
    return 0


@contextmanager
def audit_admin() -> Iterator[psycopg.Connection[Any] | None]:
    """A connection of the embedded PostgreSQL's superuser to our database; None where the database is one's own."""
    server = Postgres(Home(settings.TELLTALE_HOME, None))
    if os.environ.get("TELLTALE_DATABASE_URL", "").strip() or not server.has_admin():
        yield None
        return
    with psycopg.connect(server.admin_dsn(), dbname=connection.settings_dict["NAME"], autocommit=True) as admin:
        yield admin


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
