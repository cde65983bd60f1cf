"""Effect sizes equal scipy and Evidently to 1e-6; tests of two samples equal scipy; Benjamini-Hochberg as printed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance
from statsmodels.stats.multitest import multipletests

from alerts.stats.distances import compare_counts, compare_numbers, cramers_v, filled, js, kl, ks, psi, tvd, wasserstein
from alerts.stats.pvalues import benjamini_hochberg, fisher, ks_two_sided
from evals.stats.results import TooLittle

counts = st.lists(st.integers(0, 500), min_size=2, max_size=12)
samples = st.lists(st.integers(-20, 20), min_size=3, max_size=40)


def samples_of_evidently():
    """The two samples whose figures by Evidently 0.7.0 stand in the tests below."""
    i, j = np.arange(300), np.arange(180)
    reference = np.sqrt(1 + (i * 37 % 300) / 3.0) * 10
    current = np.sqrt(1 + (j * 53 % 180) / 1.5) * 10 + (j % 7)
    return reference, current


def test_kullbacks_worked_example():
    """Kullback 1959, Information Theory and Statistics, table 2.1: binomial (9, 12, 4)/25 against uniform."""
    p, q = np.array([9, 12, 4]) / 25, np.full(3, 1 / 3)

    assert kl(p, q) == pytest.approx((32 * math.log(2) + 55 * math.log(3) - 50 * math.log(5)) / 25, abs=1e-12)
    assert kl(p, q) == pytest.approx(0.0852996, abs=5e-8)
    assert kl(q, p) == pytest.approx(0.097455, abs=5e-7)


def test_the_exercise_of_document_002_depends_on_its_uniform_baseline():
    """.1 % of the mass moved onto 100 of 50,000 tokens: 2.2e-4 nats of a uniform baseline (statistics.md, fault 17)."""
    before = np.full(50_000, 1 / 50_000)
    after = before.copy()
    after[:100] += 0.001 / 100
    after[100:] -= 0.001 / 49_900

    assert kl(after, before) == pytest.approx(2.2e-4, abs=0.05e-4)


@given(counts, counts)
def test_distances_equal_scipy(a, b):
    size = min(len(a), len(b))
    a, b = np.array(a[:size], float), np.array(b[:size], float)
    if a.sum() == 0 or b.sum() == 0:
        assert isinstance(compare_counts(a, b), TooLittle)
        return

    found = compare_counts(a, b)

    seen = a + b > 0
    p, q = a[seen] / a.sum(), b[seen] / b.sum()
    assert found.kl_raw == pytest.approx(stats.entropy(p, q), abs=1e-9)
    assert found.js == pytest.approx(distance.jensenshannon(p, q), abs=1e-7)
    assert js(p, q, base=2) == pytest.approx(distance.jensenshannon(p, q, 2), abs=1e-7)
    assert found.tvd == pytest.approx(np.abs(p - q).sum() / 2, abs=1e-12)
    assert found.js <= math.sqrt(math.log(2)) + 1e-12
    if seen.sum() > 1:
        table = np.vstack((a[seen], b[seen])).astype(int)
        assert found.v == pytest.approx(stats.contingency.association(table, method="cramer"), abs=1e-9)
    else:
        assert found.v is None


@given(samples, samples)
def test_distances_of_numbers_equal_scipy(a, b):
    a, b = np.array(a, float) / 7, np.array(b, float) / 7

    assert ks(a, b) == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    assert wasserstein(a, b) == pytest.approx(stats.wasserstein_distance(a, b), abs=1e-9)


@given(counts, counts)
def test_js_tvd_and_psi_are_symmetric_and_nothing_on_themselves(a, b):
    size = min(len(a), len(b))
    a, b = np.array(a[:size], float), np.array(b[:size], float)
    if a.sum() == 0 or b.sum() == 0:
        return

    one, other, same = compare_counts(a, b), compare_counts(b, a), compare_counts(a, a)

    assert (one.js, one.tvd, one.psi) == pytest.approx((other.js, other.tvd, other.psi), abs=1e-9)
    assert (same.js, same.tvd, same.psi, same.kl) == pytest.approx((0, 0, 0, 0), abs=1e-7)


@pytest.mark.parametrize(
    ("distance_of", "evidently"),
    [
        (lambda found: found.binned.psi, 1.160680349539961),
        (lambda found: found.binned.js, 0.24492689688029598),
        (lambda found: found.binned.kl, 0.18285441403750025),
        (lambda found: found.wasserstein_sds, 0.39554617754682336),
    ],
)
def test_numbers_as_evidently_computes_them(distance_of, evidently):
    """Figures of Evidently 0.7.0 (_psi, _jensenshannon, _kl_div, _wasserstein_distance_norm) on the same samples."""
    found = compare_numbers(*samples_of_evidently())

    assert distance_of(found) == pytest.approx(evidently, abs=1e-6)


def test_categories_as_evidently_computes_them():
    """Evidently 0.7.0 on 200 of a, b, c against 100 of a, b, d; then on a share so small that the fill shrinks."""
    found = compare_counts([120, 60, 20, 0], [50, 30, 0, 20])

    assert found.psi == pytest.approx(2.2277373097121735, abs=1e-6)
    assert found.js == pytest.approx(0.32595696837128585, abs=1e-6)
    assert found.kl == pytest.approx(0.7993284388847437, abs=1e-6)
    assert found.tvd == pytest.approx(0.2, abs=1e-6)
    assert found.kl_raw == math.inf

    tiny = compare_counts([20_000, 1, 0], [500, 0, 20])
    assert tiny.psi == pytest.approx(0.7884989438861618, abs=1e-6)
    assert tiny.kl == pytest.approx(0.039234091764764854, abs=1e-6)


def test_few_distinct_numbers_are_cells_of_their_own_as_in_evidently():
    i, j = np.arange(300), np.arange(180)

    found = compare_numbers(i % 12, j % 15)

    assert found.binned.psi == pytest.approx(1.3431360573863742, abs=1e-6)
    assert found.binned.js == pytest.approx(0.2736453208486384, abs=1e-6)


def test_psi_is_its_formula_on_filled_shares():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.7, 0.05])

    assert filled(p).tolist() == [0.5, 0.5, 1e-4]
    by_hand = 0.25 * math.log(2) + -0.2 * math.log(0.5 / 0.7) + (1e-4 - 0.05) * math.log(1e-4 / 0.05)
    assert psi(p, q) == pytest.approx(by_hand, abs=1e-12)


def test_psi_by_chance_is_what_samples_of_one_distribution_give():
    random = np.random.default_rng(1)
    shares = np.array([0.4, 0.3, 0.2, 0.1])

    found = [compare_counts(random.multinomial(800, shares), random.multinomial(400, shares)) for _ in range(2_000)]

    # PSI / (1/n + 1/m) is about chi-square on 3 df: sd of the mean sqrt(6/2000) = .055 of 3.
    mean = np.mean([one.psi for one in found])
    assert mean == pytest.approx(found[0].psi_by_chance, rel=4 * 0.055 / 3)


def test_an_empty_side_is_too_little():
    assert compare_counts([0, 0], [1, 2]) == TooLittle(0, 1, "reference rows")
    assert compare_numbers([1.0], [math.nan]) == TooLittle(0, 1, "current values")
    with pytest.raises(ValueError, match="same cells"):
        compare_counts([1, 2], [1])
    with pytest.raises(ValueError, match="none under 0"):
        compare_counts([1, -2], [1, 2])


def test_a_table_with_one_filled_column_has_no_v():
    assert cramers_v(np.array([[3.0, 0.0], [4.0, 0.0]])) is None
    assert cramers_v(np.array([[30.0, 0.0], [0.0, 20.0]])) == pytest.approx(1.0)
    assert tvd(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0


def test_fishers_tea():
    """Fisher 1935, The Design of Experiments, chapter II: 3 of 4 cups right; one-sided 17/70, two-sided 34/70."""
    found = fisher(3, 1, 1, 3)

    assert found.greater == pytest.approx(17 / 70, abs=1e-12)
    assert found.two_sided == pytest.approx(34 / 70, abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_fisher_equals_scipy(a, b, c, d):
    found = fisher(a, b, c, d)

    for alternative, p in (("two-sided", found.two_sided), ("less", found.less), ("greater", found.greater)):
        expected = stats.fisher_exact([[a, b], [c, d]], alternative)
        assert p == pytest.approx(expected.pvalue, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 7), (30, 30), (80, 233), (500, 120)])
def test_kolmogorov_smirnov_equals_the_exact_p_of_scipy(n, m):
    random = np.random.default_rng(n)
    for shift in (0, 0.2, 0.5):
        a, b = random.normal(size=n), random.normal(shift, size=m)
        expected = stats.ks_2samp(a, b, method="exact")

        assert ks_two_sided(ks(a, b), n, m) == pytest.approx(expected.pvalue, abs=1e-9)


def test_kolmogorov_smirnov_of_large_samples_is_near_the_limit():
    random = np.random.default_rng(3)
    a, b = random.normal(size=9_000), random.normal(0.02, size=7_000)
    expected = stats.ks_2samp(a, b, method="asymp")

    assert ks_two_sided(ks(a, b), a.size, b.size) == pytest.approx(expected.pvalue, abs=0.005)


BH_1995 = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_tests_screened_out_count_as_one():
    assert benjamini_hochberg([0.001, 0.2], among=10) == pytest.approx(benjamini_hochberg([0.001, 0.2] + [1.0] * 8)[:2])
    with pytest.raises(ValueError, match="cannot be among"):
        benjamini_hochberg([0.1, 0.2], among=1)


def test_the_fifteen_p_values_of_benjamini_and_hochberg():
    """Benjamini and Hochberg 1995, section 3.2: at .05 four are rejected, by Bonferroni three."""
    adjusted = benjamini_hochberg(BH_1995)

    assert int((adjusted <= 0.05).sum()) == 4
    assert int((np.array(BH_1995) <= 0.05 / 15).sum()) == 3
    assert adjusted == pytest.approx(multipletests(BH_1995, method="fdr_bh")[1], abs=1e-12)


@given(st.lists(st.floats(0, 1), max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_tests_changes_nothing(p, random):
    order = list(range(len(p)))
    random.shuffle(order)

    shuffled = benjamini_hochberg([p[at] for at in order])

    assert shuffled == pytest.approx(benjamini_hochberg(p)[order] if p else [], abs=1e-12)
