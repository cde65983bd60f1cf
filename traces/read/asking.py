"""Asking the database for a page: one short transaction with a limit on every statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import orjson
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import errors, sql

from telltale.lib.sql import load

# One trace of 100,000 spans is read in one statement (measured: 0.4 s).
TRACE_TIMEOUT_MS = 8000


class TooSlow(Exception):
    """A question took longer than a page may; a narrower time range makes it quick."""


@contextmanager
def asking(timeout_ms: int | None = None) -> Iterator[CursorWrapper]:
    """A cursor whose statements end after `timeout_ms`, by default TELLTALE_PAGE_TIMEOUT_MS, with `TooSlow`."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            limit = str(timeout_ms or settings.PAGE_TIMEOUT_MS)
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
            yield cursor
    except OperationalError as error:
        if isinstance(error.__cause__, errors.QueryCanceled):
            raise TooSlow from error
        raise
    except errors.QueryCanceled as error:  # of a cursor that is not Django's
        raise TooSlow from error


def compose(name: str, **parts: sql.Composable) -> str:
    """The query `traces/sql/<name>.sql` with its {parts} filled in; values stay parameters."""
    return template(name, **parts).as_string(None)


def template(name: str, **parts: sql.Composable) -> sql.Composed:
    """As `compose`, as a part of another query."""
    # The header speaks about the {parts} too.
    text: LiteralString = "\n".join(line for line in load("traces", name).splitlines() if not line.startswith("--"))
    return sql.SQL(text).format(**parts)


def fetch(cursor: CursorWrapper, query: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of one query."""
    cursor.execute(query, params)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def plan(cursor: CursorWrapper, query: str, params: dict[str, Any]) -> dict[str, Any]:
    """What the planner expects of a query: 0.3 ms, whatever it would take to run."""
    found = fetch(cursor, f"EXPLAIN (FORMAT JSON) {query}", params)[0][0]
    parsed = orjson.loads(found) if isinstance(found, str) else found
    top: dict[str, Any] = parsed[0]["Plan"]
    return top
