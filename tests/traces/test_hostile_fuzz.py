"""Valid requests, damaged part by part: whatever comes of it can be stored, or is refused by name."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.traces.hostile_wire import (
    NOW_NS,
    array,
    attribute,
    block,
    double,
    fixed64,
    kvlist,
    number,
    pair,
    request,
    span,
    text,
    varint,
)
from traces.canonical.content import previews
from traces.canonical.types import CanonicalSpan, WireError
from traces.wire.native import read_native
from traces.wire.otlp import read_logs, read_metrics, read_traces
from traces.write import copying, rows

BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ATTRIBUTES = (
    attribute("gen_ai.operation.name", "chat")
    + attribute("gen_ai.request.model", "gpt-4o")
    + attribute("gen_ai.usage.input_tokens", number(3, 12))
    + attribute("gen_ai.input.messages", '[{"role":"user","parts":[{"type":"text","content":"hello"}]}]')
    + attribute("metadata", kvlist(pair("team", array(text("a"), double(4, 1.5)))))
)
EVENT = block(11, fixed64(1, NOW_NS) + block(2, "gen_ai.choice") + block(3, pair("message", text("{}"))))
LINK = block(13, block(1, b"\1" * 16) + block(2, b"\2" * 8))
GOOD_TRACES = request(
    span(1, attributes=ATTRIBUTES, more=EVENT + LINK),
    span(2, parent=1, more=block(15, block(2, "broke") + number(3, 2))),
    resource=block(1, pair("service.name", text("shop"))),
    scope=block(1, "openinference.instrumentation.openai") + block(2, "1"),
)
RECORD = (
    fixed64(1, NOW_NS) + block(5, kvlist(pair("index", number(3, 0)))) + block(9, b"\7" * 16)
    + block(10, b"\0" * 7 + b"\1") + block(12, "gen_ai.choice")
)  # fmt: skip
POINT = fixed64(3, NOW_NS) + double(4, 1.0) + block(7, pair("k", text("v")))
BUCKETS = fixed64(3, NOW_NS) + fixed64(4, 2) + double(5, 1.5) + block(6, b"\1" * 16) + block(7, b"\1" * 8)
GOOD_LOGS = request(RECORD, RECORD)
GOOD_METRICS = request(
    block(1, "gen_ai.client.token.usage") + block(5, block(1, POINT)),
    block(1, "gen_ai.client.operation.duration") + block(9, block(1, BUCKETS)),
)

Node = list[Any]  # [tag, payload or list of nodes]


def parse(data: bytes, depth: int = 0) -> list[Node] | None:
    """The fields of a message, nested as far as they look like messages; None where the bytes are none."""
    nodes: list[Node] = []
    at = 0
    while at < len(data):
        tag, at = _read(data, at)
        if at is None or tag >> 3 == 0:
            return None
        size = {0: None, 1: 8, 5: 4, 2: -1}.get(tag & 7, 0)
        if size == 0:
            return None
        if size is None:
            _, end = _read(data, at)
            if end is None:
                return None
            nodes.append([tag, data[at:end]])
            at = end
            continue
        if size == -1:
            size, at = _read(data, at)
            if at is None:
                return None
        payload = data[at : at + size]
        if len(payload) < size:
            return None
        inner = parse(payload, depth + 1) if tag & 7 == 2 and payload and depth < 12 else None
        nodes.append([tag, payload if inner is None else inner])
        at += size
    return nodes


def _read(data: bytes, at: int) -> tuple[int, Any]:
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7
    return 0, None


def write(nodes: list[Node]) -> bytes:
    out = b""
    for tag, payload in nodes:
        data = write(payload) if isinstance(payload, list) else payload
        out += varint(tag) + (varint(len(data)) if tag & 7 == 2 else b"") + data
    return out


def places(nodes: list[Node]) -> list[tuple[list[Node], int]]:
    found = []
    for at, (_, payload) in enumerate(nodes):
        found.append((nodes, at))
        if isinstance(payload, list):
            found += places(payload)
    return found


ODD_BYTES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\0" * 8, b"\0" * 16, b"\xff" * 8, b"9" * 400, b"[" * 300]
    ),
)


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """`good` with up to four of its fields replaced, doubled, removed, retagged, wrapped or given a wrong length."""
    nodes = parse(good)
    assert nodes is not None
    for _ in range(draw(st.integers(1, 4))):
        spots = places(nodes)
        if not spots:
            break
        held, at = spots[draw(st.integers(0, len(spots) - 1))]
        tag, payload = held[at]
        match draw(st.sampled_from(["replace", "double", "remove", "number", "kind", "wrap", "raw"])):
            case "replace":
                held[at] = [tag, draw(ODD_BYTES)] if tag & 7 == 2 else [tag & ~7 | 2, draw(ODD_BYTES)]
            case "double":
                held.insert(at, held[at])
            case "remove":
                del held[at]
            case "number":
                held[at] = [draw(st.integers(1, 20)) << 3 | tag & 7, payload]
            case "kind":
                held[at] = [tag & ~7, varint(draw(st.integers(0, 2**64 - 1)))]
            case "wrap":
                held[at] = [tag, [[tag, payload]]] if tag & 7 == 2 else held[at]
            case "raw":
                held[at] = [tag & ~7 | 1, draw(st.binary(min_size=8, max_size=8))]
    body = write(nodes)
    if draw(st.integers(0, 4)) == 0:
        cut = draw(st.integers(0, len(body)))
        body = body[:cut] + draw(st.binary(max_size=4)) + body[cut + draw(st.integers(0, 3)) :]
    return body


ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(), max_size=30),
    st.sampled_from(
        ["\0", "\ud800", "NaN", "1e400", "²", "9" * 5_000, "[" * 300 + "]" * 300, "0" * 32, [], {}, [[]], {"": {}}]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(
        st.sampled_from(["stringValue", "intValue", "values", "key", "value", "role", ""]), st.none(), max_size=3
    ),
)


@st.composite
def damaged_json(draw: st.DrawFn, good: Any) -> bytes:
    """`good` with up to four of its values replaced, removed or renamed."""
    document = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(1, 4))):
        spots = json_places(document)
        if not spots:
            break
        held, key = spots[draw(st.integers(0, len(spots) - 1))]
        match draw(st.sampled_from(["replace", "remove", "rename", "wrap"])):
            case "replace":
                held[key] = draw(ODD_VALUES)
            case "remove":
                del held[key]
            case "rename" if isinstance(held, dict):
                held[draw(st.sampled_from(["", "\0", "spanId", "name", "stringValue", "x"]))] = held.pop(key)
            case _:
                held[key] = [held[key]]
    # Lone surrogates escaped, NaN and Infinity bare: as careless senders write them.
    return json.dumps(document).encode()


def json_places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        found.append((value, key))
        found += json_places(item)
    return found


def assert_storable(found: CanonicalSpan) -> None:
    """Packing raises for surrogates, text deeper or numbers larger than can be written; U+0000 is looked for."""
    assert rows.span_row(1, 1, 1, found)
    assert b"\\u0000" not in copying._dump(found.body)
    assert b"\\u0000" not in orjson.dumps([found.attributes, found.metadata, found.tags])
    texts = [getattr(found, name) for name in found.__slots__ if isinstance(getattr(found, name), str)]
    assert not [text for text in texts if "\0" in text]
    previews(found)


def check_traces(body: bytes, is_json: bool) -> None:
    try:
        intake = read_traces(body, is_json, received_at_ns=NOW_NS)
    except WireError:
        return
    assert intake.received == len(intake.spans) + sum(item.count for item in intake.rejections)
    assert not [item for item in intake.rejections if item.reason == "internal_error"]
    for found in intake.spans:
        assert_storable(found)


@BOUNDED
@given(damaged(GOOD_TRACES))
def test_damaged_spans_in_protobuf(body: bytes) -> None:
    check_traces(body, False)


@BOUNDED
@given(damaged(GOOD_LOGS))
def test_damaged_log_records_in_protobuf(body: bytes) -> None:
    try:
        intake = read_logs(body, False, received_at_ns=NOW_NS)
    except WireError:
        return
    counted = len(intake.events) + sum(intake.dropped.values()) + sum(item.count for item in intake.rejections)
    assert intake.received == counted
    assert not [item for item in intake.rejections if item.reason == "internal_error"]


@BOUNDED
@given(damaged(GOOD_METRICS))
def test_damaged_points_in_protobuf(body: bytes) -> None:
    try:
        intake = read_metrics(body, False, received_at_ns=NOW_NS)
    except WireError:
        return
    counted = len(intake.points) + sum(intake.dropped.values()) + sum(item.count for item in intake.rejections)
    assert intake.received == counted
    assert not [item for item in intake.rejections if item.reason == "internal_error"]
    for point in intake.points:
        assert rows.point_row(1, point)


JSON_SPAN = {
    "traceId": "07" * 16,
    "spanId": "00000000000000a1",
    "parentSpanId": "00000000000000a2",
    "name": "chat",
    "kind": 3,
    "startTimeUnixNano": str(NOW_NS),
    "endTimeUnixNano": str(NOW_NS + 5),
    "status": {"code": 2, "message": "broke"},
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"doubleValue": 1.5}, {"boolValue": True}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"bytesValue": "AAEC"}}]}}},
    ],
    "events": [
        {
            "name": "exception",
            "timeUnixNano": "5",
            "attributes": [{"key": "exception.type", "value": {"stringValue": "E"}}],
        }
    ],
    "links": [{"traceId": "08" * 16, "spanId": "09" * 8}],
}
JSON_TRACES = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{"scope": {"name": "s", "version": "1"}, "spans": [JSON_SPAN]}],
        }
    ]
}


@BOUNDED
@given(damaged_json(JSON_TRACES))
def test_damaged_spans_in_json(body: bytes) -> None:
    check_traces(body, True)


NATIVE_TRACE = {
    "name": "answer",
    "user": "u",
    "session": "s",
    "tags": ["a"],
    "metadata": {"k": 1},
    "spans": [
        {
            "id": "a",
            "name": "find",
            "documents": [{"id": "1", "content": "x", "score": 0.5}],
            "start": "2026-11-20T10:00:00Z",
        },
        {
            "id": "b",
            "parent": "a",
            "model": "gpt-4o",
            "usage": {"input_tokens": 5, "output_tokens": 2},
            "duration_ms": 5,
            "start": 1.79e9,
            "input": [{"role": "user", "content": "hi"}],
            "output": "yes",
            "error": {"type": "E", "message": "m"},
            "events": [{"name": "e", "at": 1.79e9, "attributes": {"k": 1}}],
            "tool": {"name": "t"},
            "prompt": {"name": "p"},
            "parameters": {"temperature": 1},
            "children": [{"name": "child", "kind": "tool", "ttft_ms": 5}],
        },
    ],
}


@BOUNDED
@given(damaged_json(NATIVE_TRACE))
def test_damaged_native_traces(body: bytes) -> None:
    try:
        native = read_native(body, received_at_ns=NOW_NS)
    except WireError:
        return
    intake = native.intake
    assert intake.received == len(intake.spans) + sum(item.count for item in intake.rejections)
    assert not [item for item in intake.rejections if item.reason == "internal_error"]
    for found in intake.spans:
        assert_storable(found)
