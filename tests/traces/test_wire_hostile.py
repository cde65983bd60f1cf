"""Hostile spans: each costs itself at most, is repaired where meaning survives, and its neighbour is always kept."""

import json
import time
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from traces.canonical.limits import Limits
from traces.canonical.moments import FIRST_US, LAST_US
from traces.canonical.types import SpanFlag, WireError
from traces.wire import otlp_traces
from traces.wire.otlp import read_logs, read_metrics, read_traces

NOW = 1_795_237_700_000_000_000
TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
DAY = 86_400 * 10**9


def make_span(number=1, **fields):
    fields = {"trace_id": TRACE, "span_id": number.to_bytes(8, "big"), "name": f"span {number}",
              "start_time_unix_nano": NOW - 10**9, "end_time_unix_nano": NOW, **fields}  # fmt: skip
    return Span(**fields)


def with_attributes(span, **values):
    for key, value in values.items():
        if isinstance(value, AnyValue):
            span.attributes.append(KeyValue(key=key, value=value))
        elif isinstance(value, int):
            span.attributes.append(KeyValue(key=key, value=AnyValue(int_value=value)))
        elif isinstance(value, float):
            span.attributes.append(KeyValue(key=key, value=AnyValue(double_value=value)))
        else:
            span.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
    return span


def request(*spans):
    body = ExportTraceServiceRequest()
    group = body.resource_spans.add()
    group.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="shop")))
    group.scope_spans.add().spans.extend(spans)
    return body.SerializeToString()


def read(body, **options):
    started = time.perf_counter()
    intake = read_traces(body, options.pop("is_json", False), received_at_ns=NOW, **options)
    assert time.perf_counter() - started < 5
    assert intake.received == len(intake.spans) + sum(r.count for r in intake.rejections)
    for span in intake.spans:
        assert_storable(span)
    return intake


