"""Removing what a project, a user, a session or a trace has in this room, and refusing what comes late of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from psycopg import Cursor

from telltale.lib.rows import list_leaves as leaves_of
from traces.canonical.text import clean_text, cut_text
from traces.folding import rates_of
from traces.write import erased, erasing, late, search_merge
from traces.write.erase import erase_slice, list_leaves
from traces.write.erased import MESSAGE, Gone, What, count_refused, find_gone, has_erased, key_of
from traces.write.rollups import Busy, holding

__all__ = [
    "MESSAGE", "Busy", "Gone", "What", "begin", "count_refused", "count_traces", "end", "erase_project", "find_gone",
    "find_in_spans", "find_own_sessions", "find_parts", "find_traces", "forget_duplicates", "has_erased", "holding",
    "key_of", "lift", "open_late", "peek_late", "purge_search", "refuse", "remove_names", "remove_origins",
    "remove_traces", "span_leaves", "spelled", "sweep_refused", "take_late",
]  # fmt: skip

# Ids are cut to so many bytes on the way in.
INDEXED_BYTES = 1024
begin, end, lift, refuse, sweep_refused = erased.begin, erased.end, erased.lift, erased.add, erased.sweep
find_traces, remove_names, remove_origins = erasing.find_of_trace_rows, erasing.remove_names, erasing.remove_origins
find_in_spans, forget_duplicates = erasing.find_in_leaf, erasing.forget_duplicates
count_traces, find_own_sessions = erasing.count_traces, erasing.find_own_sessions
open_late, peek_late, take_late, find_parts = late.open_projects, late.peek, late.take, late.find_parts


def spelled(name: str) -> str:
    """An id of a user or session as the door keeps it."""
    return cut_text(clean_text(name), INDEXED_BYTES)


def remove_traces(
    cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID]
) -> tuple[Counter[str], list[int]]:
    """Remove everything that hangs on these traces, inside of `holding`: rows by table, and their spans' origins."""
    return erasing.remove_traces(cursor, project_id, trace_ids, rates_of(project_id))


def span_leaves(cursor: Cursor[Any]) -> list[str]:
    """Where spans lie, to be looked through one by one."""
    return leaves_of(cursor, "traces_span")


def purge_search(project_id: int) -> int:
    """Rewrite what the search index keeps of text that was let go of; how many pieces are left that could not be."""
    search_merge.purge(project_id)
    return search_merge.unpurged(project_id)


def erase_project(project_id: int) -> Iterator[int]:
    """Remove every row of the project, telling after each slice how many went; the project itself stays.

    Safe to stop anywhere and to repeat. What arrives meanwhile is removed as well: it ends when a whole round finds
    nothing, so the project's keys should be revoked first.
    """
    removed, found = 0, True
    while found:
        found = False
        for leaf in list_leaves():
            while gone := erase_slice(leaf, project_id):
                found = True
                removed += gone
                yield removed
