"""Answers in the sender's own encoding: OTLP protobuf, OTLP JSON, or problem+json for the native API."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from telltale.rest.problems import FieldError, body_of

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
PROBLEM = "application/problem+json"

_RESPONSES: dict[str, tuple[Any, str, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
}


def otlp_success(source: str, content_type: str, rejected: int, message: str) -> HttpResponse:
    """200; `partial_success` is unset where nothing was refused and there is nothing to say."""
    response_class, field, json_field = _RESPONSES[source]
    if content_type == JSON:
        body: dict[str, Any] = {}
        if rejected or message:
            body["partialSuccess"] = {json_field: str(rejected), "errorMessage": message}
        return HttpResponse(orjson.dumps(body), content_type=JSON)
    answer = response_class()
    if rejected or message:
        setattr(answer.partial_success, field, rejected)
        answer.partial_success.error_message = message
    return HttpResponse(answer.SerializeToString(), content_type=PROTOBUF)


def otlp_error(content_type: str, status: int, code: int, message: str) -> HttpResponse:
    """A google.rpc.Status in the request's encoding."""
    if content_type == PROTOBUF:
        return HttpResponse(_status_bytes(code, message), status=status, content_type=PROTOBUF)
    return HttpResponse(orjson.dumps({"code": code, "message": message}), status=status, content_type=JSON)


def problem(status: int, reason: str, detail: str, errors: tuple[FieldError, ...] = ()) -> HttpResponse:
    """A problem as all of REST answers it, with the reason under which the refusal is counted."""
    body = {**body_of(status, detail, errors), "reason": reason}
    return HttpResponse(orjson.dumps(body), status=status, content_type=PROBLEM)


def _status_bytes(code: int, message: str) -> bytes:
    # google.rpc.Status by hand: field 1 varint code, field 2 string message. It is in none of our packages.
    text = message.encode()
    return b"\x08" + bytes([code]) + b"\x12" + _varint(len(text)) + text


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
