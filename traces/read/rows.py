"""A trace as lists and pages show it, read from its row of sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from traces.canonical.types import BUCKETS, SpanFlag, SpanStatus
from traces.read.money import CostSum, cost_sum

NS_PER_MS = 1_000_000

COLUMNS = (
    "trace_id", "started_at", "last_started_at", "ended_at", "root_span_id", "root_status", "root_duration_ns", "name",
    "span_count", "generation_count", "error_count", "usage_count", "flags", *BUCKETS, "cost_pico", "priced_count",
    "unpriced_count", "unknown_usage_count", "partial_count", "upper_bound_count", "duplicate_count",
    "cost_reported_pico", "ttft_ns", "models", "service", "environment", "release", "feature", "user_id", "session_id",
    "prompt_name", "prompt_version", "finish_reason", "error_type", "tags", "preview_in", "preview_out",
    "foreign_trace_id", "updated_at",
)  # fmt: skip


class TokenSums:
    """What is read from the token sums of a row: unknown, and not 0, where no span of it told its usage."""

    __slots__ = ()
    tokens: tuple[int, ...]  # in the order of `BUCKETS`
    usage_count: int

    @property
    def tokens_in(self) -> int | None:
        """Input tokens of all buckets; None where no span told its usage."""
        return sum(self.tokens[:5]) if self.usage_count else None

    @property
    def tokens_out(self) -> int | None:
        """Output tokens of all buckets; None where no span told its usage."""
        return sum(self.tokens[5:]) if self.usage_count else None

    @property
    def cached_tokens(self) -> int:
        """Input tokens read from the provider's cache."""
        return self.tokens[1]


@dataclass(frozen=True, slots=True)
class TraceRow(TokenSums):
    """One trace with its sums. Durations are ms, money is in `cost`, unknown is None."""

    trace_id: UUID
    started_at: datetime
    last_started_at: datetime
    ended_at: datetime | None
    root_span_id: int | None
    root_status: SpanStatus | None
    duration_ms: float | None
    name: str
    span_count: int
    generation_count: int
    error_count: int
    usage_count: int
    duplicate_count: int
    flags: SpanFlag
    tokens: tuple[int, ...]  # in the order of `BUCKETS`
    cost: CostSum
    ttft_ms: float | None
    models: tuple[str, ...]
    service: str | None
    environment: str | None
    release: str | None
    feature: str | None
    user_id: str | None
    session_id: str | None
    prompt_name: str | None
    prompt_version: str | None
    finish_reason: str | None
    error_type: str | None
    tags: tuple[str, ...]
    preview_in: str | None
    preview_out: str | None
    foreign_trace_id: str | None
    updated_at: datetime
    # As stored, for cursors: what sorts must be exact.
    duration_ns: int | None
    cost_pico: int

    @property
    def hex_id(self) -> str:
        """The trace's id as 32 hex digits: its address."""
        return self.trace_id.hex

    @property
    def has_tokens(self) -> bool:
        """Whether any span told its usage; without, token sums are unknown and not 0."""
        return self.usage_count > 0

    @property
    def is_failed(self) -> bool:
        """Whether the root ended in an error."""
        return self.root_status == SpanStatus.ERROR


def trace_row(values: tuple[Any, ...]) -> TraceRow:
    """A row of `COLUMNS` as a TraceRow."""
    r = dict(zip(COLUMNS, values, strict=True))
    started, ended = r["started_at"], r["ended_at"]
    duration_ns = r["root_duration_ns"]
    if duration_ns is None and ended is not None:
        duration_ns = (ended - started) // timedelta(microseconds=1) * 1000
    return TraceRow(
        trace_id=r["trace_id"],
        started_at=started,
        last_started_at=r["last_started_at"],
        ended_at=ended,
        root_span_id=r["root_span_id"],
        root_status=None if r["root_status"] is None else SpanStatus(r["root_status"]),
        duration_ms=None if duration_ns is None else duration_ns / NS_PER_MS,
        name=r["name"],
        span_count=r["span_count"],
        generation_count=r["generation_count"],
        error_count=r["error_count"],
        usage_count=r["usage_count"],
        duplicate_count=r["duplicate_count"],
        flags=SpanFlag(r["flags"]),
        tokens=tuple(r[name] for name in BUCKETS),
        cost=cost_of_sums(r),
        ttft_ms=None if r["ttft_ns"] is None else r["ttft_ns"] / NS_PER_MS,
        models=tuple(r["models"]),
        service=r["service"],
        environment=r["environment"],
        release=r["release"],
        feature=r["feature"],
        user_id=r["user_id"],
        session_id=r["session_id"],
        prompt_name=r["prompt_name"],
        prompt_version=r["prompt_version"],
        finish_reason=r["finish_reason"],
        error_type=r["error_type"],
        tags=tuple(r["tags"]),
        preview_in=r["preview_in"],
        preview_out=r["preview_out"],
        foreign_trace_id=r["foreign_trace_id"],
        updated_at=r["updated_at"],
        duration_ns=duration_ns,
        cost_pico=int(r["cost_pico"]),
    )


def cost_of_sums(r: Mapping[str, Any]) -> CostSum:
    """The cost of a row of sums, a trace's or a session's."""
    reported = r["cost_reported_pico"]
    return cost_sum(
        int(r["cost_pico"]),
        r["priced_count"],
        r["unpriced_count"],
        r["unknown_usage_count"],
        r["partial_count"],
        r["upper_bound_count"],
        None if reported is None else int(reported),
    )
