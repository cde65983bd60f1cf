"""Is it real? Verdicts on drawn responses, weighed."""

from __future__ import annotations

import random

import pytest

from alerts.stats.triage import ENOUGH, Arm, Share, weigh

NONE = Arm()


def arm(real, false, unsure=0, dealt=None):
    return Arm(dealt if dealt is not None else real + false + unsure, real, false, unsure)


def test_none_of_twenty_confirmed_is_at_most_17_percent():
    """The worked figure of Clopper and Pearson: 1 - .025 ** (1 / 20) = .1684."""
    found = weigh(arm(0, 20), NONE, NONE, Share(0.07, 5000), Share(0.02, 5000), is_whole=False)

    assert found.confirmed.high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert (found.suggestion, found.why) == ("false", "not_risen")


def test_sixteen_of_nineteen_confirmed_is_a_real_rise():
    found = weigh(arm(16, 3, 1), arm(0, 10), arm(7, 3), Share(0.069, 2000), Share(0.019, 8000), is_whole=False)

    assert found.suggestion == "real"
    assert found.confirmed.value == pytest.approx(16 / 19)
    assert found.confirmed.low == pytest.approx(0.604, abs=0.001)
    assert found.rate_now.value == pytest.approx(0.069 * 16 / 19)
    assert found.rate_before.value == pytest.approx(0.019 * 0.7)
    assert 0 < found.rise.low < found.rise.value < found.rise.high
    assert found.against_control.low > 0.4


def test_a_judge_that_flags_more_of_what_is_fine_is_a_false_alarm():
    """The flagged share tripled and nobody finds more failures: the flag moved, not the quality."""
    found = weigh(arm(3, 17), arm(1, 9), arm(9, 1), Share(0.06, 4000), Share(0.02, 8000), is_whole=False)

    assert found.claimed == pytest.approx(0.04)
    assert (found.suggestion, found.why) == ("false", "not_risen")


def test_nothing_is_suggested_of_few_verdicts():
    found = weigh(arm(6, 0, dealt=20), NONE, NONE, Share(0.1, 900), Share(0.02, 900), is_whole=False)

    assert (found.suggestion, found.why) == ("", "too_few")
    # Of fewer flagged ones than that all are enough.
    assert weigh(arm(4, 0), NONE, NONE, Share(0.1, 900), Share(0.001, 900), is_whole=False).suggestion == "real"
    assert ENOUGH == 10


def test_where_nobody_looked_at_before_anything_is_possible_of_it():
    """All flagged ones of before may have been real: then the rise is what is left at least."""
    found = weigh(arm(20, 0), NONE, NONE, Share(0.10, 3000), Share(0.09, 3000), is_whole=False)

    assert found.rate_before.value is None
    assert found.rate_before.low == 0
    assert found.rise.value is None
    assert found.rise.low < 0 < found.rise.high
    assert found.suggestion == ""


def test_where_no_response_can_be_flagged_both_stretches_are_compared():
    whole = Share(1.0, 100)

    assert weigh(arm(18, 2), NONE, arm(1, 9), whole, whole, is_whole=True).suggestion == "real"
    assert weigh(arm(0, 20), NONE, arm(0, 10), whole, whole, is_whole=True).suggestion == "false"
    assert weigh(arm(10, 10), NONE, arm(4, 6), whole, whole, is_whole=True).suggestion == ""


def test_nothing_decided_says_nothing():
    found = weigh(NONE, NONE, NONE, Share(None, 0), Share(None, 0), is_whole=False)

    assert (found.confirmed, found.rise, found.claimed, found.suggestion) == (None, None, None, "")
    unsure = weigh(arm(0, 0, 20), NONE, NONE, Share(0.1, 90), Share(0.0, 90), is_whole=False)
    assert (unsure.confirmed, unsure.suggestion) == (None, "")


def test_wrong_suggestions_are_rare():
    """400 incidents each: where nothing rose "real" comes at most 1 in 40 (+ 3 sd), where it tripled "false" never."""
    rng = random.Random(5)

    def run(share_now, share_before, p_now, p_before):
        n = 2000
        flags_now = sum(rng.random() < share_now for _ in range(n)) / n
        flags_before = sum(rng.random() < share_before for _ in range(n)) / n
        now = sum(rng.random() < p_now for _ in range(20))
        before = sum(rng.random() < p_before for _ in range(10))
        return weigh(
            arm(now, 20 - now), NONE, arm(before, 10 - before), Share(flags_now, n), Share(flags_before, n),
            is_whole=False,
        ).suggestion  # fmt: skip

    same = [run(0.06, 0.06, 0.5, 0.5) for _ in range(400)]
    flags_alone = [run(0.09, 0.03, 0.2, 0.6) for _ in range(400)]
    tripled = [run(0.09, 0.03, 0.8, 0.8) for _ in range(400)]

    assert same.count("real") <= 10 + 3 * 3.2
    assert flags_alone.count("real") <= 10 + 3 * 3.2
    assert tripled.count("false") == 0
    assert tripled.count("real") > 350
