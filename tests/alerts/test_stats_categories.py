"""Categories: chi-square and G of a printed table, pooling, residuals, new categories; topics that grew; MMD."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from alerts.stats.categories import compare_categories, pool
from alerts.stats.mmd import kernel_test, median_bandwidth
from alerts.stats.topics import OUTSIDE, Topics, learn_topics, topic_drift
from evals.stats.results import TooLittle

# Agresti 2007, An Introduction to Categorical Data Analysis, tables 2.5 and 2.7: party by gender, 1991.
WOMEN = {"democrat": 762, "independent": 327, "republican": 468}
MEN = {"democrat": 484, "independent": 239, "republican": 477}


def test_agrestis_table_of_party_by_gender():
    found = compare_categories(MEN, WOMEN)

    assert (found.df, found.n_reference, found.n_current) == (2, 1_200, 1_557)
    assert found.statistic == pytest.approx(30.1, abs=0.05)
    assert found.p < 0.0001
    residuals = {cell.name: cell.residual for cell in found.cells}
    assert residuals["democrat"] == pytest.approx(4.50, abs=0.005)
    assert residuals["independent"] == pytest.approx(0.70, abs=0.005)
    assert residuals["republican"] == pytest.approx(-5.32, abs=0.005)
    assert compare_categories(MEN, WOMEN, method="g").statistic == pytest.approx(30.0, abs=0.05)


@given(st.lists(st.integers(60, 900), min_size=2, max_size=8), st.integers(0, 2**32 - 1))
def test_chi_square_and_g_equal_scipy(before, seed):
    now = np.random.default_rng(seed).integers(30, 500, len(before)).tolist()
    names = [f"c{at}" for at in range(len(before))]
    before = [count + 150 for count in before]
    a, b = dict(zip(names, before, strict=True)), dict(zip(names, now, strict=True))

    for method, power in (("chi-square", 1), ("g", 0)):
        found = compare_categories(a, b, method=method)
        expected = stats.chi2_contingency([before, now], correction=False, lambda_=power)
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


def test_cells_expected_under_five_are_pooled_until_the_pool_holds_five():
    rows = np.array([[500.0, 300.0, 20.0, 3.0, 1.0], [100.0, 60.0, 2.0, 0.0, 1.0]])

    groups = pool(rows)

    # 164 of 987 rows are current: 27 rows of the three smallest are expected 4.5 times, so the next joins.
    assert groups == [[0], [1, 2, 3, 4]]
    expected = rows[:, groups[1]].sum() * 164 / 987
    assert expected >= 5


def test_beside_four_other_cells_a_rare_one_stays_alone():
    """Cochran 1954: one cell in five may be expected less than five times, down to once."""
    rows = np.array([[500.0, 300.0, 200.0, 57.0, 10.0], [100.0, 60.0, 40.0, 90.0, 0.0]])

    assert pool(rows) == [[0], [1], [2], [3], [4]]
    assert pool(rows[:, 1:]) == [[0], [1], [2, 3]]


def test_a_pooled_cell_names_what_it_holds():
    found = compare_categories({"a": 500, "b": 400, "c": 30, "d": 20}, {"a": 200, "b": 90, "c": 2, "e": 6})

    other = next(cell for cell in found.cells if len(cell.categories) > 1)
    assert other.name == "other"
    assert other.categories == ("d", "e")
    assert other.n_current == 6
    assert found.gone == ("d",)


def test_a_new_category_is_an_event_of_its_own():
    found = compare_categories({"stop": 5_000, "length": 200}, {"stop": 300, "length": 10, "content_filter": 3})

    (new,) = found.new
    assert (new.name, new.n) == ("content_filter", 3)
    # 0 of 5,200 allows .07 % at 95 %; three of 313 by chance alone: choose(313,3)/choose(5513,3).
    assert new.share_before_most == pytest.approx(1 - 0.025 ** (1 / 5_200), rel=1e-6)
    assert new.p == pytest.approx(stats.hypergeom.sf(2, 5_513, 3, 313), rel=1e-6)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"a": 150, "b": 40}, {"a": 50}, TooLittle(190, 200, "reference rows")),
        ({"a": 500}, {"a": 4}, TooLittle(4, 5, "current rows")),
        ({"a": 500, "b": 3}, {"a": 40}, TooLittle(0, 5, "rows expected in each of two cells")),
    ],
)
def test_too_little_is_said(before, now, expected):
    assert compare_categories(before, now) == expected


def test_one_category_before_and_now_is_no_test_and_no_alarm():
    found = compare_categories({"gpt": 900}, {"gpt": 70})

    assert (found.p, found.statistic, found.new, found.gone) == (None, None, (), ())


def test_by_chance_a_test_at_one_percent_rejects_one_percent():
    random = np.random.default_rng(11)
    shares = np.array([0.5, 0.3, 0.1, 0.06, 0.03, 0.01])
    names = "abcdef"

    hits = 0
    for _ in range(4_000):
        before, now = random.multinomial(2_000, shares), random.multinomial(300, shares)
        found = compare_categories(
            dict(zip(names, before.tolist(), strict=True)), dict(zip(names, now.tolist(), strict=True))
        )
        hits += found.p <= 0.01

    # Binomial limits at 1e-4 around 40 of 4,000, with a little room above for small cells.
    assert 18 <= hits <= 68


def test_clustered_rows_are_held_back_by_their_design_effect():
    plain, held = compare_categories(MEN, WOMEN), compare_categories(MEN, WOMEN, design_effect=2.0)

    assert held.statistic == pytest.approx(plain.statistic / 2)
    assert held.cells[0].residual == pytest.approx(plain.cells[0].residual / 2**0.5)


def topics_of(random, n, centres, shares):
    which = random.choice(len(shares), n, p=shares)
    return centres[which] + random.normal(size=(n, centres.shape[1]))


def test_the_topic_that_grew_is_named_with_its_examples():
    random = np.random.default_rng(5)
    centres = random.normal(size=(4, 32)) * 3
    before = topics_of(random, 1_000, centres, [0.4, 0.3, 0.25, 0.05])
    now = topics_of(random, 400, centres, [0.3, 0.25, 0.2, 0.25])

    topics = learn_topics(before, seed=3, topics=4)
    drift = topic_drift(topics, now)

    grown = drift.topics[0]
    assert drift.test.p < 1e-6
    assert grown.residual > 5
    assert grown.share_reference == pytest.approx(0.05, abs=0.02)
    assert grown.share_current == pytest.approx(0.25, abs=0.05)
    near = np.linalg.norm(now[list(grown.examples)] - centres[3], axis=1)
    assert (near < np.linalg.norm(now[list(grown.examples)] - centres[0], axis=1)).all()


def test_a_topic_never_seen_lies_outside_and_its_farthest_inputs_are_shown():
    random = np.random.default_rng(6)
    centres = random.normal(size=(5, 32)) * 3
    before = topics_of(random, 800, centres[:4], [0.4, 0.3, 0.2, 0.1])
    now = topics_of(random, 300, centres, [0.35, 0.25, 0.2, 0.1, 0.1])

    drift = topic_drift(learn_topics(before, seed=1, topics=4), now)

    assert drift.topics[0].topic is None
    assert drift.topics[0].share_current == pytest.approx(0.1, abs=0.04)
    assert drift.topics[0].residual > 5
    assert OUTSIDE in drift.test.cells[0].categories
    assert (np.linalg.norm(now[list(drift.topics[0].examples)] - centres[4], axis=1) < 12).all()


def test_topics_by_chance_reject_about_as_often_as_they_say():
    random = np.random.default_rng(8)
    hits = 0
    for run in range(200):
        before, now = random.normal(size=(600, 16)), random.normal(size=(300, 16))
        hits += topic_drift(learn_topics(before, seed=run, topics=6), now).test.p <= 0.05

    # Binomial limits at 1e-4 of 5 % of 200: 0..23.
    assert hits <= 23


def test_one_seed_gives_one_division():
    rows = np.random.default_rng(2).normal(size=(300, 8))

    a, b = learn_topics(rows, seed=7), learn_topics(rows, seed=7)

    assert isinstance(a, Topics)
    assert np.array_equal(a.centres, b.centres)
    assert a.counts == b.counts
    assert sum(a.counts) + a.outside == 300


def test_the_same_row_repeated_is_one_topic():
    topics = learn_topics(np.ones((250, 3)), seed=0)

    assert topics.counts == (250,)
    assert learn_topics(np.ones((199, 3)), seed=0) == TooLittle(199, 200, "reference vectors")


def test_mmd_is_its_formula():
    """Gretton et al. 2012, lemma 6: the unbiased estimate, summed as printed."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(21, 3)), random.normal(0.5, size=(25, 3))

    found = kernel_test(x, y, seed=1, permutations=10)

    def k(a, b):
        return np.exp(-((a - b) ** 2).sum() / (2 * found.bandwidth**2))

    xx = sum(k(x[i], x[j]) for i in range(21) for j in range(21) if i != j) / (21 * 20)
    yy = sum(k(y[i], y[j]) for i in range(25) for j in range(25) if i != j) / (25 * 24)
    xy = sum(k(a, b) for a in x for b in y) / (21 * 25)
    assert found.mmd2 == pytest.approx(xx + yy - 2 * xy, abs=1e-12)
    apart = [np.linalg.norm(x[i] - x[j]) for i in range(21) for j in range(i)]
    # The median of an even number of squares, and of roots, differ by a hair.
    assert found.bandwidth == pytest.approx(np.median(apart), rel=0.01)


