"""How big a change is: against textbook intervals, with dispersion, and where too little is known to say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from alerts.stats.shift import (
    Rated,
    Stretch,
    dispersion,
    moved_categories,
    ratio_of_counts,
    shift_of_mean,
    shift_of_share,
)
from evals.stats.results import TooLittle
from telltale.stats.proportions import newcombe, wilson


def stretch(values, sizes=None):
    v = np.asarray(values, dtype=float)
    n = np.ones_like(v) if sizes is None else np.asarray(sizes, dtype=float)
    return Stretch(
        v.size, float(n.sum()), float(v.sum()), float((v * v).sum()), float((n * v).sum()), float((n * v * v).sum())
    )


def test_a_share_without_dispersion_has_newcombes_interval():
    before, after = stretch([0.1] * 20, [50] * 20), stretch([0.18], [100])

    found = shift_of_share(before, after)

    textbook = newcombe(wilson(18, 100), wilson(100, 1000))
    assert (found.before, found.after) == pytest.approx((0.1, 0.18))
    assert (found.value, found.low, found.high) == pytest.approx((textbook.value, textbook.low, textbook.high))
    assert (found.windows, found.n) == (1, 100)


def test_windows_more_uneven_than_chance_widen_the_interval():
    sizes = [100] * 10
    uneven = stretch([0.02, 0.18] * 5, sizes)
    even = stretch([0.1] * 10, sizes)
    after = stretch([0.2, 0.2], [100, 100])

    wide, narrow = shift_of_share(uneven, after), shift_of_share(even, after)

    # Pearson's chi-square by hand: 10 windows of 100 (0.08²) / (0.1·0.9), over 9.
    assert dispersion(uneven) == pytest.approx(10 * 100 * 0.08**2 / 0.09 / 9)
    assert wide.value == pytest.approx(narrow.value)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert dispersion(stretch([0.0] * 9)) == 1.0


def test_means_have_welchs_interval():
    rng = np.random.default_rng(3)
    a, b = rng.normal(4.3, 0.1, 60), rng.normal(3.9, 0.3, 9)

    found = shift_of_mean(stretch(a), stretch(b))

    textbook = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((textbook.low, textbook.high), rel=1e-6)
    assert "Welch" in found.method


def test_a_single_window_after_is_taken_to_vary_like_the_baseline():
    a = np.random.default_rng(4).normal(100, 10, 50)

    found = shift_of_mean(stretch(a), stretch([130.0]))

    half = stats.t.ppf(0.975, 49) * a.std(ddof=1) * np.sqrt(1 + 1 / 50)
    assert (found.low, found.high) == pytest.approx((130 - a.mean() - half, 130 - a.mean() + half), rel=1e-6)
    assert "as in the baseline" in found.method


def test_too_little_is_said_and_nothing_is_made_up():
    four, one, none = stretch([1.0] * 4), stretch([1.0]), stretch([])

    assert shift_of_mean(four, one) == TooLittle(4, 5, "windows of the baseline")
    assert shift_of_mean(stretch([1.0] * 9), none) == TooLittle(0, 1, "windows since the alarm")
    assert shift_of_share(stretch([0.1] * 9, [0] * 9), one) == TooLittle(0, 1, "units after the alarm")


def test_intervals_hold_the_true_difference_as_often_as_they_say():
    """2,000 worlds, one seed: 95 % give or take three standard errors, 1.5 points, with half a point of slack below."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(2_000):
        before, after = rng.binomial(60, 0.05, 40), rng.binomial(60, 0.12, 6)
        found = shift_of_share(stretch(before / 60, [60] * 40), stretch(after / 60, [60] * 6))
        held += found.low <= 0.07 <= found.high

    assert 0.93 <= held / 2_000 <= 0.985


def rated(counts, expected):
    c, e = np.asarray(counts, dtype=float), np.asarray(expected, dtype=float)
    return Rated(c.size, float(c.sum()), float(e.sum()), float(((c - e) ** 2 / e).sum()))


def test_the_ratio_of_counts_has_garwoods_limits():
    even = rated([9, 11, 10, 12, 8] * 8, [10] * 40)

    found = ratio_of_counts(even, rated([12, 8], [5, 5]))

    low, high = stats.chi2.ppf([0.025], 40)[0] / 2, stats.chi2.ppf([0.975], 42)[0] / 2
    assert (found.value, found.windows) == (2.0, 2)
    assert (found.low, found.high) == pytest.approx((low / 10, high / 10), rel=1e-6)


def test_counts_more_uneven_than_chance_give_a_wider_ratio():
    rng = np.random.default_rng(4)
    uneven = rated(rng.negative_binomial(5, 5 / 25, 400), [20] * 400)
    kept = 0
    for _ in range(400):
        found = ratio_of_counts(uneven, rated(rng.negative_binomial(5, 5 / 45, 6), [20] * 6))
        kept += found.low <= 2 <= found.high
    even = ratio_of_counts(rated([20] * 40, [20] * 40), rated([40] * 6, [20] * 6))

    # The spread of the shifted counts is larger than the baseline's, so a little under 95 % is right.
    assert kept / 400 > 0.84
    wide = ratio_of_counts(uneven, rated([40] * 6, [20] * 6))
    assert wide.high - wide.low > 1.8 * (even.high - even.low)


def test_sums_of_money_are_no_events():
    before = rated([0.9, 1.1, 1.0, 1.2, 0.8], [1.0] * 5)

    found = ratio_of_counts(before, rated([3.0], [1.0]), are_events=False)

    half = 1.959964 * np.sqrt(before.squares / 5)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), rel=1e-5)


def test_a_ratio_needs_windows_before_and_something_expected_after():
    few = rated([1, 2], [1, 1])
    enough = rated([1] * 6, [1] * 6)

    assert ratio_of_counts(few, enough) == TooLittle(2, 5, "judged windows before the alarm")
    assert isinstance(ratio_of_counts(enough, Rated(0, 0.0, 0.0, 0.0)), TooLittle)


def test_the_categories_that_moved_most_come_first_with_newcombes_interval():
    before, after = {"stop": 970, "length": 20, None: 10}, {"stop": 80, "length": 15, "refusal": 5}

    found = moved_categories(before, after, most=3)

    assert [each.name for each in found] == ["stop", "length", "refusal"]
    expected = newcombe(wilson(15, 100), wilson(20, 1000))
    assert found[1].value == pytest.approx(0.13)
    assert (found[1].low, found[1].high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert moved_categories({}, after) == []
