"""Generators: open until exhausted or closed, first token kept, what they give and take unchanged."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json

import pytest

import telltale_sdk as telltale


@telltale.observe(kind="generation")
def stream(n=3):
    for at in range(n):
        yield f"word{at} "


@telltale.observe(kind="generation")
async def astream(n=3):
    for at in range(n):
        await asyncio.sleep(0)
        yield f"word{at} "


def test_a_stream_is_one_span_with_its_whole_answer(sdk):
    send = sdk()

    words = list(stream(3))

    [span] = send().spans
    assert words == ["word0 ", "word1 ", "word2 "]
    assert span.attributes["telltale.output"] == "word0 word1 word2 "
    assert span.attributes["gen_ai.request.stream"] is True
    assert 0 <= span.attributes["telltale.ttft_seconds"] <= (span.end_ns - span.start_ns) / 1e9


def test_an_async_stream_is_one_span_with_its_whole_answer(sdk):
    send = sdk()

    async def main():
        return [word async for word in astream(3)]

    assert asyncio.run(main()) == ["word0 ", "word1 ", "word2 "]
    [span] = send().spans
    assert span.attributes["telltale.output"] == "word0 word1 word2 "
    assert 0 <= span.attributes["telltale.ttft_seconds"] <= (span.end_ns - span.start_ns) / 1e9


def test_the_first_token_is_timed_at_the_first_piece(sdk):
    send = sdk()
    gate = iter([0, 1])

    @telltale.observe(kind="generation")
    def slow():
        next(gate)
        yield "a"
        for _ in range(200_000):
            pass
        yield "b"

    list(slow())

    [span] = send().spans
    assert span.attributes["telltale.ttft_seconds"] < (span.end_ns - span.start_ns) / 1e9


def test_the_caller_is_not_inside_the_stream(sdk):
    send = sdk()

    with telltale.observe_span("request"):
        for _ in stream(2):
            with telltale.observe_span("render"):
                pass

    request = send().named("request")
    assert {span.parent_id for span in send().spans if span.name in ("render", "stream")} == {request.span_id}


def test_a_span_open_over_a_yield_stays_inside_its_stream(sdk):
    send = sdk()

    @telltale.observe
    def outer():
        with telltale.observe_span("step"):
            telltale.user("u1")
            yield 1
            with telltale.observe_span("inner"):
                yield from stream(2)
        with telltale.observe_span("last"):
            yield 2

    for _ in outer():
        with telltale.observe_span("elsewhere"):
            assert telltale.current_trace_id() is not None

    names = {span.span_id: span.name for span in send().spans}
    told = {(span.name, names.get(span.parent_id, "")) for span in send().spans}
    assert told == {
        ("outer", ""), ("step", "outer"), ("inner", "step"), ("stream", "inner"), ("last", "outer"), ("elsewhere", ""),
    }  # fmt: skip
    assert send().named("inner").attributes["user.id"] == "u1"
    assert "user.id" not in send().named("last").attributes


def test_people_of_the_call_are_those_of_the_stream(sdk):
    send = sdk()

    with telltale.session("s1"), telltale.observe_span("request"):
        later = stream(2)
    contextvars.Context().run(list, later)

    span = send().named("stream")
    assert span.attributes["session.id"] == "s1"
    assert span.parent_id == send().named("request").span_id


def test_a_stream_closed_early_ends_there(sdk):
    send = sdk()
    ended = []

    @telltale.observe(kind="generation")
    def endless():
        try:
            while True:
                yield "x"
        finally:
            with telltale.observe_span("clean up"):
                ended.append(True)

    running = endless()
    next(running)
    next(running)
    running.close()

    span = send().named("endless")
    assert ended == [True]
    assert (span.attributes["telltale.closed_early"], span.attributes["telltale.output"]) == (True, "xx")
    assert not span.is_error
    assert send().named("clean up").parent_id == span.span_id


def test_a_stream_that_is_forgotten_ends_when_it_is_collected(sdk):
    send = sdk()

    running = stream(5)
    next(running)
    del running
    gc.collect()

    assert send().named("stream").attributes["telltale.closed_early"] is True


def test_a_stream_that_never_began_did_nothing(sdk):
    send = sdk()

    running = stream(5)
    del running
    gc.collect()

    assert send().spans == []


def test_an_async_stream_broken_off_ends_there(sdk):
    send = sdk()

    async def main():
        running = astream(9)
        async for _ in running:
            break
        await running.aclose()
        # Another one is left to the loop to close.
        async for _ in astream(9):
            break
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())

    spans = send().spans
    assert [span.attributes["telltale.closed_early"] for span in spans] == [True, True]


def test_an_error_within_a_stream_goes_through_and_is_told(sdk):
    send = sdk()

    @telltale.observe(kind="generation")
    def breaks():
        yield "half"
        raise ConnectionError("gone")

    running = breaks()
    assert next(running) == "half"
    with pytest.raises(ConnectionError):
        next(running)

    span = send().named("breaks")
    assert (span.is_error, span.attributes["telltale.output"]) == (True, "half")


def test_values_go_in_and_come_back(sdk):
    sdk()

    @telltale.observe
    def echo():
        said = yield "ready"
        while True:
            try:
                said = yield said
            except KeyError as error:
                said = error.args[0]
            if said == "enough":
                return "over"

    running = echo()
    assert next(running) == "ready"
    assert running.send("a") == "a"
    assert running.throw(KeyError("k")) == "k"
    with pytest.raises(StopIteration) as stop:
        running.send("enough")
    assert stop.value.value == "over"


def test_values_go_into_an_async_stream(sdk):
    sdk()

    @telltale.observe
    async def echo():
        said = "ready"
        while True:
            try:
                said = yield said
            except KeyError as error:
                said = error.args[0]

    async def main():
        running = echo()
        told = [await anext(running), await running.asend("a"), await running.athrow(KeyError("k"))]
        await running.aclose()
        return told

    assert asyncio.run(main()) == ["ready", "a", "k"]


def test_a_function_that_gives_a_generator_is_open_as_long_as_it(sdk):
    send = sdk()

    @telltale.observe(kind="generation", name="answer")
    def answer():
        return (word for word in ("a", "b"))

    @telltale.observe(kind="generation", name="forgotten")
    def forgotten():
        return (word for word in ("a", "b"))

    @telltale.observe(kind="generation", name="later")
    def later():
        async def inner():
            return "c"

        return inner()

    assert list(answer()) == ["a", "b"]
    forgotten()
    gc.collect()
    assert asyncio.run(later()) == "c"

    assert send().named("answer").attributes["telltale.output"] == "ab"
    assert "telltale.output" not in send().named("forgotten").attributes
    assert send().named("later").attributes["telltale.output"] == "c"


def test_pieces_that_are_no_text_are_a_list(sdk):
    send = sdk()

    @telltale.observe
    def pieces():
        yield {"n": 1}
        yield "two"
        yield b"xxx"

    list(pieces())

    assert json.loads(send().named("pieces").attributes["telltale.output"]) == [{"n": 1}, "two", "<3 bytes>"]


def test_an_endless_stream_keeps_little(sdk):
    send = sdk()

    @telltale.observe(kind="generation")
    def long():
        for _ in range(3000):
            yield "x" * 1000

    assert sum(len(piece) for piece in long()) == 3_000_000
    span = send().named("long")
    assert len(span.attributes["telltale.output"].encode()) <= 64 * 1024
    assert span.attributes["telltale.pieces"] == 3000


def test_streams_of_one_task_do_not_mix(sdk):
    send = sdk()

    @telltale.observe
    async def talk(name):
        with telltale.user(name):
            for at in range(3):
                async with telltale.observe_span(f"{name}{at}"):
                    await asyncio.sleep(0)
                    yield at

    async def main():
        a, b = talk("a"), talk("b")
        for _ in range(3):
            await anext(a)
            await anext(b)
        await a.aclose()
        await b.aclose()

    asyncio.run(main())

    talks = {span.span_id for span in send().spans if span.name == "talk"}
    assert len(talks) == 2
    for name in "ab":
        for at in range(3):
            span = send().named(f"{name}{at}")
            assert span.attributes["user.id"] == name
            assert span.parent_id in talks
