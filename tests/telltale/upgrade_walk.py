"""Migrates an empty database step by step, with rows in every table from the step that makes it; prints what became.

Run by test_upgrade.py on a database of its own: each migration meets rows of every earlier state, as the database of
somebody who upgrades from there does. Rows are made from the columns of the tables themselves; `HINTS` name values
where a constraint wants more than a type says.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402

from telltale.run.commands.prepare import without_time_limits  # noqa: E402

VALUES = {
    "int2": "1", "int4": "1", "int8": "1", "numeric": "1", "float8": "1", "float4": "1", "bool": "false", "text": "'x'",
    "varchar": "'x'", "bpchar": "'x'", "timestamptz": "'2026-11-20T10:00:00Z'", "date": "'2026-11-20'",
    "uuid": "'11111111-1111-4111-8111-111111111111'", "jsonb": "'{}'", "json": "'{}'", "bytea": "'\\x00'",
    "inet": "'127.0.0.1'", "time": "'10:00'", "interval": "'1 hour'",
}  # fmt: skip
HINTS: dict[tuple[str, str], str] = {}
# Tables that code of the earlier state never wrote: no installation has rows of them before this step.
LATER = {
    # The library's app came whole: its first states were never ours.
    "socialaccount_socialaccount": "socialaccount.0006_alter_socialaccount_extra_data",
}

# What a step fills of rows that were there: (how many are as they should be, how many there are).
FILLED = {
    "alerts.0010_delivery_project": """
        SELECT count(*) FILTER (WHERE d.project_id = t.project_id), count(*)
        FROM alerts_delivery AS d JOIN alerts_transition AS t ON t.id = d.transition_id
    """,
}

# name, type, whether it may be NULL, whether it has a value of its own, the table it points at
COLUMNS = """
    SELECT a.attname, t.typname, NOT a.attnotnull, a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '',
        (SELECT confrelid::regclass::text FROM pg_constraint AS f
         WHERE f.contype = 'f' AND f.conrelid = a.attrelid AND f.conkey = ARRAY[a.attnum] LIMIT 1)
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
TABLES = """
    SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'django_migrations'
    ORDER BY c.relname
"""


class Walk:
    """Rows put into tables while migrations go by: what was put, and what could not be."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, str] = {}
        self.steps = 0
        self.done: set[str] = set()

    def after(self, action: str, migration: Any = None, fake: bool = False) -> None:
        """What the executor calls: after each step, fill the tables that have no row of ours yet."""
        if action != "apply_success":
            return
        self.steps += 1
        self.done.add(f"{migration.app_label}.{migration.name}")
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
            empty = [row[0] for row in cursor.fetchall() if row[0] not in self.rows]
            empty = [table for table in empty if LATER.get(table) is None or LATER[table] in self.done]
            moved = True
            while moved:
                moved = False
                for table in list(empty):
                    if self.fill(cursor, table):
                        empty.remove(table)
                        moved = True

    def fill(self, cursor: Any, table: str) -> bool:
        """One row, with every column that can have a value; else with those alone that must."""
        cursor.execute(COLUMNS, [f'"{table}"'])
        columns = cursor.fetchall()
        cursor.execute(f'SELECT to_jsonb("{table}".*)::text FROM "{table}" LIMIT 1')
        if made := cursor.fetchone():
            # A migration made it of rows that were there.
            self.rows[table] = json.loads(made[0])
            return True
        for is_whole in (True, False):
            values = {}
            for name, kind, may_be_null, has_own, points_at in columns:
                if (table, name) in HINTS:
                    values[name] = HINTS[table, name]
                elif points_at:
                    cursor.execute(f"SELECT min({key_of(cursor, points_at)}::text) FROM {points_at}")
                    found = cursor.fetchone()[0]
                    if found is None and not may_be_null:
                        return False
                    values[name] = "NULL" if found is None else f"'{found}'"
                elif not has_own and (is_whole or not may_be_null):
                    values[name] = "'{}'" if kind.startswith("_") else VALUES[kind]
            names = ", ".join(f'"{name}"' for name in values)
            cursor.execute("SAVEPOINT row")
            try:
                cursor.execute(
                    f'INSERT INTO "{table}" ({names}) VALUES ({", ".join(values.values())})'
                    f' RETURNING to_jsonb("{table}".*)::text'
                )
            except django.db.Error as error:
                cursor.execute("ROLLBACK TO SAVEPOINT row")
                self.refused[table] = str(error).splitlines()[0]
            else:
                self.rows[table] = json.loads(cursor.fetchone()[0])
                self.refused.pop(table, None)
                return True
        return False

    def changed(self) -> dict[str, str]:
        """Tables whose row is gone or says something else in a column that it had from the beginning."""
        found = {}
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
            there = {row[0] for row in cursor.fetchall()}
            for table, before in self.rows.items():
                if table not in there:
                    found[table] = "the table is gone"
                    continue
                cursor.execute(f'SELECT to_jsonb("{table}".*)::text FROM "{table}"')
                rows = [json.loads(row[0]) for row in cursor.fetchall()]
                if not any(all(row[name] == value for name, value in before.items() if name in row) for row in rows):
                    after = rows[0] if rows else {}
                    names = [name for name, value in before.items() if name in after and after[name] != value]
                    found[table] = ", ".join(names) if rows else "the row is gone"
        return found


def key_of(cursor: Any, table: str) -> str:
    cursor.execute(
        "SELECT a.attname FROM pg_index AS i JOIN pg_attribute AS a"
        " ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = %s::regclass AND i.indisprimary",
        [table],
    )
    return f'"{cursor.fetchone()[0]}"'


def main() -> None:
    without_time_limits()
    walk = Walk()
    executor = MigrationExecutor(connection, walk.after)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    # In one transaction a row could not be taken back: the executor opens one a migration, the walk its own.
    original = walk.after

    def after(action: str, migration: Any = None, fake: bool = False) -> None:
        from django.db import transaction

        with transaction.atomic():
            original(action, migration, fake)

    executor.progress_callback = after
    executor.migrate(executor.loader.graph.leaf_nodes(), plan=plan)
    report = {"steps": walk.steps, "planned": len(plan), "tables": len(walk.rows), "refused": walk.refused,
              "changed": walk.changed(), "read": read_all(), "unfilled": unfilled()}  # fmt: skip
    json.dump(report, sys.stdout)


def unfilled() -> list[str]:
    """Rows that a migration had to complete from others, and did not; each with the step that should have."""
    wrong = []
    for step, query in FILLED.items():
        with connection.cursor() as cursor:
            cursor.execute(query)
            right, n = cursor.fetchone()
        if not n or right != n:
            wrong.append(f"{step}: {right} of {n}")
    return wrong


def read_all() -> str:
    """The product reads what came of it: counters, signs of life, everything of the operator's page; "" when it can."""
    from telltale.web.health import missing_migrations, read_vitals
    from telltale.web.ops.reading import read_ops
    from traces.read.flow import read_meters, read_totals

    if missing := missing_migrations():
        return f"missing: {missing}"
    read_vitals()
    read_totals()
    read_meters()
    lacking = read_ops().lacking
    return f"lacking: {lacking}" if lacking else ""


if __name__ == "__main__":
    main()
