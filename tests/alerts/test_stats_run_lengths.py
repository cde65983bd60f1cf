"""Run lengths of EWMA, CUSUM and one-point charts against printed tables, R's spc and Markov chains of our own."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from alerts.stats import cusum, ewma, gamma, normal, shewhart
from alerts.stats.roots import rising_root
from evals.stats.results import TooLittle

SPC = json.loads((Path(__file__).parents[1] / "fixtures/statistics/spc.json").read_text())
SHIFTS = SPC["shifts"]
EWMA, EWMA_UP, CUSUM = (
    SPC[name]
    for name in (
        "ewma: lambda, ARL0, L, ARL at each shift",
        "ewma upward: lambda, ARL0, L, ARL at each shift",
        "cusum: sides, k, ARL0, h, ARL at each shift",
    )
)


@pytest.mark.parametrize(("lam", "arl0", "limit", "arls"), [(*row[:3], row[3:]) for row in EWMA])
def test_ewma_agrees_with_r_spc(lam, arl0, limit, arls):
    assert ewma.limit_for(lam, arl0) == pytest.approx(limit, abs=1e-5)
    for shift, arl in zip(SHIFTS, arls, strict=True):
        assert ewma.run_length(lam, limit, shift) == pytest.approx(arl, rel=3e-5)
        assert ewma.delay(lam, arl0, -shift) == pytest.approx(arl, rel=1e-4)


@pytest.mark.parametrize(("lam", "arl0", "limit", "arls"), [(*row[:3], row[3:]) for row in EWMA_UP])
def test_upward_ewma_agrees_with_r_spc(lam, arl0, limit, arls):
    assert ewma.limit_for(lam, arl0, "up") == pytest.approx(limit, abs=1e-5)
    for shift, arl in zip(SHIFTS, arls, strict=True):
        assert ewma.run_length(lam, limit, shift, "up") == pytest.approx(arl, rel=3e-5)
        assert ewma.delay(lam, arl0, -shift, "down") == pytest.approx(arl, rel=1e-4)


@pytest.mark.parametrize(("sides", "k", "arl0", "h", "arls"), [(*row[:4], row[4:]) for row in CUSUM])
def test_cusum_agrees_with_r_spc(sides, k, arl0, h, arls):
    assert cusum.limit_for(k, arl0, sides == 2) == pytest.approx(h, abs=1e-5)
    for shift, arl in zip(SHIFTS, arls, strict=True):
        found = cusum.run_length(k, h, shift) if sides == 2 else cusum.run_length_up(k, h, shift)
        assert found == pytest.approx(arl, rel=3e-5)


# Lucas & Saccucci 1990, Technometrics 32, table 3: ARLs of the two-sided EWMA by shift.
LUCAS = {
    (0.5, 3.071): {0: 500, 0.25: 255, 0.5: 88.8, 0.75: 35.9, 1: 17.5, 1.5: 6.53, 2: 3.63, 2.5: 2.50, 3: 1.93, 4: 1.34},
    (0.03, 2.437): {
        0: 500,
        0.25: 76.7,
        0.5: 29.3,
        0.75: 17.6,
        1: 12.6,
        1.5: 8.07,
        2: 5.99,
        2.5: 4.80,
        3: 4.03,
        4: 3.11,
    },
    # Printed in Montgomery, Introduction to Statistical Quality Control, table 9.11 (6th ed.), from the same paper.
    (0.4, 3.054): {0: 500, 0.25: 224, 0.5: 71.2, 0.75: 28.4, 1: 14.3, 1.5: 5.9, 2: 3.5, 2.5: 2.5, 3: 2.0, 4: 1.4},
    (0.25, 2.998): {0: 500, 0.25: 170, 0.5: 48.2, 0.75: 20.1, 1: 11.1, 1.5: 5.5, 2: 3.6, 2.5: 2.7, 3: 2.3, 4: 1.7},
    (0.2, 2.962): {0: 500, 0.25: 150, 0.5: 41.8, 0.75: 18.2, 1: 10.5, 1.5: 5.5, 2: 3.7, 2.5: 2.9, 3: 2.4, 4: 1.9},
    (0.1, 2.814): {0: 500, 0.25: 106, 0.5: 31.3, 0.75: 15.9, 1: 10.3, 1.5: 6.1, 2: 4.4, 2.5: 3.4, 3: 2.9, 4: 2.2},
    (0.05, 2.615): {0: 500, 0.25: 84.1, 0.5: 28.8, 0.75: 16.4, 1: 11.4, 1.5: 7.1, 2: 5.2, 2.5: 4.2, 3: 3.5, 4: 2.7},
}


@pytest.mark.parametrize(("chart", "printed"), LUCAS.items())
def test_ewma_agrees_with_the_table_of_lucas_and_saccucci(chart, printed):
    for shift, arl in printed.items():
        # 3 %, or half of the last printed digit where that is coarser.
        assert ewma.run_length(*chart, shift) == pytest.approx(arl, rel=0.03, abs=0.051)


# Montgomery, table 9.4 (from the two-sided charts of Lucas 1976): k = 1/2, h = 4 and 5.
MONTGOMERY = {
    4: {0: 168, 0.25: 74.2, 0.5: 26.6, 0.75: 13.3, 1: 8.38, 1.5: 4.75, 2: 3.34, 2.5: 2.62, 3: 2.19, 4: 1.71},
    5: {0: 465, 0.25: 139, 0.5: 38.0, 0.75: 17.0, 1: 10.4, 1.5: 5.75, 2: 4.01, 2.5: 3.11, 3: 2.57, 4: 2.01},
}


@pytest.mark.parametrize(("h", "printed"), MONTGOMERY.items())
def test_cusum_agrees_with_the_table_of_montgomery(h, printed):
    for shift, arl in printed.items():
        assert cusum.run_length(0.5, h, shift) == pytest.approx(arl, rel=0.01)


# Hawkins 1993, Journal of Quality Technology 25: h for a two-sided ARL0 of 370.
@pytest.mark.parametrize(("k", "h"), [(0.25, 8.01), (0.5, 4.77), (0.75, 3.34), (1.0, 2.52), (1.25, 1.99), (1.5, 1.61)])
def test_cusum_limits_agree_with_hawkins(k, h):
    assert cusum.limit_for(k, 370) == pytest.approx(h, abs=0.0101)


def test_single_worked_run_lengths():
    # SAS/QC manual 1999, as quoted by R's spc; Waldmann 1986, Technometrics 28, tables 1, 3 and 5.
    assert ewma.run_length(0.25, 3, 1) == pytest.approx(11.154267016, rel=1e-8)
    assert cusum.run_length_up(0.25, 8, 2.5) == pytest.approx(4.1500836225, rel=1e-6)
    assert cusum.run_length_up(0.25, 8, 2.5, start=0.1) == pytest.approx(4.1061588131, rel=1e-6)
    assert cusum.run_length(0.25, 8, 2.5) == pytest.approx(4.1500826715, rel=1e-6)
    assert [cusum.run_length_up(0.5, 3, shift) for shift in (-0.5, 0, 0.5)] == pytest.approx(
        [1963, 117.4, 17.35], rel=3e-3
    )


def test_limits_of_the_budget_table():
    # The specification, 2.2: detectors x updates a week, ARL0, L, k, ARL1 at 1 and .5 sd.
    for arl0, limit, k, at_1, at_half in [
        (1_680, 3.228, 3.434, 12.8, 47),
        (8_400, 3.702, 3.848, 16.5, 84),
        (33_600, 4.062, 4.175, 20.1, 143),
        (100_800, 4.324, 4.419, 23.5, 228),
    ]:
        assert ewma.limit_for(0.1, arl0) == pytest.approx(limit, abs=6e-4)
        assert shewhart.limit_for(arl0) == pytest.approx(k, abs=6e-4)
        assert ewma.delay(0.1, arl0, 1) == pytest.approx(at_1, abs=0.06)
        assert ewma.delay(0.1, arl0, 0.5) == pytest.approx(at_half, abs=0.6)


def markov(lam, limit, shift, states):
    """ARL of the two-sided EWMA by a Markov chain of many narrow states (Brook & Evans 1972), no quadrature in it."""
    high = limit * math.sqrt(lam / (2 - lam))
    edges = np.linspace(-high, high, states + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    reach = (edges[None, :] - (1 - lam) * middle[:, None]) / lam - shift
    moves = np.diff(scipy_stats.norm.cdf(reach), axis=1)
    return np.linalg.solve(np.eye(states) - moves, np.ones(states))[states // 2]


@pytest.mark.parametrize(("lam", "limit", "shift"), [(0.1, 3.702, 0), (0.05, 2.615, 0.5), (0.3, 3.2, 1), (0.4, 3.9, 0)])
def test_ewma_agrees_with_a_markov_chain(lam, limit, shift):
    # The chain's error falls with the square of the width of a state: two of them give the limit.
    coarse, fine = markov(lam, limit, shift, 301), markov(lam, limit, shift, 601)

    assert ewma.run_length(lam, limit, shift) == pytest.approx(fine + (fine - coarse) / 3, rel=2e-3)


def test_ewma_agrees_with_simulation():
    rng = np.random.default_rng(7)
    chains, steps, boundary = 2_000, 2_000, ewma.boundary_for(0.1, 500)
    c, alarms = np.zeros(chains), 0
    for _ in range(steps):
        c += 0.1 * (rng.standard_normal(chains) - c)
        hit = np.abs(c) > boundary
        alarms += int(hit.sum())
        c[hit] = 0

    # 8,000 alarms: a Poisson error of 1.1 %, times 3.9 for 1e-4.
    assert chains * steps / alarms == pytest.approx(500, rel=0.044)


@pytest.mark.parametrize("lam", [0.01, 0.02, 0.05, 0.1, 0.4, 0.8])
def test_more_nodes_change_nothing(lam, monkeypatch):
    limit = ewma.limit_for(lam, 100_000.0)
    monkeypatch.setattr(ewma, "_nodes", lambda width, lam: 501)

    assert ewma.run_length(lam, limit) == pytest.approx(100_000, rel=1e-6)


@pytest.mark.parametrize("arl0", [20.0, 370.4, 5e3, 1e6])
def test_weight_one_is_the_one_point_chart(arl0):
    assert ewma.limit_for(1.0, arl0) == pytest.approx(shewhart.limit_for(arl0), abs=1e-7)
    assert ewma.delay(1.0, arl0, 1.5) == pytest.approx(shewhart.run_length(shewhart.limit_for(arl0), 1.5), rel=1e-6)
    assert ewma.limit_for(1.0, arl0, "up") == pytest.approx(shewhart.limit_for(arl0, "up"), abs=1e-7)


def test_three_sd_alarm_once_in_370_points():
    assert shewhart.run_length(3) == pytest.approx(370.398, abs=1e-3)
    # Montgomery, section 6.2.6: a shift of 1 and 2 sd.
    assert shewhart.run_length(3, 1) == pytest.approx(43.89, abs=0.02)
    assert shewhart.run_length(3, 2) == pytest.approx(6.30, abs=0.01)
    assert shewhart.run_length(3, 0, "up") == pytest.approx(740.797, abs=1e-3)


@given(lam=st.floats(0.03, 0.6), arl0=st.floats(20, 200_000), shift=st.floats(0.3, 4))
@settings(max_examples=40, deadline=None)
def test_a_larger_run_length_costs_delay(lam, arl0, shift):
    assert ewma.limit_for(lam, arl0) < ewma.limit_for(lam, 2 * arl0)
    assert ewma.delay(lam, arl0, shift) <= ewma.delay(lam, 2 * arl0, shift)
    assert ewma.delay(lam, arl0, 1.2 * shift) <= ewma.delay(lam, arl0, shift)
    assert ewma.limit_for(lam, arl0, "up") < ewma.limit_for(lam, arl0)


# NIST/SEMATECH e-Handbook 6.3.2.4: λ = .3, EWMA_0 = 50, s = 2.0539, limits 50 ± 3·(.3/1.7)^½·s.
NIST_POINTS = [
    52.0,
    47.0,
    53.0,
    49.3,
    50.1,
    47.0,
    51.0,
    50.1,
    51.2,
    50.5,
    49.6,
    47.6,
    49.9,
    51.3,
    47.8,
    51.2,
    52.6,
    52.4,
    53.6,
    52.1,
]
NIST_EWMA = [
    50.00,
    50.60,
    49.52,
    50.56,
    50.18,
    50.16,
    49.21,
    49.75,
    49.85,
    50.26,
    50.33,
    50.11,
    49.36,
    49.52,
    50.05,
    49.38,
]
NIST_EWMA += [49.92, 50.73, 51.23, 51.94, 51.99]


def test_ewma_example_of_nist():
    values = ewma.values(np.array(NIST_POINTS), 0.3, start=50.0)
    low, high = ewma.limits(0.3, 3.0, 500, mean=50.0, sd=2.0539)

    assert values == pytest.approx(NIST_EWMA[1:], abs=0.0051)
    assert (low[-1], high[-1]) == pytest.approx((47.4115, 52.5884), abs=1e-3)
    assert ((values > low[: values.size]) & (values < high[: values.size])).all()


def test_young_limits_start_narrow_and_widen():
    low, high = ewma.limits(0.2, 3.0, 100)

    assert high[0] == pytest.approx(0.2 * 3.0)
    assert (np.diff(high) >= 0).all()
    assert high[-1] == pytest.approx(3.0 * ewma.statistic_sd(0.2))
    assert (low == -high).all()


def test_tabular_cusum_of_montgomery():
    # Montgomery, table 9.1 and 9.2: mean 10, sd 1, k = .5, h = 5; the first 20 points around 10, the last 10 around 11.
    x = [9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08, 9.37, 10.62]
    x += [10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52]
    upper, lower = cusum.sums(np.array(x) - 10, 0.5)

    printed_upper = [
        0,
        0,
        0,
        1.16,
        2.82,
        2.50,
        0.04,
        1.00,
        0,
        0,
        0,
        0.97,
        0.98,
        0,
        0,
        0,
        0.12,
        0,
        0,
        0.34,
        0.74,
        0,
        1.79,
    ]
    printed_upper += [2.79, 2.89, 3.47, 3.35, 4.47, 5.28, 5.30]
    assert upper == pytest.approx(printed_upper, abs=1e-9)
    assert lower[:9] == pytest.approx([0.05, 1.56, 1.77, 0, 0, 0, 1.46, 0, 0.30], abs=1e-9)
    # Out of control at period 29.
    assert int(np.argmax(upper > 5)) + 1 == 29
    assert (lower < 5).all()


def test_early_limits_keep_their_error_from_few_points():
    rng = np.random.default_rng(11)
    trials = 4_000
    misses = 0
    for _ in range(trials):
        points = rng.standard_normal(6)
        found = shewhart.early(points[:5], arl0=20.0)
        misses += not found.low <= points[5] <= found.high

    # A share of 1/20, binomial error .0034, times 3.9.
    assert misses / trials == pytest.approx(0.05, abs=0.0135)
    assert shewhart.early(np.zeros(2), 100.0) == TooLittle(2, 3, "points")
    assert shewhart.early(np.array([1.0, 2.0, 3.0]), 100.0, "up").low == -math.inf


def test_limits_of_individuals_by_moving_ranges():
    # Moving ranges 1, 2, 1, 3: mean 1.75, sd 1.75/1.128.
    found = shewhart.individuals(np.array([5.0, 6.0, 4.0, 5.0, 8.0]))

    assert found.centre == pytest.approx(5.6)
    assert found.sd == pytest.approx(1.75 / 1.128379, rel=1e-6)
    assert found.high == pytest.approx(5.6 + 3 * found.sd)
    assert shewhart.individuals(np.array([5.0])) == TooLittle(1, 2, "points")


def test_bad_settings_are_refused():
    for call in (
        lambda: ewma.limit_for(0.0, 500),
        lambda: ewma.limit_for(0.1, 2),
        lambda: ewma.run_length(0.1, 0),
        lambda: ewma.run_length(0.1, 3, start=4),
        lambda: cusum.limit_for(-1, 500),
        lambda: cusum.limit_for(0.5, 2),
        lambda: gamma.upper_gamma(-1, 1),
        lambda: rising_root(lambda x: x, 1, 2),
        lambda: cusum.run_length_up(0.5, 0),
        lambda: shewhart.limit_for(1),
        lambda: gamma.lower_gamma(0, 1),
        lambda: gamma.gamma_quantile(1.0, 2),
        lambda: gamma.poisson_limits(-1),
        lambda: normal.quantile(0),
    ):
        with pytest.raises(ValueError, match=r"."):
            call()


@given(a=st.floats(0.1, 2_000), ratio=st.floats(0.01, 4))
def test_incomplete_gamma_agrees_with_scipy(a, ratio):
    assert gamma.lower_gamma(a, a * ratio) == pytest.approx(scipy_stats.gamma.cdf(a * ratio, a), rel=1e-9, abs=1e-12)
    assert gamma.upper_gamma(a, a * ratio) == pytest.approx(scipy_stats.gamma.sf(a * ratio, a), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("count", [0, 1, 4, 30, 500])
def test_poisson_limits_are_garwoods(count):
    low, high = gamma.poisson_limits(count)

    assert low == pytest.approx(scipy_stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0, rel=1e-8)
    assert high == pytest.approx(scipy_stats.chi2.ppf(0.975, 2 * count + 2) / 2, rel=1e-8)


@given(st.floats(1e-12, 0.5))
def test_normal_scores_keep_both_tails(p):
    assert normal.score(p, 1 - p) == -normal.score(1 - p, p)
    assert abs(normal.score(p, 1 - p)) <= 6
    assert normal.above(normal.upper_quantile(p)) == pytest.approx(p, rel=1e-9)


@given(root=st.floats(0.01, 500), bend=st.floats(0.2, 3))
def test_a_root_is_found_near_and_far(root, bend):
    assert rising_root(lambda x: x**bend - root**bend, 0.0, 1.0) == pytest.approx(root, rel=1e-6)


def test_delays_of_the_cusum_at_its_own_limit():
    # R's spc: xcusum.crit(.5, 370) and xcusum.arl at 1 sd.
    assert cusum.delay(0.5, 370.0, 1.0) == pytest.approx(9.924690, abs=1e-4)
