"""Which span of one provider call counts: the situations seen on the wire, one by one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from traces.canonical.types import CountReason, Kind
from traces.cost.counting import CallView, SpanKey, Verdict, resolve

T1, T2 = UUID(int=1), UUID(int=2)


def call(span: int, parent: int | None = None, **changes: Any) -> CallView:
    """A generation with usage 10/5 that lasts ten microseconds from its span's number on."""
    values: dict[str, Any] = {
        "trace_id": T1,
        "span_id": span,
        "parent_span_id": parent,
        "kind": Kind.GENERATION,
        "scope": "one",
        "started_us": 100 + span,
        "ended_us": 110 + span,
        "response_id": None,
        "has_usage": True,
        "input_tokens": 10,
        "output_tokens": 5,
        "has_content": True,
        "cache_shown": False,
    }
    values.update(changes)
    if not values["has_usage"]:
        values.update(input_tokens=0, output_tokens=0)
    return CallView(**values)


def settled(*views: CallView, parents: dict[UUID, dict[int, int | None]] | None = None) -> dict[SpanKey, Verdict]:
    return resolve(views, parents or {})


def counted(*views: CallView, parents: dict[UUID, dict[int, int | None]] | None = None) -> set[SpanKey]:
    return {key for key, verdict in settled(*views, parents=parents).items() if verdict.counted}


def test_a_lone_call_counts() -> None:
    assert settled(call(1)) == {(T1, 1): Verdict(True)}


def test_anthropic_native_span_under_an_instrumentor_gives_way_to_the_one_with_content() -> None:
    outer = call(1, response_id="msg_1", scope="opentelemetry.instrumentation.anthropic")
    native = call(2, 1, response_id="msg_1", scope="com.anthropic.sdk.python", has_content=False, cache_shown=True)

    verdicts = settled(outer, native)

    assert verdicts[T1, 1].counted
    assert verdicts[T1, 2] == Verdict(False, (T1, 1), CountReason.SAME_RESPONSE_NESTED)


def test_anthropic_native_span_above_an_instrumentor_gives_way_to_the_one_with_content() -> None:
    native = call(1, response_id="msg_1", scope="com.anthropic.sdk.python", has_content=False)
    inner = call(2, 1, response_id="msg_1", scope="opentelemetry.instrumentation.anthropic")

    assert counted(native, inner) == {(T1, 2)}


def test_anthropic_native_span_in_a_trace_of_its_own_gives_way() -> None:
    native = call(1, response_id="msg_1", scope="com.anthropic.sdk.python", has_content=False, started_us=101)
    other = call(9, trace_id=T2, response_id="msg_1", scope="genai.anthropic", started_us=100, ended_us=130)

    verdicts = settled(native, other)

    assert verdicts[T2, 9].counted
    assert verdicts[T1, 1] == Verdict(False, (T2, 9), CountReason.SAME_RESPONSE_OVERLAP)


def test_pydantic_ai_over_logfire_openai_counts_the_outermost() -> None:
    chat = call(1, response_id="r", scope="pydantic-ai")
    completion = call(2, 1, scope="logfire.openai", cache_shown=True)

    verdicts = settled(chat, completion)

    assert verdicts[T1, 1].counted
    assert verdicts[T1, 2] == Verdict(False, (T1, 1), CountReason.NESTED_WITHOUT_ID)


def test_pydantic_ai_stream_counts_once_with_its_log_span() -> None:
    chat = call(1, response_id="r", scope="pydantic-ai", ended_us=200)
    completion = call(2, 1, scope="logfire.openai", has_usage=False)
    log = call(3, 1, scope="logfire.openai", started_us=150, ended_us=150, stream_log=True, kind=Kind.SPAN)

    verdicts = settled(chat, completion, log)

    assert {key for key, verdict in verdicts.items() if verdict.counted} == {(T1, 1)}
    assert verdicts[T1, 3].duplicate_of == (T1, 1)
    assert verdicts[T1, 2].duplicate_of == (T1, 1)


def test_direct_stream_counts_its_log_span_and_points_the_generation_at_it() -> None:
    agent = call(1, kind=Kind.AGENT, has_usage=False)
    completion = call(2, 1, scope="logfire.openai", has_usage=False)
    log = call(3, 1, scope="logfire.openai", started_us=150, ended_us=150, stream_log=True, kind=Kind.SPAN)

    verdicts = settled(agent, completion, log)

    assert verdicts[T1, 3].counted
    assert verdicts[T1, 2] == Verdict(False, (T1, 3), CountReason.STREAM_LOG)


