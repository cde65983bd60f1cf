"""Counts against what was expected: their scores, their dispersion, and how long nobody may call."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from alerts.stats import ewma
from alerts.stats.counts import (
    count_score,
    estimated_size,
    silence,
    silence_chance,
    silence_needed,
    size_of,
)
from alerts.stats.seasons import expected_in, learn_season, silence_p

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def week(level=160.0):
    """Mean counts of the hours of one week: busy days, quiet nights and weekends."""
    hours = np.arange(168)
    return level * (1 + 0.8 * np.sin(2 * np.pi * (hours % 24 - 8) / 24)) * np.where(hours // 24 >= 5, 0.4, 1.0)


def drawn(rng, mean, size):
    return rng.poisson(mean) if math.isinf(size) else rng.negative_binomial(size, size / (size + mean))


@pytest.mark.parametrize("size", [math.inf, 60.0, 8.0])
@pytest.mark.parametrize("weeks", [4, 8])
@pytest.mark.parametrize("level", [8.0, 160.0])
def test_scores_against_a_learned_season_are_normal(size, weeks, level):
    rng = np.random.default_rng(3)
    mean = week(level)
    starts = [MONDAY + timedelta(hours=at) for at in range(168 * weeks)]
    season = learn_season(starts, drawn(rng, np.tile(mean, weeks), size), zone=UTC)

    later = MONDAY + timedelta(weeks=weeks)
    due = [
        expected_in(season, later + timedelta(hours=h), later + timedelta(hours=h + 1), zone=UTC) for h in range(168)
    ]
    learned = size_of(season.dispersion)
    fresh = drawn(rng, np.tile(mean, 60), size)
    z = np.array([count_score(int(k), due[at % 168], learned) for at, k in enumerate(fresh)])

    # Sixty new weeks against one season: its errors, of four or eight weeks, are in the scores and in their spread.
    # Levels of few weeks are off together: measured up to .15 sd, and of four small counts .09 low on average.
    assert z.mean() == pytest.approx(0, abs=0.25 if (weeks, level) == (4, 8.0) else 0.2)
    assert 0.85 < z.std() < 1.15
    # One in a thousand lies beyond 3.29 sd (10 of 10,080), and not many more.
    assert (np.abs(z) > 3.29).mean() < 0.004


@pytest.mark.parametrize("size", [3.0, 20.0, 200.0])
def test_dispersion_is_found(size):
    rng = np.random.default_rng(6)
    mean = rng.uniform(20, 200, 20_000)

    # Cutting single wild windows costs a long-tailed law some of its spread: at most a third of it.
    assert size * 0.9 < estimated_size(drawn(rng, mean, size) - mean, mean) < size * 1.35


def test_no_more_than_poisson_is_poisson():
    rng = np.random.default_rng(7)
    mean = rng.uniform(1, 50, 20_000)

    assert estimated_size(rng.poisson(mean) - mean, mean) > 1_000
    assert math.isinf(estimated_size(np.zeros(10), np.full(10, 5.0)))
    assert math.isinf(estimated_size(np.zeros(0), np.zeros(0)))


def test_ewma_of_counts_keeps_its_run_length():
    rng = np.random.default_rng(8)
    boundary = ewma.boundary_for(0.1, 500.0)
    mean = week(40.0)
    c = alarms = points = 0
    for _ in range(240):
        for m in mean:
            c += 0.1 * (count_score(int(drawn(rng, m, 12.0)), float(m), 12.0) - c)
            points += 1
            if abs(c) > boundary:
                alarms, c = alarms + 1, 0.0

    # 81 alarms expected at most: a Poisson error of 9, times 3.9.
    assert alarms <= points / 500 + 3.9 * math.sqrt(points / 500)


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


def test_an_hour_nobody_was_seen_in_expects_a_little():
    assert 0 < count_score(1, 0.0) < 3
    assert count_score(0, 0.0) < 0.1


def test_dispersion_and_size_are_two_words_for_one():
    assert size_of(0.125) == 8
    assert math.isinf(size_of(0))
    assert silence_p(30.0, 0.125) == pytest.approx(silence_chance(30.0, 8.0))
    with pytest.raises(ValueError, match="at least 0"):
        size_of(-0.1)
