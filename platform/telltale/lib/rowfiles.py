"""Rows out of lines of JSON, as an archive has them, into tables; whatever is there already is left as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from psycopg import Cursor, sql
from psycopg.types.json import Jsonb

from telltale.lib.rows import Table

# Columns that only mean something where the row came from.
FOREIGN = frozenset({"key_id", "author_id", "lease_by", "lease_until", "job_id"})


def put_rows(
    cursor: Cursor[Any],
    table: Table,
    lines: Sequence[bytes],
    project_id: int,
    ids: Mapping[str, Mapping[int, int]] | None = None,
) -> int:
    """Insert rows into the project that say which they are by themselves; how many were not there before. ValueError
    where the lines hold something else.

    `ids`: for columns that name a row by its number, what the numbers of the lines are here; others become NULL.
    """
    if not lines:
        return 0
    first = orjson.loads(lines[0])
    names = [column.name for column in table.columns if isinstance(first, dict) and column.name in first]
    if "project_id" not in names:
        raise ValueError(f"no row of {table.name}")
    values = [_value(name, project_id, (ids or {}).get(name)) for name in names]
    # json and not jsonb: numbers come through digit by digit.
    query = sql.SQL(
        "INSERT INTO {table} ({names}) SELECT {values} FROM json_populate_recordset(NULL::{table}, %s::json) AS r"
        " ON CONFLICT DO NOTHING"
    ).format(
        table=sql.Identifier(table.name),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join(values),
    )
    cursor.execute(query, ["[" + ",".join(line.decode() for line in lines) + "]"], prepare=False)
    return cursor.rowcount


def _value(name: str, project_id: int, ids: Mapping[int, int] | None) -> sql.Composable:
    if name == "project_id":
        return sql.Literal(project_id)
    column = sql.Identifier("r", name)
    if ids is not None:
        # Numbers from zero down are no rows of a table: prices that come with the product, judges that are none.
        mapped = sql.SQL("({} ->> {}::text)::bigint").format(sql.Literal(_json(ids)), column)
        return sql.SQL("CASE WHEN {0} <= 0 THEN {0} ELSE {1} END").format(column, mapped)
    return sql.SQL("NULL") if name in FOREIGN else column


def _json(ids: Mapping[int, int]) -> Any:
    return Jsonb({str(old): new for old, new in ids.items()})


def put_row(
    cursor: Cursor[Any],
    table: Table,
    row: Mapping[str, Any],
    project_id: int,
    references: Mapping[str, str],
    known: Mapping[tuple[str, int], int],
) -> int | None:
    """Insert one row that gets a new number; that number, or None where it cannot be: it clashes, or hangs on nothing.

    `references`: column -> table it points at; `known`: (table, number in the archive) -> number here.
    """
    values: dict[str, Any] = {}
    for column in table.columns:
        name = column.name
        if name == "id":
            continue
        value = row.get(name)
        parent = references.get(name)
        if name == "project_id":
            value = project_id
        elif parent is not None:
            value = known.get((parent, value)) if isinstance(value, int) else None
            if value is None and column.is_required:
                return None
        elif name in FOREIGN:
            value = "" if column.is_required and column.kind == "text" else None
        elif value is None and column.is_required:
            value = {"text": "", "json": {}}.get(column.kind)
        values[name] = value
    query = sql.SQL(
        "INSERT INTO {table} ({names}) SELECT {picked} FROM json_populate_record(NULL::{table}, %s::json) AS r"
        " ON CONFLICT DO NOTHING RETURNING id"
    ).format(
        table=sql.Identifier(table.name),
        names=sql.SQL(", ").join(map(sql.Identifier, values)),
        picked=sql.SQL(", ").join(sql.Identifier("r", name) for name in values),
    )
    cursor.execute(query, [orjson.dumps(values).decode()], prepare=False)
    made = cursor.fetchone()
    return int(made[0]) if made else None