def test_log_span_repeating_the_usage_of_its_generation_is_not_counted_again() -> None:
    completion = call(2, 1, scope="logfire.openai")
    log = call(3, 1, scope="logfire.openai", started_us=150, ended_us=150, stream_log=True)

    verdicts = settled(completion, log)

    assert verdicts[T1, 2].counted
    assert verdicts[T1, 3] == Verdict(False, (T1, 2), CountReason.STREAM_LOG)


def test_a_log_span_without_usage_is_no_call_of_its_own() -> None:
    completion = call(2, 1, scope="logfire.openai", has_usage=False)
    log = call(3, 1, scope="logfire.openai", started_us=150, ended_us=150, stream_log=True, has_usage=False)

    assert counted(completion, log) == {(T1, 2)}
    assert settled(log)[T1, 3] == Verdict(False, None, CountReason.STREAM_LOG)


def test_two_streams_side_by_side_keep_their_own_logs() -> None:
    views = [
        call(2, 1, scope="l", has_usage=False),
        call(3, 1, scope="l", started_us=150, ended_us=150, stream_log=True),
        call(4, 1, scope="l", has_usage=False, started_us=160),
        call(5, 1, scope="l", started_us=170, ended_us=170, stream_log=True, input_tokens=99),
    ]

    assert counted(*views) == {(T1, 3), (T1, 5)}


@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.CHAIN, Kind.EVALUATOR, Kind.SPAN])
def test_usage_repeated_on_a_span_that_calls_no_model_gives_way_to_its_children(kind: Kind) -> None:
    agent = call(1, kind=kind, input_tokens=30, output_tokens=9)
    first, second = call(2, 1, response_id="a"), call(3, 1, response_id="b", input_tokens=20, output_tokens=4)

    verdicts = settled(agent, first, second)

    assert verdicts[T1, 1] == Verdict(False, (T1, 2), CountReason.NOT_A_MODEL_SPAN)
    assert verdicts[T1, 2].counted
    assert verdicts[T1, 3].counted


def test_usage_on_a_span_that_calls_no_model_counts_where_nothing_else_does() -> None:
    tool = call(1, kind=Kind.TOOL)
    plain = call(3, 2, kind=Kind.SPAN)

    assert counted(tool, plain, parents={T1: {2: None}}) == {(T1, 1), (T1, 3)}


def test_of_nested_spans_that_call_no_model_the_innermost_counts() -> None:
    outer, inner = call(1, kind=Kind.CHAIN), call(2, 1, kind=Kind.AGENT)

    assert counted(outer, inner) == {(T1, 2)}


def test_aggregated_usage_never_counts() -> None:
    agent = call(1, kind=Kind.AGENT, aggregated_usage=True)

    assert settled(agent)[T1, 1] == Verdict(False, None, CountReason.ROLL_UP_OF_CHILDREN)
    assert counted(agent, call(2, 1, response_id="a")) == {(T1, 2)}


def test_litellm_request_counts_and_its_raw_child_does_not() -> None:
    request = call(1, response_id="chatcmpl-1", scope="litellm")

    for kind in (Kind.GENERATION, Kind.SPAN):
        raw = call(2, 1, scope="litellm", kind=kind)
        assert counted(request, raw) == {(T1, 1)}


def test_langchain_over_an_openai_instrumentor_counts_the_outermost() -> None:
    chain = call(1, kind=Kind.CHAIN, has_usage=False)
    langchain = call(2, 1, scope="langchain", response_id="r")
    openai = call(3, 2, scope="openai", response_id="r", cache_shown=True)

    assert counted(chain, langchain, openai) == {(T1, 2)}


def test_spans_between_two_reports_of_one_call_do_not_part_them() -> None:
    outer, inner = call(1, scope="a"), call(5, 4, scope="b")

    assert counted(outer, inner, parents={T1: {2: 1, 3: 2, 4: 3}}) == {(T1, 1)}


