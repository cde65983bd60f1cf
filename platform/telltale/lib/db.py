"""Cursors that bind on the server: Django's own bind on the client, which neither prepares nor sends binary."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connection
from psycopg.rows import RowFactory, tuple_row


def raw_cursor(row_factory: RowFactory[Any] = tuple_row) -> psycopg.Cursor[Any]:
    """A psycopg cursor on Django's connection, inside its transaction; statements used often get prepared."""
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection, row_factory=row_factory)
