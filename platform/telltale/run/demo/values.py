"""Steps of the demo before the SDK is told of them, and what they sum to."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

Value = str | bool | int | float | list[str]
MS = 1_000_000


@dataclass(slots=True)
class Failure:
    """What went wrong: the class of the error, its words, and the lines that led to it."""

    kind: str
    message: str
    stack: str = ""


@dataclass(slots=True)
class Call:
    """A call of a model. Input tokens include what was read from and written to caches; None is unknown."""

    model: str
    provider: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: int | None = None
    cache_written: int | None = None
    ttft_ns: int | None = None
    finish_reason: str = ""
    response_id: str = ""
    parameters: dict[str, Value] = field(default_factory=dict)
    prompt: tuple[str, str] | None = None


@dataclass(slots=True)
class Search:
    """A search: the question, what was found, where."""

    query: str
    documents: list[dict[str, object]]
    source: str


@dataclass(slots=True)
class DemoSpan:
    """One step of an answer. `below` are the steps it consists of, in order of their start."""

    span_id: bytes
    name: str
    kind: str
    start_ns: int
    end_ns: int
    input: object = None
    output: object = None
    call: Call | None = None
    search: Search | None = None
    error: Failure | None = None
    attributes: dict[str, Value] = field(default_factory=dict)
    below: list[DemoSpan] = field(default_factory=list)


@dataclass(slots=True)
class DemoSignal:
    """What an end user did, about the `target` that is a trace or a request, or about the session (no target needed).

    `from_shop`: the shop's own systems say so, not its front ends.
    """

    name: str
    value: bool | float | str
    at: datetime
    client_id: str
    about: str
    target: str = ""
    comment: str | None = None
    from_shop: bool = False


@dataclass(slots=True)
class DemoTrace:
    """One answer of the assistant; the first span is its root."""

    trace_id: bytes
    release: str
    environment: str
    user_id: str
    session_id: str
    feature: str
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Value] = field(default_factory=dict)
    is_worse: bool = False  # the story made this answer a wrong one; told to nobody
    spans: list[DemoSpan] = field(default_factory=list)
    signals: list[DemoSignal] = field(default_factory=list)  # what its user did about it, or about the session so far

    @property
    def ended_ns(self) -> int:
        return max(span.end_ns for span in self.spans)

    def add(self, name: str, kind: str, start_ns: int, end_ns: int, parent: DemoSpan | None = None) -> DemoSpan:
        """A further span, below `parent`; its id follows from its place."""
        span_id = hashlib.blake2b(self.trace_id + bytes([len(self.spans)]), digest_size=8).digest()
        span = DemoSpan(span_id, name, kind, start_ns, end_ns)
        self.spans.append(span)
        if parent is not None:
            parent.below.append(span)
        return span


@dataclass(slots=True)
class Totals:
    """What some traces hold, told by the one who made them."""

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
        self.failed += trace.spans[0].error is not None
        for span in trace.spans:
            call = span.call
            if call is not None and call.input_tokens is not None:
                self.input_tokens[call.model] += call.input_tokens
                self.output_tokens[call.model] += call.output_tokens or 0
                self.cache_read[call.model] += call.cache_read or 0
                self.cache_written[call.model] += call.cache_written or 0
