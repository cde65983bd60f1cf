"""Agreement: equal to scipy, statsmodels, krippendorff and irrCAC, and to what was printed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa

from evals.stats import agreement as ours
from evals.stats.agreement import bias, coded, confusion, fleiss, gwet, krippendorff, nearest_level
from evals.stats.report import beside_people, constant_predictor, judge_report, people_report
from evals.stats.results import Estimate, TooLittle

REFERENCES = json.loads((Path(__file__).parents[1] / "fixtures" / "statistics" / "references.json").read_text())
LEVELS = tuple(REFERENCES["levels"])
CASES = {case["name"]: case for case in REFERENCES["ratings"]}
CLOSE = 1e-9


def judged(n=300, seed=5, spread=0.8):
    """People's scores 1..5 and a judge's that follow them; ties everywhere."""
    random = np.random.default_rng(seed)
    people = random.choice(LEVELS, size=n, p=(0.1, 0.15, 0.2, 0.25, 0.3)).astype(float)
    judge = np.clip(np.round(people + random.normal(0.2, spread, n)), 1, 5)
    return people, judge


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("weights", ["identity", "linear", "quadratic", "ordinal"])
def test_gwet_and_fleiss_equal_irrcac(name, weights):
    case = CASES[name]

    assert gwet(case["ratings"], LEVELS, weights) == pytest.approx(case["irrcac"][f"gwet_{weights}"], abs=CLOSE)
    assert fleiss(case["ratings"], LEVELS, weights) == pytest.approx(case["irrcac"][f"fleiss_{weights}"], abs=CLOSE)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("measure", ["nominal", "ordinal", "interval", "ratio"])
def test_alpha_equals_krippendorff(name, measure):
    case = CASES[name]

    found = krippendorff(case["ratings"], LEVELS, measure)

    assert found == pytest.approx(case["krippendorff"][measure], abs=CLOSE)


def test_the_report_on_people_holds_the_same_figures():
    case = CASES["three raters with gaps"]

    report = people_report(case["ratings"], LEVELS)

    assert report.figures["krippendorff"].value == pytest.approx(case["krippendorff"]["ordinal"], abs=CLOSE)
    assert report.figures["gwet_ac1"].value == pytest.approx(case["irrcac"]["gwet_identity"], abs=CLOSE)
    assert report.figures["gwet_ac2"].value == pytest.approx(case["irrcac"]["gwet_quadratic"], abs=CLOSE)
    assert report.figures["fleiss"].value == pytest.approx(case["irrcac"]["fleiss_identity"], abs=CLOSE)


@pytest.mark.parametrize("weights", ["linear", "quadratic", None])
def test_kappas_equal_statsmodels(weights):
    people, judge = judged()
    table = confusion(people, judge, LEVELS).table

    found = ours.weighted_kappa(people, judge, LEVELS, weights or "identity")

    assert found == pytest.approx(cohens_kappa(table, wt=weights, return_results=False), abs=CLOSE)


def test_fleiss_equals_statsmodels_without_gaps():
    ratings = CASES["two raters with ties"]["ratings"]
    table, _ = aggregate_raters(np.array(ratings).T)

    assert fleiss(ratings, LEVELS) == pytest.approx(fleiss_kappa(table), abs=CLOSE)


@pytest.mark.parametrize("seed", range(3))
def test_correlations_equal_scipy(seed):
    people, judge = judged(seed=seed)

    report = judge_report(people, judge, LEVELS, resamples=0)

    rho, tau = scipy_stats.spearmanr(people, judge).statistic, scipy_stats.kendalltau(people, judge).statistic
    assert ours.spearman(people, judge) == pytest.approx(rho, abs=CLOSE)
    assert ours.kendall(people, judge) == pytest.approx(tau, abs=CLOSE)
    assert report.figures["spearman"].value == pytest.approx(rho, abs=CLOSE)
    assert report.figures["kendall"].value == pytest.approx(tau, abs=CLOSE)


def test_correlations_of_any_numbers_leave_gaps_out():
    random = np.random.default_rng(9)
    a, b = random.normal(size=80), random.normal(size=80)
    b[:40] = a[:40] + 0.1
    a[5] = b[9] = np.nan
    both = ~(np.isnan(a) | np.isnan(b))

    assert ours.spearman(a, b) == pytest.approx(scipy_stats.spearmanr(a[both], b[both]).statistic, abs=CLOSE)
    assert ours.kendall(a, b) == pytest.approx(scipy_stats.kendalltau(a[both], b[both]).statistic, abs=CLOSE)


def test_alpha_equals_the_printed_example():
    # Krippendorff (2011), Computing Krippendorff's alpha-reliability, section C: 4 observers, 12 units, gaps.
    na = None
    ratings = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, na, na, na],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, na, 3],
        [na, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, na],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, na],
    ]

    found = {measure: krippendorff(ratings, LEVELS, measure) for measure in ("nominal", "ordinal", "interval", "ratio")}

    printed = {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849, "ratio": 0.797}
    assert {measure: round(value, 3) for measure, value in found.items()} == printed


def test_fleiss_equals_the_printed_example():
    # Fleiss (1971), table 1: 30 patients, 6 psychiatrists, 5 diagnoses; kappa .430.
    rows = """0 0 0 6 0|0 3 0 0 3|0 1 4 0 1|0 0 0 0 6|0 3 0 3 0|2 0 4 0 0|0 0 4 0 2|2 0 3 1 0|2 0 0 4 0|0 0 0 0 6
    1 0 0 5 0|1 1 0 4 0|0 3 3 0 0|1 0 0 5 0|0 2 0 3 1|0 0 5 0 1|3 0 0 1 2|5 1 0 0 0|0 2 0 4 0|1 0 2 0 3
    0 0 0 0 6|0 1 0 5 0|0 2 0 1 3|2 0 0 4 0|1 0 0 4 1|0 5 0 1 0|4 0 0 0 2|0 2 0 4 0|1 0 5 0 0|0 0 0 0 6"""
    counts = [[int(x) for x in row.split()] for line in rows.splitlines() for row in line.split("|")]
    ratings = np.array([[level for level, times in enumerate(row) for _ in range(times)] for row in counts]).T

    assert round(fleiss(ratings.astype(float), range(5)), 3) == 0.430


def tables(counts):
    """Two rows of scores whose confusion table is `counts`."""
    pairs = [(i, j) for i, row in enumerate(counts) for j, times in enumerate(row) for _ in range(times)]
    return [i for i, _ in pairs], [j for _, j in pairs]


def test_cohens_kappa_equals_the_printed_example():
    # Cohen (1960), table 1 (proportions of 200): kappa .492.
    people, judge = tables([[88, 14, 18], [10, 40, 10], [2, 6, 12]])

    assert round(ours.cohen_kappa(people, judge, range(3)), 3) == 0.492


def test_the_paradox_of_kappa_is_seen_and_gwet_is_beside_it():
    # Feinstein and Cicchetti (1990), High agreement but low kappa: both tables agree in 85 of 100; kappa .70 and .32.
    balanced, skewed = tables([[40, 9], [6, 45]]), tables([[80, 10], [5, 5]])

    kappas = [round(ours.cohen_kappa(*rows, range(2)), 2) for rows in (balanced, skewed)]
    assert kappas == [0.70, 0.32]
    assert gwet(balanced, range(2)) == pytest.approx(0.7, abs=0.005)
    assert gwet(skewed, range(2)) == pytest.approx(0.81, abs=0.005)


def test_high_agreement_can_have_a_kappa_below_zero():
    people, judge = tables([[94, 3], [3, 0]])

    assert ours.raw_agreement(people, judge, range(2)).value == 0.94
    assert ours.cohen_kappa(people, judge, range(2)) < 0


def test_levels_that_nobody_used_keep_the_others_apart():
    people, judge = [1, 1, 2, 5, 5, 2], [1, 2, 2, 5, 2, 2]

    whole = ours.weighted_kappa(people, judge, (1, 2, 3, 4, 5))
    seen_only = ours.weighted_kappa(people, judge, (1, 2, 5))

    # By hand: 1 - (10/6)/(164/36) with distances of 1 and 3, 1 - (2/6)/(36/36) where 2 and 5 were neighbours.
    assert whole == pytest.approx(1 - 60 / 164)
    assert seen_only == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "figure",
    [
        lambda a, b: ours.cohen_kappa(a, b, LEVELS),
        lambda a, b: ours.weighted_kappa(a, b, LEVELS),
        lambda a, b: krippendorff([a, b], LEVELS),
        lambda a, b: ours.spearman(a, b),
        lambda a, b: ours.kendall(a, b),
    ],
)
def test_constant_scores_leave_it_undefined(figure):
    assert figure([3, 3, 3, 3], [3, 3, 3, 3]) is None


def test_nothing_scored_twice_is_undefined():
    alone = [[1, None, 3], [None, 2, None]]

    assert krippendorff(alone, LEVELS) is None
    assert gwet(alone, LEVELS) is None
    assert fleiss(alone, LEVELS) is None
    assert people_report(alone, LEVELS) == TooLittle(0, 2, "items that two people scored")
    assert isinstance(judge_report([None, 3.0], [3.0, None], LEVELS), TooLittle)
    assert ours.raw_agreement([None], [1], LEVELS) == TooLittle(0, 1, "items with both scores")


def test_a_score_that_is_no_level_is_refused():
    with pytest.raises(ValueError, match=r"7 is no level of the scale \[1, 2, 3, 4, 5\]"):
        coded([1, 7], LEVELS)
    with pytest.raises(ValueError, match="2 different levels"):
        coded([1], (1,))


def test_labels_and_booleans_are_levels_too():
    report = judge_report(
        ["good", "bad", "good", None], ["good", "bad", "bad", "bad"], ("bad", "good"), is_ordered=False
    )

    assert report.n == 3
    assert report.figures["raw_agreement"].value == pytest.approx(2 / 3)
    assert set(report.figures) == {"raw_agreement", "cohen_kappa", "krippendorff", "gwet_ac1"}
    assert report.bias is None
    assert ours.cohen_kappa([True, False, True], [True, False, False], (False, True)) == pytest.approx(0.4)


def test_answers_between_levels_go_to_the_nearest():
    assert nearest_level([1.2, 2.5, 4.49, 9, np.nan], LEVELS).tolist()[:4] == [1, 3, 4, 5]


def test_intervals_hold_the_truth_in_95_of_100_draws():
    random = np.random.default_rng(11)
    people, judge = judged(20_000, seed=2)
    truth = ours.weighted_kappa(people, judge, LEVELS)

    hits = 0
    for _ in range(400):
        at = random.integers(0, people.size, 200)
        found = judge_report(people[at], judge[at], LEVELS, resamples=400).figures["weighted_kappa"]
        hits += found.low <= truth <= found.high

    # 400 binomial draws at .95: 4 standard deviations, and the percentile interval's known lack of about .01.
    assert 0.90 <= hits / 400 <= 0.99


def test_all_figures_of_500_items_take_a_fraction_of_a_second():
    people, judge = judged(500)
    judge_report(people, judge, LEVELS)

    began = time.process_time()
    report = judge_report(people, judge, LEVELS)
    taken = time.process_time() - began

    assert len(report.figures) == 9
    assert all(figure.low < figure.value < figure.high for figure in report.figures.values())
    assert taken < 1


def test_the_same_seed_gives_the_same_interval():
    people, judge = judged(100)

    one, same, other = (judge_report(people, judge, LEVELS, seed=seed).figures["gwet_ac2"] for seed in (1, 1, 2))

    assert one == same
    assert one.value == other.value
    assert one.low != other.low


def test_sessions_widen_the_interval():
    people, judge = judged(100)
    people, judge = np.repeat(people, 4), np.repeat(judge, 4)
    sessions = [i // 4 for i in range(400)]

    apart = judge_report(people, judge, LEVELS)
    together = judge_report(people, judge, LEVELS, clusters=sessions)

    assert together.n_units == 100
    for name in ("weighted_kappa", "raw_agreement", "spearman"):
        alone, joint = apart.figures[name], together.figures[name]
        assert alone.value == pytest.approx(joint.value)
        assert joint.half_width == pytest.approx(2 * alone.half_width, rel=0.25)
    assert together.bias.overall.half_width == pytest.approx(2 * apart.bias.overall.half_width, rel=0.1)


def test_few_items_have_a_figure_and_no_interval():
    people, judge = judged(19)

    found = judge_report(people, judge, LEVELS).figures["weighted_kappa"]

    assert found.low is None
    assert found.high is None
    assert "fewer than 20" in found.method


def test_too_many_undefined_resamples_leave_no_interval():
    # One item of thirty differs: (29/30)^30 = 36 % of the resamples are constant, and kappa is undefined there.
    people, judge = [5] * 29 + [1], [5] * 29 + [1]

    found = judge_report(people, judge, LEVELS).figures["weighted_kappa"]

    assert found.value == 1
    assert found.low is None
    assert "undefined in 3" in found.method


def test_judge_and_people_are_compared_on_the_same_items():
    random = np.random.default_rng(4)
    truth = random.choice(LEVELS, size=250).astype(float)

    def rater(spread):
        return np.clip(np.round(truth + random.normal(0, spread, truth.size)), 1, 5)

    people = [rater(0.9), rater(0.9), rater(0.9)]
    for row in people:
        row[random.random(truth.size) < 0.3] = np.nan

    good, poor = (beside_people(people, rater(spread), LEVELS) for spread in (0.5, 2.5))

    assert good.below.value == pytest.approx(good.people.value - good.judge.value)
    assert good.below.high < 0
    assert poor.below.low > 0.05


def test_two_people_without_gaps_have_the_ordinary_kappa():
    one, two = judged(60)

    report = people_report([one, two], LEVELS)

    assert report.figures["cohen_kappa"].value == pytest.approx(ours.cohen_kappa(one, two, LEVELS))
    assert report.double_share == 1


def test_several_reviewers_of_an_item_count_as_one():
    judge = [1, 2, 3, 4, 5, 3] * 5
    one = [1, 2, 3, 4, 5, 3] * 5
    two = [2, None, 3, 4, 5, None] * 5

    report = judge_report([one, two], judge, LEVELS)

    assert report.n == 30
    assert report.confusion.table.sum() == pytest.approx(30)
    assert report.figures["raw_agreement"].value == pytest.approx((30 - 2.5) / 30)
    assert report.double_share == pytest.approx(2 / 3)


def test_weights_stand_for_what_was_drawn_less_often():
    people, judge = judged(60)
    weights = np.where(people <= 2, 1.0, 3.0)
    copies = np.repeat(np.arange(60), weights.astype(int))

    weighted = judge_report(people, judge, LEVELS, weights=weights)
    copied = judge_report(people[copies], judge[copies], LEVELS)

    for name, figure in weighted.figures.items():
        if name != "krippendorff":  # knows n, not only shares
            assert figure.value == pytest.approx(copied.figures[name].value), name
    assert weighted.figures["raw_agreement"].n_eff < 60


def test_the_constant_judge_knows_nothing():
    people = [5] * 94 + [1] * 6

    found = constant_predictor(people, LEVELS)

    assert found.level == 5
    assert found.raw_agreement.value == 0.94
    assert found.figures["cohen_kappa"] == pytest.approx(0)
    assert found.figures["weighted_kappa"] == pytest.approx(0)
    assert found.figures["spearman"] is None


def test_bias_is_judge_minus_person_with_a_t_interval():
    people, judge = judged(40)

    found = bias(people, judge)

    expected = scipy_stats.ttest_rel(judge, people).confidence_interval(0.95)
    assert found.overall.value == pytest.approx((judge - people).mean())
    assert (found.overall.low, found.overall.high) == pytest.approx((expected.low, expected.high))
    assert [level for level, _ in found.by_level] == sorted(set(people))


scores = st.lists(st.tuples(st.sampled_from(LEVELS), st.sampled_from(LEVELS)), min_size=2, max_size=40)


@settings(max_examples=60, deadline=None)
@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(pairs, random):
    shuffled = random.sample(pairs, len(pairs))

    def figures(rows):
        report = judge_report([a for a, _ in rows], [b for _, b in rows], LEVELS, resamples=0)
        return {name: figure and figure.value for name, figure in report.figures.items()}

    assert figures(shuffled) == pytest.approx(figures(pairs), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(scores)
def test_agreement_is_symmetric_and_1_on_itself(pairs):
    a, b = [a for a, _ in pairs], [b for _, b in pairs]

    there = judge_report(a, b, LEVELS, resamples=0).figures
    back = judge_report(b, a, LEVELS, resamples=0).figures
    itself = judge_report(a, a, LEVELS, resamples=0).figures

    for name, figure in there.items():
        assert (figure and figure.value) == pytest.approx(back[name] and back[name].value, abs=1e-9)
        assert itself[name] is None or itself[name].value == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(scores, st.sampled_from([0.5, 2.0, 10.0]), st.sampled_from([0.0, 3.0]))
def test_scaling_and_shifting_the_scale_leaves_agreement_alone(pairs, factor, shift):
    a, b = np.array(pairs, dtype=float).T
    levels = tuple(factor * level + shift for level in LEVELS)

    before = judge_report(a, b, LEVELS, resamples=0).figures
    after = judge_report(factor * a + shift, factor * b + shift, levels, resamples=0).figures

    for name, figure in before.items():
        assert (figure and figure.value) == pytest.approx(after[name] and after[name].value, abs=1e-9)


def test_every_interval_holds_its_figure():
    people, judge = judged(150)
    report = judge_report(people, judge, LEVELS)

    for name, figure in report.figures.items():
        assert isinstance(figure, Estimate), name
        assert figure.low <= figure.value <= figure.high, name
