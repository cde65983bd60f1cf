"""The trace row does not depend on the order or the batches its spans came in."""

from __future__ import annotations

import random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.canonical.types import CanonicalSpan, CostStatus, Kind, Origin, SpanFlag, SpanStatus, Usage, Vocabulary
from traces.summary import TraceSummary, contribution_of, read_ranks, write_ranks

TRACE = UUID(int=7)
ORIGIN = Origin(1, {}, "scope", "", {}, Vocabulary.PLAIN)
START = 1_795_219_200_000_000


def make_span(span_id: int, **fields: object) -> CanonicalSpan:
    started = int(fields.pop("started_us", START + span_id))  # type: ignore[call-overload]
    defaults: dict[str, object] = {
        "trace_id": TRACE,
        "span_id": span_id,
        "parent_span_id": None,
        "name": f"span {span_id}",
        "kind": Kind.SPAN,
        "started_us": started,
        "start_ns": started * 1000,
        "end_ns": started * 1000 + 5_000_000,
        "duration_ns": 5_000_000,
        "origin": ORIGIN,
    }
    return CanonicalSpan(**{**defaults, **fields})  # type: ignore[arg-type]


def words(span: CanonicalSpan) -> tuple[str | None, str | None]:
    return (f"in {span.span_id}" if span.has_input else None, f"out {span.span_id}" if span.has_output else None)


def summed(*spans: CanonicalSpan) -> TraceSummary:
    summary = TraceSummary(TRACE)
    for span in spans:
        summary.add(span)
    summary.take_words(words)
    return summary


def test_the_root_names_the_trace_whenever_it_comes() -> None:
    child = make_span(1, parent_span_id=9, user_id="child", started_us=START)
    root = make_span(9, name="checkout", user_id="root", started_us=START + 50)

    early, late = summed(root, child), summed(child, root)

    assert (early.name, early.user_id, early.root_span_id) == ("checkout", "root", 9)
    assert early == late


def test_without_a_root_the_earliest_span_speaks() -> None:
    summary = summed(
        make_span(2, parent_span_id=99, session_id="late", started_us=START + 9),
        make_span(1, parent_span_id=98, session_id="early", started_us=START),
    )

    assert (summary.name, summary.session_id) == ("span 1", "early")


def test_only_counted_spans_enter_the_sums() -> None:
    usage = Usage(input_fresh=100, output_text=10)
    cost = {"usage": usage, "kind": Kind.GENERATION, "cost_status": CostStatus.PRICED, "cost_pico": 5_000_000}

    summary = summed(
        make_span(1, counted=True, **cost), make_span(2, counted=False, duplicate_of_span=1, **cost)
    )

    assert summary.tokens == [100, 0, 0, 0, 0, 10, 0, 0]
    assert (summary.cost_pico, summary.priced_count, summary.duplicate_count) == (5_000_000, 1, 1)
    assert summary.usage_count == 2


def test_taking_a_span_out_of_the_count_undoes_what_it_added() -> None:
    span = make_span(
        1, counted=True, usage=Usage(input_fresh=3), cost_status=CostStatus.UNPRICED, cost_reported_pico=7
    )
    summary = summed(span)

    summary.count(contribution_of(span), -1)

    assert summary.tokens == [0] * 8
    assert (summary.unpriced_count, summary.cost_reported_pico) == (0, None)


def test_the_last_generation_answers_for_the_trace() -> None:
    spoken = {"kind": Kind.GENERATION, "parent_span_id": 5, "has_input": True, "has_output": True}
    first = make_span(1, **spoken, finish_reason="tool_call")
    last = make_span(2, **spoken, finish_reason="stop")

    summary = summed(last, first)

    assert (summary.preview_in, summary.preview_out, summary.finish_reason) == ("in 1", "out 2", "stop")


def test_a_pending_placeholder_gives_nothing_but_a_name_until_better_comes() -> None:
    pending = make_span(1, flags=int(SpanFlag.PENDING), user_id="nobody")
    assert summed(pending).name == "span 1"

    summary = summed(pending, make_span(2, parent_span_id=3, name="real", started_us=START + 10))

    assert (summary.name, summary.user_id) == ("real", None)


@pytest.mark.parametrize("raw", ["NotFoundError", "openai.NotFoundError", "pydantic_ai.exceptions.NotFoundError"])
def test_an_error_is_grouped_by_its_class_without_the_module(raw: str) -> None:
    assert summed(make_span(1, status=SpanStatus.ERROR, error_type=raw)).error_type == "NotFoundError"


def test_ranks_survive_writing() -> None:
    ranks = {"name": (0, START, -5), "user_id": (0, START, -5), "ttft_ns": (0, -START, 12)}

    assert read_ranks(write_ranks(ranks)) == ranks
    assert read_ranks("") == {}


@st.composite
def spans(draw: st.DrawFn) -> list[CanonicalSpan]:
    count = draw(st.integers(1, 9))
    made = []
    for span_id in range(1, count + 1):
        kind = draw(st.sampled_from([Kind.SPAN, Kind.GENERATION, Kind.TOOL]))
        usage = Usage(input_fresh=draw(st.integers(0, 99))) if kind == Kind.GENERATION else None
        made.append(
            make_span(
                span_id,
                kind=kind,
                usage=usage,
                counted=usage is not None and draw(st.booleans()),
                cost_status=CostStatus.PRICED if usage else None,
                cost_pico=draw(st.integers(0, 10**12)) if usage else None,
                started_us=START + draw(st.integers(0, 3)),
                parent_span_id=draw(st.sampled_from([None, 1, 2])),
                status=draw(st.sampled_from(list(SpanStatus))),
                error_type=draw(st.sampled_from([None, "A", "B"])),
                user_id=draw(st.sampled_from([None, "u", "v"])),
                feature=draw(st.sampled_from([None, "f", "g"])),
                has_input=draw(st.booleans()),
                has_output=draw(st.booleans()),
                ttft_ns=draw(st.sampled_from([None, 1, 2])),
                tags=draw(st.sampled_from([None, ["a"], ["b", "c"]])),
                flags=draw(st.sampled_from([0, int(SpanFlag.PENDING), int(SpanFlag.TRUNCATED)])),
            )
        )
    return made


@settings(max_examples=200, deadline=None)
@given(spans(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_order_and_any_batches_give_the_same_row(
    made: list[CanonicalSpan], shuffler: random.Random, batches: int
) -> None:
    whole = summed(*made)

    shuffled = made[:]
    shuffler.shuffle(shuffled)
    merged = TraceSummary(TRACE)
    for at in range(batches):
        merged.merge(summed(*shuffled[at::batches]))

    assert merged == whole


@pytest.mark.parametrize("letter", ["n", "u", "s", "e", "r", "v", "f", "p", "q", "i", "o", "z", "t", "x"])
def test_each_letter_of_the_ranks_names_one_value(letter: str) -> None:
    ranks = read_ranks(f"0:1:2:{letter}")

    assert len(ranks) == 1
    assert write_ranks(ranks) == f"0:1:2:{letter}"
