"""Spans as an OTLP ExportTraceServiceRequest in protobuf."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from traces.forward.outgoing import Outgoing
from traces.forward.values import DEPTH_MAX, INT_MAX, INT_MIN, as_text, by_sender, bytes_of, hex_bytes, nanoseconds

_UINT32_MAX = 2**32 - 1


def export_request(spans: Iterable[Outgoing]) -> bytes:
    """The request that holds `spans`, grouped by resource and scope."""
    request = ExportTraceServiceRequest()
    for sender, held in by_sender(spans):
        group = request.resource_spans.add()
        _fill(group.resource.attributes, sender.resource)
        scoped = group.scope_spans.add()
        scoped.scope.name, scoped.scope.version = sender.scope_name, sender.scope_version
        _fill(scoped.scope.attributes, sender.scope_attributes)
        for span in held:
            _write(scoped.spans.add(), span)
    data: bytes = request.SerializeToString()
    return data


def _write(out: Span, span: Outgoing) -> None:
    out.trace_id = span.trace_id.bytes
    out.span_id = span.span_id.to_bytes(8, "big", signed=True)
    if span.parent_span_id is not None:
        out.parent_span_id = span.parent_span_id.to_bytes(8, "big", signed=True)
    out.name = span.name
    out.kind = span.kind  # type: ignore[assignment]
    out.start_time_unix_nano, out.end_time_unix_nano = nanoseconds(span.start_ns), nanoseconds(span.end_ns)
    if span.trace_state:
        out.trace_state = span.trace_state
    if span.status:
        out.status.code = span.status  # type: ignore[assignment]
    if span.status_message:
        out.status.message = span.status_message
    _fill(out.attributes, span.attributes)
    for event in span.events:
        told = out.events.add()
        told.name, told.time_unix_nano = str(event.get("name", "")), nanoseconds(event.get("at_ns"))
        _fill(told.attributes, event.get("attributes") or {})
    for link in span.links:
        to = out.links.add()
        to.trace_id, to.span_id = hex_bytes(link.get("trace_id"), 16), hex_bytes(link.get("span_id"), 8)
        _fill(to.attributes, link.get("attributes") or {})
    for name, count in span.dropped.items():
        if name in {"attributes", "events", "links"} and isinstance(count, int) and count > 0:
            setattr(out, f"dropped_{name}_count", min(count, _UINT32_MAX))


def _fill(out: Any, attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        pair = out.add()
        pair.key = key
        _put(pair.value, value, 0)


def _put(out: AnyValue, value: Any, depth: int) -> None:
    """Set one AnyValue; None leaves it without a value, as OTLP has it."""
    if isinstance(value, str):
        data = bytes_of(value)
        if data is None:
            out.string_value = value
        else:
            out.bytes_value = data
    elif isinstance(value, bool):
        out.bool_value = value
    elif isinstance(value, int):
        if INT_MIN <= value <= INT_MAX:
            out.int_value = value
        else:
            out.string_value = str(value)
    elif isinstance(value, float):
        out.double_value = value
    elif isinstance(value, dict | list) and depth >= DEPTH_MAX:
        out.string_value = as_text(value)
    elif isinstance(value, dict):
        out.kvlist_value.SetInParent()
        for key, item in value.items():
            pair = out.kvlist_value.values.add()
            pair.key = str(key)
            _put(pair.value, item, depth + 1)
    elif isinstance(value, list):
        out.array_value.SetInParent()
        for item in value:
            _put(out.array_value.values.add(), item, depth + 1)
