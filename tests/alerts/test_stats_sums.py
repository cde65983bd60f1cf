"""Sums of amounts: how uneven they are, how counts are told from them, and their normal scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alerts.stats.counts import size_by_moments
from alerts.stats.seasons import level_of, used_to
from alerts.stats.sums import Spread, is_sum, spread_by_moments, sum_score, unit_of_sums

# Gamma amounts of shape ½ and mean 4,000: E[X²] / E[X] = 12,000.
SHAPE, SCALE, ONE, UNIT = 0.5, 8_000.0, 4_000.0, 12_000.0


def sums(g, events):
    """Sums of as many gamma amounts."""
    return g.gamma(np.maximum(SHAPE * events, 1e-12), SCALE) * (events > 0)


@pytest.mark.parametrize("size", [math.inf, 25.0])
def test_unit_size_and_one_of_sums_are_found(size):
    g = np.random.default_rng(1)
    calls = np.exp(g.uniform(math.log(1), math.log(300), 20_000))
    rates = calls if math.isinf(size) else calls * g.gamma(size, 1 / size, calls.size)
    events = sums(g, g.poisson(rates))

    found = spread_by_moments(events, ONE * calls, 0.0)

    # Moments of 20,000 windows, with the kurtosis of few events: some 3 % off.
    assert found.unit == pytest.approx(UNIT, rel=0.12)
    assert found.one == pytest.approx(ONE, rel=0.05)
    assert found.size > 500 if math.isinf(size) else found.size == pytest.approx(size, rel=0.2)


def test_means_that_are_all_alike_leave_everything_to_the_unit():
    g = np.random.default_rng(2)
    events = sums(g, g.poisson(20.0, 2_000))

    found = spread_by_moments(events, np.full(2_000, 20 * ONE), 0.0)

    assert found.unit == pytest.approx(unit_of_sums(events, np.full(2_000, 20 * ONE), 0.0))
    assert found.size == 1e6


@pytest.mark.parametrize("law", ["poisson", "negative binomial"])
def test_counts_are_no_sums_and_sums_are(law):
    g = np.random.default_rng(3)
    calls = np.exp(g.uniform(math.log(2), math.log(200), 672))
    rates = calls if law == "poisson" else calls * g.gamma(15, 1 / 15, calls.size)
    events = g.poisson(rates)
    amounts = sums(g, events)

    assert not is_sum(events.astype(float), calls, size_by_moments(events, calls, 0.0), 0.0)
    assert is_sum(amounts, ONE * calls, size_by_moments(amounts, ONE * calls, 0.0), 0.0)
    assert not is_sum(amounts[:19], ONE * calls[:19], 10.0, 0.0)


@pytest.mark.parametrize("calls", [0.7, 3.0, 40.0])
def test_scores_of_sums_are_normal_however_few_events_they_are_of(calls):
    g = np.random.default_rng(4)
    spread = Spread(UNIT, 1e6, ONE)

    z = np.array([sum_score(k, ONE * calls, spread, 0.0)[0] for k in sums(g, g.poisson(calls, 3_000)).tolist()])

    # Errors .018 and .013. Mid-p of so many that hold nothing is narrower; what is over 0 is no gamma to the last.
    assert z.mean() == pytest.approx(0, abs=0.08)
    assert 0.8 < z.std() < 1.06
    # Beyond 3.1 sd lie 3 of 3,000 by chance; as counts it would be half of them.
    assert (np.abs(z) > 3.1).sum() <= 9


def test_tails_of_sums_by_hand():
    spread = Spread(UNIT, 1e6, ONE)

    _, low, high = sum_score(0, 3 * ONE, spread, 0.0)
    assert (low, high) == pytest.approx((math.exp(-3) / 2, 1 - math.exp(-3) / 2), rel=1e-4)

    # Amounts between: both tails are the whole.
    _, low, high = sum_score(10_000.0, 3 * ONE, spread, 0.2)
    assert low + high == pytest.approx(1)


def test_levels_of_sums_are_means_in_quiet_hours_and_join_their_neighbours():
    # 3 events: the mean, of which the median knows nothing; 300 events: the median of a gamma, a third of a unit low.
    assert level_of([0.0, 1_000.0, 35_000.0], UNIT) == 12_000
    assert level_of([1e6, 1.1e6, 9e9], UNIT) == 1.1e6 + UNIT / 3
    assert level_of([0.0, 0.0], UNIT) == UNIT / 4

    hours = np.arange(48) + 0.5
    events = np.where(hours % 24 < 5, 0.0, 1e7)
    events[2] = 60_000.0
    usual = used_to(events, hours % 24, 24, UNIT)
    # Half an hour of the two days is 30,000 and, with four that held nothing, a fifth of it.
    assert usual[2] == pytest.approx((30_000 + 4 * UNIT / 4) / 5)
    assert usual[12] == 1e7 + UNIT / 3
