"""Probes: exact and Fisher tests of passes, paired distances with their permutation null."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evals.stats.repeats import (
    binomial_at_most,
    compare_passes,
    fewest_within,
    paired_drift,
    passes_together,
    stored_share,
)
from evals.stats.results import TooLittle


def answers(random, n, centre, noise):
    return centre + noise * random.normal(size=(n, centre.size))


@given(st.integers(5, 40), st.integers(100, 400), st.data())
def test_against_a_known_share_p_is_the_exact_binomial(runs, stored, data):
    passes, before = data.draw(st.integers(0, runs)), data.draw(st.integers(1, stored - 1))

    found = compare_passes(passes, runs, before, stored)

    assert found.test == "exact binomial"
    expected = stats.binomtest(passes, runs, before / stored, alternative="less").pvalue
    assert found.p == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert found.low <= found.share <= found.high


@given(st.integers(5, 40), st.integers(20, 99), st.data())
def test_against_few_stored_runs_p_is_fishers(runs, stored, data):
    passes, before = data.draw(st.integers(0, runs)), data.draw(st.integers(0, stored))

    found = compare_passes(passes, runs, before, stored)

    table = [[passes, runs - passes], [before, stored - before]]
    assert found.test == "Fisher"
    assert found.p == pytest.approx(stats.fisher_exact(table, "less").pvalue, abs=1e-9)
    assert found.p_two_sided == pytest.approx(stats.fisher_exact(table).pvalue, abs=1e-9)


def test_thirteen_of_twenty_after_twenty_of_twenty():
    """The probe page of the design: p = .008 by Fisher's two-sided test."""
    assert compare_passes(13, 20, 20, 20).p_two_sided == pytest.approx(0.008, abs=0.0005)


def test_one_failure_after_a_hundred_passes_is_no_proof():
    found = compare_passes(4, 5, 100, 100)

    assert stored_share(100, 100) == pytest.approx(100.5 / 101)
    assert found.p == pytest.approx(1 - (100.5 / 101) ** 5, rel=1e-9)


def test_a_break_rate_of_a_fifth_is_mostly_seen_by_twenty_runs_and_mostly_missed_by_one():
    """Fault 14 of statistics.md: one run sees a 20 % break rate with probability .2."""
    random = np.random.default_rng(0)
    seen = sum(compare_passes(int(random.binomial(20, 0.8)), 20, 199, 200).p < 0.01 for _ in range(500))

    # Two failures of 20 have p = .005 at a share of .995; P(18 or fewer of 20 at .8) = .93.
    assert seen / 500 == pytest.approx(stats.binom.cdf(18, 20, 0.8), abs=0.045)


def test_by_chance_passes_alarm_no_more_often_than_about_their_level():
    random = np.random.default_rng(1)
    for stored, most in ((40, 0.01), (200, 0.02)):
        p = [
            compare_passes(int(random.binomial(10, 0.9)), 10, int(random.binomial(stored, 0.9)), stored).p
            for _ in range(4_000)
        ]
        # A share known from 200 runs only makes 1 % up to twice as often; Fisher's never is.
        assert np.mean(np.array(p) <= 0.01) <= most + 4 * math.sqrt(most / 4_000)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((3, 4, 90, 100), TooLittle(4, 5, "runs")), ((5, 5, 19, 19), TooLittle(19, 20, "stored runs"))],
)
def test_too_few_runs_are_too_little(numbers, expected):
    assert compare_passes(*numbers) == expected


def test_more_passes_than_runs_are_refused():
    with pytest.raises(ValueError, match="within 0 and runs"):
        compare_passes(6, 5, 90, 100)


def test_paired_distance_is_its_formula():
    random = np.random.default_rng(2)
    a, b = random.normal(1, 1, size=(4, 6)), random.normal(1, 1, size=(3, 6))

    found = paired_drift([(a, b)], seed=0)

    def apart(x, y):
        return 1 - x @ y / math.sqrt(x @ x * (y @ y))

    across = np.mean([apart(x, y) for x in a for y in b])
    within = [np.mean([apart(rows[i], rows[j]) for i in range(len(rows)) for j in range(i)]) for rows in (a, b)]
    (probe,) = found.probes
    assert probe.across == pytest.approx(across, abs=1e-12)
    assert probe.noise == pytest.approx(np.mean(within), abs=1e-12)
    assert found.excess == pytest.approx(across - np.mean(within), abs=1e-12)


