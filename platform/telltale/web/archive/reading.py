"""Rows of an archive as lines of JSON, page by page, with no more than one row in memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import zstandard
from django.db import connection
from psycopg import Cursor, sql

from telltale.lib.db import raw_cursor
from telltale.web.archive.plan import PACKED, Source

# Bodies are at most so large; what says it is larger was not written by us.
UNPACKED_MAX = 256 * 1024 * 1024
FETCH_ROWS = 200
STATEMENT_MS = 300_000
# One snapshot for all that a step reads. Long statements: a partition may be large.
BEGIN = (
    b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    f"SELECT set_config('statement_timeout', '{STATEMENT_MS}', true)".encode(),
)


def begin(cursor: Cursor[Any]) -> None:
    """Read all of this transaction in one snapshot; to be the first thing it does."""
    for statement in BEGIN:
        cursor.execute(statement)


def read_page(
    source: Source, wanted: sql.Composable, after: Sequence[str] | None, limit: int
) -> Iterator[tuple[bytes, tuple[str, ...], str | None]]:
    """Up to `limit` rows in order of their key: line, key as texts, cost in pico-dollars as text (None: none known)."""
    key = [sql.SQL("{}::text").format(sql.Identifier(name)) for name, _ in source.key]
    names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in source.key)
    where = [wanted]
    if after is not None:
        values = sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind))
            for value, (_, kind) in zip(after, source.key, strict=True)
        )
        where.append(sql.SQL("({}) > ({})").format(names, values))
    tail = sql.SQL(" ORDER BY {} LIMIT {}").format(names, sql.Literal(limit))
    yield from _read(source, sql.SQL(" AND ").join(where), key, tail)


def read_traces(
    source: Source, project_id: int, trace_ids: Sequence[Any], bounds: tuple[Any, Any]
) -> Iterator[tuple[bytes, tuple[str, ...], str | None]]:
    """The rows of these traces, all of them. `bounds`: least and greatest start of their spans."""
    where = sql.SQL("project_id = {} AND trace_id = ANY({}::uuid[])").format(
        sql.Literal(project_id), sql.Literal(list(trace_ids))
    )
    if source.name in {"traces_span", "traces_payload"}:
        where += sql.SQL(" AND started_at BETWEEN {} AND {}").format(*map(sql.Literal, bounds))
    names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in source.key)
    yield from _read(source, where, [], sql.SQL(" ORDER BY {}").format(names))


def _read(
    source: Source, where: sql.Composable, key: list[sql.Composed], tail: sql.Composable
) -> Iterator[tuple[bytes, tuple[str, ...], str | None]]:
    packed = PACKED.get(source.name)
    columns = [name for name in source.columns if packed is None or name != packed[0]]
    cost = "cost_pico::text" if "cost_pico" in columns else "NULL::text"
    body = sql.Identifier(packed[0]) if packed else sql.SQL("NULL::bytea")
    query = sql.SQL("SELECT {row}, {body}, {cost}{key} FROM {table} WHERE {where}{tail}").format(
        # A row of named columns, as PostgreSQL writes it: numbers exact, times with their zone.
        row=sql.SQL("(SELECT row_to_json(shown)::text FROM (SELECT {}) AS shown)").format(
            sql.SQL(", ").join(
                sql.SQL("{0}.{1}").format(sql.Identifier(source.name), sql.Identifier(name)) for name in columns
            )
        ),
        body=body,
        cost=sql.SQL(cost),
        key=sql.SQL("").join(sql.SQL(", ") + part for part in key),
        table=sql.Identifier(source.name),
        where=where,
        tail=tail,
    )
    connection.ensure_connection()
    server = connection.connection.cursor(name=f"archive_{secrets.token_hex(4)}")
    try:
        server.itersize = FETCH_ROWS
        server.execute(query)
        for text, data, cost_pico, *keys in server:
            line = text.encode()
            if packed is not None and data is not None:
                line = line[:-1] + f',"{packed[1]}":'.encode() + _unpacked(bytes(data), packed[2]) + b"}"
            yield line, tuple(keys), cost_pico
    finally:
        server.close()


def _unpacked(data: bytes, is_json: bool) -> bytes:
    try:
        raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=UNPACKED_MAX)
    except zstandard.ZstdError:
        return b"null"
    return raw if is_json else orjson.dumps(raw.decode("utf-8", "replace"))


def count_rows(source: Source, wanted: sql.Composable) -> int:
    """How many rows there are, for the progress shown."""
    with raw_cursor() as cursor:
        query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(sql.Identifier(source.name), wanted)
        cursor.execute(query, prepare=False)
        row = cursor.fetchone()
    return int(row[0]) if row else 0
