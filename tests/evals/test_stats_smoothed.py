"""Corrected figures where a judge erred in hardly any of a few reviews: no surer than what was seen allows."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._corrected import Case, play_case
from evals.stats.ppi import ppi_nested
from evals.stats.weighted import Sums, wilson_eff

RUNS = 120
# What a promised .93 falls to by chance in RUNS runs, once in 10,000 times.
LEAST = 0.93 - 3.719 * (0.93 * 0.07 / RUNS) ** 0.5


def nested(people, judge, of, everything, **more):
    return ppi_nested(people, judge, 1.0, np.full(len(people), of), Sums.of(everything, 1.0), **more)


@pytest.mark.parametrize(
    ("case", "plain_most"),
    [
        (Case("yes or no", 0.95, 0.97, 30, 3_000, "equal"), 0.85),
        (Case("yes or no", 0.8, 0.97, 30, 3_000, "equal"), 0.88),
        (Case("yes or no", 0.5, 0.9, 60, 3_000, "error-driven"), 0.92),
        (Case("yes or no", 0.8, 0.7, 30, 300, "error-driven"), 1.0),
        (Case("yes or no", 0.95, 0.9, 150, 3_000, "error-driven"), 1.0),
        (Case("1 to 5", 0.95, 0.97, 30, 3_000, "equal"), 0.85),
        (Case("1 to 5", 0.5, 0.9, 30, 3_000, "error-driven"), 1.0),
        (Case("1 to 10", 0.95, 0.97, 30, 3_000, "equal"), 0.95),
        (Case("1 to 10", 0.8, 0.97, 60, 300, "error-driven"), 1.0),
    ],
    ids=lambda each: (
        f"{each.kind} {each.truth} {each.right} {each.reviews} {each.draw}" if hasattr(each, "kind") else ""
    ),
)
def test_few_errors_of_the_judge_leave_the_interval_holding_the_truth(case, plain_most):
    found = play_case(case, range(RUNS))

    assert found.held >= LEAST
    assert found.held_plain <= plain_most


@pytest.mark.parametrize("kind", ["yes or no", "1 to 5", "1 to 10"])
@pytest.mark.parametrize("right", [0.7, 0.9])
def test_many_reviews_of_a_judge_that_errs_are_hardly_wider_than_plain(kind, right):
    found = play_case(Case(kind, 0.8, right, 150, 3_000, "equal"), range(40))

    assert found.erred > 0.08
    assert 0.97 < found.ratio < 1.07


def test_thirty_reviews_without_an_error_leave_some_possible():
    everything = np.tile([1.0, 1.0, 1.0, 0.0], 250)
    people = everything[:40]

    plain = nested(people, people, 0.04, everything, scale=(0, 1), smoothed=False)
    found = nested(people, people, 0.04, everything, scale=(0, 1))

    assert found.estimate.value == plain.estimate.value == pytest.approx(0.75)
    assert plain.estimate.half_width < 0.03
    # Of 40 reviews without an error Wilson's upper limit of the share of errors is .088.
    assert found.estimate.half_width > 0.07
    assert 40 < found.effective_reviews < plain.effective_reviews
    assert "smoothed" in found.estimate.method


def test_points_without_a_known_scale_are_smoothed_too_and_scale_with_their_unit():
    random = np.random.default_rng(4)
    everything = random.integers(1, 6, 900).astype(float)
    people = everything[:30]

    plain = nested(people, people, 1 / 30, everything, smoothed=False).estimate
    found = nested(people, people, 1 / 30, everything).estimate
    scaled = nested(7 * people - 3, 7 * people - 3, 1 / 30, 7 * everything - 3).estimate

    assert found.half_width > 2 * plain.half_width
    assert scaled.half_width == pytest.approx(7 * found.half_width)
    assert found.error == pytest.approx(found.half_width / 2.045, rel=1e-3)


def test_a_share_of_reviews_that_the_judge_says_nothing_of_has_wilsons_interval():
    people = np.r_[np.ones(90), np.zeros(60)]

    found = nested(people, np.ones(150), 0.05, np.ones(3_000), scale=(0, 1)).estimate

    wilson = wilson_eff(Sums.of(people, 0.05))
    assert found.value == wilson.value
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=0.002)


def test_near_the_end_of_the_scale_the_interval_reaches_inwards_and_not_over_all_of_it():
    everything = np.r_[np.full(2_980, 5.0), np.full(20, 1.0)]
    at = np.r_[0:149, 2_999]
    people, judge = everything[at].copy(), everything[at]
    people[:2] = 4.0

    found = nested(people, judge, 0.05, everything, scale=(1, 5)).estimate

    assert found.high <= 5
    assert found.value - found.low > found.high - found.value
    assert found.low > 4.7
