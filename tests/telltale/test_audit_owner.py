"""The audit log as the database holds it: the application may add and read, by grant; pruning after a year alone."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psycopg
import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from psycopg import errors

from telltale.run import audit_owner

ROLE, DATABASE = "telltale_app_of_test", "telltale_audit_of_test"
FORBIDDEN = (
    "UPDATE audit_auditentry SET actor = 'nobody'",
    "DELETE FROM audit_auditentry",
    "DELETE FROM audit_auditentry WHERE at < now() - interval '400 days'",
    "TRUNCATE audit_auditentry",
    "ALTER TABLE audit_auditentry DISABLE TRIGGER ALL",
    "ALTER TABLE audit_auditentry OWNER TO CURRENT_USER",
    "DROP TRIGGER audit_append_only ON audit_auditentry",
    "CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    f"SET ROLE {audit_owner.OWNER}",
    "SELECT audit_prune(364, 'me')",
    "SELECT audit_prune(NULL, 'me')",
)
ADD = """
    INSERT INTO audit_auditentry (at, actor, action, target, outcome)
    VALUES (now() - %s::interval, 'alice@example.com', 'key.create', 'tt_pk_1', 'done')
"""


def admin_dsn(postgres_home=None):
    """A superuser of the server that tests use, or None."""
    if postgres_home is not None:
        from telltale.run.home import Home
        from telltale.run.postgres import Postgres

        return Postgres(Home(postgres_home, None)).admin_dsn()
    found = connection.settings_dict
    told = {"host": found["HOST"], "port": found["PORT"], "user": found["USER"], "password": found["PASSWORD"]}
    return psycopg.conninfo.make_conninfo(dbname="postgres", **{name: value for name, value in told.items() if value})


@pytest.fixture(scope="module")
def held(request, django_db_setup, django_db_blocker):
    """A database of its own with the audit log in it, made by a role without privileges, and its superuser."""
    own = None if os.environ.get("TELLTALE_DATABASE_URL") else request.getfixturevalue("postgres_home")
    dsn = admin_dsn(own)
    with psycopg.connect(dsn, autocommit=True) as server:
        if not server.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()[0]:
            pytest.skip("TELLTALE_DATABASE_URL names no superuser: who owns the audit log cannot be tested")
        for statement in (f"DROP DATABASE IF EXISTS {DATABASE}", f"DROP ROLE IF EXISTS {ROLE}"):
            server.execute(statement)
        server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'only for tests'")
        server.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    admin = psycopg.connect(dsn, dbname=DATABASE, autocommit=True)
    app = psycopg.connect(dsn, dbname=DATABASE, user=ROLE, password="only for tests", autocommit=True)
    try:
        make_log(app)
        yield SimpleNamespace(admin=admin, app=app)
    finally:
        app.close()
        admin.close()
        with psycopg.connect(dsn, autocommit=True) as server:
            server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
            server.execute(f"DROP ROLE {ROLE}")


def make_log(app):
    """The migrations of the log, as the application's role."""
    loader = MigrationLoader(None)
    state = loader.project_state(())
    for name in sorted(name for label, name in loader.disk_migrations if label == "audit"):
        migration = loader.disk_migrations["audit", name]
        with connection.schema_editor(collect_sql=True, atomic=False) as editor:
            state = migration.apply(state, editor, collect_sql=True)
        app.execute("\n".join(line for line in editor.collected_sql if not line.startswith("--")))


def standing(who):
    with who.cursor() as cursor:
        return audit_owner.read_standing(cursor)


def test_the_application_may_add_to_the_log_and_read_it_and_nothing_else(held):
    audit_owner.hand_back(held.admin, ROLE)
    before = standing(held.app)
    audit_owner.settle(held.admin, ROLE)
    count = held.app.execute("SELECT count(*) FROM audit_auditentry").fetchone()[0]
    held.app.execute(ADD, ["1 hour"])

    for statement in FORBIDDEN:
        with pytest.raises((errors.InsufficientPrivilege, errors.CheckViolation)):
            held.app.execute(statement)
    held.app.execute("GRANT ALL ON audit_auditentry TO CURRENT_USER")  # a warning: there is nothing to give

    assert before.by == "trigger"
    assert standing(held.app).by == "grant"
    assert held.app.execute("SELECT count(*) FROM audit_auditentry").fetchone()[0] == count + 1


def test_only_what_is_older_than_a_year_is_pruned_and_that_is_written_down(held):
    audit_owner.settle(held.admin, ROLE)
    count = held.app.execute("SELECT count(*) FROM audit_auditentry").fetchone()[0]
    held.app.execute(ADD, ["366 days"])
    held.app.execute(ADD, ["360 days"])

    gone = held.app.execute("SELECT audit_prune(365, 'operator')").fetchone()[0]
    again = held.app.execute("SELECT audit_prune(365, 'operator')").fetchone()[0]

    told = held.app.execute("SELECT actor, after FROM audit_auditentry WHERE action = 'audit.prune'").fetchall()
    assert (gone, again) == (1, 0)
    assert told == [("operator", {"removed": 1, "keep_days": 365})]
    assert held.app.execute("SELECT count(*) FROM audit_auditentry").fetchone()[0] == count + 2


def test_settling_can_be_repeated_and_taken_back_for_a_migration(held):
    audit_owner.settle(held.admin, ROLE)
    audit_owner.settle(held.admin, ROLE)
    held.app.execute(ADD, ["1 hour"])
    assert audit_owner.is_settled(held.admin)

    audit_owner.hand_back(held.admin, ROLE)  # as a restore leaves it, too

    assert standing(held.app).by == "trigger"
    held.app.execute("ALTER TABLE audit_auditentry ADD COLUMN extra integer")
    held.app.execute("ALTER TABLE audit_auditentry DROP COLUMN extra")
    with pytest.raises((errors.RaiseException, errors.InsufficientPrivilege)):
        held.app.execute("DELETE FROM audit_auditentry")
    audit_owner.settle(held.admin, ROLE)
    assert standing(held.app).by == "grant"


def test_a_missing_trigger_is_seen(held):
    audit_owner.settle(held.admin, ROLE)
    held.admin.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER audit_keep_a_year")

    try:
        assert standing(held.app).by == "nothing"
    finally:
        held.admin.execute("ALTER TABLE audit_auditentry ENABLE TRIGGER audit_keep_a_year")
