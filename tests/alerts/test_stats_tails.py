"""Tails of counts against scipy, exact scores and limits of shares, the p chart of Montgomery and what NIST prints."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from alerts.stats import ewma
from alerts.stats.proportions import (
    Crossing,
    crossing_chance,
    laney_sigma,
    normal_score,
    one_point_alarm,
    one_point_limits,
    overdispersion,
    p_chart,
    reference,
)
from alerts.stats.tails import count_tails, share_tails
from evals.stats.results import TooLittle


def close(found, expected, absolute=1e-13):
    assert found.below == pytest.approx(float(expected[0]), rel=1e-7, abs=absolute)
    assert found.at == pytest.approx(float(expected[1]), rel=1e-7, abs=1e-290)
    assert found.above == pytest.approx(float(expected[2]), rel=1e-7, abs=absolute)


def of_scipy(law, k):
    return law.cdf(k - 1), law.pmf(k), law.sf(k)


@given(n=st.integers(1, 5_000), share=st.floats(0, 1), p=st.floats(0.001, 0.999))
@settings(deadline=None, max_examples=200)
def test_binomial_tails_agree_with_scipy(n, share, p):
    k = round(n * share)

    close(share_tails(k, n, p), of_scipy(scipy_stats.binom(n, p), k))


@given(n=st.integers(1, 3_000), share=st.floats(0, 1), p=st.floats(0.005, 0.995), rho=st.floats(0.0005, 0.6))
@settings(deadline=None, max_examples=200)
def test_beta_binomial_tails_agree_with_scipy(n, share, p, rho):
    k = round(n * share)
    law = scipy_stats.betabinom(n, p * (1 / rho - 1), (1 - p) * (1 / rho - 1))
    at = float(law.pmf(k))
    # scipy sums its own tails one by one from 0; so does this, with every term of its own.
    terms = law.pmf(np.arange(n + 1))

    found = share_tails(k, n, p, rho)

    assert found.at == pytest.approx(at, rel=1e-7)
    assert found.below == pytest.approx(float(terms[:k].sum()), rel=1e-7, abs=1e-11)
    assert found.above == pytest.approx(float(terms[k + 1 :].sum()), rel=1e-7, abs=1e-11)


@given(mean=st.floats(0.01, 20_000), spread=st.floats(0, 6), size=st.sampled_from([math.inf, 0.3, 2, 15.5, 400, 1e5]))
@settings(deadline=None, max_examples=200)
def test_tails_of_counts_agree_with_scipy(mean, spread, size):
    sd = math.sqrt(mean + (0 if math.isinf(size) else mean * mean / size))
    law = scipy_stats.poisson(mean) if math.isinf(size) else scipy_stats.nbinom(size, size / (size + mean))

    for k in {max(0, round(mean + spread * sd)), max(0, round(mean - spread * sd))}:
        # A very long tail is 1 less the other one: no more digits than that leaves.
        close(count_tails(k, mean, size), of_scipy(law, k), absolute=3e-9)


def test_large_counts_keep_their_digits():
    for k in (2_000_000 - 5_000, 2_000_000, 2_000_000 + 5_000):
        law = scipy_stats.binom(10**8, 0.02)
        assert share_tails(k, 10**8, 0.02).mid_low == pytest.approx(law.cdf(k - 1) + law.pmf(k) / 2, rel=1e-5)
    assert count_tails(10**6, 1e6).mid_low == pytest.approx(0.5, abs=1e-3)
    assert count_tails(10**6, 10.0).above == 0.0
    assert count_tails(10**5, 1e6, 0.01).mid_high == pytest.approx(
        scipy_stats.nbinom(0.01, 0.01 / (0.01 + 1e6)).sf(10**5), rel=1e-3
    )


@pytest.mark.parametrize("z", [-6.0, -3.0, -0.5, 0.5, 3.0, 6.0])
@pytest.mark.parametrize(("mean", "size"), [(4e6, 20.0), (4e5, 3.0), (150_000.0, 0.5), (3e6, 1e5), (5e7, math.inf)])
def test_tails_of_money_in_millionths_are_quick_and_exact(mean, size, z):
    law = scipy_stats.poisson(mean) if math.isinf(size) else scipy_stats.nbinom(size, size / (size + mean))
    k = int(law.ppf(scipy_stats.norm.cdf(z)))

    found = count_tails(k, mean, size)

    # 1 less the other tail has no more digits than that leaves.
    assert found.below == pytest.approx(float(law.cdf(k - 1)), rel=1e-5, abs=1e-9)
    assert found.above == pytest.approx(float(law.sf(k)), rel=1e-5, abs=1e-9)
    begun = time.process_time()
    for _ in range(20):
        count_tails(k, mean, size)
    assert (time.process_time() - begun) / 20 < 0.01


@pytest.mark.parametrize(("k", "rho"), [(25_000, 0.01), (60_000, 0.01), (1_000, 0.01), (21_000, 1e-4), (300_000, 0.9)])
def test_shares_of_a_million_are_quick_and_exact(k, rho):
    a, b = 0.02 * (1 / rho - 1), 0.98 * (1 / rho - 1)
    terms = scipy_stats.betabinom(10**6, a, b).pmf(np.arange(10**6 + 1))

    found = share_tails(k, 10**6, 0.02, rho)

    assert found.below == pytest.approx(float(terms[:k].sum()), rel=2e-5, abs=1e-10)
    assert found.above == pytest.approx(float(terms[k + 1 :].sum()), rel=3e-4 if rho > 0.5 else 2e-5, abs=1e-10)
    begun = time.process_time()
    for _ in range(20):
        share_tails(k, 10**6, 0.02, rho)
    assert (time.process_time() - begun) / 20 < 0.01


def test_tails_need_counts_within_n():
    for call in (
        lambda: share_tails(5, 4, 0.1),
        lambda: share_tails(-1, 4, 0.1),
        lambda: share_tails(1, 4, 0.0),
        lambda: share_tails(1, 4, 0.5, 1.0),
        lambda: count_tails(-1, 2),
        lambda: count_tails(1, 0),
        lambda: count_tails(1, 1, 0),
        lambda: one_point_limits(10, 0.1, 0, 1.0),
        lambda: reference(np.array([2]), np.array([1])),
    ):
        with pytest.raises(ValueError, match=r"needed|need"):
            call()


def test_scores_are_mid_p_and_bounded():
    assert normal_score(0, 0, 0.1) is None
    # P(X < 1) + P(X = 1)/2 of 2 at 1/2 is one half.
    assert normal_score(1, 2, 0.5) == pytest.approx(0, abs=1e-12)
    assert normal_score(3, 100, 0.02) == pytest.approx(
        scipy_stats.norm.ppf(scipy_stats.binom.cdf(2, 100, 0.02) + scipy_stats.binom.pmf(3, 100, 0.02) / 2)
    )
    assert normal_score(100_000, 100_000, 0.001) == pytest.approx(5.9978, abs=1e-3)
    assert normal_score(0, 100_000, 0.5) == pytest.approx(-5.9978, abs=1e-3)


@given(n=st.integers(1, 2_000), share=st.floats(0, 1), p=st.floats(0.01, 0.99), rho=st.floats(0, 0.3))
@settings(deadline=None)
def test_scores_mirror_when_failures_are_counted_as_successes(n, share, p, rho):
    k = round(n * share)

    assert normal_score(k, n, p, rho) == pytest.approx(-normal_score(n - k, n, 1 - p, rho), abs=1e-5)


@given(n=st.integers(1, 400), p=st.floats(0.005, 0.5), rho=st.floats(0, 0.1), alpha=st.floats(1e-6, 0.1))
@settings(deadline=None, max_examples=60)
def test_one_point_limits_are_where_the_alarm_begins(n, p, rho, alpha):
    found = one_point_limits(n, p, rho, alpha)

    alarms = {k: one_point_alarm(k, n, p, rho, alpha) for k in range(n + 1)}
    assert found.high == next((k for k in range(n + 1) if alarms[k] == "up"), None)
    assert found.low == next((k for k in range(n, -1, -1) if alarms[k] == "down"), None)
    law = (
        scipy_stats.betabinom(n, p * (1 / rho - 1), (1 - p) * (1 / rho - 1)) if rho > 1e-6 else scipy_stats.binom(n, p)
    )
    chance = sum(float(law.pmf(k)) for k, alarm in alarms.items() if alarm)
    assert crossing_chance(n, found, p, rho if rho > 1e-6 else 0) == pytest.approx(chance, rel=1e-5, abs=1e-12)
    # Mid-p may spend a little over its error, never over twice.
    assert chance <= 2 * alpha


def test_one_point_limits_of_one_side_or_of_nothing():
    assert one_point_limits(0, 0.1, 0, 0.01) == Crossing(None, None)
    assert one_point_limits(3, 0.02, 0, 1e-6) == Crossing(None, None)
    assert one_point_limits(200, 0.02, 0, 1e-3, "up").low is None
    assert one_point_limits(200, 0.2, 0, 1e-3, "down").high is None
    assert one_point_limits(200, 0.2, 0, 1e-3, "up").high < one_point_limits(200, 0.2, 0, 1e-3).high
    assert one_point_alarm(5, 5, 0.02, 0, 1e-4) == "up"
    assert one_point_alarm(0, 0, 0.02, 0, 1e-4) is None
    assert crossing_chance(0, Crossing(0, 1), 0.1) == 0


# Montgomery, table 7.1: cardboard cans of orange juice concentrate, nonconforming of 50 in each of 30 samples.
JUICE = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6]


def test_p_chart_of_montgomery():
    k, n = np.array(JUICE), np.full(30, 50)

    found = reference(k, n)

    assert found.events == 347
    assert found.p == pytest.approx(0.2313, abs=5e-5)
    assert p_chart(50, round(found.p, 4)) == pytest.approx((0.0524, 0.4102), abs=1e-4)
    out = [
        at + 1 for at, count in enumerate(JUICE) if not p_chart(50, found.p)[0] <= count / 50 <= p_chart(50, found.p)[1]
    ]
    assert out == [15, 23]
    kept = np.array([count for at, count in enumerate(JUICE) if at + 1 not in out])
    revised = kept.sum() / (50 * kept.size)
    assert revised == pytest.approx(0.2150, abs=5e-5)
    assert p_chart(50, revised) == pytest.approx((0.0407, 0.3893), abs=1e-4)


def test_exact_limits_of_the_juice_at_three_sd():
    # The same two samples alarm by exact tails at the chance of three sd, and no other.
    found = reference(np.array(JUICE), np.full(30, 50))
    alarms = [at + 1 for at, k in enumerate(JUICE) if one_point_alarm(k, 50, found.p, 0.0, 1 / 370)]

    assert alarms == [15, 23]


def test_overdispersion_is_found_and_none_where_there_is_none():
    rng = np.random.default_rng(5)
    n = rng.integers(20, 400, 20_000)
    for rho in (0.0, 0.01, 0.05):
        shares = rng.beta(0.02 * (1 / rho - 1), 0.98 * (1 / rho - 1), n.size) if rho else np.full(n.size, 0.02)
        k = rng.binomial(n, shares)
        found = reference(k, n)
        assert found.p == pytest.approx(0.02, rel=0.06)
        assert found.rho == pytest.approx(rho, rel=0.12, abs=3e-4)
        # Laney's sigma_z is the sd of plain scores: 1 without overdispersion, sqrt(1 + (n - 1) rho) with it.
        if not rho:
            assert found.sigma_z == pytest.approx(1, abs=0.06)
        else:
            assert found.sigma_z > 1.2


def test_a_baseline_with_few_events_is_too_little():
    assert reference(np.array([3, 2]), np.array([500, 500])) == TooLittle(5, 30, "events")
    # Nearly all failing is as little to go by as hardly any.
    assert reference(np.array([500, 498]), np.array([500, 500])) == TooLittle(2, 30, "events")
    assert reference(np.array([0, 40, 30]), np.array([0, 500, 500])).windows == 2
    assert overdispersion(np.array([1, 0, 1]), np.array([1, 1, 1]), 0.5) == 0.0


def test_sigma_of_laney_by_hand():
    # z = (-1, 1, 0) at p = .5, n = 100: moving ranges 2 and 1.
    assert laney_sigma(np.array([45, 55, 50]), np.full(3, 100), 0.5) == pytest.approx(1.5 / 1.128379, rel=1e-6)


@pytest.mark.parametrize(
    ("p", "rho", "volume"), [(0.02, 0.0, 150), (0.02, 0.01, 150), (0.3, 0.05, 40), (0.02, 0.0, 30)]
)
def test_ewma_of_scores_keeps_its_run_length_at_any_volume(p, rho, volume):
    """No more false alarms than the Gaussian limit promises, whatever the n: fewer where counts are few and coarse."""
    rng = np.random.default_rng(17)
    chains, steps, arl0 = 400, 500, 200.0
    boundary = ewma.boundary_for(0.1, arl0)
    n = rng.poisson(volume * (1 + 0.9 * np.sin(2 * np.pi * np.arange(steps) / 96)))
    scores: dict[tuple[int, int], float | None] = {}
    c, alarms = np.zeros(chains), 0
    for size in n:
        size = int(size)
        shares = rng.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1), chains) if rho else p
        for chain, k in enumerate(rng.binomial(size, shares, chains)):
            if (key := (int(k), size)) not in scores:
                scores[key] = normal_score(*key, p, rho)
            if (z := scores[key]) is not None:
                c[chain] += 0.1 * (z - c[chain])
        hit = np.abs(c) > boundary
        alarms += int(hit.sum())
        c[hit] = 0

    # 1,000 alarms expected: Poisson error 3.2 %, times 3.9.
    assert alarms <= 1_000 * 1.125


def test_a_score_takes_less_than_fifty_microseconds():
    rng = np.random.default_rng(3)
    windows = [(int(k), int(n)) for n in rng.poisson(300, 1_000) for k in [rng.binomial(n, 0.02)]]
    best = math.inf
    for _ in range(5):
        begun = time.process_time()
        for k, n in windows:
            normal_score(k, n, 0.02, 0.01)
        best = min(best, time.process_time() - begun)

    assert best / len(windows) < 50e-6
