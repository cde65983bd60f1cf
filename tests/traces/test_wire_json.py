"""OTLP/JSON: hex ids in either case, numbers as text, names of enums, and what stock parsers refuse or bend."""

import json
from uuid import UUID

import pytest

from traces.canonical.types import SpanFlag, SpanStatus, WireError
from traces.wire.otlp import read_logs, read_metrics, read_traces

NOW = 1_795_237_700_000_000_000
TRACE = "4BF92F3577b34da6a3ce929d0e0e4736"


def make_span(**fields):
    return {"traceId": TRACE, "spanId": "00f067aa0ba902b7", "name": "a span", "kind": 3,
            "startTimeUnixNano": str(NOW - 10**9), "endTimeUnixNano": str(NOW), **fields}  # fmt: skip


def attribute(key, **value):
    return {"key": key, "value": value}


def document(*spans, **more):
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "s"}, "spans": list(spans)}], **more}]}


def read(body):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode("utf-8", "surrogatepass") if not isinstance(body, str) else body.encode()
    intake = read_traces(body, True, received_at_ns=NOW)
    assert intake.received == len(intake.spans) + sum(r.count for r in intake.rejections)
    return intake


def test_a_plain_span_is_read():
    (span,) = read(document(make_span(parentSpanId="00f067aa0ba902b6", status={"code": 2, "message": "no"}))).spans

    assert span.trace_id == UUID(TRACE)
    assert (span.span_id, span.parent_span_id) == (0x00F067AA0BA902B7, 0x00F067AA0BA902B6)
    assert (span.name, span.otel_kind, span.duration_ns) == ("a span", 3, 10**9)
    assert (span.status, span.status_message) == (SpanStatus.ERROR, "no")


@pytest.mark.parametrize("kind", [3, "3", "SPAN_KIND_CLIENT"])
@pytest.mark.parametrize("code", [2, "2", "STATUS_CODE_ERROR"])
def test_enums_come_as_numbers_or_names(kind, code):
    (span,) = read(document(make_span(kind=kind, status={"code": code}))).spans

    assert (span.otel_kind, span.status) == (3, SpanStatus.ERROR)


@pytest.mark.parametrize("value", [9007199254740993, "9007199254740993"])
def test_64_bit_integers_never_pass_through_a_float(value):
    (span,) = read(document(make_span(attributes=[attribute("n", intValue=value)]))).spans

    assert span.attributes == {"n": 9007199254740993}


@pytest.mark.parametrize("start", [NOW, str(NOW), float(NOW)])
def test_times_come_as_numbers_or_text(start):
    (span,) = read(document(make_span(startTimeUnixNano=start))).spans

    assert abs(span.start_ns - NOW) < 1000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"traceId": "S/kvNXezTaajzpKdDg5HNg=="}, "ids must be hex, not base64"),
        ({"spanId": "APBnqgupArc="}, "spanId must be 16 hex digits, got 12 characters"),
        ({"traceId": "zz" * 16}, "traceId must be 32 hex digits"),
        ({"traceId": "4bf92f3577b34da6 3ce929d0e0e47367"}, "traceId must be 32 hex digits"),
        ({"traceId": "0" * 32}, "traceId must not be all zero"),
        ({"spanId": "0" * 16}, "spanId must not be all zero"),
        ({"spanId": None}, "spanId must be 16 hex digits, got"),
        ({"spanId": 7}, "spanId must be 16 hex digits, got"),
        ({"parentSpanId": "xyz"}, "parentSpanId must be 16 hex digits"),
        ({"startTimeUnixNano": "yesterday"}, "startTimeUnixNano must be nanoseconds since 1970"),
        ({"startTimeUnixNano": []}, "startTimeUnixNano must be nanoseconds since 1970"),
    ],
)
def test_a_field_that_cannot_be_used_costs_its_span_and_is_named(fields, said):
    intake = read(document(make_span(**fields), make_span(name="good")))

    assert [span.name for span in intake.spans] == ["good"]
    assert said in intake.rejections[0].message
    assert intake.rejections[0].reason in ("bad_id", "bad_field")


@pytest.mark.parametrize("item", [None, 7, "span", [], [[]]])
def test_what_is_no_span_at_all_is_refused_alone(item):
    intake = read(document(item, make_span()))

    assert len(intake.spans) == 1
    assert intake.rejections[0].reason == "not_decodable"


def test_values_of_every_type_are_kept():
    values = [
        attribute("s", stringValue="x"), attribute("b", boolValue=True), attribute("d", doubleValue=1.5),
        attribute("nan", doubleValue="NaN"), attribute("inf", doubleValue="-Infinity"), attribute("dt", doubleValue="2.5"),  # noqa: E501
        attribute("bytes", bytesValue="AP8="), attribute("bad", bytesValue="***"),
        attribute("list", arrayValue={"values": [{"intValue": "1"}, {"stringValue": "y"}]}),
        attribute("map", kvlistValue={"values": [attribute("k", intValue=2)]}),
        attribute("none"), attribute("odd", fooValue=1), {"key": "bare", "value": "text"}, {"key": "novalue"},
        attribute("snake", string_value="z"), "nonsense", {"key": 5, "value": {}},
    ]  # fmt: skip

    (span,) = read(document(make_span(attributes=values))).spans

    assert span.attributes == {
        "s": "x", "b": True, "d": 1.5, "nan": "NaN", "inf": "-Infinity", "dt": 2.5, "bytes": "base64:2:AP8=",
        "bad": "***", "list": [1, "y"], "map": {"k": 2}, "none": None, "odd": None, "bare": "text", "novalue": None,
        "snake": "z",
    }  # fmt: skip


