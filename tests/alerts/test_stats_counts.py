"""Counts by hour of week: what is expected, what is a surprise, and how long nobody may call."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from alerts.stats import ewma
from alerts.stats.counts import (
    Season,
    count_score,
    dispersion,
    due,
    kind_for,
    learn_season,
    silence,
    silence_chance,
    silence_needed,
    slot_of,
    trend,
)
from evals.stats.results import TooLittle


def week(level=40.0, quarter_hours=4):
    """Mean counts of the windows of one week, and their hours: busy days, quiet nights and weekends."""
    hours = np.repeat(np.arange(168), quarter_hours)
    shape = (1 + 0.8 * np.sin(2 * np.pi * (hours % 24 - 8) / 24)) * np.where(hours // 24 >= 5, 0.4, 1.0)
    return level * shape, hours


def drawn(rng, mean, size):
    return rng.poisson(mean) if math.isinf(size) else rng.negative_binomial(size, size / (size + mean))


@pytest.mark.parametrize("size", [math.inf, 60.0, 8.0])
@pytest.mark.parametrize("weeks", [4, 8])
def test_a_season_is_learned_and_its_scores_are_normal(size, weeks):
    rng = np.random.default_rng(3)
    mean, hours = week()
    counts = drawn(rng, np.tile(mean, weeks), size)

    season = learn_season(counts, np.tile(hours, weeks), 7.0 * weeks)

    assert season.kind == "hour_of_week"
    busy = mean[::4] >= 20
    assert np.array(season.levels)[busy] == pytest.approx(mean[::4][busy], rel=0.35)
    # A year of new weeks: scores keep to the normal, a little narrower, for the error of the levels is in them.
    fresh = drawn(rng, np.tile(mean, 20), size)
    z = np.array(
        [
            count_score(int(k), season.expected(int(h)), season.size)
            for k, h in zip(fresh, np.tile(hours, 20), strict=True)
        ]
    )
    assert z.mean() == pytest.approx(0, abs=0.12)
    assert 0.85 < z.std() < 1.15
    # The share beyond 3.29 sd is about one in a thousand (13 of 13,440 expected), not many more.
    assert (np.abs(z) > 3.29).mean() < 0.004


def test_two_weeks_make_hours_of_day_and_less_is_too_little():
    rng = np.random.default_rng(4)
    mean, hours = week()

    season = learn_season(rng.poisson(np.tile(mean, 2)), np.tile(hours, 2), 14.0)

    assert (season.kind, len(season.levels)) == ("hour_of_day", 24)
    assert season.expected(30) == season.expected(6)
    assert learn_season(rng.poisson(mean), hours, 7.0) == TooLittle(7, 14, "days")
    assert kind_for(27.9) == "hour_of_day"
    assert kind_for(28) == "hour_of_week"


def test_an_outage_in_the_baseline_hardly_moves_it():
    rng = np.random.default_rng(5)
    mean, hours = week()
    counts = rng.poisson(np.tile(mean, 6))
    broken = counts.copy()
    broken[1_000:1_024] = 0

    whole, hurt = (learn_season(one, np.tile(hours, 6), 42.0) for one in (counts, broken))

    assert np.array(hurt.levels) == pytest.approx(np.array(whole.levels), rel=0.5, abs=3)
    assert count_score(0, hurt.expected(37), hurt.size) < -4


def test_only_the_last_weeks_make_the_levels():
    hours = week()[1]
    counts = np.concatenate([np.full(hours.size * 12, 10), np.full(hours.size * 8, 50)])

    assert set(learn_season(counts, np.tile(hours, 20), 140.0).levels) == {50.0}


@pytest.mark.parametrize("size", [3.0, 20.0, 200.0])
def test_dispersion_is_found(size):
    rng = np.random.default_rng(6)
    mean = rng.uniform(20, 200, 20_000)

    # Cutting single wild windows costs a long-tailed law some of its spread: at most a third of it.
    assert size * 0.9 < dispersion(drawn(rng, mean, size) - mean, mean) < size * 1.35


def test_no_more_than_poisson_is_poisson():
    rng = np.random.default_rng(7)
    mean = rng.uniform(1, 50, 20_000)

    assert dispersion(rng.poisson(mean) - mean, mean) > 1_000
    assert math.isinf(dispersion(np.zeros(10), np.full(10, 5.0)))
    assert math.isinf(dispersion(np.zeros(0), np.zeros(0)))


def test_ewma_of_counts_keeps_its_run_length():
    rng = np.random.default_rng(8)
    mean = week()[0]
    boundary = ewma.boundary_for(0.1, 500.0)
    c = alarms = points = 0
    for _ in range(60):
        for m in mean:
            c += 0.1 * (count_score(int(drawn(rng, m, 12.0)), float(m), 12.0) - c)
            points += 1
            if abs(c) > boundary:
                alarms, c = alarms + 1, 0.0

    # 81 alarms expected at most: a Poisson error of 9, times 3.9.
    assert alarms <= points / 500 + 3.9 * math.sqrt(points / 500)


def test_a_trend_carries_growth_and_no_more():
    assert trend([110] * 96, [100.0] * 96) == pytest.approx(1.1)
    assert trend([0] * 96, [100.0] * 96) == 0.5
    assert trend([900] * 96, [100.0] * 96) == 2.0
    assert trend([], []) == 1.0
    assert Season("hour_of_day", (10.0,) * 24, math.inf, 100).expected(50, 1.5) == 15.0


def test_an_hour_nobody_was_seen_in_expects_a_little():
    season = Season("hour_of_day", (0.0,) * 24, math.inf, 100)

    assert season.expected(3) == 0.05
    assert 0 < count_score(1, season.expected(3)) < 3


def test_a_quiet_night_does_not_page_and_a_dead_sender_at_noon_does():
    night, noon = 0.5, 40.0

    assert not silence(8 * night, 1_000).alarm
    assert silence(noon / 4, 1_000).alarm
    # Negative binomial of size 5 by hand: (1 + 10/5)^-5.
    assert silence_chance(10, 5) == pytest.approx(3.0**-5)
    assert silence_chance(10) == pytest.approx(math.exp(-10))
    assert silence_chance(0) == 1
    for wrong in (lambda: silence(1, 1), lambda: silence_chance(-1), lambda: silence_needed(0)):
        with pytest.raises(ValueError, match=r"over 1|at least 0|needed"):
            wrong()


@given(alpha=st.floats(1e-7, 0.5), size=st.sampled_from([0.5, 3.0, 40.0, math.inf]))
def test_what_must_be_due_before_silence_is_news(alpha, size):
    needed = silence_needed(alpha, size)

    assert silence_chance(needed, size) == pytest.approx(alpha, rel=1e-6)
    assert not silence(needed * 0.99, 1 / alpha, size).alarm
    assert silence(needed * 1.01, 1 / alpha, size).alarm


@given(mean=st.floats(0.5, 500), size=st.sampled_from([2.0, 30.0, math.inf]))
def test_chance_of_none_is_the_law_of_the_counts(mean, size):
    law = scipy_stats.poisson(mean) if math.isinf(size) else scipy_stats.nbinom(size, size / (size + mean))

    assert silence_chance(mean, size) == pytest.approx(float(law.pmf(0)), rel=1e-6, abs=1e-300)


def test_what_was_due_adds_up_over_hours():
    season = Season("hour_of_day", tuple(float(hour) for hour in range(24)), math.inf, 100)

    # Half of a window at 9 h, two whole ones at 10 h, a tenth at 11 h of the next day.
    assert due(season, [(9, 0.5), (10, 2.0), (35, 0.1)]) == pytest.approx(4.5 + 20 + 1.1)


def test_hours_of_the_week_begin_on_monday():
    assert [slot_of(0, 0), slot_of(0, 23), slot_of(6, 23)] == [0, 23, 167]
    for call in (
        lambda: slot_of(7, 0),
        lambda: learn_season(np.array([1]), np.array([168]), 30.0),
        lambda: learn_season(np.array([1]), np.array([1, 2]), 30.0),
    ):
        with pytest.raises(ValueError, match="are needed"):
            call()
