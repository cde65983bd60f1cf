"""The change of a bill: parts that mean what they are called, and sum to the difference to the last pico-dollar."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.cost.decompose import MODELS_MAX, ModelBill, Part, decompose, largest_remainder

# USD per million tokens = pico-dollars per token times 10**6.
OPUS_IN, OPUS_READ, OPUS_OUT = 15_000_000, 1_500_000, 75_000_000


def make_bill(model="opus", calls=100, fresh=1000, read=0, out=100, *, rates=(OPUS_IN, OPUS_READ, OPUS_OUT), **more):
    """`calls` calls with so many tokens each, at so many pico-dollars a token."""
    tokens = (calls * fresh, calls * read, 0, 0, 0, calls * out, 0, 0)
    parts = (tokens[0] * rates[0], tokens[1] * rates[1], 0, 0, 0, tokens[5] * rates[2], 0, 0)
    return ModelBill(model, calls, tokens, parts, more.pop("pico", sum(parts)), **more)


def only(change):
    """The parts that are not 0."""
    return {part.part: part.pico for part in change.parts if part.pico}


@st.composite
def bills(draw):
    """The bills of a period: some models without tokens, without cost, by the hour, unpriced or of the judge."""
    found = []
    for model in draw(st.lists(st.sampled_from("abcdefg"), max_size=6)):
        calls = draw(st.integers(0, 10**7))
        is_unpriced = draw(st.booleans()) and draw(st.booleans())
        tokens = tuple(draw(st.integers(0, 10**12) | st.just(0)) if calls else 0 for _ in range(8))
        parts = tuple(0 if is_unpriced or not t else draw(st.integers(0, 10**18)) for t in tokens)
        hourly = draw(st.integers(0, 10**15) | st.just(0)) if calls and not is_unpriced else 0
        found.append(
            ModelBill(
                model, calls, tokens, parts, sum(parts) + hourly, calls if is_unpriced else 0, draw(st.booleans())
            )
        )
    return found


@settings(max_examples=200, deadline=None)
@given(bills(), bills())
def test_parts_sum_to_the_difference_exactly(before, now):
    change = decompose(before, now)

    assert change.before_pico == sum(bill.pico for bill in before)
    assert change.now_pico == sum(bill.pico for bill in now)
    assert sum(part.pico for part in change.parts) == change.now_pico - change.before_pico
    assert all(isinstance(part.pico, int) for part in change.parts)


@settings(max_examples=100, deadline=None)
@given(bills())
def test_nothing_changed_means_no_part(period):
    assert only(decompose(period, period)) == {}


@settings(max_examples=100, deadline=None)
@given(bills(), bills(), st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter(before, now, order):
    shuffled = [now[at] for at in order if at < len(now)]

    assert decompose(before, now) == decompose(before, shuffled)


def test_twice_the_calls_is_volume():
    change = decompose([make_bill(calls=100)], [make_bill(calls=200)])

    assert only(change) == {Part.VOLUME: make_bill(calls=100).pico}


def test_traffic_moved_to_another_model_is_mix():
    haiku = {"model": "haiku", "rates": (800_000, 80_000, 4_000_000)}
    before = [make_bill(calls=50), make_bill(calls=50, **haiku)]
    now = [make_bill(calls=40), make_bill(calls=60, **haiku)]

    change = decompose(before, now)

    assert only(change) == {Part.MIX: change.pico}
    assert change.pico < 0
    assert change.parts[1].models[0] == ("opus", -make_bill(calls=10).pico)


def test_a_new_model_is_wholly_in_the_mix():
    change = decompose([make_bill(calls=100)], [make_bill(calls=50), make_bill("new", calls=50)])

    assert only(change) == {}
    assert dict(change.parts[1].models) == {"new": make_bill(calls=50).pico, "opus": -make_bill(calls=50).pico}


def test_a_vanished_model_is_wholly_in_the_mix():
    change = decompose([make_bill(calls=50), make_bill("old", calls=50, out=900)], [make_bill(calls=100)])

    assert only(change) == {Part.MIX: -50 * 800 * OPUS_OUT}


def test_another_rate_is_price():
    change = decompose([make_bill()], [make_bill(rates=(OPUS_IN * 2, OPUS_READ, OPUS_OUT))])

    assert only(change) == {Part.PRICE: 100 * 1000 * OPUS_IN}


def test_longer_prompts_are_input_and_longer_answers_output():
    change = decompose([make_bill()], [make_bill(fresh=1500, out=130)])

    assert only(change) == {Part.INPUT: 100 * 500 * OPUS_IN, Part.OUTPUT: 100 * 30 * OPUS_OUT}


def test_tokens_that_moved_into_the_cache_are_cache_alone():
    before = [make_bill(fresh=900, read=100)]
    now = [make_bill(fresh=400, read=600)]

    assert only(decompose(before, now)) == {Part.CACHE: 100 * 500 * (OPUS_READ - OPUS_IN)}


def test_the_first_cached_tokens_are_cache_and_no_price():
    change = decompose([make_bill(fresh=1000)], [make_bill(fresh=400, read=600)])

    assert only(change) == {Part.CACHE: 100 * 600 * (OPUS_READ - OPUS_IN)}


def test_steps_follow_the_stated_order():
    """Worked by hand: 100 -> 150 calls, rate doubled, prompts by half longer; each step keeps those before it."""
    change = decompose(
        [make_bill(calls=100, fresh=1000, out=0, rates=(1, 1, 1))],
        [make_bill(calls=150, fresh=1500, out=0, rates=(2, 1, 1))],
    )

    # 100,000 -> volume 150,000 -> price 300,000 -> input 450,000.
    assert only(change) == {Part.VOLUME: 50_000, Part.PRICE: 150_000, Part.INPUT: 150_000}


def test_no_traffic_before_or_now_is_volume():
    assert only(decompose([], [make_bill()])) == {Part.VOLUME: make_bill().pico}
    assert only(decompose([make_bill()], [])) == {Part.VOLUME: -make_bill().pico}
    assert only(decompose([], [])) == {}


def test_a_model_by_the_hour_has_a_part_of_its_own():
    before = [make_bill(fresh=0, out=0, pico=1000)]
    now = [make_bill(fresh=0, out=0, pico=1500)]

    assert only(decompose(before, now)) == {Part.HOURLY: 500}


def test_calls_without_a_price_are_apart():
    """A model nobody priced neither makes the others rarer nor costs 0; once it has a price, that is told by itself."""
    unpriced = make_bill("new", calls=900, pico=0, rates=(0, 0, 0), unpriced=900)

    grown = decompose([make_bill(calls=100)], [make_bill(calls=100), unpriced])
    priced = decompose([make_bill(calls=100), unpriced], [make_bill(calls=100), make_bill("new", calls=900)])

    assert only(grown) == {}
    assert (grown.unpriced_before, grown.unpriced_now) == (0, 900)
    assert grown.calls_now == 100
    assert only(priced) == {Part.NEWLY_PRICED: make_bill(calls=900).pico}


def test_judging_is_apart():
    change = decompose([make_bill()], [make_bill(), make_bill("haiku", calls=10, is_judging=True)])

    assert only(change) == {Part.JUDGING: make_bill(calls=10).pico}


def test_many_models_stay_exact():
    before = [make_bill(f"m{n}", calls=n + 1, fresh=n * 7) for n in range(MODELS_MAX * 3)]
    now = [make_bill(f"m{n}", calls=n * 2 + 1, fresh=n * 5, read=n) for n in range(50, MODELS_MAX * 4)]

    change = decompose(before, now)

    assert sum(part.pico for part in change.parts) == change.pico


def test_routing_example_of_the_guide():
    """.6 of 100,000 calls at $0.0008 and .4 at $0.015 are $648 a day, not $880; all on the dear one were $1,500."""
    day = 100_000
    cheap, dear = 800_000_000, 15_000_000_000  # pico-dollars a call
    flat = {"fresh": 1, "out": 0}
    before = [make_bill("capable", calls=day, rates=(dear, 0, 0), **flat)]
    now = [
        make_bill("capable", calls=day * 4 // 10, rates=(dear, 0, 0), **flat),
        make_bill("simple", calls=day * 6 // 10, rates=(cheap, 0, 0), **flat),
    ]

    change = decompose(before, now)

    assert change.now_pico == 648 * 10**12
    assert only(change) == {Part.MIX: -(1500 - 648) * 10**12}


@pytest.mark.parametrize(
    ("amounts", "whole"),
    [(["1/2", "1/2"], [1, 0]), (["-1/2", "-1/2"], [0, -1]), (["1/3", "1/3", "1/3"], [1, 0, 0]),
     (["5/3", "-2/3"], [2, -1]), ([], []), (["7"], [7])],
)  # fmt: skip
def test_rounding_keeps_the_sum(amounts, whole):
    assert largest_remainder([Fraction(text) for text in amounts]) == whole
