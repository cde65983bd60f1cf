"""The mean at the baseline's mix: a printed example, a change of mix alone, intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.stats.mix import Stratum, standardise
from evals.stats.results import TooLittle


def test_kidney_stones():
    """Charig et al. 1986, BMJ 292; Julious and Mullee 1994: the treatment better for both sizes looks worse raw."""
    sizes = {"small": 357, "large": 343}
    open_surgery = {"small": Stratum.of_share(81, 87), "large": Stratum.of_share(192, 263)}
    puncture = {"small": Stratum.of_share(234, 270), "large": Stratum.of_share(55, 80)}

    a, b = standardise(sizes, open_surgery), standardise(sizes, puncture)

    assert (a.raw.value, b.raw.value) == pytest.approx((273 / 350, 289 / 350))
    assert (a.standardised.value, b.standardised.value) == pytest.approx((0.8325, 0.7789), abs=5e-5)
    assert a.from_mix < 0 < b.from_mix


def test_a_change_of_mix_alone_moves_the_raw_mean_only():
    before = {"chat": 0.8, "batch": 0.2}
    now = {"chat": Stratum(200, 1.0, 0.1), "batch": Stratum(800, 5.0, 0.1)}

    found = standardise(before, now)

    assert found.raw.value == pytest.approx(4.2)
    assert found.standardised.value == pytest.approx(1.8)
    assert found.from_mix == pytest.approx(2.4)
    assert found.standardised.n_eff < found.raw.n_eff == pytest.approx(1_000)


def test_strata_that_are_absent_or_fresh_are_named():
    found = standardise(
        {"a": 50, "b": 30, "c": 20}, {"a": Stratum(40, 1, 1), "b": Stratum(20, 2, 1), "new": Stratum(20, 9, 1)}
    )

    assert found.absent == ("c",)
    assert found.covered == pytest.approx(0.8)
    assert found.fresh == (("new", 0.25),)
    assert found.standardised.value == pytest.approx((50 * 1 + 30 * 2) / 80)


@pytest.mark.parametrize("weights", [(0.5, 0.3, 0.2), (0.1, 0.1, 0.8)])
def test_intervals_cover_the_standardised_mean(weights):
    random = np.random.default_rng(7)
    means, sds, sizes = np.array([0.0, 2.0, 5.0]), np.array([1.0, 0.5, 2.0]), (60, 25, 12)
    truth, covered = float(np.array(weights) @ means), 0
    for _ in range(1_000):
        strata = {}
        for name, mean, sd, n in zip("abc", means, sds, sizes, strict=True):
            values = random.normal(mean, sd, n)
            strata[name] = Stratum(n, float(values.mean()), float(values.var(ddof=1)))
        found = standardise(dict(zip("abc", weights, strict=True)), strata).standardised
        covered += found.low <= truth <= found.high

    # 95 %; binomial limits at 1e-4 of 1,000.
    assert 922 <= covered <= 976


def test_the_same_mix_gives_the_raw_mean_with_its_interval():
    strata = {"a": Stratum(30, 1.0, 2.0), "b": Stratum(70, 3.0, 1.0)}

    found = standardise({"a": 30, "b": 70}, strata)

    assert (found.raw.low, found.raw.high) == pytest.approx((found.standardised.low, found.standardised.high))
    assert found.standardised.error == pytest.approx((0.3**2 * 2 / 30 + 0.7**2 / 70) ** 0.5)


def test_a_single_value_borrows_the_variance_of_the_others():
    found = standardise({"a": 0.9, "b": 0.1}, {"a": Stratum(30, 1.0, 4.0), "b": Stratum(1, 2.0, None)})

    assert found.standardised.error == pytest.approx((0.81 * 4 / 30 + 0.01 * 4) ** 0.5)


def test_too_little_and_bad_input():
    assert standardise({"a": 1.0}, {"a": Stratum(19, 1.0, 1.0)}) == TooLittle(
        19, 20, "values in strata of the baseline"
    )
    assert isinstance(standardise({"a": 1.0}, {"b": Stratum(100, 1.0, 1.0)}), TooLittle)
    with pytest.raises(ValueError, match="sum to over 0"):
        standardise({"a": 0.0}, {"a": Stratum(30, 1.0, 1.0)})
    with pytest.raises(ValueError, match="0 <= k <= n"):
        Stratum.of_share(3, 2)


def test_equal_values_have_no_interval():
    found = standardise({"a": 1.0}, {"a": Stratum(30, 4.0, 0.0)})

    assert (found.standardised.value, found.standardised.low) == (4.0, None)
