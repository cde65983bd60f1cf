"""Rare events: the likelihood-ratio CUSUM at real volumes, gaps between events, and Jeffreys' prior."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import proportion_confint

from alerts.stats.rare import gap_score, is_rare, jeffreys, shortest_gaps, simulated_limit, weights
from evals.stats.results import TooLittle


def quarter_hours(n=672):
    """Requests a quarter of an hour over a week: days, nights and weekends, as in the benchmark."""
    t = np.arange(n)
    return 150 * (1 + 0.9 * np.sin(2 * np.pi * (t % 96) / 96)) * np.where((t // 96) % 7 >= 5, 0.5, 1.0) + 3


def chain(p0, p, n, limit, ratio=2.0, states=1_500):
    """ARL of the CUSUM of windows of `n` by a Markov chain on a fine grid (Brook & Evans 1972), as a check."""
    w = weights(p0, ratio)
    width = limit / states
    steps = np.arange(0, 60) * w.event + (n - np.arange(0, 60)) * w.calm
    chances = scipy_stats.binom.pmf(np.arange(60), n, p)
    moves = np.zeros((states + 1, states + 1))
    for at in range(states + 1):
        for step, chance in zip(steps, chances, strict=True):
            to = max(0, round((at * width + step) / width))
            if to <= states:
                moves[at, to] += chance
    return float(np.linalg.solve(np.eye(states + 1) - moves, np.ones(states + 1))[0])


def test_the_limit_agrees_with_a_markov_chain_at_one_volume():
    found = simulated_limit(np.full(10, 50), 0.004, 2_000.0, 1)

    # The stated error, times 3.9, and the steps of the sum: between two of them any limit is the same.
    exact = chain(0.004, 0.004, 50, found.limit)
    assert math.log(exact / 2_000) == pytest.approx(0, abs=3.9 * found.error + 0.15)
    assert 0.03 < found.error < 0.08
    assert not found.out_of_reach


def test_the_limit_of_the_specification():
    # 3.2: h = 6 gives about .3 false alarms per 1,000 windows of the benchmark's volumes at 2 %.
    volumes = np.random.default_rng(0).poisson(quarter_hours())

    assert simulated_limit(volumes, 0.02, 3_333.0, 1).limit == pytest.approx(6.0, abs=0.5)


def test_twice_the_errors_are_seen_within_a_few_windows():
    rng = np.random.default_rng(2)
    volumes = rng.poisson(quarter_hours())
    limit, w = simulated_limit(volumes, 0.02, 3_333.0, 1).limit, weights(0.02)
    delays = []
    for _ in range(300):
        total, at = 0.0, int(rng.integers(672))
        for step in range(672):
            n = int(volumes[(at + step) % 672])
            total = w.step(total, int(rng.binomial(n, 0.04)), n)
            if total > limit:
                delays.append(step + 1)
                break

    assert len(delays) == 300
    assert np.median(delays) <= 8


def test_an_uncertain_share_takes_a_higher_limit():
    volumes = np.full(96, 100)
    known, unsure, hardly = (
        simulated_limit(volumes, 0.005, 500.0, 3, known_from=known) for known in (None, (480, 96_000), (30, 6_000))
    )

    assert known.limit < unsure.limit < hardly.limit


def test_the_same_seed_gives_the_same_limit_and_too_little_is_said():
    volumes = np.random.default_rng(1).poisson(30, 200)

    assert simulated_limit(volumes, 0.01, 500.0, 9) == simulated_limit(volumes, 0.01, 500.0, 9)
    assert simulated_limit(np.zeros(20, dtype=int), 0.01, 500.0, 9) == TooLittle(0, 1, "requests")
    with pytest.raises(ValueError, match="at least 2"):
        simulated_limit(volumes, 0.01, 1.0, 9)


def test_calibrating_is_quick_enough():
    volumes = np.random.default_rng(1).poisson(quarter_hours())
    for arl0, seconds in ((5_000.0, 0.5), (100_000.0, 3.0)):
        begun = time.process_time()
        simulated_limit(volumes, 0.002, arl0, 1)
        assert time.process_time() - begun < seconds


def test_steps_are_log_likelihood_ratios():
    w = weights(0.01)

    assert w.event == pytest.approx(math.log(2))
    assert w.calm == pytest.approx(math.log(0.98 / 0.99))
    assert w.step(0.0, 0, 100) == 0
    assert w.step(1.5, 0, 0) == 1.5
    assert w.step(1.0, 2, 10) == pytest.approx(1 + 2 * w.event + 8 * w.calm)
    assert weights(0.9).p1 == 0.999
    assert weights(0.01, 0.5).event == pytest.approx(-math.log(2))
    assert weights(0.01, 0.5).calm > 0
    for wrong in ((0.0, 2.0), (0.01, 1.0), (0.999, 2.0)):
        with pytest.raises(ValueError, match="are needed"):
            weights(*wrong)


@pytest.mark.parametrize(("events", "n"), [(0, 7), (1, 7), (3, 7), (7, 7), (2, 2_000), (30, 400)])
def test_jeffreys_limits_agree_with_statsmodels(events, n):
    # Brown, Cai & DasGupta 2001, section 4.3: equal tails of the posterior, and 0 and 1 themselves at the ends.
    low, high = proportion_confint(events, n, method="jeffreys")
    found = jeffreys(events, n)

    assert found.low == pytest.approx(0 if events == 0 else low, abs=1e-9)
    assert found.high == pytest.approx(1 if events == n else high, abs=1e-9)


def test_a_share_of_few_events_says_that_it_is_assumed():
    assert jeffreys(0, 0).share == 0.5
    assert jeffreys(7, 7).high == 1.0
    assert jeffreys(3, 2_000).share == pytest.approx(3.5 / 2_001)
    assert jeffreys(3, 2_000).assumed
    assert not jeffreys(30, 2_000).assumed
    with pytest.raises(ValueError, match="are needed"):
        jeffreys(3, 2)


def test_short_gaps_score_high():
    # Of a share of 1 %, the median gap is 69 requests.
    assert gap_score(69, 0.01) == pytest.approx(0, abs=0.01)
    assert gap_score(1, 0.01) == pytest.approx(scipy_stats.norm.isf(0.005), abs=1e-6)
    assert gap_score(100_000, 0.01) == pytest.approx(-5.9978, abs=1e-3)
    rng = np.random.default_rng(5)
    z = np.array([gap_score(int(gap), 0.05) for gap in rng.geometric(0.05, 20_000)])
    assert (z.mean(), z.std()) == pytest.approx((0, 1), abs=0.03)
    with pytest.raises(ValueError, match="are needed"):
        gap_score(0, 0.01)


@pytest.mark.parametrize(("p0", "alpha"), [(0.01, 0.05), (0.001, 0.01), (0.05, 0.2), (0.01, 0.001)])
def test_the_shortest_gaps_are_as_rare_as_wanted(p0, alpha):
    gap = shortest_gaps(p0, alpha)
    law = scipy_stats.geom(p0)

    if gap is None:
        assert law.cdf(1) > alpha
    else:
        assert law.cdf(gap) <= alpha < law.cdf(gap + 1)
    with pytest.raises(ValueError, match="are needed"):
        shortest_gaps(p0, 1.0)


def test_rare_is_less_than_one_a_window():
    assert is_rare(0.001, 900)
    assert not is_rare(0.001, 1_000)
