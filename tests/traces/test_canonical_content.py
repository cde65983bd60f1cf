"""Contents of every client's shape, read when somebody looks."""

import json
from uuid import UUID

import pytest

from traces.canonical.content import build_content, previews
from traces.canonical.messages import from_flat, read_messages, unflatten
from traces.canonical.text import clean_text, clean_value, cut_text, decode, decode_loose, parse_json
from traces.canonical.types import CanonicalSpan, Kind, Origin, SpanFlag, Vocabulary


def content_of(raw, kind=Kind.GENERATION, vocabulary=Vocabulary.GENAI, attributes=None, **options):
    return build_content(kind, vocabulary, raw, attributes, **options)


def words(messages):
    return [(message.role, message.text()) for message in messages]


def make_span(raw, kind=Kind.GENERATION, events=None):
    origin = Origin(1, {}, "", "", {}, Vocabulary.GENAI)
    body = {"raw": raw} | ({"events": events} if events else {})
    return CanonicalSpan(
        UUID(int=1), 1, None, "n", kind, 0, 0, None, None, origin, has_input=True, has_output=True, body=body
    )


CHAT = [{"role": "system", "content": "be terse"}, {"role": "user", "content": "hi"}]
CHAT_WORDS = [("system", "be terse"), ("user", "hi")]


@pytest.mark.parametrize(
    "raw",
    [
        {"gen_ai.input.messages": json.dumps([
            {"role": "system", "parts": [{"type": "text", "content": "be terse"}]},
            {"role": "user", "parts": [{"type": "text", "content": "hi"}]}])},
        {"gen_ai.input.messages": [{"role": "system", "parts": [{"type": "text", "content": "be terse"}]},
                                   {"role": "user", "parts": [{"type": "text", "content": "hi"}]}]},
        {"gen_ai.prompt": json.dumps(CHAT)},
        {"gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "be terse",
         "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "hi"},
        {"llm.input_messages.0.message.role": "system", "llm.input_messages.0.message.content": "be terse",
         "llm.input_messages.1.message.role": "user",
         "llm.input_messages.1.message.contents.0.message_content.type": "text",
         "llm.input_messages.1.message.contents.0.message_content.text": "hi"},
        {"langfuse.observation.input": json.dumps(CHAT)},
        {"langfuse.observation.input": json.dumps(json.dumps(CHAT))},
        {"langfuse.observation.input": json.dumps({"messages": CHAT, "tools": []})},
        {"mlflow.spanInputs": json.dumps({"model": "m", "messages": CHAT})},
        {"mlflow.spanInputs": json.dumps({"model": "m", "system": "be terse", "messages": [CHAT[1]]})},
        {"input.value": json.dumps({"messages": CHAT}), "input.mime_type": "application/json"},
        {"input.value": json.dumps({"messages": [[
            {"lc": 1, "id": ["langchain", "schema", "SystemMessage"], "kwargs": {"content": "be terse", "type": "system"}},  # noqa: E501
            {"lc": 1, "id": ["langchain", "schema", "HumanMessage"], "kwargs": {"content": "hi", "type": "human"}}]]})},
        {"input.value": json.dumps([{"type": "system", "data": {"content": "be terse"}},
                                    {"type": "human", "data": {"content": "hi"}}])},
        {"llm.openai.messages": repr(CHAT), "gen_ai.prompt": repr(CHAT)},
    ],
)  # fmt: skip
def test_a_conversation_of_every_shape_reads_the_same(raw):
    assert words(content_of(raw).input_messages) == CHAT_WORDS


@pytest.mark.parametrize(
    "raw",
    [
        {"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "ho"}]}])},
        {"gen_ai.completion.0.content": "ho", "gen_ai.completion.0.role": "assistant"},
        {"gen_ai.completion.0.content": "ho"},
        {"llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "ho"},
        {"langfuse.observation.output": '{"role": "assistant", "content": "ho"}'},
        {"langfuse.observation.output": "ho"},
        {"langfuse.observation.output": '"ho"'},
        {"mlflow.spanOutputs": json.dumps({"id": "1", "choices": [{"message": {"role": "assistant", "content": "ho"}}]})},  # noqa: E501
        {"mlflow.spanOutputs": json.dumps({"id": "m", "type": "message", "role": "assistant",
                                           "content": [{"type": "text", "text": "ho"}]})},
        {"output.value": json.dumps({"generations": [[{"text": "ho", "message": {"kwargs": {"content": "ho", "type": "ai"}}}]]})},  # noqa: E501
        {"output.value": json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"text": "ho"}]}}]})},
        {"output.value": json.dumps({"object": "response", "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ho"}]}]})},
        {"output.value": "ho"},
        {"telltale.output": "ho"},
        {"final_result": "ho"},
    ],
)  # fmt: skip
def test_an_answer_of_every_shape_reads_the_same(raw):
    assert words(content_of(raw).output_messages) == [("assistant", "ho")]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "get", "arguments": {"a": 1}}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "get", "arguments": '{"a": 1}'}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "get", "arguments": '{"a": 1}'}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "get", "input": {"a": 1}}]},
        {"type": "ai", "data": {"content": "", "tool_calls": [{"id": "c", "name": "get", "args": {"a": 1}}]}},
        {"type": "function_call", "call_id": "c", "name": "get", "arguments": '{"a": 1}'},
    ],
)  # fmt: skip
def test_a_tool_call_of_every_shape_reads_the_same(message):
    (found,) = read_messages([message], "assistant")

    (part,) = found.parts
    assert (found.role, part.type, part.id, part.name, part.arguments) == (
        "assistant",
        "tool_call",
        "c",
        "get",
        {"a": 1},
    )


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "result": "sun"}]},
        {"role": "tool", "tool_call_id": "c", "content": "sun"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "sun"}]},
        {"type": "tool", "data": {"content": "sun", "tool_call_id": "c"}},
        {"type": "function_call_output", "call_id": "c", "output": "sun"},
    ],
)
def test_a_tool_result_of_every_shape_reads_the_same(message):
    (found,) = read_messages([message], "user")

    (part,) = found.parts
    assert (part.type, part.id, part.result) == ("tool_result", "c", "sun")


