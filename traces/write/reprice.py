"""Putting new costs in the place of old ones: spans and the sums of their traces together, under the traces' locks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor
from psycopg.rows import dict_row

from telltale.lib.clock import EPOCH
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from traces.canonical.types import BUCKETS, CostStatus, Kind, SpanFlag
from traces.cost.book import PriceBook
from traces.cost.pricing import Cost, cost_of
from traces.cost.reprice import Difference, Priced, difference, is_changed
from traces.write import feed
from traces.write.batch import first_id_at

# A slice: 200 traces, fewer where they have many spans. Of 10 spans each it is compared in 80 ms and applied in 130.
SLICE_TRACES = 200
SLICE_SPANS = 5_000
# A batch takes its id before it is committed; a large one is stored for half a minute.
IN_FLIGHT = timedelta(minutes=1)
MOVED_MAX = timedelta(days=7)
_STATUS_COLUMN = {
    CostStatus.PRICED: "priced_count",
    CostStatus.UNPRICED: "unpriced_count",
    CostStatus.UNKNOWN_USAGE: "unknown_usage_count",
    CostStatus.PARTIAL: "partial_count",
    CostStatus.UPPER_BOUND: "upper_bound_count",
}
_LOCK = """
    SELECT trace_id, started_at, last_started_at FROM traces_trace
    WHERE project_id = %s AND trace_id = ANY(%s)
    ORDER BY trace_id
    FOR UPDATE
