"""Percentile bootstrap over items, or over whole sessions, of everything that is a function of summed rows.

Each item brings a row of numbers (which cell of a table it falls into, how many people chose which level); a statistic
is a function of the sum of rows. Drawing n items with putting back is then drawing how often each distinct row comes:
one multinomial draw and one product of matrices for all resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evals.stats.results import LEVEL, Estimate

Floats = NDArray[np.float64]
Statistics = Mapping[str, Floats]

RESAMPLES = 2_000
# With fewer the percentile interval is too narrow: no interval is shown.
ITEMS_MIN = 20
# So many items at chance join the resamples for the lower limit, as z²/2 do each way in Wilson's interval.
CHANCE_ITEMS = 2.0
# More undefined resamples than this share leave no interval.
UNDEFINED_MOST = 0.05
# Numbers held at once, in resamples times distinct rows: 32 MB.
_HELD = 4_000_000


def grouped(rows: Floats, clusters: Sequence[Hashable] | None) -> Floats:
    """Rows (n, d) summed by cluster (m, d), in order of appearance; the rows themselves without clusters."""
    if clusters is None:
        return rows
    if len(clusters) != rows.shape[0]:
        raise ValueError(f"{rows.shape[0]} items need as many clusters, not {len(clusters)}")
    places: dict[Hashable, int] = {}
    index = np.fromiter((places.setdefault(name, len(places)) for name in clusters), np.intp, rows.shape[0])
    summed = np.zeros((len(places), rows.shape[1]))
    np.add.at(summed, index, rows)
    return summed


def bootstrap(
    rows: Floats,
    statistics: Callable[[Floats], Statistics],
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    chance: Sequence[tuple[Floats, Collection[str]]] = (),
) -> dict[str, Estimate | None]:
    """Each statistic of the summed rows with its percentile interval; None where it is undefined for the items as are.

    `rows` (n, d); `statistics` takes sums (b, d) and gives arrays (b,) by name, NaN where undefined. The interval is
    None with fewer than ITEMS_MIN items (or clusters), or where more than 5 % of the resamples are undefined; undefined
    ones are left out of it otherwise. The same seed gives the same interval. `n` is left at the number of items,
    `n_eff` at that of what was drawn: items or clusters.

    `chance`: rows (d,) of an item whose raters agree by chance alone, each with the statistics that it is for. Items
    that all agree give resamples that all agree, as if that were certain; with it the lower limit is the least of that
    and of the limit where items of the resamples, about CHANCE_ITEMS of each, are such ones instead. Where that still
    leaves no spread there is no interval. Statistics are of the shares in the sums, not of their size.
    Source: Efron and Tibshirani 1993, chapter 13; Agresti and Coull 1998 for the items added.
    """
    units = grouped(rows, clusters)
    m, n = units.shape[0], rows.shape[0]
    points = statistics(units.sum(0)[None, :])
    drawn: dict[str, list[Floats]] = {name: [] for name in points}
    lower: dict[str, list[Floats]] = {name: [] for name in points}
    if m >= ITEMS_MIN and resamples > 0:
        distinct, counts = np.unique(units, axis=0, return_counts=True)
        random = np.random.default_rng(seed)
        step = max(1, _HELD // max(distinct.shape))
        for start in range(0, resamples, step):
            times = random.multinomial(m, counts / m, size=min(step, resamples - start))
            sums = times.astype(np.float64) @ distinct
            for name, values in statistics(sums).items():
                drawn[name].append(values)
            if chance:
                few = random.binomial(m, CHANCE_ITEMS / (m + CHANCE_ITEMS), size=sums.shape[0])[:, None] / m
                for row, names in chance:
                    # Of a session there are as many items as on average.
                    mixed = statistics((1 - few) * sums + few * n * row)
                    for name in names:
                        if name in mixed:
                            lower[name].append(mixed[name])
    what = "items" if clusters is None else "sessions"
    results: dict[str, Estimate | None] = {}
    for name, point in points.items():
        value = float(point[0])
        estimate = Estimate(value, None, None, level, n, float(m), f"percentile bootstrap of {what}")
        values = np.concatenate(drawn[name]) if drawn[name] else np.empty(0)
        below = np.concatenate(lower[name]) if lower[name] else None
        results[name] = _limits(estimate, values, what, below) if np.isfinite(value) else None
    return results


def _limits(estimate: Estimate, values: Floats, what: str, lower: Floats | None) -> Estimate:
    if not values.size:
        return replace(estimate, method=f"no interval from fewer than {ITEMS_MIN} {what}")
    good = values[np.isfinite(values)]
    undefined = 1 - good.size / values.size
    if undefined > UNDEFINED_MOST:
        return replace(estimate, method=f"no interval: undefined in {undefined:.0%} of the resamples")
    tail = (1 - estimate.level) / 2
    low, high = (float(limit) for limit in np.quantile(good, (tail, 1 - tail)))
    error = float(good.std(ddof=1)) if good.size > 1 else None
    if lower is not None:
        low = min(low, float(np.quantile(lower[np.isfinite(lower)], tail))) if np.isfinite(lower).any() else low
        if high - low <= 1e-12:
            return replace(estimate, method="no interval: every resample says the same")
    return replace(estimate, low=low, high=high, error=error)
