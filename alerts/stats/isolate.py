"""Which change of the log fits: its lag to the interval of the change point, whom it touched, versions side by side.

It ranks and says what cannot be told apart; it never says "caused by". A person decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.quantiles import normal_quantile
from evals.stats.results import LEVEL, TooLittle

Floats = NDArray[np.float64]
Place = Literal["inside", "shortly before", "outside", "after"]
Overlap = Literal["same", "all", "unknown", "other"]
Match = Literal["strong", "possible", "weak", "none"]

# Caches, roll-outs and slow users: what was changed half a day before may show only now.
SHORTLY = 12 * 3600.0
# A change loses half of its weight with every so many seconds before the interval, or windows, or widths of it.
HALF_SECONDS, HALF_WINDOWS = 2 * 3600.0, 4
# Weights are judgement calls, checked by `python -m benchmarks.incidents`: one that touches the slice counts 2.5 times
# one that touches everything; one that cannot have touched it next to nothing.
_OVERLAP: Mapping[Overlap, float] = {"same": 1.0, "all": 0.4, "unknown": 0.4, "other": 0.03}
_CONFIRMED, _REFUTED = 3.0, 0.04
_AFTER = 0.01
# A note says what somebody saw, and changes nothing.
_NOTE = 0.3
STRONG, POSSIBLE = 0.45, 0.05
# Two with scores nearer than this cannot be told apart.
ALIKE = 2.0
SIDE_MIN = 10


@dataclass(frozen=True, slots=True)
class Onset:
    """Where the new level began: starts of windows, in seconds; `window` seconds long. `low` <= `at` <= `high`."""

    at: float
    low: float
    high: float
    window: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """The rate of bad of the new version less that of the old one, where both served in the same windows.

    `windows` with both; `n_new`, `n_old` rows in them. `regression`: the size that it is held against.
    """

    new: float
    old: float
    value: float
    low: float
    high: float
    windows: int
    n_new: int
    n_old: int
    level: float
    method: str

    def says(self, regression: float) -> Literal["worse", "alike", "open"]:
        """Whether the new version is worse, is not (not by half of the regression), or cannot be told yet."""
        if self.low > 0:
            return "worse"
        return "alike" if self.high < regression / 2 else "open"


@dataclass(frozen=True, slots=True)
class Logged:
    """A change of the log: seconds, what it touches ({}: everything), what its versions came to side by side."""

    id: int
    at: float
    ended_at: float | None = None
    touches: Mapping[str, str] | None = None
    is_note: bool = False
    contrast: Contrast | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """How a change fits. `lag` seconds from it to the onset, with its interval; below 0: it came after.

    `score` orders; it is no probability. `match` "none": nothing is proposed.
    """

    id: int
    place: Place
    lag: float
    lag_low: float
    lag_high: float
    overlap: Overlap
    shared: tuple[str, ...]
    contrast: Literal["worse", "alike", "open", ""]
    score: float
    match: Match


@dataclass(frozen=True, slots=True)
class Ranking:
    """Changes, the best fit first. `together`: ids that cannot be told apart by what is known, the first among them.

    `inside`: ids within the interval, which time alone does not tell apart.
    """

    fits: tuple[Fit, ...]
    inside: tuple[int, ...]
    together: tuple[int, ...]


def rank_changes(
    onset: Onset | None,
    changes: Sequence[Logged],
    scope: Mapping[str, Sequence[str]] | None = None,
    regression: float = 0.0,
) -> Ranking:
    """Changes by how they fit the onset and the scope, which is (dimension: values it is about; {} or None: unknown).

    `regression`: by how much the rate of bad rose, which contrasts are held against. Without an onset (no clear start)
    nothing is proposed: every match is "none", the newest first.
    """
    if onset is None:
        fits = [_fit_nothing(change, scope or {}) for change in changes]
        newest = {change.id: change.at for change in changes}
        return Ranking(tuple(sorted(fits, key=lambda fit: (-newest[fit.id], fit.id))), (), ())
    found = [_fit(change, onset, scope or {}, regression) for change in changes]
    found.sort(key=lambda fit: (-fit.score, abs(fit.lag), fit.id))
    inside = tuple(fit.id for fit in found if fit.place == "inside")
    together: tuple[int, ...] = ()
    if found and found[0].match in {"strong", "possible"}:
        near = [
            fit.id
            for fit in found
            if fit.place == found[0].place and fit.score * ALIKE > found[0].score and fit.match != "weak"
        ]
        together = tuple(near) if len(near) > 1 else ()
    # One that cannot be told from another is no strong match.
    if together:
        held = set(together)
        found = [
            replace(fit, match="possible" if fit.id in held and fit.match == "strong" else fit.match) for fit in found
        ]
    return Ranking(tuple(found), inside, together)


def contrast_of(
    bad_new: ArrayLike, n_new: ArrayLike, bad_old: ArrayLike, n_old: ArrayLike, level: float = LEVEL
) -> Contrast | TooLittle:
    """The difference of two versions' rates of bad over windows in which both served: Mantel-Haenszel over windows.

    All (w,) counts by window, or weighted sums scaled to effective counts. Windows in which only one served say nothing
    and are left out, so what moves all traffic alike cancels. TooLittle under 10 rows of either side in shared windows.
    Errors: ValueError unless 0 <= bad <= n. Source: Greenland and Robins 1985; variance: Sato 1989.
    """
    a, n1, b, n0 = (np.asarray(each, dtype=np.float64) for each in (bad_new, n_new, bad_old, n_old))
    if not (a.shape == n1.shape == b.shape == n0.shape) or a.ndim != 1:
        raise ValueError("four rows of as many windows are needed")
    if not bool(((a >= 0) & (a <= n1 + 1e-9) & (b >= 0) & (b <= n0 + 1e-9)).all()):
        raise ValueError("bad rows lie within 0 and the rows of their window")
    both = (n1 > 0) & (n0 > 0)
    a, n1, b, n0 = a[both], n1[both], b[both], n0[both]
    least = min(n1.sum(), n0.sum())
    if least < SIDE_MIN:
        return TooLittle(math.floor(least), SIDE_MIN, "answers of either version in the same windows")
    n = n1 + n0
    weight = float((n1 * n0 / n).sum())
    value = float(((a * n0 - b * n1) / n).sum()) / weight
    # Half an event more of each kind, spread over the windows, so that 0 of n is not certain.
    half = 0.5 / a.size
    a2, b2, m1, m0 = a + half, b + half, n1 + 2 * half, n0 + 2 * half
    m = m1 + m0
    p = (m1 * m1 * b2 - m0 * m0 * a2 + m1 * m0 * (m0 - m1) / 2) / (m * m)
    q = (a2 * (m0 - b2) + b2 * (m1 - a2)) / (2 * m)
    smooth = (m1 * m0 / m).sum()
    shifted = float(((a2 * m0 - b2 * m1) / m).sum() / smooth)
    variance = max(0.0, (shifted * float(p.sum()) + float(q.sum())) / float(smooth * smooth))
    wide = normal_quantile(level) * math.sqrt(variance)
    return Contrast(
        new=float(np.average(a / n1, weights=n1 * n0 / n)),
        old=float(np.average(b / n0, weights=n1 * n0 / n)),
        value=value,
        low=max(-1.0, value - wide),
        high=min(1.0, value + wide),
        windows=int(a.size),
        n_new=round(float(n1.sum())),
        n_old=round(float(n0.sum())),
        level=level,
        method="same windows, Mantel-Haenszel difference (Sato)",
    )


def _fit_nothing(change: Logged, scope: Mapping[str, Sequence[str]]) -> Fit:
    overlap, shared = _overlap(change, scope)
    return Fit(change.id, "outside", math.nan, math.nan, math.nan, overlap, shared, "", 0.0, "none")


def _fit(change: Logged, onset: Onset, scope: Mapping[str, Sequence[str]], regression: float) -> Fit:
    place, weight = _place(change, onset)
    overlap, shared = _overlap(change, scope)
    score = weight * _OVERLAP[overlap] * (_NOTE if change.is_note else 1.0)
    said: Literal["worse", "alike", "open", ""] = ""
    if change.contrast is not None:
        said = change.contrast.says(regression)
        score *= _CONFIRMED if said == "worse" else _REFUTED if said == "alike" else 1.0
    match: Match = "strong" if score >= STRONG else "possible" if score >= POSSIBLE else "weak"
    # Strong needs more than time: whom it touched, or versions side by side.
    if match == "strong" and not (place == "inside" and (overlap == "same" or said == "worse")):
        match = "possible"
    return Fit(
        id=change.id,
        place=place,
        lag=onset.at - change.at,
        lag_low=onset.low - change.at,
        lag_high=onset.high - change.at,
        overlap=overlap,
        shared=shared,
        contrast=said,
        score=score,
        match=match,
    )


def _place(change: Logged, onset: Onset) -> tuple[Place, float]:
    """Where it lies, and its weight by time. What changed within a window may show in that one or in the next."""
    since, until = onset.low - onset.window, onset.high + onset.window
    end = change.ended_at if change.ended_at is not None else change.at
    if change.at > until:
        return "after", _AFTER
    if end >= since:
        nearest = min(max(onset.at, change.at), end)
        reach = max(onset.at - since, until - onset.at)
        return "inside", 1.0 - 0.5 * abs(nearest - onset.at) / reach
    gap = since - end
    half = max(HALF_SECONDS, HALF_WINDOWS * onset.window, onset.high - onset.low)
    weight = 0.5 * 0.5 ** (gap / half)
    return ("shortly before" if gap <= max(SHORTLY, half) else "outside"), weight


def _overlap(change: Logged, scope: Mapping[str, Sequence[str]]) -> tuple[Overlap, tuple[str, ...]]:
    touches = {name: value for name, value in (change.touches or {}).items() if value}
    if not scope:
        return "unknown", ()
    shared = tuple(f"{name} {value}" for name, value in touches.items() if value in scope.get(name, ()))
    if any(name in scope and value not in scope[name] for name, value in touches.items()):
        return "other", shared
    return ("same", shared) if shared else ("all", ())
