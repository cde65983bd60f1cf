"""Real clients, as recorded on the wire: what they sent becomes the spans, calls, tokens and words that took place."""

import json
from collections import Counter
from pathlib import Path

import pytest

from traces.canonical.content import build_content, log_previews, previews
from traces.canonical.types import BUCKETS, MODEL_KINDS, Kind, SpanFlag, SpanStatus
from traces.cost.counting import call_view, resolve
from traces.wire.otlp import read_logs, read_metrics, read_traces

RECORDED = Path(__file__).parent.parent / "fixtures" / "recorded"
RECEIVED_NS = 1_795_237_700_000_000_000
CLIENTS = sorted(path.parent.name for path in RECORDED.glob("*/expect.json"))


class Recording:
    """One client's requests, decoded."""

    def __init__(self, client):
        folder = RECORDED / client
        self.expect = json.loads((folder / "expect.json").read_text())
        self.truth = json.loads((folder / "truth.json").read_text())
        self.spans, self.events, self.points = [], [], []
        for request in json.loads((folder / "manifest.json").read_text())["requests"]:
            is_json = "json" in request["content_type"]
            body = (folder / request["file"]).read_bytes()
            path = request["path"].rstrip("/")
            if path.endswith("/v1/traces"):
                intake = read_traces(body, is_json, received_at_ns=RECEIVED_NS)
                assert intake.rejections == []
                assert intake.received == len(intake.spans)
                self.spans += intake.spans
            elif path.endswith("/v1/logs"):
                intake = read_logs(body, is_json, received_at_ns=RECEIVED_NS)
                assert intake.rejections == []
                self.events += intake.events
            elif path.endswith("/v1/metrics"):
                intake = read_metrics(body, is_json, received_at_ns=RECEIVED_NS)
                assert intake.rejections == []
                self.points += intake.points

    def counted(self):
        """The spans that count, by the project's rule against double counting."""
        parents = {}
        for span in self.spans:
            parents.setdefault(span.trace_id, {})[span.span_id] = span.parent_span_id
        verdicts = resolve([view for view in map(call_view, self.spans) if view], parents)
        return [
            span
            for span in self.spans
            if (verdict := verdicts.get((span.trace_id, span.span_id))) and verdict.counted and span.usage
        ]

    def log_events(self, span):
        return [
            {"event_name": event.event_name, "at": event.happened_us, "ordinal": event.ordinal, **event.body}
            for event in self.events
            if (event.trace_id, event.span_id) == (span.trace_id, span.span_id)
        ]

    def content(self, span):
        return build_content(
            span.kind,
            span.origin.vocabulary,
            span.body.get("raw", {}),
            span.attributes,
            span.body.get("events"),
            self.log_events(span),
        )


@pytest.fixture(scope="module", params=CLIENTS)
def recording(request):
    return Recording(request.param)


def test_every_client_is_recorded():
    assert len(CLIENTS) >= 14


def test_spans_traces_and_kinds_are_those_sent(recording):
    expect = recording.expect

    kinds = Counter(span.kind.name.lower() for span in recording.spans)

    assert len(recording.spans) == expect["spans"]
    assert len({span.trace_id for span in recording.spans}) == expect["traces"]
    assert dict(kinds) == expect["kinds"]


def test_tokens_of_all_calls_are_the_truth_of_the_recording(recording):
    totals = Counter()
    for span in recording.counted():
        for name, count in zip(BUCKETS, span.usage.buckets(), strict=True):
            totals[name] += count or 0

    wanted = {name: count or 0 for name, count in recording.expect["tokens"].items()}
    assert {name: totals[name] for name in wanted} == wanted


