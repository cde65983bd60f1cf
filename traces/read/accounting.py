"""The account of a project's ingest: what came, what became of it, and whether the sum holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import connection

from telltale.lib.sql import load

K = TypeVar("K")
HOUR = timedelta(hours=1)
# What one received thing is called, by source.
UNITS = {
    "traces": "spans", "native": "spans", "logs": "log records", "metrics": "metric points", "signals": "signals",
    # Of these only what was refused as erased is accounted for.
    "scores": "scores", "reviews": "labels", "items": "dataset items", "results": "results of experiments",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flow:
    """Sums of requests: received = stored + duplicate + rejected + dropped, or `missing` says by how much it is not.

    `lag_mean_ms` and `lag_max_ms` run from the first byte of a request to its commit; None where no request came.
    """

    requests: int = 0
    body_bytes: int = 0
    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    dropped: int = 0
    lag_mean_ms: float | None = None
    lag_max_ms: float | None = None

    @property
    def missing(self) -> int:
        """Received minus what is accounted for; anything but 0 is a fault of ours."""
        return self.received - self.stored - self.duplicate - self.rejected - self.dropped

    @property
    def is_whole(self) -> bool:
        return self.missing == 0


@dataclass(frozen=True, slots=True)
class HourFlow:
    hour: datetime
    flow: Flow
    spans: Flow  # the part of it that came as spans


@dataclass(frozen=True, slots=True)
class KeyFlow:
    key_id: int
    source: str
    flow: Flow


@dataclass(frozen=True, slots=True)
class SourceFlow:
    source: str
    unit: str
    flow: Flow


@dataclass(frozen=True, slots=True)
class Reason:
    """Things not stored for one reason: `outcome` is rejected or dropped."""

    key_id: int
    source: str
    outcome: str
    reason: str
    n: int
    last_example: str
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Masked:
    """How often a rule masked something of what came from a source, and when last."""

    source: str
    rule: str
    n: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Requests refused whole: nothing in them was counted."""

    source: str
    http_status: int
    reason: str
    n: int
    last_example: str
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """A project's ingest over the whole hours [start, end)."""

    start: datetime
    end: datetime
    spans: Flow  # what arrived as spans (traces and native) alone
    total: Flow
    by_hour: tuple[HourFlow, ...]  # every hour of the window, also empty ones
    by_key: tuple[KeyFlow, ...]
    by_source: tuple[SourceFlow, ...]
    reasons: tuple[Reason, ...]
    refusals: tuple[Refusal, ...]
    masked: tuple[Masked, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every row adds up, and the reasons explain exactly what was rejected and dropped."""
        return self.total.is_whole and not self.unexplained

    @property
    def unexplained(self) -> int:
        """Things rejected or dropped minus those that have a reason; anything but 0 is a fault of ours."""
        return self.total.rejected + self.total.dropped - sum(reason.n for reason in self.reasons)


def floor_hour(at: datetime) -> datetime:
    """The start of the UTC hour that holds `at`."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def ceil_hour(at: datetime) -> datetime:
    """The end of the UTC hour that holds `at`, or `at` where it is a whole hour."""
    floor = floor_hour(at)
    return floor if floor == at else floor + HOUR


def read_account(
    project_id: int, start: datetime, end: datetime, *, key_id: int | None = None, source: str = ""
) -> Account:
    """The account of the whole hours that touch [start, end), perhaps of one key or source alone.

    Batches not folded into hours yet are added from their rows in the same snapshot. Refusals know no key: they are
    those of all keys, and none where one key is asked for.
    """
    start, end = floor_hour(start), ceil_hour(end)
    window: dict[str, Any] = {"project_id": project_id, "start": start, "end": end}
    with connection.cursor() as cursor:
        cursor.execute(load("traces", "read_accounting"), window)
        sums_json, reasons_json = cursor.fetchone()
        cursor.execute(load("traces", "read_refusals"), window)
        refusals = [Refusal(*row) for row in cursor.fetchall()]

    def is_asked(row: dict[str, Any]) -> bool:
        return (key_id is None or row["key_id"] == key_id) and (not source or row["source"] == source)

    sums = [row for row in _rows(sums_json) if is_asked(row)]
    asked = [_reason(row) for row in _rows(reasons_json) if is_asked(row)]
    reasons = [row for row in asked if row.outcome != "masked"]
    by_hour = _grouped(sums, lambda row: datetime.fromisoformat(row["hour"]))
    by_key = _grouped(sums, lambda row: (row["key_id"], row["source"]))
    by_source = _grouped(sums, lambda row: row["source"])
    return Account(
        start=start,
        end=end,
        spans=_flow(_spans(sums)),
        total=_flow(sums),
        by_hour=tuple(
            HourFlow(hour, _flow(rows), _flow(_spans(rows)))
            for hour in _hours(start, end)
            for rows in [by_hour.get(hour, [])]
        ),
        by_key=tuple(KeyFlow(key, name, _flow(rows)) for (key, name), rows in sorted(by_key.items())),
        by_source=tuple(SourceFlow(name, UNITS[name], _flow(by_source[name])) for name in UNITS if name in by_source),
        reasons=tuple(reasons),
        refusals=() if key_id is not None else tuple(r for r in refusals if not source or r.source == source),
        masked=_masked(row for row in asked if row.outcome == "masked"),
    )


def _grouped(rows: list[dict[str, Any]], key: Callable[[dict[str, Any]], K]) -> dict[K, list[dict[str, Any]]]:
    groups: dict[K, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _rows(value: Any) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(value) if isinstance(value, str) else value
    return parsed


def _masked(reasons: Iterable[Reason]) -> tuple[Masked, ...]:
    """Of all keys together, most first."""
    found: dict[tuple[str, str], Masked] = {}
    for row in reasons:
        held = found.get((row.source, row.reason), Masked(row.source, row.reason, 0, row.last_at))
        last_at = max(held.last_at, row.last_at)
        found[row.source, row.reason] = Masked(row.source, row.reason, held.n + row.n, last_at)
    return tuple(sorted(found.values(), key=lambda one: (-one.n, one.rule, one.source)))


def _spans(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if UNITS.get(row["source"]) == "spans"]


def _hours(start: datetime, end: datetime) -> Iterable[datetime]:
    while start < end:
        yield start
        start += HOUR


def _flow(taken: list[dict[str, Any]]) -> Flow:
    requests = sum(row["requests"] for row in taken)
    names = ("body_bytes", "received", "stored", "duplicate", "rejected", "dropped")
    return Flow(
        requests=requests,
        **{name: sum(row[name] for row in taken) for name in names},
        lag_mean_ms=sum(row["lag_ms_sum"] for row in taken) / requests if requests else None,
        lag_max_ms=float(max(row["lag_ms_max"] for row in taken)) if requests else None,
    )


def _reason(row: dict[str, Any]) -> Reason:
    return Reason(**{**row, "last_at": datetime.fromisoformat(row["last_at"])})
