"""One span of any vocabulary into a canonical span (docs/data-model.md).

This is the hottest code of ingest: one pass over the attributes, look-ups by precomputed tables, and no message is
parsed. What content attributes hold is moved, as sent, into the body and read when somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from traces.canonical import fallbacks, moments
from traces.canonical.keys import KINDS, TYPED_KEYS, Slot
from traces.canonical.limits import Limits
from traces.canonical.names import finish_reason, provider_name, provider_of_model
from traces.canonical.notes import Notes
from traces.canonical.reading import PLAIN_CHARS, Reading
from traces.canonical.source import Source
from traces.canonical.speech import counts_of, has_usage
from traces.canonical.text import cut_text, decode_small
from traces.canonical.types import EVALUATION, MODEL_KINDS, Body, CanonicalSpan, Kind, SpanFlag, SpanStatus
from traces.canonical.usage import resolve

# Plain integers: combining members of an IntFlag costs a microsecond.
_REPAIRED = int(SpanFlag.REPAIRED_TEXT)
_TRUNCATED = int(SpanFlag.TRUNCATED)
_EVALUATED = int(SpanFlag.EVALUATED)
_ATTRIBUTES_CUT = int(SpanFlag.ATTRIBUTES_CUT)
_PENDING = int(SpanFlag.PENDING)
_NOT_CAPTURED = int(SpanFlag.CONTENT_NOT_CAPTURED)
_REDACTED = int(SpanFlag.CONTENT_REDACTED)
_SCRUBBED = int(SpanFlag.CONTENT_SCRUBBED)
_SESSION_SCRUBBED = int(SpanFlag.SESSION_SCRUBBED)
_IMPLAUSIBLE = int(SpanFlag.IMPLAUSIBLE_COST)

_STATUS = (SpanStatus.UNSET, SpanStatus.OK, SpanStatus.ERROR)
_ERROR = SpanStatus.ERROR
_GENERATION = Kind.GENERATION
_PICO = Decimal(10) ** 12
_MAX_PICO = 10**18  # a million dollars for one span: kept, flagged beyond
_SCRUB_MARK = "[Scrubbed due to"  # Logfire's scrubber
_REDACT_MARK = "__REDACTED__"  # OpenInference with hidden inputs or outputs
# Span events that carry content: 1 input, 2 output.
_CONTENT_EVENTS = {
    "gen_ai.system.message": 1,
    "gen_ai.user.message": 1,
    "gen_ai.assistant.message": 1,
    "gen_ai.tool.message": 1,
    "gen_ai.content.prompt": 1,
    "gen_ai.choice": 2,
    "gen_ai.content.completion": 2,
    "gen_ai.client.inference.operation.details": 3,
}
_OPERATION_KEYS = ("gen_ai.operation.name", "llm.request.type")


@dataclass(slots=True)
class Draft:
    """What a dialect read of one span, before it is mapped. Its attributes, events and links are clean."""

    trace_id: UUID
    span_id: int
    parent_span_id: int | None
    name: str
    otel_kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    notes: Notes
    events: list[dict[str, Any]] | None = None
    links: list[dict[str, Any]] | None = None
    status: int = 0
    status_message: str = ""
    trace_state: str = ""
    dropped: dict[str, int] | None = None
    foreign_trace_id: str | None = None
    foreign_span_id: str | None = None
    foreign_parent_id: str | None = None


def map_span(draft: Draft, source: Source, received_at_ns: int, limits: Limits) -> CanonicalSpan:
    """The canonical span of a draft. Knows every vocabulary; the source's scope says which one speaks."""
    reading = Reading(draft.attributes, source, draft.notes, limits)
    started_us, end_ns, duration_ns, flags = moments.place(draft.start_ns, draft.end_ns, received_at_ns, limits)
    body: Body = {"start_ns": draft.start_ns}
    if end_ns is not None:
        body["end_ns"] = end_ns
    if reading.raw:
        body["raw"] = reading.raw
    span = CanonicalSpan(
        draft.trace_id,
        draft.span_id,
        draft.parent_span_id,
        draft.name if len(draft.name) <= PLAIN_CHARS else reading.fit(draft.name) or "",
        _kind_of(reading),
        started_us,
        draft.start_ns,
        end_ns,
        duration_ns,
        reading.origin,
        _STATUS[draft.status] if 0 <= draft.status <= 2 else SpanStatus.UNSET,
        body=body,
        flags=flags,
        otel_kind=draft.otel_kind if 0 <= draft.otel_kind <= 5 else 0,
        foreign_trace_id=draft.foreign_trace_id,
        attributes=reading.rest or None,
        tags=reading.tags,
        metadata=reading.metadata,
    )
    _read_status(span, draft, reading)
    first_chunk = _read_events(span, draft, reading) if draft.events or draft.links else None
    span.has_input, span.has_output = reading.has_input, reading.has_output
    _read_names(span, reading)
    _read_people(span, reading)
    if span.kind in MODEL_KINDS or reading.values[Slot.MODEL_ANSWERED] or reading.values[Slot.MODEL_REQUESTED]:
        _read_model(span, reading)
        _read_finish(span, reading)
    _read_timing(span, reading, first_chunk)
    if has_usage(reading.ranks):
        _read_usage(span, reading)
    if reading.values[Slot.COST] is not None:
        _read_cost(span, reading)
    _read_content_state(span, reading)
    _read_leftovers(span, draft)
    return span


