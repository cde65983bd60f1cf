"""GenAI log events: which are kept, which are counted and dropped, and how they join their span's content."""

import json
from uuid import UUID

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from traces.canonical.content import build_content, log_previews
from traces.canonical.types import Kind, Vocabulary
from traces.wire.otlp import read_logs

NOW = 1_795_237_700_000_000_000
TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
SPAN = bytes.fromhex("00f067aa0ba902b7")


def to_any(value):
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=k, value=to_any(v)) for k, v in value.items()]))
    if isinstance(value, list):
        made = AnyValue()
        made.array_value.values.extend(to_any(item) for item in value)
        return made
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(string_value=value)


def make_record(name="gen_ai.user.message", body=None, at=NOW, attributes=None, **fields):
    record = LogRecord(trace_id=TRACE, span_id=SPAN, event_name=name, time_unix_nano=at)
    if body is not None:
        record.body.CopyFrom(to_any(body))
    for key, value in (attributes or {}).items():
        record.attributes.append(KeyValue(key=key, value=to_any(value)))
    for key, value in fields.items():
        setattr(record, key, value)
    return record


def read(*records):
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.extend(records)
    intake = read_logs(request.SerializeToString(), False, received_at_ns=NOW)
    assert intake.received == len(intake.events) + sum(intake.dropped.values()) + sum(
        r.count for r in intake.rejections
    )
    return intake


def joined(*records):
    return [
        {"event_name": event.event_name, "at": event.happened_us, "ordinal": event.ordinal, **event.body}
        for event in read(*records).events
    ]


def content_of(*records, raw=None, events=None):
    return build_content(Kind.GENERATION, Vocabulary.GENAI, raw or {}, {}, events, joined(*records))


def test_an_event_is_named_by_its_field_its_attribute_or_its_body():
    (first,) = read(make_record(body={"content": "hi"})).events
    (second,) = read(make_record("", {"content": "hi"}, attributes={"event.name": "gen_ai.user.message"})).events
    (third,) = read(make_record("", {"content": "hi", "event.name": "gen_ai.user.message"})).events

    assert {event.event_name for event in (first, second, third)} == {"gen_ai.user.message"}
    assert (first.trace_id, first.span_id) == (UUID(TRACE.hex()), 0x00F067AA0BA902B7)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (make_record("app.log"), "not_a_genai_event"),
        (make_record(""), "not_a_genai_event"),
        (make_record("", "plain text"), "not_a_genai_event"),
        (make_record(span_id=b""), "no_span_id"),
        (make_record(span_id=bytes(8)), "no_span_id"),
        (make_record(trace_id=b""), "no_span_id"),
    ],
)
def test_records_that_nobody_joins_are_counted_by_reason(record, reason):
    intake = read(record, make_record())

    assert intake.dropped == {reason: 1}
    assert len(intake.events) == 1


def test_ids_of_a_wrong_length_are_refused_alone():
    intake = read(make_record(span_id=b"abc"), make_record(trace_id=b"abc"), make_record())

    assert len(intake.events) == 1
    assert [rejection.reason for rejection in intake.rejections] == ["bad_id", "bad_id"]


def test_a_record_sent_again_has_the_same_digest_and_another_one_does_not():
    digests = {
        read(record).events[0].digest
        for record in (
            make_record(body={"content": "hi"}),
            make_record(body={"content": "hi"}, observed_time_unix_nano=5),
            make_record(body={"content": "ho"}),
            make_record(body={"content": "hi"}, at=NOW + 1),
            make_record("gen_ai.choice", body={"content": "hi"}),
            make_record("gen_ai.choice", body={"content": "hi", "index": 1}),
        )
    }

    assert len(digests) == 5


def test_without_a_time_the_observed_one_counts():
    (event,) = read(make_record(at=0, observed_time_unix_nano=NOW - 5000)).events

    assert event.happened_us == (NOW - 5000) // 1000


