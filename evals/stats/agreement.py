"""How well a judge agrees with people, and people with each other.

Scores are values of a scale whose levels are all named; None or NaN is a gap. A figure that the data leave undefined is
None, never 0 or 1: Cohen's kappa where chance alone agrees everywhere, a correlation with a constant.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats import tables
from evals.stats.designs import cluster
from evals.stats.quantiles import clopper_pearson, t_quantile, wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.tables import Floats, Measure, Weighting, agreement_weights

Level = float | int | str | bool
Scores = Sequence[Level | None] | NDArray[np.float64]
Codes = NDArray[np.int64]


def coded(scores: Scores, levels: Sequence[Level]) -> Codes:
    """The place of each score among `levels`, -1 for a gap (None or NaN). ValueError for a score that is no level."""
    if len(levels) < 2 or len(set(levels)) != len(levels):
        raise ValueError(f"a scale has 2 different levels or more, not {list(levels)}")
    places = {value: place for place, value in enumerate(levels)}
    codes = np.full(len(scores), -1, dtype=np.int64)
    for i, score in enumerate(scores):
        if score is None or score != score:
            continue
        place = places.get(score)
        if place is None:
            raise ValueError(f"{score!r} is no level of the scale {list(levels)}")
        codes[i] = place
    return codes


def values_of(levels: Sequence[Level]) -> Floats:
    """What the levels are worth: themselves where they are numbers, else their places."""
    if any(isinstance(level, str) for level in levels):
        return np.arange(len(levels), dtype=np.float64)
    return np.array([float(level) for level in levels])


def nearest_level(scores: ArrayLike, levels: Sequence[float]) -> Floats:
    """Each score as the nearest level, the higher one half-way: for judges that answer in between. NaN stays."""
    steps = np.sort(np.asarray(levels, dtype=np.float64))
    given = np.asarray(scores, dtype=np.float64)
    places = np.searchsorted((steps[1:] + steps[:-1]) / 2, given, side="right")
    return np.where(np.isnan(given), np.nan, steps[places])


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts (or sums of weights) of items by the person's level, row, and the judge's, column."""

    levels: tuple[Level, ...]
    counts: tuple[tuple[float, ...], ...]
    n: int

    @property
    def table(self) -> Floats:
        """The counts as an array (k, k)."""
        return np.array(self.counts, dtype=np.float64)


def confusion(person: Scores, judge: Scores, levels: Sequence[Level], weights: ArrayLike | None = None) -> Confusion:
    """The confusion table of the items that both scored."""
    table, n = pair_table(coded(person, levels), coded(judge, levels), len(levels), weights)
    return Confusion(tuple(levels), tuple(tuple(float(cell) for cell in row) for row in table), n)


def pair_table(first: Codes, second: Codes, k: int, weights: ArrayLike | None = None) -> tuple[Floats, int]:
    """(table (k, k), items in it) of two raters' codes."""
    if first.shape != second.shape:
        raise ValueError(f"both raters need the same items: {first.size} against {second.size}")
    both = (first >= 0) & (second >= 0)
    w = None if weights is None else np.asarray(weights, dtype=np.float64)[both]
    cells = np.bincount(first[both] * k + second[both], weights=w, minlength=k * k)
    return cells.reshape(k, k).astype(np.float64), int(both.sum())


def raw_agreement(person: Scores, judge: Scores, levels: Sequence[Level], level: float = LEVEL) -> Estimate | TooLittle:
    """The share of items with the very same score, with Wilson's interval."""
    table, n = pair_table(coded(person, levels), coded(judge, levels), len(levels))
    if n < 1:
        return TooLittle(0, 1, "items with both scores")
    share = float(np.trace(table)) / n
    low, high = wilson_limits(share, n, level)
    return Estimate(share, low, high, level, n, float(n), "raw agreement, Wilson interval")


def cohen_kappa(person: Scores, judge: Scores, levels: Sequence[Level]) -> float | None:
    """(po - pe)/(1 - pe), pe from both margins (Cohen 1960). None where 1 - pe is 0, or of no items."""
    return weighted_kappa(person, judge, levels, "identity")


def weighted_kappa(
    person: Scores, judge: Scores, levels: Sequence[Level], weights: Weighting = "quadratic"
) -> float | None:
    """1 - Σ v o / Σ v e over all levels of the scale, seen or not (Cohen 1968); None as in `cohen_kappa`.

    quadratic: v = (i-j)²/(k-1)²; linear: |i-j|/(k-1).
    """
    table, _ = pair_table(coded(person, levels), coded(judge, levels), len(levels))
    return _told(tables.kappa(table, agreement_weights(len(levels), weights)))


