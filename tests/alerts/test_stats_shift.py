"""How big a change is: against textbook intervals, with dispersion, and where too little is known to say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from alerts.stats.shift import Stretch, dispersion, shift_of_mean, shift_of_share
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
