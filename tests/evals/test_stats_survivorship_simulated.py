"""The verdict on products whose truth is known, with few seeds; with many: `python -m benchmarks.survivorship`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmarks._products import BY_NAME, PRODUCTS, READINGS
from benchmarks.survivorship import COVERED, simulate
from evals.stats.survivorship import Anchor, anchor_from_reviews

SEEDS = range(1, 31)
NONE, FEW, HUNDRED, JUDGED = (reading.name for reading in READINGS)
# Chance takes a share this far once in 10,000 times.
RARE = 1e-4


@pytest.fixture(scope="module")
def tallies():
    return {product.name: simulate(product, SEEDS, resamples=300) for product in PRODUCTS}


def may_be(share, least, runs):
    """Whether a share seen in so many runs may be of one that is `least` in the long run."""
    return scipy_stats.binom.cdf(round(share * runs), runs, least) > RARE


def test_the_products_are_what_they_are_said_to_be():
    failure, broken, none = (BY_NAME[name] for name in ("silent failure", "thumb down lost", "no votes"))

    assert all(math.isclose(sum(group.share for group in product.groups.values()), 1) for product in PRODUCTS)
    assert (round(failure.truth, 2), round(failure.expected_votes, 2)) == (0.6, 0.9)
    assert broken.expected_votes == 1
    assert none.expected_coverage == 0
    for product in PRODUCTS:
        if product.is_healthy and product.thumbs == "work":
            assert product.expected_votes - product.truth < 0.0555
        if product.is_by_behaviour:
            assert product.expected_calibrated == pytest.approx(product.truth)


def test_without_an_anchor_it_is_never_red_and_never_green(tallies):
    assert {name: tally.share(NONE, "red", "green") for name, tally in tallies.items()} == dict.fromkeys(tallies, 0)


@pytest.mark.parametrize("product", [product.name for product in PRODUCTS if product.is_healthy])
@pytest.mark.parametrize("reading", [FEW, HUNDRED, JUDGED])
def test_a_healthy_product_is_not_red(tallies, product, reading):
    # 4 of 30 are one in 300 at 2 %.
    assert tallies[product].share(reading, "red") * len(SEEDS) < 4


def test_a_healthy_product_with_an_anchor_turns_green(tallies):
    assert tallies["healthy, natural leaving"].share(NONE, "amber") > 0.3
    assert tallies["healthy, natural leaving"].share(HUNDRED, "green") > 0.6
    assert tallies["healthy, votes by chance"].share(JUDGED, "green") > 0.8


@pytest.mark.parametrize(
    ("product", "reading", "colours", "least"),
    [
        ("silent failure", NONE, ("red", "amber"), 0.90),
        ("silent failure", FEW, ("red", "amber"), 0.90),
        ("silent failure", FEW, ("red",), 0.45),
        ("silent failure", JUDGED, ("red",), 0.95),
        ("silent failure, votes alike", FEW, ("red",), 0.45),
        ("silent failure, votes alike", JUDGED, ("red",), 0.95),
        ("thumb down lost", FEW, ("red",), 0.95),
        ("selective beyond behaviour", JUDGED, ("red",), 0.95),
    ],
)
def test_a_silent_failure_is_found(tallies, product, reading, colours, least):
    assert may_be(tallies[product].share(reading, *colours), least, len(SEEDS))


def test_it_cannot_tell_where_there_are_no_votes_or_nothing_but_votes(tallies):
    for reading in (NONE, FEW, HUNDRED, JUDGED):
        assert tallies["no votes"].rules[reading] == {"no_votes": len(SEEDS)}
    assert tallies["thumb down lost"].share(NONE, "grey") == 1
    assert tallies["selective beyond behaviour"].share(NONE, "grey") > 0.8


def test_intervals_hold_the_truth_where_it_is_identified(tallies):
    for name, tally in tallies.items():
        for estimator, n in tally.told:
            is_by_behaviour = estimator in ("calibrated", "weighted") and BY_NAME[name].is_by_behaviour
            if is_by_behaviour or estimator == "no assumptions" or estimator.startswith("anchor"):
                told = tally.told[estimator, n]
                assert may_be(tally.coverage(estimator, n), COVERED, told), (name, estimator, n)


def test_what_is_not_identified_is_found_by_the_anchor_alone(tallies):
    tally = tallies["selective beyond behaviour"]

    assert tally.coverage("votes", 3000) < 0.1
    assert tally.coverage("calibrated", 3000) < 0.1
    assert tally.coverage("weighted", 3000) < 0.1
    assert may_be(tally.coverage(f"anchor, {JUDGED}", 3000), COVERED, len(SEEDS))


@pytest.mark.parametrize(
    ("truth", "judge", "pi_judge", "pi_low", "pi_high"),
    [
        # A good judge that errs in none of most samples of 40: plain PPI++ holds the truth in three of four.
        (0.95, (0.97, 0.05), 1.0, 0.04, 0.04),
        # What the judge found bad is reviewed ten times as often: the few others weigh much.
        (0.86, (0.92, 0.30), 0.3, 0.5, 0.05),
    ],
)
def test_the_anchor_holds_the_truth_where_the_judge_hardly_errs_or_draws_are_unequal(
    truth, judge, pi_judge, pi_low, pi_high
):
    held, runs = 0, 100
    for seed in range(runs):
        random = np.random.default_rng([seed, 17])
        happy = (random.random(1500) < truth).astype(float)
        scores = (random.random(1500) < np.where(happy == 1, *judge)).astype(float)
        drawn = random.random(1500) < pi_judge
        happy, scores = happy[drawn], scores[drawn]
        pi_review = np.where(scores == 0, pi_low, pi_high)
        human = np.where(random.random(happy.size) < pi_review, happy, np.nan)

        found = anchor_from_reviews(scores, pi_judge, human, pi_review)

        held += not isinstance(found, Anchor) or found.low <= truth <= found.high

    assert may_be(held / runs, COVERED, runs)
