"""Whether neighbours resemble each other, how wide a window must be, and how levels of windows vary."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.diagnostic import acorr_ljungbox

from alerts.stats.dependence import (
    Between,
    LjungBox,
    autocorrelations,
    between_windows,
    choose,
    ljung_box,
    memory,
    mixing_time,
)
from evals.stats.results import TooLittle


@pytest.mark.parametrize(("seed", "n", "lags"), [(1, 60, 5), (2, 200, 20), (3, 1_000, 20), (4, 101, 50)])
def test_ljung_box_agrees_with_statsmodels(seed, n, lags):
    points = np.cumsum(np.random.default_rng(seed).standard_normal(n)) * 0.1 + np.random.default_rng(seed + 9).normal(
        size=n
    )
    expected = acorr_ljungbox(points, lags=[lags])

    found = ljung_box(points, lags)

    assert found.q == pytest.approx(expected["lb_stat"].iloc[0], rel=1e-9)
    assert found.p == pytest.approx(expected["lb_pvalue"].iloc[0], rel=1e-6, abs=1e-300)
    assert (found.lags, found.n) == (lags, n)


def test_its_level_is_what_it_says():
    rng = np.random.default_rng(8)
    trials = 3_000
    misses = sum(ljung_box(rng.standard_normal(400)).p < 0.01 for _ in range(trials))

    # A binomial of 1 %, error .18 %, times 3.9, and the known small excess of the chi-square at 20 lags.
    assert misses / trials == pytest.approx(0.01, abs=0.0105)


def test_the_streams_of_the_benchmark_are_told_apart():
    """Independent scores are charted one by one; scores whose quality varies in blocks of forty by windows."""
    levels, p0 = np.arange(1, 6), np.array([0.03, 0.05, 0.12, 0.35, 0.45])
    alone = together = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        alone += choose(rng.choice(levels, 400, p=p0).astype(float)).charted == "points"
        tilts = rng.normal(0, 0.35, 50)
        blocks = []
        for tilt in tilts:
            q = p0 * np.exp(tilt * (levels - 3.0))
            blocks.append(rng.choice(levels, 40, p=q / q.sum()))
        together += choose(np.concatenate(blocks).astype(float)).charted == "windows"

    # 1 % of independent baselines are taken for dependent ones: P(more than 4 of 40) < 1e-4.
    assert alone >= 36
    assert together == 40


def test_few_points_are_charted_by_windows_and_it_is_said_why():
    few = choose(np.arange(50.0))

    assert (few.charted, few.window, few.test) == ("windows", 50, None)
    assert "50 of 100" in few.reason
    assert choose(np.random.default_rng(1).standard_normal(110), lags=60).charted == "windows"
    with pytest.raises(ValueError, match="one lag"):
        ljung_box(np.arange(40.0), 0)
    assert ljung_box(np.arange(40.0)) == TooLittle(40, 41, "points")


def test_points_all_alike_are_not_dependent():
    assert ljung_box(np.full(200, 5.0)) == LjungBox(0.0, 1.0, 20, 200)
    assert choose(np.full(200, 0.1)).charted == "points"
    assert (autocorrelations(np.full(30, 1.0), 3) == 0).all()


def test_windows_are_as_wide_as_points_mix():
    rng = np.random.default_rng(3)
    slow = np.repeat(rng.standard_normal(60), 80) + 0.3 * rng.standard_normal(4_800)

    assert 60 <= mixing_time(slow) <= 140
    assert choose(slow).window == mixing_time(slow)
    assert mixing_time(rng.standard_normal(2_000)) <= 5
    assert mixing_time(np.arange(10.0)) == 1
    # A trend never mixes.
    assert mixing_time(np.arange(300.0)) == 30


def test_variance_between_windows_is_found():
    rng = np.random.default_rng(4)
    sizes = rng.integers(10, 80, 4_000).astype(float)
    for between in (0.0, 0.04, 0.25):
        levels = rng.normal(4, np.sqrt(between), sizes.size)
        rows = [rng.normal(level, 1.0, int(size)) for level, size in zip(levels, sizes, strict=True)]
        found = between_windows(np.array([r.mean() for r in rows]), np.array([r.var(ddof=1) for r in rows]), sizes)
        assert found.within == pytest.approx(1, abs=0.02)
        assert found.between == pytest.approx(between, abs=0.015)
        assert found.mean == pytest.approx(4, abs=0.05)
        assert found.windows == 4_000


def test_variance_between_windows_by_hand_and_never_under_nothing():
    # Means 1 and 3 of four each, inner variance 2: Σn(ȳ-µ)² = 8, minus 2, over 8 - 32/8 = 4: 1.5.
    assert between_windows(np.array([1.0, 3.0]), np.full(2, 2.0), np.full(2, 4.0)) == Between(2.0, 2.0, 1.5, 2, 8)
    assert between_windows(np.array([2.0, 2.0]), np.full(2, 2.0), np.full(2, 4.0)).between == 0
    assert between_windows(np.array([2.0]), np.array([1.0]), np.array([4.0])) == TooLittle(1, 2, "windows")
    assert Between(2.0, 2.0, 1.5, 2, 8).sd_of(4) == pytest.approx(np.sqrt(2.0))
    # Windows of one score each have no inner variance.
    assert between_windows(np.array([1.0, 3.0]), np.zeros(2), np.ones(2)).within == 0


def test_the_same_estimator_as_the_random_effects_of_dersimonian_and_laird():
    rng = np.random.default_rng(5)
    means, sizes = rng.normal(0, 0.5, 40), rng.integers(20, 90, 40).astype(float)
    found = between_windows(means, np.full(40, 1.0), sizes)
    q = float(sizes @ (means - (sizes @ means) / sizes.sum()) ** 2)

    assert found.between == pytest.approx((q - 39) / (sizes.sum() - (sizes @ sizes) / sizes.sum()))
    assert scipy_stats.chi2.sf(q, 39) < 1e-6


def wandering(rng, n, share, keep):
    level, found = rng.standard_normal(), np.empty(n)
    for at in range(n):
        level = keep * level + np.sqrt(1 - keep**2) * rng.standard_normal()
        found[at] = np.sqrt(share) * level + np.sqrt(1 - share) * rng.standard_normal()
    return found


@pytest.mark.parametrize(("share", "keep"), [(1.0, 0.5), (0.5, 0.8), (0.8, 0.94)])
def test_a_level_that_wanders_is_found_with_what_it_keeps(share, keep):
    found = [memory(wandering(np.random.default_rng([seed, 6]), 2_000, share, keep)) for seed in range(12)]

    # What counts is how much slower a mean settles: 1 + 2·share·keep/(1 - keep). One estimate of 2,000 is off by some
    # 15 %, the mean of twelve by 4 %; the grid of what may be kept adds a few.
    wanted = 1 + 2 * share * keep / (1 - keep)
    slower = [1 + 2 * one.share * one.keep / (1 - one.keep) for one in found]
    assert np.mean(slower) == pytest.approx(wanted, rel=0.25)


def test_independent_points_have_next_to_no_memory_and_it_is_said_how_unsure_that_is():
    rng = np.random.default_rng(7)
    found = [memory(rng.standard_normal(400)) for _ in range(100)]

    # r1 over 0 half of the time, by .05 (one sd): a share of some .06 at a keep of .35.
    assert np.mean([one.share for one in found]) < 0.12
    assert np.mean([one.keep == 0.35 for one in found]) > 0.8
    assert memory(rng.standard_normal(40)).unsure > 2 * memory(rng.standard_normal(2_000)).unsure
    assert not memory(np.full(100, 3.0)).is_any
    assert not memory(np.arange(10.0)).is_any