@pytest.mark.parametrize(
    ("part", "kind", "text"),
    [
        ({"type": "thinking", "thinking": "hm"}, "reasoning", "hm"),
        ({"type": "reasoning", "content": "hm"}, "reasoning", "hm"),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, "reasoning", "hm"),
        ({"type": "unheard_of", "x": 1}, "other", None),
        ("plain", "text", "plain"),
    ],
)
def test_parts_of_other_kinds_are_told_apart(part, kind, text):
    (message,) = read_messages([{"role": "assistant", "content": [part]}], "assistant")

    assert (message.parts[0].type, message.parts[0].text) == (kind, text)


def test_media_keeps_its_type_and_link_and_no_megabytes():
    content = [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
               {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}},
               {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "B" * 10_000}}]  # fmt: skip  # noqa: E501

    (message,) = read_messages([{"role": "user", "content": content}], "user")

    assert [part.type for part in message.parts] == ["media"] * 3
    assert message.parts[0].uri == "https://x.test/a.png"
    assert [part.media_type for part in message.parts] == ["image_url", "image/png", "image/jpeg"]
    assert all(len(part.uri) < 120 for part in message.parts)


def test_flattened_indexes_are_numeric_with_gaps_and_any_first_index():
    raw = {f"llm.input_messages.{n}.message.content": str(n) for n in (10, 2, 1)} | {"llm.input_messages.x.y": "no"}

    assert [message.text() for message in from_flat(raw, "llm.input_messages.", "user")] == ["1", "2", "10"]
    assert unflatten({"a.99999999999.b": 1, "a.1": "leaf", "a.1.b": 2}, "a.") == ["leaf"]


def test_emoji_read_the_same_raw_and_escaped():
    raw, escaped = (
        {"gen_ai.prompt": json.dumps([{"role": "user", "content": "🙂 grüezi"}], ensure_ascii=flag)}
        for flag in (True, False)
    )

    assert content_of(raw).input_messages == content_of(escaped).input_messages


