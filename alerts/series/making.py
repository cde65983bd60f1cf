"""What was read of a window becomes a reading: the number that is drawn, its interval, and what a detector takes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from alerts.detectors.points import Categories, Count, Level, Share, Values
from alerts.monitors.types import Reading, Window
from alerts.series.grid import hour_of_week
from telltale.stats.proportions import wilson
from telltale.stats.ranks import rank_interval
from telltale.stats.sketch import Sketch, nearest_rank

# Of more values a window so many stand for all: evenly spread over the ranks, their order shuffled.
VALUES_MAX = 128
SCORES_MAX = 500
# Hostile counts of tokens pass 64 bits; so many are as many as any number can tell apart.
EVENTS_MAX = 2**53
_Z = 1.959963984540054
Floats = NDArray[np.float64]


def nothing(window: Window, lacking: str, n: int = 0, coverage: float | None = None) -> Reading:
    """A window that says nothing, and why."""
    return Reading(window, n, None, None, coverage=coverage, lacking=lacking)


def share(window: Window, k: int, n: int, lacking: str = "nothing came", coverage: float | None = None) -> Reading:
    """k of n with Wilson's interval."""
    if n <= 0:
        return nothing(window, lacking, coverage=coverage)
    found = wilson(min(max(k, 0), n), n)
    return Reading(window, n, found.share, Share(found.k, n), found.low, found.high, coverage=coverage)


def weighted_share(window: Window, n: int, low: float, sw: float, sw2: float, lacking: str) -> Reading:
    """A share of weighted units: `low` of the weight `sw`; as many equally weighted ones as it is worth (Kish 1965)."""
    if n <= 0 or sw <= 0 or sw2 <= 0:
        return nothing(window, lacking)
    worth = min(sw * sw / sw2, float(n))
    whole = max(round(worth), 1)
    part = min(max(low / sw, 0.0), 1.0)
    found = wilson(min(round(part * whole), whole), whole)
    return Reading(window, n, part, Share(found.k, whole), found.low, found.high, n_eff=worth)


def count(
    window: Window, zone: str, events: int, *, n: int | None = None, value: float | None = None,
    coverage: float | None = None,
) -> Reading:  # fmt: skip
    """How many there were; nothing at all is a count too. `value` is drawn where it is not the count itself."""
    data = Count(min(max(events, 0), EVENTS_MAX), hour_of_week(zone, window))
    shown = float(data.events) if value is None else value
    return Reading(window, data.events if n is None else n, shown, data, coverage=coverage)


def level(
    window: Window, value: float | None, n: int, lacking: str, *, sd: float | None = None, low: float | None = None,
    high: float | None = None, coverage: float | None = None,
) -> Reading:  # fmt: skip
    """One number of a window; None where it is not known."""
    if value is None or not math.isfinite(value):
        return nothing(window, lacking, n, coverage)
    return Reading(window, n, value, Level(value, sd), low, high, coverage=coverage)


def categories(window: Window, counts: Mapping[str | None, int], lacking: str) -> Reading:
    """Counts by value, most frequent first; drawn is how many there were."""
    held = {value: n for value, n in counts.items() if n > 0}
    n = sum(held.values())
    if not n:
        return nothing(window, lacking)
    order = sorted(held, key=lambda value: (-held[value], value is None, value or ""))
    return Reading(window, n, float(n), Categories(tuple((value, held[value]) for value in order)))


def times(
    window: Window, sketch: Sketch, q: float, scale: float, seed: str, lacking: str, *, inverse: bool = False
) -> Reading:
    """A quantile with its order-statistic interval, and values evenly spread over the ranks, each times `scale`.

    `inverse`: of 1 / value (tokens a second from seconds a token); then `q` of them are at least what is drawn.
    """
    found = sketch.quantile(q)
    if found is None:
        return nothing(window, lacking)
    values = sketch.values_at(spread_ranks(sketch.n, VALUES_MAX)) * scale
    figures: list[float | None] = [found.value, found.low, found.high]
    if inverse:
        values = 1.0 / np.maximum(values, scale)
        figures = [None if each is None or each <= 0 else 1.0 / (each * scale) for each in figures]
        figures[1], figures[2] = figures[2], figures[1]
    else:
        figures = [None if each is None else each * scale for each in figures]
    value, low, high = figures
    if value is None:
        return nothing(window, "no time passed", sketch.n)
    return Reading(window, sketch.n, value, Values(shuffled(values, window, seed)), low, high)


def costs(window: Window, n: int, known: int, total: float, squares: float, ranks: Floats, seed: str) -> Reading:
    """The mean of `known` costs with a normal interval; `ranks` stand for all, in any order. Shapes: ranks (m,)."""
    coverage = known / n if n else None
    if not known:
        return nothing(window, "no cost is known" if n else "nothing came", n, coverage)
    mean = total / known
    half = None
    if known > 1:
        half = _Z * math.sqrt(max(squares - known * mean * mean, 0.0) / (known - 1) / known)
    low, high = (None, None) if half is None else (max(mean - half, 0.0), mean + half)
    return Reading(window, known, mean, Values(shuffled(ranks, window, seed)), low, high, coverage=coverage)


def quantile_of_values(values: Floats, q: float) -> tuple[float, float | None, float | None]:
    """A quantile by nearest rank with its order-statistic interval; of at least one value, shape (n,)."""
    ordered = np.sort(values)
    n = len(ordered)
    low, high = rank_interval(n, q, 0.95)
    ends = [None if rank is None else float(ordered[rank - 1]) for rank in (low, high)]
    return float(ordered[nearest_rank(n, q) - 1]), ends[0], ends[1]


def spread_ranks(n: int, most: int) -> NDArray[np.int64]:
    """Ranks 1..n, at most `most` of them and evenly spread: the middle of each of so many equal parts."""
    if n <= most:
        return np.arange(1, n + 1, dtype=np.int64)
    ranks: NDArray[np.int64] = ((np.arange(most) + 0.5) * (n / most)).astype(np.int64) + 1
    return ranks


def shuffled(values: Floats, window: Window, seed: str) -> tuple[float, ...]:
    """The values in an order that depends on the window and the series alone: the same after every replay."""
    digest = hashlib.blake2b(f"{seed} {window.start.timestamp()}".encode(), digest_size=8).digest()
    order = np.random.default_rng(int.from_bytes(digest)).permutation(len(values))
    return tuple(values[order].tolist())


def minutes_of(window: Window) -> float:
    """How long a window is."""
    return (window.end - window.start) / timedelta(minutes=1)
