"""Spans of the demo before they become protobuf, and what they sum to."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

Value = str | bool | int | float | list[str]
INTERNAL, SERVER, CLIENT = 1, 2, 3
MS = 1_000_000


@dataclass(slots=True)
class Event:
    """A moment within a span."""

    name: str
    at_ns: int
    attributes: dict[str, Value]


@dataclass(slots=True)
class DemoSpan:
    """One step. `error` is the message of what went wrong, "" where nothing did."""

    span_id: bytes
    parent_id: bytes
    name: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Value]
    otel_kind: int = INTERNAL
    error: str = ""
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class DemoTrace:
    """One answer of the assistant."""

    trace_id: bytes
    release: str
    environment: str
    spans: list[DemoSpan] = field(default_factory=list)

    @property
    def ended_ns(self) -> int:
        return max(span.end_ns for span in self.spans)

    def add(
        self, name: str, start_ns: int, end_ns: int, attributes: dict[str, Value], parent: DemoSpan | None = None
    ) -> DemoSpan:
        """A further span, below `parent`; its id follows from its place."""
        span_id = hashlib.blake2b(self.trace_id + bytes([len(self.spans)]), digest_size=8).digest()
        span = DemoSpan(span_id, parent.span_id if parent else b"", name, start_ns, end_ns, attributes)
        self.spans.append(span)
        return span


@dataclass(slots=True)
class Totals:
    """What some traces hold, told by the one who made them. Input includes what was read from and written to caches."""

    traces: int = 0
    spans: int = 0
    failed: int = 0
    input_tokens: Counter[str] = field(default_factory=Counter)
    output_tokens: Counter[str] = field(default_factory=Counter)
    cache_read: Counter[str] = field(default_factory=Counter)
    cache_written: Counter[str] = field(default_factory=Counter)

    def add(self, trace: DemoTrace) -> None:
        """Count one more trace."""
        self.traces += 1
        self.spans += len(trace.spans)
        self.failed += bool(trace.spans[0].error)
        for span in trace.spans:
            told = span.attributes
            if "gen_ai.usage.input_tokens" not in told:
                continue
            model = str(told["gen_ai.request.model"])
            for counter, name in (
                (self.input_tokens, "gen_ai.usage.input_tokens"),
                (self.output_tokens, "gen_ai.usage.output_tokens"),
                (self.cache_read, "gen_ai.usage.cache_read.input_tokens"),
                (self.cache_written, "gen_ai.usage.cache_creation.ephemeral_5m_input_tokens"),
            ):
                counter[model] += int(str(told.get(name, 0)))