def _kind_of(reading: Reading) -> Kind:
    """What kind of step: the first hint that names one; without any hint, a model with usage is a generation."""
    kinds = reading.kinds
    if kinds is None:
        raw = reading.raw
        if ("gen_ai.request.model" in raw or "llm.model_name" in raw) and has_usage(reading.ranks):
            return _GENERATION
        return Kind.SPAN
    if len(kinds) > 1:
        kinds.sort(key=_rank_of)
    for _, key, value in kinds:
        if type(value) is str:
            found = KINDS[key].get(value)
            if found is None:
                found = KINDS[key].get(value.strip().strip('"').lower())
            if found is not None and found is not Kind.SPAN:
                return found
    return Kind.SPAN


def _rank_of(hint: tuple[int, str, Any]) -> int:
    return hint[0]


def _read_status(span: CanonicalSpan, draft: Draft, reading: Reading) -> None:
    values = reading.values
    if values[Slot.LEVEL] == "ERROR":
        span.status = _ERROR
    message = draft.status_message or None
    if span.status is _ERROR:
        told = values[Slot.ERROR_MESSAGE]
        if message is None and type(told) is str:
            message = told
        if values[Slot.ERROR_STACK] is not None:
            span.body["error_stack"] = str(values[Slot.ERROR_STACK])
    if values[Slot.ERROR_TYPE] is not None:
        span.error_type = reading.text(Slot.ERROR_TYPE)
    if message is not None:
        span.status_message = message
        if len(message) > PLAIN_CHARS:
            span.status_message = cut_text(message, reading.text_limit)
            if span.status_message != message:
                span.body["error_message"] = message


def _read_events(span: CanonicalSpan, draft: Draft, reading: Reading) -> int | None:
    """Keep the events; nanoseconds to the first one that tells of an answer's first piece."""
    events = draft.events
    if draft.links:
        span.body["links"] = draft.links
    if not events:
        return None
    span.body["events"] = events
    for event in events:
        name = event["name"]
        if name == "exception":
            _read_exception(span, event.get("attributes") or {}, reading)
        elif name in _CONTENT_EVENTS:
            bits = _CONTENT_EVENTS[name]
            reading.has_input = reading.has_input or bool(bits & 1)
            reading.has_output = reading.has_output or bool(bits & 2)
        elif name == EVALUATION:
            span.flags |= _EVALUATED
    return fallbacks.first_chunk_ns(events, draft.start_ns)


