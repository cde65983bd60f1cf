"""When it began: the Nile of Cobb 1978, coverage of intervals, no start where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.stats.changepoint import change_in_mean, change_in_share, segments
from evals.stats.results import TooLittle

# Annual flow of the Nile at Aswan, 1871-1970, 10^8 m³: Cobb 1978, Biometrika 65, table 1.
NILE = [
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
    831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
    781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
    744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
]  # fmt: skip


def test_the_nile_fell_after_1898():
    """Cobb 1978: 1898 is the last year of the old level; R strucchange: 1898, 95 % 1895-1902, means 1097.75, 849.97."""
    found = change_in_mean(NILE, seed=1)

    assert 1871 + found.split == 1899
    assert (found.before, found.after) == pytest.approx((1097.75, 849.9722), abs=5e-5)
    assert found.clear
    assert found.p <= 0.001
    # Last years of the old level.
    assert 1894 <= 1870 + found.low <= 1898
    assert 1898 <= 1870 + found.high <= 1902
    assert segments(NILE) == (28,)


def test_the_same_seed_gives_the_same_interval():
    assert change_in_mean(NILE, seed=4) == change_in_mean(NILE, seed=4)


def test_the_order_of_the_two_levels_does_not_matter():
    found = change_in_mean([-value for value in NILE], seed=1)

    assert found.split == 28
    assert found.before < found.after


@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_intervals_of_means_cover_the_true_split(shift):
    random = np.random.default_rng(int(shift * 10))
    runs, covered, widths = 200, 0, []
    for run in range(runs):
        values = random.normal(size=60)
        values[35:] += shift
        found = change_in_mean(values, seed=run)
        covered += found.low <= 35 <= found.high
        widths.append(found.high - found.low)

    # 95 % wanted; at 1e-4 no less than 88 % of 200.
    assert covered >= 0.88 * runs
    assert np.median(widths) <= (20 if shift == 1 else 6)


def test_intervals_of_shares_cover_also_where_windows_are_uneven():
    random = np.random.default_rng(3)
    runs, covered = 150, 0
    for run in range(runs):
        sizes = random.integers(50, 600, 48)
        level = np.where(np.arange(48) < 30, 0.02, 0.05)
        shares = random.beta(level * 99, (1 - level) * 99)
        found = change_in_share(random.binomial(sizes, shares), sizes, seed=run)
        covered += found.low <= 30 <= found.high

    assert covered >= 0.88 * runs


def test_without_a_change_there_is_no_clear_start():
    random = np.random.default_rng(7)
    clear_mean = sum(change_in_mean(random.normal(size=40), seed=run).clear for run in range(400))
    sizes = np.full(40, 200)
    clear_share = sum(
        change_in_share(random.binomial(sizes, random.beta(2, 98, 40)), sizes, seed=run).clear for run in range(200)
    )

    # 1 % each; binomial limits at 1e-4.
    assert clear_mean <= 14
    assert clear_share <= 10


def test_windows_that_resemble_their_neighbours_rarely_have_a_clear_start():
    """Correlation .5: without allowing for it a third of such series have one (measured)."""
    random = np.random.default_rng(8)
    clear_mean = clear_share = 0
    for run in range(90):
        noise = random.normal(size=170)
        values = np.zeros(170)
        for at in range(1, 170):
            values[at] = 0.5 * values[at - 1] + noise[at]
        clear_mean += change_in_mean(values[50:], seed=run).clear
        shares = 1 / (1 + np.exp(3.5 - 0.4 * values[50:]))
        clear_share += change_in_share(random.binomial(400, shares), np.full(120, 400), seed=run).clear

    # About 4 %; binomial limits at 1e-4.
    assert clear_mean <= 13
    assert clear_share <= 15


def test_memory_does_not_hide_a_step():
    random = np.random.default_rng(9)
    found = 0
    for run in range(50):
        values = random.normal(size=80)
        values[45:] += 1.5
        found += change_in_mean(values, seed=run).clear

    assert found >= 48


def test_a_share_that_doubled_is_placed_within_its_interval():
    random = np.random.default_rng(2)
    sizes = np.full(60, 600)
    counts = random.binomial(sizes, np.where(np.arange(60) < 40, 0.02, 0.04))

    found = change_in_share(counts, sizes, seed=0)

    assert found.clear
    assert found.low <= 40 <= found.high
    assert found.before == pytest.approx(0.02, abs=0.003)
    assert found.after == pytest.approx(0.04, abs=0.004)


def test_windows_that_stand_for_more_weigh_more():
    values = np.concatenate((np.zeros(10), np.ones(10), np.zeros(4), np.full(6, 3.0)))
    heavy = np.ones(30)
    heavy[:20] = 1_000

    assert change_in_mean(values, seed=0).split == 24
    assert change_in_mean(values, seed=0, weights=heavy).split == 10


def test_several_changes_are_found_by_segmentation():
    random = np.random.default_rng(1)
    values = random.normal(size=120)
    values[40:80] += 3
    values[80:] -= 2

    assert segments(values) == pytest.approx((40, 80), abs=1)


def test_flat_and_short_series_have_no_change():
    flat = change_in_mean(np.full(30, 4.0), seed=0)

    assert (flat.p, flat.clear) == (1.0, False)
    assert segments(np.full(30, 4.0)) == ()
    assert change_in_mean([1.0] * 9, seed=0) == TooLittle(9, 10, "windows")
    assert change_in_share([0] * 20, [5] * 20, seed=0) == TooLittle(0, 1, "events")
    with pytest.raises(ValueError, match="within 0"):
        change_in_share([3] * 10, [2] * 10, seed=0)


def test_a_step_without_noise_is_placed_exactly():
    found = change_in_mean([1.0] * 12 + [2.0] * 8, seed=0)

    assert (found.split, found.low, found.high) == (12, 12, 12)
    assert found.clear


def test_empty_windows_do_not_break_a_share():
    found = change_in_share([0, 0, 1, 0, 0, 1, 9, 0, 8, 9, 9, 8], [50, 0, 50, 50, 0, 50, 50, 0, 50, 50, 50, 50], seed=0)

    assert found.split == 6
    assert (found.before, found.after) == pytest.approx((2 / 200, 43 / 250))
