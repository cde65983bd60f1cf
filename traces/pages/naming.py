"""What the address of a page names: a trace, a span."""

from __future__ import annotations

from django.http import Http404

from telltale.projects.models import Project
from traces.read import TraceRow, find_trace, get_trace
from traces.wire.ids import span_id_from, trace_id_from


def trace_of(project: Project, text: str) -> TraceRow:
    """The trace of an address; Http404 where the project has none of this id."""
    is_hex = len(text) == 32 and text.isascii() and text.isalnum()
    found = None
    if is_hex:
        try:
            found = get_trace(project.pk, trace_id_from(text, "otlp")[0])
        except ValueError:
            found = None
    else:
        found = find_trace(project.pk, text)
    if found is None:
        raise Http404
    return found


def span_id_of(text: str) -> int | None:
    """The span that a part of an address names; None where it names none."""
    if not text or len(text) > 512:
        return None
    try:
        return span_id_from(text, "otlp")[0]
    except ValueError:
        return None
