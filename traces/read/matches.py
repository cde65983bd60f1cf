"""Where a text was found in the traces of a page: a snippet of each, as far as there is time for it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import orjson
import zstandard

from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from traces.read.asking import TooSlow, asking
from traces.read.rows import TraceRow
from traces.read.texts import UNREADABLE
from traces.search.document import Document
from traces.search.marks import Piece, Sought, snippet, sought
from traces.search.query import Query, QueryError, parse

# Looking through a trace's bodies takes about 0.7 ms. A page takes so much longer for it and no more: what a few rows
# show is enough to see why they are there.
SECONDS = 0.01
ROWS_MAX = 15
PIECES_MAX = 40
PIECE_BYTES_MAX = 512 * 1024
TIMEOUT_MS = 300

Snippet = tuple[Piece, ...]


def read_matches(project_id: int, text: str, rows: Sequence[TraceRow], seconds: float = SECONDS) -> dict[UUID, Snippet]:
    """A snippet for those of `rows` whose first and last words show the match, and for the first others."""
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
    if hidden:
        with suppress(TooSlow), asking(TIMEOUT_MS):
            _look_into(project_id, hidden[:ROWS_MAX], wanted, found, seconds)
    return found


def _is_all(query: Query, seen: Snippet) -> bool:
    """Whether a short text that shows one word of the query need not be replaced by a better place."""
    return sum(not clause.is_negative for clause in query.clauses) == 1 or sum(piece.is_marked for piece in seen) > 1


def _look_into(
    project_id: int, rows: Sequence[TraceRow], wanted: Sought, found: dict[UUID, Snippet], seconds: float
) -> None:
    """Look for what is sought in the bodies of `rows`, in their order, until the time is over."""
    asked = {
        "project_id": project_id,
        "trace_ids": [row.trace_id for row in rows],
        "first": min(row.started_at for row in rows),
        "last": max(row.last_started_at for row in rows),
        "most_bytes": PIECE_BYTES_MAX,
        "limit": PIECES_MAX,
    }
    pieces: defaultdict[UUID, list[tuple[int, bytes]]] = defaultdict(list)
    with raw_cursor() as cursor:
        cursor.execute(load("traces", "search_matches"), asked, binary=True)
        for trace_id, raw_bytes, data in cursor.fetchall():
            pieces[trace_id].append((raw_bytes, data))
    began = time.monotonic()
    for row in rows:
        with suppress(*UNREADABLE):
            seen = snippet(_texts(pieces[row.trace_id]), wanted)
            if seen:
                found[row.trace_id] = seen
        if time.monotonic() - began > seconds:
            return


def _texts(pieces: Sequence[tuple[int, bytes]]) -> list[str]:
    document = Document(keeps_texts=True)
    unpack = zstandard.ZstdDecompressor()
    for raw_bytes, data in pieces:
        for body in orjson.loads(unpack.decompress(data, max_output_size=raw_bytes)).values():
            document.add_body(body)
    return document.texts
