"""Limits with the error of the baseline inside: what rate of false alarms real baselines then have, and the cost."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from alerts.stats import estimated, ewma
from alerts.stats.resampling import by_exceedance, by_mean_and_sd, normal_limit, plan, resampled_limit
from evals.stats.results import TooLittle

SPC = json.loads((Path(__file__).parents[1] / "fixtures/statistics/spc.json").read_text())


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


@pytest.mark.parametrize(("lam", "arl0", "n"), [(0.1, 300.0, 100), (0.05, 1_000.0, 200), (0.3, 300.0, 100)])
def test_counted_limits_keep_the_rate_over_real_baselines(lam, arl0, n):
    rng = np.random.default_rng(1)
    trials = 80
    rates = np.empty(trials)
    for trial in range(trials):
        baseline = rng.standard_normal(n)
        rates[trial] = rate_of(baseline, resampled_limit(baseline, lam, arl0, trial, size=(400, 500)).limit, lam)

    # Measured over 400 baselines: 1.06 to 1.13 of the wanted rate (the bootstrap takes the baseline for the truth), by
    # survival 1.16 to 1.53, with limits for known parameters 1.48 to 1.69.
    error = 3.9 * rates.std() / math.sqrt(trials) * arl0
    assert 1.0 - error <= rates.mean() * arl0 <= 1.13 + error


def test_counting_is_no_narrower_than_survival():
    baseline = np.random.default_rng(2).standard_normal(60)
    survival, counting = (resampled_limit(baseline, 0.1, 500.0, 1, method=one) for one in ("survival", "counting"))

    assert survival.limit < counting.limit < 1.2 * survival.limit
    assert (survival.method, counting.method) == ("survival", "counting")


def test_resampling_normal_points_gives_the_limit_of_the_quadrature():
    # Points at the quantiles of a normal: the bootstrap world is as good as normal.
    baseline = scipy_stats.norm.ppf((np.arange(400) + 0.5) / 400)
    found = resampled_limit(baseline, 0.1, 2_000.0, 5, size=(12_000, 1_000))

    # 6,000 alarms: the rate within 2 % or so; L moves by a third of that, over L.
    assert normal_limit(0.1, found) == pytest.approx(estimated.limit_for(0.1, 2_000.0, 400), rel=0.015)


def test_the_same_seed_gives_the_same_limit_and_the_stated_error_is_true():
    baseline = np.random.default_rng(9).choice([1, 2, 3, 4, 5], 200, p=[0.03, 0.05, 0.12, 0.35, 0.45]).astype(float)
    limits = [resampled_limit(baseline, 0.1, 5_000.0, seed) for seed in range(30)]
    low, high = (resampled_limit(baseline, 0.1, arl0, 99, size=(15_000, 500)).limit for arl0 in (4_000.0, 6_250.0))
    slope = math.log(6_250 / 4_000) / (high - low)

    assert resampled_limit(baseline, 0.1, 5_000.0, 4) == limits[4]
    assert all(0.03 < one.error < 0.12 for one in limits)
    # The spread of limits, told as run lengths, against what each says of itself. 30 values: their sd within ±50 %.
    stated = np.mean([one.error for one in limits])
    assert 0.5 * stated < np.std([one.limit for one in limits]) * slope < 1.5 * stated
    assert not any(one.beyond for one in limits)


def test_skewed_scores_get_limits_of_their_own():
    # Scores crowd at 5: they fall far and rise little.
    baseline = np.random.default_rng(9).choice([1, 2, 3, 4, 5], 500, p=[0.03, 0.05, 0.12, 0.35, 0.45]).astype(float)
    down, up = (resampled_limit(baseline, 0.1, 5_000.0, 1, sides=sides) for sides in ("down", "up"))

    assert down.limit > 1.15 * up.limit


def test_dependent_points_need_blocks():
    rng = np.random.default_rng(4)
    baseline = np.repeat(rng.standard_normal(40), 25) + rng.standard_normal(1_000)
    alone, blocks = (resampled_limit(baseline, 0.05, 1_000.0, 1, block=block) for block in (1, 50))

    assert blocks.limit > 1.5 * alone.limit


def test_smoothing_keeps_the_spread_and_reaches_further():
    baseline = np.random.default_rng(4).standard_normal(30)
    plain, smooth = (resampled_limit(baseline, 0.8, 5_000.0, 1, smooth=h) for h in (0.0, 0.4))

    assert smooth.limit > plain.limit
    assert resampled_limit(baseline, 0.05, 200.0, 1, smooth=0.4).limit == pytest.approx(
        resampled_limit(baseline, 0.05, 200.0, 1).limit, rel=0.15
    )


def test_a_one_point_limit_cannot_look_beyond_its_baseline_and_says_so():
    # Weight 1, a run length far over n: the furthest point there is.
    found = resampled_limit(
        np.array([0.0, 1.0] * 25), 1.0, 100_000.0, 1, freeze=lambda b: lambda x: x - 0.5, method="survival"
    )
    assert found.beyond


def test_a_run_length_that_chains_cannot_count_is_said_to_be_beyond():
    baseline = np.random.default_rng(4).standard_normal(200)
    found = resampled_limit(baseline, 0.1, 1e8, 1, size=(500, 500))

    assert found.beyond
    assert found.error == 1
    assert found.limit <= resampled_limit(baseline, 0.1, 1e8, 1).limit


def test_the_quantile_is_estimated_again_in_every_chain():
    rng = np.random.default_rng(6)
    baseline = rng.lognormal(7, 0.5, 400)
    found = resampled_limit(baseline, 0.05, 2_000.0, 1, freeze=by_exceedance(), sides="up")
    cut = np.quantile(baseline, 0.95)
    fixed = resampled_limit(
        baseline, 0.05, 2_000.0, 1, freeze=lambda b: lambda x: ((x > cut) - 0.05) / math.sqrt(0.95 * 0.05), sides="up"
    )

    # The 95th percentile of 400 values is uncertain, and the limit pays for it.
    assert found.limit > 1.02 * fixed.limit


def test_a_constant_baseline_is_held_up_by_the_floor():
    found = resampled_limit(np.full(100, 5.0), 0.1, 1_000.0, 1, freeze=by_mean_and_sd(0.2))

    assert found.limit == 0.0
    assert found.beyond


def test_plans_hold_enough_alarms_and_memory():
    for lam in (0.02, 0.05, 0.1, 0.4):
        for arl0 in (20.0, 500.0, 5_000.0, 100_000.0):
            chains, steps = plan(lam, arl0)
            assert steps >= 10 / lam
            assert chains * -math.expm1(-steps / arl0) >= 100
    assert plan(0.1, 5_000.0, block=48)[1] % 48 == 0


def test_too_little_and_nonsense_are_told_apart():
    assert resampled_limit(np.zeros(5), 0.1, 500.0, 1) == TooLittle(5, 8, "points")
    for arguments in ((0.0, 500.0), (0.1, 1.0)):
        with pytest.raises(ValueError, match="are needed"):
            resampled_limit(np.arange(10.0), *arguments, 1)
    with pytest.raises(ValueError, match="are needed"):
        resampled_limit(np.arange(10.0), 0.1, 500.0, 1, block=11)


@pytest.mark.parametrize(("arl0", "seconds"), [(5_000.0, 0.5), (100_000.0, 3.0)])
def test_calibrating_is_quick(arl0, seconds):
    baseline = np.random.default_rng(1).standard_normal(500)
    begun = time.process_time()
    resampled_limit(baseline, 0.1, arl0, 1)

    assert time.process_time() - begun < seconds
