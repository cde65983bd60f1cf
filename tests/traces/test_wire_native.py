"""The plain JSON of people without OpenTelemetry, as its documentation promises it."""

import json
import re
from pathlib import Path

import pytest

from traces.canonical.content import build_content, previews
from traces.canonical.types import Kind, SpanFlag, SpanStatus, Usage, Vocabulary, WireError
from traces.wire.ids import find_trace_ids, span_id_from
from traces.wire.native import read_native
from traces.wire.native_spans import NativeError, moment_ns

NOW = 1_795_237_700_000_000_000
DOCS = Path(__file__).parent.parent.parent / "docs" / "native-api.md"


def read(document):
    native = read_native(json.dumps(document).encode(), NOW)
    intake = native.intake
    assert intake.received == len(intake.spans) + sum(r.count for r in intake.rejections)
    assert len(native.span_ids) == len(intake.spans)
    return native


def content_of(span):
    return build_content(span.kind, span.origin.vocabulary, span.body.get("raw", {}), span.attributes)


CALL = {
    "name": "answer", "kind": "generation", "model": "gpt-4o", "provider": "openai",
    "start": "2026-11-21T05:00:00Z", "duration_ms": 1500,
    "input": [{"role": "user", "content": "Where is my parcel?"}], "output": {"role": "assistant", "content": "In Bern."},  # noqa: E501
    "usage": {"input_tokens": 100, "output_tokens": 5, "cached_tokens": 40}, "ttft_ms": 200.25, "cost_usd": 0.001,
}  # fmt: skip


def test_one_call_is_one_trace():
    native = read(CALL)

    (span,) = native.intake.spans
    assert native.trace_ids == [span.trace_id.hex]
    assert (span.kind, span.origin.vocabulary, span.provider) == (Kind.GENERATION, Vocabulary.NATIVE, "openai")
    assert (span.model_requested, span.duration_ns, span.ttft_ns) == ("gpt-4o", 1_500_000_000, 200_250_000)
    assert span.usage == Usage(60, 40, None, None, None, 5)
    assert span.cost_reported_pico == 10**9
    assert previews(span) == ("Where is my parcel?", "In Bern.")
    assert [message.text() for message in content_of(span).output_messages] == ["In Bern."]


def test_nested_spans_become_a_tree_that_shares_user_and_session():
    trace = {"id": "order-17", "name": "chat", "user": "u", "session": "s", "feature": "support", "tags": ["a"],
             "metadata": {"plan": "pro"}, "service": "web", "environment": "prod", "release": "1.2",
             "spans": [{**CALL, "children": [{"name": "look", "tool": {"name": "look", "arguments": {"a": 1}, "result": "x"}}]}]}  # fmt: skip  # noqa: E501

    native = read(trace)

    root, call, tool = native.intake.spans
    assert (root.parent_span_id, call.parent_span_id, tool.parent_span_id) == (None, root.span_id, call.span_id)
    assert {(s.user_id, s.session_id, s.feature, s.service, s.environment, s.release) for s in native.intake.spans} == {
        ("u", "s", "support", "web", "prod", "1.2")
    }
    assert [(s.tags, s.metadata) for s in native.intake.spans] == [(["a"], {"plan": "pro"}), (None, None), (None, None)]
    assert root.trace_id in find_trace_ids("order-17")
    assert root.foreign_trace_id == "order-17"
    assert (tool.kind, tool.tool_name) == (Kind.TOOL, "look")
    assert (content_of(tool).tool_arguments, content_of(tool).tool_result) == ({"a": 1}, "x")


def test_flat_spans_name_their_parents_and_traces():
    spans = [{"trace_id": "t", "id": "b", "parent": "a", "name": "child"}, {"trace_id": "t", "id": "a", "name": "root"}]

    native = read(spans)

    child, root = native.intake.spans
    assert child.parent_span_id == root.span_id == span_id_from("a", "native")[0]
    assert child.body["foreign_parent_id"] == root.body["foreign_span_id"] == "a"
    assert native.trace_ids == [root.trace_id.hex]


