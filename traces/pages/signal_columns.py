"""The columns of the list of signals, what a file of it holds, and the column of signals in the list of traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from uuid import UUID

import orjson
from django.utils.safestring import SafeString, mark_safe

from telltale.projects.models import Project
from traces.extras import ExtraColumn
from traces.pages.addresses import write_id
from traces.pages.lists import Column, Page, below, text, when
from traces.pages.signal_view import brief_words, look, remarks
from traces.read.signal_list import SOURCE_WORDS, TARGET_WORDS
from traces.read.signals import Signal, signals_of_traces
from traces.signals.kinds import Kind, Source, Target
from traces.wire.ids import hex_span_id

# What a signal is as lists and files spell it, and as `kind` of the address takes it.
_VOTES = {1: "up", -1: "down"}
IN_CELL = 3


def target_href(row: Signal, base: str) -> str:
    """Where what a signal is about is shown; the list of its own kind where that is not here. `base`: /p/<slug>/."""
    if row.trace_id is not None and (row.bound_at is not None or row.target is not Target.REQUEST):
        span = f"?span={hex_span_id(row.span_id)}" if row.span_id is not None else ""
        return f"{base}traces/{row.trace_id.hex}/{span}#signals"
    if row.session_id is not None:
        return f"{base}sessions/{write_id(row.session_id)}/"
    return ""


def _happened(row: Signal, page: Page) -> str:
    return f'<td class="nowrap">{when(row.happened_at, page)}{below(row.feature or "")}</td>'


def _what(row: Signal, page: Page) -> str:
    css, _, title = look(row)
    said = "\n".join(part for part in (row.text, row.comment) if part)
    href = target_href(row, page.base) if row.bound_at is not None else ""
    mark = f'<span class="badge {css}">{text(title)}</span>'
    linked = f'<a class="rowlink" data-item href="{escape(href)}">{mark}</a>' if href else f"<span>{mark}</span>"
    words = f'<span class="clip2 mut" dir="auto">{text(said)}</span>' if said else ""
    return f'<td class="clip">{linked}{words}</td>'


def _about(row: Signal, page: Page) -> str:
    word = TARGET_WORDS[row.target]
    named = row.trace_id.hex[:8] if row.trace_id is not None else row.session_id or row.request_id or ""
    if row.target is Target.SESSION:
        named = row.session_id or ""
    state = "" if row.bound_at is not None else '<span class="badge watch">not here yet</span>'
    return f'<td class="nowrap" data-l="About">{word} <span class="mono cut">{text(named)}</span>{state}</td>'


def _user(row: Signal, page: Page) -> str:
    if row.author is None:
        return '<td class="nowrap" data-l="User"><span class="mut">unknown</span></td>'
    shown = text(row.author)
    href = f"{page.base}users/{escape(write_id(row.author))}/"
    return f'<td class="nowrap" data-l="User"><a class="cut" href="{href}" title="{shown}">{shown}</a></td>'


def _name(row: Signal, page: Page) -> str:
    shown = text(row.name)
    by = "" if row.source is Source.END_USER else f"by {SOURCE_WORDS[row.source]}"
    by = "sender not told" if row.source is Source.API else by
    return f'<td class="nowrap" data-l="Name"><span class="cut" title="{shown}">{shown}</span>{below(by)}</td>'


def _remarks(row: Signal, page: Page) -> str:
    shown = text(", ".join(words for words in remarks(row) if not words.endswith("not here yet")))
    return f'<td data-l="To know"><span class="small mut">{shown or "nothing"}</span></td>'


COLUMNS: tuple[Column[Signal], ...] = (
    Column("happened", "Happened", "happened_at", "w-time", _happened),
    Column("what", "What they did and said", "", "w-said", _what),
    Column("about", "About", "", "w-text", _about),
    Column("user", "User", "", "w-text", _user),
    Column("name", "Name as told", "", "w-text", _name),
    Column("remarks", "To know", "", "w-text", _remarks),
)
# As `GET /api/v1/signals?format=csv` has them, which a test compares.
NAMES = (
    "id", "client_id", "name", "kind", "value", "vote", "target", "trace_id", "span_id", "session_id", "request_id",
    "comment", "user_id", "source", "happened_at", "is_dated", "received_at", "updated_at", "revision", "state",
    "bound_at", "feature", "metadata",
)  # fmt: skip


def record(row: Signal) -> dict[str, Any]:
    """A signal as a file has it: flat, unknown as None."""
    values = (
        str(row.key), row.client_id, row.name, row.kind.name.lower(), row.value,
        None if row.vote is None else _VOTES.get(row.vote, "none"), TARGET_WORDS[row.target], row.trace_id,
        row.span_hex, row.session_id, row.request_id, row.comment, row.author, row.source.name.lower(),
        row.happened_at, row.is_dated, row.received_at, row.updated_at, row.revision, row.state, row.bound_at,
        row.feature,
        None if row.metadata is None else orjson.dumps(row.metadata).decode(),
    )  # fmt: skip
    return dict(zip(NAMES, values, strict=True))


def _by_trace(project: Project, trace_ids: Sequence[UUID]) -> dict[UUID, list[Signal]]:
    """What users did about each of these traces, newest first; numbers of somebody's evaluator are left out."""
    found = {
        trace_id: [row for row in rows if row.kind is not Kind.OUTSIDE]
        for trace_id, rows in signals_of_traces(project.pk, trace_ids).items()
    }
    return {trace_id: rows for trace_id, rows in found.items() if rows}


def _cells(project: Project, trace_ids: Sequence[UUID]) -> Mapping[UUID, SafeString]:
    cells = {}
    for trace_id, rows in _by_trace(project, trace_ids).items():
        looks = list(dict.fromkeys(look(row) for row in rows))
        lines = [f'<span class="badge {css}">{text(words)}</span>' for css, _, words in looks[:IN_CELL]]
        if len(looks) > IN_CELL:
            lines.append(f'<span class="mut">and {len(looks) - IN_CELL} more</span>')
        cells[trace_id] = mark_safe("<br>".join(lines))  # noqa: S308 - by `text`
    return cells


def _values(project: Project, trace_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    return {trace_id: brief_words(rows) for trace_id, rows in _by_trace(project, trace_ids).items()}


OF_TRACES = ExtraColumn("signals", "User signals", _cells, values=_values)
