"""What a judge's flag is worth: how many bad answers it catches, how many of its flags are right.

Reviews are drawn unequally, flagged answers more often than others, so every share is weighted by 1/pi. Reviews of
flagged answers alone say how many flags are right and nothing about what was missed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.weighted import Sums, aligned, as_share, cluster, wilson_eff


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


def flagging(
    is_flagged: ArrayLike,
    is_bad: ArrayLike,
    pi: ArrayLike = 1.0,
    level: float = LEVEL,
    clusters: Sequence[Hashable] | None = None,
) -> Flagging:
    """The flag over reviewed answers: `is_flagged` by the judge, `is_bad` by people, (n,) each.

    `pi` (n,) or one number: with what probability each was reviewed, its judging included (pi times pi_review).
    `clusters` (n,): the session of each, where answers come in sessions; intervals are then as wide as the sessions
    differ, if that is more. Wilson intervals for weighted scores. Recall, false alarms and the share of bad answers
    need reviewed answers that were not flagged; without one they are TooLittle. Errors: ValueError for shapes that do
    not fit.
    """
    flag, bad = np.asarray(is_flagged, dtype=bool), np.asarray(is_bad, dtype=bool)
    if flag.shape != bad.shape or flag.ndim != 1:
        raise ValueError(f"each review needs the judge's flag: {bad.shape} against {flag.shape}")
    _, shares = aligned(flag.astype(np.float64), pi)
    unseen = TooLittle(0, 1, "reviewed answers that were not flagged")
    sees_all = bool((~flag).any())

    def share(hit: np.ndarray, among: np.ndarray, what: str) -> Estimate | TooLittle:
        return _share_of(hit, among, shares, clusters, level, what)

    right = share(bad, flag, "reviewed flags")
    wrong = share(~bad, flag, "reviewed flags")
    everything = np.ones_like(flag)
    return Flagging(
        int(flag.size),
        int((flag & bad).sum()),
        int((~flag & bad).sum()),
        int((flag & ~bad).sum()),
        int((~flag & ~bad).sum()),
        share(flag, bad, "reviewed bad answers") if sees_all else unseen,
        right,
        wrong,
        share(flag, ~bad, "reviewed good answers") if sees_all else unseen,
        share(flag, everything, "reviews") if sees_all else unseen,
        share(bad, everything, "reviews") if sees_all else unseen,
    )


def _share_of(
    hit: np.ndarray,
    among: np.ndarray,
    shares: np.ndarray,
    clusters: Sequence[Hashable] | None,
    level: float,
    what: str,
) -> Estimate | TooLittle:
    if not among.any():
        return TooLittle(0, 1, what)
    found = wilson_eff(Sums.of(hit[among].astype(np.float64), shares[among]), level)
    if clusters is None or isinstance(found, TooLittle):
        return found
    names = [clusters[i] for i in np.flatnonzero(among).tolist()]
    between = as_share(cluster(hit[among].astype(np.float64), shares[among], names, level))
    if isinstance(between, TooLittle):
        # All in one session: how sessions differ is not known.
        return replace(found, low=None, high=None, method="no interval from one session") if found.n > 1 else found
    low = min(each.low for each in (found, between) if each.low is not None)
    high = max(each.high for each in (found, between) if each.high is not None)
    n_eff = min(found.n_eff, between.n_eff)
    return replace(found, low=low, high=high, n_eff=n_eff, method="weighted share between sessions, Wilson interval")
