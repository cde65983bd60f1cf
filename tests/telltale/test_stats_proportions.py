"""Intervals of shares: against published figures, and never a number where there is nothing to count."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from telltale.stats.proportions import newcombe, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_the_published_intervals(k, n, low, high):
    found = wilson(k, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        # Newcombe (1998), Interval estimation for the difference between independent proportions, table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_equals_the_published_intervals(a, b, low, high):
    found = newcombe(wilson(*a), wilson(*b))
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_nothing_counted_is_no_number():
    nothing = wilson(0, 0)
    assert (nothing.share, nothing.low, nothing.high) == (None, None, None)
    assert newcombe(nothing, wilson(1, 2)).value is None


def test_all_and_none_end_at_the_edge():
    assert wilson(7, 7).high == 1.0
    assert wilson(0, 7).low == 0.0


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_more_than_all_is_refused(k, n):
    with pytest.raises(ValueError, match="k must be within 0 and n"):
        wilson(k, n)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = random.Random(5)
    p, n = 0.08, 120
    hits = [(found := wilson(sum(rng.random() < p for _ in range(n)), n)).low <= p <= found.high for _ in range(2000)]
    assert 0.93 <= fmean(hits) <= 0.98