def test_each_call_has_its_own_tokens(recording):
    counted = [span for span in recording.counted() if span.response_id]
    by_id = {span.response_id: span for span in counted}
    assert len(by_id) == len(counted)
    checked = 0
    for call in recording.expect["tokens_by_call"]:
        span = by_id.get(call["response_id"])
        if span is None:
            continue
        checked += 1
        got = dict(zip(BUCKETS, span.usage.buckets(), strict=True))
        assert {name: got[name] or 0 for name in got if name in call} == {
            name: call[name] or 0 for name in got if name in call
        }
    if recording.expect["client"] not in ("langfuse_v3", "langfuse_v5"):
        assert checked >= 0.5 * len([call for call in recording.expect["tokens_by_call"] if call["response_id"]])


def test_unknown_usage_is_none_and_unknown_cache_is_flagged(recording):
    expect = recording.expect
    without = [
        span
        for span in recording.spans
        if span.kind in MODEL_KINDS and span.usage is None and span.status is not SpanStatus.ERROR
    ]
    with_usage = [span for span in recording.spans if span.usage is not None]

    if expect["calls_without_usage"]:
        assert len(without) >= expect["calls_without_usage"]
    elif not expect["duplicates_with_usage"]:
        assert without == []
    assert all(bool(span.flags & SpanFlag.CACHE_UNKNOWN) is not expect["cache_known"] for span in with_usage)


def test_models_and_providers_are_those_of_the_calls(recording):
    asked = {call["model_requested"] for call in recording.truth}
    answered = {call["model_answered"] for call in recording.truth if call.get("model_answered")}
    providers = {call["provider"] for call in recording.truth}
    for span in recording.spans:
        if span.kind in MODEL_KINDS and span.name != "manual":
            if span.model_requested is not None:
                assert span.model_requested in asked
            if span.model_answered is not None:
                assert span.model_answered in answered | asked
            assert span.provider in providers
        elif span.name != "manual" and span.origin.vocabulary != "litellm":
            assert span.provider is None or span.kind in (Kind.AGENT, Kind.RETRIEVER)


def test_response_ids_finish_reasons_and_streaming_are_the_calls_own(recording):
    by_id = {call["response_id"]: call for call in recording.truth if call.get("response_id")}
    normal = {
        "stop": "stop",
        "tool_calls": "tool_call",
        "end_turn": "stop",
        "tool_use": "tool_call",
        "completed": "stop",
    }
    checked = 0
    for span in recording.spans:
        call = by_id.get(span.response_id)
        if call is None or span.kind is not Kind.GENERATION:
            continue
        checked += 1
        if span.finish_reason is not None and call.get("finish_reason"):
            assert span.finish_reason == normal[call["finish_reason"]]
        if span.streamed is not None and recording.expect["client"] != "openlit":
            assert span.streamed == call["streamed"]
        if span.ttft_ns is not None:
            assert call["streamed"]
            assert 0 <= span.ttft_ns <= (span.duration_ns or span.ttft_ns)
    if recording.expect["client"] not in ("langfuse_v3", "langfuse_v5", "openinference_langchain"):
        assert checked >= 5


def test_users_sessions_tags_and_metadata_are_those_set(recording):
    expect = recording.expect
    metadata = {}
    for span in recording.spans:
        metadata |= span.metadata or {}

    sessions = {span.session_id for span in recording.spans if span.session_id}
    assert sorted({span.user_id for span in recording.spans if span.user_id}) == expect["users"]
    assert len(sessions - set(expect["sessions"])) <= expect["sessions_minted_by_client"]
    assert set(expect["sessions"]) <= sessions
    assert sorted({tag for span in recording.spans for tag in span.tags or ()}) == sorted(expect["tags"])
    for key, value in expect["metadata"].items():
        assert metadata[key] == value
    if "feature" in expect["metadata"]:
        assert expect["metadata"]["feature"] in {span.feature for span in recording.spans}


def test_errors_are_told_with_their_class(recording):
    errors = [span for span in recording.spans if span.status is SpanStatus.ERROR]

    classes = {
        span.error_type.rsplit(".", 1)[-1] for span in errors if span.error_type and not span.error_type.isdigit()
    }
    assert len(errors) == recording.expect["error_spans"]
    assert set(recording.expect["error_types"]) <= classes
    for span in errors:
        if span.origin.vocabulary not in ("http", "anthropic", "langfuse"):
            assert span.status_message or span.error_type or span.body.get("error_message")


