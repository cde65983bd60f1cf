"""Limits with the error of the baseline inside: what rate of false alarms real baselines then have, and the cost."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from alerts.detectors._gauss import boundary
from alerts.stats import cusum, estimated, ewma
from alerts.stats.ewma import boundary_for
from alerts.stats.resampling import Channel, Rule, chain_limits

SPC = json.loads((Path(__file__).parents[1] / "fixtures/statistics/spc.json").read_text())


Z = [Channel("z")]
SCORES = np.random.default_rng(9).choice([1.0, 2, 3, 4, 5], 500, p=[0.03, 0.05, 0.12, 0.35, 0.45])[:, None]


def ewma_limits(sample, lam, arl0, seed, up_share=0.5, **more):
    """The limits of one EWMA of the sample's values."""
    return chain_limits(sample, Z, [Rule("EWMA", 0, lam, 1.0)], arl0=arl0, up_share=up_share, seed=seed, **more)


def normal_sample(n):
    """A baseline that is normal to the digit: n quantiles."""
    return np.array([[NormalDist().inv_cdf((at - 0.5) / n)] for at in range(1, n + 1)])


def rate_of(baseline, limit, lam):
    """The exact rate of false alarms of this limit on standard normal points, given the frozen baseline."""
    mean, sd = baseline.mean(), baseline.std(ddof=1)
    return 1 / ewma.run_length(lam, limit * sd / ewma.statistic_sd(lam), -mean)


@pytest.mark.parametrize(("lam", "limit", "n", "arl"), SPC["ewma estimated: lambda, L, size, ARL"])
def test_run_length_with_estimated_parameters_agrees_with_r_spc(lam, limit, n, arl):
    assert estimated.run_length(lam, limit, int(n)) == pytest.approx(arl, rel=2e-4)


def test_run_length_with_estimated_parameters_agrees_with_simulated_baselines():
    rng = np.random.default_rng(3)
    baselines = rng.standard_normal((3_000, 50))
    limit = estimated.limit_for(0.1, 400.0, 50)
    rates = np.array([rate_of(one, limit * ewma.statistic_sd(0.1), 0.1) for one in baselines])

    assert rates.mean() == pytest.approx(1 / 400, abs=3.9 * rates.std() / math.sqrt(rates.size))
    # The textbook limit alarms more than twice as often.
    assert estimated.alarm_rate(0.1, ewma.limit_for(0.1, 400.0), 50) > 2 / 400


def test_a_better_known_baseline_has_a_narrower_limit():
    limits = [estimated.limit_for(0.1, 5_000.0, n) for n in (20, 50, 200, 1_000, 20_000)]

    assert limits == sorted(limits, reverse=True)
    assert limits[-1] == pytest.approx(ewma.limit_for(0.1, 5_000), rel=2e-3)
    with pytest.raises(ValueError, match="at least 8"):
        estimated.limit_for(0.1, 500.0, 5)


@pytest.mark.parametrize(("arl0", "beyond"), [(500.0, False), (5_000.0, False), (1_000_000.0, True)])
def test_one_ewma_of_normal_points_has_the_limit_of_the_integral_equation(arl0, beyond):
    # The centre is known to 1/sqrt(2,000).
    limits = ewma_limits(normal_sample(2_000), 0.1, arl0, 1)

    # 160 alarms: a run length within 8 % (one sd), a limit within a twelfth of that (d log ARL / d log L > 6); four sd
    # of one side, which has half of the alarms, are 4 %.
    wanted = boundary(0.1, 0.5 / arl0, 1 / math.sqrt(2_000))
    assert limits.high[0] == pytest.approx(wanted, rel=0.04)
    assert limits.low[0] == pytest.approx(-wanted, rel=0.04)
    assert limits.beyond is beyond


@pytest.mark.parametrize(("arl0", "beyond"), [(500.0, False), (5_000.0, False), (1_000_000.0, True)])
def test_two_sums_of_normal_points_have_the_limit_of_the_integral_equation(arl0, beyond):
    rules = [Rule(f"CUSUM {side}", 0, 1.0, 1.0, side, 0.5) for side in ("up", "down")]

    limits = chain_limits(normal_sample(4_000), Z, rules, arl0=arl0, up_share=0.5, seed=1)

    # As above; d log ARL / d log h is 4 to 13. A centre off by 1/sqrt(4,000) sd costs another 1 %.
    wanted = cusum.limit_for(0.5, arl0)
    assert limits.high == pytest.approx([wanted, wanted], rel=0.06)
    assert all(math.isinf(low) for low in limits.low)
    assert limits.beyond is beyond


def test_two_ewmas_of_one_series_need_less_than_their_separate_budgets():
    sample = np.random.default_rng(2).normal(0, 1, 1_000)[:, None]
    rules = [Rule("slow", 0, 0.05, 0.5), Rule("quick", 0, 0.1, 0.5)]

    limits = chain_limits(sample, Z, rules, arl0=2_000.0, up_share=0.5, seed=1)

    # Alone with half of the budget each would have the limit of twice the run length.
    assert boundary_for(0.05, 2_000.0) < limits.high[0] < boundary_for(0.05, 4_000.0) * 1.05
    assert boundary_for(0.1, 2_000.0) < limits.high[1] < boundary_for(0.1, 4_000.0) * 1.05


