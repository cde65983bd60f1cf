"""Run rules mark what their books say, and their run lengths show why they never page."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.stats.runrules import NELSON, WESTERN_ELECTRIC, WESTERN_ELECTRIC_ARL0, nelson, western_electric


def marked(z, rules=western_electric):
    return [(mark.rule, mark.at, mark.since) for mark in rules(np.array(z, dtype=float))]


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        ([0, 3.1, 0], [("beyond_3", 1, 1)]),
        ([0, 2.9, 0], []),
        ([2.1, 0, 2.1], [("two_of_three", 2, 0)]),
        ([2.1, 0, 0, 2.1], []),
        # On one side only.
        ([2.1, -2.1, 0], []),
        ([-2.1, -2.2], [("two_of_three", 1, 0)]),
        # The point itself must be one of them.
        ([2.1, 2.1, 0], [("two_of_three", 1, 0)]),
        ([1.1, 1.1, 0, 1.1, 1.1], [("four_of_five", 4, 0)]),
        ([-1.1, -1.1, -1.1, -1.1], [("four_of_five", 3, 0)]),
        ([0.1] * 8, [("one_side", 7, 0)]),
        ([0.1] * 7 + [0], []),
        ([0.1] * 7, []),
    ],
)
def test_western_electric_marks(z, expected):
    assert marked(z) == expected


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        ([0.1] * 8, []),
        ([0.1] * 9, [("one_side", 8, 0)]),
        ([-0.5, -0.3, -0.1, 0.1, 0.3, 0.5], [("trend", 5, 0)]),
        ([0.5, 0.3, 0.1, 0.1, -0.3, -0.5], []),
        (
            [1.1 * (-1) ** at for at in range(14)],
            [("mixture", at, at - 7) for at in range(7, 13)] + [("alternating", 13, 0), ("mixture", 13, 6)],
        ),
        ([0.4, 0.2, -0.1] * 5, [("hugging", 14, 0)]),
        # Eight beyond one sd on one side are another rule's.
        ([1.5] * 8, [("four_of_five", at, max(0, at - 4)) for at in range(3, 8)]),
    ],
)
def test_nelson_marks(z, expected):
    assert marked(z, nelson) == expected


def test_marks_say_what_they_saw():
    words = {mark.rule: mark.words for mark in nelson(np.array([0.2] * 9 + [3.5]))}

    assert words == {"one_side": "9 points in a row on one side of the centre", "beyond_3": "a point beyond 3 sd"}
    assert western_electric(np.zeros(0)) == nelson(np.zeros(0)) == []


def run_lengths(rules, chains=700, steps=1_500, seed=5):
    rng = np.random.default_rng(seed)
    lengths = []
    for _ in range(chains):
        found = rules(rng.standard_normal(steps))
        lengths.append(found[0].at + 1 if found else steps)
    return np.array(lengths)


def test_four_rules_alarm_as_often_as_champ_and_woodall_say():
    # Champ & Woodall 1987, table 1: 91.75.
    lengths = run_lengths(western_electric)

    assert lengths.mean() == pytest.approx(WESTERN_ELECTRIC_ARL0, abs=3.9 * lengths.std() / np.sqrt(lengths.size))


def test_eight_rules_alarm_oftener_still():
    # A fifth of the 370 points of three sd alone: no budget would bear it.
    assert run_lengths(nelson).mean() < 75
    assert set(WESTERN_ELECTRIC) < set(NELSON)
