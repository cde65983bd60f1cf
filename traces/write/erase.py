"""Removing every row of a project, in bounded slices; no table has to be named here to be emptied."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction
from psycopg import sql

from telltale.lib.db import raw_cursor

# Deletes of this size take about 30 ms; readers and ingest of other projects go on beside them.
SLICE_ROWS = 2000

# Tables of the room that know a project, as the leaves where rows lie; traces first, so that no page shows a trace
# whose spans are gone already.
_LEAVES = """
    SELECT coalesce(leaf.relid::regclass, c.oid::regclass)::text
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'project_id' AND NOT a.attisdropped
    -- Of a table without partitions the function tells nothing.
    LEFT JOIN LATERAL pg_partition_tree(c.oid) AS leaf ON leaf.isleaf
    WHERE c.relkind IN ('r', 'p')
        AND NOT c.relispartition
        AND c.relnamespace = current_schema()::regnamespace
        AND c.relname LIKE 'traces\\_%'
        AND (c.relkind = 'r' OR leaf.isleaf)
    ORDER BY c.relname <> 'traces_trace', c.relname, leaf.relid
"""
# By row address: a tid scan, whatever the table's key is.
_DELETE = """
    DELETE FROM {leaf}
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM {leaf} WHERE project_id = %s LIMIT %s FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A table, or a partition of one, that holds rows of projects."""

    name: str


def list_leaves() -> list[Leaf]:
    """Where rows of projects lie, in the order in which they are emptied."""
    with connection.cursor() as cursor:
        cursor.execute(_LEAVES)
        return [Leaf(row[0]) for row in cursor.fetchall()]


def erase_slice(leaf: Leaf, project_id: int) -> int:
    """How many rows of the project this call removed from `leaf`, at most `SLICE_ROWS`. Its own transaction."""
    statement = sql.SQL(_DELETE).format(leaf=sql.SQL(leaf.name))
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(statement, (project_id, SLICE_ROWS))
        return cursor.rowcount
