"""Partitions of the tables that are cut by day: for the operator's page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection

from traces.write.partitions import TABLES

# What is in the guarded partition of a table, counted to a limit: a plain count would read all of it.
GUARDED_MAX = 10_000
_NAMES = """
    SELECT inhparent::regclass::text, inhrelid::regclass::text FROM pg_inherits WHERE inhparent = ANY(%s::regclass[])
"""


@dataclass(frozen=True, slots=True)
class PartitionState:
    """A table's partitions: how many days, the first and the last, and rows beside them (at most `GUARDED_MAX`)."""

    table: str
    days: int
    first: date | None
    last: date | None
    guarded: int

    def is_behind(self, today: date) -> bool:
        """Whether partitions are made for some days, but not ahead of need."""
        return self.last is not None and self.last <= today


def read_partitions(today: date) -> list[PartitionState]:
    """Every table that is cut by day, by name. Two queries."""
    days: dict[str, list[date]] = {table: [] for table in TABLES}
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [list(TABLES)])
        for parent, name in cursor.fetchall():
            suffix = name.rsplit("_", 1)[-1]
            if len(suffix) == 8 and suffix.isdigit():
                days[parent].append(datetime.strptime(suffix + "+0000", "%Y%m%d%z").date())
        # The names are ours.
        counts = [f"SELECT '{t}', count(*) FROM (SELECT 1 FROM {t}_guarded LIMIT {GUARDED_MAX}) AS g" for t in TABLES]  # noqa: S608
        cursor.execute(" UNION ALL ".join(counts))
        guarded = dict(cursor.fetchall())
    return [
        PartitionState(table, len(found), min(found, default=None), max(found, default=None), guarded[table])
        for table, found in sorted(days.items())
    ]
