"""One trace and its spans, read back as they were sent."""

from __future__ import annotations

from uuid import UUID

import orjson
import pytest
from django.db import connection

from traces.canonical.types import CostStatus, CountReason, Kind
from traces.read import get_span, get_spans, get_trace, list_spans, read_labels

pytestmark = pytest.mark.django_db
TRACE = "0" * 31 + "1"
ROOT, CALL, TOOL = "a" * 16, "b" * 16, "c" * 16


def span_id(text):
    return int.from_bytes(bytes.fromhex(text), "big", signed=True)


@pytest.fixture
def stored(shop, otlp):
    """A trace of a root, a model call and a failed tool."""
    otlp.send(
        otlp.span(TRACE, ROOT, name="turn", ms=1000),
        otlp.generation(TRACE, CALL, ROOT, at_ms=100, ms=600, said="question", answered="answer"),
        otlp.span(
            TRACE,
            TOOL,
            ROOT,
            "lookup",
            at_ms=800,
            ms=90,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "lookup",
                "error.type": "KeyError",
            },
            status={"code": 2, "message": "no such order"},
            events=[
                {
                    "name": "exception",
                    "timeUnixNano": str(otlp.start_ns),
                    "attributes": [{"key": "exception.stacktrace", "value": {"stringValue": "Traceback: line 1"}}],
                }
            ],
        ),
    )
    return get_trace(shop.project.pk, UUID(TRACE))


def test_the_skeleton_has_every_span_in_order_of_start(shop, stored):
    steps = list_spans(shop.project.pk, stored)

    assert steps.is_whole
    assert [step.name for step in steps.steps] == ["turn", "chat", "lookup"]
    assert [step.parent_span_id for step in steps.steps] == [None, span_id(ROOT), span_id(ROOT)]
    assert steps.steps[1].started_us - steps.steps[0].started_us == 100_000
    assert [Kind(step.kind) for step in steps.steps] == [Kind.SPAN, Kind.GENERATION, Kind.TOOL]


def test_a_skeleton_that_is_too_long_says_so(shop, stored):
    steps = list_spans(shop.project.pk, stored, limit=2)

    assert (len(steps.steps), steps.is_whole) == (2, False)


def test_labels_come_for_the_spans_asked_for(shop, stored):
    labels = read_labels(shop.project.pk, stored, [span_id(CALL), span_id(TOOL)])

    assert labels[span_id(CALL)].model == "gpt-4o-mini"
    assert labels[span_id(CALL)].cost_status is CostStatus.PRICED
    assert labels[span_id(TOOL)].error_type == "KeyError"
    assert span_id(ROOT) not in labels


def test_a_span_has_its_messages_tokens_and_cost(shop, stored):
    detail = get_span(shop.project.pk, stored, span_id(CALL))

    assert detail.content.input_messages[0].text() == "question"
    assert detail.content.output_messages[0].text() == "answer"
    assert (detail.span.usage.input_fresh, detail.span.usage.output_text) == (1000, 100)
    assert detail.span.cost_usd > 0
    assert detail.span.hex_parent_id == ROOT
    assert not detail.is_body_missing


def test_an_error_keeps_its_stack(shop, stored):
    detail = get_span(shop.project.pk, stored, span_id(TOOL))

    assert detail.span.status_message == "no such order"
    assert detail.body["error_stack"] == "Traceback: line 1"


def test_an_unknown_span_and_another_project_find_nothing(shop, stored):
    assert get_span(shop.project.pk, stored, 1) is None
    assert get_span(shop.elsewhere.pk, stored, span_id(CALL)) is None
    assert get_trace(shop.elsewhere.pk, UUID(TRACE)) is None
    assert list_spans(shop.elsewhere.pk, stored).steps == []


def test_several_spans_come_with_their_bodies_in_one_go(shop, stored, django_assert_num_queries):
    wanted = [span_id(ROOT), span_id(CALL), span_id(TOOL)]
    with django_assert_num_queries(6):  # savepoint, time limit, rows, bodies, logs, release
        details = get_spans(shop.project.pk, stored, wanted)

    assert [detail.span.name for detail in details] == ["turn", "chat", "lookup"]
    assert details[1].content.output_messages


def test_a_lost_payload_is_told_from_an_empty_one(shop, stored):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_payload")

    detail = get_span(shop.project.pk, stored, span_id(CALL))

    assert detail.is_body_missing
    assert detail.content.input_messages == ()


def test_log_events_fill_what_the_span_lacks(shop, otlp):
    otlp.send(otlp.generation(TRACE, CALL, attributes={"gen_ai.input.messages": "", "gen_ai.output.messages": ""}))
    record = {
        "timeUnixNano": str(otlp.start_ns),
        "traceId": TRACE,
        "spanId": CALL,
        "eventName": "gen_ai.user.message",
        "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "from the log"}}]}},
    }
    body = {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "x"}, "logRecords": [record]}]}]}
    answer = shop.nobody.post("/v1/logs", body, "application/json", headers=shop.key("ingest"))
    assert answer.status_code == 200

    detail = get_span(shop.project.pk, get_trace(shop.project.pk, UUID(TRACE)), span_id(CALL))

    assert detail.content.input_messages[0].text() == "from the log"
    assert orjson.dumps(detail.logs[0]["event_name"]) == b'"gen_ai.user.message"'


def test_a_call_told_twice_names_the_span_that_counts(shop, otlp):
    outer = otlp.generation(TRACE, ROOT, name="outer", ms=500, attributes={"gen_ai.response.id": "r1"})
    inner = otlp.generation(TRACE, CALL, ROOT, name="inner", ms=400, attributes={"gen_ai.response.id": "r1"})
    otlp.send(outer, inner)
    trace = get_trace(shop.project.pk, UUID(TRACE))

    counted = get_span(shop.project.pk, trace, span_id(ROOT))
    told_again = get_span(shop.project.pk, trace, span_id(CALL))

    assert trace.duplicate_count == 1
    assert [row.name for row in counted.also_reported_by] == ["inner"]
    assert told_again.span.duplicate_of_span == span_id(ROOT)
    assert told_again.span.count_reason is CountReason.SAME_RESPONSE_NESTED
    assert told_again.span.is_duplicate