def test_several_traces_come_in_a_list_or_under_traces():
    assert len(read([CALL, CALL]).trace_ids) == 2
    assert len(read({"traces": [CALL, {"spans": [CALL, CALL]}]}).trace_ids) == 2


def test_hex_ids_are_taken_as_they_are():
    (span,) = read({**CALL, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "id": "00f067aa0ba902b7"}).intake.spans

    assert (span.trace_id.hex, span.span_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", 0x00F067AA0BA902B7)
    assert span.foreign_trace_id is None


def test_a_resend_with_ids_becomes_the_same_span():
    told = {**CALL, "trace_id": "t", "id": "a"}

    first, second = read(told).intake.spans[0], read(told).intake.spans[0]

    assert (first.trace_id, first.span_id, first.started_us) == (second.trace_id, second.span_id, second.started_us)


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [
        ("2026-11-21T05:00:00Z", 1_795_237_200 * 10**9), ("2026-11-21T06:00:00+01:00", 1_795_237_200 * 10**9),
        ("2026-11-21T05:00:00.250", 1_795_237_200_250_000_000), ("2026-11-21 05:00:00", 1_795_237_200 * 10**9),
        (1_795_237_200, 1_795_237_200 * 10**9), (1_795_237_200.25, 1_795_237_200_250_000_000),
        (1_795_237_200_123, 1_795_237_200_123_000_000), (1_795_237_200_123_456, 1_795_237_200_123_456_000),
        (1_795_237_200_123_456_789, 1_795_237_200_123_456_789), ("1795237200", 1_795_237_200 * 10**9), (None, 0), ("", 0),  # noqa: E501
        (10**30, 2**64 - 1),
    ],
)  # fmt: skip
def test_times_are_iso_text_or_numbers_by_magnitude(value, nanoseconds):
    assert moment_ns(value, "start") == nanoseconds


@pytest.mark.parametrize("value", ["yesterday", True, [], {}, -1, float("nan"), float("inf"), 10**400])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(NativeError) as refused:
        moment_ns(value, "start")
    assert refused.value.field == "start"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"kind": "bogus"}, "kind", "must be one of agent, chain"),
        ({"start": "soon"}, "start", "must be an ISO 8601 time or a number since 1970, got 'soon'"),
        ({"end": []}, "end", "got list"),
        ({"duration_ms": "long"}, "duration_ms", "must be a number of milliseconds, got 'long'"),
        ({"usage": 7}, "usage", "must be an object, got int"),
        ({"usage": {"accounting": "x"}}, "usage.accounting", "must be inclusive, exclusive or additive"),
        ({"status": "great"}, "status", "must be ok, error or unset"),
        ({"id": {}}, "id", "must be a text, got dict"),
        ({"id": "x" * 600}, "id", "at most 512 characters, got 600"),
        ({"parent": []}, "parent", "must be the id of a span"),
        ({"tool": 7}, "tool", "must be an object or a name"),
        ({"attributes": []}, "attributes", "must be an object"),
        ({"ttft_ms": "x"}, "ttft_ms", "must be a number of milliseconds"),
        ({"events": {}}, "events", "must be a list"),
    ],
)
def test_a_field_that_cannot_be_used_costs_its_span_and_is_named_by_path(change, field, said):
    native = read([{**CALL, **change}, CALL])

    assert len(native.intake.spans) == 1
    (error,) = native.errors
    assert (error["path"], error["field"]) == ("[0]", field)
    assert said in error["message"]


def test_the_path_names_the_place_inside_a_trace():
    native = read({"spans": [{**CALL, "children": [{"kind": "x"}, 5]}]})

    assert [error["path"] for error in native.errors] == ["spans[0].children[0]", "spans[0].children[1]"]


def test_an_item_that_is_no_object_is_counted_as_refused():
    native = read([CALL, "text", None])

    assert (native.intake.received, len(native.intake.spans)) == (3, 1)
    assert [(error["path"], error["field"]) for error in native.errors] == [("[1]", "trace"), ("[2]", "trace")]