def _read_exception(span: CanonicalSpan, attributes: dict[str, Any], reading: Reading) -> None:
    """The first exception tells a failed span's error; a span that did not fail handled its exceptions."""
    if span.status is not _ERROR:
        return
    body = span.body
    if span.error_type is None:
        span.error_type = reading.fit(attributes.get("exception.type"))
    message, stack = attributes.get("exception.message"), attributes.get("exception.stacktrace")
    if isinstance(message, str) and message and "error_message" not in body:
        body["error_message"] = message
        if span.status_message is None:
            span.status_message = cut_text(message, reading.text_limit)
    if isinstance(stack, str) and stack and "error_stack" not in body:
        body["error_stack"] = stack


def _read_names(span: CanonicalSpan, reading: Reading) -> None:
    """Service, environment, release (resource first), prompt, agent, workflow, tool, operation."""
    source, ranks, text = reading.source, reading.ranks, reading.text
    span.service = source.service or text(Slot.SERVICE)
    span.environment = source.environment or text(Slot.ENVIRONMENT)
    span.release = source.release
    if ranks[Slot.RELEASE] < source.release_rank:
        span.release = text(Slot.RELEASE) or source.release
    if any(reading.values[Slot.PROMPT_NAME : Slot.WORKFLOW_NAME + 1]):
        span.prompt_name = text(Slot.PROMPT_NAME)
        span.prompt_version = text(Slot.PROMPT_VERSION)
        span.agent_name = text(Slot.AGENT_NAME)
        span.workflow_name = text(Slot.WORKFLOW_NAME)
    if span.kind is Kind.TOOL:  # OpenLIT names the tool on the generation that asked for it, too
        span.tool_name = text(Slot.TOOL_NAME) or reading.fit(reading.raw.get("traceloop.entity.name"))
    if reading.kinds is not None:
        for key in _OPERATION_KEYS:
            if key in reading.raw:
                span.operation = reading.fit(reading.raw[key])
                break


def _read_people(span: CanonicalSpan, reading: Reading) -> None:
    """User, session and feature: their own attributes first, then what the user attached as metadata."""
    session_id = reading.text(Slot.SESSION) or reading.entry("session_id", "thread_id", "conversation_id")
    user_id = reading.text(Slot.USER) or reading.entry("user_id")
    span.feature = reading.text(Slot.FEATURE) or reading.source.feature or reading.entry("feature")
    if span.feature is None and reading.ranks[Slot.WORKFLOW_NAME] == 0:
        span.feature = span.workflow_name
    if session_id is not None and session_id.startswith(_SCRUB_MARK):
        session_id = None
        span.flags |= _SESSION_SCRUBBED
    if user_id is not None and user_id.startswith(_SCRUB_MARK):
        user_id = None
    span.session_id, span.user_id = session_id, user_id


def _read_model(span: CanonicalSpan, reading: Reading) -> None:
    values, text = reading.values, reading.text
    is_model = span.kind in MODEL_KINDS
    requested, answered = text(Slot.MODEL_REQUESTED), text(Slot.MODEL_ANSWERED)
    if requested is None and is_model:
        requested = fallbacks.find_model(values[Slot.INVOCATION], reading.raw, reading.vocabulary)
    span.model_requested, span.model_answered = requested, answered
    told = text(Slot.PROVIDER)
    if told is not None:
        span.provider = provider_name(told)
        if span.provider != told:
            span.body["provider_raw"] = told
    if span.provider is None and is_model:
        span.provider = provider_of_model(answered or requested or "")
    span.response_id = text(Slot.RESPONSE_ID)
    if span.response_id is None and is_model:
        span.response_id = fallbacks.find_response_id(reading.raw)
    span.service_tier = text(Slot.SERVICE_TIER)


def _read_finish(span: CanonicalSpan, reading: Reading) -> None:
    told = reading.values[Slot.FINISH]
    if told is None:
        if span.kind is not _GENERATION or not reading.has_output:
            return
        told = fallbacks.find_finish_reason(reading.raw)
    reasons = told if type(told) is list else decode_small(told)
    if not isinstance(reasons, list):
        reasons = [reasons]
    kept = [reason for reason in reasons[:16] if isinstance(reason, str) and reason]
    if kept:
        span.body["finish_reasons"] = kept
        span.finish_reason = finish_reason(kept[0])


