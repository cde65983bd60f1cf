"""A list of traces as CSV or NDJSON, streamed so that a million rows take no more memory than a thousand."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson
from django.http import StreamingHttpResponse

from telltale.projects.models import Project
from traces.canonical.types import BUCKETS
from traces.forms import ListState
from traces.read import TraceRow, each_trace

FORMATS = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson; charset=utf-8"}
# A spreadsheet takes what begins like this for a formula. Numbers of ours begin with digits and stay numbers.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def export(project: Project, state: ListState, kind: str) -> StreamingHttpResponse:
    """The whole list as a download. Asks for the first rows at once, so that TooSlow comes before the answer begins."""
    rows = each_trace(project.pk, state.wanted, state.sort)
    first = next(rows, None)
    every = chain([first] if first else [], rows)
    lines = _csv(every) if kind == "csv" else _ndjson(every)
    response = StreamingHttpResponse(lines, content_type=FORMATS[kind])
    response["Content-Disposition"] = f'attachment; filename="{project.slug}-traces.{kind}"'
    return response


def record(row: TraceRow) -> dict[str, Any]:
    """A trace as an export has it: flat, unknown as null, money as exact decimal text."""
    tokens = dict(zip(BUCKETS, row.tokens, strict=True)) if row.has_tokens else dict.fromkeys(BUCKETS)
    return {
        "trace_id": row.hex_id,
        "foreign_trace_id": row.foreign_trace_id,
        "started_at": row.started_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
        "name": row.name,
        "duration_ms": row.duration_ms,
        "ttft_ms": row.ttft_ms,
        "spans": row.span_count,
        "generations": row.generation_count,
        "errors": row.error_count,
        "error_type": row.error_type,
        "finish_reason": row.finish_reason,
        "cost_usd": None if row.cost.usd is None else f"{row.cost.usd:f}",
        "cost_state": row.cost.state.value,
        "cost_reported_usd": None if row.cost.reported_usd is None else f"{row.cost.reported_usd:f}",
        "unpriced_spans": row.cost.unpriced,
        **tokens,
        "models": list(row.models),
        "feature": row.feature,
        "user_id": row.user_id,
        "session_id": row.session_id,
        "environment": row.environment,
        "release": row.release,
        "service": row.service,
        "prompt_name": row.prompt_name,
        "prompt_version": row.prompt_version,
        "tags": list(row.tags),
        "preview_in": row.preview_in,
        "preview_out": row.preview_out,
    }


def cell(value: Any) -> Any:
    """A CSV cell: lists joined, text that a spreadsheet would compute made text again by an apostrophe."""
    if isinstance(value, list):
        value = "; ".join(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _csv(rows: Iterator[TraceRow]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    names: list[str] | None = None
    for row in rows:
        values = record(row)
        if names is None:
            names = list(values)
            yield writer.writerow(names)
        yield writer.writerow([cell(value) for value in values.values()])


def _ndjson(rows: Iterator[TraceRow]) -> Iterator[bytes]:
    for row in rows:
        yield orjson.dumps(record(row)) + b"\n"