def test_user_text_that_looks_like_json_is_left_alone():
    raw = {"gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": '{"a": 1}'}]}])}

    assert words(content_of(raw).input_messages) == [("user", '{"a": 1}')]


def test_a_span_that_is_no_chat_has_its_input_and_output_as_text():
    content = content_of(
        {"input.value": '{"question": "x"}', "input.mime_type": "application/json", "output.value": "y"}, Kind.CHAIN
    )

    assert (content.input_text, content.input_mime, content.output_text) == (
        '{"question": "x"}',
        "application/json",
        "y",
    )
    assert content.input_messages == ()
    assert content.state == "present"


def test_a_tool_run_has_arguments_and_result_from_any_client():
    for raw in (
        {"gen_ai.tool.name": "get", "gen_ai.tool.call.arguments": '{"a": 1}', "gen_ai.tool.call.result": "sun"},
        {"tool.name": "get", "input.value": '{"a": 1}', "output.value": "sun"},
        {"gen_ai.tool.name": "get", "gen_ai.tool.args": "{'a': 1}", "mlflow.spanOutputs": '"sun"'},
        {"traceloop.entity.name": "get", "traceloop.entity.input": '{"a": 1}', "traceloop.entity.output": '"sun"'},
    ):
        content = content_of(raw, Kind.TOOL)
        assert (content.tool_name, content.tool_arguments, content.tool_result) == ("get", {"a": 1}, "sun")


@pytest.mark.parametrize(
    "raw",
    [
        {"retrieval.documents.0.document.id": "d", "retrieval.documents.0.document.content": "c",
         "retrieval.documents.0.document.score": 0.5, "retrieval.documents.0.document.metadata": '{"s": 1}'},
        {"retrieval.documents.0.document.id": "d", "retrieval.documents.0.document.content": "c",
         "retrieval.documents.0.document.metadata": '{"s": 1, "score": 0.5}'},
        {"gen_ai.retrieval.documents": '[{"id": "d", "content": "c", "score": 0.5, "metadata": {"s": 1}}]'},
        {"mlflow.spanOutputs": '[{"id": "d", "page_content": "c", "metadata": {"s": 1, "score": "0.5"}}]'},
        {"langfuse.observation.output": '{"documents": [{"id": "d", "text": "c", "relevance_score": 0.5, "metadata": {"s": 1}}]}'},  # noqa: E501
        {"documents": '[{"id": "d", "content": "c", "score": 0.5, "metadata": {"s": 1}}]'},
    ],
)  # fmt: skip
def test_documents_of_every_shape_read_the_same(raw):
    (document,) = content_of(raw, Kind.RETRIEVER).documents

    assert (document.id, document.content, document.score, document.metadata["s"]) == ("d", "c", 0.5, 1)


def test_a_reranker_has_what_went_in_and_what_came_out():
    raw = {"reranker.query": "q", "reranker.input_documents.0.document.content": "a",
           "reranker.input_documents.1.document.content": "b", "reranker.output_documents.0.document.content": "b",
           "reranker.output_documents.0.document.score": 0.9}  # fmt: skip

    content = content_of(raw, Kind.RERANKER)

    assert content.retrieval_query == "q"
    assert [document.content for document in content.rerank_in] == ["a", "b"]
    assert [(document.content, document.score) for document in content.documents] == [("b", 0.9)]


@pytest.mark.parametrize(
    "told", ['{"args": ["where?"], "kwargs": {}}', '{"args": [], "kwargs": {"query": "where?"}}', "where?"]
)
def test_the_query_of_a_decorated_retriever_is_found_in_its_arguments(told):
    assert content_of({"langfuse.observation.input": told}, Kind.RETRIEVER).retrieval_query == "where?"


