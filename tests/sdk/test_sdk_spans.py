"""What is called is what is sent: names, nesting, people, contents, errors."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import telltale_sdk as telltale


def tree(spans):
    """{name: name of its parent} of the spans."""
    names = {span.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent_id, "") for span in spans}


def test_a_call_is_a_span_with_its_input_and_output(sdk):
    send = sdk(environment="production", release="5.11.0")

    @telltale.observe
    def greet(name, loud=False):
        return f"Hello {name}"

    assert greet("Ada", loud=True) == "Hello Ada"

    [span] = send().spans
    assert span.name == "greet"
    assert json.loads(span.attributes["telltale.input"]) == {"name": "Ada", "loud": True}
    assert span.attributes["telltale.output"] == "Hello Ada"
    assert span.attributes["telltale.kind"] == "span"
    assert 0 < span.end_ns - span.start_ns < 10**9
    assert span.resource["service.name"] == "shop-api"
    assert span.resource["service.version"] == "5.11.0"
    assert span.resource["deployment.environment.name"] == "production"


def test_one_argument_stands_for_itself_and_self_for_nothing(sdk):
    send = sdk()

    class Shop:
        @telltale.observe(kind="tool")
        def look_up(self, order):
            return {"order": order}

        @telltale.observe
        @staticmethod
        def still(word):
            return word

        @telltale.observe
        @classmethod
        def named(cls, word):
            return cls.__name__ + word

    assert Shop().look_up("4711") == {"order": "4711"}
    assert Shop.still("a") == "a"
    assert Shop.named("b") == "Shopb"

    send()
    assert send().named("look_up").attributes["telltale.input"] == "4711"
    assert json.loads(send().named("look_up").attributes["telltale.output"]) == {"order": "4711"}
    assert send().named("named").attributes["telltale.input"] == "b"


def test_what_is_not_to_be_captured_is_not_sent(sdk):
    send = sdk()

    @telltale.observe(capture_input=False, capture_output=False)
    def secret(word):
        return word

    secret("hush")

    [span] = send().spans
    assert "hush" not in str(vars(span))


def test_without_content_only_times_counts_and_names_leave(sdk):
    send = sdk(capture_content=False)

    @telltale.observe(kind="generation")
    def answer(question):
        telltale.current_span().set_usage(input_tokens=12, output_tokens=3)
        telltale.current_span().set_model("gpt-4o-mini", "openai")
        raise ValueError("cannot answer hush")

    with pytest.raises(ValueError, match="hush"):
        answer("hush")
    telltale.signal("thumbs_down", session="s1", comment="hush")

    [span] = send().spans
    assert "hush" not in str(vars(span)) + str(send().signals)
    assert span.attributes["gen_ai.usage.input_tokens"] == 12
    assert span.attributes["error.type"] == "ValueError"


def test_steps_are_nested_as_they_were_called(sdk):
    send = sdk()

    @telltale.observe(kind="chain")
    def turn():
        with telltale.observe_span("search", kind="retriever"):
            embed()
        return answer()

    @telltale.observe(kind="embedding")
    def embed():
        return [0.1]

    @telltale.observe(kind="generation")
    def answer():
        return "yes"

    turn()
    turn()

    spans = send().spans
    assert tree(spans[:4]) == {"turn": "", "search": "turn", "embed": "search", "answer": "turn"}
    assert len({span.trace_id for span in spans}) == 2
    assert len({span.span_id for span in spans}) == 8


def test_all_that_a_span_can_be_told(sdk):
    send = sdk()

    with telltale.observe_span("answer", kind="generation", input=[{"role": "user", "content": "Hi"}]) as span:
        span.set_model("claude-3-5-haiku", "anthropic", answered="claude-3-5-haiku-20241022")
        span.set_usage(
            input_tokens=100, output_tokens=9, cache_read_tokens=64, cache_write_5m_tokens=0, reasoning_tokens=None
        )
        span.set_finish_reason("stop")
        span.set_response_id("msg_1")
        span.set_parameters(temperature=0.2, max_tokens=400, seed=None)
        span.set_prompt("returns", "v18", {"tone": "warm"})
        span.set_output({"role": "assistant", "content": "Hello"})
        span.set_cost(0.0012)
        span.set_metadata(order="4711", retries=2)
        span.add_tags("beta", "en", "beta")
        span.set_attribute("shop.region", "eu")
        span.first_token()
    with telltale.observe_span("find", kind="retriever") as span:
        span.set_retrieval("shoes", [{"id": "p1", "content": "Boots", "score": 0.9}], source="catalogue", top_k=5)
    with telltale.observe_span("look up", kind="tool") as span:
        span.set_tool("orders.lookup", arguments={"order": 17}, result={"state": "sent"}, call_id="c1")

    answer = send().named("answer").attributes
    ttft = answer.pop("telltale.ttft_seconds")
    assert 0 <= ttft < 5
    assert answer == {
        "telltale.kind": "generation",
        "telltale.input": '[{"role":"user","content":"Hi"}]',
        "telltale.output": '{"role":"assistant","content":"Hello"}',
        "gen_ai.request.model": "claude-3-5-haiku",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.model": "claude-3-5-haiku-20241022",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.cache_creation.ephemeral_5m_input_tokens": 0,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.id": "msg_1",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 400,
        "gen_ai.request.stream": True,
        "telltale.prompt.name": "returns",
        "telltale.prompt.version": "v18",
        "telltale.prompt.variables": '{"tone":"warm"}',
        "telltale.cost_usd": 0.0012,
        "telltale.metadata.order": "4711",
        "telltale.metadata.retries": 2,
        "telltale.tags": ["beta", "en"],
        "shop.region": "eu",
    }
    assert send().named("find").attributes["gen_ai.retrieval.top_k"] == 5
    assert send().named("look up").attributes["gen_ai.tool.call.result"] == '{"state":"sent"}'


def test_people_and_places_go_to_every_span_inside(sdk):
    send = sdk()

    with telltale.user("u1"), telltale.session("s1"), telltale.feature("returns"), telltale.release("5.11.0"):
        about = telltale.prompt("returns", "v18"), telltale.tags("en"), telltale.metadata(plan="pro")
        with about[0], about[1], about[2], telltale.observe_span("turn"):
            telltale.observe(kind="generation", name="answer")(lambda: "yes")()
    with telltale.observe_span("after"):
        pass

    turn, answer, after = (send().named(name).attributes for name in ("turn", "answer", "after"))
    inside = {"user.id": "u1", "session.id": "s1", "telltale.feature": "returns", "telltale.release": "5.11.0"}
    assert inside.items() <= turn.items()
    assert inside.items() <= answer.items()
    assert answer["telltale.prompt.version"] == "v18"
    assert "telltale.prompt.name" not in turn
    assert (turn["telltale.tags"], turn["telltale.metadata.plan"]) == (["en"], "pro")
    assert "telltale.tags" not in answer
    assert set(after) == {"telltale.kind"}


def test_a_plain_call_in_a_span_holds_until_the_span_ends(sdk):
    send = sdk()

    with telltale.observe_span("request"):
        telltale.user("u1")
        telltale.metadata(plan="pro")
        with telltale.observe_span("child"):
            telltale.session("s1")
    with telltale.observe_span("next request"):
        pass

    request, child = send().named("request").attributes, send().named("child").attributes
    assert (request["user.id"], request["telltale.metadata.plan"]) == ("u1", "pro")
    assert (child["user.id"], child["session.id"]) == ("u1", "s1")
    assert "session.id" not in request
    assert "user.id" not in send().named("next request").attributes


def test_a_setting_outside_of_a_span_without_with_is_told(sdk, caplog):
    sdk()

    telltale.user("u1")

    assert "user() outside of a span needs `with`" in caplog.text


def test_a_setting_can_be_taken_back_inside(sdk):
    send = sdk()

    with (
        telltale.user("u1"),
        telltale.observe_span("outer"),
        telltale.user(None),
        telltale.observe_span("system step"),
    ):
        pass

    assert "user.id" not in send().named("system step").attributes
    assert send().named("outer").attributes["user.id"] == "u1"


def test_threads_never_mix(sdk):
    send = sdk()
    users = 24

    @telltale.observe
    def answer(number):
        with telltale.observe_span(f"step {number}"):
            time.sleep(0.001)
        return number

    def request(number):
        with telltale.user(f"u{number}"), telltale.session(f"s{number}"):
            return answer(number)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(request, range(users))) == list(range(users))

    spans = send().spans
    answers = {span.attributes["telltale.input"]: span for span in spans if span.name == "answer"}
    assert len(answers) == users
    for number in range(users):
        step = send().named(f"step {number}")
        parent = answers[str(number)]
        assert step.parent_id == parent.span_id
        assert step.attributes["user.id"] == parent.attributes["user.id"] == f"u{number}"
        assert parent.attributes["session.id"] == f"s{number}"


def test_carried_work_belongs_to_where_it_was_given(sdk):
    send = sdk()

    @telltale.observe
    def work(number):
        return number

    with ThreadPoolExecutor(4) as pool, telltale.user("u1"), telltale.observe_span("request"):
        assert list(pool.map(telltale.carry(work), range(8))) == list(range(8))
        assert pool.submit(work, 9).result() == 9

    request = send().named("request")
    works = [span for span in send().spans if span.name == "work"]
    assert sum(span.parent_id == request.span_id for span in works) == 8
    assert sum(span.parent_id == "" for span in works) == 1
    assert sum(span.attributes.get("user.id") == "u1" for span in works) == 8


def test_asyncio_requests_never_mix(sdk):
    send = sdk()

    @telltale.observe
    async def step(number):
        await asyncio.sleep(0.001 * (number % 3))
        return number

    @telltale.observe
    async def request(number):
        telltale.user(f"u{number}")
        async with telltale.observe_span("both"):
            return await asyncio.gather(step(number), step(number))

    async def main():
        return await asyncio.gather(*(request(number) for number in range(20)))

    assert asyncio.run(main()) == [[number, number] for number in range(20)]

    spans = send().spans
    by_id = {span.span_id: span for span in spans}
    steps = [span for span in spans if span.name == "step"]
    assert len(steps) == 40
    for span in steps:
        both = by_id[span.parent_id]
        root = by_id[both.parent_id]
        assert (both.name, root.name) == ("both", "request")
        assert span.attributes["user.id"] == root.attributes["user.id"] == f"u{span.attributes['telltale.input']}"
        assert span.trace_id == root.trace_id


def test_functions_stay_what_they_were():
    @telltale.observe
    async def coroutine(a, *, b=1):
        """Words."""

    @telltale.observe
    def plain(a: int) -> int:
        return a

    assert inspect.iscoroutinefunction(coroutine)
    assert coroutine.__doc__ == "Words."
    assert str(inspect.signature(coroutine)) == "(a, *, b=1)"
    assert plain.__name__ == "plain"
    assert plain(3) == 3


def test_a_class_stays_a_class(caplog):
    @telltale.observe
    class Shop:
        pass

    assert isinstance(Shop(), Shop)
    assert "stays as it is" in caplog.text


def test_an_error_goes_through_and_is_told(sdk):
    send = sdk()

    class OutOfStock(Exception):
        pass

    @telltale.observe
    def order():
        raise OutOfStock("no boots")

    with telltale.observe_span("request"), pytest.raises(OutOfStock) as caught:
        order()

    span = send().named("order")
    assert [frame.name for frame in caught.traceback][-1] == "order"
    assert (span.is_error, span.message) == (True, "no boots")
    assert span.attributes["error.type"].endswith("OutOfStock")
    [event] = span.events
    assert "raise OutOfStock" in event["exception.stacktrace"]
    assert not send().named("request").is_error


def test_a_cancelled_task_is_told_and_stays_cancelled(sdk):
    send = sdk()

    @telltale.observe
    async def slow():
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert send().named("slow").attributes["error.type"].endswith("CancelledError")


def test_the_trace_is_known_inside_only(sdk):
    send = sdk()

    with telltale.observe_span("request"):
        inside = telltale.current_trace_id()
        span_id = telltale.current_span_id()

    assert (telltale.current_trace_id(), telltale.current_span_id()) == (None, None)
    assert (inside, span_id) == (send().named("request").trace_id, send().named("request").span_id)


def test_times_of_the_past_are_kept_to_the_nanosecond(sdk):
    send = sdk()

    with telltale.observe_span(
        "answer", kind="generation", start_ns=1_790_000_000_000_000_001, end_ns=1_790_000_001_000_000_003
    ) as span:
        span.first_token(1_790_000_000_250_000_001)

    [span] = send().spans
    assert (span.start_ns, span.end_ns) == (1_790_000_000_000_000_001, 1_790_000_001_000_000_003)
    assert span.attributes["telltale.ttft_seconds"] == 0.25


def test_after_its_end_a_span_takes_nothing_more(sdk):
    send = sdk()

    with telltale.observe_span("request") as span:
        pass
    span.set_input("late")
    span.set_error(ValueError("late"))
    span.add_tags("late")

    assert "late" not in str(vars(send().named("request")))


def test_a_provider_s_own_usage_goes_as_it_is(sdk):
    send = sdk()

    class Details:
        model_fields = {"cached_tokens": None}
        cached_tokens = 64

    class Usage:
        model_fields = {"prompt_tokens": None, "completion_tokens": None, "prompt_tokens_details": None}
        prompt_tokens, completion_tokens = 100, 9
        prompt_tokens_details = Details()

    with telltale.observe_span("answer", kind="generation") as span:
        span.set_usage(Usage())

    assert json.loads(send().named("answer").attributes["gen_ai.usage.raw"]) == {
        "prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 64},
    }  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_sample_holds_whole_traces(sdk, share):
    send = sdk(sample=share)
    n = 400

    for _ in range(n):
        with telltale.observe_span("root"), telltale.observe_span("child"):
            pass

    spans = send().spans
    traces = {span.trace_id for span in spans}
    assert len(spans) == 2 * len(traces)
    # Five standard deviations of a binomial share.
    assert abs(len(traces) / n - share) <= 5 * (share * (1 - share) / n) ** 0.5
    assert telltale.stats().spans_ended == len(spans)


def test_two_processes_sample_the_same_traces(sdk):
    send = sdk(sample=0.5)
    limit = 2**63

    for _ in range(200):
        with telltale.observe_span("root"):
            pass

    assert all(int(span.trace_id[16:], 16) < limit for span in send().spans)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: telltale.init(endpoint="ftp://x", api_key="k"),
        lambda: telltale.init(api_key="k", sample="many", mask=3),
        lambda: telltale.init(42, 42),
        lambda: telltale.init(no_such_setting=True),
        lambda: telltale.flush("soon"),
        lambda: telltale.signal(),
        lambda: telltale.signal("x", object()),
        lambda: telltale.user(object()).__enter__(),
        lambda: telltale.prompt(None, variables=3).__enter__(),
        lambda: telltale.metadata(a=object()).__enter__(),
        lambda: telltale.observe_span(None, kind=7, input=object(), attributes=3).__enter__(),
        lambda: telltale.current_span().set_usage(3, no_such=1),
        lambda: telltale.observe(42),
        lambda: telltale.observe(len)([1]),
    ],
)
@pytest.mark.parametrize("is_started", [True, False])
def test_no_misuse_raises(sdk, misuse, is_started):
    if is_started:
        sdk()

    misuse()


def test_without_init_functions_simply_run():
    @telltale.observe(kind="generation")
    def answer(question):
        telltale.user("u1")
        telltale.current_span().set_usage(input_tokens=3)
        return question

    with telltale.session("s1"):
        assert answer("x") == "x"
    assert telltale.current_trace_id() is None
    assert telltale.signal("thumbs_up", session="s1") is False
    assert telltale.flush() is True
    assert telltale.stats() == telltale.Stats()


@pytest.mark.parametrize("settings", [{"disabled": True}, {"api_key": ""}, {"endpoint": "nowhere"}, {"mask": "x"}])
def test_what_cannot_send_sends_nothing(sdk, settings, caplog):
    send = sdk(**settings)

    with telltale.observe_span("request"):
        pass

    assert send().spans == []
    assert ("nothing will be sent" in caplog.text) == ("disabled" not in settings)


def test_settings_come_from_the_environment(receiver, monkeypatch):
    told = {
        "ENDPOINT": receiver.url + "/v1/traces", "API_KEY": "tt_sk_env", "SERVICE": "env-api",
        "ENVIRONMENT": "staging", "RELEASE": "9.9", "CAPTURE_CONTENT": "no",
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(f"TELLTALE_{name}", value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-other-vendor=secret")
    telltale.init()

    with telltale.observe_span("request", input="hush"):
        pass

    assert telltale.flush()
    [span] = receiver.spans
    [(path, headers)] = receiver.requests
    assert (path, headers["Authorization"]) == ("/v1/traces", "Bearer tt_sk_env")
    assert "secret" not in str(headers)
    assert (span.resource["service.name"], span.resource["service.version"]) == ("env-api", "9.9")
    assert span.resource["deployment.environment.name"] == "staging"
    assert "telltale.input" not in span.attributes


def test_a_second_init_takes_over(sdk, receiver):
    sdk()
    with telltale.observe_span("first"):
        pass

    send = sdk(service="other-api")
    with telltale.observe_span("second"):
        pass

    send()
    assert receiver.named("first").resource["service.name"] == "shop-api"
    assert receiver.named("second").resource["service.name"] == "other-api"
