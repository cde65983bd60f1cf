"""Judges set against people: pairs, figures with intervals, the gate, expiry."""

from evals.calibrating.comparing import Compared
from evals.calibrating.keeping import look, tend, tend_gates, tend_stale
from evals.calibrating.work import bad_at_most, calibrate, calibrate_all, compare, judge_again

__all__ = [
    "Compared",
    "bad_at_most",
    "calibrate",
    "calibrate_all",
    "compare",
    "judge_again",
    "look",
    "tend",
    "tend_gates",
    "tend_stale",
]