@pytest.mark.parametrize("document", [None, 7, "x", {}, [], {"spans": []}, {"traces": []}, [{}], {"resourceSpans": []}])
def test_a_body_without_a_single_span_is_400(document):
    with pytest.raises(WireError) as refused:
        read_native(json.dumps(document).encode(), NOW)

    assert refused.value.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_what_is_no_json_is_400(body):
    with pytest.raises(WireError):
        read_native(body, NOW)


def test_a_trace_whose_id_cannot_be_used_counts_all_its_spans_as_refused():
    native = read([{"id": {}, "spans": [CALL, CALL]}, CALL])

    assert (native.intake.received, len(native.intake.spans)) == (3, 1)
    assert native.errors[0]["field"] == "trace_id"


def test_unknown_fields_are_kept_as_attributes():
    (span,) = read({**CALL, "weird": {"a": [1, None]}, "attributes": {"mine": 1, "user.id": "u"}}).intake.spans

    assert span.attributes == {"weird": {"a": [1, None]}, "mine": 1}
    assert span.user_id == "u"


@pytest.mark.parametrize(
    ("error", "status", "kind", "message"),
    [
        ("it broke", SpanStatus.ERROR, None, "it broke"),
        ({"type": "Timeout", "message": "slow", "stack": "tb"}, SpanStatus.ERROR, "Timeout", "slow"),
        (True, SpanStatus.ERROR, None, None),
        (False, SpanStatus.UNSET, None, None),
        (None, SpanStatus.UNSET, None, None),
    ],
)
def test_an_error_is_a_text_an_object_or_true(error, status, kind, message):
    (span,) = read({**CALL, "error": error}).intake.spans

    assert (span.status, span.error_type, span.status_message) == (status, kind, message)


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 10_100, "output_tokens": 250, "cache_read_tokens": 8000, "cache_write_5m_tokens": 1200, "cache_write_1h_tokens": 400},  # noqa: E501
        {"input_tokens": 500, "output_tokens": 250, "cache_read_tokens": 8000, "cache_write_5m_tokens": 1200,
         "cache_write_1h_tokens": 400, "accounting": "exclusive"},
        {"prompt_tokens": 10_100, "completion_tokens": 250, "cache_read_input_tokens": 8000,
         "cache_creation": {"ephemeral_5m_input_tokens": 1200, "ephemeral_1h_input_tokens": 400}},
    ],
)  # fmt: skip
def test_usage_of_every_accounting_is_the_same_call(usage):
    (span,) = read({**CALL, "usage": usage}).intake.spans

    assert span.usage == Usage(500, 8000, 1200, 400, None, 250)


def test_documents_and_query_make_a_retriever():
    (span,) = read(
        {"name": "search", "query": "parcel", "documents": [{"id": "d1", "content": "c", "score": 0.5}]}
    ).intake.spans

    content = content_of(span)
    assert span.kind is Kind.RETRIEVER
    assert content.retrieval_query == "parcel"
    assert [(d.id, d.content, d.score) for d in content.documents] == [("d1", "c", 0.5)]


def test_hostile_text_is_repaired():
    body = json.dumps({**CALL, "name": "a\x00\ud800", "user": "u\x00", "x\x00": {"y\x00": "\ud800"}})

    (span,) = read_native(body.encode(), NOW).intake.spans

    assert (span.name, span.user_id, span.attributes) == (
        "a\ufffd\ufffd",
        "u\ufffd",
        {"x\ufffd": {"y\ufffd": "\ufffd"}},
    )
    assert span.flags & SpanFlag.REPAIRED_TEXT


def test_spans_nested_without_end_are_refused_from_the_limit_on():
    inner = {"name": "leaf"}
    for _ in range(200):
        inner = {"name": "n", "children": [inner]}

    native = read(inner)

    assert len(native.intake.spans) == 65
    assert "at most 64 deep" in native.errors[0]["message"]


def test_every_example_of_the_documentation_is_accepted_whole():
    examples = re.findall(r"```json request\n(.*?)```", DOCS.read_text(), re.DOTALL)

    assert len(examples) >= 4
    for example in examples:
        native = read(json.loads(example))
        assert native.errors == []
        assert native.intake.rejections == []