def test_tool_definitions_parameters_and_prompt_variables_are_read():
    schema = {"type": "function", "function": {"name": "get"}}

    assert content_of({"llm.tools.0.tool.json_schema": json.dumps(schema)}).tool_definitions == [schema]
    assert content_of({"mlflow.chat.tools": json.dumps([schema])}).tool_definitions == [schema]
    assert content_of({"gen_ai.request.temperature": 0.2, "gen_ai.request.model": "m"}).parameters == {
        "temperature": 0.2
    }
    assert content_of({"llm.invocation_parameters": '{"model": "m", "top_p": 0.5, "tools": []}'}).parameters == {
        "top_p": 0.5
    }
    assert content_of({}, vocabulary=Vocabulary.MLFLOW, attributes={"max_tokens": "64", "tools": "[]"}).parameters == {
        "max_tokens": 64
    }
    assert content_of({"llm.prompt_template.variables": '{"a": "b"}'}).prompt_variables == {"a": "b"}
    assert content_of({"traceloop.prompt.template_variables.a": "b"}).prompt_variables == {"a": "b"}


def test_messages_in_span_events_are_read():
    events = [{"name": "gen_ai.user.message", "at_ns": 1, "attributes": {"content": "hi"}},
              {"name": "gen_ai.choice", "at_ns": 2, "attributes": {"index": 0, "message": '{"content": "ho"}', "finish_reason": "stop"}},  # noqa: E501
              {"name": "other", "at_ns": 0}]  # fmt: skip

    content = content_of({}, events=events)

    assert words(content.input_messages + content.output_messages) == [("user", "hi"), ("assistant", "ho")]
    assert previews(make_span({}, events=events)) == ("hi", "ho")


@pytest.mark.parametrize(
    ("raw", "flags", "state"),
    [
        ({}, 0, "not_captured"),
        ({"input.value": "x"}, 0, "present"),
        ({"input.value": "x"}, SpanFlag.TRUNCATED, "truncated"),
        ({"input.value": "__REDACTED__"}, SpanFlag.CONTENT_REDACTED, "redacted"),
        ({"input.value": "[Scrubbed due to 'secret']"}, 0, "scrubbed_by_client"),
        ({"input.value": "x"}, SpanFlag.CONTENT_SCRUBBED, "scrubbed_by_client"),
    ],
)
def test_the_state_says_why_content_is_missing(raw, flags, state):
    assert content_of(raw, flags=flags).state == state


@pytest.mark.parametrize(
    ("raw", "kind", "first", "last"),
    [
        ({"gen_ai.input.messages": json.dumps(CHAT), "gen_ai.output.messages": '[{"role":"assistant","content":"ho"}]'},
         Kind.GENERATION, "hi", "ho"),
        ({"input.value": "a\n\n b", "output.value": "c" * 300}, Kind.CHAIN, "a b", "c" * 199 + "…"),
        ({"traceloop.entity.input": '{"args": ["hi"], "kwargs": {}}', "traceloop.entity.output": '"ho"'}, Kind.CHAIN, "hi", "ho"),  # noqa: E501
        ({"gen_ai.tool.call.arguments": '{"city":"Z\\u00fcrich"}'}, Kind.TOOL, '{"city": "Zürich"}', None),
        ({"gen_ai.prompt": "x" * 300_000}, Kind.GENERATION, None, None),
        ({"input.value": "{" + "x" * 300_000}, Kind.CHAIN, "{" + "x" * 198 + "…", None),
        ({"gen_ai.input.messages": json.dumps([{"role": "system", "content": "be terse"}])}, Kind.GENERATION, None, None),  # noqa: E501
        ({"gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"tool_call","name":"get","arguments":{}}]}]'},  # noqa: E501
         Kind.GENERATION, None, "get({})"),
        ({"gen_ai.input.messages": '[{"role":"user","content":"a\\u0000\\ud800"}]'}, Kind.GENERATION, "a\ufffd\ufffd", None),  # noqa: E501
        ({}, Kind.GENERATION, None, None),
    ],
)  # fmt: skip
def test_previews_are_the_last_words_in_at_most_200_characters(raw, kind, first, last):
    assert previews(make_span(raw, kind)) == (first, last)


@pytest.mark.parametrize(
    ("request_data", "response_data", "first", "last"),
    [
        ({"model": "text-embedding-3-small"}, {"usage": {"total_tokens": 3}}, None, None),
        ({"model": "text-embedding-3-small", "input": "where is it?"}, None, "where is it?", None),
        ({"model": "text-embedding-3-small", "input": ["one", "two"]}, None, "one", None),
        ({"model": "m", "input": [[1, 2, 3]]}, None, None, None),
        ({"model": "m", "messages": CHAT}, {"message": {"role": "assistant", "content": "ho"}}, "hi", "ho"),
        ({"model": "m", "prompt": "go on"}, {"combined_chunk_content": "on", "chunk_count": 1}, "go on", "on"),
        ("no JSON at all", "[broken", "no JSON at all", "[broken"),
    ],
)
def test_of_logfires_record_of_a_call_only_what_was_said_is_shown(request_data, response_data, first, last):
    data = {"request_data": request_data, "response_data": response_data}
    as_text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in data.items()}

    assert previews(make_span(as_text, Kind.EMBEDDING)) == (first, last)
    assert previews(make_span(data, Kind.EMBEDDING)) == (first, last)


