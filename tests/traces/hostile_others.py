"""Hostile log records, metric points and native traces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.traces.hostile_case import (
    BAD_UTF8,
    JSON,
    LOGS,
    LONG,
    METRICS,
    MIB,
    NATIVE,
    Case,
    trace_of,
)
from tests.traces.hostile_json import JSON_VALUES
from tests.traces.hostile_wire import (
    NOW_NS,
    block,
    deep,
    double,
    fixed64,
    kvlist,
    number,
    pair,
    request,
    text,
)


def logs_cases() -> Iterator[Case]:
    trace, own = block(9, trace_of("logs")), block(10, b"\0" * 7 + b"\1")

    def event(body: bytes = b"", name: bytes | str = "gen_ai.choice", ids: bytes = trace + own) -> bytes:
        return fixed64(1, NOW_NS) + block(5, body) + ids + block(12, name)

    for label, records in {
        "bad utf-8": [event(text(BAD_UTF8))],
        "bad name": [event(text("x"), BAD_UTF8)],
        "nul": [event(kvlist(pair("a\0", text("\0"))))],
        "deep": [event(deep(120))],
        "deep fits": [event(deep(40))],
        "no ids": [event(ids=b"")],
        "zero ids": [event(ids=block(9, b"\0" * 16) + own)],
        "short trace": [event(ids=block(9, b"\1") + own)],
        "long span": [event(ids=trace + block(10, b"\1" * 30))],
        "nan": [event(double(4, float("nan")))],
        "bytes": [event(block(7, b"\xff\0"))],
        "big": [event(text("x" * MIB))],
        "same 500": [event(text("same"))] * 500,
        "years": [fixed64(1, 2**64 - 1) + trace + own + block(12, "gen_ai.choice")],
        "index odd": [event(kvlist(pair("index", deep(20))))],
        "index nan": [event(kvlist(pair("index", double(4, float("nan")))))],
        "long name": [event(name="n" * MIB)],
        "not ours": [event(name="other")] * 100,
    }.items():
        yield Case(f"logs {label}", request(*records), LOGS, items=len(records))
    for at, value in enumerate(JSON_VALUES):
        record = {
            "traceId": trace_of("logs").hex(),
            "spanId": "00000000000000a1",
            "eventName": "gen_ai.choice",
            "body": value,
        }
        odd = {
            "traceId": value,
            "spanId": value,
            "eventName": value,
            "body": value,
            "attributes": value,
            "timeUnixNano": value,
        }
        document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, odd, value]}]}]}
        yield Case(f"json logs {at}", json.dumps(document).encode(), LOGS, JSON, items=3)
    yield Case("json logs snake", b'{"resource_logs": []}', LOGS, JSON, status=(400,))


def metrics_cases() -> Iterator[Case]:
    def metric(data: bytes, name: bytes | str = "gen_ai.client.token.usage") -> bytes:
        return request(block(1, name) + block(3, "s") + data)

    def gauge(*points: bytes) -> bytes:
        return block(5, b"".join(block(1, point) for point in points))

    at = fixed64(3, NOW_NS)
    for label, body in {
        "nan": metric(gauge(at + double(4, float("nan")))),
        "infinity": metric(gauge(at + double(4, float("inf")))),
        "min int": metric(gauge(at + fixed64(6, 2**63))),
        "no value": metric(gauge(at)),
        "no time": metric(gauge(double(4, 1.0))),
        "years": metric(gauge(fixed64(3, 2**64 - 1) + double(4, 1.0))),
        "bad name": metric(gauge(at + double(4, 1.0)), b"gen_ai.\xff\0"),
        "nul name": metric(gauge(at + double(4, 1.0)), b"gen_ai.a\0b"),
        "long name": metric(gauge(at + double(4, 1.0)), "gen_ai." + "é" * MIB),
        "bad attribute": metric(gauge(at + double(4, 1.0) + block(7, pair(BAD_UTF8, text(BAD_UTF8))))),
        "nul attribute": metric(gauge(at + double(4, 1.0) + block(7, pair("a\0", text("\0"))))),
        "big attribute": metric(gauge(at + double(4, 1.0) + block(7, pair("a", text("é" * MIB))))),
        "deep attribute": metric(gauge(at + double(4, 1.0) + block(7, pair("a", deep(40))))),
        "same 500": metric(gauge(*[at + double(4, 1.0)] * 500)),
        "series 3,000": metric(gauge(*(at + double(4, 1.0) + block(7, pair("k", text(str(n)))) for n in range(3_000)))),
        "histogram": metric(
            block(
                9,
                block(
                    1,
                    at
                    + fixed64(4, 2**64 - 1)
                    + double(5, float("nan"))
                    + block(6, b"\xff" * 16)
                    + block(7, b"\0" * 16),
                ),
            )
        ),
        "histogram wide": metric(block(9, block(1, at + fixed64(4, 1) + block(6, b"\1" * 80_000)))),
        "exponential": metric(
            block(
                10,
                block(
                    1,
                    at
                    + fixed64(4, 5)
                    + number(6, 2**31)
                    + fixed64(7, 2**64 - 1)
                    + block(8, number(1, 5) + block(2, b"\1\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")),
                ),
            )
        ),
        "summary": metric(
            block(
                11,
                block(
                    1,
                    at
                    + fixed64(4, 2**64 - 1)
                    + double(5, float("inf"))
                    + block(6, double(1, float("nan")) + double(2, 1.0)),
                ),
            )
        ),
    }.items():
        yield Case(f"metrics {label}", body, METRICS)
    for at_, value in enumerate(JSON_VALUES):
        points = [
            {"asDouble": value, "timeUnixNano": value, "attributes": value, "flags": value},
            {"asInt": value},
            value,
        ]
        histogram = [
            {
                "count": value,
                "sum": value,
                "bucketCounts": [value],
                "explicitBounds": value,
                "min": value,
                "timeUnixNano": "5",
            }
        ]
        metrics = [
            {"name": "gen_ai.x", "unit": value, "gauge": {"dataPoints": points}},
            {"name": value, "gauge": {"dataPoints": points}},
            {"name": "gen_ai.h", "histogram": {"dataPoints": histogram, "aggregationTemporality": value}},
            {
                "name": "gen_ai.e",
                "exponentialHistogram": {"dataPoints": [{"scale": value, "positive": value, "zeroCount": value}]},
            },
            {
                "name": "gen_ai.s",
                "summary": {
                    "dataPoints": [{"quantileValues": [value, {"quantile": value, "value": value}], "count": value}]
                },
            },
            {"name": "gen_ai.y", "sum": value},
            value,
        ]
        document = {"resourceMetrics": [{"resource": value, "scopeMetrics": [{"metrics": metrics}]}]}
        yield Case(f"json metrics {at_}", json.dumps(document).encode(), METRICS, JSON)


def native_cases() -> Iterator[Case]:
    def one(label: str, document: Any, *status: int) -> Case:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return Case(f"native {label}", body, NATIVE, JSON, status=status or (200, 400))

    for at, value in enumerate(
        (
            None,
            5,
            "x",
            [],
            {},
            [None, 5, "x", [], {}],
            {"spans": []},
            {"spans": None},
            {"spans": [None, 5]},
            {"traces": {}},
            {"traces": [5]},
            {"name": None},
            {"name": "x", "spans": "y"},
            {"name": "\0\ud800"},
        )
    ):
        yield one(f"outline {at}", value)
    fields = (
        "id",
        "span_id",
        "trace_id",
        "parent",
        "parent_id",
        "name",
        "kind",
        "start",
        "end",
        "duration_ms",
        "input",
        "output",
        "usage",
        "error",
        "status",
        "tool",
        "prompt",
        "ttft_ms",
        "parameters",
        "events",
        "attributes",
        "children",
        "spans",
        "model",
        "provider",
        "response_id",
        "finish_reason",
        "user",
        "session",
        "feature",
        "release",
        "environment",
        "service",
        "tags",
        "metadata",
        "cost_usd",
        "documents",
        "messages",
        "system",
        "tools",
        "query",
        "streamed",
        "service_tier",
    )
    odd: dict[str, Any] = {
        "null": None,
        "number": 5,
        "negative": -1,
        "big": 10**30,
        "float": 1e308,
        "text": "x",
        "nul": "\0\ud800",
        "long": LONG,
        "list": [1, None, {"a": "\0"}],
        "map": {"a": {"b": [None]}, "": "\ud800", "\0": 1},
        "true": True,
    }
    for key in fields:
        for label, value in odd.items():
            yield one(f"{key} {label}", {"name": "odd", "start": "2026-11-20T10:00:00Z", key: value})
    for literal in ("NaN", "Infinity", "1e400", "9" * 5_000, '"\\ud800"'):
        for key in ("start", "end", "duration_ms", "ttft_ms", "cost_usd", "id", "trace_id", "parent", "input"):
            body = b'{"name": "odd", "start": "2026-11-20T10:00:00Z", "%s": %s}' % (key.encode(), literal.encode())
            yield one(f"{key} literal {literal[:9]}", body)
    for depth in (60, 70, 300, 900, 3_000):
        yield one(f"children {depth} deep", b'{"name":"x","children":[' * depth + b'{"name":"x"}' + b"]}" * depth)
        yield one(f"input {depth} deep", b'{"name":"x","input":' + b"[" * depth + b"]" * depth + b"}")
        yield one(f"metadata {depth} deep", b'{"name":"x","metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}")
        yield one(f"attributes {depth} deep", b'{"name":"x","attributes":{"a":' + b"[" * depth + b"]" * depth + b"}}")
        yield one(
            f"usage {depth} deep",
            b'{"name":"x","model":"m","usage":{"prompt_tokens":' + b"[" * depth + b"]" * depth + b"}}",
        )
    for label, moment in {
        "year 1": "0001-01-01T00:00:00Z",
        "year 9999": "9999-12-31T23:59:59Z",
        "far zone": "0001-01-01T00:00:00+23:59",
        "negative": -1,
        "huge": 10**300,
        "tiny": 1e-300,
        "text": "yesterday",
        "digits": "1795000000",
        "week": "2026-W10",
        "9999 zone": "9999-12-31T23:59:59-23:59",
        "full width": "２０２６-11-20",
    }.items():
        yield one(f"moment {label}", {"name": "x", "start": moment, "end": moment})
    yield one("duration huge", {"name": "x", "start": "2026-11-20T10:00:00Z", "duration_ms": 1e300})
    yield one(
        "id collision",
        {"name": "x", "spans": [{"id": "a", "name": "1", "start": 1.7e9}, {"id": "a", "name": "2", "start": 1.8e9}]},
        200,
    )
    yield one("own parent", {"name": "x", "spans": [{"id": "a", "parent": "a", "name": "1"}]}, 200)
    yield one("3,000 wide", {"name": "x", "children": [{"name": "y"}] * 3_000}, 200)
    yield one("many errors", {"spans": [{"kind": "odd", "name": "x"}] * 2_000})
    yield one("10 MB input", {"name": "x", "input": "é" * (5 * MIB)}, 200)
    yield one("10,000 fields", {"name": "x", **{f"f{n}": n for n in range(10_000)}}, 200)
    yield one("id of 1 MB", {"name": "x", "id": "i" * MIB, "trace_id": "t" * MIB, "parent": "p" * MIB}, 400)
