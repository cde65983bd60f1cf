"""Objectives by burn rate with proof, thresholds with what they would cost, and how a threshold stands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from alerts.stats.objectives import (
    BURN_RULES,
    Held,
    Threshold,
    Window,
    breach_chance,
    burn,
    burn_rate,
    exact_p,
    expected_false_alarms,
    hold,
    replayed_false_alarms,
    spent,
)


def quarter_hours(n):
    """Mean requests a quarter of an hour of the benchmark's proportion streams."""
    t = np.arange(n)
    return 150 * (1 + 0.9 * np.sin(2 * np.pi * (t % 96) / 96)) * np.where((t // 96) % 7 >= 5, 0.5, 1.0) + 3


def test_the_default_windows_are_those_of_the_workbook():
    # The Site Reliability Workbook, table 5-8: 1 h and 5 min at 14.4, 6 h and 30 min at 6.
    assert [(rule.long_minutes, rule.short_minutes, rule.rate) for rule in BURN_RULES] == [(60, 5, 14.4), (360, 30, 6)]
    # What they have used up of a month's allowance by then: 2 % and 5 %.
    assert [rule.rate * rule.long_minutes / 43_200 for rule in BURN_RULES] == pytest.approx([0.02, 0.05])


def test_a_burn_needs_both_windows_and_proof_in_both():
    rule, alpha = BURN_RULES[0], 1 / 8_400

    assert burn(rule, Window(160, 1_000), Window(15, 80), 0.01, alpha).alarm
    # The short window is over it: nothing goes wrong any more.
    assert not burn(rule, Window(160, 1_000), Window(0, 80), 0.01, alpha).alarm
    # The long one has hardly begun to burn.
    assert not burn(rule, Window(20, 1_000), Window(15, 80), 0.01, alpha).alarm
    # 1 of 3 burns at 33 times the rate, and proves nothing.
    few = burn(rule, Window(1, 3), Window(1, 3), 0.01, alpha)
    assert few.long_rate == pytest.approx(100 / 3)
    assert few.long_p == pytest.approx(1 - 0.99**3)
    assert not few.alarm
    silent = burn(rule, Window(160, 1_000), Window(0, 0), 0.01, alpha)
    assert (silent.short_rate, silent.short_p, silent.alarm) == (None, None, False)


@given(n=st.integers(1, 3_000), share=st.floats(0, 1), objective=st.floats(0.001, 0.5))
def test_proof_is_the_exact_binomial_test(n, share, objective):
    bad = round(n * share)

    assert exact_p(bad, n, objective) == pytest.approx(
        scipy_stats.binomtest(bad, n, objective, alternative="greater").pvalue, rel=1e-6, abs=1e-13
    )


def test_burn_rates_by_hand():
    assert burn_rate(3, 100, 0.01) == pytest.approx(3)
    assert burn_rate(0, 0, 0.01) is None
    assert spent(50, 10_000, 0.01) == pytest.approx(0.5)
    assert exact_p(0, 0, 0.01) is None
    assert exact_p(0, 10, 0.01) == 1
    with pytest.raises(ValueError, match="inside"):
        burn_rate(1, 10, 0.0)


@pytest.mark.parametrize(("rho", "published"), [(0.0, 46), (0.01, 85)])
def test_the_cost_of_error_over_five_percent(rho, published):
    """The threshold of source document 002: false alarms per 1,000 quarter-hours at a true 2 %, fault 19."""
    rng = np.random.default_rng(1)
    volumes = [int(n) for n in rng.poisson(np.tile(quarter_hours(1_344), 20))]

    found = expected_false_alarms(volumes, 672, 0.05, 0.02, rho)

    # The specification's figures are of a simulation of 40 x 1,344 windows: 3 % of Poisson error, a few per cent more
    # from its volumes.
    assert found.a_week / 672 * 1_000 == pytest.approx(published, rel=0.1)
    assert found.windows_a_week == 672


def test_expected_false_alarms_agree_with_simulation():
    rng = np.random.default_rng(2)
    volumes = [int(n) for n in rng.poisson(60, 300)]
    edges = 0
    for _ in range(300):
        beyond = rng.binomial(volumes, 0.02) / np.array(volumes) > 0.05
        edges += int((beyond & ~np.roll(beyond, 1)).sum())
    found = expected_false_alarms(volumes, 672, 0.05, 0.02)

    assert found.a_week / 672 == pytest.approx(edges / 90_000, abs=3.9 * math.sqrt(edges) / 90_000)


def test_the_chance_of_a_breach_counts_what_is_strictly_beyond():
    # Over 5 % of 20 is 2 or more; under 95 % of 20 is 18 or fewer.
    assert breach_chance(20, 0.05, 0.02) == pytest.approx(scipy_stats.binom.sf(1, 20, 0.02))
    assert breach_chance(20, 0.95, 0.98, side="under") == pytest.approx(scipy_stats.binom.cdf(18, 20, 0.98))
    assert breach_chance(20, 1.0, 0.5) == 0
    assert breach_chance(20, 0.0, 0.5, side="under") == 0
    assert breach_chance(0, 0.05, 0.02) == 0
    assert breach_chance(19, 0.05, 0.02, n_min=20) == 0
    with pytest.raises(ValueError, match="at least one window"):
        expected_false_alarms([], 672, 0.05, 0.02)


def test_a_minimum_n_makes_a_threshold_cheaper():
    volumes = [5, 10, 300, 400] * 20

    every, large = (expected_false_alarms(volumes, 672, 0.05, 0.02, n_min=n) for n in (1, 100))
    assert large.a_week < every.a_week / 10


def test_a_threshold_on_values_is_replayed_on_the_baseline():
    values = np.array([1, 6, 7, 2, math.nan, 6, 1, 1, 1, 1, 1], dtype=float)
    found = replayed_false_alarms(values, 168, 5.0)

    # Three windows beyond it, in two stretches, of ten with data.
    assert found.chance == pytest.approx(0.3)
    assert found.a_week == pytest.approx(2 / 10 * 168)
    assert found.low < found.a_week < found.high
    assert replayed_false_alarms(values, 168, 1.5, "under").a_week == pytest.approx(2 / 10 * 168)
    assert replayed_false_alarms(np.full(3, math.nan), 168, 5.0) is None


def play(rule, values, n=100):
    held, told = Held(), []
    for value in values:
        held, standing, begins = hold(rule, held, value, 0 if value is None else n)
        told.append(standing + "!" * begins)
    return told


def test_a_breach_begins_once_and_ends_behind_its_release():
    rule = Threshold(5.0, release=4.0)

    assert play(rule, [3, 6, 7, 4.5, 5.5, 4.0, 6]) == ["ok", "breach!", "breach", "breach", "breach", "ok", "breach!"]
    assert play(Threshold(5.0), [6, 5.0, 6]) == ["breach!", "ok", "breach!"]
    assert play(Threshold(0.8, "under", 0.85), [0.9, 0.7, 0.82, 0.86]) == ["ok", "breach!", "breach", "ok"]


def test_a_threshold_may_wait_for_several_windows():
    assert play(Threshold(5.0, after=3), [6, 6, 4, 6, 6, 6, 6]) == ["ok"] * 5 + ["breach!", "breach"]


def test_no_data_and_too_little_decide_nothing():
    assert play(Threshold(5.0), [6, None, 6, None, 4]) == ["breach!", "no_data", "breach", "no_data", "ok"]
    assert play(Threshold(5.0, n_min=200), [6, 6]) == ["too_little", "too_little"]
    assert hold(Threshold(5.0), Held(True, 1), None, 0) == (Held(True, 1), "no_data", False)


def test_thresholds_without_sense_are_refused():
    for call in (
        lambda: Threshold(5.0, release=6.0),
        lambda: Threshold(5.0, "under", 4.0),
        lambda: Threshold(5.0, n_min=0),
        lambda: Threshold(5.0, after=0),
    ):
        with pytest.raises(ValueError, match=r"cannot end|at least 1"):
            call()