@pytest.mark.parametrize("value", [None, 7, [], [[]], {}, [None], [7], [{}], {"messages": 5}, {"choices": [5]}, {"generations": [[None]]},  # noqa: E501
                                   [{"role": 5, "content": 7}], {"candidates": [{}]}, {"parts": {"a": 1}}])  # fmt: skip
def test_no_shape_breaks_the_reading(value):
    for raw in (
        {"gen_ai.input.messages": value},
        {"langfuse.observation.input": json.dumps(value)},
        {"input.value": json.dumps(value)},
    ):
        for kind in Kind:
            assert content_of(raw, kind) is not None
            previews(make_span(raw, kind))


def test_deep_json_in_a_text_breaks_nothing():
    raw = {"gen_ai.input.messages": "[" * 50_000, "output.value": '{"a":' * 5000 + "1" + "}" * 5000}

    assert content_of(raw).state == "present"
    assert previews(make_span(raw))[1].startswith('{"a":')


@pytest.mark.parametrize("key", ["message", "content", "messages", "input", "data", "parts", "choices", "kwargs"])
@pytest.mark.parametrize("kind", [Kind.GENERATION, Kind.TOOL, Kind.RETRIEVER, Kind.CHAIN])
def test_values_nested_for_ever_are_read_without_a_recursion_error(key, kind):
    for opening, closing in ((f'{{"{key}":', "}"), (f'{{"{key}":[', "]}"), (f'{{"role":"user","{key}":[', "]}")):
        text = opening * 300 + "1" + closing * 300
        raw = dict.fromkeys(("gen_ai.input.messages", "output.value", "gen_ai.retrieval.documents", "metadata"), text)

        assert content_of(raw, kind).state == "present"
        previews(make_span(raw, kind))


def test_text_is_cleaned_and_cut_at_characters():
    assert clean_text("a\x00b\ud800c\ud83d\ude00") == "a\ufffdb\ufffdc😀"
    assert cut_text("ééé", 5) == "éé"
    assert cut_text("abc", 3) == "abc"
    assert clean_value({"a": [float("nan"), 2**70, {1: (2,)}], "b": b"x"}) == {
        "a": ["NaN", str(2**70), {"1": [2]}],
        "b": "b'x'",
    }
    assert clean_value([[[1]]], 2) == [["[1]"]]


def test_json_in_strings_is_decoded_at_most_twice():
    assert decode('{"a": 1}') == {"a": 1}
    assert decode(json.dumps(json.dumps([1]))) == [1]
    assert decode(json.dumps(json.dumps(json.dumps([1])))) == "[1]"
    assert decode("plain") == "plain"
    assert decode("[broken") == "[broken"
    assert decode_loose("{'a': None}") == {"a": None}
    assert decode_loose("{'a': open('x')}") == "{'a': open('x')}"
    assert decode_loose("[" * 70_000) == "[" * 70_000
    assert parse_json('{"a": "\\u0000\\ud800", "b": NaN, "c": 1e400}') == {
        "a": "\ufffd\ufffd",
        "b": "NaN",
        "c": "Infinity",
    }
