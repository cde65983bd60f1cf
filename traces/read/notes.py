"""What people said about traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from traces.read.asking import asking, fetch
from traces.wire.ids import hex_span_id

NAMES_MAX = 500
_COMMENT_COLUMNS = "comment_id, span_id, author_id, key_id, author, body, created_at, edited_at"
_COMMENTS = f"""
    SELECT {_COMMENT_COLUMNS} FROM traces_comment
    WHERE project_id = %(project_id)s AND trace_id = %(trace_id)s
        AND (%(comment_id)s::bigint IS NULL OR comment_id = %(comment_id)s)
    ORDER BY comment_id
"""  # noqa: S608 - names of this module
_LABELS = """
    SELECT label, author, created_at FROM traces_label
    WHERE project_id = %(project_id)s AND trace_id = %(trace_id)s ORDER BY label
"""
# Each distinct label by one step along the index, whatever the number of traces that have it.
_NAMES = """
    WITH RECURSIVE found AS (
        (SELECT label FROM traces_label WHERE project_id = %(project_id)s ORDER BY label LIMIT 1)
        UNION ALL
        SELECT (SELECT l.label FROM traces_label AS l WHERE l.project_id = %(project_id)s AND l.label > found.label
                ORDER BY l.label LIMIT 1)
        FROM found WHERE found.label IS NOT NULL
    )
    SELECT label FROM found WHERE label IS NOT NULL LIMIT %(limit)s
"""
_MARKS = """
    SELECT t.trace_id,
        (SELECT count(*) FROM traces_comment AS c WHERE c.project_id = %(project_id)s AND c.trace_id = t.trace_id),
        (SELECT coalesce(array_agg(l.label ORDER BY l.label), '{}') FROM traces_label AS l
         WHERE l.project_id = %(project_id)s AND l.trace_id = t.trace_id)
    FROM unnest(%(trace_ids)s::uuid[]) AS t (trace_id)
"""


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment. Its author is a person (`author_id`) or a key (`key_id`)."""

    id: int
    span_id: int | None
    author_id: int | None
    key_id: int | None
    author: str
    body: str
    created_at: datetime
    edited_at: datetime | None

    @property
    def span_hex(self) -> str:
        """The span it is about, in hex; empty where it is about the whole trace."""
        return "" if self.span_id is None else hex_span_id(self.span_id)


@dataclass(frozen=True, slots=True)
class Label:
    """One label on a trace, and who put it there."""

    label: str
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Marks:
    """What a list shows of the notes on one trace."""

    comments: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notes:
    """What people said about one trace: the newest comments in their order, how many there are in all, labels."""

    comments: tuple[Comment, ...]
    total: int
    labels: tuple[Label, ...]
    known: tuple[str, ...]  # labels of the project that this trace does not have


def read_notes(project_id: int, trace_id: UUID, limit: int, *, with_known: bool) -> Notes:
    """The notes on a trace, at most `limit` comments of them."""
    params: dict[str, Any] = {"project_id": project_id, "trace_id": trace_id, "comment_id": None}
    with asking() as cursor:
        comments = [Comment(*row) for row in fetch(cursor, _COMMENTS, params)]
        labels = tuple(Label(*row) for row in fetch(cursor, _LABELS, params))
        names = fetch(cursor, _NAMES, {"project_id": project_id, "limit": NAMES_MAX}) if with_known else []
    held = {label.label for label in labels}
    known = tuple(row[0] for row in names if row[0] not in held)
    return Notes(tuple(comments[-limit:]), len(comments), labels, known)


def list_comments(project_id: int, trace_id: UUID) -> list[Comment]:
    """The comments on a trace, oldest first."""
    return _comments(project_id, trace_id, None)


def get_comment(project_id: int, trace_id: UUID, comment_id: int) -> Comment | None:
    """One comment; None where it is not there."""
    return next(iter(_comments(project_id, trace_id, comment_id)), None)


def _comments(project_id: int, trace_id: UUID, comment_id: int | None) -> list[Comment]:
    params: dict[str, Any] = {"project_id": project_id, "trace_id": trace_id, "comment_id": comment_id}
    with asking() as cursor:
        return [Comment(*row) for row in fetch(cursor, _COMMENTS, params)]


def list_labels(project_id: int, trace_id: UUID) -> list[Label]:
    """The labels on a trace by name."""
    with asking() as cursor:
        return [Label(*row) for row in fetch(cursor, _LABELS, {"project_id": project_id, "trace_id": trace_id})]


def list_label_names(project_id: int) -> list[str]:
    """The labels that some trace of the project has, by name."""
    with asking() as cursor:
        rows = fetch(cursor, _NAMES, {"project_id": project_id, "limit": NAMES_MAX})
    return [row[0] for row in rows]


def read_marks(project_id: int, trace_ids: Sequence[UUID]) -> dict[UUID, Marks]:
    """For the traces of one page of a list, in one query: how many comments and which labels they have."""
    if not trace_ids:
        return {}
    with asking() as cursor:
        rows = fetch(cursor, _MARKS, {"project_id": project_id, "trace_ids": list(trace_ids)})
    return {row[0]: Marks(row[1], tuple(row[2])) for row in rows if row[1] or row[2]}