def texts_in(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def assert_storable(span):
    """What PostgreSQL and the row writers demand of a span."""
    for value in (span.body, span.attributes, span.metadata, span.origin.resource, span.tags):
        orjson.dumps(value)  # no lone surrogates, NaN, or integers over 64 bits
        assert "\x00" not in "".join(texts_in(value))
    for name in (
        "name",
        "service",
        "user_id",
        "session_id",
        "model_requested",
        "error_type",
        "feature",
        "status_message",
    ):
        value = getattr(span, name)
        if value is not None:
            assert "\x00" not in value
            assert len(value.encode()) <= 1024
    assert FIRST_US <= span.started_us <= LAST_US
    assert span.duration_ns is None or 0 <= span.duration_ns < 2**63
    assert -(2**63) <= span.span_id < 2**63
    assert 0 <= span.flags < 2**31
    for count in span.usage.buckets() if span.usage else ():
        assert count is None or 0 <= count <= 10**12


def nested(levels, kind="array"):
    value = AnyValue(int_value=1)
    for _ in range(levels):
        outer = AnyValue()
        if kind == "array":
            outer.array_value.values.append(value)
        else:
            outer.kvlist_value.values.append(KeyValue(key="k", value=value))
        value = outer
    return value


def delimited(number, data):
    size, head = len(data), bytes([number << 3 | 2])
    while size > 127:
        head += bytes([size & 127 | 128])
        size >>= 7
    return head + bytes([size]) + data


def raw_request(*spans):
    return delimited(1, delimited(2, b"".join(delimited(2, span) for span in spans)))


def test_u_0000_is_replaced_everywhere_and_flagged():
    span = with_attributes(
        make_span(name="a\x00b"), **{"user.id": "u\x00", "k\x00ey": "v\x00", "input.value": "x\x00y"}
    )
    event = span.events.add(name="e\x00", time_unix_nano=NOW)
    event.attributes.append(KeyValue(key="k\x00", value=AnyValue(string_value="\x00")))
    span.links.add(trace_id=TRACE, span_id=b"12345678").attributes.append(
        KeyValue(key="l\x00", value=AnyValue(string_value="\x00"))
    )
    span.status.message = "\x00"
    span.trace_state = "a\x00"

    (found,) = read(request(span)).spans

    assert found.name == "a\ufffdb"
    assert found.user_id == "u\ufffd"
    assert found.attributes == {"k\ufffdey": "v\ufffd"}
    assert found.body["raw"]["input.value"] == "x\ufffdy"
    assert found.body["events"][0] == {"name": "e\ufffd", "at_ns": NOW, "attributes": {"k\ufffd": "\ufffd"}}
    assert found.flags & SpanFlag.REPAIRED_TEXT


def test_bad_utf8_costs_no_span_and_marks_its_own():
    good = make_span(1).SerializeToString()
    bad = (
        with_attributes(make_span(2), **{"user.id": "ab??cd", "x": "??"})
        .SerializeToString()
        .replace(b"??", b"\xff\xfe")
    )

    first, second = read(raw_request(good, bad)).spans

    assert not first.flags & SpanFlag.REPAIRED_TEXT
    assert second.flags & SpanFlag.REPAIRED_TEXT
    assert second.user_id == "ab\ufffd\ufffdcd"
    assert second.attributes == {"x": "\ufffd\ufffd"}


def test_bad_utf8_in_the_resource_keeps_the_spans_and_warns():
    body = request(make_span()).replace(b"shop", b"sh\xffp")

    intake = read(body)

    assert intake.spans[0].service == "sh\ufffdp"
    assert len(intake.warnings) == 1


def test_values_within_the_parsers_depth_are_kept_whole():
    deep = with_attributes(make_span(), deep=nested(40), map=nested(25, "map"))

    (found,) = read(request(deep)).spans

    assert json.dumps(found.attributes["deep"]).count("[") == 40


@pytest.mark.parametrize("levels", [60, 400])
def test_values_over_the_parsers_depth_cost_their_span_alone(levels):
    value = AnyValue(int_value=1).SerializeToString()
    for _ in range(levels):
        value = delimited(5, delimited(1, value))
    deep = make_span(1).SerializeToString() + delimited(9, delimited(1, b"deep") + delimited(2, value))

    intake = read(raw_request(deep, make_span(2).SerializeToString()))

    assert [span.name for span in intake.spans] == ["span 2"]
    assert intake.rejections[0].reason == "not_decodable"
    assert intake.rejections[0].count == 1


@pytest.mark.parametrize(
    "body", [b"junk", b"\xff" * 50, b"{}", b"[1]", b"\x0a\xff\xff\xff\xff\xff\x0f", b"\x0a\x05abc"]
)
def test_a_body_that_is_no_request_is_400(body):
    for reader in (read_traces, read_logs, read_metrics):
        with pytest.raises(WireError) as refused:
            reader(body, False, received_at_ns=NOW)
        assert (refused.value.status, refused.value.code) == (400, 3)


def test_a_truncated_request_is_400():
    body = request(make_span())

    with pytest.raises(WireError):
        read(body[:-4])


def test_an_empty_body_is_an_empty_request():
    assert read(b"").received == 0
    assert read(b"", is_json=True).received == 0
    assert read(b"{}", is_json=True).received == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trace_id": bytes(16)}, "trace_id must be 16 bytes that are not all zero, got 16 zero bytes"),
        ({"trace_id": b""}, "trace_id must be 16 bytes that are not all zero, got none"),
        ({"trace_id": b"abc"}, "trace_id must be 16 bytes that are not all zero, got 3 bytes (0x616263)"),
        ({"span_id": bytes(8)}, "span_id must be 8 bytes that are not all zero, got 8 zero bytes"),
        ({"span_id": b"x" * 16}, "span_id must be 8 bytes that are not all zero, got 16 bytes"),
        ({"parent_span_id": b"abc"}, "parent_span_id must be 8 bytes, got 3 bytes"),
    ],
)
def test_a_span_without_identity_is_refused_alone_with_field_limit_and_value(fields, said):
    intake = read(request(make_span(1, **fields), make_span(2)))

    assert [span.name for span in intake.spans] == ["span 2"]
    assert intake.rejections[0].reason == "bad_id"
    assert intake.rejections[0].message.startswith(said)


@pytest.mark.parametrize("parent", [b"", bytes(8), bytes(16)])
def test_a_zero_parent_is_no_parent(parent):
    (found,) = read(request(make_span(parent_span_id=parent))).spans

    assert found.parent_span_id is None


def test_many_refusals_of_one_reason_are_three_examples_and_a_count():
    intake = read(request(*(make_span(n, trace_id=b"x") for n in range(1, 101))))

    assert len(intake.rejections) == 4
    assert sum(rejection.count for rejection in intake.rejections) == 100


