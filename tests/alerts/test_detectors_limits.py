"""Limits that several statistics share, against the integral equation where it gives the answer."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from alerts.detectors._chains import Channel, Rule, chain_limits
from alerts.detectors._gauss import boundary
from alerts.stats.ewma import boundary_for, run_length, statistic_sd


@pytest.mark.parametrize(("arl0", "beyond"), [(500.0, False), (5_000.0, False), (1_000_000.0, True)])
def test_one_ewma_of_normal_points_has_the_limit_of_the_integral_equation(arl0: float, beyond: bool):
    # Given a baseline that is normal to the digit: 2,000 quantiles, whose centre is known to 1/sqrt(2,000).
    sample = np.array([[NormalDist().inv_cdf((at - 0.5) / 2_000)] for at in range(1, 2_001)])

    limits = chain_limits(sample, [Channel("z")], [Rule("EWMA 0.1", 0, 0.1, 1.0)], arl0=arl0, up_share=0.5, seed=1)

    # 160 alarms: a run length within 8 % (one sd), a limit within a twelfth of that (d log ARL / d log L > 6); four sd
    # of one side, which has half of the alarms, are 4 %.
    wanted = boundary(0.1, 0.5 / arl0, 1 / math.sqrt(2_000))
    assert limits.high[0] == pytest.approx(wanted, rel=0.04)
    assert limits.low[0] == pytest.approx(-wanted, rel=0.04)
    assert limits.beyond is beyond


def test_two_ewmas_of_one_series_need_less_than_their_separate_budgets():
    sample = np.random.default_rng(2).normal(0, 1, 1_000)[:, None]
    rules = [Rule("slow", 0, 0.05, 0.5), Rule("quick", 0, 0.1, 0.5)]

    limits = chain_limits(sample, [Channel("z")], rules, arl0=2_000.0, up_share=0.5, seed=1)

    # Alone with half of the budget each would have the limit of twice the run length.
    assert boundary_for(0.05, 2_000.0) < limits.high[0] < boundary_for(0.05, 4_000.0) * 1.05
    assert boundary_for(0.1, 2_000.0) < limits.high[1] < boundary_for(0.1, 4_000.0) * 1.05


def test_a_side_without_budget_has_no_limit():
    sample = np.random.default_rng(3).normal(0, 1, 500)[:, None]

    limits = chain_limits(sample, [Channel("z")], [Rule("up", 0, 0.1, 1.0)], arl0=500.0, up_share=1.0, seed=1)

    assert math.isinf(limits.low[0])
    assert math.isfinite(limits.high[0])


def test_the_error_of_an_estimated_centre_widens_a_limit_until_its_mean_rate_is_the_budgets():
    known, estimated = boundary(0.1, 1 / 2_000), boundary(0.1, 1 / 2_000, 0.1)

    misses = np.random.default_rng(4).normal(0, 0.1, 400)
    rates = [1 / run_length(0.1, estimated / statistic_sd(0.1), float(miss), "up") for miss in misses]

    assert known < estimated
    # The mean of 400 drawn rates, four of its standard errors.
    assert np.mean(rates) == pytest.approx(1 / 2_000, abs=4 * float(np.std(rates)) / 20)
