"""REST: what a list of traces says of the text it was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from telltale.rest import shapes
from traces import indexing
from traces.api import trace_shapes
from traces.pages.found import match_json
from traces.read import TraceFilter, TraceRow
from traces.read.finding import is_text
from traces.read.matches import read_matches


class SnippetPieceShape(serializers.Serializer[Any]):
    text = serializers.CharField()
    is_match = serializers.BooleanField()


class SearchMatchShape(serializers.Serializer[Any]):
    trace_id = serializers.CharField()
    snippet = SnippetPieceShape(many=True)


class SearchShape(serializers.Serializer[Any]):
    """How far the search for `q` reached; null where `q` is absent or an id."""

    searched_until = serializers.DateTimeField(
        allow_null=True, help_text="What changed since then is not in the index; null: everything is in."
    )
    pending_traces = serializers.IntegerField(help_text="Traces that changed since; found by their row alone.")
    is_pending_exact = serializers.BooleanField(help_text="Whether there are no more of them.")
    is_backfilled = serializers.BooleanField(help_text="Whether traces from before the index are all in it.")
    backfilled_traces = serializers.IntegerField(allow_null=True)
    traces_to_backfill = serializers.IntegerField(allow_null=True)
    incomplete_traces = serializers.IntegerField(
        help_text="Traces of which only a part could be read, counted up to 1,000."
    )
    matches = SearchMatchShape(many=True, help_text="Where the items matched, as far as there was time to look.")


def trace_page() -> type[serializers.Serializer[Any]]:
    """The shape of a page of traces."""
    page = shapes.page_of(trace_shapes.TraceShape, "TracePage")
    return type("TracePage", (page,), {"search": SearchShape(allow_null=True)})


def search_json(project_id: int, wanted: TraceFilter, rows: Sequence[TraceRow]) -> dict[str, Any] | None:
    """How far the search reached, and where each row matched; None where no text was looked for."""
    if not is_text(wanted):
        return None
    progress = indexing.read_progress(project_id)
    state = progress.state
    return {
        "searched_until": state.since.isoformat() if state.since else None,
        "pending_traces": state.pending,
        "is_pending_exact": not state.is_more,
        "is_backfilled": state.is_backfilled,
        "backfilled_traces": progress.done,
        "traces_to_backfill": progress.total,
        "incomplete_traces": state.incomplete,
        "matches": [
            {"trace_id": trace_id.hex, "snippet": match_json(pieces)}
            for trace_id, pieces in read_matches(project_id, wanted.q, rows).items()
        ],
    }
