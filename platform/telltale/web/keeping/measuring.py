"""How much each project has stored of each kind, measured once an hour from the tables themselves.

A table's size on disk, with its indexes, is shared out among projects by their rows; of a large table a sample of its
pages is counted. No number here is a planner's guess.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from psycopg import Cursor, sql

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.rows import Table, list_leaves, list_tables
from telltale.projects import keeping
from telltale.projects.keeping import DATASETS, DRIFT, INCIDENTS, SCORES, TEXT, TOTALS, TRACES
from telltale.projects.models import Project

# So many pages of 8 KiB of a table are read; of larger ones a sample of about as many.
PAGES_READ = 2_000
RUN_SECONDS = 240.0
WEEK = timedelta(days=7)
_PREFIXES = (
    ("traces_payload", TEXT), ("traces_span_log", TEXT), ("traces_search", TEXT), ("traces_rollup", TOTALS),
    ("traces_scope", TOTALS), ("traces_user_period", TOTALS), ("traces_behaviour_hour", TOTALS),
    ("traces_outcome_hour", TOTALS), ("traces_ingest", TOTALS), ("traces_metric_rollup", TOTALS),
    ("traces_sighting", TOTALS), ("traces_", TRACES), ("evals_dataset", DATASETS), ("evals_experiment", DATASETS),
    ("evals_probe", DATASETS), ("evals_score_", TOTALS), ("evals_decision_", TOTALS), ("evals_judgement_", TOTALS),
    ("evals_day", TOTALS), ("evals_", SCORES), ("alerts_sample", DRIFT), ("alerts_vector", DRIFT),
    ("alerts_drift_", DRIFT), ("alerts_", INCIDENTS),
)  # fmt: skip
# By which moment a row belongs to a day.
_MOMENTS = {
    "traces_span": "started_at", "traces_payload": "started_at", "traces_span_log": "happened_at",
    "traces_search_block": "day", "traces_metric_point": "at", "traces_trace": "started_at",
    "traces_signal": "received_at", "traces_session": "first_started_at", "evals_score": "started_at",
    "evals_decision": "started_at", "evals_judgement": "started_at", "alerts_sample": "started_at",
    "alerts_vector": "started_at",
}  # fmt: skip
# Bodies differ by thousands: they are weighed, not counted.
_WEIGHED = frozenset({"traces_payload", "traces_span_log", "traces_search_block"})


@dataclass(slots=True)
class _Held:
    rows: float = 0.0
    bytes: float = 0.0
    week_bytes: float = 0.0
    is_sampled: bool = False


def kind_of(table: str) -> str | None:
    """The kind of data that a table holds; None where it is none of a project's."""
    return next((kind for prefix, kind in _PREFIXES if table.startswith(prefix)), None)


def measure(seconds: float = RUN_SECONDS) -> int:
    """Measure every project; how many. A run that ends before all tables were read keeps what was measured before."""
    now = clock.now()
    until = keeping.midnight(now)
    since = until - WEEK
    held: defaultdict[tuple[int, str], _Held] = defaultdict(_Held)
    deadline = time.monotonic() + seconds
    with raw_cursor() as cursor:
        tables = [table for table in list_tables(cursor) if table.own is not None and kind_of(table.name)]
        leaves = {table.name: list_leaves(cursor, table.name) for table in tables}
    projects = list(Project.objects.all())
    for table in tables:
        for leaf in leaves[table.name]:
            if time.monotonic() > deadline:
                return 0
            _measure_leaf(table, leaf, since, until, held, [project.pk for project in projects])
    for project in projects:
        days = _days_of_week(project, since, until)
        for kind in keeping.SIZED:
            found = held[project.pk, kind]
            has_days = days is not None and kind in keeping.KINDS
            measured = keeping.Measured(
                round(found.rows),
                round(found.bytes),
                round(found.week_bytes) if has_days else None,
                days if has_days else None,
                found.is_sampled,
            )
            keeping.put_size(project.pk, kind, measured)
    return len(projects)


def _days_of_week(project: Project, since: datetime, until: datetime) -> float | None:
    """How many of the seven days had the project's data in them; None below one."""
    if project.first_span_at is None:
        return None
    days = (until - max(since, project.first_span_at)) / timedelta(days=1)
    return days if days >= 1 else None


def _measure_leaf(
    table: Table,
    leaf: str,
    since: datetime,
    until: datetime,
    held: dict[tuple[int, str], _Held],
    projects: list[int],
) -> None:
    kind = kind_of(table.name)
    assert kind is not None  # noqa: S101
    with transaction.atomic(), raw_cursor() as cursor:
        # A partition that was dropped meanwhile has no size any more.
        cursor.execute("SELECT to_regclass(%s)::oid, pg_total_relation_size(to_regclass(%s))", (leaf, leaf))
        row = cursor.fetchone()
        if row is None or row[0] is None:
            return
        size = int(row[1])
        cursor.execute("SELECT pg_relation_size(%s::oid) / 8192", (row[0],))
        pages = int((cursor.fetchone() or (0,))[0])
        if not pages:
            return
        percent = min(100.0, 100.0 * PAGES_READ / pages)
        counted = (
            _by_project(cursor, table, leaf, percent, since, until)
            if table.own == "project_id" and not table.path
            else _by_parent(cursor, table, projects)
        )
    total = sum(weight for _, _, weight, _ in counted)
    for project_id, rows, weight, week in counted:
        found = held[project_id, kind]
        found.rows += rows * 100.0 / percent
        found.bytes += size * weight / total if total else 0.0
        found.week_bytes += size * week / total if total else 0.0
        found.is_sampled = found.is_sampled or percent < 100.0


def _by_project(
    cursor: Cursor[object], table: Table, leaf: str, percent: float, since: datetime, until: datetime
) -> list[tuple[int, int, float, float]]:
    moment = _MOMENTS.get(table.name)
    weight = sql.SQL("pg_column_size(data)" if table.name in _WEIGHED else "1")
    week = (
        sql.SQL("coalesce(sum({}) FILTER (WHERE {moment} >= {since} AND {moment} < {until}), 0)").format(
            weight, moment=sql.Identifier(moment), since=sql.Literal(since), until=sql.Literal(until)
        )
        if moment
        else sql.SQL("0")
    )
    sample = sql.SQL("" if percent >= 100 else "TABLESAMPLE SYSTEM ({})").format(sql.Literal(percent))
    query = sql.SQL("SELECT project_id, count(*), sum({}), {} FROM {} {} GROUP BY project_id").format(
        weight, week, sql.SQL(leaf), sample
    )
    cursor.execute(query, prepare=False)
    rows: list[Any] = cursor.fetchall()
    return [(int(row[0]), int(row[1]), float(row[2]), float(row[3])) for row in rows if row[0] is not None]


def _by_parent(cursor: Cursor[object], table: Table, projects: list[int]) -> list[tuple[int, int, float, float]]:
    """Small tables that hang on others: their rows are counted project by project."""
    counted = []
    for project_id in projects:
        condition = table.of_project(project_id)
        if condition is None:
            continue
        query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(sql.Identifier(table.name), condition)
        cursor.execute(query, prepare=False)
        row: tuple[int] | None = cursor.fetchone()  # type: ignore[assignment]
        if row and row[0]:
            counted.append((project_id, int(row[0]), float(row[0]), 0.0))
    return counted
