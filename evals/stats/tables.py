"""Agreement as functions of counts: confusion tables of two raters, and counts of levels where several rated a unit.

Every function takes arrays whose last axes are one table (k, k) and gives back an array of the axes before, so that one
call does thousands of resamples; NaN stands where a figure is undefined. Cells are counts or sums of weights. Rows are
the first rater (a person), columns the second (the judge). All k levels of the scale count, seen or not.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weighting = Literal["identity", "linear", "quadratic", "ordinal"]
Measure = Literal["nominal", "ordinal", "interval", "ratio"]

# Below this an expected disagreement is none: what rounding leaves.
_NONE = 1e-12


def agreement_weights(k: int, weighting: Weighting) -> Floats:
    """How much levels i and j agree, (k, k): 1 on the diagonal, 0 for the two ends. ValueError for k < 2.

    identity: 1 or 0; linear: 1 - |i-j|/(k-1); quadratic: 1 - (i-j)²/(k-1)²; ordinal: 1 - C(|i-j|+1, 2)/C(k, 2)
    (Gwet 2014, chapter 3).
    """
    if k < 2:
        raise ValueError(f"a scale has 2 levels or more, not {k}")
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k))).astype(np.float64)
    if weighting == "identity":
        return np.eye(k)
    if weighting == "linear":
        return np.asarray(1 - apart / (k - 1))
    if weighting == "quadratic":
        return np.asarray(1 - apart**2 / (k - 1) ** 2)
    return np.asarray(1 - apart * (apart + 1) / (k * (k - 1)))


def at_chance(table: Floats, even: bool = False) -> Floats:
    """One item of a table (k, k) as chance alone would fill it: the product of the margins, its cells summing to 1.

    `even`: of margins that are all the same, for coefficients that take chance for less where one level prevails.
    """
    whole = float(table.sum())
    if whole <= 0:
        return np.zeros_like(table)
    if even:
        return np.full_like(table, 1 / table.size)
    return np.asarray(np.outer(table.sum(1), table.sum(0)) / (whole * whole))


def observed(tables: Floats, weights: Floats) -> Floats:
    """The mean agreement: raw agreement with identity weights."""
    return _share((tables * weights).sum((-2, -1)), tables.sum((-2, -1)))


def kappa(tables: Floats, weights: Floats) -> Floats:
    """1 - Σ v o / Σ v e with v = 1 - weights and e from both margins (Cohen 1960, 1968). Undefined where Σ v e is 0."""
    n = tables.sum((-2, -1))
    v = 1 - weights
    seen = (tables * v).sum((-2, -1))
    expected = np.einsum("...i,ij,...j->...", tables.sum(-1), v, tables.sum(-2))
    return np.asarray(1 - _share(seen * n, expected, least=_NONE * n * n))


def gwet_table(tables: Floats, weights: Floats) -> Floats:
    """Gwet's AC1 (identity weights) or AC2 of two raters (Gwet 2008)."""
    n = tables.sum((-2, -1))
    shares = _share((tables.sum(-1) + tables.sum(-2)) / 2, n[..., None])
    return _gwet(observed(tables, weights), shares, weights)


def alpha_table(tables: Floats, values: Floats, measure: Measure) -> Floats:
    """Krippendorff's alpha of two raters without gaps."""
    return alpha(tables + np.swapaxes(tables, -1, -2), values, measure)


def alpha(coincidences: Floats, values: Floats, measure: Measure) -> Floats:
    """Krippendorff's alpha, 1 - Do/De, from coincidences (..., k, k): Σ over units of pairs / (raters - 1).

    `values` (k,): what the levels are worth, for interval and ratio. Undefined where only one level occurs.
    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability.
    """
    totals = coincidences.sum(-1)
    n = totals.sum(-1)
    squares = _distances(totals, values, measure)
    seen = (coincidences * squares).sum((-2, -1))
    expected = (totals[..., :, None] * totals[..., None, :] * squares).sum((-2, -1))
    scale = np.maximum(squares.max((-2, -1)), 1e-300)
    return np.asarray(1 - _share(seen * (n - 1), expected, least=_NONE * n * n * scale))


def _distances(totals: Floats, values: Floats, measure: Measure) -> Floats:
    """Squared distances of levels (k, k), or (..., k, k) where they depend on how often each occurs."""
    k = values.size
    if measure == "nominal":
        return 1 - np.eye(k)
    if measure == "interval":
        return np.asarray(np.subtract.outer(values, values) ** 2)
    if measure == "ratio":
        sums = np.add.outer(values, values)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(sums == 0, 0.0, (np.subtract.outer(values, values) / sums) ** 2)
    # Ordinal: everything from c to k, less half of both ends.
    upto = np.cumsum(totals, axis=-1)
    middle = upto - totals / 2
    return np.asarray((middle[..., :, None] - middle[..., None, :]) ** 2)


def gwet_units(agreed: Floats, shares: Floats, weights: Floats) -> Floats:
    """Gwet's AC1 or AC2 of several raters: `agreed` (...) the mean agreement of pairs, `shares` (..., k) of levels."""
    return _gwet(agreed, shares, weights)


def fleiss_units(agreed: Floats, shares: Floats, weights: Floats) -> Floats:
    """Fleiss' kappa (Fleiss 1971), with gaps as in Gwet 2014: `agreed` and `shares` as in `gwet_units`."""
    expected = np.einsum("...i,ij,...j->...", shares, weights, shares)
    return _share(agreed - expected, 1 - expected, least=np.asarray(_NONE))


def _gwet(agreed: Floats, shares: Floats, weights: Floats) -> Floats:
    k = weights.shape[0]
    expected = weights.sum() * (shares * (1 - shares)).sum(-1) / (k * (k - 1))
    return _share(agreed - expected, 1 - expected, least=np.asarray(_NONE))


def spearman_table(tables: Floats) -> Floats:
    """Spearman's rank correlation, ties by mid-ranks (Spearman 1904). Undefined for a constant rater."""
    rows, columns = tables.sum(-1), tables.sum(-2)
    n = tables.sum((-2, -1))[..., None]
    # Mid-ranks up to a shift, and centred: their mean is n/2.
    x, y = np.cumsum(rows, -1) - rows / 2 - n / 2, np.cumsum(columns, -1) - columns / 2 - n / 2
    both = np.einsum("...ij,...i,...j->...", tables, x, y)
    spread = (rows * x * x).sum(-1) * (columns * y * y).sum(-1)
    return _share(both, np.sqrt(spread), least=_NONE * n[..., 0] ** 3)


def kendall_table(tables: Floats) -> Floats:
    """Kendall's tau-b (Kendall 1945). Undefined for a constant rater."""
    n = tables.sum((-2, -1))
    # In front of each cell: all cells with a lower row and a lower, or a higher, column.
    above = np.cumsum(tables, axis=-2) - tables
    left = np.cumsum(above, axis=-1) - above
    right = above.sum(-1, keepdims=True) - np.cumsum(above, axis=-1)
    score = (tables * (left - right)).sum((-2, -1))
    free_rows = (n * n - (tables.sum(-1) ** 2).sum(-1)) / 2
    free_columns = (n * n - (tables.sum(-2) ** 2).sum(-1)) / 2
    return _share(score, np.sqrt(np.maximum(0, free_rows * free_columns)), least=_NONE * n * n)


def _share(top: Floats, bottom: Floats, least: Floats | float = 0.0) -> Floats:
    """top / bottom, NaN where bottom is not over `least`."""
    good = bottom > least
    return np.asarray(np.where(good, top / np.where(good, bottom, 1.0), np.nan))
