"""Traces of the demo as OTLP requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

from telltale.run.demo.values import DemoSpan, DemoTrace, Value

SPANS_A_REQUEST = 512


@dataclass(frozen=True, slots=True)
class Request:
    """One body for /v1/traces."""

    body: bytes
    spans: int


def requests_of(traces: Iterable[DemoTrace]) -> Iterator[Request]:
    """The traces in requests of about `SPANS_A_REQUEST` spans, none cut apart."""
    held: list[DemoTrace] = []
    spans = 0
    for trace in traces:
        held.append(trace)
        spans += len(trace.spans)
        if spans >= SPANS_A_REQUEST:
            yield Request(encode(held), spans)
            held, spans = [], 0
    if held:
        yield Request(encode(held), spans)


def encode(traces: Iterable[DemoTrace]) -> bytes:
    """One ExportTraceServiceRequest; a resource for each release and environment."""
    message = ExportTraceServiceRequest()
    groups: dict[tuple[str, str], ScopeSpans] = {}
    for trace in traces:
        key = (trace.release, trace.environment)
        if key not in groups:
            resource = message.resource_spans.add()
            for name, value in _resource(*key).items():
                _put(resource.resource.attributes.add(), name, value)
            groups[key] = resource.scope_spans.add()
            groups[key].scope.name = "shop_assistant"
            groups[key].scope.version = trace.release
        for span in trace.spans:
            _encode_span(groups[key].spans.add(), trace.trace_id, span)
    return message.SerializeToString()


def _resource(release: str, environment: str) -> dict[str, Value]:
    return {
        "service.name": "shop-api",
        "service.version": release,
        "deployment.environment.name": environment,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        # Whoever looks at the raw data sees what it is.
        "telltale.demo": True,
    }


def _encode_span(target: Span, trace_id: bytes, span: DemoSpan) -> None:
    target.trace_id = trace_id
    target.span_id = span.span_id
    target.parent_span_id = span.parent_id
    target.name = span.name
    target.kind = span.otel_kind  # type: ignore[assignment]
    target.start_time_unix_nano = span.start_ns
    target.end_time_unix_nano = span.end_ns
    for name, value in span.attributes.items():
        _put(target.attributes.add(), name, value)
    for event in span.events:
        told = target.events.add(name=event.name, time_unix_nano=event.at_ns)
        for name, value in event.attributes.items():
            _put(told.attributes.add(), name, value)
    if span.error:
        target.status.code = Status.STATUS_CODE_ERROR
        target.status.message = span.error


def _put(target: KeyValue, name: str, value: Value) -> None:
    target.key = name
    if isinstance(value, str):
        target.value.string_value = value
    elif isinstance(value, bool):
        target.value.bool_value = value
    elif isinstance(value, int):
        target.value.int_value = value
    elif isinstance(value, float):
        target.value.double_value = value
    else:
        for item in value:
            target.value.array_value.values.add().string_value = item