def test_lone_surrogates_are_repaired_and_pairs_are_kept():
    body = json.dumps(
        document(make_span(name="a\ud800b", attributes=[attribute("x", stringValue="\ud83d\ude00\udc00")]))
    )

    (span,) = read(body).spans

    assert span.name == "a\ufffdb"
    assert span.attributes == {"x": "😀\ufffd"}
    assert span.flags & SpanFlag.REPAIRED_TEXT


def test_u_0000_is_repaired():
    (span,) = read(document(make_span(name="a\x00", attributes=[attribute("k\x00", stringValue="\x00")]))).spans

    assert span.name == "a\ufffd"
    assert span.attributes == {"k\ufffd": "\ufffd"}


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
def test_numbers_that_are_none_are_text_and_an_unknown_count(literal):
    body = json.dumps(
        document(
            make_span(attributes=[attribute("x", doubleValue=1), attribute("gen_ai.usage.input_tokens", doubleValue=1)])
        )
    )

    (span,) = read(body.replace('"doubleValue": 1', f'"doubleValue": {literal}')).spans

    assert span.attributes["x"] in ("NaN", "Infinity", "-Infinity")
    assert span.usage is None
    assert span.flags & SpanFlag.USAGE_BAD


@pytest.mark.parametrize("digits", ["1" * 25, "-" + "9" * 40, "1" * 5000])
def test_huge_integers_are_text_for_display_and_unknown_as_counts(digits):
    pairs = [attribute("x", intValue=0), attribute("gen_ai.usage.input_tokens", intValue=0)]
    body = json.dumps(document(make_span(attributes=pairs))).replace('"intValue": 0', f'"intValue": {digits}')

    (span,) = read(body).spans

    assert isinstance(span.attributes["x"], str)
    assert span.usage is None


def test_values_nested_over_64_levels_are_cut_to_text():
    value = {"stringValue": "deep"}
    for _ in range(120):
        value = {"arrayValue": {"values": [value]}}

    (span,) = read(document(make_span(attributes=[{"key": "deep", "value": value}]))).spans

    assert span.flags & SpanFlag.TRUNCATED
    depth, inner = 0, span.attributes["deep"]
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0]
    assert depth == 64
    assert isinstance(inner, str)


def test_a_body_nested_without_end_is_400():
    with pytest.raises(WireError) as refused:
        read(b'{"resourceSpans":' + b"[" * 200_000)

    assert refused.value.status == 400


@pytest.mark.parametrize("body", [b"{", b"nonsense", b'{"resourceSpans": [', b"[]", b"7", b'"x"', b"\xff\xfe"])
def test_what_is_no_json_object_is_400(body):
    with pytest.raises(WireError) as refused:
        read(body)

    assert (refused.value.status, refused.value.code) == (400, 3)


@pytest.mark.parametrize(
    ("key", "reader"),
    [("resource_spans", read_traces), ("resource_logs", read_logs), ("resource_metrics", read_metrics)],
)
def test_snake_case_is_400_with_advice_since_ignoring_it_would_lose_everything(key, reader):
    with pytest.raises(WireError, match="lowerCamelCase"):
        reader(json.dumps({key: []}).encode(), True, received_at_ns=NOW)


def test_unknown_fields_and_wrong_shapes_are_ignored():
    odd = {"resourceSpans": [7, {"resource": 5, "scopeSpans": "x"}, {"scopeSpans": [None, {"scope": [], "spans": {}}]}],
           "more": 1}  # fmt: skip

    assert read(odd).received == 0
    assert len(read(document(make_span(unknown=1, events=5, links="x", status=[], attributes={}))).spans) == 1


def test_bad_utf8_in_a_json_body_is_replaced():
    body = json.dumps(document(make_span(name="a?b"))).encode().replace(b"?", b"\xff")

    assert read(body).spans[0].name == "a\ufffdb"


def test_a_byte_order_mark_is_no_obstacle():
    assert len(read(b"\xef\xbb\xbf" + json.dumps(document(make_span())).encode()).spans) == 1


def test_events_and_links_are_read():
    event = {"name": "e", "timeUnixNano": str(NOW), "attributes": [attribute("k", intValue="1")]}
    link = {"traceId": TRACE, "spanId": "00f067aa0ba902b7", "attributes": [attribute("l", boolValue=False)]}

    (span,) = read(document(make_span(events=[event, 7], links=[link], droppedAttributesCount=3))).spans

    assert span.body["events"] == [{"name": "e", "at_ns": NOW, "attributes": {"k": 1}}]
    assert span.body["links"] == [{"trace_id": TRACE, "span_id": "00f067aa0ba902b7", "attributes": {"l": False}}]
    assert span.body["dropped"] == {"attributes": 3}