def _read_timing(span: CanonicalSpan, reading: Reading, first_chunk: int | None) -> None:
    """Whether the answer was streamed, and the time to its first piece."""
    values = reading.values
    streamed = fallbacks.to_streamed(values[Slot.STREAMED])
    ttft = fallbacks.to_seconds_ns(values[Slot.TTFT_SECONDS])
    if ttft is None and values[Slot.TTFT_AT] is not None:
        ttft = moments.since(span.start_ns, decode_small(values[Slot.TTFT_AT]))
    if ttft is None:
        ttft = first_chunk
    if ttft is not None and streamed is None:
        streamed = True
    if ttft is None and streamed:
        # OpenLIT writes the whole latency here for calls that were not streamed.
        ttft = fallbacks.to_seconds_ns(values[Slot.TTFT_IF_STREAMED])
    span.streamed, span.ttft_ns = streamed, ttft


def _read_usage(span: CanonicalSpan, reading: Reading) -> None:
    counts, told_by, span.aggregated_usage = counts_of(reading.values, reading.ranks, reading.vocabulary)
    resolved = resolve(
        counts,
        vocabulary=reading.vocabulary,
        provider=span.provider,
        cache_blind=reading.source.is_cache_blind(),
        is_error=span.status is _ERROR,
        has_output=reading.has_output,
        source=told_by,
    )
    span.usage = resolved.usage
    span.flags |= resolved.flags
    if resolved.provenance is not None:
        span.body["usage"] = resolved.provenance
    if resolved.usage is None:
        span.aggregated_usage = False


def _read_cost(span: CanonicalSpan, reading: Reading) -> None:
    """The sender's own figure in pico-dollars. 0 is what clients write that have no price: unknown."""
    told = decode_small(reading.values[Slot.COST])
    if isinstance(told, dict):
        total = told.get("total", told.get("total_cost"))
        parts = [total] if total is not None else list(told.values())[:64]
    else:
        parts = [told]
    amount = Decimal(0)
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, int | float | str):
            return
        try:
            value = Decimal(str(part)[:64])
        except InvalidOperation:
            return
        if not value.is_finite() or value.adjusted() > 12:
            span.flags |= _IMPLAUSIBLE
            return
        amount += value
    pico = int((amount * _PICO).to_integral_value())
    if pico <= 0:
        return
    if pico > _MAX_PICO:
        span.flags |= _IMPLAUSIBLE
        return
    span.cost_reported_pico = pico
    span.body["cost_reported_by"] = TYPED_KEYS[Slot.COST][reading.ranks[Slot.COST]]


def _read_content_state(span: CanonicalSpan, reading: Reading) -> None:
    raw, values = reading.raw, reading.values
    if (reading.has_input and raw.get("input.value") == _REDACT_MARK) or (
        reading.has_output and raw.get("output.value") == _REDACT_MARK
    ):
        span.flags |= _REDACTED
    if values[Slot.SCRUBBED] is not None and "messages" in str(values[Slot.SCRUBBED]):
        span.flags |= _SCRUBBED
    if values[Slot.PENDING] == "pending_span":
        span.flags |= _PENDING
    elif span.kind is _GENERATION and not reading.has_input and not reading.has_output:
        span.flags |= _NOT_CAPTURED


def _read_leftovers(span: CanonicalSpan, draft: Draft) -> None:
    body, notes = span.body, draft.notes
    if notes.cut is not None:
        body["cut"] = notes.cut
        span.flags |= _TRUNCATED
    if notes.repaired:
        span.flags |= _REPAIRED
    if notes.attributes_cut:
        span.flags |= _ATTRIBUTES_CUT
    if draft.trace_state:
        body["trace_state"] = draft.trace_state
    if draft.dropped:
        body["dropped"] = draft.dropped
    if draft.foreign_span_id is not None:
        body["foreign_span_id"] = draft.foreign_span_id
    if draft.foreign_parent_id is not None:
        body["foreign_parent_id"] = draft.foreign_parent_id