def test_messages_join_by_time_then_position_and_choices_by_index():
    content = content_of(
        make_record("gen_ai.choice", {"index": 1, "finish_reason": "stop", "message": {"content": "second"}}, NOW + 9),
        make_record(
            "gen_ai.choice", {"index": 0, "finish_reason": "length", "message": {"content": "first"}}, NOW + 10_000
        ),
        make_record("gen_ai.user.message", {"content": "later"}, NOW + 2000),
        make_record("gen_ai.system.message", {"content": "be terse"}, NOW),
        make_record("gen_ai.user.message", {"content": "same time"}, NOW),
    )

    assert [(m.role, m.text()) for m in content.input_messages] == [
        ("system", "be terse"), ("user", "same time"), ("user", "later"),
    ]  # fmt: skip
    assert [(m.text(), m.finish_reason) for m in content.output_messages] == [("first", "length"), ("second", "stop")]
    assert content.state == "present"


def test_the_spans_own_content_wins_and_events_fill_what_it_lacks():
    raw = {"gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "own"}]}])}
    records = (
        make_record(body={"content": "theirs"}),
        make_record("gen_ai.choice", {"index": 0, "message": {"content": "answer"}}),
    )

    content = content_of(*records, raw=raw)

    assert [m.text() for m in content.input_messages] == ["own"]
    assert [m.text() for m in content.output_messages] == ["answer"]


def test_a_message_without_content_was_not_captured_which_is_no_empty_answer():
    content = content_of(
        make_record(body={}), make_record("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {}})
    )

    assert content.state == "not_captured"
    assert [message.parts for message in content.input_messages + content.output_messages] == [(), ()]
    assert content.output_messages[0].finish_reason == "stop"


def test_tool_calls_and_their_results_are_parts():
    call = {"id": "c1", "type": "function", "function": {"name": "get", "arguments": '{"a": 1}'}}
    content = content_of(
        make_record("gen_ai.assistant.message", {"tool_calls": [call]}),
        make_record("gen_ai.tool.message", {"id": "c1", "content": "result"}),
        make_record("gen_ai.choice", {"index": 0, "message": {"role": "assistant", "tool_calls": [call]}}),
    )

    asked, ran = (message.parts[0] for message in content.input_messages)
    assert (asked.type, asked.id, asked.name, asked.arguments) == ("tool_call", "c1", "get", {"a": 1})
    assert (ran.type, ran.id, ran.result) == ("tool_result", "c1", "result")
    assert content.output_messages[0].parts[0] == asked


def test_one_event_may_hold_a_whole_call():
    attributes = {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "ho"}], "finish_reason": "stop"}
        ],
        "gen_ai.system_instructions": [{"type": "text", "content": "be terse"}],
        "gen_ai.usage.input_tokens": 10,
    }

    content = content_of(
        make_record("gen_ai.client.inference.operation.details", "plain text body", attributes=attributes)
    )

    assert [m.text() for m in content.input_messages + content.output_messages] == ["hi", "ho"]
    assert content.system_instructions[0].text == "be terse"


def test_previews_of_events_are_the_last_words():
    events = joined(
        make_record("gen_ai.system.message", {"content": "be terse"}),
        make_record(body={"content": "first\n  question"}),
        make_record("gen_ai.choice", {"index": 0, "message": {"content": "x" * 500}}),
    )

    first, last = log_previews(events)

    assert first == "first question"
    assert len(last) == 200
    assert log_previews([]) == (None, None)


def test_u_0000_and_bad_text_in_events_are_repaired():
    (event,) = read(make_record(body={"content": "a\x00b"}, attributes={"k\x00": "v\x00"})).events

    assert event.body == {"body": {"content": "a\ufffdb"}, "attributes": {"k\ufffd": "v\ufffd"}}


def test_json_records_are_the_same_events():
    record = {"traceId": TRACE.hex(), "spanId": SPAN.hex(), "eventName": "gen_ai.user.message", "timeUnixNano": str(NOW),  # noqa: E501
              "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "hi"}}]}}}  # fmt: skip
    records = [record, {**record, "spanId": None}, {**record, "eventName": "x"}, {**record, "spanId": "zz"}, 7]
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()

    intake = read_logs(body, True, received_at_ns=NOW)

    assert intake.received == 5
    assert intake.events[0].digest == read(make_record(body={"content": "hi"})).events[0].digest
    assert intake.dropped == {"no_span_id": 1, "not_a_genai_event": 1}
    assert sum(rejection.count for rejection in intake.rejections) == 2