def test_few_replicates_go_through_every_division():
    random = np.random.default_rng(3)
    a = answers(random, 5, np.eye(16)[0], 0.02)
    b = answers(random, 5, np.eye(16)[1], 0.02)

    (probe,) = paired_drift([(a, b)], seed=0).probes

    # 252 divisions, each with its mirror.
    assert probe.p == pytest.approx(2 / 252)
    assert probe.p_least == pytest.approx(2 / 252)
    assert probe.across == pytest.approx(1, abs=0.1)


def test_one_probe_of_stable_noisy_answers_alarms_as_often_as_it_says():
    random = np.random.default_rng(4)
    p = [
        paired_drift(
            [(answers(random, 6, np.ones(8), 1.0), answers(random, 5, np.ones(8), 1.0)) for _ in range(4)],
            seed=run,
            permutations=199,
        ).p
        for run in range(400)
    ]

    # Binomial limits at 1e-4 of 5 % of 400: 6..38.
    assert 6 <= np.sum(np.array(p) <= 0.05) <= 38


def test_probes_of_different_prompts_are_never_mixed():
    """Prompts lie far apart, replicates near: only a comparison within each prompt has anything to say."""
    random = np.random.default_rng(5)
    prompts = random.normal(size=(12, 24))
    moved = prompts + 0.15 * random.normal(size=(12, 24))

    def day(centres):
        return [answers(random, 5, centre, 0.1) for centre in centres]

    stored = day(prompts)
    same = paired_drift(list(zip(stored, day(prompts), strict=True)), seed=1)
    drifted = paired_drift(list(zip(stored, day(moved), strict=True)), seed=1)

    assert same.p > 0.01
    assert drifted.p == pytest.approx(1 / 2_001)
    assert drifted.excess > 5 * abs(same.excess)
    assert paired_drift(list(zip(stored, day(moved), strict=True)), seed=1).permutations == 2_000


def test_answers_alike_on_both_days_have_no_excess():
    same = np.tile(np.arange(1.0, 5.0), (5, 1))

    found = paired_drift([(same, same)], seed=0)

    assert found.excess == pytest.approx(0, abs=1e-12)
    assert found.p == 1.0


def test_vectors_without_direction_and_too_few_answers():
    rows = np.ones((5, 3))

    assert paired_drift([(rows, rows[:2])], seed=0) == TooLittle(2, 3, "answers of a probe")
    assert paired_drift([], seed=0) == TooLittle(0, 1, "probes")
    with pytest.raises(ValueError, match="vector 0 is all zeros"):
        paired_drift([(np.zeros((5, 3)), rows)], seed=0)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.001, 0.999))
def test_the_binomial_tail_is_scipys(passes, more, share):
    expected = stats.binom.cdf(passes, passes + more, share)

    assert binomial_at_most(passes, passes + more, share) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_one_probe_together_is_fishers_test():
    for passes, runs, before, stored in ((0, 5, 20, 20), (13, 20, 20, 20), (3, 5, 15, 30), (5, 5, 0, 20)):
        expected = stats.fisher_exact([[passes, runs - passes], [before, stored - before]], "less").pvalue
        assert passes_together([(passes, runs, before, stored)]) == pytest.approx(expected, rel=1e-9)


def test_small_falls_of_many_probes_add_up():
    one = (3, 5, 20, 20)

    alone, together = passes_together([one]), passes_together([one] * 6)

    assert alone > 0.02
    assert together < 1e-6
    # A probe that never passes cannot fall, and changes nothing.
    assert passes_together([one, (0, 5, 0, 20)]) == pytest.approx(alone)
    assert passes_together([]) == 1.0
    with pytest.raises(ValueError, match="passes lie within"):
        passes_together([(6, 5, 20, 20)])


@pytest.mark.parametrize("level", [0.05, 1e-3, 1e-5])
def test_the_band_ends_where_the_alarm_begins(level):
    for runs, before, stored in ((5, 20, 20), (10, 19, 20), (20, 95, 100), (10, 400, 400)):
        fewest = fewest_within(runs, before, stored, level)

        alarms = [compare_passes(k, runs, before, stored).p_safe <= level for k in range(runs + 1)]
        assert alarms == [k < fewest for k in range(runs + 1)]
    assert fewest_within(4, 20, 20, level) is None
    assert fewest_within(5, 19, 19, level) is None


def test_a_known_share_counts_as_an_estimate_before_it_alarms():
    found = compare_passes(8, 10, 100, 100)

    assert found.test == "exact binomial"
    assert found.p < found.p_fisher == found.p_safe
