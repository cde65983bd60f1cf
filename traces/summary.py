"""The trace row: what a trace's spans add up to, independent of the order they came in. Pure.

Sums add, bounds are minima and maxima, and each inherited value (name, user, feature, ...) comes from the span with the
smallest rank: the root first, then the earliest start, then the span id. The ranks are kept with the row, so that a
span that comes a week later lands on the same row as if it had come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from traces.canonical.types import MODEL_KINDS, CanonicalSpan, CostStatus, Kind, SpanFlag, SpanStatus

# A plain integer: arithmetic on enum flags costs a microsecond each.
_PENDING = int(SpanFlag.PENDING)
MAX_MODELS = 20
MAX_TAGS = 64

Rank = tuple[int, int, int]
# One letter for each inherited value, so that the ranks of a trace fit into some dozen bytes.
_LETTERS = {
    "name": "n",
    "user_id": "u",
    "session_id": "s",
    "environment": "e",
    "release": "r",
    "service": "v",
    "feature": "f",
    "prompt_name": "p",
    "prompt_version": "q",
    "preview_in": "i",
    "preview_out": "o",
    "finish_reason": "z",
    "ttft_ns": "t",
    "error_type": "x",
}
_FIELD_OF = {letter: name for name, letter in _LETTERS.items()}
_INHERITED = ("user_id", "session_id", "environment", "release", "service", "feature", "prompt_name", "prompt_version")
_STATUS_FIELD = {
    CostStatus.PRICED: "priced_count",
    CostStatus.UNPRICED: "unpriced_count",
    CostStatus.UNKNOWN_USAGE: "unknown_usage_count",
    CostStatus.PARTIAL: "partial_count",
    CostStatus.UPPER_BOUND: "upper_bound_count",
}
# The ranks of values that no span itself carries: a project's feature rule, a preview read from log events.
RULE_CLASS = 9
LOG_CLASS = 5
_NO_RANK: Rank = (99, 0, 0)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one usage-carrying or model span adds to its trace while it is counted."""

    buckets: tuple[int | None, ...]
    cost_status: int | None
    cost_pico: int | None
    cost_reported_pico: int | None


