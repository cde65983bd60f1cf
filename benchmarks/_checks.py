"""What must hold of a store after anything: acknowledged spans once, sums equal to SQL, an account that adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg
import zstandard

SpanKey = bytes  # trace id and span id, 24 bytes

PENDING = 512
SUMS = {
    "span_count": "count(*)",
    "generation_count": f"count(*) FILTER (WHERE kind = 1 AND flags & {PENDING} = 0)",
    "error_count": f"count(*) FILTER (WHERE status = 2 AND flags & {PENDING} = 0)",
    "priced_count": "count(*) FILTER (WHERE counted AND cost_status = 1)",
    "unpriced_count": "count(*) FILTER (WHERE counted AND cost_status = 2)",
    "unknown_usage_count": "count(*) FILTER (WHERE counted AND cost_status = 3)",
    "partial_count": "count(*) FILTER (WHERE counted AND cost_status = 4)",
    "upper_bound_count": "count(*) FILTER (WHERE counted AND cost_status = 5)",
    "duplicate_count": (
        "count(*) FILTER (WHERE NOT counted AND (duplicate_of_span IS NOT NULL OR count_reason IS NOT NULL))"
    ),
    "cost_pico": "coalesce(sum(cost_pico) FILTER (WHERE counted), 0)",
    "cost_reported_pico": "sum(cost_reported_pico) FILTER (WHERE counted)",
    "started_at": "min(started_at)",
    "last_started_at": "max(started_at)",
    "ended_at": "max(started_at + (duration_ns / 1000) * interval '1 microsecond')",
} | {
    bucket: f"coalesce(sum({bucket}) FILTER (WHERE counted), 0)"
    for bucket in (
        "input_fresh", "input_cache_read", "input_cache_write_5m", "input_cache_write_1h", "input_audio",
        "output_text", "output_reasoning", "output_audio",
    )
}  # fmt: skip
SAFE_SETTINGS = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@dataclass(slots=True)
class Finding:
    """One thing that was looked at; `problems` is empty where it holds."""

    name: str
    looked_at: int
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.problems


def compare_spans(stored: Counter[SpanKey], acked: set[SpanKey], sent: set[SpanKey]) -> list[Finding]:
    """Acknowledged spans are there once, the others at most once, and nothing is there that nobody sent."""
    lost = acked - stored.keys()
    twice = [key for key, count in stored.items() if count > 1]
    strange = stored.keys() - sent
    return [
        Finding("acknowledged spans are stored", len(acked), _some("lost", lost)),
        Finding("no span is stored twice", len(stored), _some("stored more than once", twice)),
        Finding("every stored span was sent", len(stored), _some("never sent", strange)),
    ]


def _some(what: str, keys: Iterable[SpanKey]) -> list[str]:
    found = sorted(keys)
    return [f"{len(found)} {what}, such as {found[0][:16].hex()}/{found[0][16:].hex()}"] if found else []


def stored_spans(connection: psycopg.Connection[Any]) -> Counter[SpanKey]:
    """How often each span is stored."""
    rows = connection.execute("SELECT trace_id, span_id FROM traces_span")
    return Counter(trace_id.bytes + span_id.to_bytes(8, signed=True) for trace_id, span_id in rows)


def check_sums(connection: psycopg.Connection[Any]) -> Finding:
    """Every trace row equals SQL over its spans; no trace without spans, no span without a trace."""
    sums = ", ".join(f"{expression} AS {name}" for name, expression in SUMS.items())
    differences = ", ".join(f"count(*) FILTER (WHERE t.{name} IS DISTINCT FROM s.{name})" for name in SUMS)
    query = f"""
        WITH s AS (SELECT project_id, trace_id, {sums} FROM traces_span GROUP BY project_id, trace_id)
        SELECT count(*), count(*) FILTER (WHERE s.trace_id IS NULL), count(*) FILTER (WHERE t.trace_id IS NULL),
               {differences}
        FROM s FULL JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id
    """
    row = connection.execute(query.encode()).fetchone()
    traces, hollow, orphaned, *counts = row or (0, 0, 0)
    problems = [f"{name} differs on {count} traces" for name, count in zip(SUMS, counts, strict=True) if count]
    if hollow:
        problems.append(f"{hollow} traces have no spans")
    if orphaned:
        problems.append(f"the spans of {orphaned} traces have no trace row")
    return Finding("trace rows equal SQL over their spans", traces, problems)


def check_account(connection: psycopg.Connection[Any], *, is_folded: bool = True) -> Finding:
    """Each batch adds up, together they are the stored spans, and the hours are the batches."""
    batches, unequal, stored, received = _row(
        connection,
        """
        SELECT count(*), count(*) FILTER (WHERE received <> stored + duplicate + rejected + dropped),
               coalesce(sum(stored), 0), coalesce(sum(received), 0)
        FROM traces_ingest_batch WHERE source IN ('traces', 'native')
        """,
    )
    (spans,) = _row(connection, "SELECT count(*) FROM traces_span")
    problems = []
    if unequal:
        problems.append(f"{unequal} batches do not add up")
    if stored != spans:
        problems.append(f"batches say {stored} stored, {spans} spans are there")
    if is_folded:
        (in_hours,) = _row(
            connection, "SELECT coalesce(sum(received), 0) FROM traces_ingest_hour WHERE source IN ('traces', 'native')"
        )
        (still_open,) = _row(
            connection,
            "SELECT coalesce(sum(received), 0) FROM traces_ingest_batch "
            "WHERE NOT accounted AND source IN ('traces', 'native')",
        )
        if in_hours + still_open != received:
            problems.append(f"hours hold {in_hours} and open batches {still_open} of {received} received spans")
    return Finding("received = stored + duplicate + rejected + dropped", batches, problems)


def check_bodies(connection: psycopg.Connection[Any], limit: int = 5000) -> Finding:
    """Spans that name a payload find their own body in it (all are looked up, `limit` payloads are opened)."""
    (missing,) = _row(
        connection,
        """
        SELECT count(*) FROM traces_span AS s
        WHERE s.payload_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM traces_payload AS p
            WHERE p.project_id = s.project_id AND p.trace_id = s.trace_id AND p.payload_id = s.payload_id
        )
        """,
    )
    problems = [f"{missing} spans name a payload that is not there"] if missing else []
    rows = connection.execute(
        """
        SELECT p.data, array_agg(s.span_id)
        FROM (SELECT * FROM traces_payload ORDER BY payload_id LIMIT %s) AS p
        JOIN traces_span AS s USING (project_id, trace_id, payload_id)
        GROUP BY p.project_id, p.trace_id, p.payload_id, p.started_at, p.data
        """,
        (limit,),
    ).fetchall()
    without = sum(not _holds(data, span_ids) for data, span_ids in rows)
    if without:
        problems.append(f"{without} payloads lack the body of one of their spans")
    return Finding("every span finds its body", len(rows), problems)


def _holds(data: bytes, span_ids: list[int]) -> bool:
    bodies = orjson.loads(zstandard.ZstdDecompressor().decompress(data))
    return all(span_id.to_bytes(8, signed=True).hex() in bodies for span_id in span_ids)


def check_settings(connection: psycopg.Connection[Any]) -> Finding:
    """The database's durability is at its defaults, and no table forgets its rows in a crash."""
    problems = []
    for name, wanted in SAFE_SETTINGS.items():
        (value,) = _row(connection, f"SELECT current_setting('{name}')")
        if value != wanted:
            problems.append(f"{name} is {value}")
    (unlogged,) = _row(connection, "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u'")
    if unlogged:
        problems.append(f"{unlogged} tables are UNLOGGED")
    return Finding("durability settings are safe", len(SAFE_SETTINGS), problems)


def _row(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query.encode()).fetchone()
    if row is None:
        raise RuntimeError("the query gave no row")
    return row