def test_our_own_fault_in_one_span_costs_that_span(monkeypatch, caplog):
    mapped = otlp_traces.map_span

    def fail_on_first(draft, *rest):
        if draft.name == "span 1":
            raise ZeroDivisionError
        return mapped(draft, *rest)

    monkeypatch.setattr(otlp_traces, "map_span", fail_on_first)

    intake = read(request(make_span(1), make_span(2)))

    assert [span.name for span in intake.spans] == ["span 2"]
    assert intake.rejections[0].reason == "internal_error"
    assert "ZeroDivisionError" not in intake.rejections[0].message
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("start", "end", "flags", "open_or_bad"),
    [
        (NOW - DAY, NOW, 0, False),
        (0, NOW, SpanFlag.FROM_RECEIPT, True),
        (NOW - 401 * DAY, NOW, SpanFlag.CLAMPED | SpanFlag.FAR_PAST, False),
        (NOW + 2 * DAY, 0, SpanFlag.CLAMPED | SpanFlag.FAR_FUTURE, True),
        (1, 2, SpanFlag.CLAMPED | SpanFlag.FAR_PAST, False),
        (2**63 - 1, 2**63 - 1, SpanFlag.CLAMPED | SpanFlag.FAR_FUTURE, False),
        (2**64 - 1, 2**64 - 1, SpanFlag.CLAMPED | SpanFlag.FAR_FUTURE, False),
        (1, 2**64 - 1, SpanFlag.CLAMPED | SpanFlag.FAR_PAST, True),
        (NOW, NOW - 5, SpanFlag.END_BEFORE_START, True),
        (NOW, 0, 0, True),
    ],
)
def test_odd_times_are_kept_flagged_and_never_negative(start, end, flags, open_or_bad):
    (found,) = read(request(make_span(start_time_unix_nano=start, end_time_unix_nano=end))).spans

    assert found.flags == flags
    assert (found.duration_ns is None) is open_or_bad
    assert found.start_ns == found.body["start_ns"] == start
    assert found.started_us == (start or NOW) // 1000


def test_a_missing_start_alone_takes_the_receipt():
    body = request(make_span(start_time_unix_nano=0), make_span(2, start_time_unix_nano=7_000))

    early = read_traces(body, False, received_at_ns=NOW).spans
    late = read_traces(body, False, received_at_ns=NOW + DAY).spans

    assert [span.started_us for span in early] == [NOW // 1000, 7]
    assert [span.started_us for span in late] == [(NOW + DAY) // 1000, 7]


def test_indexed_text_is_cut_at_a_character_and_the_whole_is_kept():
    name = "né" * 5000
    span = with_attributes(make_span(name=name), **{"gen_ai.request.model": name, "user.id": name, "session.id": name})

    (found,) = read(request(span)).spans

    assert found.flags & SpanFlag.TRUNCATED
    assert found.user_id == ("né" * 5000).encode()[:1024].decode("utf-8", "ignore")
    assert found.body["raw"]["user.id"] == name
    assert 15_000 in found.body["cut"].values()


def test_one_long_text_is_cut_to_its_limit_with_its_size_kept():
    span = with_attributes(make_span(), **{"input.value": "é" * 1000, "other": "x" * 10})

    (found,) = read(request(span), limits=Limits(payload_text_bytes=101)).spans

    assert found.body["raw"]["input.value"] == "é" * 50
    assert found.body["cut"] == {"input.value": 2000}
    assert found.flags & SpanFlag.TRUNCATED


def test_attributes_events_and_links_over_their_limits_are_cut_and_counted():
    span = make_span()
    for at in range(5000):
        with_attributes(span, **{f"k{at}": at})
        span.events.add(name="e", time_unix_nano=NOW)
        span.links.add(trace_id=TRACE, span_id=b"12345678")

    (found,) = read(request(span)).spans

    assert len(found.attributes) == len(found.body["events"]) == len(found.body["links"]) == 1024
    assert found.body["cut"] == {"attributes": 5000, "events": 5000, "links": 5000}
    assert found.flags & SpanFlag.ATTRIBUTES_CUT


def test_odd_values_are_kept_for_display():
    span = with_attributes(
        make_span(),
        low=-(2**63), high=2**63 - 1, nan=float("nan"), inf=float("-inf"), big=1e308,
        data=AnyValue(bytes_value=b"\x00\xff"), empty=AnyValue(), list=nested(2), map=nested(2, "map"),
    )  # fmt: skip
    with_attributes(span, **{"": "empty key"})

    (found,) = read(request(span)).spans

    assert found.attributes == {
        "low": -(2**63), "high": 2**63 - 1, "nan": "NaN", "inf": "-Infinity", "big": 1e308, "data": "base64:2:AP8=",
        "empty": None, "list": [[1]], "map": {"k": {"k": 1}}, "": "empty key",
    }  # fmt: skip


def test_the_last_of_a_repeated_key_wins():
    span = make_span()
    for value in ("first", "second"):
        with_attributes(span, **{"user.id": value, "x": value})

    (found,) = read(request(span)).spans

    assert (found.user_id, found.attributes) == ("second", {"x": "second"})


@pytest.mark.parametrize("value", [-5, 10**13, 1.5, float("nan"), float("inf"), "many", "-3", "1e99", nested(1)])
def test_a_count_that_is_none_is_unknown_flagged_and_kept_raw(value):
    span = with_attributes(make_span(), **{"gen_ai.usage.input_tokens": value, "gen_ai.usage.output_tokens": 7})

    (found,) = read(request(span)).spans

    assert found.usage.input_fresh is None
    assert found.usage.output_text == 7
    assert found.flags & SpanFlag.USAGE_BAD
    assert "gen_ai.usage.input_tokens" in found.body["raw"]


@pytest.mark.parametrize("value", ["128", 128.0, 128, "128.0"])
def test_counts_as_text_or_double_are_counts(value):
    (found,) = read(request(with_attributes(make_span(), **{"gen_ai.usage.input_tokens": value}))).spans

    assert found.usage.input_fresh == 128
    assert not found.flags & SpanFlag.USAGE_BAD


def test_the_same_span_many_times_is_left_to_the_store():
    assert len(read(request(*[make_span()] * 1000)).spans) == 1000


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 300), st.integers(0, 300))
def test_no_damage_to_a_body_raises_anything_but_a_wire_error(noise, at, size):
    body = request(with_attributes(make_span(1), **{"input.value": "hello", "metadata": "{}"}), make_span(2))
    damaged = body[:at] + noise + body[at + size :]

    try:
        intake = read_traces(damaged, False, received_at_ns=NOW)
    except WireError:
        return
    assert intake.received == len(intake.spans) + sum(r.count for r in intake.rejections)
    assert not [r for r in intake.rejections if r.reason == "internal_error"]