@dataclass(slots=True)
class TraceSummary:
    """One trace row. Times are microseconds since 1970, durations nanoseconds, money pico-dollars."""

    trace_id: UUID
    started_us: int = 0
    last_started_us: int = 0
    ended_us: int | None = None
    root_span_id: int | None = None
    root_status: int | None = None
    root_duration_ns: int | None = None
    name: str = ""
    span_count: int = 0
    generation_count: int = 0
    error_count: int = 0
    usage_count: int = 0
    priced_count: int = 0
    unpriced_count: int = 0
    unknown_usage_count: int = 0
    partial_count: int = 0
    upper_bound_count: int = 0
    duplicate_count: int = 0
    flags: int = 0
    tokens: list[int] = field(default_factory=lambda: [0] * 8)
    cost_pico: int = 0
    cost_reported_pico: int | None = None
    ttft_ns: int | None = None
    models: set[str] = field(default_factory=set)
    service: str | None = None
    environment: str | None = None
    release: str | None = None
    feature: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    finish_reason: str | None = None
    error_type: str | None = None
    tags: set[str] = field(default_factory=set)
    preview_in: str | None = None
    preview_out: str | None = None
    foreign_trace_id: str | None = None
    ranks: dict[str, Rank] = field(default_factory=dict)
    # Spans whose words may become the trace's, until `take_words` has read the best of them.
    _asking: list[tuple[Rank, CanonicalSpan]] = field(default_factory=list, compare=False, repr=False)
    _answering: list[tuple[Rank, CanonicalSpan]] = field(default_factory=list, compare=False, repr=False)

    def add(self, span: CanonicalSpan) -> None:
        """Take one span in. Its `counted` and cost must be settled. Call `take_words` after the last."""
        started = span.started_us
        if self.span_count == 0:
            self.started_us = self.last_started_us = started
        else:
            self.started_us = min(self.started_us, started)
            self.last_started_us = max(self.last_started_us, started)
        self.span_count += 1
        if span.duration_ns is not None:
            ended = started + span.duration_ns // 1000
            if self.ended_us is None or ended > self.ended_us:
                self.ended_us = ended
        kind = span.kind
        self.flags |= span.flags
        if span.foreign_trace_id and self.foreign_trace_id is None:
            self.foreign_trace_id = span.foreign_trace_id
        if span.tags:
            self.tags.update(span.tags)
        if span.flags & _PENDING:
            self._name(span, (2, started, span.span_id))
            return
        rank = (0 if span.parent_span_id is None else 1, started, span.span_id)
        self._name(span, rank)
        ranks = self.ranks
        for name in _INHERITED:
            value = getattr(span, name)
            if value is not None and rank < ranks.get(name, _NO_RANK):
                setattr(self, name, value)
                ranks[name] = rank
        if span.status == SpanStatus.ERROR:
            self.error_count += 1
            if span.error_type is not None:
                # The class without its module: openai.NotFoundError and NotFoundError are one. The span keeps the raw.
                self._take("error_type", span.error_type.rpartition(".")[2] or span.error_type, rank)
        if kind == Kind.GENERATION:
            self.generation_count += 1
            # The answer is the last generation: its finish reason and first token are the trace's.
            latest = (0, -started, span.span_id)
            if span.finish_reason is not None:
                self._take("finish_reason", span.finish_reason, latest)
            if span.ttft_ns is not None:
                self._take("ttft_ns", span.ttft_ns, latest)
        if kind in MODEL_KINDS:
            model = span.model_answered or span.model_requested
            if model:
                self.models.add(model)
        if rank[0] == 0 or kind == Kind.GENERATION:
            if span.has_input:
                self._asking.append((rank, span))
            if span.has_output:
                # Without a root's output the last generation's answer is the trace's.
                self._answering.append((rank if rank[0] == 0 else (1, -started, span.span_id), span))
        if span.usage is not None:
            self.usage_count += 1
        if span.counted:
            self.count(contribution_of(span), 1)
        elif span.duplicate_of_span is not None or span.count_reason is not None:
            self.duplicate_count += 1

    def take_words(self, previews: Callable[[CanonicalSpan], tuple[str | None, str | None]]) -> None:
        """Read the trace's first and last words from the best spans added: most traces need one reading.

        `previews` gives (words in, words out) of a span; parsing messages is the dearest step of a summary.
        """
        read: dict[int, tuple[str | None, str | None]] = {}
        for side, (name, candidates) in enumerate((("preview_in", self._asking), ("preview_out", self._answering))):
            for rank, span in sorted(candidates, key=lambda item: item[0]):
                if span.span_id not in read:
                    read[span.span_id] = previews(span)
                words = read[span.span_id][side]
                if words is not None:
                    self._take(name, words, rank)
                    break
            candidates.clear()

    def _name(self, span: CanonicalSpan, rank: Rank) -> None:
        if rank < self.ranks.get("name", _NO_RANK):
            self.ranks["name"] = rank
            self.name = span.name
            self.root_span_id = span.span_id
            self.root_status = int(span.status)
            self.root_duration_ns = span.duration_ns

    def _take(self, name: str, value: Any, rank: Rank) -> None:
        if rank < self.ranks.get(name, _NO_RANK):
            setattr(self, name, value)
            self.ranks[name] = rank

    def take_preview(self, name: str, value: str, rank: Rank) -> bool:
        """Take a preview read from log events; False where a better one is there."""
        if rank >= self.ranks.get(name, _NO_RANK):
            return False
        self._take(name, value, rank)
        return True

    def count(self, part: Contribution, sign: int) -> None:
        """Add (`sign` 1) or take away (-1) what a counted span contributes."""
        for at, tokens in enumerate(part.buckets):
            if tokens:
                self.tokens[at] += sign * tokens
        if part.cost_pico:
            self.cost_pico += sign * part.cost_pico
        if part.cost_status is not None:
            name = _STATUS_FIELD[CostStatus(part.cost_status)]
            setattr(self, name, getattr(self, name) + sign)
        if part.cost_reported_pico is not None:
            # A reported cost is never 0, so a sum of 0 means that no counted span reports one.
            self.cost_reported_pico = ((self.cost_reported_pico or 0) + sign * part.cost_reported_pico) or None

    def apply_rule(self, feature_of: Callable[[str, str | None], str | None]) -> None:
        """Where no span names a feature, ask the project's rules about the root's name and service."""
        if self.ranks.get("feature", _NO_RANK)[0] >= RULE_CLASS:
            self.feature = feature_of(self.name, self.service)
            if self.feature is None:
                self.ranks.pop("feature", None)
            else:
                self.ranks["feature"] = (RULE_CLASS, 0, 0)

    def merge(self, other: TraceSummary) -> None:
        """Take in another summary of the same trace over other spans."""
        if other.span_count == 0:
            return
        if self.span_count == 0:
            self.started_us, self.last_started_us = other.started_us, other.last_started_us
        self.started_us = min(self.started_us, other.started_us)
        self.last_started_us = max(self.last_started_us, other.last_started_us)
        if other.ended_us is not None and (self.ended_us is None or other.ended_us > self.ended_us):
            self.ended_us = other.ended_us
        for name in (
            "span_count", "generation_count", "error_count", "usage_count", "priced_count", "unpriced_count",
            "unknown_usage_count", "partial_count", "upper_bound_count", "duplicate_count", "cost_pico",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.cost_reported_pico is not None:
            self.cost_reported_pico = (self.cost_reported_pico or 0) + other.cost_reported_pico
        self.tokens = [a + b for a, b in zip(self.tokens, other.tokens, strict=True)]
        self.flags |= other.flags
        self.models = set(sorted(self.models | other.models)[:MAX_MODELS])
        self.tags = set(sorted(self.tags | other.tags)[:MAX_TAGS])
        self.foreign_trace_id = self.foreign_trace_id or other.foreign_trace_id
        for name, rank in other.ranks.items():
            if rank < self.ranks.get(name, _NO_RANK):
                self.ranks[name] = rank
                setattr(self, name, getattr(other, name))
                if name == "name":
                    self.root_span_id = other.root_span_id
                    self.root_status = other.root_status
                    self.root_duration_ns = other.root_duration_ns


def contribution_of(span: CanonicalSpan) -> Contribution:
    """What `span` adds to its trace while counted."""
    return Contribution(
        span.usage.buckets() if span.usage is not None else (None,) * 8,
        span.cost_status,
        span.cost_pico,
        span.cost_reported_pico,
    )


def write_ranks(ranks: dict[str, Rank]) -> str:
    """The ranks as text, values of one span together: "0:1795219200000000:-12:nus;1:...:t"."""
    by_rank: dict[Rank, str] = {}
    for name, rank in ranks.items():
        by_rank[rank] = by_rank.get(rank, "") + _LETTERS[name]
    return ";".join(f"{a}:{b}:{c}:{letters}" for (a, b, c), letters in by_rank.items())


def read_ranks(text: str) -> dict[str, Rank]:
    """The ranks written by `write_ranks`."""
    ranks: dict[str, Rank] = {}
    for part in text.split(";"):
        if part:
            a, b, c, letters = part.split(":")
            rank = (int(a), int(b), int(c))
            for letter in letters:
                ranks[_FIELD_OF[letter]] = rank
    return ranks


def capped(values: Iterable[str], limit: int) -> list[str]:
    """The values sorted, at most `limit` of them."""
    return sorted(values)[:limit]


def whole(value: Decimal | int | None) -> int | None:
    """A NUMERIC(30, 0) as an int."""
    return None if value is None else int(value)