@pytest.mark.parametrize(("lam", "arl0", "n"), [(0.1, 300.0, 100), (0.05, 1_000.0, 200), (0.3, 300.0, 100)])
def test_counted_limits_keep_the_rate_over_real_baselines(lam, arl0, n):
    rng = np.random.default_rng(1)
    trials = 60
    rates = np.empty(trials)
    for trial in range(trials):
        baseline = rng.standard_normal(n)
        found = ewma_limits(baseline[:, None], lam, arl0, trial)
        rates[trial] = rate_of(baseline, (found.high[0] - found.low[0]) / 2, lam)

    # Measured over 400 baselines: .98 to 1.13 of the wanted rate (the bootstrap takes the baseline for the truth), with
    # limits for known parameters 1.48 to 1.69.
    error = 3.9 * rates.std() / math.sqrt(trials) * arl0
    assert 0.95 - error <= rates.mean() * arl0 <= 1.13 + error


def test_the_same_seed_gives_the_same_limits():
    assert ewma_limits(SCORES, 0.1, 5_000.0, 4).high == ewma_limits(SCORES, 0.1, 5_000.0, 4).high
    assert ewma_limits(SCORES, 0.1, 5_000.0, 4).high != ewma_limits(SCORES, 0.1, 5_000.0, 5).high


def test_skewed_scores_get_limits_of_their_own():
    # Scores crowd at 5: they fall far and rise little.
    limits = ewma_limits(SCORES, 0.1, 5_000.0, 1)

    assert -limits.low[0] > 1.15 * limits.high[0]


def test_dependent_points_need_blocks():
    rng = np.random.default_rng(4)
    baseline = (np.repeat(rng.standard_normal(40), 25) + rng.standard_normal(1_000))[:, None]
    alone, blocks = (ewma_limits(baseline, 0.05, 1_000.0, 1, block=block) for block in (1, 50))

    assert blocks.high[0] > 1.5 * alone.high[0]


def test_smoothing_keeps_the_spread_and_reaches_further():
    baseline = np.random.default_rng(4).standard_normal(30)[:, None]
    plain, smooth = (ewma_limits(baseline, 0.8, 5_000.0, 1, smooth=part) for part in (0.0, 0.4))

    assert smooth.high[0] > plain.high[0]
    assert ewma_limits(baseline, 0.05, 200.0, 1, smooth=0.4).high[0] == pytest.approx(
        ewma_limits(baseline, 0.05, 200.0, 1).high[0], rel=0.15
    )


def test_a_side_without_budget_has_no_limit():
    up, down = (ewma_limits(SCORES, 0.1, 500.0, 1, up_share=share) for share in (1.0, 0.0))

    assert math.isinf(up.low[0])
    assert math.isfinite(up.high[0])
    assert math.isinf(down.high[0])
    assert math.isfinite(down.low[0])


def test_a_constant_baseline_never_divides_by_nothing():
    limits = chain_limits(
        np.full((100, 1), 5.0),
        [Channel("z", floor=0.2)],
        [Rule("EWMA", 0, 0.1, 1.0)],
        arl0=1_000.0,
        up_share=0.5,
        seed=1,
    )

    assert (limits.low[0], limits.high[0]) == (0.0, 0.0)
    smoothed = chain_limits(
        np.full((100, 1), 5.0),
        [Channel("z", floor=1.0)],
        [Rule("EWMA", 0, 0.1, 1.0)],
        arl0=1_000.0,
        up_share=0.5,
        seed=1,
        smooth=1.0,
    )
    assert smoothed.high[0] == pytest.approx(boundary_for(0.1, 1_000.0), rel=0.15)


def test_fewer_rows_than_eight_are_no_baseline():
    with pytest.raises(ValueError, match="8 rows"):
        ewma_limits(np.zeros((5, 1)), 0.1, 500.0, 1)


@pytest.mark.parametrize(("arl0", "seconds"), [(5_000.0, 0.5), (100_000.0, 3.0)])
def test_calibrating_is_quick(arl0, seconds):
    baseline = np.random.default_rng(1).standard_normal((500, 1))
    begun = time.process_time()
    ewma_limits(baseline, 0.1, arl0, 1)

    assert time.process_time() - begun < seconds


def test_the_error_of_an_estimated_centre_widens_a_limit_until_its_mean_rate_is_the_budgets():
    known, estimated = boundary(0.1, 1 / 2_000), boundary(0.1, 1 / 2_000, 0.1)

    misses = np.random.default_rng(4).normal(0, 0.1, 400)
    rates = [1 / ewma.run_length(0.1, estimated / ewma.statistic_sd(0.1), float(miss), "up") for miss in misses]

    assert known < estimated
    # The mean of 400 drawn rates, four of its standard errors.
    assert np.mean(rates) == pytest.approx(1 / 2_000, abs=4 * float(np.std(rates)) / 20)
