"""The sums of roll-ups: their names in the order of the columns, their groups, and a frozen value of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum

from traces.canonical.types import BUCKETS


class Family(IntEnum):
    """What a row counts: whole traces, booked at their start, or single spans, booked at their own."""

    TRACE = 1
    SPAN = 2


class What(IntEnum):
    """What a reason tells."""

    ERROR_TYPE = 1
    FINISH_REASON = 2


COUNTS = ("n", "errors", "failed", "streamed", "retries", "refusals")
STATUSES = ("priced_count", "unpriced_count", "unknown_usage_count", "partial_count", "upper_bound_count")
COSTS = ("cost_pico", "saved_pico")
PARTS = tuple(f"cost_{bucket}" for bucket in BUCKETS)
LATENCY = ("duration_ns_sum", "duration_n", "token_duration", "token_n")
SUMS = (*COUNTS, *STATUSES, *BUCKETS, "cost_pico", *PARTS, "saved_pico", *LATENCY)
SKETCHES = ("duration", "ttft", "tpot", "length")
# What a reader may ask for; reading fewer columns is quicker.
GROUPS = {
    "counts": COUNTS,
    "statuses": STATUSES,
    "tokens": BUCKETS,
    "cost": COSTS,
    "parts": PARTS,
    "latency": LATENCY,
}

TRACE_DIMENSIONS = ("feature", "service", "environment", "release", "prompt_name", "prompt_version")
SPAN_DIMENSIONS = (
    "kind", "stage", "feature", "provider", "model", "service", "environment", "release", "prompt_name",
    "prompt_version",
)  # fmt: skip
DIMENSIONS = {Family.TRACE: TRACE_DIMENSIONS, Family.SPAN: SPAN_DIMENSIONS}
OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums over some rows. Groups that were not asked for are 0 like those to which nothing was booked."""

    n: int = 0
    errors: int = 0
    failed: int = 0
    streamed: int = 0
    retries: int = 0
    refusals: int = 0
    priced_count: int = 0
    unpriced_count: int = 0
    unknown_usage_count: int = 0
    partial_count: int = 0
    upper_bound_count: int = 0
    input_fresh: int = 0
    input_cache_read: int = 0
    input_cache_write_5m: int = 0
    input_cache_write_1h: int = 0
    input_audio: int = 0
    output_text: int = 0
    output_reasoning: int = 0
    output_audio: int = 0
    cost_pico: int = 0
    cost_input_fresh: int = 0
    cost_input_cache_read: int = 0
    cost_input_cache_write_5m: int = 0
    cost_input_cache_write_1h: int = 0
    cost_input_audio: int = 0
    cost_output_text: int = 0
    cost_output_reasoning: int = 0
    cost_output_audio: int = 0
    saved_pico: int = 0
    duration_ns_sum: int = 0
    duration_n: int = 0
    token_duration: int = 0
    token_n: int = 0

    @property
    def tokens(self) -> tuple[int, ...]:
        """The eight counts in the order of `BUCKETS`."""
        return tuple(getattr(self, name) for name in BUCKETS)

    @property
    def cost_parts(self) -> tuple[int, ...]:
        """What each bucket cost, in the order of `BUCKETS`."""
        return tuple(getattr(self, name) for name in PARTS)

    @property
    def input_tokens(self) -> int:
        return sum(self.tokens[:5])

    @property
    def output_tokens(self) -> int:
        return sum(self.tokens[5:])

    @property
    def cost_by_the_hour(self) -> int:
        """What no bucket of tokens accounts for: models charged by the time their calls take. Needs "cost", "parts"."""
        return self.cost_pico - sum(self.cost_parts)

    @property
    def mean_duration_ns(self) -> float | None:
        """The mean over rows that tell a duration, None where none does."""
        return self.duration_ns_sum / self.duration_n if self.duration_n else None

    @property
    def token_weighted_duration_ns(self) -> float | None:
        """sum(duration * output tokens) / sum(output tokens), None where no call tells both."""
        return self.token_duration / self.token_n if self.token_n else None


def add(many: Iterable[Sums]) -> Sums:
    """All of them together."""
    totals = dict.fromkeys(_NAMES, 0)
    for sums in many:
        for name in _NAMES:
            totals[name] += getattr(sums, name)
    return Sums(**totals)


_NAMES = tuple(field.name for field in fields(Sums))
assert _NAMES == SUMS  # noqa: S101 - columns, ledger and value share one order
