"""Ratios of sums: against numbers in print, against numpy, and against what they promise in simulation."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from telltale.stats.proportions import newcombe, wilson
from traces.outcomes.ratio import MEAN_MIN, Change, Ratio, Shape, Sums, TooLittle, change, ratio, student


def sums_of(x, y, unknown=0):
    found = Sums(unknown=unknown)
    for a, b in zip(x, y, strict=True):
        a, b = Decimal(repr(float(a))), Decimal(repr(float(b)))
        found = found + Sums(1, 0, a, b, a * a, a * b, b * b)
    return found


def test_shares_have_wilsons_interval_as_printed():
    """Newcombe 1998, table I: 81 of 263 is .2553 to .3662, 15 of 148 .0624 to .1605, 1 of 29 .0061 to .1718."""
    rows = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)]
    for k, n, low, high in rows:
        found = ratio(Sums(n, 0, Decimal(n), Decimal(k), Decimal(n), Decimal(k), Decimal(k)), Shape.SHARE)
        assert (round(found.low, 4), round(found.high, 4), found.method) == (low, high, "wilson")
    none = ratio(Sums(30, 0, Decimal(30), Decimal(0), Decimal(30)), Shape.SHARE)
    assert none.low == 0 < none.high < 0.12


def test_changes_of_shares_have_newcombes_interval_as_printed():
    """Newcombe 1998 (interval estimation for the difference), table II, method 10: 56/70 - 48/80 is .0524 to .3339."""

    def of(k, n):
        return ratio(Sums(n, 0, Decimal(n), Decimal(k), Decimal(n), Decimal(k), Decimal(k)), Shape.SHARE)

    found = change(of(56, 70), of(48, 80))
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (0.2, 0.0524, 0.3339)
    assert found.is_more_than_noise
    same = newcombe(wilson(56, 70), wilson(48, 80))
    assert (found.low, found.high) == pytest.approx((same.low, same.high), abs=1e-12)
    assert not change(of(9, 60), of(10, 60)).is_more_than_noise


@pytest.mark.parametrize(("df", "printed"), [(3, 3.1824), (9, 2.2622), (29, 2.0452), (60, 2.0003), (120, 1.9799)])
def test_students_quantile_is_that_of_the_tables(df, printed):
    """Any table of t, two-sided .05."""
    assert student(0.95, df) == pytest.approx(printed, abs=6e-5)
    assert student(0.99, df) == pytest.approx(stats.t.ppf(0.995, df), abs=1e-4)


def test_a_ratio_is_that_of_numpy():
    random = np.random.default_rng(11)
    x = (random.random(400) < 0.3).astype(float)
    y = random.lognormal(-3, 1, 400)

    found = ratio(sums_of(x, y), Shape.RATIO)

    value = y.sum() / x.sum()
    error = math.sqrt(np.var(y - value * x, ddof=1) / 400) / x.mean()
    worth = min(x.sum() ** 2 / (x**2).sum(), y.sum() ** 2 / (y**2).sum())
    times = math.exp(stats.t.ppf(0.975, worth - 1) * error / value)
    assert found.value == pytest.approx(value, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((value / times, value * times), rel=1e-6)
    assert found.method == "delta, log"


def test_a_mean_is_that_of_numpy_also_below_zero():
    random = np.random.default_rng(12)
    y = random.normal(-5, 2, 80)

    found = ratio(sums_of(np.ones(80), y), Shape.MEAN)

    worth = y.sum() ** 2 / (y**2).sum()
    half = stats.t.ppf(0.975, worth - 1) * y.std(ddof=1) / math.sqrt(80)
    assert found.value == pytest.approx(y.mean(), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((y.mean() - half, y.mean() + half), rel=1e-6)


def test_money_adds_up_to_the_pico_dollar():
    cent = Decimal("0.010000000001")
    found = Sums()
    for _ in range(3000):
        found = found + Sums(1, 0, Decimal(1), cent, Decimal(1), cent, cent * cent)

    assert found.y == Decimal("30.000000003000")
    alike = ratio(found, Shape.RATIO)
    assert (alike.low, alike.value, alike.high) == (0.010000000001,) * 3


@pytest.mark.parametrize(
    ("sums", "shape", "expected"),
    [
        (Sums(), Shape.SHARE, (0, 30, "sessions")),
        (Sums(29, 0, Decimal(29), Decimal(9)), Shape.SHARE, (29, 30, "sessions")),
        (sums_of([1] * 49, [2] * 49), Shape.MEAN, (49, MEAN_MIN, "sessions")),
        (sums_of([1] * 9 + [0] * 91, [1] * 100), Shape.RATIO, (9, 10, "sessions with it")),
        (sums_of([1] * 100, [0] * 97 + [1] * 3), Shape.MEAN, (3, 4, "equally large sessions that the sum is worth")),
        (sums_of([1] * 100, [0] * 99 + [1e9]), Shape.MEAN, (1, 4, "equally large sessions that the sum is worth")),
        (sums_of([1] * 100, [1, -1] * 50), Shape.MEAN, (0, 4, "equally large sessions that the sum is worth")),
    ],
)
def test_too_little_data_is_said_with_what_there_is_and_what_it_needs(sums, shape, expected):
    found = ratio(sums, shape)

    assert isinstance(found, TooLittle)
    assert (found.have, found.need, found.what) == expected


def test_what_costs_nothing_costs_nothing():
    free = ratio(sums_of([1] * 20 + [0] * 20, [0] * 40), Shape.RATIO)

    assert (free.value, free.low, free.high) == (0, 0, 0)


# (name, x and y of one session, the truth, sessions): draws of (runs, sessions) arrays.
def _ones(random, size):
    return np.ones(size)


SIMULATED = {
    "order value, exponential": (_ones, lambda r, s, x: r.exponential(40, s), 40.0, 60, Shape.MEAN),
    "order value, log-normal": (_ones, lambda r, s, x: r.lognormal(0, 1, s), math.exp(0.5), 120, Shape.MEAN),
    "time, gamma": (_ones, lambda r, s, x: r.gamma(2, 60, s), 120.0, 50, Shape.MEAN),
    "revenue of a tenth": (
        _ones, lambda r, s, x: (r.random(s) < 0.1) * r.lognormal(0, 0.8, s), 0.1 * math.exp(0.32), 300, Shape.MEAN,
    ),
    "cost per resolved, six of ten": (
        lambda r, s: (r.random(s) < 0.6) * 1.0, lambda r, s, x: r.lognormal(0, 1, s) * (1 + x / 2),
        math.exp(0.5) * 1.3 / 0.6, 150, Shape.RATIO,
    ),
    "cost per resolved, one of ten": (
        lambda r, s: (r.random(s) < 0.1) * 1.0, lambda r, s, x: r.lognormal(0, 1, s) * (1 + x / 2),
        math.exp(0.5) * 1.05 / 0.1, 300, Shape.RATIO,
    ),
}  # fmt: skip
RUNS = 600


@pytest.mark.parametrize("name", SIMULATED)
def test_intervals_cover_the_truth_in_93_of_100_runs(name):
    """Coverage of at least .93 less four standard errors of `RUNS` runs (.01 each): chance fails it once in 30,000."""
    draw_x, draw_y, truth, n, shape = SIMULATED[name]
    random = np.random.default_rng(2026)
    x = draw_x(random, (RUNS, n))
    y = draw_y(random, (RUNS, n), x)
    totals = zip(x.sum(1), y.sum(1), (x * x).sum(1), (x * y).sum(1), (y * y).sum(1), strict=True)
    found = [ratio(Sums(n, 0, *(Decimal(float(each)) for each in row)), shape) for row in totals]
    shown = [each for each in found if isinstance(each, Ratio)]

    covered = sum(each.low <= truth <= each.high for each in shown) / len(shown)

    assert len(shown) >= 0.95 * RUNS
    assert 0.93 - 4 * math.sqrt(0.93 * 0.07 / RUNS) <= covered


def test_no_change_is_called_noise_in_95_of_100_runs():
    random = np.random.default_rng(7)
    n, wrong, runs = 400, 0, 400

    def one():
        x = (random.random(n) < 0.4) * 1.0
        y = random.lognormal(-3, 0.9, n)
        return ratio(
            Sums(n, 0, *(Decimal(float(each.sum())) for each in (x, y, x * x, x * y, y * y))), Shape.RATIO
        )  # fmt: skip

    for _ in range(runs):
        wrong += change(one(), one()).is_more_than_noise

    assert wrong / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 10**15)), min_size=30, max_size=80),
    st.integers(0, 79),
)
def test_sums_add_up_in_any_order_and_intervals_hold_the_figure(rows, cut):
    x, y = [float(a) for a, _ in rows], [b for _, b in rows]
    whole = sums_of(x, y)
    parts = sums_of(x[cut:], y[cut:]) + sums_of(x[:cut], y[:cut])

    assert parts == whole
    for shape in (Shape.RATIO, Shape.MEAN):
        found = ratio(whole, shape)
        if isinstance(found, Ratio):
            assert found.low <= found.value <= found.high
            assert math.isfinite(found.high)
            assert change(found, found) == Change(
                0.0, pytest.approx(-math.hypot(found.value - found.low, found.high - found.value)),
                pytest.approx(math.hypot(found.value - found.low, found.high - found.value)),
            )  # fmt: skip
