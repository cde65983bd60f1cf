"""k of m members and weighted scores: latched, in any order, with what they cost the budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.stats.composite import WEEK_S, MemberAlarm, expected_false, k_of_m, learn_score, score
from evals.stats.results import TooLittle

alarms = st.lists(
    st.builds(MemberAlarm, at_s=st.integers(0, 400).map(float), member=st.sampled_from("abcd")), max_size=40
)


def at(second, member):
    return MemberAlarm(float(second), member)


def test_two_of_three_within_the_time_fire_once_with_their_evidence():
    fired = k_of_m([at(0, "score"), at(50, "claims"), at(55, "users"), at(80, "score")], k=2, within_s=60)

    assert [joint.at_s for joint in fired] == [50.0]
    assert fired[0].moved == (at(0, "score"), at(50, "claims"))


def test_one_member_counts_once_and_a_late_one_does_not():
    assert k_of_m([at(0, "a"), at(10, "a"), at(20, "a")], k=2, within_s=60) == ()
    assert k_of_m([at(0, "a"), at(60, "b")], k=2, within_s=60) == ()
    assert len(k_of_m([at(0, "a"), at(59, "b")], k=2, within_s=60)) == 1


def test_it_fires_again_only_of_fresh_alarms():
    stream = [at(0, "a"), at(6, "b"), at(12, "c"), at(18, "d")]

    assert [joint.at_s for joint in k_of_m(stream, k=2, within_s=10)] == [6.0, 18.0]


@given(alarms, st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_order_of_alarms_does_not_matter_and_doubles_do_not_count(some, random, k):
    shuffled = some * 2
    random.shuffle(shuffled)

    assert k_of_m(shuffled, k=k, within_s=50) == k_of_m(sorted(set(some)), k=k, within_s=50)


@given(alarms, st.integers(1, 4))
def test_every_firing_has_k_members_within_the_time_and_none_is_used_twice(some, k):
    fired = k_of_m(some, k=k, within_s=50)

    used = [alarm for joint in fired for alarm in joint.moved]
    assert len(used) == len(set(used))
    for joint in fired:
        assert len({alarm.member for alarm in joint.moved}) >= k
        assert all(joint.at_s - 50 < alarm.at_s <= joint.at_s for alarm in joint.moved)


def test_expected_false_alarms_are_what_independent_members_bring():
    random = np.random.default_rng(3)
    rates, weeks, within = (0.6, 0.4, 0.2, 1.2), 60_000, 6 * 3_600.0
    stream = [
        MemberAlarm(float(when), f"m{member}")
        for member, rate in enumerate(rates)
        for when in random.uniform(0, weeks * WEEK_S, random.poisson(rate * weeks))
    ]

    fired = len(k_of_m(stream, k=2, within_s=within)) / weeks
    expected = expected_false(rates, k=2, within_s=within)

    # About 5,000 firings: 4 sd are 6 %.
    assert fired == pytest.approx(expected.independent, rel=0.08)
    assert fired <= expected.most


def test_members_that_alarm_together_stay_under_the_most():
    """Fault 18 of statistics.md: joint alarms of correlated members are frequent by chance."""
    random = np.random.default_rng(4)
    weeks = 500
    common = random.uniform(0, weeks * WEEK_S, weeks * 2)
    stream = [MemberAlarm(float(when), member) for when in common for member in "abc"]

    expected = expected_false((2.0, 2.0, 2.0), k=3, within_s=60)
    fired = len(k_of_m(stream, k=3, within_s=60)) / weeks

    assert fired == pytest.approx(expected.most, rel=0.01)
    assert expected.independent < 0.01
    assert expected_false((2.0,), k=2, within_s=60).most == 0


def test_a_score_of_correlated_members_is_standard_normal_in_control():
    random = np.random.default_rng(5)
    mixing = np.array([[1.0, 0.8, 0.1], [0.0, 0.6, 0.2], [0.0, 0.0, (1 - 0.05) ** 0.5]])
    baseline = learn_score({"a": 2.0, "b": 1.0, "c": -1.0}, random.normal(size=(2_000, 3)) @ mixing)

    values = [
        score(baseline, dict(zip("abc", row, strict=True))).value for row in random.normal(size=(4_000, 3)) @ mixing
    ]

    assert np.std(values) == pytest.approx(1, abs=0.06)


def test_one_catastrophic_member_is_named_whatever_the_score_says():
    random = np.random.default_rng(6)
    baseline = learn_score({"score": -1.0, "latency": 1.0, "cost": 1.0}, random.normal(size=(300, 3)))

    found = score(baseline, {"score": -7.0, "latency": -3.0, "cost": -3.0})

    assert found.worst == "score"
    assert found.parts[0].member == "score"
    assert sum(part.part for part in found.parts) == pytest.approx(found.value)
    assert found.value < 2


def test_a_missing_member_is_named_and_the_others_keep_their_scale():
    random = np.random.default_rng(7)
    baseline = learn_score({"a": 1.0, "b": 1.0}, random.normal(size=(500, 2)))

    found = score(baseline, {"a": 2.0, "b": None})

    assert found.missing == ("b",)
    assert found.value == pytest.approx(2.0)
    assert score(baseline, {"a": None}) is None


def test_members_that_never_varied_or_cancel_out_do_not_break_a_score():
    steady = np.column_stack((np.zeros(60), np.random.default_rng(0).normal(size=60)))
    twins = np.column_stack((steady[:, 1], steady[:, 1]))

    assert score(learn_score({"a": 1.0, "b": 1.0}, steady), {"a": 1.0, "b": 1.0}).value == pytest.approx(2 / 2**0.5)
    cancelled = score(learn_score({"a": 1.0, "b": -1.0}, twins), {"a": 3.0, "b": 1.0})
    assert cancelled.value == pytest.approx(2 / 2**0.5)


def test_too_little_and_bad_input():
    assert learn_score({"a": 1.0}, np.full((80, 1), np.nan)) == TooLittle(0, 50, "windows with every member")
    with pytest.raises(ValueError, match="other than 0"):
        learn_score({"a": 0.0}, np.ones((60, 1)))
    with pytest.raises(ValueError, match="as many columns"):
        learn_score({"a": 1.0}, np.ones((60, 2)))
    with pytest.raises(ValueError, match="k >= 1"):
        k_of_m([], k=0, within_s=1)
