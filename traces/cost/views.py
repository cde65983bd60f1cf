"""What counting sees of a span, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from traces.canonical.types import MODEL_KINDS, CanonicalSpan, CountReason, Kind, SpanFlag

SpanKey = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class CallView:
    """What decides whether a span counts. `input_tokens` and `output_tokens` are totals over the disjoint buckets."""

    trace_id: UUID
    span_id: int
    parent_span_id: int | None
    kind: Kind
    scope: str  # the instrumentation scope's name
    started_us: int
    ended_us: int | None
    response_id: str | None
    has_usage: bool
    input_tokens: int = 0
    output_tokens: int = 0
    has_content: bool = False
    cache_shown: bool = False
    aggregated_usage: bool = False
    stream_log: bool = False  # see `is_stream_log`

    @property
    def key(self) -> SpanKey:
        """The span's identity within its project."""
        return (self.trace_id, self.span_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a span's usage and cost enter totals; if not, which span stands for it (where one does) and why."""

    counted: bool
    duplicate_of: SpanKey | None = None
    reason: CountReason | None = None


COUNTED = Verdict(True)


def is_stream_log(name: str, duration_ns: int | None) -> bool:
    """Whether a span is the zero-length log record that Logfire writes beside a streamed call, with its usage."""
    return duration_ns == 0 and name.startswith("streaming response")


def needs_view(kind: Kind, has_usage: bool, flags: int) -> bool:
    """Whether a span takes part in counting: it carries usage or should; placeholders of running spans never do."""
    return (has_usage or kind in MODEL_KINDS) and not flags & _PENDING


def call_view(span: CanonicalSpan) -> CallView | None:
    """The view of a span, None where it takes no part in counting."""
    usage = span.usage
    if (usage is None and span.kind not in MODEL_KINDS) or span.flags & _PENDING:
        return None
    counts = usage.buckets() if usage is not None else _NOTHING
    return CallView(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        kind=span.kind,
        scope=span.origin.scope_name,
        started_us=span.started_us,
        ended_us=None if span.duration_ns is None else span.started_us + span.duration_ns // 1000,
        response_id=span.response_id,
        has_usage=any(count is not None for count in counts),
        input_tokens=sum(count or 0 for count in counts[:5]),
        output_tokens=sum(count or 0 for count in counts[5:]),
        has_content=span.has_input or span.has_output,
        cache_shown=not span.flags & _CACHE_UNKNOWN and any(count is not None for count in counts[1:4]),
        aggregated_usage=span.aggregated_usage,
        stream_log=is_stream_log(span.name, span.duration_ns),
    )


# Plain integers: arithmetic with the flag class itself costs a microsecond a span.
_PENDING, _CACHE_UNKNOWN = int(SpanFlag.PENDING), int(SpanFlag.CACHE_UNKNOWN)
_NOTHING: tuple[int | None, ...] = (None,) * 8
