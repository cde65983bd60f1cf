"""One request's worth of telemetry on its way into the database, and the row that accounts for it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from psycopg import Cursor

from telltale.lib import clock
from traces.meters import Meter

EXAMPLE_MAX = 300


@dataclass(slots=True)
class Batch:
    """Who sent what, when. `batch_id` grows with time and needs no sequence."""

    project_id: int
    key_id: int
    source: str  # traces, logs, metrics, native
    received_at: datetime
    body_bytes: int
    batch_id: int = field(default_factory=lambda: new_id())


@dataclass(slots=True)
class Outcome:
    """What became of a request: `received == stored + duplicate + rejected + dropped`, always."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: dict[str, tuple[int, str]] = field(default_factory=dict)  # reason code -> (n, example)
    dropped: dict[str, int] = field(default_factory=dict)
    first_us: int | None = None
    last_us: int | None = None
    masked: Mapping[str, int] = field(default_factory=dict)  # rule -> how often
    calls: dict[str, Meter] = field(default_factory=dict)  # of models, by label: for counters

    def reject(self, reason: str, message: str, count: int = 1) -> None:
        """Count `count` rejections for `reason`, keeping the first message as the example."""
        n, example = self.rejected.get(reason, (0, message))
        self.rejected[reason] = (n + count, example)

    @property
    def rejected_total(self) -> int:
        return sum(n for n, _ in self.rejected.values())

    @property
    def dropped_total(self) -> int:
        return sum(self.dropped.values())

    def message(self) -> str:
        """An English sentence on up to five reasons with their counts, at most 2 KB; "" where nothing was refused."""
        parts = [f"{n} rejected, {reason}: {example}" for reason, (n, example) in list(self.rejected.items())[:5]]
        return "; ".join(parts)[:2000]


def new_id() -> int:
    """A positive 63-bit id that grows with the millisecond."""
    return (time.time_ns() // 1_000_000) << 20 | secrets.randbits(20)


def first_id_at(at: datetime) -> int:
    """The id that no batch from `at` on is below, and every batch before it is."""
    return ((at - clock.EPOCH) // timedelta(milliseconds=1)) << 20


def write_batch_row(cursor: Cursor[Any], batch: Batch, outcome: Outcome) -> None:
    """Insert the accounting row in the caller's transaction, last, so that `committed_at` is close to the commit."""
    reasons: dict[str, Any] = {
        "rejected": {reason: [n, example[:EXAMPLE_MAX]] for reason, (n, example) in outcome.rejected.items()},
        "dropped": outcome.dropped,
    }
    if outcome.masked:
        reasons["masked"] = dict(outcome.masked)
    cursor.execute(
        """
        INSERT INTO traces_ingest_batch (
            batch_id, project_id, key_id, source, received_at, committed_at, body_bytes,
            received, stored, duplicate, rejected, dropped, reasons, first_started_at, last_started_at, calls
        ) VALUES (%s, %s, %s, %s, %s, clock_timestamp(), %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s::jsonb)
        """,
        (
            batch.batch_id,
            batch.project_id,
            batch.key_id,
            batch.source,
            batch.received_at,
            batch.body_bytes,
            outcome.received,
            outcome.stored,
            outcome.duplicate,
            outcome.rejected_total,
            outcome.dropped_total,
            orjson.dumps(reasons).decode(),
            None if outcome.first_us is None else clock.from_ns(outcome.first_us * 1000),
            None if outcome.last_us is None else clock.from_ns(outcome.last_us * 1000),
            # json: sums of hostile counts pass 64 bits.
            json.dumps({model: meter.packed() for model, meter in outcome.calls.items()}) if outcome.calls else None,
        ),
    )