def test_the_bandwidth_is_of_the_reference_only():
    random = np.random.default_rng(0)
    x = random.normal(size=(50, 4))

    far = kernel_test(x, random.normal(100, 50, size=(50, 4)), seed=0, permutations=100)

    assert far.bandwidth == median_bandwidth(x)
    assert far.p == pytest.approx(1 / 101)


def test_mmd_by_chance_rejects_as_often_as_it_says_and_never_with_p_zero():
    random = np.random.default_rng(4)
    p = [
        kernel_test(random.normal(size=(30, 5)), random.normal(size=(25, 5)), seed=run, permutations=99).p
        for run in range(400)
    ]

    # Binomial limits at 1e-4 of 5 % of 400: 6..38.
    assert 6 <= np.sum(np.array(p) <= 0.05) <= 38
    assert min(p) >= 0.01


def test_mmd_is_bounded_in_time_and_repeats_by_seed():
    random = np.random.default_rng(9)
    x, y = random.normal(size=(3_000, 64)), random.normal(0.15, size=(3_000, 64))
    started = time.perf_counter()

    found = kernel_test(x, y, seed=2)

    assert time.perf_counter() - started < 10
    assert (found.used_reference, found.used_current, found.n_reference) == (500, 500, 3_000)
    assert found.p < 0.01
    assert found.mmd2 > found.chance_99
    assert kernel_test(x, y, seed=2) == found
    assert kernel_test(x[:19], y, seed=2) == TooLittle(19, 20, "reference vectors")
