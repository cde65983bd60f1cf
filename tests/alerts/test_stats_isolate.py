"""Which change fits, versions at the same time, and when a series is back: what may be said, and what may not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alerts.stats.isolate import Contrast, Logged, Onset, contrast_of, rank_changes
from alerts.stats.recovery import judge_recovery
from evals.stats.results import TooLittle

HOUR = 3600.0
ONSET = Onset(at=100 * HOUR, low=99 * HOUR, high=101 * HOUR, window=HOUR)
SCOPE = {"feature": ("returns",), "prompt_version": ("v18",)}


def contrast(low, high):
    return Contrast((low + high) / 2 + 0.1, 0.1, (low + high) / 2, low, high, 5, 100, 100, 0.95, "")


def match(ranking, change):
    return next(fit for fit in ranking.fits if fit.id == change)


def test_the_change_at_the_onset_that_touched_the_slice_comes_first():
    changes = [
        Logged(1, 100 * HOUR, touches={"feature": "returns", "prompt_version": "v18"}),
        Logged(2, 94 * HOUR, touches={}),
        Logged(3, 100 * HOUR, touches={"feature": "search"}),
        Logged(4, 50 * HOUR, touches={"feature": "returns"}),
        Logged(5, 110 * HOUR, touches={"feature": "returns"}),
    ]

    found = rank_changes(ONSET, changes, SCOPE, 0.1)

    assert found.fits[0].id == 1
    assert (found.fits[0].place, found.fits[0].match, found.fits[0].overlap) == ("inside", "strong", "same")
    assert found.fits[0].shared == ("feature returns", "prompt_version v18")
    assert match(found, 2).place == "shortly before"
    assert (match(found, 3).overlap, match(found, 3).match) == ("other", "weak")
    assert (match(found, 4).place, match(found, 4).match) == ("outside", "weak")
    assert (match(found, 5).place, match(found, 5).match) == ("after", "weak")
    assert found.inside == (1, 3)
    assert found.together == ()


def test_two_inside_cannot_be_told_apart_by_time_until_their_versions_are_compared():
    both = [
        Logged(1, 99.9 * HOUR, touches={"feature": "returns"}),
        Logged(2, 100.1 * HOUR, touches={"feature": "returns"}),
    ]

    alone = rank_changes(ONSET, both, SCOPE, 0.1)
    beside = rank_changes(
        ONSET,
        [
            Logged(1, 99.9 * HOUR, touches={"feature": "returns"}, contrast=contrast(-0.02, 0.03)),
            Logged(2, 100.1 * HOUR, touches={"feature": "returns"}, contrast=contrast(0.05, 0.15)),
        ],
        SCOPE,
        0.1,
    )

    assert set(alone.together) == {1, 2}
    assert [fit.match for fit in alone.fits] == ["possible", "possible"]
    assert [fit.id for fit in beside.fits] == [2, 1]
    assert [fit.contrast for fit in beside.fits] == ["worse", "alike"]
    assert [fit.match for fit in beside.fits] == ["strong", "weak"]
    assert beside.together == ()


def test_time_alone_is_never_strong_and_without_a_start_nothing_is_proposed():
    timely = rank_changes(ONSET, [Logged(1, 100 * HOUR)], None)
    nothing = rank_changes(None, [Logged(1, 5.0), Logged(2, 9.0)], SCOPE)

    assert timely.fits[0].match == "possible"
    assert [(fit.id, fit.match) for fit in nothing.fits] == [(2, "none"), (1, "none")]
    assert not nothing.inside


def test_a_change_that_took_time_is_inside_where_any_part_of_it_is():
    found = rank_changes(ONSET, [Logged(1, 80 * HOUR, ended_at=99 * HOUR)], SCOPE)

    assert found.fits[0].place == "inside"


@pytest.mark.parametrize("seed", range(3))
def test_a_difference_of_versions_is_covered_although_all_traffic_moves(seed):
    random = np.random.default_rng(seed)
    covered = 0
    for _ in range(200):
        level = random.uniform(0.05, 0.4, 12)
        n1, n0 = random.integers(5, 60, 12), random.integers(5, 200, 12)
        found = contrast_of(random.binomial(n1, level + 0.1), n1, random.binomial(n0, level), n0)
        covered += found.low <= 0.1 <= found.high

    # Binomial(200, .95): under 180 of 200 by chance in 1 of 1,000.
    assert covered >= 180


def test_windows_with_one_version_alone_say_nothing():
    alone = contrast_of([9, 0], [10, 0], [0, 1], [0, 10])
    one = contrast_of([9, 30, 0], [10, 40, 0], [0, 10, 5], [0, 40, 10])

    assert isinstance(alone, TooLittle)
    assert (one.windows, one.n_new, one.n_old) == (1, 40, 40)
    assert one.value == pytest.approx(0.5)
    assert one.low < 0.5 < one.high


def test_greenland_and_robins_difference_of_a_worked_table():
    # Two windows by hand: weights 50*100/150 and 20*30/50; differences .1 and .2.
    found = contrast_of([10, 8], [50, 20], [10, 6], [100, 30])
    one, two = 50 * 100 / 150, 20 * 30 / 50

    assert found.value == pytest.approx((0.1 * one + 0.2 * two) / (one + two))


def test_no_bad_answer_of_either_version_is_no_certainty():
    found = contrast_of([0], [15], [0], [400])

    assert found.value == 0
    assert found.low < -0.02
    assert found.high > 0.02
    assert found.says(0.05) == "open"


def run(after, out=None, needed=6.0, during=(-3.0, -3.5, -2.5)):
    n = len(after)
    return judge_recovery(during, after, [False] * n if out is None else out, [1.0] * n, hours_needed=needed)


def test_a_series_is_back_when_its_windows_are_long_enough_and_sure_enough():
    early, late = run([0.1, -0.2, 0.3]), run([0.1, -0.2, 0.3, 0.0, 0.2, -0.1])

    assert (early.state, early.windows) == ("not_yet", 3)
    assert late.state == "back"
    assert late.left_low < 0 < late.left_high < 0.5


def test_half_a_recovery_is_not_back_though_it_is_within_limits():
    found = run([-1.6, -1.4, -1.5] * 8)

    assert found.state == "not_yet"
    assert found.left == pytest.approx(0.5)
    assert found.left_low < 0.5 < found.left_high


def test_a_window_out_of_limits_begins_the_wait_anew():
    out = run([0.0] * 8, [False] * 7 + [True])
    since = run([0.0] * 8, [False, False, True] + [False] * 5)

    assert (out.state, out.windows) == ("out", 0)
    assert (since.state, since.windows, since.hours) == ("not_yet", 5, 5.0)


def test_nothing_since_is_waiting_and_an_unknown_size_is_said():
    assert run([]).state == "waiting"
    found = run([math.nan] * 6, during=())
    assert found.state == "no_size"
    assert found.left is None


def test_looking_at_every_window_seldom_says_back_of_a_series_that_is_not():
    # A regression of 2 sd of which 60 % is left: "back" at any of 150 looks is an error of 5 % at most.
    wrong = 0
    for seed in range(200):
        z = -1.2 + np.random.default_rng(seed).standard_normal(150)
        wrong += any(
            judge_recovery([-2.0], z[:n], [False] * n, [1.0] * n, hours_needed=6.0).state == "back"
            for n in range(5, 151, 5)
        )

    # Binomial(200, .05): over 20 by chance in 1 of 1,000.
    assert wrong <= 20
