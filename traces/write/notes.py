"""Rows of comments and labels."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from telltale.lib.db import raw_cursor
from traces.write.batch import new_id

# The trace's row is the lock: no note on a trace that is being removed, and no two that both take its last place.
_LOCK_TRACE = "SELECT 1 FROM traces_trace WHERE project_id = %s AND trace_id = %s FOR NO KEY UPDATE"
_COUNT_COMMENTS = "SELECT count(*) FROM traces_comment WHERE project_id = %s AND trace_id = %s"
_ADD_COMMENT = """
    INSERT INTO traces_comment (project_id, trace_id, comment_id, span_id, author_id, key_id, author, body, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp())
"""
_EDIT_COMMENT = """
    UPDATE traces_comment SET body = %s, edited_at = clock_timestamp()
    WHERE project_id = %s AND trace_id = %s AND comment_id = %s AND body <> %s
"""
_DELETE_COMMENT = "DELETE FROM traces_comment WHERE project_id = %s AND trace_id = %s AND comment_id = %s"
_ADD_LABEL = """
    INSERT INTO traces_label (project_id, trace_id, label, author) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_COUNT_LABELS = "SELECT count(*) FROM traces_label WHERE project_id = %s AND trace_id = %s"
_DELETE_LABEL = "DELETE FROM traces_label WHERE project_id = %s AND trace_id = %s AND label = %s"
_KNOWN_LABEL = "SELECT 1 FROM traces_label WHERE project_id = %s AND label = %s LIMIT 1"
# Each distinct label by one step along the index, whatever the number of traces that have it.
_COUNT_NAMES = """
    WITH RECURSIVE found AS (
        (SELECT label FROM traces_label WHERE project_id = %(project_id)s ORDER BY label LIMIT 1)
        UNION ALL
        SELECT (SELECT l.label FROM traces_label AS l WHERE l.project_id = %(project_id)s AND l.label > found.label
                ORDER BY l.label LIMIT 1)
        FROM found WHERE found.label IS NOT NULL
    )
    SELECT count(*) FROM (SELECT 1 FROM found WHERE label IS NOT NULL LIMIT %(limit)s) AS name
"""
# One writer of labels a project at a time, so that the cap on their number holds.
_LOCK_LABELS = "SELECT pg_advisory_xact_lock(hashtext('traces_label'), %s)"


class TooMany(Exception):
    """The cap is reached; `limit` says which."""

    def __init__(self, limit: int) -> None:
        super().__init__(str(limit))
        self.limit = limit


def add_comment(
    project_id: int,
    trace_id: UUID,
    span_id: int | None,
    body: str,
    *,
    author: str,
    author_id: int | None,
    key_id: int | None,
    most: int,
) -> int | None:
    """The new comment's id; None where the trace is gone. TooMany where it has `most` comments already."""
    comment_id = new_id()
    with transaction.atomic(), raw_cursor() as cursor:
        if not _is_there(cursor, project_id, trace_id):
            return None
        cursor.execute(_COUNT_COMMENTS, (project_id, trace_id))
        if _number(cursor) >= most:
            raise TooMany(most)
        cursor.execute(_ADD_COMMENT, (project_id, trace_id, comment_id, span_id, author_id, key_id, author, body))
    return comment_id


def edit_comment(project_id: int, trace_id: UUID, comment_id: int, body: str) -> bool:
    """Whether the comment was changed: False where it is gone, or said this already."""
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_EDIT_COMMENT, (body, project_id, trace_id, comment_id, body))
        return cursor.rowcount == 1


def delete_comment(project_id: int, trace_id: UUID, comment_id: int) -> bool:
    """Whether the comment was there to be removed."""
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_DELETE_COMMENT, (project_id, trace_id, comment_id))
        return cursor.rowcount == 1


def add_label(project_id: int, trace_id: UUID, label: str, *, author: str, most: int, most_names: int) -> bool | None:
    """Whether the label is new on the trace; None where the trace is gone.

    TooMany where the trace has `most` labels, or the project `most_names` different ones.
    """
    with transaction.atomic(), raw_cursor() as cursor:
        if not _is_there(cursor, project_id, trace_id):
            return None
        cursor.execute(_LOCK_LABELS, (project_id,))
        cursor.execute(_KNOWN_LABEL, (project_id, label))
        if cursor.fetchone() is None:
            cursor.execute(_COUNT_NAMES, {"project_id": project_id, "limit": most_names})
            if _number(cursor) >= most_names:
                raise TooMany(most_names)
        cursor.execute(_ADD_LABEL, (project_id, trace_id, label, author))
        is_new = cursor.rowcount == 1
        cursor.execute(_COUNT_LABELS, (project_id, trace_id))
        if is_new and _number(cursor) > most:
            raise TooMany(most)
    return is_new


def delete_label(project_id: int, trace_id: UUID, label: str) -> bool:
    """Whether the label was there to be removed."""
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_DELETE_LABEL, (project_id, trace_id, label))
        return cursor.rowcount == 1


def _is_there(cursor: Any, project_id: int, trace_id: UUID) -> bool:
    cursor.execute(_LOCK_TRACE, (project_id, trace_id))
    return cursor.fetchone() is not None


def _number(cursor: Any) -> int:
    row = cursor.fetchone()
    return int(row[0])
