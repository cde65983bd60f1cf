"""What a version of a prompt said, as far as its traces tell: the instructions of a model call, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from traces.canonical.types import Kind
from traces.read.asking import TooSlow
from traces.read.contents import read_told
from traces.read.filters import Term, TraceFilter
from traces.read.listing import Ask, list_traces
from traces.read.spans import SpanDetail

TEXT_MOST = 40_000
LOOKED_AT = 5
WITHIN = timedelta(days=30)
_TOLD_BY = {"system", "developer"}


@dataclass(frozen=True, slots=True)
class PromptText:
    """The instructions of one call with that version. `text` cut at `TEXT_MOST`; `parameters` as they were sent."""

    trace_id: UUID
    text: str
    parameters: Mapping[str, Any]


def prompt_text(project_id: int, name: str, version: str, before: datetime) -> PromptText | None:
    """What a version said in the newest of its traces before a moment; None where no trace tells."""
    terms = [Term("prompt_version", "is", (version,))]
    if name:
        terms.append(Term("prompt", "is", (name,)))
    wanted = TraceFilter(before - WITHIN, before, terms=tuple(terms))
    try:
        page = list_traces(project_id, wanted, ask=Ask(limit=LOOKED_AT, count=False))
        told = read_told(project_id, [row.trace_id for row in page.rows])
    except TooSlow:
        return None
    for row in page.rows:
        found = told.get(row.trace_id)
        for span in found.spans if found is not None else ():
            if span.span.kind == Kind.GENERATION and (text := _instructions(span)):
                return PromptText(row.trace_id, text[:TEXT_MOST], span.content.parameters or {})
    return None


def _instructions(span: SpanDetail) -> str:
    content = span.content
    parts = [part.text for part in content.system_instructions if part.type == "text" and part.text]
    if not parts:
        parts = [message.text() for message in content.input_messages if message.role in _TOLD_BY]
    return "\n\n".join(part for part in parts if part).strip()
