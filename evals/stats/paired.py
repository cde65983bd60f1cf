"""Two runs over the same items: differences item by item, and whether one is proven better or worse."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.agreement import mean_of
from evals.stats.bootstrap import RESAMPLES, bootstrap
from evals.stats.quantiles import t_two_sided, wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.tables import Floats

Verdict = Literal["better", "worse", "no_difference_proven"]

ITEMS_MIN = 2


@dataclass(frozen=True, slots=True)
class Compared:
    """Run a against run b over n items both have: a - b.

    `wins`, `losses`, `ties`: items where a is higher, lower, equal. `p` of the test named by `test`, two-sided; None
    where it says nothing (no item differs). `bootstrap`: the difference with a percentile interval. `verdict` goes by
    `difference` alone: better or worse only when its whole interval lies beyond `margin`.
    """

    n: int
    mean_a: float
    mean_b: float
    difference: Estimate
    bootstrap: Estimate | None
    wins: int
    losses: int
    ties: int
    p: float | None
    p_sign: float | None
    test: str
    verdict: Verdict


def compare_scores(
    a: ArrayLike,
    b: ArrayLike,
    *,
    clusters: Sequence[Hashable] | None = None,
    margin: float = 0.0,
    higher_is_better: bool = True,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Compared | TooLittle:
    """The mean of a - b over items, with a paired t interval (Student 1908), bootstrap and sign test beside it.

    `a`, `b` (n,): scores of the same items, NaN where a run has none: such items are left out. `clusters`: where items
    are not independent (variants of one question), the interval is between clusters. Two items are the least.
    """
    first, second, names = _both(a, b, clusters)
    gaps = first - second
    # Where all differ by the same, as many as that leaves possible may not differ at all.
    step = abs(float(gaps[0])) or None if gaps.size else None
    estimate = mean_of(gaps, np.ones(gaps.size), names, level, step)
    if isinstance(estimate, TooLittle):
        return estimate
    wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
    if not estimate.error and estimate.value:
        # The same difference everywhere has no spread to go by: signs alone decide.
        proven = (sign_test(wins, losses) or 1.0) <= 1 - level
        if not proven:
            estimate = replace(estimate, low=None, high=None, method="no interval from so few equal differences")
    p = None
    if estimate.error:
        p = t_two_sided(estimate.value / estimate.error, (len(set(names)) if names else gaps.size) - 1)
    return Compared(
        int(gaps.size),
        float(first.mean()),
        float(second.mean()),
        estimate,
        _resampled(gaps, names, resamples, seed, level),
        wins,
        losses,
        int(gaps.size) - wins - losses,
        p,
        sign_test(wins, losses),
        "paired t",
        _verdict(estimate, margin, higher_is_better),
    )


def compare_shares(
    a: ArrayLike,
    b: ArrayLike,
    *,
    margin: float = 0.0,
    higher_is_better: bool = True,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Compared | TooLittle:
    """The difference of two shares over the same items: Newcombe's interval for paired shares, McNemar's exact test.

    `a`, `b` (n,): 0 or 1, NaN for gaps. Errors: ValueError for other numbers. Sources: Newcombe 1998, Improved
    confidence intervals for the difference between binomial proportions based on paired data, method 10; McNemar 1947.
    """
    first, second, _ = _both(a, b, None)
    n = first.size
    if n < ITEMS_MIN:
        return TooLittle(int(n), ITEMS_MIN, "items")
    if not (np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()):
        raise ValueError("shares are of scores that are 0 or 1")
    wins, losses = int((first > second).sum()), int((first < second).sum())
    both, neither = int(((first == 1) & (second == 1)).sum()), int(((first == 0) & (second == 0)).sum())
    value, low, high = newcombe_paired(both, wins, losses, neither, level)
    estimate = Estimate(value, low, high, level, int(n), float(n), "paired shares, Newcombe interval")
    p = sign_test(wins, losses)
    return Compared(
        int(n),
        float(first.mean()),
        float(second.mean()),
        estimate,
        _resampled(first - second, None, resamples, seed, level),
        wins,
        losses,
        both + neither,
        p,
        p,
        "McNemar, exact",
        _verdict(estimate, margin, higher_is_better),
    )


def newcombe_paired(
    both: int, a_only: int, b_only: int, neither: int, level: float = LEVEL
) -> tuple[float, float, float]:
    """(share a - share b, low, high) of paired 0/1 by the hybrid score method with its correction for phi.

    Source: Newcombe 1998 (paired data), method 10.
    """
    n = both + a_only + b_only + neither
    if min(both, a_only, b_only, neither) < 0 or n < 1:
        raise ValueError("counts are 0 or more, and not all 0")
    one, two = (both + a_only) / n, (both + b_only) / n
    low_a, high_a = wilson_limits(one, n, level)
    low_b, high_b = wilson_limits(two, n, level)
    margins = (both + a_only) * (b_only + neither) * (both + b_only) * (a_only + neither)
    phi = 0.0
    if margins:
        top = float(both * neither - a_only * b_only)
        # The published correction for continuity, of positive association only.
        top = max(top - n / 2, 0.0) if top > 0 else top
        phi = top / math.sqrt(margins)
    value = one - two
    below = _root((one - low_a) ** 2 - 2 * phi * (one - low_a) * (high_b - two) + (high_b - two) ** 2)
    above = _root((two - low_b) ** 2 - 2 * phi * (two - low_b) * (high_a - one) + (high_a - one) ** 2)
    return value, max(-1.0, value - below), min(1.0, value + above)


def sign_test(wins: int, losses: int) -> float | None:
    """P of so lopsided a count of wins and losses by chance, two-sided and exact; None where nothing differs.

    With 0 and 1 it is McNemar's exact test. Source: Conover 1999, section 3.4.
    """
    n, least = wins + losses, min(wins, losses)
    if n == 0:
        return None
    if 2 * least >= n:
        return 1.0
    logs = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(least + 1)]
    return min(1.0, 2 * math.fsum(math.exp(x - n * math.log(2)) for x in logs))


def _root(x: float) -> float:
    return math.sqrt(max(0.0, x))


def _both(
    a: ArrayLike, b: ArrayLike, clusters: Sequence[Hashable] | None
) -> tuple[Floats, Floats, list[Hashable] | None]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"both runs need the same items: {first.shape} against {second.shape}")
    if clusters is not None and len(clusters) != first.size:
        raise ValueError(f"{first.size} items need as many clusters, not {len(clusters)}")
    at = np.flatnonzero(np.isfinite(first) & np.isfinite(second))
    return first[at], second[at], None if clusters is None else [clusters[i] for i in at.tolist()]


def _resampled(
    gaps: Floats, clusters: Sequence[Hashable] | None, resamples: int, seed: int, level: float
) -> Estimate | None:
    rows = np.stack((gaps, np.ones(gaps.size)), axis=1)
    found = bootstrap(
        rows,
        lambda sums: {"difference": sums[:, 0] / sums[:, 1]},
        clusters=clusters,
        resamples=resamples,
        seed=seed,
        level=level,
    )
    return found["difference"]


def _verdict(estimate: Estimate, margin: float, higher_is_better: bool) -> Verdict:
    if margin < 0:
        raise ValueError(f"a margin is 0 or more, not {margin}")
    if estimate.low is None or estimate.high is None:
        return "no_difference_proven"
    if estimate.low > margin:
        return "better" if higher_is_better else "worse"
    if estimate.high < -margin:
        return "worse" if higher_is_better else "better"
    return "no_difference_proven"
