"""Taking rows away: those of a project that goes, and those whose targets are past their days. Hourly sums stay."""

from __future__ import annotations

from datetime import datetime

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
_SLICE = sql.SQL("DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {wanted} LIMIT {limit}))")
# Experiment results (target kind 4) are kept with their experiment, however old.
_OLD = {
    "evals_decision": "",
    "evals_judgement": " AND target_kind <> 4 AND state NOT IN ('pending', 'running')",  # these end as gone
    "evals_score": " AND target_kind <> 4",
    "evals_document_score": "",
    "evals_retrieval": "",
}


def erase_slice(table: str, project_id: int) -> int:
    """Remove up to `SLICE_ROWS` rows of the project from one of `ROWS`; how many went."""
    return _remove(table, sql.SQL("project_id = {}").format(sql.Literal(project_id)))


def remove_older(project_id: int, cutoff: datetime, slices: int) -> tuple[int, int]:
    """Remove rows about targets that began before `cutoff`, in at most `slices` slices; (rows, slices used)."""
    removed = used = 0
    for table, more in _OLD.items():
        wanted = sql.SQL("project_id = {} AND started_at < {}").format(sql.Literal(project_id), sql.Literal(cutoff))
        while used < slices:
            used += 1
            gone = _remove(table, wanted + sql.SQL(more))
            removed += gone
            if gone < SLICE_ROWS:
                break
    return removed, used


def _remove(table: str, wanted: sql.Composable) -> int:
    with raw_cursor() as cursor:
        query = _SLICE.format(table=sql.Identifier(table), wanted=wanted, limit=sql.Literal(SLICE_ROWS))
        cursor.execute(query, prepare=False)
        return cursor.rowcount
