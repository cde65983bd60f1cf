"""Hostile JSON: documents, spans of OTLP/JSON, and JSON inside of text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.traces.hostile_case import (
    JSON,
    Case,
    one_span,
    trace_of,
)
from tests.traces.hostile_protobuf import NUMBERS
from tests.traces.hostile_wire import (
    NOW_NS,
    attribute,
    request,
    span,
)


def _json_body(*spans: Any, **more: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}], **more}).encode()


def _json_span(called: str, **fields: Any) -> dict[str, Any]:
    return {
        "traceId": trace_of(called).hex(),
        "spanId": "00000000000000a1",
        "name": "step",
        "startTimeUnixNano": str(NOW_NS),
        "endTimeUnixNano": str(NOW_NS + 10**6),
        **fields,
    }


def broken_json_cases() -> Iterator[Case]:
    for label, body in {
        "cut": b'{"resourceSpans": [',
        "comma": b'{"resourceSpans": [],}',
        "single quotes": b"{'a': 1}",
        "bare": b"resourceSpans",
        "protobuf in json": request(span(1, trace_of("x"))),
        "list": b"[]",
        "number": b"7",
        "text": b'"x"',
        "null": b"null",
        "true": b"true",
        "deep 100,000": b"[" * 100_000,
        "deep objects": b'{"a":' * 50_000,
        "closed deep": b"[" * 5_000 + b"]" * 5_000,
        "utf-16": '{"a":1}'.encode("utf-16"),
        "ndjson": b'{"resourceSpans":[]}\n{"resourceSpans":[]}',
        "nul bytes": b"\0\0\0\0",
        "noise": b"\x93" * 500,
        "snake": b'{"resource_spans": []}',
    }.items():
        yield Case(f"json {label}", body, content_type=JSON, status=(400,))
    for label, body in {
        "empty": b"",
        "space": b"  \n",
        "object": b"{}",
        "bom": b"\xef\xbb\xbf{}",
        "other keys": b'{"x": [1, {"y": null}]}',
        "groups null": b'{"resourceSpans": null}',
        "groups a map": b'{"resourceSpans": {"a": 1}}',
        "groups of junk": b'{"resourceSpans": [null, 1, "x", [], {"scopeSpans": [null, 2, {"spans": 5}]}]}',
        "groups a text": b'{"resourceSpans": "x"}',
        "scope a list": b'{"resourceSpans": [{"scopeSpans": [{"scope": []}]}]}',
        "deep unknown": b'{"x":' + b"[" * 900 + b"]" * 900 + b"}",
    }.items():
        yield Case(f"json {label}", body, content_type=JSON, items=0)


def json_spans_cases() -> Iterator[Case]:
    def one(label: str, stored: int = 1, **fields: Any) -> Case:
        name = f"json span {label}"
        return Case(name, _json_body(_json_span(name, **fields)), content_type=JSON, items=1, stored=stored)

    yield one("upper ids", traceId=trace_of("json span upper ids").hex().upper(), spanId="00000000000000AB")
    for label, value in {
        "base64": "AAAAAAAAAAAAAAAAAAAAAQ==",
        "zero": "0" * 32,
        "short": "ab",
        "long": "a" * 64,
        "null": None,
        "number": 5,
        "list": [],
        "map": {},
        "true": True,
        "spaces": " " * 32,
        "signs": "-" + "1" * 31,
        "underscore": "1_" * 16,
        "full width": "１" * 32,
        "uuid": "01234567-89ab-cdef-0123-456789abcdef",
        "nul": "\0" * 32,
        "surrogate": "\ud800" * 32,
        "not hex": "g" * 32,
    }.items():
        yield one(f"trace id {label}", 0, traceId=value)
        yield one(f"span id {label}", 0, spanId=value[:16] if isinstance(value, str) and len(value) == 32 else value)
        if value is not None and label != "zero":
            parent = value[:16] if isinstance(value, str) and len(value) == 32 else value
            yield one(f"parent {label}", 0, parentSpanId=parent)
    for label, value in {
        "number": NOW_NS,
        "float": float(NOW_NS),
        "2^64": 2**64,
        "negative": -5,
        "exponent": "1.7e18",
        "words": "now",
        "iso": "2026-11-01T00:00:00Z",
        "true": True,
        "list": [],
        "map": {},
        "5,000 digits": "9" * 5_000,
        "empty": "",
        "null": None,
        "spaces": " 5 ",
        "underscore": "1_0",
        "full width": "１２",
        "big int": 10**400,
        "nan": "NaN",
        "infinity": "Infinity",
        "1e400": "1e400",
    }.items():
        for key in ("startTimeUnixNano", "endTimeUnixNano"):
            name = f"json {key} {label}"
            yield Case(name, _json_body(_json_span(name, **{key: value})), content_type=JSON, items=1)
        yield Case(
            f"json event time {label}",
            _json_body(_json_span(f"json event time {label}", events=[{"name": "e", "timeUnixNano": value}])),
            content_type=JSON,
            items=1,
        )
    for label, value in {
        "name": "SPAN_KIND_CLIENT",
        "text": "3",
        "junk": "CLIENTISH",
        "negative": -1,
        "big": 10**30,
        "float": 2.5,
        "null": None,
        "list": [1],
        "true": True,
        "full width": "３",
        "superscript": "²",
    }.items():
        yield one(f"kind {label}", kind=value)
        yield one(f"status code {label}", status={"code": value, "message": value})
    for label, value in {"null": None, "number": 1, "text": "x", "list": [1], "map": {"a": 1}, "true": True}.items():
        for key in ("name", "attributes", "events", "links", "status", "traceState", "droppedAttributesCount", "flags"):
            yield one(f"{key} {label}", **{key: value})
        yield one(f"inside attributes {label}", attributes=[value])
        yield one(f"inside events {label}", events=[value])
        yield one(f"inside links {label}", links=[value])
        yield one(f"event parts {label}", events=[{"name": value, "attributes": value, "timeUnixNano": "5"}])
        yield one(f"link parts {label}", links=[{"traceId": value, "spanId": value, "attributes": value}])
        for key in ("resource", "scope"):
            name = f"json {key} {label}"
            group: dict[str, Any] = {"scopeSpans": [{"spans": [_json_span(name)]}]}
            (group if key == "resource" else group["scopeSpans"][0])[key] = value
            yield Case(name, json.dumps({"resourceSpans": [group]}).encode(), content_type=JSON, items=1, stored=1)
        name = f"json among spans {label}"
        yield Case(name, _json_body(value, _json_span(name), value), content_type=JSON, items=3, stored=1)
    for at, value in enumerate(JSON_VALUES):
        yield one(f"value {at}", attributes=[{"key": "k", "value": value}, {"key": "input.value", "value": value}])
        usage = [{"key": key, "value": value} for key in (*NUMBERS, "gen_ai.request.model", "user.id", "telltale.tags")]
        yield one(f"usage {at}", attributes=usage)


JSON_VALUES: tuple[Any, ...] = (
    None,
    5,
    "bare",
    [1],
    {},
    {"stringValue": None},
    {"stringValue": 5},
    {"stringValue": "\ud800\0"},
    {"intValue": "9" * 5_000},
    {"intValue": 10**30},
    {"intValue": "x"},
    {"intValue": 1.5},
    {"intValue": None},
    {"intValue": []},
    {"doubleValue": "NaN"},
    {"doubleValue": "Infinity"},
    {"doubleValue": "-Infinity"},
    {"doubleValue": "1e400"},
    {"doubleValue": 10**400},
    {"doubleValue": {}},
    {"boolValue": "true"},
    {"boolValue": 1},
    {"bytesValue": "AAEC"},
    {"bytesValue": "!!"},
    {"bytesValue": 5},
    {"bytesValue": "é"},
    {"arrayValue": None},
    {"arrayValue": {"values": 5}},
    {"arrayValue": {"values": [5, {}]}},
    {"kvlistValue": {"values": [None, {"key": None}, {"key": 5, "value": 5}, {"key": "a"}]}},
    {"string_value": "x"},
    {"array_value": {"values": [{"int_value": "5"}]}},
    {"kvlist_value": {"values": []}},
    {"unknownValue": 5},
    {"stringValue": "a", "intValue": 5},
    {"_v": 1},
    {"intValue": True},
    {"stringValue": ["\ud800", {"\0": 1}]},
)


def json_inside_cases() -> Iterator[Case]:
    """JSON that orjson refuses and the tolerant reader takes, and text attributes that hold JSON themselves."""
    name = "json literals"
    raw = _json_body(_json_span(name, attributes=[{"key": "k", "value": {"doubleValue": 12345}}]))
    for literal in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 5_000, "1" * 400 + ".5", "-0", "1E999999"):
        label = f"json literal {literal[:12]}"
        body = raw.replace(b"12345", literal.encode()).replace(
            trace_of(name).hex().encode(), trace_of(label).hex().encode()
        )
        yield Case(label, body, content_type=JSON, items=1, stored=1)
    for label, bad in (("lone surrogate", b'"\\ud800"'), ("bad utf-8", b'"\xff\xfe"'), ("raw newline", b'"a\nb"')):
        name = f"json raw {label}"
        body = _json_body(_json_span(name, name="QQQ", attributes=[{"key": "RRR", "value": {"stringValue": "SSS"}}]))
        for mark in (b'"QQQ"', b'"RRR"', b'"SSS"'):
            body = body.replace(mark, bad)
        status = (400,) if label == "raw newline" else (200,)
        yield Case(name, body, content_type=JSON, items=None if status == (400,) else 1, status=status)
    name = "json repeated keys"
    body = _json_body(_json_span(name)).replace(b'"name": "step"', b'"name": "a", "name": "step"')
    yield Case(name, body, content_type=JSON, items=1, stored=1)
    for depth in (60, 120, 2_000):
        for key in ("arrayValue", "kvlistValue"):
            value: Any = "§"
            shell = (
                '{"arrayValue":{"values":[§]}}'
                if key == "arrayValue"
                else '{"kvlistValue":{"values":[{"key":"k","value":§}]}}'
            )
            shown = "§"
            for _ in range(depth):
                shown = shown.replace("§", shell) if depth < 100 else shown
            if depth >= 100:
                before, after = shell.split("§")
                shown = before * depth + "§" + after * depth
            value = shown.replace("§", '{"stringValue":"x"}')
            name = f"json {key} {depth} deep"
            body = _json_body(_json_span(name, attributes=[{"key": "k", "value": "§§"}])).replace(
                b'"\\u00a7\\u00a7"', value.encode()
            )
            yield Case(name, body, content_type=JSON, status=(200, 400))
    for depth in (60, 260, 1_000, 3_000):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            inner = opening * depth + "1" + closing * depth
            for key in _DECODED:
                yield one_span(f"{opening} {depth} deep as text in {key}", attribute(key, inner))
    for depth in (60, 500, 1_000):
        nested = "[" * depth + "]" * depth
        function = '{"id":"1","function":{"name":"f","arguments":' + nested + "}}"
        call = '[{"role":"assistant","tool_calls":[' + function + "]}]"
        for key in ("gen_ai.output.messages", "mlflow.spanOutputs", "response_data"):
            chat = attribute("gen_ai.operation.name", "chat")
            yield one_span(f"call with arguments {depth} deep in {key}", chat + attribute(key, call))
    for label, inner in {
        "nan": '{"total": NaN}',
        "huge": '{"total": 1e400, "input": ' + "9" * 5_000 + "}",
        "surrogate": '{"\\ud800": "\\ud800"}',
        "nul": '{"\\u0000": "\\u0000"}',
        "big int": '{"input": 99999999999999999999999999}',
        "list": "[[[]]]",
        "null": "null",
        "repr": "{'a': 10**9, 'b': (1, 2)}",
        "repr set": "{1, 2}",
        "repr bytes": "{'a': b'x'}",
        "repr complex": "{'a': 1j}",
        "repr deep": "(" * 500 + ")" * 500,
        "repr keys": "{1: 2, None: 3, (1, 2): 4}",
        "half": '{"a": ',
        "number": "5",
        "quoted twice": json.dumps(json.dumps("x")),
        "roles": '[{"role": 5, "content": [5, null, {"type": 5}]}]',
        "ellipsis": "{'a': ...}",
        "frozenset": "[{1,2}, ...]",
        "repr unary": "{'a': " + "-" * 5000 + "1}",
    }.items():
        for key in (*_DECODED, "gen_ai.usage.raw", "llm.token_count.prompt_details", "telltale.ttft_seconds"):
            yield one_span(
                f"{label} as text in {key}", attribute("gen_ai.operation.name", "chat") + attribute(key, inner)
            )


_DECODED = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "telltale.metadata",
    "metadata",
    "telltale.tags",
    "telltale.cost_usd",
    "langfuse.observation.usage_details",
    "langfuse.observation.cost_details",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
    "mlflow.chat.tokenUsage",
    "llm.invocation_parameters",
    "response_data",
    "gen_ai.response.finish_reasons",
    "langfuse.trace.metadata",
    "langsmith.metadata",
    "gen_ai.tool.definitions",
    "output.value",
)
