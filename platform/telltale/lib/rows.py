"""What every table holds of a project, by the database's own catalogue: a table made tomorrow is found as well."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import Cursor, sql

Kind = Literal["text", "texts", "json", "uuid", "uuids", "bytes", "other"]
_KINDS: dict[str, Kind] = {
    "text": "text", "varchar": "text", "bpchar": "text", "name": "text", "_text": "texts", "_varchar": "texts",
    "json": "json", "jsonb": "json", "uuid": "uuid", "_uuid": "uuids", "bytea": "bytes",
}  # fmt: skip

_COLUMNS = """
    SELECT c.relname, a.attname, t.typname, CASE WHEN a.atttypmod > 4 THEN a.atttypmod - 4 END, a.attnotnull
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
    ORDER BY c.relname, a.attnum
"""
_REFERENCES = """
    SELECT f.relname, fa.attname, p.relname, pa.attname
    FROM pg_constraint AS k
    JOIN pg_class AS f ON f.oid = k.conrelid
    JOIN pg_class AS p ON p.oid = k.confrelid
    JOIN pg_attribute AS fa ON fa.attrelid = k.conrelid AND fa.attnum = k.conkey[1]
    JOIN pg_attribute AS pa ON pa.attrelid = k.confrelid AND pa.attnum = k.confkey[1]
    WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND NOT f.relispartition
        AND f.relnamespace = current_schema()::regnamespace
    ORDER BY f.relname, fa.attnotnull DESC, fa.attname
"""
_LEAVES = """
    SELECT coalesce(leaf.relid::regclass, c.oid::regclass)::text
    FROM pg_class AS c
    LEFT JOIN LATERAL pg_partition_tree(c.oid) AS leaf ON leaf.isleaf
    WHERE c.relname = %s AND c.relnamespace = current_schema()::regnamespace AND (c.relkind = 'r' OR leaf.isleaf)
    ORDER BY 1
