"""Reading scores, and what they stand on, out of an archive into the tables of this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Cursor

from evals.write.scores import TEXT
from telltale.lib.rowfiles import put_rows
from telltale.lib.rows import Table
from traces.archiving import Columns, numbers_of

# Rows that get another number here, parents first. Judges come without a plan: nothing is judged anew by itself.
NUMBERED = (
    "evals_connection", "evals_rubric", "evals_rubricversion", "evals_judge", "evals_judgeversion", "evals_dataset",
    "evals_datasetversion", "evals_datasetitem", "evals_reviewqueue", "evals_reviewitem", "evals_review",
    "evals_calibration",
)  # fmt: skip
PLAIN = ("evals_score", "evals_document_score", "evals_retrieval")


def _without_words(row: dict[str, Any]) -> bool:
    """A score without content: as judges' and programs' are kept there, by number, truth or label."""
    row["comment"] = "" if row.get("data_type") == TEXT else None
    row["evidence"], row["metadata"] = None, numbers_of(row.get("metadata") or {})
    return True


# What of these rows is text of outside origin. Definitions (rubrics, judges, queues) are read in as they are written.
COLUMNS = {
    "evals_dataset": Columns(("description",)),
    "evals_datasetversion": Columns(("note",)),
    "evals_datasetitem": Columns((), ("item_key",), ("input", "expected", "metadata")),
    "evals_reviewitem": Columns(("feature", "model", "prompt_version", "reason")),
    "evals_review": Columns(("category", "note"), ("external_id",)),
    "evals_calibration": Columns((), (), ("result",)),
    "evals_score": Columns(
        ("label", "comment", "author"), ("session_id", "external_id"), ("evidence", "metadata"), _without_words,
        "author",
    ),
    "evals_document_score": Columns(("document_id", "feature")),
    "evals_retrieval": Columns(("feature",)),
}  # fmt: skip
_IDS = {
    "judge_id": "evals_judge",
    "judge_version_id": "evals_judgeversion",
    "rubric_version_id": "evals_rubricversion",
    "review_id": "evals_review",
    # Judgements are not read in.
    "judgement_id": "",
}


def read_in(
    cursor: Cursor[Any],
    table: Table,
    lines: Sequence[bytes],
    project_id: int,
    ids_of: Mapping[str, Mapping[int, int]],
) -> int:
    """Insert these lines of one of `PLAIN`; how many were new. `ids_of`: what became of numbered rows, by table."""
    return put_rows(cursor, table, lines, project_id, {name: ids_of.get(of, {}) for name, of in _IDS.items()})
