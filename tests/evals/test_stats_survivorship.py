"""What votes say of the silent: hand-worked figures, publications, and what holds for any counts."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship import (
    SOURCE_EXAMPLE,
    Anchor,
    Calibrated,
    Cell,
    Counts,
    NotIdentified,
    StratumCoverage,
    Weighted,
    anchor_from_reviews,
    behaviour_bounds,
    calibrated,
    coverage,
    coverage_by_stratum,
    delta_to_reach,
    imbens_manski,
    ipw,
    manski,
    reviews_from_nothing,
    sensitivity,
    two_proportions,
    verdict,
    votes_rate,
    words,
)
from evals.stats.survivorship.wording import behaviour_words, not_identified_words, percent, points, weighted_words
from traces.behaviour.types import Stratum as S

# The design's example: a week of a shop's assistant.
MOCKUP = Counts(
    {
        S.COMPLETED: (3094, 96, 52300 - 3190),
        S.CARRIED_ON: (929, 81, 29400 - 1010),
        S.RETRIED: (155, 113, 14800 - 268),
        S.CORRECTED: (50, 126, 5900 - 176),
        S.ABANDONED: (72, 64, 68300 - 136),
    }
)
# Votes by chance alone: each stratum votes as often and as kindly as the others.
ALIKE = Counts({S.ABANDONED: (36, 4, 360), S.CARRIED_ON: (27, 3, 270), S.COMPLETED: (27, 3, 270)})


def an_anchor(estimate, half, n=100, **more):
    return Anchor(estimate, estimate - half, estimate + half, n, "reviews of a random sample alone", n, **more)


# Counts


def test_rows_in_any_order_make_counts_and_open_sessions_are_left_out():
    rows = [(S.ABANDONED, 0, 5), (S.COMPLETED, 1, 3), (S.OPEN, 1, 7), (S.ABANDONED, -1, 2), (S.ABANDONED, 0, 1)]

    found = Counts.of(rows)

    assert found == Counts.of(reversed(rows))
    assert dict(found.by_stratum) == {S.ABANDONED: Cell(0, 2, 6), S.COMPLETED: Cell(3, 0, 0)}
    assert (found.n, found.total.votes, found.coverage) == (11, 5, 5 / 11)


def test_open_sessions_and_numbers_below_0_are_refused():
    with pytest.raises(ValueError, match="open sessions"):
        Counts({S.OPEN: (1, 0, 0)})
    with pytest.raises(ValueError, match="0 or more"):
        Counts({S.COMPLETED: (1, -1, 0)})
    with pytest.raises(ValueError, match="a vote is"):
        Counts.of([(S.COMPLETED, 2, 1)])


def test_counts_of_two_windows_add_up():
    both = Counts({S.COMPLETED: (1, 2, 3)}) + Counts({S.COMPLETED: (4, 0, 1), S.UNKNOWN: (0, 0, 2)})

    assert dict(both.by_stratum) == {S.UNKNOWN: Cell(0, 0, 2), S.COMPLETED: Cell(5, 2, 4)}


# Votes, coverage, bounds


def test_the_votes_rate_and_coverage_are_wilsons_with_their_minima():
    rate, share = votes_rate(MOCKUP), coverage(MOCKUP)

    assert [rate.low, rate.high] == pytest.approx(proportion_confint(4300, 4780, method="wilson"), abs=1e-12)
    assert [share.low, share.high] == pytest.approx(proportion_confint(4780, 170700, method="wilson"), abs=1e-12)
    assert votes_rate(Counts({S.COMPLETED: (20, 9, 1000)})) == TooLittle(29, 30, "votes")
    assert coverage(Counts({S.COMPLETED: (20, 9, 20)})) == TooLittle(49, 50, "sessions")


@pytest.mark.parametrize(
    ("low", "high", "n"), [(0.009, 0.999, 1000), (0.6, 0.6, 200), (0.4, 0.41, 100), (0.0, 1.0, 60), (0.1, 1.0, 50)]
)
def test_imbens_manski_solves_their_equation(low, high, n):
    most = max(math.sqrt(p * (1 - p) / n) for p in (low, high))
    norm = scipy_stats.norm

    def off(c):
        return (norm.cdf(c + (high - low) / most) if most else 1.0) - norm.cdf(-c) - 0.95

    c = optimize.brentq(off, 1.0, 3.0, xtol=1e-14)
    expected = [
        max(0.0, low - c * math.sqrt(low * (1 - low) / n)),
        min(1.0, high + c * math.sqrt(high * (1 - high) / n)),
    ]

    assert imbens_manski(low, high, n) == pytest.approx(expected, abs=1e-9)


def test_where_every_session_voted_alike_the_interval_is_wilsons():
    found = manski(Counts({S.COMPLETED: (60, 0, 0)}))

    assert (found.low, found.high) == (1.0, 1.0)
    assert (found.limit_low, found.limit_high) == pytest.approx(proportion_confint(60, 60, method="wilson"), abs=1e-12)


def test_bounds_of_the_designs_example():
    nothing, behaviour = manski(MOCKUP), behaviour_bounds(MOCKUP)

    assert (nothing.low, nothing.high) == pytest.approx((4300 / 170700, 170220 / 170700))
    # Ups and silent of those who completed or carried on; with the silent who left on top.
    assert (behaviour.low, behaviour.high) == pytest.approx((81800 / 170700, 149964 / 170700))
    assert behaviour_words(behaviour) == (
        "Even if every user who left in silence was happy, satisfaction could not exceed 88%; if none was, it is 48%."
    )


def test_silent_sessions_count_by_what_they_did():
    def bounds_of(stratum):
        found = behaviour_bounds(Counts({stratum: (0, 0, 50), S.COMPLETED: (25, 25, 0)}))
        return found.low, found.high

    assert {stratum: bounds_of(stratum) for stratum in (S.RETRIED, S.CORRECTED, S.ESCALATED)} == dict.fromkeys(
        (S.RETRIED, S.CORRECTED, S.ESCALATED), (0.25, 0.25)
    )
    assert bounds_of(S.CARRIED_ON) == (0.75, 0.75)
    assert bounds_of(S.ABANDONED) == bounds_of(S.UNKNOWN) == (0.25, 0.75)


# Who votes


def test_each_stratum_is_held_against_the_rest():
    found = coverage_by_stratum(MOCKUP)[S.COMPLETED]

    a, n, b, m = 3190, 52300, 1590, 118400
    _, p = proportions_ztest([a, b], [n, m])
    assert found.ratio == pytest.approx((a / n) / (b / m))
    assert found.p == pytest.approx(p, abs=1e-300)
    error = math.sqrt(1 / (a + 0.5) - 1 / (n + 0.5) + 1 / (b + 0.5) - 1 / (m + 0.5))
    centre = math.log((a + 0.5) / (n + 0.5) / ((b + 0.5) / (m + 0.5)))
    z = scipy_stats.norm.ppf(0.975)
    assert (found.ratio_low, found.ratio_high) == pytest.approx(
        (math.exp(centre - z * error), math.exp(centre + z * error))
    )
    assert found.rate.value == pytest.approx(3094 / 3190)
    assert found.share == pytest.approx(52300 / 170700)


@pytest.mark.parametrize(
    ("a", "n", "b", "m"),
    [(0, 400, 10, 600), (2, 10, 8, 990), (10, 12, 400, 500), (3, 1000, 0, 9), (0, 20, 1, 20), (7, 7, 1, 50)],
)
def test_few_expected_votes_are_tested_exactly(a, n, b, m):
    p, test = two_proportions(a, n, b, m)

    assert test == "Fisher's exact test"
    assert p == pytest.approx(scipy_stats.fisher_exact([[a, n - a], [b, m - b]])[1], rel=1e-7)


@pytest.mark.parametrize(
    ("a", "n", "b", "m"),
    [(3, 30_000, 4, 9 * 10**9), (9, 10**9, 10, 6 * 10**17), (0, 10, 12, 10**15), (7, 10**6, 300_000, 7 * 10**11)],
)
def test_the_exact_test_is_exact_among_very_many(a, n, b, m):
    p, test = two_proportions(a, n, b, m)

    # So few among so many: binomial given all votes.
    expected = scipy_stats.binomtest(a, a + b, n / (n + m)).pvalue
    assert test == "Fisher's exact test"
    assert p == pytest.approx(expected, rel=2e-3, abs=1e-12)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_the_test_of_two_proportions_is_that_of_the_packages(n, m, data):
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))

    p, test = two_proportions(a, n, b, m)

    if test == "Fisher's exact test":
        assert p == pytest.approx(scipy_stats.fisher_exact([[a, n - a], [b, m - b]])[1], rel=1e-6)
    elif test.startswith("two proportions"):
        assert p == pytest.approx(proportions_ztest([a, b], [n, m])[1], abs=1e-12)
    else:
        assert p == 1.0
        assert a + b in (0, n + m)


def test_strata_of_fewer_than_10_sessions_are_not_compared():
    found = coverage_by_stratum(Counts({S.ESCALATED: (3, 1, 5), S.CARRIED_ON: (10, 2, 100)}))

    assert found[S.ESCALATED] == TooLittle(9, 10, "sessions in this group")
    assert isinstance(found[S.CARRIED_ON], TooLittle)


def test_a_group_that_never_votes_beside_one_that_does_has_no_ratio_but_an_interval():
    found = coverage_by_stratum(Counts({S.ABANDONED: (0, 0, 400), S.CARRIED_ON: (50, 10, 540)}))

    assert found[S.ABANDONED].ratio == 0
    assert found[S.CARRIED_ON].ratio is None
    assert 0 < found[S.ABANDONED].ratio_low < found[S.ABANDONED].ratio_high < 0.2
    assert found[S.ABANDONED].p < 1e-9


# Calibrated, weighted, sensitivity


def test_the_calibrated_rate_is_each_stratums_by_its_size():
    found = calibrated(MOCKUP, seed=7)

    expected = sum(cell.n / 170700 * (cell.up + 0.5) / (cell.votes + 1) for cell in MOCKUP.by_stratum.values())
    assert found.estimate.value == pytest.approx(expected)
    assert (percent(found.estimate.value), percent(found.estimate.low), percent(found.estimate.high)) == (
        "73%",
        "69%",
        "76%",
    )
    assert (found.seed, found.resamples, found.used) == (7, 2000, "strata")
    assert found == calibrated(MOCKUP, seed=7)
    assert found != calibrated(MOCKUP, seed=8)


def test_a_large_stratum_with_fewer_than_5_votes_leaves_it_unidentified():
    counts = Counts({S.ABANDONED: (2, 2, 396), S.ESCALATED: (0, 0, 20), S.COMPLETED: (50, 4, 526)})

    found = calibrated(counts)

    assert isinstance(found, NotIdentified)
    assert [(row.stratum, row.share, row.votes) for row in found.strata] == [(S.ABANDONED, 0.4, 4)]
    assert not_identified_words(found) == (
        "Not identified: sessions that left after an answer (40% of sessions) gave 4 votes; 5 in each are the least."
    )
    assert isinstance(calibrated(counts + Counts({S.ABANDONED: (0, 1, 0)})), Calibrated)
    assert calibrated(Counts({S.COMPLETED: (20, 0, 0)})) == TooLittle(20, 50, "sessions")


def test_votes_that_all_agree_are_no_certainty():
    counts = Counts({S.ABANDONED: (10, 0, 490), S.COMPLETED: (10, 0, 490)})

    found = calibrated(counts).estimate

    assert found.low < 0.85
    assert found.high == 1.0


def test_the_sensitivity_line_falls_by_delta_times_the_silent():
    deltas = (0.0, 0.1, 0.25, 0.5)

    line = sensitivity(MOCKUP, deltas, seed=3)

    start, silent = calibrated(MOCKUP, seed=3), 1 - 4780 / 170700
    assert [each.value for each in line] == pytest.approx([start.estimate.value - d * silent for d in deltas])
    assert (line[0].low, line[0].high) == (start.estimate.low, start.estimate.high)
    assert start.silent_share == pytest.approx(silent)
    with pytest.raises(ValueError, match="delta"):
        sensitivity(MOCKUP, (0.6,))


def test_by_how_much_the_silent_must_differ_is_told():
    start = calibrated(MOCKUP)

    assert delta_to_reach(start, 0.9) == 0
    assert delta_to_reach(start, start.estimate.value - 0.2) == pytest.approx(0.2 / start.silent_share)
    assert delta_to_reach(start, 0.1) is None


def test_weighted_votes_are_the_calibrated_rate_without_its_half_votes():
    found = ipw(MOCKUP)

    expected = sum(cell.n / 170700 * cell.up / cell.votes for cell in MOCKUP.by_stratum.values())
    assert found.estimate.value == pytest.approx(expected)
    assert found.capped == 0
    assert found.estimate.n_eff < 4780 / 3
    assert weighted_words(found) == (
        "73% (69% to 76%), worth 558 equally weighted votes; one vote stands for up to 502 sessions."
    )
    assert ipw(ALIKE) == TooLittle(100, 200, "votes")
    assert weighted_words(ipw(ALIKE)) == "Too little data: 100 of 200 votes."


def test_weights_are_cut_at_their_99th_percentile_and_what_never_votes_is_named():
    counts = Counts({S.COMPLETED: (380, 17, 603), S.ABANDONED: (1, 2, 997), S.UNKNOWN: (0, 0, 500)})

    found = ipw(counts)

    assert isinstance(found, Weighted)
    assert found.capped_at == pytest.approx(1000 / 397)
    assert found.capped == 3
    assert found.uncovered == pytest.approx(0.2)
    assert found.estimate.value == pytest.approx(381 / 400)
    assert weighted_words(found).endswith(
        "one vote stands for up to 3 sessions, to which 3 votes were cut; it does not speak of the 20% of sessions in "
        "groups without a vote."
    )


# The anchor


def test_reviews_alone_are_a_share_with_wilsons_interval():
    human = np.full(500, np.nan)
    human[:40] = [1.0] * 24 + [0.0] * 16

    found = anchor_from_reviews(np.full(500, np.nan), 1.0, human, 40 / 500)

    assert (found.estimate, found.n, found.judged) == (0.6, 40, 0)
    assert (found.low, found.high) == pytest.approx(proportion_confint(24, 40, method="wilson"), abs=1e-9)
    assert found.method == "reviews of a random sample alone"
    assert found.reviews_to_ten == math.ceil(40 * ((found.half_width / 0.1) ** 2 - 1)) > 0


def test_fewer_than_30_reviews_are_no_anchor():
    human = np.full(100, np.nan)
    human[:29] = 1

    assert anchor_from_reviews(np.ones(100), 1.0, human, 0.29) == TooLittle(29, 30, "reviews")


def test_a_good_judge_makes_the_anchor_narrower_and_a_useless_one_no_wider():
    random = np.random.default_rng(4)
    truth = (random.random(3000) < 0.6).astype(float)
    good = np.where(random.random(3000) < 0.9, truth, 1 - truth)
    noise = (random.random(3000) < 0.6).astype(float)
    human = np.full(3000, np.nan)
    human[:100] = truth[:100]

    alone, helped, unhelped = (
        anchor_from_reviews(judge, 1.0, human, 100 / 3000) for judge in (np.full(3000, np.nan), good, noise)
    )

    assert helped.half_width < 0.8 * alone.half_width
    assert helped.judged == 2900
    assert "corrected" in helped.method
    assert helped.n_eff > 1.6 * 100
    assert unhelped.half_width <= alone.half_width


def test_a_judge_that_never_erred_in_30_reviews_may_err_yet():
    truth = np.array([1.0] * 900 + [0.0] * 100)
    human = np.full(1000, np.nan)
    human[::34] = truth[::34]

    found = anchor_from_reviews(truth, 1.0, human, 30 / 1000)

    assert found.half_width > 0.05


def test_unequal_draws_are_weighed():
    human = np.array([1.0] * 30 + [0.0] * 30)
    pi_review = np.array([0.1] * 30 + [0.3] * 30)

    found = anchor_from_reviews(np.full(60, np.nan), 0.5, human, pi_review)

    assert found.estimate == pytest.approx(0.75)
    assert found.low < 0.75 < found.high


def test_answers_that_people_disagree_on_count_as_their_mean():
    human = np.array([1.0] * 28 + [0.5] * 2)

    found = anchor_from_reviews(np.full(30, np.nan), 1.0, human, 1.0)

    assert found.estimate == pytest.approx(29 / 30)
    assert (found.low, found.high) == pytest.approx(proportion_confint(29, 30, method="wilson"), abs=1e-9)
    assert found.n_eff == pytest.approx(30)


def test_reviews_that_all_agree_are_no_certainty():
    found = anchor_from_reviews(np.full(30, np.nan), 1.0, np.ones(30), 1.0)

    assert (found.estimate, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(proportion_confint(30, 30, method="wilson")[0], abs=1e-9)


def test_a_missing_score_of_the_judge_in_20_is_passed_over_and_more_leave_reviews_alone():
    random = np.random.default_rng(2)
    truth = (random.random(1000) < 0.6).astype(float)
    human = np.full(1000, np.nan)
    human[:100] = truth[:100]
    judge = np.where(random.random(1000) < 0.9, truth, 1 - truth)

    some, many = judge.copy(), judge.copy()
    some[:5], many[:6] = np.nan, np.nan

    assert anchor_from_reviews(some, 1.0, human, 0.1).judged == 900
    assert anchor_from_reviews(many, 1.0, human, 0.1).judged == 0


def test_what_is_no_share_or_no_probability_is_refused():
    ones = np.ones(40)
    with pytest.raises(ValueError, match="within 0 and 1"):
        anchor_from_reviews(ones * 2, 1.0, ones, 1.0)
    with pytest.raises(ValueError, match="probabilities"):
        anchor_from_reviews(ones, 0.0, ones, 1.0)
    with pytest.raises(ValueError, match="same sessions"):
        anchor_from_reviews(ones, 1.0, np.ones(39), 1.0)


def test_93_reviews_are_within_10_points_whatever_they_say():
    n = reviews_from_nothing()

    assert n == 93
    assert np.subtract(*proportion_confint(n // 2, n, method="wilson")) == pytest.approx(-0.2, abs=1e-3)


# The verdict


def test_the_source_documents_case_is_not_green_and_says_what_votes_leave_open():
    found = verdict(SOURCE_EXAMPLE)
    said = words(found)

    assert SOURCE_EXAMPLE.n == 1000
    assert SOURCE_EXAMPLE.total[:2] == (9, 1)
    assert SOURCE_EXAMPLE[S.ABANDONED].n == 400
    assert (found.colour, found.rule) == ("grey", "few_votes")
    assert said.headline == "Cannot tell: 10 votes, and no other evidence"
    assert said.bounds == "Votes alone leave the true rate anywhere between 0.9% and 99.9%."
    assert (found.have, found.need, found.reviews_needed) == (10, 30, 93)
    assert said.missing == (
        "20 more votes; or about 93 reviews of randomly drawn sessions, which tell the true rate within 10 points "
        "without any vote."
    )


@pytest.mark.parametrize("who", [S.ABANDONED, S.COMPLETED, S.UNKNOWN])
def test_the_source_documents_case_is_never_green_whoever_voted(who):
    others = {S.ABANDONED: 400, S.COMPLETED: 500, S.UNKNOWN: 100}
    counts = Counts({key: (9, 1, n - 10) if key == who else (0, 0, n) for key, n in others.items()})

    assert verdict(counts).colour == "grey"
    assert (manski(counts).low, manski(counts).high) == (0.009, 0.999)


def test_10_percent_coverage_and_90_percent_up_leave_9_to_99_percent():
    assert words(verdict(ALIKE)).bounds == "Votes alone leave the true rate anywhere between 9% and 99%."


def test_no_votes_are_unknown_with_or_without_an_anchor():
    silent = Counts({S.ABANDONED: (0, 0, 400), S.COMPLETED: (0, 0, 600)})

    alone, anchored = verdict(silent), verdict(silent, an_anchor(0.95, 0.03))

    assert (alone.colour, alone.rule, alone.votes) == ("grey", "no_votes", None)
    assert words(alone).headline == "Cannot tell: none of 1,000 sessions gave a vote"
    assert "unknown" in words(alone).reason
    assert (anchored.colour, anchored.rule) == ("grey", "no_votes")
    assert "95%" in words(anchored).reason
    assert "no vote to compare it with" in words(anchored).reason


@pytest.mark.parametrize(
    ("counts", "anchor", "colour", "rule"),
    [
        (Counts(), None, "grey", "no_sessions"),
        (Counts({S.COMPLETED: (40, 0, 9)}), an_anchor(0.9, 0.05), "grey", "few_sessions"),
        (Counts({S.COMPLETED: (9, 0, 991)}), None, "grey", "low_coverage"),
        (Counts({S.COMPLETED: (900, 90, 199_010)}), None, "grey", "low_coverage"),
        (Counts({S.COMPLETED: (900, 90, 199_010)}), an_anchor(0.9, 0.05), "grey", "low_coverage"),
        # An anchor shows red however few they are that vote.
        (Counts({S.COMPLETED: (900, 90, 199_010)}), an_anchor(0.6, 0.05), "red", "anchor_below_votes"),
        (Counts({S.COMPLETED: (26, 3, 171)}), None, "grey", "few_votes"),
        (Counts({S.COMPLETED: (26, 3, 171)}), TooLittle(12, 30, "reviews"), "grey", "few_votes"),
        (Counts({S.COMPLETED: (26, 3, 171)}), an_anchor(0.88, 0.08), "green", "anchor_agrees"),
        (ALIKE, an_anchor(0.60, 0.10), "red", "anchor_below_votes"),
        (ALIKE, None, "grey", "no_anchor"),
        (ALIKE, TooLittle(12, 30, "reviews"), "grey", "few_reviews"),
        (ALIKE, an_anchor(0.86, 0.11, reviews_to_ten=21), "grey", "wide_anchor"),
        (ALIKE, an_anchor(0.86, 0.10), "green", "anchor_agrees"),
        (ALIKE, an_anchor(0.85, 0.10), "green", "anchor_agrees"),
        (ALIKE, an_anchor(0.84, 0.09), "grey", "anchor_not_clear"),
        (ALIKE, an_anchor(0.97, 0.02), "green", "anchor_agrees"),
        (MOCKUP, None, "amber", "calibrated_excludes_votes"),
        # What behaviour explains is no matter of coverage alone: an anchor does not lift it.
        (MOCKUP, an_anchor(0.9, 0.04), "amber", "calibrated_excludes_votes"),
        (MOCKUP, an_anchor(0.72, 0.04), "red", "anchor_below_votes"),
        (Counts({S.COMPLETED: (36, 4, 960)}), None, "amber", "coverage_below_5"),
        (Counts({S.COMPLETED: (36, 4, 960)}), an_anchor(0.9, 0.06), "green", "anchor_agrees"),
        (Counts({S.COMPLETED: (36, 4, 960)}), an_anchor(0.9, 0.12), "amber", "coverage_below_5"),
    ],
)
def test_the_first_rule_that_matches_decides(counts, anchor, colour, rule):
    found = verdict(counts, anchor)

    assert (found.colour, found.rule) == (colour, rule)
    assert words(found).headline


SELECTIVE = Counts({S.ABANDONED: (3, 1, 396), S.COMPLETED: (95, 9, 496)})


def test_unequal_coverage_is_amber_only_if_those_who_left_vote_worse_and_an_anchor_lifts_it():
    kind = Counts({S.ABANDONED: (4, 0, 396), S.COMPLETED: (95, 9, 496)})

    doubted, lifted, fine = verdict(SELECTIVE), verdict(SELECTIVE, an_anchor(0.9, 0.08)), verdict(kind)

    assert (doubted.colour, doubted.rule) == ("amber", "unequal_coverage")
    assert [row.stratum for row in doubted.unequal] == [S.ABANDONED, S.COMPLETED]
    assert words(doubted).headline == (
        "Read the 91% with care: 1% of sessions that left after an answer voted, 17% of all others"
    )
    assert words(doubted).reason == (
        "91% of 108 votes are up, given by 11% of sessions. Groups vote unequally often (p below .0001), and of the "
        "votes of those who left 75% are up, of the others' 91%. How satisfied the silent are, "
        "votes cannot tell: that takes an anchor."
    )
    assert doubted.deciding["votes_of_those_who_left"] == 0.75
    assert (lifted.colour, lifted.notes) == ("green", ("few_or_selective_votes",))
    assert words(lifted).notes == (
        "Few or selective votes: 11% of sessions voted. The random sample decides, not the votes.",
    )
    assert (fine.colour, fine.rule) == ("grey", "no_anchor")


def test_what_decided_is_told_in_numbers():
    red = verdict(ALIKE, an_anchor(0.60, 0.09, n=93))

    low = votes_rate(ALIKE).low
    assert red.deciding == pytest.approx({"anchor_high": 0.69, "votes_low": low, "limit": low - 0.05})
    assert words(red).headline == "Do not trust the 90%: about 60% of sessions are satisfied"
    assert words(red).reason == (
        "90% of 100 votes are up, given by 10% of sessions. A random sample puts the true rate at 60% (95% interval "
        "51% to 69%; 93 reviews). Even its upper limit, 69%, lies below the votes' lower limit, 83%, by more than the "
        "5 points that are tolerated."
    )


def test_fewer_than_30_votes_are_told_as_a_number_and_not_as_a_rate():
    few = Counts({S.COMPLETED: (19, 1, 80)})

    assert words(verdict(few, an_anchor(0.93, 0.05))).headline == "The 19 of 20 up holds: a random sample says 93%"
    assert words(verdict(few, an_anchor(0.40, 0.09))).headline == (
        "Do not trust the 19 of 20 up: about 40% of sessions are satisfied"
    )


def test_an_anchor_above_the_votes_is_no_hidden_failure_but_the_votes_are_not_believed():
    coin = Counts({S.COMPLETED: (100, 100, 1800)})

    found = verdict(coin, an_anchor(0.86, 0.05))

    assert (found.colour, found.notes) == ("green", ("votes_understate",))
    said = words(found)
    assert "more than the votes' 50%" in said.headline
    assert said.notes == ("The votes understate: the random sample is 36 points above them.",)


def test_what_behaviour_says_of_votes_that_nothing_speaks_against_is_told():
    sparse = Counts({S.ABANDONED: (3, 0, 47), S.CARRIED_ON: (30, 2, 200)})

    assert words(verdict(ALIKE)).headline == ("Cannot tell: the 90% is what voters say, and nobody asked the silent")
    assert re.fullmatch(
        r"90% of 100 votes are up, given by 10% of sessions. Weighed by what sessions did it is 89% \(8\d% to 9\d"
        r"(\.\d)?%\), which holds that rate. Nothing else was measured.",
        words(verdict(ALIKE)).reason,
    )
    assert words(verdict(sparse)).reason == (
        "94% of 35 votes are up, given by 12% of sessions. It cannot be weighed by what sessions did: 1 group gave "
        "fewer than 5 votes. Nothing else was measured."
    )


def test_how_many_reviews_would_do_is_told():
    unseen, some = verdict(ALIKE), verdict(ALIKE, TooLittle(12, 30, "reviews"))
    wide = verdict(ALIKE, an_anchor(0.86, 0.12, n=36, reviews_to_ten=16))
    near = verdict(ALIKE, an_anchor(0.70, 0.095, n=90))
    open_votes = verdict(ALIKE, an_anchor(0.84, 0.05, n=200))

    assert (unseen.missing, unseen.reviews_needed) == ("anchor", 93)
    assert (some.missing, some.have, some.reviews_needed) == ("reviews", 12, 81)
    assert (wide.missing, wide.reviews_needed) == ("narrower_anchor", 16)
    assert (near.missing, near.reviews_needed) == ("clearer_anchor", 52)
    assert verdict(ALIKE, an_anchor(0.70, 0.095 * math.sqrt(90 / 145), n=145)).colour == "red"
    assert (open_votes.missing, open_votes.reviews_needed) == ("clearer_anchor", None)
    assert "More votes" in words(open_votes).missing


def test_the_tolerance_is_a_setting():
    anchor = an_anchor(0.70, 0.08)

    assert verdict(ALIKE, anchor, tolerance=0.04).colour == "red"
    assert verdict(ALIKE, anchor, tolerance=0.20).colour == "green"
    with pytest.raises(ValueError, match="tolerance"):
        verdict(ALIKE, anchor, tolerance=1.5)


# Words


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.09, "9%"),
        (0.99, "99%"),
        (0.009, "0.9%"),
        (0.999, "99.9%"),
        (0.0252, "2.5%"),
        (0.8996, "90%"),
        (0.0, "0%"),
        (1.0, "100%"),
        (0.00001, "under 0.1%"),
        (0.99999, "over 99.9%"),
        (0.0996, "10%"),
        (0.845, "85%"),
        (0.994, "99.4%"),
    ],
)
def test_shares_are_written_as_people_read_them(share, text):
    assert percent(share) == text


def test_points_are_counted():
    assert [points(x) for x in (0.05, -0.36, 0.01, 0.004)] == ["5 points", "36 points", "1 point", "0.4 points"]


def test_the_designs_example_reads_as_its_page_does():
    said = words(verdict(MOCKUP))

    assert said.headline == "Read the 90% with care: weighed by what sessions did it is 73%"
    assert said.bounds == "Votes alone leave the true rate anywhere between 2.5% and 99.7%."
    assert said.who == (
        "Sessions that reached their goal are 31% of sessions and 67% of votes; sessions that left after an answer are "
        "40% of sessions and 2.8% of votes."
    )


# Whatever the counts

cell = st.tuples(*[st.one_of(st.integers(0, 30), st.integers(0, 10**9), st.integers(0, 10**16))] * 3)
any_counts = st.dictionaries(st.sampled_from([s for s in S if s != S.OPEN]), cell, max_size=7).map(Counts)
share = st.floats(0, 1, allow_nan=False)
any_anchor = st.one_of(
    st.none(),
    st.builds(TooLittle, st.integers(0, 29), st.just(30), st.just("reviews")),
    st.builds(
        lambda x, below, above, n: Anchor(
            x, max(0.0, x - below), min(1.0, x + above), n, "reviews of a random sample alone", float(n)
        ),
        share,
        share,
        share,
        st.integers(30, 10**6),
    ),
)


@settings(max_examples=60, deadline=None)
@given(any_counts, any_anchor, st.floats(0, 0.5))
def test_no_counts_break_it_and_no_figure_leaves_its_range(counts, anchor, tolerance):
    found = verdict(counts, anchor, tolerance=tolerance)
    said = words(found)

    assert said.headline
    assert said.reason
    assert (found.colour == "grey") == said.headline.startswith("Cannot tell")
    if found.colour == "green":
        assert isinstance(anchor, Anchor)
        assert anchor.half_width <= 0.1 + 1e-9
    if counts.total.votes == 0:
        assert found.colour == "grey"
    figures = [votes_rate(counts), coverage(counts), *(row for row in found.strata.values())]
    if isinstance(found.calibrated, Calibrated):
        figures.append(found.calibrated.estimate)
    for figure in figures:
        if isinstance(figure, Estimate):
            assert 0 <= figure.low <= figure.value <= figure.high <= 1
        elif isinstance(figure, StratumCoverage):
            assert 0 <= figure.p <= 1
            assert 0 <= figure.ratio_low <= figure.ratio_high < math.inf
    for bounds in (manski(counts), behaviour_bounds(counts)):
        if not isinstance(bounds, TooLittle):
            assert 0 <= bounds.limit_low <= bounds.low <= bounds.high <= bounds.limit_high <= 1
    weighted = ipw(counts)
    if isinstance(weighted, Weighted):
        assert 0 <= weighted.estimate.low <= weighted.estimate.high <= 1
        assert weighted.estimate.n_eff > 0


@settings(max_examples=40, deadline=None)
@given(any_counts)
def test_bounds_hold_the_votes_and_each_other(counts):
    nothing, behaviour = manski(counts), behaviour_bounds(counts)

    if not isinstance(nothing, TooLittle):
        # The votes' rate is where the silent feel like the voters.
        if counts.total.votes:
            assert nothing.low - 1e-12 <= counts.total.rate <= nothing.high + 1e-12
        assert nothing.low <= behaviour.low <= behaviour.high <= nothing.high
        if counts.coverage == 1:
            assert nothing.low == nothing.high == counts.total.rate


@settings(max_examples=25, deadline=None)
@given(any_counts, st.lists(st.floats(0, 0.5), min_size=2, max_size=6), st.integers(0, 2**32))
def test_the_sensitivity_line_never_rises(counts, deltas, seed):
    line = sensitivity(counts, sorted(deltas), seed, resamples=200)

    if isinstance(line, tuple):
        for less, more in itertools.pairwise(line):
            assert more.value <= less.value
            assert more.low <= less.low
            assert more.high <= less.high + 1e-12


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(S)), st.sampled_from((1, -1, 0)), st.integers(0, 500)), max_size=20),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_changes_nothing(rows, random):
    shuffled = rows[:]
    random.shuffle(shuffled)

    assert verdict(Counts.of(rows), seed=5) == verdict(Counts.of(shuffled), seed=5)
