"""What is called is what is stored: through the SDK, the network and the product's own door."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

import telltale_sdk as telltale

pytestmark = pytest.mark.process


@pytest.fixture
def shop(live, key):
    """The SDK against the live product; `shop(path)` reads its REST API."""
    telltale.init(live, key.secret, service="shop-api", environment="production", release="5.11.0")

    def read(path):
        assert telltale.flush(20)
        request = urllib.request.Request(live + path, headers={"Authorization": f"Bearer {key.secret}"})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    return read


def rows(columns, where="TRUE"):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM traces_span WHERE {where} ORDER BY started_at, name")
        return cursor.fetchall()


def test_a_turn_is_stored_as_it_was(shop, live):
    @telltale.observe(kind="retriever")
    def search(question):
        telltale.current_span().set_retrieval(question, [{"id": "p1", "content": "30 days", "score": 0.9}])

    @telltale.observe(kind="generation", capture_output=False)
    def answer(question):
        span = telltale.current_span()
        span.set_input([{"role": "user", "content": question}])
        span.set_model("claude-3-5-haiku", "anthropic")
        yield from ("Within ", "30 days.")
        span.set_output({"role": "assistant", "content": "Within 30 days."})
        span.set_usage(input_tokens=2500, cache_read_tokens=2048, output_tokens=12)
        span.set_finish_reason("end_turn")

    @telltale.observe(kind="tool", name="orders.lookup")
    def look_up(order):
        raise TimeoutError("no answer")

    @telltale.observe(kind="chain", name="chat.turn")
    def turn(question):
        search(question)
        with pytest.raises(TimeoutError):
            look_up("4711")
        told.append(telltale.current_trace_id())
        return "".join(answer(question))

    told = []
    people = telltale.user("u_58f2"), telltale.session("s_9c41"), telltale.feature("returns")
    with people[0], people[1], people[2], telltale.prompt("returns", "v18"):
        turn("Can I return this?")

    found = shop(f"/api/v1/traces/{told[0]}")
    stored = rows(
        "name, kind, model_requested, provider, input_fresh, input_cache_read, output_text, cost_status, "
        "finish_reason, streamed, ttft_ns > 0, user_id, session_id, feature, release, environment, service, "
        "prompt_name, prompt_version, error_type, tool_name"
    )
    by_name = {row[0]: row[1:] for row in stored}
    everywhere = ("u_58f2", "s_9c41", "returns", "5.11.0", "production", "shop-api")
    assert set(by_name) == {"chat.turn", "search", "orders.lookup", "answer"}
    assert all(row[10:16] == everywhere for row in by_name.values())
    assert by_name["answer"][1:10] == ("claude-3-5-haiku", "anthropic", 452, 2048, 12, 1, "stop", True, True)
    assert by_name["answer"][16:18] == ("returns", "v18")
    assert by_name["orders.lookup"][18:] == ("TimeoutError", "orders.lookup")
    assert found["name"] == "chat.turn"
    assert found["preview_in"] == "Can I return this?"
    assert found["preview_out"] == "Within 30 days."
    assert (found["user_id"], found["session_id"]) == ("u_58f2", "s_9c41")


def test_scores_are_kept_and_a_bad_one_costs_no_other(shop):
    with telltale.observe_span("turn"):
        trace_id, span_id = telltale.current_trace_id(), telltale.current_span_id()
        telltale.score("groundedness", 0.5, id="run-1")
        telltale.score("groundedness", 0.92, id="run-1", comment="Both claims are in kb-1.", evidence=["30 days"])
        telltale.score("polite", True, span_id=span_id)
        telltale.score("no/name", 1)
        telltale.score("tone", "rude", session="s_9c41")

    found = {item["name"]: item for item in shop("/api/v1/scores")["items"]}

    assert {name: item["value"] for name, item in found.items()} == {
        "groundedness": 0.92,
        "polite": True,
        "tone": "rude",
    }
    assert (found["groundedness"]["trace_id"], found["groundedness"]["external_id"]) == (trace_id, "run-1")
    assert (found["polite"]["target"], found["polite"]["span_id"]) == ("span", span_id)
    assert found["tone"]["session_id"] == "s_9c41"
    stats = telltale.stats()
    assert (stats.scores_given, stats.scores_rejected, stats.scores_dropped) == (5, 1, 0)


def test_threads_and_tasks_arrive_whole(shop):
    @telltale.observe
    def step(number):
        return number

    @telltale.observe
    async def astep(number):
        await asyncio.sleep(0)
        return number

    @telltale.observe
    def threaded(number):
        with telltale.user(f"u{number}"), telltale.observe_span("inside"):
            return step(number)

    @telltale.observe
    async def request(number):
        with telltale.user(f"u{number}"):
            return await asyncio.gather(*(astep(number) for _ in range(3)))

    async def main():
        await asyncio.gather(*(request(number) for number in range(100, 140)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(threaded, range(60)))
    asyncio.run(main())

    assert shop("/api/v1/traces?limit=1")
    stored = rows("trace_id, span_id, parent_span_id, name, user_id")
    by_trace = {}
    for trace_id, span_id, parent_id, name, user_id in stored:
        by_trace.setdefault(trace_id, []).append((span_id, parent_id, name, user_id))
    assert len(stored) == telltale.stats().spans_sent == 60 * 3 + 40 * 4
    assert len(by_trace) == 100
    for spans in by_trace.values():
        names = {span_id: name for span_id, _, name, _ in spans}
        assert len({user_id for *_, user_id in spans if user_id is not None}) == 1
        assert sorted((names.get(parent_id, ""), name) for _, parent_id, name, _ in spans) in (
            [("", "threaded"), ("inside", "step"), ("threaded", "inside")],
            [("", "request"), *[("request", "astep")] * 3],
        )


def test_a_wrong_key_is_told_and_the_application_goes_on(live, caplog):
    telltale.init(live, "tt_sk_wrong")

    with telltale.observe_span("turn"):
        pass

    assert telltale.flush(20)
    assert "is the key right?" in caplog.text
    assert dict(telltale.stats().dropped_by_reason) == {"refused": 1}


def test_what_end_users_did_is_stored_by_its_trace_and_by_requests(shop):
    with telltale.observe_span("turn"), telltale.session("s1"):
        telltale.metadata(request_id="req-1")
        telltale.signal("thumbs_down", comment="The page says unopened only.", user="u1")
        telltale.signal("thumbs_up", user="u1", client_id="one")
    telltale.flush(20)
    telltale.signal("thumbs_down", request_id="req-1", client_id="one")
    telltale.signal("conversion", 49.5, session="s1")
    telltale.signal("a" * 101, session="s1")

    listed = shop("/api/v1/signals")["items"]
    stats = telltale.stats()
    assert sorted((one["name"], one["vote"], one["value"], one["target"]) for one in listed) == [
        ("conversion", None, 49.5, "session"), ("thumbs_down", "down", True, "request"),
        ("thumbs_down", "down", True, "trace"),
    ]  # fmt: skip
    assert {one["trace_id"] for one in listed if one["trace_id"]} == {shop("/api/v1/traces")["items"][0]["trace_id"]}
    assert (stats.signals_given, stats.signals_sent, stats.signals_rejected) == (5, 4, 1)
