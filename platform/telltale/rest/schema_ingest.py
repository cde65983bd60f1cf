"""The ingest paths in the OpenAPI document: plain views that read the body as a stream, described by hand."""

from __future__ import annotations

from typing import Any

_SECURITY: list[dict[str, list[str]]] = [{"key": []}]
_REF = "#/components/schemas/"


def _otlp(signal: str, message: str, effect: str) -> dict[str, Any]:
    answers: dict[str, Any] = {
        "200": {
            "description": "Committed. Empty, or a `partialSuccess` that counts what was refused and says why.",
            "content": {
                "application/json": {"schema": {"$ref": _REF + "OtlpAnswer"}},
                "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    }
    for status, meaning in {
        "400": "The body cannot be decoded or decompressed.",
        "401": "No key, or an unknown or revoked one.",
        "403": "The key lacks the scope ingest.",
        "413": "Larger than the limit, before or after decompression; lower the exporter's batch size.",
        "415": "A content type or encoding that is not accepted.",
        "429": "Over the rate; `Retry-After` says when to send again.",
        "503": "Busy, or the database is away; `Retry-After` says when to send again.",
    }.items():
        answers[status] = {
            "description": meaning,
            "content": {
                "application/json": {"schema": {"$ref": _REF + "OtlpStatus"}},
                "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    return {
        "post": {
            "operationId": f"ingest_{signal}",
            "summary": f"Send {signal} (OTLP/HTTP)",
            "description": f"{message} as protobuf or JSON; gzip, deflate or zstd. {effect}",
            "tags": ["Ingest"],
            "security": _SECURITY,
            "requestBody": {
                "content": {
                    "application/json": {"schema": {"type": "object", "additionalProperties": True}},
                    "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
                }
            },
            "responses": answers,
        }
    }


def _native() -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": _REF + "IngestProblem"}}}
    answers: dict[str, Any] = {
        "200": {
            "description": "Committed: how many spans were stored, were there already, or were refused and why.",
            "content": {"application/json": {"schema": {"$ref": _REF + "NativeAnswer"}}},
        }
    }
    for status, meaning in {
        "400": "Nothing in the body could be read.",
        "401": "No key, or an unknown or revoked one.",
        "403": "The key lacks the scope ingest.",
        "413": "Larger than the limit.",
        "415": "Not JSON, or an encoding that is not accepted.",
        "429": "Over the rate; `Retry-After` says when to send again.",
        "503": "Busy, or the database is away; `Retry-After` says when to send again.",
    }.items():
        answers[status] = {"description": meaning, "content": problem}
    return {
        "post": {
            "operationId": "ingest_native",
            "summary": "Send traces as plain JSON",
            "description": "Nested or flat spans without OpenTelemetry; docs/native-api.md has the fields.",
            "tags": ["Ingest"],
            "security": _SECURITY,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}},
            },
            "responses": answers,
        }
    }


PATHS: dict[str, dict[str, Any]] = {
    "/v1/traces": _otlp("traces", "ExportTraceServiceRequest", "Spans are stored."),
    "/v1/logs": _otlp(
        "logs", "ExportLogsServiceRequest", "GenAI events are joined to their spans; others are counted and dropped."
    ),
    "/v1/metrics": _otlp(
        "metrics", "ExportMetricsServiceRequest", "Allow-listed series are kept; others are counted and dropped."
    ),
    "/api/v1/traces": _native(),
}
SCHEMAS: dict[str, Any] = {
    "OtlpAnswer": {
        "type": "object",
        "properties": {"partialSuccess": {"type": "object", "additionalProperties": True}},
    },
    "OtlpStatus": {
        "type": "object",
        "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
        "required": ["message"],
    },
    "NativeAnswer": {"type": "object", "additionalProperties": True},
    "IngestProblem": {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "reason": {"type": "string", "description": "Under which the accounting page counts it."},
            "errors": {"type": "array", "items": {"$ref": _REF + "FieldErrorShape"}},
        },
        "required": ["type", "title", "status", "detail"],
    },
}
