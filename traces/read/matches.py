"""Where a text was found in the traces of a page: a snippet of each, as far as there is time for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import UUID

from telltale.lib.db import raw_cursor
from traces.read.asking import TooSlow, asking
from traces.read.rows import TraceRow
from traces.read.texts import gather
from traces.search.marks import Piece, Sought, snippet, sought
from traces.search.query import Query, QueryError, parse

# Reading a trace's texts takes about 1.5 ms: a page of what was found in bodies alone takes no longer than this more.
SECONDS = 0.04
AT_ONCE = 10
TIMEOUT_MS = 500

Snippet = tuple[Piece, ...]


def read_matches(project_id: int, text: str, rows: Sequence[TraceRow]) -> dict[UUID, Snippet]:
    """A snippet for each of `rows` whose first and last words do not show the match themselves, while time lasts."""
    try:
        query = parse(text)
    except QueryError:
        return {}
    wanted = sought(query)
    found: dict[UUID, Snippet] = {}
    hidden: list[TraceRow] = []
    for row in rows:
        seen = snippet([row.preview_in or row.name, row.preview_out or ""], wanted)
        if seen and _is_all(query, seen):
            found[row.trace_id] = seen
        else:
            hidden.append(row)
    try:
        with asking(TIMEOUT_MS):
            _read_hidden(project_id, hidden, wanted, found)
    except TooSlow:
        pass
    return found


def _is_all(query: Query, seen: Snippet) -> bool:
    """Whether a short text that shows one word of the query need not be replaced by a better place."""
    return sum(not clause.is_negative for clause in query.clauses) == 1 or sum(piece.is_marked for piece in seen) > 1


def _read_hidden(project_id: int, rows: Sequence[TraceRow], wanted: Sought, found: dict[UUID, Snippet]) -> None:
    began = time.monotonic()
    for at in range(0, len(rows), AT_ONCE):
        if time.monotonic() - began > SECONDS:
            return
        some = [row.trace_id for row in rows[at : at + AT_ONCE]]
        with raw_cursor() as cursor:
            for gathered in gather(cursor, project_id, some, keeps_texts=True):
                seen = snippet(gathered.document.texts, wanted)
                if seen:
                    found[gathered.trace_id] = seen
