"""Sketches: within their stated error of numpy on the raw values, mergeable in any order, exact to take away from."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, comb

import numpy as np
import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from telltale.stats import sketch
from telltale.stats.ranks import rank_interval
from telltale.stats.sketch import BOUNDS, RELATIVE_ERROR, Sketch, compact, decode, encode, index_of, of_values

QUANTILES = (0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999)
SAMPLES = {
    "latencies": lambda rng: rng.lognormal(20, 1.2, 5000),
    "two humps": lambda rng: np.concatenate([rng.normal(5e7, 4e6, 3000), rng.normal(9e9, 1e9, 700)]),
    "tokens": lambda rng: rng.geometric(0.01, 4000),
    "heavy tail": lambda rng: rng.pareto(0.6, 3000) * 1e6 + 1,
    "few": lambda rng: rng.exponential(1e8, 7),
    "one": lambda rng: np.array([123_456_789]),
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("q", QUANTILES)
def test_quantiles_are_within_the_stated_error_of_numpy(name, q):
    values = SAMPLES[name](np.random.default_rng(7)).astype(np.int64)
    found = Sketch(of_values(map(int, values))).quantile(q)
    exact = np.quantile(values, q, method="inverted_cdf")
    assert abs(found.value - exact) <= RELATIVE_ERROR * exact
    assert found.n == len(values)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("q", [0.5, 0.9, 0.95])
def test_intervals_reach_from_bucket_to_bucket_of_the_exact_ranks(name, q):
    values = np.sort(SAMPLES[name](np.random.default_rng(8)).astype(np.int64))
    found = Sketch(of_values(map(int, values))).quantile(q)
    low, high = rank_interval(len(values), q)
    if low is None:
        assert found.low is None
    else:
        assert found.low <= values[low - 1] <= found.low * sketch.GAMMA
    if high is None:
        assert found.high is None
    else:
        assert found.high / sketch.GAMMA <= values[high - 1] <= found.high


def exact_ranks(n, q):
    """The definition, in exact arithmetic."""
    p = Fraction(q).limit_denominator(1000)
    below = Fraction(0)
    low, high = 0, None
    for k in range(n + 1):  # below: P(X <= k - 1)
        if below <= Fraction(25, 1000):
            low = k
        if high is None and below >= Fraction(975, 1000):
            high = k
        below += comb(n, k) * p**k * (1 - p) ** (n - k)
    return low or None, high


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 20, 36, 72, 100, 137])
@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.99])
def test_ranks_equal_their_definition_in_exact_arithmetic(n, q):
    low, high = exact_ranks(n, q)
    assert rank_interval(n, q) == (low, high)


@pytest.mark.parametrize(("q", "least"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)])
def test_a_finite_interval_exists_from_the_published_number_of_values(q, least):
    assert None in rank_interval(least - 1, q)
    assert None not in rank_interval(least, q)


@pytest.mark.parametrize("n", [50, 1000])
def test_intervals_cover_the_true_quantile(n):
    # 2,000 draws: the share covered has a standard error of 0.5 points around at least 95 %.
    rng = np.random.default_rng(11)
    low, high = rank_interval(n, 0.5)
    drawn = np.sort(rng.exponential(1.0, (2000, n)), axis=1)
    covered = (drawn[:, low - 1] <= np.log(2)) & (np.log(2) <= drawn[:, high - 1])
    assert covered.mean() >= 0.95 - 3 * 0.005


def test_a_large_n_is_quick_and_close_to_the_normal_limit():
    low, high = rank_interval(10_000_000, 0.5)
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(10_000_000 * 0.25), rel=0.001)


@given(st.lists(st.integers(0, 2**63 - 1), max_size=40), st.lists(st.integers(0, 2**63 - 1), max_size=40))
@settings(max_examples=60, deadline=None)
def test_merging_is_joining_in_any_order_and_what_was_added_can_be_taken_away(some, others):
    one, two = of_values(some), of_values(others)
    together = decode(of_values([*some, *others]))
    assert np.array_equal(decode(one + two), together)
    assert np.array_equal(decode(two + one), together)
    assert compact(one + two) == of_values([*some, *others])
    away = encode({index: -int(n) for index, n in enumerate(decode(two)) if n})
    assert compact(one + two + away) == one


@given(st.integers(1, 2**63 - 1))
@settings(max_examples=300, deadline=None)
def test_every_value_lies_within_its_bucket_and_the_error(value):
    index = index_of(value)
    assert (BOUNDS[index - 1] if index else -1) < value <= BOUNDS[index]
    found = Sketch(of_values([value])).quantile(0.5)
    assert abs(found.value - value) <= RELATIVE_ERROR * value * (1 + 1e-9) or index == len(BOUNDS) - 1


def test_small_whole_numbers_are_exact():
    for value in range(23):
        assert Sketch(of_values([value])).quantile(0.5).value == value


def test_bounds_are_powers_of_gamma():
    for index in (100, 400, 800):
        power = np.log(BOUNDS[index]) / np.log(sketch.GAMMA)
        assert abs(power - round(power)) < 1 / (BOUNDS[index] * np.log(sketch.GAMMA)) + 1e-6
    assert len(BOUNDS) == 855


def test_one_millisecond_to_one_hour_takes_310_buckets():
    assert index_of(3_600 * 10**9) - index_of(10**6) == pytest.approx(310, abs=2)


@pytest.mark.django_db
def test_sql_finds_the_same_bucket():
    values = [0, 1, 2, 20, 23, 24, 25, 26, 999, 10**6, 10**6 + 1, 10**9, 3_600 * 10**9, 2**53, 2**62, 2**63 - 1]
    values += [bound + step for bound in BOUNDS[30:850:40] for step in (-1, 0, 1)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT width_bucket(x - 1, %s::bigint[]) FROM unnest(%s::bigint[]) WITH ORDINALITY AS v (x, place)"
            " ORDER BY place",
            [list(BOUNDS), values],
        )
        assert [row[0] for row in cursor.fetchall()] == [index_of(value) for value in values]


def test_counts_beyond_a_record_are_several_records():
    data = encode({5: 2**32})
    assert len(data) == 3 * sketch.RECORD_BYTES
    assert decode(data)[5] == 2**32


@pytest.mark.parametrize("data", [b"12345", b"\xff\xff\x01\x00\x00\x00"])
def test_what_is_no_sketch_is_refused(data):
    with pytest.raises(ValueError, match="a sketch has"):
        Sketch(data)


def test_nothing_has_no_quantile():
    assert Sketch().quantile(0.5) is None
    assert Sketch().share_over(1) is None
    assert Sketch().histogram() == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        Sketch().quantile(1.0)


def test_shares_and_histograms_count_what_was_added():
    values = [*range(1, 21), 10**9]
    found = Sketch(of_values(values))
    assert found.share_over(10) == 11 / 21
    assert found.histogram()[:2] == [(1.0, 1.0, 1), (2.0, 2.0, 1)]
    assert sum(n for *_, n in found.histogram()) == 21
    assert found.value_at(21) == pytest.approx(10**9, rel=RELATIVE_ERROR)
    with pytest.raises(IndexError):
        found.value_at(22)
    assert sketch.nearest_rank(10, 0.9) == ceil(9)
