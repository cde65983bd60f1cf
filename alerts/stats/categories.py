"""Categories of a window against those of the baseline: one test of all, which ones moved, and which are new."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alerts.stats.distances import Distances, compare_counts
from alerts.stats.gamma import chi_square_tail
from alerts.stats.pvalues import fisher
from evals.stats.quantiles import clopper_pearson
from evals.stats.results import TooLittle

Floats = NDArray[np.float64]
Method = Literal["chi-square", "g"]

# A baseline of fewer rows says too little (statistics.md, section 3); cells expected below 5 are pooled (Cochran 1954).
REFERENCE_MIN = 200
EXPECTED_MIN = 5.0
# Cochran lets one cell in five be expected less often, down to once: the pool, where four others stand.
POOL_MIN = 1.0
CELLS_BESIDE = 4
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Cell:
    """One tested cell: `share` then and now, `residual` its adjusted standardised residual (about N(0, 1) by chance).

    `categories`: what it holds: one name, or those pooled into "other".
    """

    name: str
    categories: tuple[str, ...]
    n_reference: int
    n_current: int
    share_reference: float
    share_current: float
    residual: float


@dataclass(frozen=True, slots=True)
class NewCategory:
    """A category never seen in the baseline: an event of its own.

    `share_before_most`: what share it may have had and yet not shown up in the baseline (95 %, Clopper-Pearson); `p`:
    Fisher's, that so many come by chance from traffic that always held it.
    """

    name: str
    n: int
    share: float
    share_before_most: float
    p: float


@dataclass(frozen=True, slots=True)
class CategoryTest:
    """The window against the baseline.

    `statistic` with `df` and `p`; None where all rows fall into one cell. `cells` in order of |residual|; `new` and
    `gone` by name; `distances` over all categories, unpooled: effect sizes, not evidence.
    """

    method: Method
    n_reference: int
    n_current: int
    statistic: float | None
    df: int
    p: float | None
    cells: tuple[Cell, ...]
    new: tuple[NewCategory, ...]
    gone: tuple[str, ...]
    distances: Distances


def compare_categories(
    reference: Mapping[str, int],
    current: Mapping[str, int],
    *,
    method: Method = "chi-square",
    design_effect: float = 1.0,
) -> CategoryTest | TooLittle:
    """Whether the categories of now come from the baseline's distribution, by chi-square or G, on k-1 df.

    Counts by category. Cells expected below 5 on either side are pooled into "other", with the next smallest as long as
    that is too small as well (see `pool`). Assumes independent rows; `design_effect` >= 1 divides the statistic where
    they come in clusters (Rao and Scott 1981, first order). TooLittle: baseline under 200 rows, or a window whose rows
    leave no two cells of 5. Errors: ValueError for counts under 0.
    Source: Pearson 1900; Woolf 1957 (G); residuals of Haberman 1973.
    """
    names = sorted(set(reference) | set(current))
    if any(count < 0 for counts in (reference, current) for count in counts.values()):
        raise ValueError("counts of categories are never under 0")
    if not design_effect >= 1:
        raise ValueError(f"a design effect is 1 or more, not {design_effect}")
    rows = np.array([[side.get(name, 0) for name in names] for side in (reference, current)], dtype=np.float64)
    rows = rows.reshape(2, len(names))
    kept = rows.sum(0) > 0
    names, rows = [name for name, keep in zip(names, kept, strict=True) if keep], rows[:, kept]
    n, m = (int(total) for total in rows.sum(1))
    if n < REFERENCE_MIN:
        return TooLittle(n, REFERENCE_MIN, "reference rows")
    if m < EXPECTED_MIN:
        return TooLittle(m, int(EXPECTED_MIN), "current rows")
    distances = compare_counts(rows[0], rows[1])
    if isinstance(distances, TooLittle):
        return distances
    groups = pool(rows)
    table = np.stack([rows[:, group].sum(1) for group in groups], axis=1)
    statistic: float | None = None
    p: float | None = None
    df = len(groups) - 1
    residuals = np.zeros(len(groups))
    if df:
        found, residuals = _tested(table, method, design_effect)
        statistic, p = found, chi_square_tail(found, df)
    elif len(names) > 1:
        least = np.sort(rows.sum(0))[:-1].sum() * m / (n + m)
        return TooLittle(math.floor(least), int(EXPECTED_MIN), "rows expected in each of two cells")
    cells = [
        Cell(
            name=names[group[0]] if len(group) == 1 else OTHER,
            categories=tuple(names[at] for at in group),
            n_reference=int(table[0, place]),
            n_current=int(table[1, place]),
            share_reference=float(table[0, place] / n),
            share_current=float(table[1, place] / m),
            residual=float(residuals[place]),
        )
        for place, group in enumerate(groups)
    ]
    return CategoryTest(
        method=method,
        n_reference=n,
        n_current=m,
        statistic=statistic,
        df=df,
        p=p,
        cells=tuple(sorted(cells, key=lambda cell: (-abs(cell.residual), cell.name))),
        new=new_categories(names, rows, n, m),
        gone=tuple(name for name, counts in zip(names, rows.T, strict=True) if counts[1] == 0),
        distances=distances,
    )


def pool(rows: Floats) -> list[list[int]]:
    """Groups of columns of counts (2, k) such that each is expected 5 times or more on both sides; "other" comes last.

    With four groups or more beside it "other" may be expected once, so that it does not swallow what moved. Which are
    pooled depends on the sums of both rows only, so that the test stays one of the split between them.
    """
    totals = rows.sum(0)
    least = float(rows.sum(1).min() / rows.sum())
    order = sorted(range(totals.size), key=lambda at: (totals[at], at))
    small = [at for at in order if totals[at] * least < EXPECTED_MIN]
    large = order[len(small) :]
    while (
        small
        and large
        and sum(totals[at] for at in small) * least < (POOL_MIN if len(large) >= CELLS_BESIDE else EXPECTED_MIN)
    ):
        small.append(large.pop(0))
    return [[at] for at in sorted(large)] + ([sorted(small)] if small else [])


def _tested(table: Floats, method: Method, design_effect: float) -> tuple[float, Floats]:
    n = table.sum()
    row, column = table.sum(1) / n, table.sum(0) / n
    expected = np.outer(row, column) * n
    if method == "g":
        some = table > 0
        raw = 2 * float((table[some] * np.log(table[some] / expected[some])).sum())
    else:
        raw = float(((table - expected) ** 2 / expected).sum())
    spread = np.sqrt(expected[1] * (1 - row[1]) * (1 - column) * design_effect)
    return max(0.0, raw / design_effect), (table[1] - expected[1]) / spread


def residual(k_reference: float, n_reference: float, k_current: float, n_current: float) -> float:
    """The adjusted standardised residual of one category now, k of n, against the reference's; 0 where all or none is.

    About N(0, 1) by chance once it is expected 5 times. Source: Haberman 1973.
    """
    whole = n_reference + n_current
    share = (k_reference + k_current) / whole
    spread = math.sqrt(n_current * n_reference / whole * share * (1 - share))
    return (k_current - n_current * share) / spread if spread > 0 else 0.0


def new_categories(names: list[str], rows: Floats, n: int, m: int) -> tuple[NewCategory, ...]:
    """Categories of the current row that the reference row has none of, the most frequent first."""
    upper = clopper_pearson(0, n)[1]
    found = [
        NewCategory(name, int(now), float(now / m), upper, fisher(int(now), m - int(now), 0, n).greater)
        for name, (before, now) in zip(names, rows.T, strict=True)
        if before == 0 and now > 0
    ]
    return tuple(sorted(found, key=lambda category: (-category.n, category.name)))