@pytest.mark.parametrize(
    "key",
    ["metadata", "langfuse.observation.usage_details", "mlflow.spanType", "tag.tags", "gen_ai.usage.cost", "user.id",
     "gen_ai.response.finish_reasons", "llm.invocation_parameters", "langfuse.trace.metadata.x", "mlflow.spanOutputs"],
)  # fmt: skip
@pytest.mark.parametrize("text", ['{"a":[' + "[0]," * 700_000 + "0]}", "[" * 3_000_000, '"' + "\\u0000" * 500_000 + '"'])  # noqa: E501
def test_megabytes_of_json_cost_no_hang(key, text):
    span = with_attributes(make_span(), **{key: text, "gen_ai.operation.name": "chat", "langfuse.observation.type": "generation"})  # noqa: E501

    assert len(read(request(span)).spans) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["metadata", "tag.tags", "langfuse.observation.usage_details", "gen_ai.usage.cost", "mlflow.chat.tokenUsage",
     "gen_ai.response.finish_reasons", "gen_ai.operation.name", "llm.invocation_parameters", "telltale.metadata",
     "langfuse.observation.completion_start_time", "gen_ai.request.stream", "user.id", "gen_ai.input.messages",
     "llm.input_messages.0.message.content", "mlflow.spanType", "langfuse.observation.cost_details", "logfire.scrubbed",
     "gen_ai.usage.input_token_details", "mlflow.traceTag.x", "input.value", "output.value", "error.type"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=8), st.booleans())
def test_no_value_of_a_known_attribute_is_our_own_fault(values, as_text):
    attributes = [
        {"key": key, "value": {"stringValue": json.dumps(value)} if as_text else value} for key, value in values.items()
    ]
    span = {"traceId": TRACE.hex(), "spanId": "00f067aa0ba902b7", "name": "x", "startTimeUnixNano": str(NOW),
            "attributes": attributes}  # fmt: skip
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()

    intake = read(body, is_json=True)

    assert len(intake.spans) == 1
    assert intake.spans[0].trace_id == UUID(TRACE.hex())