@dataclass(frozen=True, slots=True)
class Units:
    """What several raters' scores come to, unit by unit; sums of rows of `parts` are all that the figures need.

    `counts` (units, k): how many raters chose each level.
    """

    counts: Floats

    @classmethod
    def of(cls, ratings: Sequence[Scores], levels: Sequence[Level]) -> Units:
        """Of `ratings`, one row a rater, one column a unit, gaps allowed."""
        if not len(ratings):
            raise ValueError("at least one rater is needed")
        codes = [coded(row, levels) for row in ratings]
        if len({row.size for row in codes}) != 1:
            raise ValueError("every rater needs the same units; gaps are None")
        counts = np.zeros((codes[0].size, len(levels)))
        for row in codes:
            seen = np.flatnonzero(row >= 0)
            counts[seen, row[seen]] += 1
        return cls(counts)

    def coincidences(self) -> Floats:
        """Pairs of levels within each unit over raters - 1, (units, k, k); nothing from units with one rater."""
        counts = self.counts
        raters = counts.sum(1)
        pairs = counts[:, :, None] * counts[:, None, :]
        k = counts.shape[1]
        pairs[:, np.arange(k), np.arange(k)] -= counts
        return np.asarray(pairs * np.where(raters >= 2, 1 / np.maximum(raters - 1, 1), 0.0)[:, None, None])

    def agreed(self, weights: Floats) -> Floats:
        """The mean agreement of the pairs within each unit, (units,); 0 for units with one rater."""
        raters = self.counts.sum(1)
        pairs = (self.counts * (self.counts @ weights.T - 1)).sum(1)
        return np.asarray(np.where(raters >= 2, pairs / np.maximum(raters * (raters - 1), 1), 0.0))

    def shares(self) -> Floats:
        """The share of raters by level, (units, k); nothing for units without any."""
        return np.asarray(self.counts / np.maximum(self.counts.sum(1), 1)[:, None])

    @property
    def is_paired(self) -> NDArray[np.bool_]:
        """Which units have two raters or more."""
        return np.asarray(self.counts.sum(1) >= 2)

    @property
    def is_rated(self) -> NDArray[np.bool_]:
        """Which units have any rater."""
        return np.asarray(self.counts.sum(1) >= 1)


def krippendorff(ratings: Sequence[Scores], levels: Sequence[Level], measure: Measure = "ordinal") -> float | None:
    """Krippendorff's alpha of several raters with gaps; None where only one level occurs or nothing was rated twice."""
    units = Units.of(ratings, levels)
    return _told(tables.alpha(units.coincidences().sum(0), values_of(levels), measure))


def gwet(ratings: Sequence[Scores], levels: Sequence[Level], weights: Weighting = "identity") -> float | None:
    """Gwet's AC1 (identity) or AC2 of several raters with gaps (Gwet 2008, 2014)."""
    agreed, shares, matrix = _of_units(ratings, levels, weights)
    return None if agreed is None else _told(tables.gwet_units(agreed, shares, matrix))


def fleiss(ratings: Sequence[Scores], levels: Sequence[Level], weights: Weighting = "identity") -> float | None:
    """Fleiss' kappa (Fleiss 1971); with gaps as in Gwet 2014."""
    agreed, shares, matrix = _of_units(ratings, levels, weights)
    return None if agreed is None else _told(tables.fleiss_units(agreed, shares, matrix))


def _of_units(
    ratings: Sequence[Scores], levels: Sequence[Level], weights: Weighting
) -> tuple[Floats | None, Floats, Floats]:
    units = Units.of(ratings, levels)
    matrix = agreement_weights(len(levels), weights)
    paired, rated = int(units.is_paired.sum()), int(units.is_rated.sum())
    if not paired:
        return None, np.empty(0), matrix
    return np.asarray(units.agreed(matrix).sum() / paired), units.shares().sum(0) / rated, matrix


def spearman(a: ArrayLike, b: ArrayLike) -> float | None:
    """Spearman's rank correlation of any numbers, ties by mid-ranks; pairs with a gap are left out.

    None for a constant input, or fewer than two pairs.
    """
    table = _ranks_table(a, b)
    return None if table is None else _told(tables.spearman_table(table))


