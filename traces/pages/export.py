"""Any list as a CSV or NDJSON file, streamed in pieces: a million rows take no more memory than a thousand.

    response = download(f"{project.slug}-traces", "csv", NAMES, (record(row) for row in rows))

`records` read themselves in pieces, each in a transaction of its own: no snapshot stands while somebody downloads. The
first record is read before the answer begins, so that what goes wrong at once (TooSlow) is answered as on the page;
what goes wrong later cuts the connection, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.http import HttpResponse, HttpResponseBase

from telltale.audit.downloads import ListFile
from telltale.lib.patience import answer_within
from telltale.lib.spreadsheet import plain_text
from telltale.projects.models import Project
from telltale.rest import form
from traces.canonical.types import BUCKETS
from traces.extras import ExtraColumn, find_column
from traces.read import TraceFilter, TraceRow, each_trace

FORMATS = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson; charset=utf-8"}
# Lines are handed on in pieces of about this size: one by one they cost a system call each.
PIECE_BYTES = 128 * 1024
# Of a process' threads a quarter may be busy with files; somebody who reads slowly holds one for as long.
AT_A_TIME = max(1, int(settings.TELLTALE_WEB_THREADS) // 4)
RETRY_AFTER_SECONDS = 10
# Reading one piece from the database, and the whole of a file.
PIECE_SECONDS = 30.0
WHOLE_SECONDS = 3600.0
_slots = threading.BoundedSemaphore(AT_A_TIME)


class Busy(Exception):
    """As many files as may be are being sent already; try again in `RETRY_AFTER_SECONDS`."""


class CutShort(Exception):
    """A file took longer than any may; its connection is cut."""


def download(
    name: str, kind: str, columns: Sequence[str], records: Iterator[Mapping[str, Any]], *, is_head: bool = False
) -> HttpResponseBase:
    """All `records` as the file `<name>.<kind>`; `kind` is a key of FORMATS, `columns` are the keys of every record.

    Values: text, whole numbers, floats, Decimal (exact), bool, aware datetimes (UTC), UUID, lists of text, and None for
    unknown (empty, null). Raises Busy, and whatever reading the first record raises. The audit log has its end.
    """
    response: HttpResponseBase
    if is_head:
        response = HttpResponse(content_type=FORMATS[kind])
    else:
        pieces = _Pieces(kind, columns, records)
        response = ListFile(pieces, lambda: pieces.rows, content_type=FORMATS[kind])
    response["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    # What a proxy keeps back until it has all of it would be no stream.
    response["X-Accel-Buffering"] = "no"
    return response


def busy_response(what: str = "file") -> HttpResponse:
    """The answer to Busy on a page: 503 in words, with Retry-After."""
    words = f"Other files are being downloaded just now. This {what} can be had in {RETRY_AFTER_SECONDS} seconds.\n"
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return HttpResponse(words, status=503, content_type="text/plain; charset=utf-8", headers=headers)


class _Pieces:
    """The file piece by piece. Holds one of the slots until it ends, is closed, or is thrown away."""

    def __init__(self, kind: str, columns: Sequence[str], records: Iterator[Mapping[str, Any]]) -> None:
        self._holds = False
        # Handed on so far.
        self.rows = 0
        self._taken_from = _slots
        if not self._taken_from.acquire(blocking=False):
            raise Busy
        self._holds = True
        self._columns = tuple(columns)
        self._records = records
        self._write = self._csv_lines if kind == "csv" else self._json_lines
        self._writer = csv.writer(_Echo())
        self._ends_at = time.monotonic() + WHOLE_SECONDS
        try:
            head = [str(self._writer.writerow(self._columns)).encode()] if kind == "csv" else []
            first = next(records, None)
            self._waiting = [*head, *([self._line(first)] if first is not None else [])]
            self._ready = int(first is not None)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._holds:
            raise StopIteration
        if time.monotonic() > self._ends_at:
            self.close()
            raise CutShort
        lines, self._waiting = self._waiting, []
        rows, self._ready = self._ready, 0
        size = sum(map(len, lines))
        try:
            with answer_within(PIECE_SECONDS):
                while size < PIECE_BYTES:
                    record = next(self._records, None)
                    if record is None:
                        self.close()
                        break
                    lines.append(self._line(record))
                    rows += 1
                    size += len(lines[-1])
        except BaseException:
            self.close()
            raise
        if not lines:
            raise StopIteration
        self.rows += rows
        return b"".join(lines)

    def close(self) -> None:
        """Give the slot back and let go of what is read from. Safe to call twice."""
        if self._holds:
            self._holds = False
            self._taken_from.release()
            close = getattr(self._records, "close", None)
            if close is not None:
                close()

    def __del__(self) -> None:
        if getattr(self, "_holds", False):
            self.close()

    def _line(self, record: Mapping[str, Any]) -> bytes:
        return self._write(record)

    def _csv_lines(self, record: Mapping[str, Any]) -> bytes:
        return str(self._writer.writerow([cell(record[name]) for name in self._columns])).encode()

    def _json_lines(self, record: Mapping[str, Any]) -> bytes:
        return orjson.dumps({name: _json(record[name]) for name in self._columns}, option=orjson.OPT_APPEND_NEWLINE)


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def cell(value: Any) -> Any:
    """A CSV cell: unknown is empty, lists are joined, text that a spreadsheet would compute gets an apostrophe."""
    write = _CELLS.get(type(value))
    return value if write is None else write(value)


def _list_cell(values: Sequence[Any]) -> str:
    return plain_text("; ".join(map(str, values)))


# By type, for a million rows have forty million values. Numbers and None the writer of CSV knows itself.
_CELLS: dict[type, Callable[[Any], Any]] = {
    str: plain_text,
    list: _list_cell,
    tuple: _list_cell,
    bool: lambda value: "true" if value else "false",
    Decimal: lambda value: f"{value:f}",
    datetime: form.moment,
    UUID: lambda value: value.hex,
}
_JSONS: dict[type, Callable[[Any], Any]] = {
    Decimal: lambda value: f"{value:f}",
    datetime: form.moment,
    UUID: lambda value: value.hex,
    # JSON has whole numbers of any size, orjson writes them up to 64 bits.
    int: lambda value: value if -(2**63) <= value < 2**63 else str(value),
}


def _json(value: Any) -> Any:
    write = _JSONS.get(type(value))
    return value if write is None else write(value)


def export_traces(
    project: Project,
    wanted: TraceFilter,
    sort: str,
    kind: str,
    *,
    columns: Sequence[str] = (),
    is_head: bool = False,
) -> HttpResponseBase:
    """All traces of a list as a download; those of `columns` that rooms above bring stand behind its own."""
    more = [column for key in columns if (column := find_column(key)) is not None and column.values is not None]
    records = iter(()) if is_head else _records(project, each_trace(project.pk, wanted, sort), more)
    names = (*NAMES, *(column.key for column in more))
    return download(f"{project.slug}-traces", kind, names, records, is_head=is_head)


def _records(project: Project, rows: Iterator[TraceRow], more: Sequence[ExtraColumn]) -> Iterator[dict[str, Any]]:
    while chunk := list(islice(rows, CHUNK)):
        ids = [row.trace_id for row in chunk]
        values = {column.key: column.values(project, ids) for column in more if column.values is not None}
        for row in chunk:
            yield record(row) | {key: found.get(row.trace_id) for key, found in values.items()}


# Traces whose further columns are read together.
CHUNK = 500
NAMES = (
    "trace_id", "foreign_trace_id", "started_at", "ended_at", "name", "duration_ms", "ttft_ms", "spans", "generations",
    "errors", "error_type", "finish_reason", "cost_usd", "cost_state", "cost_reported_usd", "unpriced_spans", *BUCKETS,
    "models", "feature", "user_id", "session_id", "environment", "release", "service", "prompt_name", "prompt_version",
    "tags", "preview_in", "preview_out",
)  # fmt: skip
_NO_TOKENS: dict[str, int | None] = dict.fromkeys(BUCKETS)


def record(row: TraceRow) -> dict[str, Any]:
    """A trace as an export has it: flat, unknown as None, money exact."""
    return {
        "trace_id": row.hex_id,
        "foreign_trace_id": row.foreign_trace_id,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "name": row.name,
        "duration_ms": row.duration_ms,
        "ttft_ms": row.ttft_ms,
        "spans": row.span_count,
        "generations": row.generation_count,
        "errors": row.error_count,
        "error_type": row.error_type,
        "finish_reason": row.finish_reason,
        "cost_usd": row.cost.usd,
        "cost_state": row.cost.state.value,
        "cost_reported_usd": row.cost.reported_usd,
        "unpriced_spans": row.cost.unpriced,
        **(dict(zip(BUCKETS, row.tokens, strict=True)) if row.has_tokens else _NO_TOKENS),
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
