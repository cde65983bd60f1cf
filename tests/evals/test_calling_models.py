"""One call of a model: what is sent, what comes back, and what each kind of failure is called."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evals.calling import CallFailed, ChatMessage, Endpoint, ToolOffer, ask, chat, embed, price_of
from evals.calling.client import ANSWER_BYTES, address_of, retry_after
from evals.judges import Material, ModelConfig, build_prompt, fresh_nonce, read_reply
from evals.rubrics import parse_rubric
from telltale.lib import egress

RUBRIC = parse_rubric({"criteria": [{"key": "safe", "definition": "No harm.", "scale": {"kind": "boolean"}}]})
REPLY = '{"injection_attempt":false,"criteria":{"safe":{"reason":"r","evidence":[],"unsure":false,"score":true}}}'
SECRET = "sk-secret-key-0123456789"


class Stub:
    """A model endpoint on loopback: answers what `answer(body, number)` gives, keeps what it was sent."""

    def __init__(self, answer):
        self.requests = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stub.requests.append((self.path, dict(self.headers), body))
                status, headers, data = answer(body, len(stub.requests))
                data = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def serve(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr("evals.calling.client._LEARNED", {})
    stubs = []

    def make(answer, **options):
        stubs.append(Stub(answer if callable(answer) else lambda body, n: answer))
        return stubs[-1], Endpoint(
            **{"kind": "openai", "base_url": stubs[-1].url, "key": SECRET, "model": "m"} | options
        )

    yield make
    for stub in stubs:
        stub.close()


def completion(text=REPLY, finish="stop", **message):
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 64}}
    choice = {"message": {"role": "assistant", "content": text} | message, "finish_reason": finish}
    return {"model": "m-2026", "choices": [choice], "usage": usage}


def message(text=REPLY, stop="end_turn"):
    usage = {"input_tokens": 60, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 10, "output_tokens": 20}
    return {"model": "claude-x", "content": [{"type": "text", "text": text}], "stop_reason": stop, "usage": usage}


def make_prompt(text="An answer."):
    material = Material(answer=text)
    return build_prompt(RUBRIC, ModelConfig(), material, fresh_nonce(material))


def test_openai_gets_one_structured_call_at_temperature_0(serve):
    stub, endpoint = serve((200, {}, completion()), input_pico=1000, output_pico=4000)

    called = ask(endpoint, make_prompt(), 500)

    path, headers, body = stub.requests[0]
    assert len(stub.requests) == 1
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert [each["role"] for each in body["messages"]] == ["system", "user"]
    assert body["temperature"] == 0
    assert body["max_tokens"] == 500
    assert "tools" not in body
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert (called.input_tokens, called.output_tokens, called.cached_tokens) == (100, 20, 64)
    assert (called.finish_reason, called.model, called.status, called.form) == ("stop", "m-2026", 200, "json_schema")
    assert called.cost_pico == 100 * 1000 + 20 * 4000
    assert read_reply(RUBRIC, called.text, Material()).scores[0].number == 1.0


def test_anthropic_gets_its_own_shape(serve):
    stub, endpoint = serve((200, {}, message()), kind="anthropic")

    called = ask(endpoint, make_prompt(), 500)

    path, headers, body = stub.requests[0]
    assert path == "/v1/messages"
    assert headers["x-api-key"] == SECRET
    assert headers["anthropic-version"] == "2023-06-01"
    assert "Authorization" not in headers
    assert [each["role"] for each in body["messages"]] == ["user"]
    assert body["system"].startswith("You are a judge")
    assert {"max_tokens": 500, "temperature": 0}.items() <= body.items()
    assert "tools" not in body
    assert "response_format" not in body
    assert (called.input_tokens, called.output_tokens, called.cached_tokens) == (100, 20, 30)
    assert called.finish_reason == "stop"
    assert called.cost_pico is None


@pytest.mark.parametrize("refused", [("json_schema",), ("json_schema", "json_object")])
def test_endpoint_that_refuses_a_form_is_asked_with_the_next(serve, refused):
    def answer(body, n):
        form = body.get("response_format", {}).get("type", "none")
        if form in refused:
            return 400, {}, {"error": {"message": f"'response_format' of type {form} is not supported"}}
        return 200, {}, completion()

    stub, endpoint = serve(answer)

    called = ask(endpoint, make_prompt(), 500)
    again = ask(endpoint, make_prompt(), 500, form=called.form)

    assert called.form == again.form == {1: "json_object", 2: "none"}[len(refused)]
    assert len(stub.requests) == len(refused) + 2


def test_what_a_refusal_taught_is_kept_for_the_process(serve):
    def answer(body, n):
        if "response_format" in body:
            return 400, {}, {"error": "unknown field response_format"}
        return 200, {}, completion()

    stub, endpoint = serve(answer)

    first, second = ask(endpoint, make_prompt(), 500), ask(endpoint, make_prompt(), 500)

    assert first.form == second.form == "none"
    assert len(stub.requests) == 4


def test_model_that_knows_no_temperature_and_another_limit_is_asked_so(serve):
    def answer(body, n):
        if "temperature" in body:
            return 400, {}, {"error": {"message": "Unsupported value: 'temperature' does not support 0"}}
        if "max_tokens" in body:
            return 400, {}, {"error": {"message": "Unsupported: 'max_tokens'. Use 'max_completion_tokens' instead."}}
        return 200, {}, completion()

    stub, endpoint = serve(answer)

    called = ask(endpoint, make_prompt(), 500)
    told = chat(endpoint, [ChatMessage("user", "Hi")], 20, 0.5)

    assert called.form == "json_schema"
    assert told.text == REPLY
    assert stub.requests[2][2]["max_completion_tokens"] == 500
    assert len(stub.requests) == 4


def test_endpoint_that_refuses_everything_is_asked_a_few_times_at_most(serve):
    words = "temperature max_tokens max_completion_tokens response_format json_object"
    stub, endpoint = serve((400, {}, {"error": words}))

    with pytest.raises(CallFailed) as failed:
        ask(endpoint, make_prompt(), 500)

    assert failed.value.kind == "refused_request"
    assert len(stub.requests) <= 5


@pytest.mark.parametrize(
    ("status", "words", "kind", "told"),
    [
        (429, "insufficient_quota", "auth", "credit"),
        (400, "Your credit balance is too low", "auth", "credit"),
        (400, "context_length_exceeded", "refused_request", "too long"),
        (400, "content_filter", "refused_request", "filter"),
    ],
)
def test_what_providers_say_in_words_is_told_apart(serve, status, words, kind, told):
    _, endpoint = serve((status, {}, {"error": {"code": words}}))

    with pytest.raises(CallFailed, match=told) as failed:
        ask(endpoint, make_prompt(), 500)

    assert failed.value.kind == kind


def test_other_refusals_are_not_asked_again(serve):
    stub, endpoint = serve((400, {}, {"error": {"message": "context length exceeded"}}))

    with pytest.raises(CallFailed) as failed:
        ask(endpoint, make_prompt(), 500)

    assert failed.value.kind == "refused_request"
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("status", "headers", "kind", "pause"),
    [
        (429, {"Retry-After": "7"}, "rate_limited", 7),
        (429, {"retry-after-ms": "1500"}, "rate_limited", 1.5),
        (429, {"Retry-After": "999999"}, "rate_limited", 3600),
        (429, {"Retry-After": "-5"}, "rate_limited", None),
        (429, {"Retry-After": "soon"}, "rate_limited", None),
        (429, {}, "rate_limited", None),
        (500, {}, "server", None),
        (503, {"Retry-After": "2.5"}, "server", 2.5),
        (529, {}, "server", None),
        (408, {}, "timeout", None),
        (401, {}, "auth", None),
        (402, {}, "auth", None),
        (403, {}, "auth", None),
        (404, {}, "refused_request", None),
        (413, {}, "refused_request", None),
        (422, {}, "refused_request", None),
        (302, {"Location": "https://example.com/"}, "refused_request", None),
        (204, {}, "server", None),
    ],
)
def test_failures_have_a_kind_and_quote_nothing(serve, status, headers, kind, pause):
    _, endpoint = serve((status, headers, b"" if status == 204 else {"error": "<script>secret words</script>"}))

    with pytest.raises(CallFailed) as failed:
        ask(endpoint, make_prompt(), 500)

    assert failed.value.kind == kind
    assert failed.value.status == status
    assert failed.value.retry_after == (None if pause is None else timedelta(seconds=pause))
    assert failed.value.was_sent
    assert "secret" not in failed.value.told
    assert SECRET not in failed.value.told


NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("Mon, 02 Mar 2026 12:00:30 GMT", 30),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0),
        ("Mon, 02 Mar 2099 12:00:00 GMT", 3600),
        ("Mon, 99 Foo 2026", None),
        ("", None),
        ("٣", None),
        ("1e9", None),
        ("1.2.3", None),
        ("9" * 30, None),
    ],
)
def test_pause_is_read_from_dates_and_capped(raw, seconds):
    found = retry_after(egress.Answer(429, {"retry-after": raw}), NOW)

    assert found == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[]", b"null", {}, {"choices": []}, {"choices": [None]}, {"choices": [{"message": "x"}]},
     {"choices": {"0": {}}}],
)  # fmt: skip
def test_answer_that_is_no_completion_is_a_failure_of_the_server(serve, body):
    _, endpoint = serve((200, {}, body))

    with pytest.raises(CallFailed) as failed:
        ask(endpoint, make_prompt(), 500)

    assert failed.value.kind == "server"


@pytest.mark.parametrize(
    ("answer", "text", "finish", "tokens"),
    [
        (completion(None, refusal="I can't do that."), "I can't do that.", "refusal", 100),
        (completion(""), "", "stop", 100),
        (completion(None), "", "stop", 100),
        (completion("x", finish="length"), "x", "length", 100),
        (completion("x", finish=None), "x", "", 100),
        (
            completion([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]),
            "ab",
            "stop",
            100,
        ),
        (completion("half \ud800 nul \x00"), "half \ufffd nul \ufffd", "stop", 100),
        (completion() | {"usage": None}, REPLY, "stop", None),
        (completion() | {"usage": {"prompt_tokens": -5}}, REPLY, "stop", None),
        (completion() | {"usage": {"prompt_tokens": True}}, REPLY, "stop", None),
        (completion() | {"usage": {"prompt_tokens": 10**12}}, REPLY, "stop", None),
        (completion() | {"usage": {"prompt_tokens": "100"}}, REPLY, "stop", None),
    ],
)
def test_odd_answers_are_read_as_far_as_they_go(serve, answer, text, finish, tokens):
    if answer["choices"][0]["message"]["content"] == "half \ud800 nul \x00":
        answer = json.dumps(answer).encode()
    _, endpoint = serve((200, {}, answer), input_pico=1, output_pico=1)

    called = ask(endpoint, make_prompt(), 500)

    assert (called.text, called.finish_reason, called.input_tokens) == (text, finish, tokens)
    assert (called.cost_pico is None) is (tokens is None)


def test_refusal_of_anthropic_is_told(serve):
    _, endpoint = serve((200, {}, message("No.", stop="refusal")), kind="anthropic")

    called = ask(endpoint, make_prompt(), 500)

    assert read_reply(RUBRIC, called.text, Material(), called.finish_reason).kind == "refused"


def test_endless_answer_is_cut_and_refused(serve):
    _, endpoint = serve((200, {}, b'{"choices":"' + b"x" * (ANSWER_BYTES + 10) + b'"}'))

    with pytest.raises(CallFailed, match="larger than") as failed:
        ask(endpoint, make_prompt(), 500)

    assert failed.value.kind == "server"


def test_slow_model_is_a_timeout_that_may_have_cost_money(serve):
    ended = threading.Event()

    def answer(body, n):
        ended.wait(10)
        return 200, {}, completion()

    _, endpoint = serve(answer, timeout_seconds=1.0)

    with pytest.raises(CallFailed) as failed:
        ask(endpoint, make_prompt(), 500)
    ended.set()

    assert failed.value.kind == "timeout"
    assert failed.value.was_sent


def test_closed_port_is_unreachable_and_nothing_was_sent(serve):
    stub, endpoint = serve((200, {}, completion()))
    stub.close()

    with pytest.raises(CallFailed) as failed:
        ask(endpoint, make_prompt(), 500)

    assert failed.value.kind == "unreachable"
    assert not failed.value.was_sent


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/v1", "http://127.0.0.1:9/v1", "ftp://example.com", "http://user:pw@example.com/v1"]
)
def test_addresses_that_are_refused_are_never_called(settings, url):
    settings.TELLTALE_EGRESS_ALLOW = []

    with pytest.raises(CallFailed) as failed:
        ask(Endpoint("openai", url, SECRET, "m"), make_prompt(), 500)

    assert failed.value.kind == "egress"
    assert not failed.value.was_sent


@pytest.mark.parametrize("key", ["sk\nX-Evil: 1", "schlüssel", "a\x00b"])
def test_key_that_is_no_header_is_never_sent(serve, key):
    stub, endpoint = serve((200, {}, completion()), key=key)

    with pytest.raises(CallFailed) as failed:
        ask(endpoint, make_prompt(), 500)

    assert failed.value.kind == "auth"
    assert key not in failed.value.told
    assert stub.requests == []


def test_further_headers_are_sent_and_checked(serve):
    stub, endpoint = serve((200, {}, completion()), headers={"X-Team": "shop"})
    _, bad = serve((200, {}, completion()), headers={"Host": "evil"})

    ask(endpoint, make_prompt(), 500)
    with pytest.raises(CallFailed) as failed:
        ask(bad, make_prompt(), 500)

    assert stub.requests[0][1]["X-Team"] == "shop"
    assert failed.value.kind == "egress"


def test_endpoint_shows_no_key():
    assert SECRET not in repr(Endpoint("openai", "https://x", SECRET, "m", headers={"a": SECRET}))


@pytest.mark.parametrize(
    ("model", "limit", "has_temperature"),
    [("gpt-4o", "max_tokens", True), ("o3-mini", "max_completion_tokens", False),
     ("gpt-5", "max_completion_tokens", False), ("openai/gpt-5-mini", "max_completion_tokens", False),
     ("llama-3", "max_tokens", True)],
)  # fmt: skip
def test_reasoning_models_get_the_names_they_know(serve, model, limit, has_temperature):
    stub, endpoint = serve((200, {}, completion()), model=model)

    ask(endpoint, make_prompt(), 500)

    assert stub.requests[0][2][limit] == 500
    assert ("temperature" in stub.requests[0][2]) is has_temperature


def test_chat_sends_what_it_is_given(serve):
    stub, endpoint = serve((200, {}, completion("Hello")))
    messages = [ChatMessage("system", "Be brief."), ChatMessage("user", "Hi"), ChatMessage("assistant", "Yes?")]

    called = chat(endpoint, messages, 50, 0.7)

    body = stub.requests[0][2]
    assert called.text == "Hello"
    assert [(each["role"], each["content"]) for each in body["messages"]] == [(m.role, m.text) for m in messages]
    assert body["temperature"] == 0.7
    assert "response_format" not in body


def test_chat_without_temperature_leaves_it_to_the_provider(serve):
    stub, endpoint = serve((200, {}, completion("Hello")))

    chat(endpoint, [ChatMessage("user", "half \ud800")], 50)

    assert "temperature" not in stub.requests[0][2]
    assert stub.requests[0][2]["messages"][0]["content"] == "half \ufffd"


@pytest.mark.parametrize(
    ("kind", "base", "address"),
    [
        ("openai", "https://api.example.com/v1", "https://api.example.com/v1/chat/completions"),
        ("openai", "https://api.example.com/v1/", "https://api.example.com/v1/chat/completions"),
        ("openai", "https://x/v1/chat/completions", "https://x/v1/chat/completions"),
        ("openai", "https://x/openai/deployments/a?api-version=1", "https://x/openai/deployments/a/chat/completions?api-version=1"),
        ("anthropic", "https://api.example.com", "https://api.example.com/v1/messages"),
        ("anthropic", "https://api.example.com/v1", "https://api.example.com/v1/messages"),
        ("anthropic", "https://api.example.com/v1/messages", "https://api.example.com/v1/messages"),
    ],
)  # fmt: skip
def test_address_follows_the_kind(kind, base, address):
    assert address_of(Endpoint(kind, base)) == address


@pytest.mark.parametrize(
    ("prices", "tokens", "cost"),
    [
        ((3_000_000, 15_000_000), (1000, 10), 3_150_000_000),
        ((None, 1), (1, 1), None),
        ((1, None), (1, 1), None),
        ((1, 1), (None, 1), None),
        ((1, 1), (1, None), None),
        ((0, 0), (1, 1), 0),
    ],
)
def test_unknown_price_is_not_0(prices, tokens, cost):
    endpoint = Endpoint("openai", "https://x", input_pico=prices[0], output_pico=prices[1])

    assert price_of(endpoint, *tokens) == cost


@pytest.mark.parametrize("tokens", [0, -1, 128_001])
def test_limits_of_output_are_kept(tokens):
    with pytest.raises(ValueError, match="max_output_tokens"):
        chat(Endpoint("openai", "https://x", model="m"), [], tokens)


OFFER = ToolOffer("get_weather", "The weather of a city.", {"type": "object", "properties": {"city": {}}})


def test_offered_tools_are_sent_and_their_calls_read(serve):
    call = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, {"function": 7}, "odd"]}
    whole = {"choices": [{"message": message, "finish_reason": "tool_calls"}], "system_fingerprint": "fp_1"}
    stub, endpoint = serve((200, {}, whole))

    called = chat(endpoint, [ChatMessage("user", "Oslo?")], tools=[OFFER])

    assert [(each.name, each.arguments) for each in called.tools] == [("get_weather", '{"city": "Oslo"}')]
    assert (called.text, called.fingerprint, called.finish_reason) == ("", "fp_1", "tool_calls")
    assert stub.requests[0][2]["tools"][0]["function"]["name"] == "get_weather"


def test_anthropic_gets_tools_in_its_own_shape(serve):
    content = [{"type": "tool_use", "name": "get_weather", "input": {"city": "Oslo"}}]
    stub, endpoint = serve((200, {}, {"content": content, "stop_reason": "tool_use"}), kind="anthropic")

    called = chat(endpoint, [ChatMessage("user", "Oslo?")], tools=[OFFER])

    assert [(each.name, each.arguments) for each in called.tools] == [("get_weather", '{"city": "Oslo"}')]
    assert stub.requests[0][2]["tools"] == [
        {"name": "get_weather", "description": "The weather of a city.", "input_schema": OFFER.parameters}
    ]


def test_vectors_come_in_the_order_of_their_texts(serve):
    data = [{"index": 1, "embedding": [0, 1.5]}, {"index": 0, "embedding": [1, 0]}]
    stub, endpoint = serve((200, {}, {"data": data, "model": "e-2", "usage": {"prompt_tokens": 9}}))

    found = embed(replace(endpoint, model="e", input_pico=5, output_pico=7), ["a", ""])

    assert found.vectors == ((1.0, 0.0), (0.0, 1.5))
    assert (found.model, found.input_tokens, found.cost_pico) == ("e-2", 9, 45)
    path, _, body = stub.requests[0]
    assert (path, body) == ("/v1/embeddings", {"model": "e", "input": ["a", " "]})


@pytest.mark.parametrize(
    "data",
    [
        None, [], [{"embedding": [1]}], [{"embedding": [1]}, {"embedding": [1, 2]}],
        [{"embedding": [1]}, {"embedding": ["1"]}], [{"embedding": [1]}, {"embedding": [0]}],
        [{"embedding": [1]}, {"embedding": [True]}], [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}],
    ],
)  # fmt: skip
def test_what_is_no_vector_of_each_text_is_no_answer(serve, data):
    _, endpoint = serve((200, {}, {"data": data}))

    with pytest.raises(CallFailed) as caught:
        embed(endpoint, ["a", "b"])

    assert caught.value.kind == "server"


def test_embeddings_are_of_openais_shape_alone():
    with pytest.raises(CallFailed) as caught:
        embed(Endpoint("anthropic", "http://127.0.0.1:9", model="e"), ["a"])

    assert (caught.value.kind, caught.value.was_sent) == ("refused_request", False)
