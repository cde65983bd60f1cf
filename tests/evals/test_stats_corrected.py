"""Quality corrected by reviews: equal to ppi-python, and right where the plain means are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from evals.stats.ppi import difference, ppi_mean, ppi_nested
from evals.stats.quantiles import t_quantile
from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import Sums, hajek

REFERENCES = json.loads((Path(__file__).parents[1] / "fixtures" / "statistics" / "references.json").read_text())
CASES = {case["name"]: case for case in REFERENCES["ppi"]}
# A share of 1,000 runs that is .95: 93-97 % are 2.9 standard errors of .0069.
COVERED = (0.93, 0.97)


def arrays(case):
    return {key: None if case[key] is None else np.array(case[key]) for key in ("y", "f", "f_unlab", "w", "w_unlab")}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("label", "lam"), [("tuned", None), ("plain", 1.0), ("none", 0.0), ("half", 0.5)])
def test_it_equals_ppi_python(name, label, lam):
    case = arrays(CASES[name])

    found = ppi_mean(case["y"], case["f"], case["f_unlab"], case["w"], case["w_unlab"], lam=lam, linearised=False)

    expected = CASES[name]["ppi"][label]
    assert [found.estimate.value, found.estimate.low, found.estimate.high] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["w"] is None])
def test_with_equal_weights_linearising_changes_nothing(name):
    case = arrays(CASES[name])

    one, other = (ppi_mean(case["y"], case["f"], case["f_unlab"], linearised=kind) for kind in (True, False))

    assert one.estimate.low == pytest.approx(other.estimate.low, abs=1e-12)


def test_sums_of_the_judged_do_as_well_as_their_scores():
    case = arrays(CASES["unequal weights"])

    singly = ppi_mean(case["y"], case["f"], case["f_unlab"], case["w"], case["w_unlab"])
    pi = 1 / case["w_unlab"]
    summed = ppi_mean(case["y"], case["f"], Sums.of(case["f_unlab"], pi), case["w"])

    assert summed.lam == pytest.approx(singly.lam, abs=1e-12)
    assert summed.estimate.low == pytest.approx(singly.estimate.low, abs=1e-12)
    assert summed.estimate.high == pytest.approx(singly.estimate.high, abs=1e-12)


def test_a_good_judge_makes_few_reviews_worth_more_and_a_useless_one_none_less():
    random = np.random.default_rng(3)
    y = random.normal(3, 1, 200)
    good, noise = y + random.normal(0.5, 0.3, 200), random.normal(3, 1, 200)
    more = random.normal(3.5, np.hypot(1, 0.3), 5000)

    helped = ppi_mean(y, good, more)
    alone = ppi_mean(y, noise, random.normal(3, 1, 5000))

    # 1 / (1 - rho² N/(n+N)) at rho = 1/sqrt(1.09)
    assert helped.effective_reviews == pytest.approx(200 / (1 - 5000 / 5200 / 1.09), rel=0.25)
    assert alone.effective_reviews == pytest.approx(200, rel=0.05)
    assert helped.correlation > 0.9
    assert helped.bias == pytest.approx(0.5, abs=0.1)
    assert alone.lam < 0.2


def test_a_judge_that_always_says_the_same_is_left_out():
    y = np.random.default_rng(1).normal(3, 1, 40)

    found = ppi_mean(y, np.full(40, 4.0), np.full(300, 4.0))
    nested = ppi_nested(y, np.full(40, 4.0), 1.0, np.full(40, 0.1), Sums.of(np.full(400, 4.0), 1.0))

    assert found.lam == nested.lam == 0
    assert found.estimate.value == pytest.approx(y.mean())
    assert found.correlation is None


def test_below_30_reviews_there_is_no_corrected_figure():
    y = np.arange(29.0)

    assert ppi_mean(y, y, np.arange(100.0)) == TooLittle(29, 30, "reviews")
    assert ppi_nested(y, y, 1.0, 0.3, Sums.of(np.arange(100.0), 1.0)) == TooLittle(29, 30, "reviews")
    assert ppi_mean(np.arange(30.0), np.arange(30.0), []) == TooLittle(0, 1, "judged targets")


def test_below_50_reviews_the_interval_is_students():
    random = np.random.default_rng(6)
    y = random.normal(size=49)

    found = ppi_mean(y, y + random.normal(size=49), random.normal(size=500)).estimate

    assert found.high - found.value == pytest.approx(scipy_stats.t.ppf(0.975, 48) * found.error, rel=1e-9)
    assert "t interval" in found.method


def test_shares_stay_within_0_and_1():
    y, f = np.r_[np.ones(39), 0], np.r_[np.ones(40)]
    f[3] = 0

    found = ppi_mean(y, f, np.ones(500), scale=(0, 1))

    assert 0 <= found.estimate.low <= found.estimate.value <= found.estimate.high <= 1


def test_nested_equals_apart_where_all_were_drawn_alike():
    random = np.random.default_rng(8)
    y = random.normal(3, 1, 1000)
    f = y + random.normal(0.4, 0.8, 1000)
    at = np.arange(200)

    apart = ppi_mean(y[at], f[at], f[200:])
    nested = ppi_nested(y[at], f[at], 0.2, 0.2, Sums.of(f, 0.2))

    assert nested.estimate.value == pytest.approx(apart.estimate.value, abs=0.005)
    assert nested.estimate.error == pytest.approx(apart.estimate.error, rel=0.02)
    assert nested.effective_reviews == pytest.approx(apart.effective_reviews, rel=0.03)
    assert nested.n_judged == apart.n_judged == 800


def test_difference_of_two_periods_adds_variances():
    one = Estimate(4.0, 3.8, 4.2, 0.95, 200, 200.0, "x", 0.1)
    two = Estimate(3.7, 3.6, 3.8, 0.95, 100, 100.0, "x", 0.2)
    few = Estimate(3.7, 3.6, 3.8, 0.95, 30, 30.0, "x", 0.2)

    found, wider = difference(one, two), difference(one, few)

    assert found.value == pytest.approx(0.3)
    assert found.error == pytest.approx(np.hypot(0.1, 0.2))
    assert found.half_width == pytest.approx(1.959964 * found.error)
    df = 0.05**2 / (0.01**2 / 199 + 0.04**2 / 29)
    assert wider.half_width == pytest.approx(t_quantile(0.95, df) * wider.error)
    with pytest.raises(ValueError, match="standard errors"):
        difference(one, Estimate(0.5, 0.4, 0.6, 0.95, 10, 10.0, "Wilson"))


@pytest.mark.parametrize(
    ("y", "f", "w", "said"),
    [
        (np.ones(40), np.ones(39), None, "each review needs the judge's score"),
        (np.ones(40), np.full(40, np.nan), None, "finite"),
        (np.ones(40), np.ones(40), np.ones(39), "40 finite weights"),
        (np.ones(40), np.ones(40), np.full(40, -1.0), "40 finite weights"),
    ],
)
def test_what_does_not_fit_is_refused(y, f, w, said):
    with pytest.raises(ValueError, match=said):
        ppi_mean(y, f, np.ones(100), w)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 2.0, 100.0]), st.floats(-5, 5))
def test_permuting_changes_nothing_and_scaling_scales(seed, factor, shift):
    random = np.random.default_rng(seed)
    y = random.integers(1, 6, 40).astype(float)
    f = np.clip(y + random.integers(-1, 2, 40), 1, 5)
    more = random.integers(1, 6, 90).astype(float)
    w = 1 / random.uniform(0.1, 1, 40)
    order = random.permutation(40)

    plain = ppi_mean(y, f, more, w)
    permuted = ppi_mean(y[order], f[order], random.permutation(more), w[order])
    scaled = ppi_mean(factor * y + shift, factor * f + shift, factor * more + shift, w)

    assert permuted.estimate.low == pytest.approx(plain.estimate.low)
    assert scaled.lam == pytest.approx(plain.lam, abs=1e-6)
    assert scaled.estimate.low == pytest.approx(factor * plain.estimate.low + shift, rel=1e-6, abs=1e-6)


def week(random, size=4000):
    """Traffic with errors among it, its true quality 1..5, and a judge that is too kind and kinder to errors."""
    is_error = random.random(size) < 0.08
    y = np.clip(np.round(np.where(is_error, 2.0, 4.0) + random.normal(0, 0.9, size)), 1, 5)
    f = np.clip(np.round(0.6 * y + 1.9 + 0.5 * is_error + random.normal(0, 0.7, size)), 1, 5)
    return is_error, y, f


def test_the_interval_covers_the_truth_where_plain_means_fail():
    """1,000 weeks: errors judged for certain, the rest by .15; low scores reviewed more often than high ones."""
    random = np.random.default_rng(2026)
    covered = dict.fromkeys(("corrected", "judge weighted", "judge plain", "reviews plain"), 0)
    runs = 1000
    for _ in range(runs):
        is_error, y, f = week(random)
        truth = y.mean()
        pi = np.where(is_error, 1.0, 0.15)
        at = np.flatnonzero(random.random(y.size) < pi)
        pi_review = np.where(f[at] <= 3, 0.6, 0.2)
        reviewed = at[random.random(at.size) < pi_review]
        of = np.where(f[reviewed] <= 3, 0.6, 0.2)

        found = ppi_nested(y[reviewed], f[reviewed], pi[reviewed], of, Sums.of(f[at], pi[at]))

        judged = hajek(Sums.of(f[at], pi[at]))
        naive = hajek(Sums.of(f[at], 0.5), of="process")
        alone = hajek(Sums.of(y[reviewed], 0.5), of="process")
        for name, estimate in (
            ("corrected", found.estimate),
            ("judge weighted", judged),
            ("judge plain", naive),
            ("reviews plain", alone),
        ):
            covered[name] += estimate.low <= truth <= estimate.high

    assert COVERED[0] <= covered["corrected"] / runs <= COVERED[1], covered
    assert covered["judge weighted"] / runs < 0.05
    assert covered["judge plain"] / runs < 0.05
    assert covered["reviews plain"] / runs < 0.05


def test_reviewed_and_judged_apart_cover_too():
    """1,000 weeks of 6.4 with weights: reviews and judged-only drawn apart, each by unequal chances."""
    random = np.random.default_rng(77)
    hits, runs = 0, 1000
    for _ in range(runs):
        is_error, y, f = week(random)
        pi_lab, pi_unlab = np.where(is_error, 0.2, 0.04), np.where(is_error, 0.8, 0.2)
        draw = random.random(y.size)
        lab, unlab = np.flatnonzero(draw < pi_lab), np.flatnonzero(draw > 1 - pi_unlab)

        found = ppi_mean(y[lab], f[lab], f[unlab], 1 / pi_lab[lab], 1 / pi_unlab[unlab]).estimate

        hits += found.low <= y.mean() <= found.high

    assert COVERED[0] <= hits / runs <= COVERED[1], hits
