"""A session as lists and pages show it, read from its row of sums; and the same sums over traces at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from traces.canonical.types import BUCKETS
from traces.read.money import CostSum, cost_sum
from traces.read.rows import NS_PER_MS, TokenSums, TraceRow, cost_of_sums

COLUMNS = (
    "session_id", "session_key", "refreshed_at", "stale_since", "removed_count", "first_started_at", "last_started_at",
    "ended_at", "turns", "error_turns", "failed_turns", "span_count", "generation_count", "error_count", "usage_count",
    "duplicate_count", *BUCKETS, "cost_pico", "priced_count", "unpriced_count", "unknown_usage_count", "partial_count",
    "upper_bound_count", "cost_reported_pico", "worst_duration_ns", "worst_trace_id", "user_count", "user_id",
    "service", "environment", "release", "features", "models", "preview_in", "preview_out",
)  # fmt: skip
# As traces.write.sessions names no more of a kind.
NAMES_MAX = 20


@dataclass(frozen=True, slots=True)
class SessionRow(TokenSums):
    """One session with the sums of its traces. Unknown is None; a session without traces has 0 turns."""

    session_id: str
    key: UUID
    refreshed_at: datetime
    is_stale: bool  # the sums are those of `refreshed_at`; more has come since
    removed_count: int  # traces that retention took
    first_started_at: datetime
    last_started_at: datetime  # start of the last trace
    ended_at: datetime | None
    turns: int
    error_turns: int
    failed_turns: int
    span_count: int
    generation_count: int
    error_count: int
    usage_count: int
    duplicate_count: int
    tokens: tuple[int, ...]  # in the order of `BUCKETS`
    cost: CostSum
    worst_ms: float | None  # duration of the slowest trace
    worst_trace_id: UUID | None
    user_count: int
    user_id: str | None
    service: str | None
    environment: str | None
    release: str | None
    features: tuple[str, ...]
    models: tuple[str, ...]
    preview_in: str | None
    preview_out: str | None
    cost_pico: int  # as stored, for cursors

    @property
    def length_ms(self) -> float | None:
        """From the first start to the last known end; None where no trace has ended."""
        return None if self.ended_at is None else (self.ended_at - self.first_started_at).total_seconds() * 1000

    @property
    def is_gone(self) -> bool:
        """Whether retention took every trace of it."""
        return self.turns == 0


def session_key(session_id: str) -> UUID:
    """The key of a session as the database makes it."""
    return UUID(bytes=hashlib.md5(session_id.encode(), usedforsecurity=False).digest())


def session_row(values: tuple[Any, ...]) -> SessionRow:
    """A row of `COLUMNS` as a SessionRow."""
    r = dict(zip(COLUMNS, values, strict=True))
    worst_ns, cost_pico = r["worst_duration_ns"], int(r["cost_pico"])
    return SessionRow(
        session_id=r["session_id"],
        key=r["session_key"],
        refreshed_at=r["refreshed_at"],
        is_stale=r["stale_since"] is not None,
        removed_count=r["removed_count"],
        first_started_at=r["first_started_at"],
        last_started_at=r["last_started_at"],
        ended_at=r["ended_at"],
        turns=r["turns"],
        error_turns=r["error_turns"],
        failed_turns=r["failed_turns"],
        span_count=r["span_count"],
        generation_count=r["generation_count"],
        error_count=r["error_count"],
        usage_count=r["usage_count"],
        duplicate_count=r["duplicate_count"],
        tokens=tuple(r[name] for name in BUCKETS),
        cost=cost_of_sums(r),
        worst_ms=None if worst_ns is None else worst_ns / NS_PER_MS,
        worst_trace_id=r["worst_trace_id"],
        user_count=r["user_count"],
        user_id=r["user_id"],
        service=r["service"],
        environment=r["environment"],
        release=r["release"],
        features=tuple(r["features"]),
        models=tuple(r["models"]),
        preview_in=r["preview_in"],
        preview_out=r["preview_out"],
        cost_pico=cost_pico,
    )


def sum_up(session_id: str, traces: Sequence[TraceRow], at: datetime, removed_count: int = 0) -> SessionRow:
    """The session of these traces, in order of start; what its row says once it is refreshed. ValueError for none."""
    if not traces:
        raise ValueError("a session without traces has no sums")
    costs = [row.cost for row in traces]
    ends = [row.ended_at for row in traces if row.ended_at is not None]
    timed = [(row.duration_ns, row.trace_id) for row in traces if row.duration_ns is not None]
    worst = max(timed, key=lambda pair: (pair[0], str(pair[1])), default=None)
    users = {row.user_id for row in traces if row.user_id is not None}
    reported = [cost.reported_pico for cost in costs if cost.reported_pico is not None]
    cost_pico = sum(row.cost_pico for row in traces)
    last_started_at = traces[-1].started_at
    return SessionRow(
        session_id=session_id,
        key=session_key(session_id),
        refreshed_at=at,
        is_stale=False,
        removed_count=removed_count,
        first_started_at=traces[0].started_at,
        last_started_at=last_started_at,
        ended_at=max(*ends, last_started_at) if ends else None,
        turns=len(traces),
        error_turns=sum(row.error_count > 0 for row in traces),
        failed_turns=sum(row.is_failed for row in traces),
        span_count=sum(row.span_count for row in traces),
        generation_count=sum(row.generation_count for row in traces),
        error_count=sum(row.error_count for row in traces),
        usage_count=sum(row.usage_count for row in traces),
        duplicate_count=sum(row.duplicate_count for row in traces),
        tokens=tuple(map(sum, zip(*(row.tokens for row in traces), strict=True))),
        cost=cost_sum(
            cost_pico,
            sum(cost.priced for cost in costs),
            sum(cost.unpriced for cost in costs),
            sum(cost.unknown_usage for cost in costs),
            sum(cost.partial for cost in costs),
            sum(cost.upper_bound for cost in costs),
            sum(reported) if reported else None,
        ),
        worst_ms=None if worst is None else worst[0] / NS_PER_MS,
        worst_trace_id=None if worst is None else worst[1],
        user_count=len(users),
        user_id=_first(row.user_id for row in traces),
        service=_first(row.service for row in traces),
        environment=_first(row.environment for row in traces),
        release=_first(row.release for row in reversed(traces)),
        features=_names(row.feature for row in traces),
        models=_names(model for row in traces for model in row.models),
        preview_in=_first(row.preview_in for row in traces),
        preview_out=_first(row.preview_out for row in reversed(traces)),
        cost_pico=cost_pico,
    )


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def _names(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value is not None})[:NAMES_MAX])
