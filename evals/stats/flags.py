"""What a judge's flag is worth: how many bad answers it catches, how many of its flags are right.

Reviews are drawn unequally, flagged answers more often than others, so every share is weighted by 1/pi. Reviews of
flagged answers alone say how many flags are right and nothing about what was missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.weighted import Sums, aligned, wilson_eff


@dataclass(frozen=True, slots=True)
class Flagging:
    """The flag against people's word on the same answers.

    `recall`: of the bad answers, the share flagged. `precision`: of the flagged, the share bad; `false_flags` is the
    rest of them. `false_alarms`: of the good answers, the share flagged. `flagged` and `bad`: shares of all. The four
    counts are of reviews, unweighted: caught (flagged and bad), missed, false, passed.
    """

    n: int
    caught: int
    missed: int
    false: int
    passed: int
    recall: Estimate | TooLittle
    precision: Estimate | TooLittle
    false_flags: Estimate | TooLittle
    false_alarms: Estimate | TooLittle
    flagged: Estimate | TooLittle
    bad: Estimate | TooLittle


def flagging(is_flagged: ArrayLike, is_bad: ArrayLike, pi: ArrayLike = 1.0, level: float = LEVEL) -> Flagging:
    """The flag over reviewed answers: `is_flagged` by the judge, `is_bad` by people, (n,) each.

    `pi` (n,) or one number: with what probability each was reviewed, its judging included (pi times pi_review).
    Wilson intervals on the effective n. Recall, false alarms and the share of bad answers need reviewed answers that
    were not flagged; without one they are TooLittle. Errors: ValueError for shapes that do not fit.
    """
    flag, bad = np.asarray(is_flagged, dtype=bool), np.asarray(is_bad, dtype=bool)
    if flag.shape != bad.shape or flag.ndim != 1:
        raise ValueError(f"each review needs the judge's flag: {bad.shape} against {flag.shape}")
    _, shares = aligned(flag.astype(np.float64), pi)
    unseen = TooLittle(0, 1, "reviewed answers that were not flagged")
    sees_all = bool((~flag).any())
    right = _share(bad, flag, shares, level, "reviewed flags")
    wrong = _share(~bad, flag, shares, level, "reviewed flags")
    everything = np.ones_like(flag)
    return Flagging(
        int(flag.size),
        int((flag & bad).sum()),
        int((~flag & bad).sum()),
        int((flag & ~bad).sum()),
        int((~flag & ~bad).sum()),
        _share(flag, bad, shares, level, "reviewed bad answers") if sees_all else unseen,
        right,
        wrong,
        _share(flag, ~bad, shares, level, "reviewed good answers") if sees_all else unseen,
        _share(flag, everything, shares, level, "reviews") if sees_all else unseen,
        _share(bad, everything, shares, level, "reviews") if sees_all else unseen,
    )


def _share(hit: np.ndarray, among: np.ndarray, shares: np.ndarray, level: float, what: str) -> Estimate | TooLittle:
    if not among.any():
        return TooLittle(0, 1, what)
    return wilson_eff(Sums.of(hit[among].astype(np.float64), shares[among]), level)
