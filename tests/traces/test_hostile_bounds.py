"""What a hostile body may cost: parts, values and depth are bounded before they become memory."""

from __future__ import annotations

import json

import orjson
import pytest

from tests.traces.hostile_wire import NOW_NS, array, attribute, number, request, span, text, varint
from traces.canonical.types import Intake, SpanFlag, WireError
from traces.wire import otlp_json, protobuf, values
from traces.wire.native import read_native
from traces.wire.otlp import read_logs, read_traces
from traces.write import copying, rows


def read(body: bytes, *, is_json: bool = False) -> Intake:
    return read_traces(body, is_json, received_at_ns=NOW_NS)


def test_a_large_request_is_split_and_read_like_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    body = request(*(span(n) for n in range(1, 12)))
    small = read(body)

    monkeypatch.setattr(protobuf, "LARGE_BYTES", 10)
    monkeypatch.setattr(protobuf, "_GROUP_ITEMS", 4)
    large = read(body)

    assert [item.span_id for item in large.spans] == [item.span_id for item in small.spans] == list(range(1, 12))


def test_one_span_over_its_size_is_refused_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "LARGE_BYTES", 10)
    monkeypatch.setattr(protobuf, "MAX_ITEM_BYTES", 200)

    intake = read(request(span(1), span(2, name="x" * 500), span(3)))

    assert [item.span_id for item in intake.spans] == [1, 3]
    assert intake.rejections[0].count == 1
    assert "over the limit of 200" in intake.rejections[0].message


@pytest.mark.parametrize("is_json", [True, False])
def test_more_spans_than_a_request_may_hold_are_413_naming_the_limit(
    monkeypatch: pytest.MonkeyPatch, is_json: bool
) -> None:
    monkeypatch.setattr(protobuf, "MAX_ITEMS", 3)
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [{}] * 4}]}]}

    with pytest.raises(WireError) as error:
        read(json.dumps(document).encode() if is_json else request(*(span(n) for n in range(1, 5))), is_json=is_json)

    assert error.value.status == 413
    assert "more than 3 spans" in error.value.message


def test_more_log_records_than_a_request_may_hold_are_413(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "MAX_ITEMS", 3)

    with pytest.raises(WireError, match="more than 3 log records"):
        read_logs(request(b"", b"", b"", b""), False, received_at_ns=NOW_NS)


def test_empty_groups_without_end_are_413(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "LARGE_BYTES", 10)
    monkeypatch.setattr(protobuf, "_MAX_FIELDS", 50)

    with pytest.raises(WireError) as error:
        read(b"\x0a\x00" * 60)

    assert error.value.status == 413


def test_more_json_values_than_memory_bears_are_413(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_json, "MAX_CONTAINERS", 100)

    with pytest.raises(WireError) as error:
        read(b'{"x":[' + b"[]," * 100 + b"[]]}", is_json=True)

    assert error.value.status == 413
    assert "100" in error.value.message


@pytest.mark.parametrize("is_json", [True, False])
def test_a_list_of_very_many_values_is_cut_and_flagged(monkeypatch: pytest.MonkeyPatch, is_json: bool) -> None:
    monkeypatch.setattr(values, "MAX_VALUES", 3)
    body = request(span(1, attributes=attribute("wide", array(*[number(3, 7)] * 5))))
    if is_json:
        wide = {"key": "wide", "value": {"arrayValue": {"values": [{"intValue": 7}] * 5}}}
        told = {"traceId": "07" * 16, "spanId": "00000000000000a1", "attributes": [wide]}
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [told]}]}]}).encode()

    (found,) = read(body, is_json=is_json).spans

    assert found.attributes == {"wide": [7, 7, 7]}
    assert found.flags & SpanFlag.ATTRIBUTES_CUT


def test_very_many_attributes_are_cut_and_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MAX_VALUES", 3)

    (found,) = read(request(span(1, attributes=b"".join(attribute(f"k{n}", text("x")) for n in range(5))))).spans

    assert found.attributes == {"k0": "x", "k1": "x", "k2": "x"}
    assert found.flags & SpanFlag.ATTRIBUTES_CUT


def test_unknown_groups_are_stepped_over_where_a_body_is_split() -> None:
    group = varint(900 << 3 | 3) + number(1, 1) + varint(900 << 3 | 4)

    intake = read(group + request(span(1, name=b"\xff", more=group)) + group)

    assert [item.name for item in intake.spans] == ["\ufffd"]


@pytest.mark.parametrize("body", [b"\x0b", b"\x0c", b"\x0b\x0a\x01x", b"\x0b" * 50])
def test_a_group_left_open_is_400(body: bytes) -> None:
    with pytest.raises(WireError) as error:
        read(body + request(span(1, name=b"\xff")))

    assert error.value.status == 400


def test_attributes_over_what_jsonb_takes_in_time_keep_the_beginning_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_JSONB_BYTES", 200)

    kept = orjson.loads(rows._jsonb({"short": 7, "long": "é" * 500})[5:])

    assert kept["short"] == 7
    assert kept["long"].startswith('"éé')
    assert "1002 bytes" in kept["long"]


@pytest.mark.parametrize("odd", [2**70, [[[]]] * 3])
def test_a_body_the_encoder_refuses_is_stored_as_what_it_takes(odd: object) -> None:
    for _ in range(300):
        odd = [odd]

    stored = orjson.loads(copying._dump({"raw": {"x": odd, "y": 2**70, "z": "kept"}}))

    assert stored["raw"]["z"] == "kept"
    assert isinstance(stored["raw"]["y"], str)


@pytest.mark.parametrize(
    "fields",
    [
        {"end": "9999-12-31T23:59:59Z"},
        {"start": "9999-12-31T23:59:59Z"},
        {"start": 1.7e9, "duration_ms": 1e300},
        {"start": 1.7e9, "duration_ms": 10**30},
        {"start": 99_999_999_999},
    ],
)
def test_native_times_stay_within_64_bits(fields: dict[str, object]) -> None:
    native = read_native(json.dumps({"name": "x", **fields}).encode(), received_at_ns=NOW_NS)

    (found,) = native.intake.spans
    assert 0 <= found.body["start_ns"] < 2**64
    assert 0 <= found.body.get("end_ns", 0) < 2**64


@pytest.mark.parametrize("field", ["usage", "tool", "prompt", "parameters", "attributes"])
def test_native_keys_are_scrubbed_in_every_map(field: str) -> None:
    document = {"name": "x", "model": "m", field: {"a\0b": 1, "c\ud800": 2}}

    native = read_native(json.dumps(document).encode(), received_at_ns=NOW_NS)

    (found,) = native.intake.spans
    keys = [*(found.attributes or {}), *found.body.get("raw", {})]
    assert any("\ufffd" in key for key in keys)
    assert not any("\0" in key or "\ud800" in key for key in keys)


@pytest.mark.parametrize("kind", ["²", "３", "SPAN_KIND_CLIENT²"])
def test_digits_that_are_no_ascii_are_no_enum(kind: str) -> None:
    told = {"traceId": "07" * 16, "spanId": "00000000000000a1", "kind": kind, "status": {"code": kind}}

    (found,) = read(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [told]}]}]}).encode(), is_json=True).spans

    assert found.otel_kind == 0
