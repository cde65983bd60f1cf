"""What a list says of the text it was asked for: how far the search reached, and where each trace matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from telltale.lib import format as fmt
from telltale.projects.models import Project
from traces import indexing
from traces.read import TraceFilter, TracePage, TraceRow
from traces.read.finding import SORTED_MAX, is_text
from traces.read.matches import Snippet, read_matches
from traces.search.document import TEXT_CHARS_MAX

LIMIT_WORDS = f"{TEXT_CHARS_MAX // 1024} KB of text"


def search_notes(project: Project, wanted: TraceFilter, zone: ZoneInfo, now: datetime, page: TracePage) -> list[str]:
    """What a reader must know of the search: what it did not reach yet. Nothing where it reached everything."""
    if not is_text(wanted):
        return []
    progress = indexing.read_progress(project.pk)
    state = progress.state
    notes = []
    if state.since is not None:
        behind = _seconds(max((now - state.since).total_seconds(), 0))
        until = f"{state.since.astimezone(zone):%H:%M:%S}"
        one = state.pending == 1 and not state.is_more
        waiting = f"{'At least ' if state.is_more else ''}{state.pending:,} trace{'' if one else 's'}"
        as_now = "is not indexed as it is now" if one else "are not indexed as they are now"
        notes.append(
            f"Searched up to {until}, {behind} behind. {waiting} {as_now}; "
            "new ones are found by name, ids and first words."
        )
    if not state.is_backfilled:
        done = "" if not progress.total else f" {progress.done or 0:,} of {progress.total:,} are done."
        notes.append(f"Older traces are still being indexed.{done}")
    if not page.sort.endswith("started_at") and page.count is not None and page.count.n > SORTED_MAX:
        notes.append(f"More were found than are sorted: these are the newest {SORTED_MAX:,} in order.")
    if state.incomplete:
        n = "1,000 or more" if state.incomplete >= 1000 else f"{state.incomplete:,}"
        notes.append(
            f"{n} trace{'' if state.incomplete == 1 else 's'} could not be searched whole: of each, {LIMIT_WORDS} is."
        )
    return notes


def matches_html(project: Project, wanted: TraceFilter, rows: Sequence[TraceRow]) -> Mapping[UUID, str]:
    """Where each trace matched, as HTML; every text in it is escaped."""
    if not is_text(wanted):
        return {}
    return {trace_id: _html(pieces) for trace_id, pieces in read_matches(project.pk, wanted.q, rows).items()}


def match_json(pieces: Snippet) -> list[dict[str, Any]]:
    """A snippet as REST has it."""
    return [{"text": piece.text, "is_match": piece.is_marked} for piece in pieces]


def _html(pieces: Snippet) -> str:
    parts = []
    for piece in pieces:
        text = escape(fmt.visible(piece.text))
        parts.append(f"<mark>{text}</mark>" if piece.is_marked else text)
    return "".join(parts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
