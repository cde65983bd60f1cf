"""The gate decides on intervals; flags, allocation of reviews and paired comparisons say what they know and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from evals.stats.agreement import weighted_kappa
from evals.stats.bootstrap import bootstrap
from evals.stats.flags import flagging
from evals.stats.gate import GateSettings, check_gate, more_needed
from evals.stats.neyman import ReviewStratum, allocate
from evals.stats.paired import compare_scores, compare_shares, newcombe_paired, sign_test
from evals.stats.report import judge_report
from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import plain_share

LEVELS = (1, 2, 3, 4, 5)
AGREEMENT_ONLY = GateSettings(recall_at_least=None, bias_at_most=None, unusable_at_most=None)


def figure(value, low, high, n=200):
    return Estimate(value, low, high, 0.95, n, float(n), "x")


def verdict(value, low, high, settings=AGREEMENT_ONLY, **more):
    return check_gate(settings, agreement=figure(value, low, high), **more).verdict


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.90, 0.85, 0.93, "proven"),
        (0.90, 0.849, 0.93, "not_proven"),
        (0.85, 0.75, 0.92, "not_proven"),
        (0.80, 0.72, 0.85, "not_proven"),
        (0.78, 0.70, 0.849, "failed"),
    ],
)
def test_the_whole_interval_decides(value, low, high, expected):
    assert verdict(value, low, high) == expected


def test_staying_asks_for_less_than_going_live():
    assert verdict(0.85, 0.81, 0.89) == "not_proven"
    assert verdict(0.85, 0.81, 0.89, stage="stay") == "proven"
    assert verdict(0.85, 0.81, 0.89, replace(AGREEMENT_ONLY, deploy_at=0.8)) == "proven"


def test_a_kappa_of_85_on_200_labels_is_not_proven_and_says_how_many_more():
    """A judge whose kappa is .85 on 200 items, and is said to need hundreds more to tell .80 from .85."""
    random = np.random.default_rng(0)
    best = None
    for _ in range(200):
        people = random.choice(LEVELS, 200, p=(0.05, 0.05, 0.1, 0.3, 0.5)).astype(float)
        judge = np.clip(np.round(people + random.normal(0, 0.55, 200)), 1, 5)
        found = judge_report(people, judge, LEVELS, resamples=0).figures["weighted_kappa"]
        if best is None or abs(found.value - 0.85) < abs(best[0] - 0.85):
            best = (found.value, people, judge)
    kappa = judge_report(best[1], best[2], LEVELS).figures["weighted_kappa"]
    assert kappa.value == pytest.approx(0.85, abs=0.002)

    gate = check_gate(AGREEMENT_ONLY, agreement=kappa)

    assert gate.verdict == "not_proven"
    assert 100 <= gate.need_more <= 1000
    assert gate.need_more < gate.checks[0].need_more_high <= 2500


def test_more_needed_follows_from_widths():
    # sd .05 at 200: .098 either side; 200 (.098/.05)² = 768, and 200 (.098 x 1.43/.05)² = 1,570 (6.3: 800 to 1,600).
    assert more_needed(200, 0.85, 0.752, 0.948, 0.85) == (570, 1400)
    # .10 over the gate with .05 to spare is proven with a quarter of the width.
    assert more_needed(100, 0.90, 0.70, 0.96, 0.80)[0] == 300
    # Below the gate it is the upper limit that has to come down.
    assert more_needed(100, 0.70, 0.40, 0.90, 0.80)[0] == 300
    # Twice as far is a quarter as many.
    assert more_needed(400, 0.5, 0.3, 0.7, 0.45, 0.05)[0] == 4 * more_needed(400, 0.5, 0.3, 0.7, 0.4)[0] + 1200


def test_that_many_more_labels_prove_it():
    n, value, wanted = 150, 0.90, 0.85
    half = 1.96 * np.sqrt(0.25 / n)

    more, _ = more_needed(n, value, value - half, value + half, wanted)

    assert value - half * np.sqrt(n / (n + more)) == pytest.approx(wanted, abs=0.001)


def test_no_worse_than_people_is_enough():
    low = figure(0.60, 0.52, 0.68)
    near, far = figure(0.0, -0.04, 0.05), figure(0.03, -0.02, 0.08)

    relative = check_gate(AGREEMENT_ONLY, agreement=low, below_people=near)

    assert relative.verdict == "proven"
    assert relative.checks[0].by_people
    assert check_gate(AGREEMENT_ONLY, agreement=low, below_people=far).verdict == "failed"
    alone = replace(AGREEMENT_ONLY, people_margin=None)
    assert check_gate(alone, agreement=low, below_people=near).verdict == "failed"


def test_every_check_counts_and_each_can_be_switched_off():
    good = figure(0.95, 0.93, 0.97)
    settings_ = GateSettings(precision_at_least=0.75, self_agreement_at_least=0.95)
    measured = {
        "recall": plain_share(95, 100),
        "precision": plain_share(95, 100),
        "bias": figure(0.02, -0.1, 0.14),
        "unusable": plain_share(3, 500),
        "self_agreement": plain_share(400, 400),
    }

    whole = check_gate(settings_, agreement=good, **measured)

    assert whole.verdict == "proven"
    assert [check.name for check in whole.checks] == [
        "agreement",
        "recall",
        "precision",
        "self_agreement",
        "bias",
        "unusable",
    ]
    for name, bad in (
        ("recall", plain_share(32, 60)),
        ("precision", plain_share(10, 40)),
        ("bias", figure(-0.8, -0.9, -0.7)),
        ("unusable", plain_share(100, 500)),
        ("self_agreement", plain_share(300, 400)),
    ):
        assert check_gate(settings_, agreement=good, **{**measured, name: bad}).verdict == "failed", name
        unmeasured = check_gate(settings_, agreement=good, **{**measured, name: None})
        assert unmeasured.verdict == "not_proven", name
        off = replace(settings_, **{f"{name}_at_most" if name in ("bias", "unusable") else f"{name}_at_least": None})
        assert check_gate(off, agreement=good, **{**measured, name: bad}).verdict == "proven", name


def test_a_judge_that_agrees_and_misses_the_bad_answers_is_not_proven():
    # 32 of 40 bad answers caught: Clopper-Pearson 64-91 %.
    gate = check_gate(
        replace(AGREEMENT_ONLY, recall_at_least=0.9), agreement=figure(0.9, 0.87, 0.93), recall=plain_share(32, 40)
    )

    recall = gate.checks[1]
    assert gate.verdict == "not_proven"
    assert (recall.low, recall.high) == pytest.approx(proportion_confint(32, 40, method="beta"))
    assert recall.unit == "bad answers"
    assert recall.need_more >= 1


def test_a_bias_across_the_limit_is_open():
    gate = check_gate(
        replace(AGREEMENT_ONLY, bias_at_most=0.3), agreement=figure(0.9, 0.87, 0.93), bias=figure(-0.2, -0.4, 0.0, 100)
    )

    assert gate.verdict == "not_proven"
    # A half-width of .2 has to shrink to .1.
    assert gate.checks[1].need_more == 300


def test_too_little_and_undefined_are_never_proven():
    few = check_gate(AGREEMENT_ONLY, agreement=TooLittle(12, 30, "reviews"))
    unlimited = check_gate(AGREEMENT_ONLY, agreement=Estimate(1.0, None, None, 0.95, 15, 15.0, "no interval"))
    undefined = check_gate(AGREEMENT_ONLY, agreement=None)

    assert (few.verdict, few.need_more) == ("not_proven", 18)
    assert (unlimited.verdict, unlimited.need_more) == ("not_proven", 5)
    assert (undefined.verdict, undefined.need_more) == ("not_proven", None)


# Flags.


def test_flags_are_shares_with_wilson_intervals():
    flag = np.array([1] * 32 + [0] * 8 + [1] * 7 + [0] * 153)
    bad = np.array([1] * 40 + [0] * 160)

    found = flagging(flag, bad)

    assert (found.caught, found.missed, found.false, found.passed) == (32, 8, 7, 153)
    assert (found.recall.low, found.recall.high) == pytest.approx(proportion_confint(32, 40, method="wilson"))
    assert found.precision.value == pytest.approx(32 / 39)
    assert found.false_flags.value == pytest.approx(7 / 39)
    assert found.false_flags.high == pytest.approx(1 - found.precision.low)
    assert found.false_alarms.value == pytest.approx(7 / 160)
    assert found.bad.value == pytest.approx(0.2)


def test_flags_of_unequal_reviews_are_weighted():
    random = np.random.default_rng(12)
    bad = random.random(40_000) < 0.06
    flag = np.where(bad, random.random(bad.size) < 0.6, random.random(bad.size) < 0.05)
    truth = (flag & bad).sum() / bad.sum()

    covered, values, naive = 0, [], []
    for _ in range(300):
        pi = np.where(flag, 0.1, 0.02)
        at = np.flatnonzero(random.random(bad.size) < pi)
        found = flagging(flag[at], bad[at], pi[at])
        covered += found.recall.low <= truth <= found.recall.high
        values.append(found.recall.value)
        naive.append((flag[at] & bad[at]).sum() / bad[at].sum())

    assert np.mean(values) == pytest.approx(truth, abs=0.02)
    # Counted without weights the judge seems to catch far more than it does.
    assert np.mean(naive) > truth + 0.2
    # 300 draws: .95 ± 4 x .0126.
    assert covered / 300 >= 0.90


def test_reviews_of_flags_alone_say_nothing_of_what_was_missed():
    found = flagging([1, 1, 1], [1, 0, 1])

    assert found.precision.value == pytest.approx(2 / 3)
    assert found.recall == TooLittle(0, 1, "reviewed answers that were not flagged")
    assert isinstance(found.bad, TooLittle)
    assert flagging([0, 0], [0, 0]).precision == TooLittle(0, 1, "reviewed flags")
    assert flagging([], []).n == 0
    with pytest.raises(ValueError, match="the judge's flag"):
        flagging([1], [1, 0])


# Where to spend reviews.


def test_reviews_go_where_there_is_much_and_little_known():
    strata = [ReviewStratum("low", 100, 2.0), ReviewStratum("high", 900, 0.5), ReviewStratum("new", 200)]

    found = allocate(strata, 170)

    # N_h S_h: 200, 450, 200.
    assert [share.n for share in found] == [40, 90, 40]
    assert [share.pi_review for share in found] == pytest.approx([0.4, 0.1, 0.2])


def test_small_strata_get_their_floor_and_never_more_than_they_have():
    strata = [ReviewStratum("tiny", 3, 1.0), ReviewStratum("sure", 5000, 0.0), ReviewStratum("rest", 5000, 1.0)]

    found = allocate(strata, 100)

    assert [share.n for share in found] == [3, 5, 92]
    assert found[0].pi_review == 1
    assert [share.n for share in allocate(strata, 4)] == [2, 1, 1]
    assert allocate([], 10) == ()
    with pytest.raises(ValueError, match="0 or more"):
        allocate(strata, -1)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.none() | st.floats(0.01, 5)), min_size=1, max_size=12),
    st.integers(0, 4000),
)
def test_allocations_add_up(strata, n):
    given_ = [ReviewStratum(str(i), size, spread) for i, (size, spread) in enumerate(strata)]

    found = allocate(given_, n)

    assert sum(share.n for share in found) == min(n, sum(size for size, _ in strata))
    floors = sum(min(5, size) for size, _ in strata)
    for share, stratum in zip(found, given_, strict=True):
        assert 0 <= share.n <= stratum.population
        assert n < floors or share.n >= min(5, stratum.population)
        assert 0 <= share.pi_review <= 1


# Paired comparison.


def test_paired_means_equal_scipy():
    random = np.random.default_rng(5)
    a, b = random.normal(3.2, 1, 60), random.normal(3, 1, 60)
    a[3] = b[7] = np.nan
    both = ~(np.isnan(a) | np.isnan(b))

    found = compare_scores(a, b)

    expected = scipy_stats.ttest_rel(a[both], b[both])
    interval = expected.confidence_interval(0.95)
    assert (found.difference.low, found.difference.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.n == 58
    assert found.wins + found.losses + found.ties == 58
    assert found.p_sign == pytest.approx(scipy_stats.binomtest(found.wins, found.wins + found.losses).pvalue)
    assert found.bootstrap.low == pytest.approx(found.difference.low, abs=0.06)


def test_paired_shares_equal_statsmodels_and_the_printed_interval():
    a, b = [1] * 48 + [0] * 2, [1] * 36 + [0] * 12 + [1] * 2
    table = [[36, 12], [2, 0]]

    found = compare_shares(a, b)

    # Newcombe (1998), paired data, table II: 36, 12, 2, 0 by method 10.
    assert (round(found.difference.low, 4), round(found.difference.high, 4)) == (0.0569, 0.3404)
    assert found.difference.value == pytest.approx(0.2)
    assert found.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert found.verdict == "better"


def test_newcombe_of_no_discordance_and_of_edges_stays_within_bounds():
    for cells in ((50, 0, 0, 50), (0, 30, 0, 0), (10, 0, 0, 0), (0, 0, 0, 1), (0, 5, 5, 0), (1, 2, 3, 4)):
        value, low, high = newcombe_paired(*cells)
        assert -1 <= low <= value <= high <= 1
    with pytest.raises(ValueError, match="not all 0"):
        newcombe_paired(0, 0, 0, 0)


def test_only_a_proven_regression_is_worse():
    random = np.random.default_rng(2)
    base = random.normal(4, 0.5, 200)
    noise = random.normal(0, 0.3, 200)

    assert compare_scores(base + noise - 0.2, base).verdict == "worse"
    assert compare_scores(base + noise, base).verdict == "no_difference_proven"
    assert compare_scores(base + noise - 0.2, base, margin=0.3).verdict == "no_difference_proven"
    assert compare_scores(base + noise - 0.2, base, higher_is_better=False).verdict == "better"
    with pytest.raises(ValueError, match="margin"):
        compare_scores(base, base, margin=-1)


def test_a_few_equal_differences_prove_nothing():
    found = compare_scores([3.0, 3.0, 3.0], [4.0, 4.0, 4.0])
    many = compare_scores([3.0] * 12, [4.0] * 12)

    assert found.verdict == "no_difference_proven"
    assert found.difference.low is None
    assert many.verdict == "worse"
    assert compare_scores([3.0, 4.0], [3.0, 4.0]).p_sign is None
    assert compare_scores([1.0], [2.0]) == TooLittle(1, 2, "items")
    assert compare_shares([1.0], [np.nan]) == TooLittle(0, 2, "items")


def test_variants_of_one_question_count_as_one():
    random = np.random.default_rng(3)
    gaps = np.repeat(random.normal(0.2, 1, 40), 5)

    alone = compare_scores(gaps, np.zeros(200))
    together = compare_scores(gaps, np.zeros(200), clusters=[i // 5 for i in range(200)])

    assert together.difference.half_width == pytest.approx(alone.difference.half_width * np.sqrt(5), rel=0.05)
    assert together.p > alone.p
    assert together.bootstrap.half_width == pytest.approx(together.difference.half_width, rel=0.15)


def test_paired_intervals_cover_the_truth():
    random = np.random.default_rng(31)
    runs, hits, wrong = 1000, np.zeros(2), 0
    for _ in range(runs):
        level = random.uniform(0.3, 0.95, 80)
        first, second = random.random(80) < level, random.random(80) < np.clip(level + 0.03, 0, 1)
        truth = np.mean(level - np.clip(level + 0.03, 0, 1))
        shares = compare_shares(first, second, resamples=0)
        hits[0] += shares.difference.low <= truth <= shares.difference.high
        a = random.normal(0, 1, 80)
        means = compare_scores(a + random.normal(0, 0.5, 80), a, resamples=0)
        hits[1] += means.difference.low <= 0 <= means.difference.high
        wrong += means.verdict == "worse"

    # .95 ± 3.5 standard errors of .0069; Newcombe's is known to lie above.
    assert 0.926 <= hits[1] / runs <= 0.974
    assert 0.93 <= hits[0] / runs <= 0.99
    assert wrong / runs < 0.05


@pytest.mark.parametrize(("wins", "losses"), [(9, 1), (0, 6), (5, 5), (60, 40), (700, 600)])
def test_the_sign_test_equals_scipy(wins, losses):
    assert sign_test(wins, losses) == pytest.approx(scipy_stats.binomtest(wins, wins + losses).pvalue)


def test_bootstrapped_means_have_the_normal_error():
    y = np.random.default_rng(4).normal(size=400)
    rows = np.stack((y, np.ones(400)), axis=1)

    found = bootstrap(rows, lambda sums: {"mean": sums[:, 0] / sums[:, 1]}, seed=9)["mean"]

    assert found.error == pytest.approx(y.std() / 20, rel=0.08)
    assert (found.low, found.high) == pytest.approx(
        (y.mean() - 1.96 * y.std() / 20, y.mean() + 1.96 * y.std() / 20), abs=0.02
    )
    with pytest.raises(ValueError, match="as many clusters"):
        bootstrap(rows, lambda sums: {"mean": sums[:, 0]}, clusters=[1])


@pytest.mark.parametrize(("spread", "kappa", "wrongly"), [(0.82, 0.845, "proven"), (0.78, 0.856, "failed")])
def test_chance_seldom_decides_the_wrong_way(spread, kappa, wrongly):
    """200 labels, 300 times, of a judge just under or over the gate: a bare kappa would decide it by a coin."""
    random = np.random.default_rng(17)
    people = random.choice(LEVELS, 100_000, p=(0.1, 0.15, 0.2, 0.25, 0.3)).astype(float)
    judge = np.clip(np.round(people + random.normal(0, spread, people.size)), 1, 5)
    assert weighted_kappa(people, judge, LEVELS) == pytest.approx(kappa, abs=0.004)

    verdicts, bare = [], []
    for _ in range(300):
        at = random.integers(0, people.size, 200)
        found = judge_report(people[at], judge[at], LEVELS, resamples=300).figures["weighted_kappa"]
        verdicts.append(check_gate(AGREEMENT_ONLY, agreement=found).verdict)
        bare.append("proven" if found.value > 0.85 else "failed")

    # 2.5 % and the percentile interval's lack; 300 draws of .03 are at most 18 with probability 1 - 1e-3.
    assert verdicts.count(wrongly) <= 18
    assert bare.count(wrongly) > 75
