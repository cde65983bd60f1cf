"""A day's partitions, made ahead of need; rows that came before their day move in from the guarded partition."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction
from psycopg import sql

from telltale.lib import clock

# What has a partition of its own: older and later starts lie in the guarded partition, flagged.
PAST_DAYS = 400
FUTURE_DAYS = 1
AHEAD_DAYS = 3
TABLES = {
    "traces_span": "started_at",
    "traces_payload": "started_at",
    "traces_span_log": "happened_at",
    "traces_metric_point": "at",
    "traces_search_block": "day",
}
_LOCK = 0x7E117A1E

_known: set[tuple[str, date]] = set()
_guard = threading.Lock()


def day_of(us: int) -> date:
    """The UTC day of microseconds since 1970 (years 1-9999)."""
    return (clock.EPOCH + timedelta(microseconds=us)).date()


def has_own_day(day: date, today: date) -> bool:
    """Whether starts on `day` get a partition of their own rather than the guarded one."""
    return today - timedelta(days=PAST_DAYS) <= day <= today + timedelta(days=AHEAD_DAYS)


def ensure_days(table: str, days: Iterable[date]) -> None:
    """Make the partitions of `table` for those of `days` that have their own and none yet. Its own transaction."""
    today = clock.now().date()
    missing = [day for day in set(days) if (table, day) not in _known and has_own_day(day, today)]
    for day in sorted(missing):
        make_day(table, day)
        with _guard:
            _known.add((table, day))


def ensure_ahead() -> int:
    """Make every table's partitions from yesterday to `AHEAD_DAYS` ahead; how many there are to look after."""
    today = clock.now().date()
    days = [today + timedelta(days=offset) for offset in range(-1, AHEAD_DAYS + 1)]
    for table in TABLES:
        ensure_days(table, days)
    return len(days) * len(TABLES)


def forget() -> None:
    """Forget which partitions are known (tests, and after retention dropped some)."""
    with _guard:
        _known.clear()


def make_day(table: str, day: date) -> bool:
    """Make and attach one partition; False where it was there. Rows of that day leave the guarded partition."""
    column = TABLES[table]
    name = f"{table}_{day:%Y%m%d}"
    low = datetime(day.year, day.month, day.day, tzinfo=UTC)
    high = low + timedelta(days=1)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(%s)", [name])
        if cursor.fetchone():
            return False
        ids = {
            "new": sql.Identifier(name),
            "parent": sql.Identifier(table),
            "guarded": sql.Identifier(f"{table}_guarded"),
            "column": sql.Identifier(column),
            "low": sql.Literal(low),
            "high": sql.Literal(high),
        }
        for statement in (
            "CREATE TABLE {new} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES "
            "INCLUDING STORAGE)",
            # Spans are inserted and, but for counting, never updated: freeze and analyse by inserts.
            "ALTER TABLE {new} SET (autovacuum_vacuum_insert_scale_factor = 0.1)",
            "LOCK TABLE {guarded} IN ACCESS EXCLUSIVE MODE",
            "WITH moved AS (DELETE FROM {guarded} WHERE {column} >= {low} AND {column} < {high} RETURNING *) "
            "INSERT INTO {new} SELECT * FROM moved",
            "ALTER TABLE {parent} ATTACH PARTITION {new} FOR VALUES FROM ({low}) TO ({high})",
        ):
            cursor.execute(sql.SQL(statement).format(**ids))
    return True
