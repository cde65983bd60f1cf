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
NAMES = (
    "signal_id", "client_id", "kind", "vote", "name", "value_number", "value_bool", "value_label", "value_text",
    "comment", "target", "trace_id", "span_id", "session_id", "request_id", "feature", "author", "source",
    "happened_at", "is_dated", "received_at", "updated_at", "revision", "is_bound", "bound_at", "metadata",
)  # fmt: skip


def record(row: Signal) -> dict[str, Any]:
    """A signal as an export has it: flat, unknown as None."""
    return {
        "signal_id": str(row.id),
        "client_id": row.client_id,
        "kind": row.kind.name.lower(),
        "vote": _VOTES.get(row.vote or 0),
        "name": row.name,
        "value_number": row.number,
        "value_bool": row.truth,
        "value_label": row.label,
        "value_text": row.text,
        "comment": row.comment,
        "target": row.target.name.lower(),
        "trace_id": row.trace_id,
        "span_id": None if row.span_id is None else hex_span_id(row.span_id),
        "session_id": row.session_id,
        "request_id": row.request_id,
        "feature": row.feature,
        "author": row.author,
        "source": row.source.name.lower(),
        "happened_at": row.happened_at,
        "is_dated": row.is_dated,
        "received_at": row.received_at,
        "updated_at": row.updated_at,
        "revision": row.revision,
        "is_bound": row.bound_at is not None,
        "bound_at": row.bound_at,
        "metadata": None if row.metadata is None else orjson.dumps(row.metadata).decode(),
    }


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
