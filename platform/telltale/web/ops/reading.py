"""What stands behind the operator's page and its JSON twin. All of it is rows: it needs no broker and no worker."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import TypeVar

import django
from django.db import connection, transaction

from alerts.read.totals import GivenUp, read_given_up
from telltale.jobs.disk import Growth, read_growth
from telltale.jobs.models import Schedule
from telltale.lib import clock
from telltale.lib.patience import answer_within
from telltale.web.health import DATABASE_ERRORS, READ_TIMEOUT_MS, Vitals, missing_migrations, read_vitals
from telltale.web.ops.failed import FailedJob, read_failed
from traces.read.partitions import PartitionState, read_partitions

ANSWER_SECONDS = 10.0
JOBS_MAX = 100
TABLES_MAX = 15
BACKUP = "telltale.backup"
T = TypeVar("T")

# Partitions count with the table they are parts of, indexes and TOAST with theirs.
_TABLES = """
    SELECT coalesce(pg_partition_root(c.oid), c.oid)::regclass::text AS name,
        sum(pg_total_relation_size(c.oid))::bigint AS bytes,
        sum(CASE WHEN c.reltuples < 0 THEN NULL ELSE c.reltuples END)::bigint AS about
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname = current_schema()
    GROUP BY 1
    ORDER BY 2 DESC, 1
"""
_SERVER = """
    SELECT current_setting('server_version'), current_setting('fsync'), current_setting('full_page_writes'),
        current_setting('synchronous_commit'), current_setting('max_connections')::int,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table with its partitions, indexes and TOAST. `about_rows` is the planner's figure; None: never analysed."""

    name: str
    bytes: int
    about_rows: int | None


@dataclass(frozen=True, slots=True)
class Server:
    """The database as it says itself."""

    version: str
    settings: dict[str, str]
    connections: int
    connections_max: int

    @property
    def unsafe(self) -> list[str]:
        """Settings with which a crash can lose what was acknowledged."""
        return [name for name, value in self.settings.items() if value == "off"]


@dataclass(frozen=True, slots=True)
class Ops:
    """Everything of the page. What the database did not give in time is None, and named in `lacking`."""

    at: datetime
    versions: dict[str, str]
    missing: list[str] | None
    vitals: Vitals | None
    server: Server | None
    tables: list[TableSize] | None
    growth: Growth | None
    partitions: list[PartitionState] | None
    failed: list[FailedJob] | None
    given_up: list[GivenUp] | None
    backed_up_at: datetime | None
    lacking: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """What is not as it should be, in words; empty when all is well."""
        if self.vitals is None:
            return ["The database does not answer, or not in time."]
        notes = list(self.vitals.notes)
        if self.missing:
            notes.append(f"{len(self.missing)} migrations are missing, the first {self.missing[0]}.")
        if self.server and self.server.unsafe:
            notes.append(f"A crash can lose acknowledged data: {', '.join(self.server.unsafe)} is off.")
        if self.growth and self.growth.days_to_full is not None and self.growth.days_to_full < 14:
            notes.append(f"The disk is full in {self.growth.days_to_full:.0f} days as the database grows now.")
        for each in self.partitions or []:
            if each.is_behind(self.at.date()):
                notes.append(f"{each.table} has no partition for tomorrow; new days go to the guarded one.")
        if self.failed:
            n = len(self.failed)
            notes.append(f"{n} long job{'s' if n > 1 else ''} failed and wait{'' if n > 1 else 's'} for a person.")
        return notes


def read_ops() -> Ops:
    """Everything, each part with a limit of its own, so that one that takes too long hides no other."""
    now = clock.now()
    lacking: list[str] = []

    def part(name: str, read: Callable[[], T]) -> T | None:
        try:
            with answer_within(ANSWER_SECONDS), transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(READ_TIMEOUT_MS)])
                return read()
        except DATABASE_ERRORS:
            lacking.append(name)
            return None

    versions = {"telltale": version("telltale"), "python": platform.python_version(), "django": django.get_version()}
    missing = part("migrations", missing_migrations)
    vitals = part("signs of life", read_vitals)
    if vitals is None:
        # Nothing else would answer either, and each would wait as long.
        return Ops(now, versions, missing, None, None, None, None, None, None, None, None, tuple(lacking))
    return Ops(
        now,
        versions,
        missing,
        vitals,
        part("server", _read_server),
        part("tables", _read_tables),
        part("growth", lambda: read_growth(now)),
        part("partitions", lambda: read_partitions(now.date())),
        part("failed jobs", lambda: read_failed(limit=JOBS_MAX)),
        part("messages given up", lambda: read_given_up(now - timedelta(days=7))),
        part("backup", _read_backup),
        tuple(lacking),
    )


def _read_server() -> Server:
    with connection.cursor() as cursor:
        cursor.execute(_SERVER)
        told, fsync, pages, commit, most, used = cursor.fetchone()
    settings = {"fsync": fsync, "full_page_writes": pages, "synchronous_commit": commit}
    return Server(told, settings, used, most)


def _read_tables() -> list[TableSize]:
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        return [TableSize(*row) for row in cursor.fetchall()]


def _read_backup() -> datetime | None:
    return Schedule.objects.filter(name=BACKUP).values_list("last_run_at", flat=True).first()