"""

Position = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class TraceBounds:
    """A trace and between which starts its spans lie."""

    trace_id: UUID
    started_at: datetime
    last_started_at: datetime


@dataclass(frozen=True, slots=True)
class _Pair:
    """A span with what it costs now and what it would cost."""

    row: dict[str, Any]
    old: Priced
    new: Priced
    cost: Cost
    flags: int


def next_traces(
    project_id: int, start: datetime, end: datetime, after: Position | None
) -> tuple[list[TraceBounds], Position | None]:
    """The next slice of traces that started in [start, end), newest first, and the position behind it."""
    return _slice("reprice_traces", {"project_id": project_id, "start": start, "end": end}, after)


def next_moved(
    project_id: int, start: datetime, ordered_at: datetime, after: Position | None
) -> tuple[list[TraceBounds], Position | None]:
    """The next slice of traces that started at `start` or later when a job was ordered and start before it by now.

    Some that moved in the minute before the order may be among them, and none that moved back by over `MOVED_MAX`.
    """
    settled_at = ordered_at - IN_FLIGHT
    asked = {
        "project_id": project_id,
        "start": start,
        "lowest": start - MOVED_MAX,
        "ordered_at": settled_at,
        "batch_id": first_id_at(settled_at),
    }
    return _slice("reprice_moved", asked, after)


def _slice(name: str, asked: dict[str, Any], after: Position | None) -> tuple[list[TraceBounds], Position | None]:
    asked |= {
        "after_at": after[0] if after else None,
        "after_id": after[1] if after else None,
        "traces": SLICE_TRACES,
    }
    taken: list[TraceBounds] = []
    spans = 0
    position = None
    with raw_cursor() as cursor:
        cursor.execute(load("traces", name), asked)
        for trace_id, started_at, last_started_at, span_count in cursor.fetchall():
            if taken and spans + span_count > SLICE_SPANS:
                break
            taken.append(TraceBounds(trace_id, started_at, last_started_at))
            spans += span_count
            position = (started_at, trace_id)
    return taken, position


def compare(project_id: int, traces: Sequence[TraceBounds], models: Sequence[str], book: PriceBook) -> Difference:
    """What `book` would change in these traces. Nothing is changed."""
    with raw_cursor(dict_row) as cursor:
        pairs = list(_pairs(_spans(cursor, project_id, traces, models), book))
    return difference([pair.old for pair in pairs], [pair.new for pair in pairs])


def apply(
    project_id: int,
    trace_ids: Iterable[UUID],
    models: Sequence[str],
    read_book: Callable[[], PriceBook],
    *,
    may_be_done: bool = False,
) -> Difference:
    """Put the costs of a book into these traces, in the caller's transaction; what that changed.

    Where these traces `may_be_done` already, spans that have the costs of the book are not told again.

    The trace rows are locked first, in order of id, as storing spans does: whoever adds spans to one of them waits, or
    is waited for, and no sum is taken from what another is changing. The book is read under the locks, so that it is
    not older than the one any stored span was priced with.
    """
    with raw_cursor(dict_row) as cursor:
        cursor.execute(_LOCK, (project_id, sorted(trace_ids)))
        traces = [TraceBounds(**row) for row in cursor.fetchall()]
        pairs = list(_pairs(_spans(cursor, project_id, traces, models), read_book()))
        changed = [pair for pair in pairs if is_changed(pair.old, pair.new) or pair.flags != pair.row["flags"]]
        if changed:
            _write(cursor, project_id, changed)
    told = changed if may_be_done else pairs
    return difference([pair.old for pair in told], [pair.new for pair in told])


def _spans(
    cursor: Cursor[dict[str, Any]], project_id: int, traces: Sequence[TraceBounds], models: Sequence[str]
) -> list[dict[str, Any]]:
    if not traces:
        return []
    asked = {
        "project_id": project_id,
        "trace_ids": [trace.trace_id for trace in traces],
        "oldest": min(trace.started_at for trace in traces),
        "newest": max(trace.last_started_at for trace in traces),
        "models": list(models) or None,
    }
    cursor.execute(load("traces", "reprice_spans"), asked)
    return cursor.fetchall()


def _pairs(rows: Iterable[dict[str, Any]], book: PriceBook) -> Iterator[_Pair]:
    for row in rows:
        cost = cost_of(
            book,
            kind=Kind(row["kind"]),
            provider=row["provider"],
            model_answered=row["model_answered"],
            model_requested=row["model_requested"],
            tier=row["service_tier"],
            started_us=_micros(row["started_at"]),
            duration_ns=row["duration_ns"],
            tokens=tuple(row[bucket] for bucket in BUCKETS),
            cache_unknown=bool(row["flags"] & SpanFlag.CACHE_UNKNOWN),
        )
        model = row["model_answered"] or row["model_requested"]
        old = Priced(model, CostStatus(row["cost_status"]), row["cost_pico"], row["price_id"], row["counted"])
        price_id = None if cost.match is None else cost.match.row.price_id
        new = Priced(model, cost.status, cost.pico, price_id, row["counted"])
        flags = row["flags"] & ~SpanFlag.IMPLAUSIBLE_COST
        yield _Pair(row, old, new, cost, int(flags | SpanFlag.IMPLAUSIBLE_COST if cost.implausible else flags))


def _write(cursor: Cursor[dict[str, Any]], project_id: int, changed: Sequence[_Pair]) -> None:
    starts = [pair.row["started_at"] for pair in changed]
    spans = [
        {
            "trace_id": str(pair.row["trace_id"]),
            "span_id": pair.row["span_id"],
            "started_at": pair.row["started_at"].isoformat(),
            "cost_status": pair.cost.status,
            "cost_pico": pair.cost.pico,
            "cost_parts": pair.cost.parts,
            "price_id": pair.new.price_id,
            "model_priced": None if pair.cost.match is None else pair.cost.match.model,
            "flags": pair.flags,
        }
        for pair in changed
    ]
    cursor.execute(
        load("traces", "reprice_update_spans"),
        {"project_id": project_id, "rows": _json(spans), "oldest": min(starts), "newest": max(starts)},
    )
    told = (feed.Consumer.ROLL_UP, feed.Consumer.BEHAVIOUR)
    feed.tell(cursor, project_id, {pair.row["trace_id"] for pair in changed}, told)
    cursor.execute(
        load("traces", "reprice_update_traces"), {"project_id": project_id, "rows": _json(_trace_rows(changed))}
    )


def _trace_rows(changed: Sequence[_Pair]) -> list[dict[str, Any]]:
    sums: dict[UUID, Counter[str]] = {}
    recount: set[UUID] = set()
    for pair in changed:
        trace_id = pair.row["trace_id"]
        of_trace = sums.setdefault(trace_id, Counter())
        if pair.flags != pair.row["flags"]:
            recount.add(trace_id)
        if not pair.row["counted"]:
            continue
        of_trace["cost_pico"] += (pair.new.cost_pico or 0) - (pair.old.cost_pico or 0)
        for status, sign in ((pair.old.status, -1), (pair.new.status, 1)):
            if status is not None:
                of_trace[_STATUS_COLUMN[status]] += sign
    return [
        {
            "trace_id": str(trace_id),
            "cost_pico": str(of_trace["cost_pico"]),
            **{column: of_trace[column] for column in _STATUS_COLUMN.values()},
            "recount_flags": trace_id in recount,
        }
        for trace_id, of_trace in sums.items()
    ]


def _micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def _json(rows: Any) -> str:
    return orjson.dumps(rows).decode()
