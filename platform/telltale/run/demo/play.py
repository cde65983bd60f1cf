"""The demo's traces told through the SDK, as an application would: with its own times, because they are of the past."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime

from opentelemetry.sdk.trace.id_generator import IdGenerator

import telltale_sdk as telltale
from telltale.run.demo.account import Address, SendError
from telltale.run.demo.values import Call, DemoSignal, DemoSpan, DemoTrace

# Enough that the sender never waits for the next batch to be made, little enough to stop soon.
WAITING_SPANS = 4_096
# The SDK's own queue of signals holds twice as many.
WAITING_SIGNALS = 500
QUEUE_SPANS = 16_384
QUEUE_BYTES = 512 * 1024 * 1024
# How long a server may be away or busy before the sender gives up.
PATIENCE_SECONDS = 90.0
TIMEOUT_SECONDS = 30.0
Tell = Callable[[int], None]


class GivenIds(IdGenerator):
    """The ids that the story gives: what is sent again has the same ones, and is stored once."""

    def __init__(self) -> None:
        self.trace_id = b""
        self.span_id = b""

    def generate_trace_id(self) -> int:
        """The trace's."""
        return int.from_bytes(self.trace_id, "big")

    def generate_span_id(self) -> int:
        """The span's that starts now."""
        return int.from_bytes(self.span_id, "big")


def play(address: Address, traces: Iterable[DemoTrace], tell: Tell, until: datetime | None = None) -> telltale.Stats:
    """Send all traces, and what users did about them before `until`; `tell` hears how many spans were confirmed.

    SendError where that cannot be.

    The SDK drops rather than wait, as is right in an application; here the one who waits is the story.
    """
    ids = GivenIds()
    telltale.init(
        address.url,
        address.secret,
        service="shop-api",
        resource={"telltale.demo": True},
        # None of this shell's settings for other applications.
        environment="",
        release="",
        sample=1.0,
        capture_content=True,
        disabled=False,
        queue_spans=QUEUE_SPANS,
        queue_bytes=QUEUE_BYTES,
        delay_seconds=0.1,
        timeout_seconds=TIMEOUT_SECONDS,
        retry_seconds=PATIENCE_SECONDS,
        id_generator=ids,
    )
    try:
        for trace in traces:
            _play_trace(trace, ids)
            for signal in trace.signals:
                if not signal.from_shop and (until is None or signal.at < until):
                    _tell_signal(trace, signal)
            _wait(address, WAITING_SPANS, tell)
        _wait(address, 0, tell)
        return telltale.stats()
    finally:
        telltale.shutdown(2)


def _wait(address: Address, spans: int, tell: Tell) -> None:
    """Wait until no more than so many spans are on their way."""
    while True:
        stats = telltale.stats()
        tell(stats.spans_sent)
        if stats.spans_dropped:
            reasons = ", ".join(f"{number:,} {reason}" for reason, number in stats.dropped_by_reason)
            raise SendError(f"{address.url} did not take all spans ({reasons}). Is Telltale running?")
        if stats.signals_dropped:
            raise SendError(f"{address.url} did not take {stats.signals_dropped:,} signals. Is Telltale running?")
        if stats.spans_queued <= spans and stats.signals_queued <= (WAITING_SIGNALS if spans else 0):
            return
        # Also sends what is less than a batch.
        telltale.flush(0.2) if spans == 0 else time.sleep(0.01)


def _tell_signal(trace: DemoTrace, signal: DemoSignal) -> None:
    telltale.signal(
        signal.name,
        signal.value,
        trace_id=signal.target if signal.about == "trace" else None,
        request_id=signal.target if signal.about == "request" else None,
        session=trace.session_id if signal.about == "session" else None,
        comment=signal.comment,
        user=trace.user_id,
        at=signal.at,
        client_id=signal.client_id,
    )


def _play_trace(trace: DemoTrace, ids: GivenIds) -> None:
    ids.trace_id = trace.trace_id
    with (
        telltale.user(trace.user_id),
        telltale.session(trace.session_id),
        telltale.feature(trace.feature),
        telltale.release(trace.release),
        telltale.tags(*trace.tags),
        telltale.metadata(**trace.metadata),
    ):
        _play_span(trace.spans[0], trace.environment, ids)


def _play_span(span: DemoSpan, environment: str, ids: GivenIds) -> None:
    ids.span_id = span.span_id
    with telltale.observe_span(
        span.name,
        kind=span.kind,
        input=span.input,
        attributes={"telltale.environment": environment, **span.attributes},
        start_ns=span.start_ns,
        end_ns=span.end_ns,
    ) as told:
        for step in span.below:
            _play_span(step, environment, ids)
        if span.output is not None:
            told.set_output(span.output)
        if span.search is not None:
            told.set_retrieval(span.search.query, span.search.documents, source=span.search.source, top_k=5)
        if span.call is not None:
            _tell_call(told, span, span.call)
        if span.error is not None:
            told.set_error(span.error.message, span.error.kind, stack=span.error.stack, at_ns=span.end_ns)


def _tell_call(told: telltale.Span, span: DemoSpan, call: Call) -> None:
    is_answered = call.input_tokens is not None
    told.set_model(call.model, call.provider, answered=call.model if is_answered else None)
    told.set_usage(
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cache_read_tokens=call.cache_read,
        cache_write_5m_tokens=call.cache_written,
    )
    told.set_parameters(**call.parameters)
    if call.prompt is not None:
        told.set_prompt(*call.prompt)
    if call.ttft_ns is not None:
        told.first_token(span.start_ns + call.ttft_ns)
    if call.finish_reason:
        told.set_finish_reason(call.finish_reason)
    if call.response_id:
        told.set_response_id(call.response_id)
