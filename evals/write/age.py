"""Taking rows away: those of a project that goes, and those whose targets are past their days. Hourly sums stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import sql

from telltale.lib.db import raw_cursor

SLICE_ROWS = 5_000
# Every table that migrations make by SQL; what is in `evals.models` goes with its project by its foreign key.
ROWS = (
    "evals_candidate", "evals_decision", "evals_decision_hour", "evals_judgement", "evals_judgement_hour",
    "evals_score", "evals_score_hour", "evals_document_score", "evals_retrieval", "evals_flagged",
    "evals_feedback", "evals_told_signal", "evals_calibration_mark",
    "evals_score_day", "evals_decision_day", "evals_day_built", "evals_day_stale",
)  # fmt: skip
_SLICE_TEXT: LiteralString = (
    "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {wanted} LIMIT {limit}))"
)
_SLICE = sql.SQL(_SLICE_TEXT)
_SIZED_SLICE = (
    sql.SQL("WITH gone AS ("),
    _SLICE,
    sql.SQL(" RETURNING pg_column_size({table}.*) AS size) SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone"),
)
# Experiment results (target kind 4) are kept with their experiment, however old.
_OLD: dict[str, LiteralString] = {
    "evals_decision": "",
    "evals_judgement": " AND target_kind <> 4 AND state NOT IN ('pending', 'running')",  # these end as gone
    "evals_score": " AND target_kind <> 4",
    "evals_document_score": "",
    "evals_retrieval": "",
}
# By when they were made, in slices. A calibration that none has followed is what its judge still goes by.
_OLD_MADE: dict[str, LiteralString] = {
    "evals_review": "{table}.created_at < {cutoff}",
    "evals_reviewitem": "{table}.created_at < {cutoff}"
    " AND NOT EXISTS (SELECT 1 FROM evals_review AS r WHERE r.item_id = {table}.id)",
    "evals_calibration": "{table}.computed_at < {cutoff} AND EXISTS ("
    "SELECT 1 FROM evals_calibration AS later WHERE later.judge_version_id = {table}.judge_version_id"
    " AND later.criterion = {table}.criterion AND later.scope = {table}.scope"
    " AND later.computed_at > {table}.computed_at)",
}
_OLDEST = sql.SQL("SELECT min(started_at) FROM {table} WHERE project_id = {project_id}")


def erase_slice(table: str, project_id: int) -> int:
    """Remove up to `SLICE_ROWS` rows of the project from one of `ROWS`; how many went."""
    return _remove(table, sql.SQL("project_id = {}").format(sql.Literal(project_id)))


@dataclass(frozen=True, slots=True)
class Removed:
    """What went: rows, their stored bytes without indexes, the slices it took, and whether nothing is left."""

    rows: int
    bytes: int
    slices: int
    is_done: bool


def remove_older(project_id: int, cutoff: datetime, slices: int) -> Removed:
    """Remove rows about targets that began, and reviews that were made, before `cutoff`, in at most `slices` slices."""
    rows = size = used = 0
    is_done = True
    asked = {"project_id": sql.Literal(project_id), "cutoff": sql.Literal(cutoff)}
    told = {table: "started_at < {cutoff}" + more for table, more in _OLD.items()} | _OLD_MADE
    for table, more in told.items():
        wanted = sql.SQL("project_id = {project_id} AND " + more).format(table=sql.Identifier(table), **asked)
        is_over = False
        while used < slices and not is_over:
            used += 1
            gone, gone_size = _remove_sized(table, wanted)
            rows, size = rows + gone, size + gone_size
            is_over = gone < SLICE_ROWS
        is_done = is_done and is_over
    return Removed(rows, size, used, is_done)


def oldest(project_id: int) -> datetime | None:
    """When the oldest target began about which anything is left; None where nothing is."""
    found: list[datetime] = []
    for table in ("evals_decision", "evals_judgement", "evals_score"):
        query = _OLDEST.format(table=sql.Identifier(table), project_id=sql.Literal(project_id))
        with raw_cursor() as cursor:
            cursor.execute(query + sql.SQL(_OLD[table]), prepare=False)
            row = cursor.fetchone()
        if row and row[0] is not None:
            found.append(row[0])
    return min(found, default=None)


def _remove_sized(table: str, wanted: sql.Composable) -> tuple[int, int]:
    names = {"table": sql.Identifier(table), "wanted": wanted, "limit": sql.Literal(SLICE_ROWS)}
    query = sql.Composed([part.format(**names) for part in _SIZED_SLICE])
    with raw_cursor() as cursor:
        cursor.execute(query, prepare=False)
        row = cursor.fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _remove(table: str, wanted: sql.Composable) -> int:
    with raw_cursor() as cursor:
        query = _SLICE.format(table=sql.Identifier(table), wanted=wanted, limit=sql.Literal(SLICE_ROWS))
        cursor.execute(query, prepare=False)
        return cursor.rowcount