def kendall(a: ArrayLike, b: ArrayLike) -> float | None:
    """Kendall's tau-b of any numbers; as `spearman`."""
    table = _ranks_table(a, b)
    return None if table is None else _told(tables.kendall_table(table))


def _ranks_table(a: ArrayLike, b: ArrayLike) -> Floats | None:
    """The table of the distinct values; its size is bounded by what is seen."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"two rows of the same length are needed: {first.shape} against {second.shape}")
    both = ~(np.isnan(first) | np.isnan(second))
    if both.sum() < 2:
        return None
    rows, row = np.unique(first[both], return_inverse=True)
    columns, column = np.unique(second[both], return_inverse=True)
    if rows.size * columns.size > 50_000_000:
        raise ValueError(f"correlations are of up to 50,000,000 pairs of values, not {rows.size} x {columns.size}")
    cells = np.bincount(row * columns.size + column, minlength=rows.size * columns.size)
    return cells.reshape(rows.size, columns.size).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Bias:
    """Judge minus person: over all, and by the person's score."""

    overall: Estimate | TooLittle
    by_level: tuple[tuple[float, Estimate | TooLittle], ...]


def bias(
    person: ArrayLike,
    judge: ArrayLike,
    weights: ArrayLike | None = None,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    step: float = 1.0,
) -> Bias:
    """The mean of judge - person with a t interval (between clusters where given), overall and by the person's score.

    `person`, `judge` (n,) numbers; items with a gap are left out. Two items are the least. `step`: how far apart levels
    are, see `mean_of`.
    """
    people, judged = np.asarray(person, dtype=np.float64), np.asarray(judge, dtype=np.float64)
    if people.shape != judged.shape or people.ndim != 1:
        raise ValueError(f"each review needs the judge's score: {people.shape} against {judged.shape}")
    w = np.ones(people.size) if weights is None else np.asarray(weights, dtype=np.float64)
    both = np.flatnonzero(~(np.isnan(people) | np.isnan(judged)))
    people, judged, w = people[both], judged[both], w[both]
    names = None if clusters is None else [clusters[i] for i in both.tolist()]
    gaps = judged - people
    parts = []
    for value in np.unique(people):
        at = np.flatnonzero(people == value)
        inner = None if names is None else [names[i] for i in at.tolist()]
        parts.append((float(value), mean_of(gaps[at], w[at], inner, level, step)))
    return Bias(mean_of(gaps, w, names, level, step), tuple(parts))


def mean_of(
    values: Floats,
    weights: Floats,
    clusters: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    step: float | None = None,
) -> Estimate | TooLittle:
    """The weighted mean of values (n,) with a t interval, between clusters where given.

    Where all values are the same their spread says nothing: with `step` the interval is what it would be if as many as
    n such values leave possible were one step off (Clopper and Pearson's limit of 0 in n), without it there is none.
    """
    if values.size < 2:
        return TooLittle(values.size, 2, "items")
    if clusters is not None:
        # Weights of any size; a probability is one of at most 1.
        between = cluster(values, weights.min() / weights, clusters, level)
        alike = isinstance(between, Estimate) and between.low is None and float(np.ptp(values)) == 0
        return _of_equal(between, step) if isinstance(between, Estimate) and alike else between
    whole = float(weights.sum())
    mean = float(weights @ values) / whole
    n, n_eff = values.size, whole**2 / float(weights @ weights)
    if float(np.ptp(values)) == 0:
        return _of_equal(Estimate(float(values[0]), None, None, level, n, n_eff, ""), step)
    error = math.sqrt(float((weights**2) @ ((values - mean) ** 2)) * n / (n - 1)) / whole
    half = t_quantile(level, max(1.0, n_eff - 1)) * error
    return Estimate(mean, mean - half, mean + half, level, n, n_eff, "mean, t interval", error)


def _of_equal(found: Estimate, step: float | None) -> Estimate:
    if step is None:
        return replace(found, low=None, high=None, method="no interval: all values are the same", error=None)
    half = step * clopper_pearson(0, found.n_eff, found.level)[1]
    method = "mean of equal values, limits of how many may be one level off"
    return replace(found, low=found.value - half, high=found.value + half, method=method, error=None)


def _told(value: Floats) -> float | None:
    figure = float(value)
    return figure if math.isfinite(figure) else None
