"""Run rules of Western Electric and Nelson: marks on a chart of single points, never a page.

All four rules of Western Electric together alarm once in 92 points in control where three sd alone do once in 370, and
on averaged values (EWMA, CUSUM) their chances do not hold at all, so they are for raw standardised points only.
Source: Western Electric 1956; Nelson 1984, J. Quality Technology 16, 237-239; Champ & Woodall 1987, Technometrics 29.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alerts.stats.normal import Array

Flags = NDArray[np.bool_]
Rule = Literal["beyond_3", "two_of_three", "four_of_five", "one_side", "trend", "alternating", "hugging", "mixture"]

WORDS: dict[Rule, str] = {
    "beyond_3": "a point beyond 3 sd",
    "two_of_three": "2 of 3 points beyond 2 sd on one side",
    "four_of_five": "4 of 5 points beyond 1 sd on one side",
    "one_side": "points in a row on one side of the centre",
    "trend": "6 points in a row rising or falling",
    "alternating": "14 points in a row up and down in turn",
    "hugging": "15 points in a row within 1 sd",
    "mixture": "8 points in a row beyond 1 sd on both sides",
}
WESTERN_ELECTRIC: tuple[Rule, ...] = ("beyond_3", "two_of_three", "four_of_five", "one_side")
NELSON: tuple[Rule, ...] = (*WESTERN_ELECTRIC, "trend", "alternating", "hugging", "mixture")
# In-control points until one of the four, on both sides (Champ & Woodall 1987, table 1).
WESTERN_ELECTRIC_ARL0 = 91.75


@dataclass(frozen=True, slots=True)
class Mark:
    """A rule that holds at the point `at` (the last of the run it speaks of, which began at `since`)."""

    at: int
    since: int
    rule: Rule
    words: str


def western_electric(z: Array) -> list[Mark]:
    """Marks of the four rules on standardised points (n,), eight in a row for one side; oldest first."""
    return _marks(z, WESTERN_ELECTRIC, 8)


def nelson(z: Array) -> list[Mark]:
    """Marks of Nelson's eight rules on standardised points (n,), nine in a row for one side; oldest first."""
    return _marks(z, NELSON, 9)


def _marks(z: Array, rules: tuple[Rule, ...], one_side: int) -> list[Mark]:
    spans = {"two_of_three": 3, "four_of_five": 5, "one_side": one_side, "trend": 6, "alternating": 14, "hugging": 15}
    marks = []
    for rule in rules:
        flags = _flags(z, rule, one_side)
        span = spans.get(rule, 8 if rule == "mixture" else 1)
        words = f"{one_side} {WORDS[rule]}" if rule == "one_side" else WORDS[rule]
        marks += [Mark(int(at), max(0, int(at) - span + 1), rule, words) for at in np.flatnonzero(flags)]
    return sorted(marks, key=lambda mark: (mark.at, rules.index(mark.rule)))


def _flags(z: Array, rule: Rule, one_side: int) -> Flags:
    if rule == "beyond_3":
        return np.abs(z) > 3
    if rule == "two_of_three":
        return _of_last(z > 2, 2, 3) | _of_last(z < -2, 2, 3)
    if rule == "four_of_five":
        return _of_last(z > 1, 4, 5) | _of_last(z < -1, 4, 5)
    if rule == "one_side":
        return _run(z > 0, one_side) | _run(z < 0, one_side)
    if rule == "trend":
        # Six points are five steps.
        return _stepped(_run(np.diff(z) > 0, 5) | _run(np.diff(z) < 0, 5), z.size)
    if rule == "alternating":
        steps = np.diff(z)
        return _stepped(_stepped(_run(steps[1:] * steps[:-1] < 0, 12), steps.size), z.size)
    if rule == "hugging":
        return _run(np.abs(z) < 1, 15)
    both = ~_run(z > 1, 8) & ~_run(z < -1, 8)
    return _run(np.abs(z) > 1, 8) & both


def _of_last(flags: Flags, least: int, span: int) -> Flags:
    """Whether the point itself and at least `least` of the last `span` are flagged; the first count what there is."""
    sums = _sums(flags)
    ends = np.arange(1, flags.size + 1)
    held: Flags = flags & (sums[ends] - sums[np.maximum(ends - span, 0)] >= least)
    return held


def _sums(flags: Flags) -> NDArray[np.int64]:
    """How many are flagged before each point and before the end, (n + 1,)."""
    sums = np.zeros(flags.size + 1, dtype=np.int64)
    np.cumsum(flags, out=sums[1:])
    return sums


def _run(flags: Flags, length: int) -> Flags:
    """Whether the last `length` points are all flagged."""
    sums = _sums(flags)
    held: Flags = np.zeros(flags.size, dtype=np.bool_)
    if flags.size >= length:
        held[length - 1 :] = sums[length:] - sums[:-length] == length
    return held


def _stepped(flags: Flags, n: int) -> Flags:
    """Flags of n - 1 steps as flags of the n points they end at."""
    return np.concatenate((np.zeros(max(0, n - flags.size), dtype=np.bool_), flags))[:n]