def test_different_ids_stay_two_even_nested() -> None:
    retry, fallback = call(1, response_id="a", scope="x"), call(2, 1, response_id="b", scope="y")

    assert counted(retry, fallback) == {(T1, 1), (T1, 2)}


def test_siblings_of_one_scope_with_one_id_stay_two() -> None:
    first, second = call(1, 9, response_id="cached"), call(2, 9, response_id="cached")

    assert counted(first, second) == {(T1, 1), (T1, 2)}


def test_same_id_of_two_scopes_without_overlap_stays_two() -> None:
    first = call(1, response_id="cached", scope="a", started_us=100, ended_us=110)
    second = call(2, trace_id=T2, response_id="cached", scope="b", started_us=111, ended_us=120)

    assert counted(first, second) == {(T1, 1), (T2, 2)}


def test_intervals_are_closed_so_that_touching_calls_overlap() -> None:
    first = call(1, response_id="r", scope="a", started_us=100, ended_us=110)
    second = call(2, trace_id=T2, response_id="r", scope="b", started_us=110, ended_us=120)

    assert counted(first, second) == {(T1, 1)}


def test_two_calls_told_by_two_scopes_under_one_repeated_id_are_paired_by_nearest_start() -> None:
    views = [
        call(1, response_id="r", scope="a", started_us=100, ended_us=400),
        call(2, trace_id=T2, response_id="r", scope="b", started_us=103, ended_us=400),
        call(3, response_id="r", scope="a", started_us=200, ended_us=400),
        call(4, trace_id=T2, response_id="r", scope="b", started_us=201, ended_us=400),
    ]

    verdicts = settled(*views)

    assert verdicts[T2, 2].duplicate_of == (T1, 1)
    assert verdicts[T2, 4].duplicate_of == (T1, 3)


def test_a_short_opener_does_not_hide_a_longer_one_before_it() -> None:
    views = [
        call(1, response_id="r", scope="a", started_us=100, ended_us=400),
        call(2, response_id="r", scope="a", started_us=110, ended_us=111),
        call(3, trace_id=T2, response_id="r", scope="b", started_us=150, ended_us=160),
    ]

    assert counted(*views) == {(T1, 1), (T1, 2)}


def test_three_speakers_of_one_call_count_once() -> None:
    views = [
        call(1, response_id="r", scope="a", ended_us=400, has_content=False),
        call(2, trace_id=T2, response_id="r", scope="b", ended_us=400, has_content=False),
        call(3, trace_id=UUID(int=3), response_id="r", scope="c", ended_us=400),
    ]

    assert counted(*views) == {(UUID(int=3), 3)}


def test_nested_pairs_of_one_repeated_id_stay_two_calls() -> None:
    views = [
        call(1, response_id="r", scope="a", started_us=100, ended_us=400),
        call(2, 1, response_id="r", scope="b", started_us=110, ended_us=400),
        call(3, response_id="r", scope="a", started_us=105, ended_us=400),
        call(4, 3, response_id="r", scope="b", started_us=115, ended_us=400),
    ]

    assert counted(*views) == {(T1, 1), (T1, 3)}


@pytest.mark.parametrize("outer_id", [None, "sum"])
def test_a_model_span_whose_usage_is_the_sum_of_calls_below_is_a_roll_up(outer_id: str | None) -> None:
    outer = call(1, response_id=outer_id, input_tokens=30, output_tokens=12)
    views = [outer, call(2, 1, response_id="a"), call(3, 1, response_id="b", input_tokens=20, output_tokens=7)]

    verdicts = settled(*views)

    assert verdicts[T1, 1] == Verdict(False, (T1, 2), CountReason.ROLL_UP_OF_CHILDREN)
    assert verdicts[T1, 2].counted
    assert verdicts[T1, 3].counted


def test_a_roll_up_over_calls_told_twice_is_still_a_roll_up() -> None:
    views = [
        call(1, response_id="sum", input_tokens=30, output_tokens=12, ended_us=400),
        call(2, 1, response_id="a", scope="x", ended_us=300),
        call(3, 1, response_id="a", scope="y", ended_us=300),
        call(4, 1, response_id="b", scope="x", ended_us=300, input_tokens=20, output_tokens=7),
    ]

    assert counted(*views) == {(T1, 2), (T1, 4)}