def test_service_environment_and_release_come_from_the_resource(recording):
    assert {(span.service, span.environment, span.release) for span in recording.spans} == {
        ("support-bot", "recording", "1.4.0")
    }


def test_words_of_every_captured_generation_can_be_read(recording):
    client = recording.expect["client"]
    checked = 0
    for span in recording.spans:
        if span.kind is not Kind.GENERATION or span.origin.vocabulary == "anthropic":
            continue
        content = recording.content(span)
        if span.name == "manual" or (span.status is SpanStatus.ERROR and not span.has_input):
            continue
        checked += 1
        assert content.state == "present"
        texts = [message.text() for message in content.input_messages if message.role == "user"]
        assert any(texts)
        if span.status is not SpanStatus.ERROR and not _has_no_answer(client, span):
            parts = [part for message in content.output_messages for part in message.parts]
            assert parts
            assert {part.type for part in parts} <= {"text", "tool_call", "reasoning"}
            text = "".join(part.text or "" for part in parts if part.type == "text")
            assert "Zürich is sunny today ☀️" in text or any(part.type == "tool_call" for part in parts)
    assert checked or client == "anthropic_native"


def _has_no_answer(client, span):
    """Streams whose client writes no answer on this span: Logfire's log span has it, MLflow keeps a stream's repr."""
    if client == "logfire_pydantic_ai":
        return span.usage is None
    return client == "mlflow" and span.usage is None and span.response_id is None


def test_a_tool_call_and_its_run_are_read_alike_from_every_client(recording):
    calls = [
        part
        for span in recording.spans
        if span.kind is Kind.GENERATION
        for message in recording.content(span).output_messages
        for part in message.parts
        if part.type == "tool_call"
    ]
    runs = [span for span in recording.spans if span.kind is Kind.TOOL]

    if recording.expect["client"] not in ("anthropic_separate",):
        assert calls
    for call in calls:
        assert call.name == "get_weather"
        assert call.arguments == {"city": "Zürich"}
    assert len(runs) == recording.expect["tool_runs"]
    for span in runs:
        content = recording.content(span)
        if content.tool_arguments is not None:
            assert "Zürich" in str(content.tool_arguments)


def test_retrieved_documents_are_read_with_their_scores(recording):
    for span in recording.spans:
        if (
            span.kind is not Kind.RETRIEVER
            or (not span.has_output
            and "gen_ai.retrieval.documents" not in span.body["raw"])
        ):
            continue
        content = recording.content(span)
        assert [document.content for document in content.documents] == [
            "Zürich lies on a lake.",
            "Bern has a bear park.",
        ]
        if recording.expect["client"] != "mlflow":
            assert [document.score for document in content.documents] == [0.91, 0.42]
        assert content.documents[0].metadata["source"] == "guide.md"
        assert content.retrieval_query


def test_previews_show_the_last_words_of_user_and_model(recording):
    shown = 0
    for span in recording.spans:
        if span.kind is Kind.GENERATION and span.status is not SpanStatus.ERROR:
            first, last = previews(span)
            logged = log_previews(recording.log_events(span))
            first, last = first or logged[0], last or logged[1]
            if first is not None:
                shown += 1
                assert len(first) <= 200
                assert "terse assistant" not in first
                assert "{" not in first
                if last is not None:
                    assert len(last) <= 200
                    assert last.startswith(("Zürich is sunny today", "get_weather(", "25.", "<anthropic"))
    assert shown >= 6


def test_a_resend_becomes_the_same_spans(recording):
    again = Recording(recording.expect["client"])

    assert [(s.trace_id, s.span_id, s.started_us, s.origin.key) for s in again.spans] == [
        (s.trace_id, s.span_id, s.started_us, s.origin.key) for s in recording.spans
    ]
    assert [event.digest for event in again.events] == [event.digest for event in recording.events]
    assert [point.series_key for point in again.points] == [point.series_key for point in recording.points]
