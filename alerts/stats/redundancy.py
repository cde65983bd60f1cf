"""Which metrics say the same: rank correlation of their residuals, and whether they find the same incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ALIKE_OVER = 0.8
WINDOWS_MIN = 50


@dataclass(frozen=True, slots=True)
class Alike:
    """Two metrics of |rho| over .8 (Spearman, over `windows` both have), and their incidents.

    `both` of `metric_found` and `other_found` incidents were found by both. `covers_metric`: the other also found more
    than .8 of what `metric` found, so that `metric` may go; `covers_other` the other way round.
    """

    metric: str
    other: str
    rho: float
    windows: int
    both: int
    metric_found: int
    other_found: int
    covers_metric: bool
    covers_other: bool


def spearman(a: ArrayLike, b: ArrayLike) -> tuple[float, int] | None:
    """Spearman's rank correlation with mid-ranks over windows both have, and how many; None under 50, or if constant.

    `a`, `b` (n,): standardised window residuals, seasons removed, NaN for none. Source: Spearman 1904.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    good = np.isfinite(x) & np.isfinite(y)
    n = int(good.sum())
    if n < WINDOWS_MIN:
        return None
    ranks = [midranks(values[good]) - (n + 1) / 2 for values in (x, y)]
    spread = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return (float(ranks[0] @ ranks[1]) / spread, n) if spread > 0 else None


def midranks(values: Floats) -> Floats:
    """Ranks 1..n of `values` (n,), ties sharing their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[places.ravel()])


def alike(residuals: Mapping[str, ArrayLike], found_by: Sequence[frozenset[str]]) -> tuple[Alike, ...]:
    """Pairs of metrics whose residuals go together at |rho| > .8.

    `residuals`: by metric, (t,) over the same windows. `found_by`: the metrics that alarmed in each real incident.
    """
    pairs: list[Alike] = []
    for a, b in combinations(sorted(residuals), 2):
        found = spearman(residuals[a], residuals[b])
        if found is None or abs(found[0]) <= ALIKE_OVER:
            continue
        with_a, with_b = sum(a in one for one in found_by), sum(b in one for one in found_by)
        both = sum(a in one and b in one for one in found_by)
        pairs.append(
            Alike(
                metric=a,
                other=b,
                rho=found[0],
                windows=found[1],
                both=both,
                metric_found=with_a,
                other_found=with_b,
                covers_metric=both > ALIKE_OVER * with_a or with_a == 0,
                covers_other=both > ALIKE_OVER * with_b or with_b == 0,
            )
        )
    return tuple(pairs)


def clusters(names: Sequence[str], pairs: Sequence[Alike]) -> tuple[tuple[str, ...], ...]:
    """Groups of metrics joined by `pairs`, each with two or more, in order of name."""
    group = {name: {name} for name in names}
    for pair in pairs:
        if pair.metric in group and pair.other in group and group[pair.metric] is not group[pair.other]:
            joined = group[pair.metric] | group[pair.other]
            for name in joined:
                group[name] = joined
    return tuple(sorted({tuple(sorted(members)) for members in group.values() if len(members) > 1}))
