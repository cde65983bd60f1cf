"""Counts against what was expected: their scores, their dispersion, and how long nobody may call."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from alerts.stats.counts import count_score, silence_chance, size_by_moments


@pytest.mark.parametrize("size", [3.0, 20.0, 200.0])
def test_dispersion_is_found(size):
    rng = np.random.default_rng(6)
    mean = rng.uniform(20, 200, 20_000)
    events = rng.negative_binomial(size, size / (size + mean)).astype(float)

    # 20,000 windows: the moment has an error of 2 % (of 5 % where single windows rule it).
    assert size_by_moments(events, mean, 0.0) == pytest.approx(size, rel=0.2)


def test_no_more_than_poisson_is_poisson():
    rng = np.random.default_rng(7)
    mean = rng.uniform(1, 50, 20_000)

    assert size_by_moments(rng.poisson(mean).astype(float), mean, 0.0) > 1_000
    assert size_by_moments(mean, mean, 0.0) == 1e6


def test_the_error_of_the_level_is_no_dispersion():
    rng = np.random.default_rng(8)
    mean = np.full(50_000, 40.0)
    # Levels that are means of five windows: as much off as one window is, by the root of five.
    expected = rng.poisson(40.0 * 5, 50_000) / 5

    events = rng.poisson(mean).astype(float)

    assert size_by_moments(events, expected, 0.0) < 400
    assert size_by_moments(events, expected, 0.2) > 1_500


@pytest.mark.parametrize(("mean", "size"), [(4.0, 1e6), (150.0, 20.0), (3.0, 2.0)])
def test_scores_of_counts_are_normal(mean, size):
    rng = np.random.default_rng(9)
    events = rng.negative_binomial(size, size / (size + mean), 4_000)
    known = {k: count_score(float(k), mean, size, 0.0)[0] for k in set(events.tolist())}
    z = np.array([known[k] for k in events.tolist()])

    # 4,000 scores: mean off by .016 (one sd), sd by .011; mid-p of few counts is a little narrower.
    assert z.mean() == pytest.approx(0, abs=0.065)
    assert z.std() == pytest.approx(1, abs=0.065)


def test_a_score_comes_with_both_exact_tails():
    z, below, above = count_score(30.0, 20.0, 10.0, 0.0)
    law = scipy_stats.nbinom(10, 10 / 30)

    assert below == pytest.approx(law.cdf(29) + law.pmf(30) / 2)
    assert above == pytest.approx(law.sf(30) + law.pmf(30) / 2)
    assert z == pytest.approx(scipy_stats.norm.ppf(below))


@given(mean=st.floats(0.5, 500), size=st.sampled_from([2.0, 30.0, math.inf]))
def test_chance_of_none_is_the_law_of_the_counts(mean, size):
    law = scipy_stats.poisson(mean) if math.isinf(size) else scipy_stats.nbinom(size, size / (size + mean))

    assert silence_chance(mean, size) == pytest.approx(float(law.pmf(0)), rel=1e-6, abs=1e-300)


def test_silence_by_hand():
    # Negative binomial of size 5: (1 + 10/5)^-5.
    assert silence_chance(10, 5) == pytest.approx(3.0**-5)
    assert silence_chance(10) == pytest.approx(math.exp(-10))
    assert silence_chance(0) == 1
    with pytest.raises(ValueError, match="at least 0"):
        silence_chance(-1)
