"""Spans as an OTLP/JSON request: hex ids, integers as text, enums as numbers."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from traces.forward.outgoing import Outgoing, Sender
from traces.forward.values import DEPTH_MAX, INT_MAX, INT_MIN, as_text, by_sender, bytes_of, nanoseconds
from traces.wire.ids import hex_span_id


def traces_json(spans: Iterable[Outgoing]) -> dict[str, Any]:
    """The ExportTraceServiceRequest that holds `spans`."""
    return {
        "resourceSpans": [
            {**_resource(sender), "scopeSpans": [{"scope": _scope(sender), "spans": [_span(span) for span in held]}]}
            for sender, held in by_sender(spans)
        ]
    }


def _resource(sender: Sender) -> dict[str, Any]:
    return {"resource": {"attributes": _pairs(sender.resource)}}


def _scope(sender: Sender) -> dict[str, Any]:
    scope: dict[str, Any] = {"name": sender.scope_name}
    if sender.scope_version:
        scope["version"] = sender.scope_version
    if sender.scope_attributes:
        scope["attributes"] = _pairs(sender.scope_attributes)
    return scope


def _span(span: Outgoing) -> dict[str, Any]:
    told: dict[str, Any] = {"traceId": span.trace_id.hex, "spanId": hex_span_id(span.span_id)}
    if span.parent_span_id is not None:
        told["parentSpanId"] = hex_span_id(span.parent_span_id)
    told |= {
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(nanoseconds(span.start_ns)),
        "endTimeUnixNano": str(nanoseconds(span.end_ns)),
        "attributes": _pairs(span.attributes),
    }
    if span.trace_state:
        told["traceState"] = span.trace_state
    if span.status or span.status_message:
        told["status"] = {"code": span.status, **({"message": span.status_message} if span.status_message else {})}
    if span.events:
        told["events"] = [
            {
                "name": str(event.get("name", "")),
                "timeUnixNano": str(nanoseconds(event.get("at_ns"))),
                "attributes": _pairs(event.get("attributes") or {}),
            }
            for event in span.events
        ]
    if span.links:
        told["links"] = [
            {
                "traceId": str(link.get("trace_id", "")),
                "spanId": str(link.get("span_id", "")),
                "attributes": _pairs(link.get("attributes") or {}),
            }
            for link in span.links
        ]
    for name in ("attributes", "events", "links"):
        if span.dropped.get(name):
            told[f"dropped{name.title()}Count"] = span.dropped[name]
    return told


def _pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": str(key), "value": _value(value, 0)} for key, value in attributes.items()]


def _value(value: Any, depth: int) -> dict[str, Any]:
    if isinstance(value, str):
        data = bytes_of(value)
        return {"stringValue": value} if data is None else {"bytesValue": base64.b64encode(data).decode()}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)} if INT_MIN <= value <= INT_MAX else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, dict | list) and depth >= DEPTH_MAX:
        return {"stringValue": as_text(value)}
    if isinstance(value, dict):
        pairs = [{"key": str(key), "value": _value(item, depth + 1)} for key, item in value.items()]
        return {"kvlistValue": {"values": pairs}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item, depth + 1) for item in value]}}
    return {}