"""
PROJECTS = "projects_project"
ORGANISATIONS = "accounts_organisation"
# By which column a table names what it is of, and the table of these.
_OWNERS = {PROJECTS: "project_id", ORGANISATIONS: "organisation_id"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `most` is how many characters it holds, None where nobody said."""

    name: str
    kind: Kind
    most: int | None
    is_required: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and the condition on its rows that they are of one project; None: no way leads to a project.

    `path` is that way: pairs (column, parent table, parent's column) until a table that names the project itself.
    Where `list_tables` was asked of organisations, the same of one organisation.
    """

    name: str
    columns: tuple[Column, ...]
    own: str | None
    path: tuple[tuple[str, str, str], ...]
    parents: tuple[str, ...]

    def of_project(self, project_id: int) -> sql.Composable | None:
        """The condition as SQL, over the table by its own name."""
        return self.of_owner(project_id)

    def of_owner(self, owner_id: int) -> sql.Composable | None:
        """The same of whatever the tables were asked of."""
        if self.own is None:
            return None
        key = sql.SQL("{} = {}").format(sql.Identifier(self.own), sql.Literal(owner_id))
        for column, parent, parent_column in reversed(self.path):
            key = sql.SQL("{} IN (SELECT {} FROM {} WHERE {})").format(
                sql.Identifier(column), sql.Identifier(parent_column), sql.Identifier(parent), key
            )
        return key

    def column(self, name: str) -> Column | None:
        """The column of this name, if there is one."""
        return next((each for each in self.columns if each.name == name), None)

    def of_kinds(self, *kinds: Kind) -> list[Column]:
        """Its columns of these kinds."""
        return [each for each in self.columns if each.kind in kinds]


# Tables change by migrations, and then processes start anew.
HOLD_SECONDS = 60.0
_held: dict[str, tuple[float, str, list[Table]]] = {}


def list_tables(cursor: Cursor[Any], of: str = PROJECTS) -> list[Table]:
    """Every table of the schema, by name; partitions are part of theirs. At most `HOLD_SECONDS` old.

    `of`: PROJECTS or ORGANISATIONS, what their conditions are about.
    """
    now, name = time.monotonic(), cursor.connection.info.dbname
    held = _held.get(of)
    if held is None or held[0] < now or held[1] != name:
        held = _held[of] = (now + HOLD_SECONDS, name, _read_tables(cursor, of))
    return held[2]


def _read_tables(cursor: Cursor[Any], of: str) -> list[Table]:
    cursor.execute(_COLUMNS)
    columns: dict[str, list[Column]] = {}
    for table, name, kind, most, is_required in cursor.fetchall():
        columns.setdefault(table, []).append(Column(name, _KINDS.get(kind, "other"), most, is_required))
    cursor.execute(_REFERENCES)
    references: dict[str, list[tuple[str, str, str]]] = {}
    for table, column, parent, parent_column in cursor.fetchall():
        references.setdefault(table, []).append((column, parent, parent_column))
    key = _OWNERS[of]
    own = {table: key for table, held in columns.items() if any(each.name == key for each in held)}
    own[of] = "id"
    tables = []
    for table, held in columns.items():
        path = _path(table, own, references)
        parents = tuple(dict.fromkeys(parent for _, parent, _ in references.get(table, ()) if parent != table))
        last = path[-1][1] if path else table
        tables.append(Table(table, tuple(held), own.get(last) if path is not None else None, path or (), parents))
    return tables


def _path(
    table: str, own: dict[str, str], references: dict[str, list[tuple[str, str, str]]]
) -> tuple[tuple[str, str, str], ...] | None:
    """The shortest way from a table to one that names a project; () where it does itself, None where none leads."""
    seen, waiting = {table}, deque([(table, ())])
    while waiting:
        at, path = waiting.popleft()
        if at in own:
            return path
        for column, parent, parent_column in references.get(at, ()):
            if parent not in seen:
                seen.add(parent)
                waiting.append((parent, (*path, (column, parent, parent_column))))  # type: ignore[arg-type]
    return None


def children_first(tables: Sequence[Table]) -> Iterator[Table]:
    """The tables so that each comes before those it refers to.

    Where they refer to each other, those go first by which no other is found to be of a project.
    """
    left = {table.name: table for table in sorted(tables, key=lambda each: each.name)}
    while left:
        named = {parent for table in left.values() for parent in table.parents if parent in left}
        free = [name for name in left if name not in named]
        if not free:
            ways = {parent for table in left.values() for _, parent, _ in table.path}
            free = [next((name for name in left if name not in ways), next(iter(left)))]
        for name in free:
            yield left.pop(name)


def list_leaves(cursor: Cursor[Any], table: str) -> list[str]:
    """The tables where the rows of one lie: its partitions, or itself. Quoted as SQL needs it."""
    cursor.execute(_LEAVES, (table,))
    return [row[0] for row in cursor.fetchall()]


def delete_slice(cursor: Cursor[Any], leaf: str, wanted: sql.Composable, most: int) -> int:
    """How many rows of a leaf that are `wanted` this call removed, at most `most`; rows others hold are left."""
    cursor.execute(
        sql.SQL(
            "DELETE FROM {leaf} WHERE ctid = ANY (ARRAY("
            "SELECT ctid FROM {leaf} WHERE {wanted} LIMIT {most} FOR UPDATE SKIP LOCKED))"
        ).format(leaf=sql.SQL(leaf), wanted=wanted, most=sql.Literal(most)),
        prepare=False,
    )
    return cursor.rowcount


def count_rows(cursor: Cursor[Any], table: str, wanted: sql.Composable) -> int:
    """How many rows of a table are `wanted`."""
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(sql.Identifier(table), wanted)
    cursor.execute(query, prepare=False)
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def any_of(column: str, values: Iterable[Any]) -> sql.Composable:
    """The condition that a column is one of `values`."""
    return sql.SQL("{} = ANY({})").format(sql.Identifier(column), sql.Literal(list(values)))