def test_a_span_without_id_over_a_retry_stands_for_the_attempt_it_repeats() -> None:
    outer = call(1, input_tokens=20, output_tokens=7, scope="w")
    failed, answered = call(2, 1, response_id="a"), call(3, 1, response_id="b", input_tokens=20, output_tokens=7)

    verdicts = settled(outer, failed, answered)

    assert {key for key, verdict in verdicts.items() if verdict.counted} == {(T1, 1), (T1, 2)}
    assert verdicts[T1, 3].duplicate_of == (T1, 1)


def test_a_span_between_two_calls_joins_the_one_whose_usage_it_repeats() -> None:
    upper = call(1, response_id="a", input_tokens=20)
    between = call(2, 1, input_tokens=20)
    lower = call(3, 2, response_id="b", input_tokens=8)

    verdicts = settled(upper, between, lower)

    assert verdicts[T1, 2].duplicate_of == (T1, 1)
    assert verdicts[T1, 3].counted


def test_an_embedding_inside_a_generation_is_a_call_of_its_own() -> None:
    assert counted(call(1), call(2, 1, kind=Kind.EMBEDDING)) == {(T1, 1), (T1, 2)}


def test_a_model_span_without_usage_is_explained_by_the_call_it_wraps() -> None:
    outer, inner = call(1, has_usage=False), call(2, 1, response_id="a")

    verdicts = settled(outer, inner)

    assert verdicts[T1, 2].counted
    assert verdicts[T1, 1] == Verdict(False, (T1, 2), CountReason.NESTED_WITHOUT_ID)


def test_a_model_span_without_usage_over_several_calls_is_a_roll_up() -> None:
    outer = call(1, has_usage=False)

    verdicts = settled(outer, call(2, 1, response_id="a"), call(3, 1, response_id="b"))

    assert verdicts[T1, 1].reason is CountReason.ROLL_UP_OF_CHILDREN
    assert sum(verdict.counted for verdict in verdicts.values()) == 2


def test_a_call_whose_usage_nobody_tells_is_counted_once_as_unknown() -> None:
    outer, inner = call(1, has_usage=False, scope="a"), call(2, 1, has_usage=False, scope="b")

    assert counted(outer, inner) == {(T1, 1)}


def test_a_model_span_without_usage_in_another_trace_is_explained_by_its_twin() -> None:
    silent = call(1, has_usage=False, response_id="r", scope="a", ended_us=200)
    telling = call(2, trace_id=T2, response_id="r", scope="b", ended_us=200, has_content=False)

    assert counted(silent, telling) == {(T2, 2)}


@pytest.mark.parametrize(
    ("one", "other", "winner"),
    [
        ({"has_content": False}, {}, 2),
        ({}, {"cache_shown": True}, 1),  # outermost comes before cache
    ],
)
def test_rank_within_a_nested_pair(one: dict[str, Any], other: dict[str, Any], winner: int) -> None:
    assert counted(call(1, **one), call(2, 1, **other)) == {(T1, winner)}


@pytest.mark.parametrize(
    ("one", "other", "winner"),
    [
        ({}, {"cache_shown": True}, (T2, 1)),
        ({"started_us": 102}, {"started_us": 101}, (T2, 1)),
        ({}, {}, (T1, 1)),
        ({"span_id": -1}, {"trace_id": T1, "span_id": 5}, (T1, 5)),  # ids compare as the eight bytes they are
    ],
)
def test_rank_within_an_overlapping_pair(one: dict[str, Any], other: dict[str, Any], winner: SpanKey) -> None:
    first = call(1, **{"response_id": "r", "scope": "a", "started_us": 101, **one})
    second = call(1, **{"response_id": "r", "scope": "b", "started_us": 101, "trace_id": T2, **other})

    assert counted(first, second) == {winner}


def test_circles_and_spans_that_are_their_own_parents_are_survived() -> None:
    own = call(1, 1)
    ring = [call(2, 4, trace_id=T2), call(3, 2, trace_id=T2), call(4, 3, trace_id=T2)]
    far = call(7, 8, trace_id=UUID(int=3))
    near = call(6, 8, trace_id=UUID(int=3))

    assert counted(own, *ring, far, near, parents={UUID(int=3): {8: 9, 9: 8}}) == {
        (T1, 1),
        (T2, 2),
        (UUID(int=3), 6),
        (UUID(int=3), 7),
    }
