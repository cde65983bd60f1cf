"""The physical floor on this machine: what one process needs to decode spans, flatten them and COPY them, no more.

It writes a flat, day-partitioned table with the product's span key and one index by time into the same PostgreSQL, with
the same durability. No authentication, no cost, no trace sums, no repeats, no clean-up of text. Large texts are stored
by the fastest way that the server has (lz4, or no compression): a slow floor would flatter us.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from psycopg.types.json import Jsonb

from benchmarks.corpus import Batch

SCHEMA = "bench_floor"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = {
    "project_id": "int4", "trace_id": "uuid", "span_id": "int8", "started_at": "timestamptz", "parent_span_id": "int8",
    "duration_ns": "int8", "kind": "text", "name": "text", "status": "int2", "model": "text", "session_id": "text",
    "user_id": "text", "tokens_in": "int8", "tokens_out": "int8", "input": "text", "output": "text",
    "attributes": "jsonb", "events": "jsonb",
}  # fmt: skip
COPY = f"COPY {SCHEMA}.span ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)".encode()
LARGE = ("input", "output", "attributes")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Floor:
    """Spans a second."""

    decode_flatten: float
    batches: float  # F512: decode + flatten + COPY of the bodies, one process, one commit a body
    small_commits: float  # F9: COPY alone, one connection, a commit every nine rows
    storage: str


def value_of(value: Any) -> Any:
    """The Python value of an OTLP attribute."""
    which = value.WhichOneof("value")
    if which == "array_value":
        return [value_of(each) for each in value.array_value.values]
    return getattr(value, which) if which else None


def flatten(body: bytes) -> list[Row]:
    """The rows of one request."""
    rows: list[Row] = []
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                found = {item.key: value_of(item.value) for item in span.attributes}
                take = found.pop
                parent = span.parent_span_id
                events = [
                    {"name": event.name, "at": event.time_unix_nano}
                    | {item.key: value_of(item.value) for item in event.attributes}
                    for event in span.events
                ]
                rows.append(
                    (
                        1,
                        UUID(bytes=span.trace_id),
                        int.from_bytes(span.span_id, signed=True),
                        EPOCH + timedelta(microseconds=span.start_time_unix_nano // 1000),
                        int.from_bytes(parent, signed=True) if parent else None,
                        span.end_time_unix_nano - span.start_time_unix_nano,
                        take("openinference.span.kind", None),
                        span.name,
                        span.status.code,
                        take("gen_ai.request.model", None),
                        take("session.id", None),
                        take("user.id", None),
                        take("gen_ai.usage.input_tokens", None),
                        take("gen_ai.usage.output_tokens", None),
                        take("input.value", None),
                        take("output.value", None),
                        Jsonb(found, dumps=orjson.dumps),
                        Jsonb(events, dumps=orjson.dumps) if events else None,
                    )
                )
    return rows


def copy_rows(connection: psycopg.Connection[Any], rows: Sequence[Row]) -> None:
    """One COPY and its commit."""
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.set_types(list(COLUMNS.values()))
        for row in rows:
            copy.write_row(row)
    connection.commit()


@contextmanager
def empty_table(dsn: str, days: Sequence[datetime], storage: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection whose database has the empty floor table; both are gone afterwards."""
    with psycopg.connect(dsn) as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        statements = [
            f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE",
            f"CREATE SCHEMA {SCHEMA}",
            f"CREATE TABLE {SCHEMA}.span ({columns}, PRIMARY KEY (project_id, trace_id, span_id, started_at)) "
            "PARTITION BY RANGE (started_at)",
            f"CREATE INDEX ON {SCHEMA}.span (project_id, started_at DESC)",
            *(f"ALTER TABLE {SCHEMA}.span ALTER COLUMN {name} SET {storage}" for name in LARGE),
            *(
                f"CREATE TABLE {SCHEMA}.span_{day:%Y%m%d} PARTITION OF {SCHEMA}.span "
                f"FOR VALUES FROM ('{day.isoformat()}') TO ('{(day + timedelta(days=1)).isoformat()}')"
                for day in days
            ),
        ]
        for statement in statements:
            connection.execute(statement.encode())
        connection.commit()
        try:
            yield connection
        finally:
            connection.rollback()
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE".encode())
            connection.commit()


def fastest_storage(dsn: str) -> str:
    """The cheapest way for the server to keep large texts."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'").fetchone()
    return "COMPRESSION lz4" if row and row[0] and "lz4" in row[0] else "STORAGE EXTERNAL"


def measure(dsn: str, batches: Sequence[Batch], repeat: int = 3, small_rows: int = 9) -> Floor:
    """The best of `repeat` runs of each: what the machine can do, not what it did while somebody else worked."""
    storage = fastest_storage(dsn)
    rows = [row for batch in batches for row in flatten(batch.body)]
    days = sorted({row[3].replace(hour=0, minute=0, second=0, microsecond=0) for row in rows})
    few = rows[: max(small_rows, len(rows) // 4)]
    best: dict[str, float] = {"decode": 0.0, "batches": 0.0, "small": 0.0}
    for _ in range(repeat):
        began = time.perf_counter()
        for batch in batches:
            flatten(batch.body)
        best["decode"] = max(best["decode"], len(rows) / (time.perf_counter() - began))
        with empty_table(dsn, days, storage) as connection:
            began = time.perf_counter()
            for batch in batches:
                copy_rows(connection, flatten(batch.body))
            best["batches"] = max(best["batches"], len(rows) / (time.perf_counter() - began))
        with empty_table(dsn, days, storage) as connection:
            began = time.perf_counter()
            for at in range(0, len(few), small_rows):
                copy_rows(connection, few[at : at + small_rows])
            best["small"] = max(best["small"], len(few) / (time.perf_counter() - began))
    return Floor(best["decode"], best["batches"], best["small"], storage.split()[-1].lower())
