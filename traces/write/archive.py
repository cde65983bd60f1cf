"""Reading traces out of an archive into the tables of this room, batch by batch; what is there stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import zstandard
from psycopg import Cursor

from telltale.lib.rowfiles import put_rows
from telltale.lib.rows import Table
from telltale.projects.models import Project
from traces.write import feed, partitions

# Rows that say by themselves which they are, in the order in which they are read.
PLAIN = (
    "traces_origin", "traces_trace", "traces_span", "traces_payload", "traces_span_log", "traces_comment",
    "traces_label", "traces_signal", "traces_metric_series", "traces_metric_point", "traces_metric_rollup",
    "traces_sighting",
)  # fmt: skip
# Rows that get another number here, parents first.
NUMBERED = ("traces_price", "traces_change")
_PACKED = {"traces_payload": b',"bodies":', "traces_span_log": b',"body":'}
_ZSTD_LEVEL = 3
_TRACE = re.compile(rb'"trace_id":"([0-9a-f-]{36})"')
_MOMENT = {
    table: re.compile(rb'"%b":"(\d{4})-(\d\d)-(\d\d)T' % column.encode())
    for table, column in partitions.TABLES.items()
    if table != "traces_search_block"
}


def read_in(
    cursor: Cursor[Any], table: Table, lines: Sequence[bytes], project_id: int, prices: Mapping[int, int]
) -> int:
    """Insert these lines of one of `PLAIN`; how many were new. Whoever sums or shows traces is told of theirs."""
    marker = _PACKED.get(table.name)
    if marker is not None:
        lines = [_packed(line, marker) for line in lines]
    ids = {"price_id": prices} if table.name == "traces_span" else None
    new = put_rows(cursor, table, lines, project_id, ids)
    if new and table.name in {"traces_trace", "traces_span", "traces_payload", "traces_span_log", "traces_signal"}:
        named = {UUID(match[1].decode()) for line in lines if (match := _TRACE.search(line))}
        feed.tell(cursor, project_id, named)
    return new


def make_days(table: str, lines: Sequence[bytes]) -> None:
    """Make the partitions that these lines need, before the transaction that inserts them."""
    moment = _MOMENT.get(table)
    if moment is not None:
        found = {match.groups() for line in lines if (match := moment.search(line))}
        partitions.ensure_days(table, [date(int(year), int(month), int(day)) for year, month, day in found])


def note_first(cursor: Cursor[Any], project_id: int) -> None:
    """The project has spans from now on, if it had none."""
    cursor.execute("SELECT min(started_at) FROM traces_trace WHERE project_id = %s", (project_id,))
    row = cursor.fetchone()
    if row and row[0] is not None:
        Project.objects.filter(pk=project_id, first_span_at=None).update(first_span_at=row[0])


def _packed(line: bytes, marker: bytes) -> bytes:
    head, found, rest = line.partition(marker)
    if not found:
        return line
    data = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_content_size=True).compress(rest[:-1])
    return head + b',"data":"\\\\x' + data.hex().encode() + b'"}'
