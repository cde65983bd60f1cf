"""The calibration of one criterion: judge with people, people with each other, and a judge that knows nothing.

All figures of a report come from the same resamples of the same items, so what is compared there is paired.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from evals.stats import tables
from evals.stats.agreement import (
    Bias,
    Codes,
    Confusion,
    Level,
    Scores,
    Units,
    bias,
    coded,
    mean_of,
    values_of,
)
from evals.stats.bootstrap import RESAMPLES, bootstrap
from evals.stats.quantiles import wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.tables import Floats, agreement_weights

# In the order in which pages show them.
ORDERED = (
    "raw_agreement",
    "within_one",
    "weighted_kappa",
    "cohen_kappa",
    "krippendorff",
    "gwet_ac1",
    "gwet_ac2",
    "spearman",
    "kendall",
)
UNORDERED = ("raw_agreement", "cohen_kappa", "krippendorff", "gwet_ac1")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Every figure of agreement over n items, by name; None where the data leave it undefined.

    `prevalence`: the share of items by people's level. `bias` only where the levels are numbers and a judge took part.
    `double_share`: the share of people's items that two of them scored, None for a single row of scores.
    """

    n: int
    n_units: int
    levels: tuple[Level, ...]
    confusion: Confusion
    prevalence: tuple[float, ...]
    figures: Mapping[str, Estimate | None]
    bias: Bias | None
    double_share: float | None
    seed: int
    resamples: int


def judge_report(
    person: Scores | Sequence[Scores],
    judge: Scores,
    levels: Sequence[Level],
    *,
    is_ordered: bool = True,
    clusters: Sequence[Hashable] | None = None,
    weights: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Agreement | TooLittle:
    """Judge against people, over the items both scored.

    `person`: one row of scores, or one row a reviewer with gaps; of an item with m reviewers each counts 1/m. `levels`:
    all levels of the scale in order. `clusters`: the session of each item, where items come in sessions. `weights`:
    1/(pi pi_review), where reviews were drawn unequally. Two items are the least. Errors: ValueError for a score
    that is no level.
    """
    people, judged = _people(person, levels), coded(judge, levels)
    k = len(levels)
    rows = _against(people, judged, k)
    # As many parts as reviewers may leave a hair of what is one item.
    both = np.flatnonzero(rows.sum(1) > 0.5)
    if both.size < 2:
        return TooLittle(int(both.size), 2, "items that judge and people scored")
    rows = rows[both]
    w = _weights(weights, judged.size)[both]
    names = None if clusters is None else [clusters[i] for i in both.tolist()]
    figures = _bootstrapped(rows * w[:, None], k, levels, is_ordered, names, resamples, seed, level)
    same = rows.reshape(-1, k, k).trace(axis1=1, axis2=2)
    figures["raw_agreement"] = _wilson(figures["raw_agreement"], same, w, names, level)
    table = (rows * w[:, None]).sum(0).reshape(k, k)
    worth = values_of(levels)
    leaning = None
    if is_ordered and not any(isinstance(value, str) for value in levels):
        seen = people >= 0
        mean = np.where(seen, worth[people], 0.0).sum(0) / np.maximum(seen.sum(0), 1)
        leaning = bias(mean[both], worth[judged[both]], w, names, level)
    return Agreement(
        int(both.size),
        len(set(names)) if names is not None else int(both.size),
        tuple(levels),
        Confusion(tuple(levels), tuple(map(tuple, table.tolist())), int(both.size)),
        tuple((table.sum(1) / table.sum()).tolist()),
        figures,
        leaning,
        _double_share(people),
        seed,
        resamples,
    )


def people_report(
    ratings: Sequence[Scores],
    levels: Sequence[Level],
    *,
    is_ordered: bool = True,
    clusters: Sequence[Hashable] | None = None,
    weights: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Agreement | TooLittle:
    """People against each other: `ratings` has one row a reviewer, gaps as None; over items with two scores or more.

    Kappas, ranks and raw agreement are of the table of all pairs of reviewers, each item counting once; alpha, Gwet's
    AC and Fleiss' kappa (`fleiss`) are those for several raters with gaps. The rest as in `judge_report`.
    """
    people, k = _people(ratings, levels), len(levels)
    units = Units.of(ratings, levels)
    paired = np.flatnonzero(units.is_paired)
    if paired.size < 2:
        return TooLittle(int(paired.size), 2, "items that two people scored")
    rows = _among(people, k)[paired]
    w = _weights(weights, people.shape[1])
    names = None if clusters is None else [clusters[i] for i in paired.tolist()]
    figures = _bootstrapped(rows * w[paired, None], k, levels, is_ordered, names, resamples, seed, level)
    same = rows.reshape(-1, k, k).trace(axis1=1, axis2=2)
    figures["raw_agreement"] = _wilson(figures["raw_agreement"], same, w[paired], names, level)
    rated = np.flatnonzero(units.is_rated)
    all_names = None if clusters is None else [clusters[i] for i in rated.tolist()]
    figures.update(_several(units, rated, w, levels, is_ordered, all_names, resamples, seed, level))
    table = (rows * w[paired, None]).sum(0).reshape(k, k)
    shares = (units.shares() * w[:, None]).sum(0)
    return Agreement(
        int(paired.size),
        len(set(names)) if names is not None else int(paired.size),
        tuple(levels),
        Confusion(tuple(levels), tuple(map(tuple, table.tolist())), int(paired.size)),
        tuple((shares / shares.sum()).tolist()),
        figures,
        None,
        _double_share(people),
        seed,
        resamples,
    )


@dataclass(frozen=True, slots=True)
class BesidePeople:
    """Agreement among people and of judge with people on the same items; `below` is the first minus the second."""

    people: Estimate | None
    judge: Estimate | None
    below: Estimate | None


def beside_people(
    ratings: Sequence[Scores],
    judge: Scores,
    levels: Sequence[Level],
    metric: str = "weighted_kappa",
    *,
    is_ordered: bool = True,
    clusters: Sequence[Hashable] | None = None,
    weights: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> BesidePeople | TooLittle:
    """How far the judge is below people, by a paired bootstrap of the items that two people and the judge scored.

    `metric` is a name of ORDERED or UNORDERED; all are taken from tables of pairs, so both sides are alike.
    """
    names_known = ORDERED if is_ordered else UNORDERED
    if metric not in names_known:
        raise ValueError(f"{metric} is none of {', '.join(names_known)}")
    people, judged, k = _people(ratings, levels), coded(judge, levels), len(levels)
    at = np.flatnonzero(((people >= 0).sum(0) >= 2) & (judged >= 0))
    if at.size < 2:
        return TooLittle(int(at.size), 2, "items that two people and the judge scored")
    w = _weights(weights, judged.size)[at, None]
    rows = np.concatenate((_among(people[:, at], k) * w, _against(people[:, at], judged[at], k) * w), axis=1)

    def statistics(sums: Floats) -> dict[str, Floats]:
        among = _table_figures(sums[:, : k * k].reshape(-1, k, k), levels, is_ordered, (metric,))[metric]
        against = _table_figures(sums[:, k * k :].reshape(-1, k, k), levels, is_ordered, (metric,))[metric]
        return {"people": among, "judge": against, "below": among - against}

    chosen = None if clusters is None else [clusters[i] for i in at.tolist()]
    found = bootstrap(rows, statistics, clusters=chosen, resamples=resamples, seed=seed, level=level)
    return BesidePeople(found["people"], found["judge"], found["below"])


@dataclass(frozen=True, slots=True)
class Constant:
    """The best judge that always says the same: `level`, the people's commonest, and what it would reach."""

    level: Level
    n: int
    raw_agreement: Estimate
    figures: Mapping[str, float | None]


def constant_predictor(
    person: Scores, levels: Sequence[Level], *, is_ordered: bool = True, level: float = LEVEL
) -> Constant | TooLittle:
    """What the constant judge reaches against one row of people's scores: a real one has to be well over it."""
    codes = coded(person, levels)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    n = int(counts.sum())
    if n < 1:
        return TooLittle(0, 1, "items that people scored")
    best = int(counts.argmax())
    table = np.zeros((1, len(levels), len(levels)))
    table[0, :, best] = counts
    names = ORDERED if is_ordered else UNORDERED
    figures = {
        name: float(values[0]) if np.isfinite(values[0]) else None
        for name, values in _table_figures(table, levels, is_ordered, names).items()
    }
    share = float(counts[best]) / n
    low, high = wilson_limits(share, n, level)
    raw = Estimate(share, low, high, level, n, float(n), "raw agreement, Wilson interval")
    return Constant(levels[best], n, raw, figures)


def _people(person: Scores | Sequence[Scores], levels: Sequence[Level]) -> Codes:
    """Codes (raters, items) of one row of scores or several."""
    several = len(person) > 0 and isinstance(person[0], (list, tuple, np.ndarray))
    rows = [coded(row, levels) for row in person] if several else [coded(person, levels)]  # type: ignore[arg-type]
    if len({row.size for row in rows}) != 1:
        raise ValueError("every reviewer needs the same items; gaps are None")
    return np.stack(rows)


def _against(people: Codes, judged: Codes, k: int) -> Floats:
    """Cells of the table person x judge by item, (items, k²): each item's reviewers share one count."""
    if people.shape[1] != judged.size:
        raise ValueError(f"{people.shape[1]} items of people and {judged.size} of the judge")
    rows = np.zeros((judged.size, k * k))
    raters = (people >= 0).sum(0)
    for person in people:
        at = np.flatnonzero((person >= 0) & (judged >= 0))
        rows[at, person[at] * k + judged[at]] += 1 / raters[at]
    return rows


def _among(people: Codes, k: int) -> Floats:
    """Cells of the table of pairs of people by item, (items, k²): each item's pairs share one count.

    The earlier row is the table's row, so that of two people it is their ordinary table.
    """
    rows = np.zeros((people.shape[1], k * k))
    raters = (people >= 0).sum(0)
    pairs = np.maximum(raters * (raters - 1) / 2, 1)
    for i in range(people.shape[0]):
        for j in range(i + 1, people.shape[0]):
            at = np.flatnonzero((people[i] >= 0) & (people[j] >= 0))
            rows[at, people[i, at] * k + people[j, at]] += 1 / pairs[at]
    return rows


def _weights(weights: ArrayLike | None, n: int) -> Floats:
    if weights is None:
        return np.ones(n)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or not np.all(np.isfinite(w)) or not np.all(w > 0):
        raise ValueError(f"{n} weights over 0 are needed")
    return w


def _double_share(people: Codes) -> float | None:
    if people.shape[0] < 2:
        return None
    raters = (people >= 0).sum(0)
    return float((raters >= 2).sum() / max(1, (raters >= 1).sum()))


def _bootstrapped(
    rows: Floats,
    k: int,
    levels: Sequence[Level],
    is_ordered: bool,
    clusters: Sequence[Hashable] | None,
    resamples: int,
    seed: int,
    level: float,
) -> dict[str, Estimate | None]:
    names = ORDERED if is_ordered else UNORDERED
    # Rows weigh as items do on average.
    whole, weight = rows.sum(0).reshape(k, k), float(rows.sum()) / rows.shape[0]
    return bootstrap(
        rows,
        lambda sums: _table_figures(sums.reshape(-1, k, k), levels, is_ordered, names),
        clusters=clusters,
        resamples=resamples,
        seed=seed,
        level=level,
        chance=[
            (tables.at_chance(whole).ravel() * weight, [name for name in names if "gwet" not in name]),
            (tables.at_chance(whole, even=True).ravel() * weight, [name for name in names if "gwet" in name]),
        ],
    )


def _table_figures(cells: Floats, levels: Sequence[Level], is_ordered: bool, names: Sequence[str]) -> dict[str, Floats]:
    """The named figures of tables (b, k, k)."""
    k = len(levels)
    identity, quadratic = agreement_weights(k, "identity"), agreement_weights(k, "quadratic")
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    found: dict[str, Floats] = {}
    for name in names:
        if name == "raw_agreement":
            found[name] = tables.observed(cells, identity)
        elif name == "within_one":
            found[name] = tables.observed(cells, (apart <= 1).astype(np.float64))
        elif name == "weighted_kappa":
            found[name] = tables.kappa(cells, quadratic)
        elif name == "cohen_kappa":
            found[name] = tables.kappa(cells, identity)
        elif name == "krippendorff":
            found[name] = tables.alpha_table(cells, values_of(levels), "ordinal" if is_ordered else "nominal")
        elif name == "gwet_ac1":
            found[name] = tables.gwet_table(cells, identity)
        elif name == "gwet_ac2":
            found[name] = tables.gwet_table(cells, quadratic)
        elif name == "spearman":
            found[name] = tables.spearman_table(cells)
        else:
            found[name] = tables.kendall_table(cells)
    return found


def _several(
    units: Units,
    rated: np.ndarray,
    w: Floats,
    levels: Sequence[Level],
    is_ordered: bool,
    clusters: Sequence[Hashable] | None,
    resamples: int,
    seed: int,
    level: float,
) -> dict[str, Estimate | None]:
    """Alpha, Gwet's AC and Fleiss' kappa of several raters, from the same kind of summed rows."""
    k = len(levels)
    identity, quadratic = agreement_weights(k, "identity"), agreement_weights(k, "quadratic")
    parts = (
        units.coincidences().reshape(-1, k * k),
        units.shares(),
        units.agreed(identity)[:, None],
        units.agreed(quadratic)[:, None],
        units.is_paired[:, None].astype(np.float64),
        units.is_rated[:, None].astype(np.float64),
    )
    rows = (np.concatenate(parts, axis=1) * w[:, None])[rated]
    measure: tables.Measure = "ordinal" if is_ordered else "nominal"

    def statistics(sums: Floats) -> dict[str, Floats]:
        coincidences = sums[:, : k * k].reshape(-1, k, k)
        paired, items = sums[:, -2], sums[:, -1]
        shares = sums[:, k * k : k * k + k] / np.where(items > 0, items, 1)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            same, near = sums[:, -4] / paired, sums[:, -3] / paired
        figures = {
            "krippendorff": tables.alpha(coincidences, values_of(levels), measure),
            "gwet_ac1": tables.gwet_units(same, shares, identity),
            "fleiss": tables.fleiss_units(same, shares, identity),
        }
        if is_ordered:
            figures["gwet_ac2"] = tables.gwet_units(near, shares, quadratic)
        return figures

    # An item that two people scored by chance: its pairs are pairs of the shares.
    shares = rows[:, k * k : k * k + k].sum(0)
    chance = []
    for names, margins in (
        (("krippendorff", "fleiss"), shares / max(float(shares.sum()), 1e-300)),
        (("gwet_ac1", "gwet_ac2"), np.full(k, 1 / k)),
    ):
        pairs = np.outer(margins, margins)
        agreed = [float((pairs * weights).sum()) for weights in (identity, quadratic)]
        row = np.concatenate(((2 * pairs).ravel(), margins, agreed, (1.0, 1.0))) * float(w[rated].mean())
        chance.append((row, names))
    return bootstrap(rows, statistics, clusters=clusters, resamples=resamples, seed=seed, level=level, chance=chance)


def _wilson(
    resampled: Estimate | None, same: Floats, w: Floats, clusters: Sequence[Hashable] | None, level: float
) -> Estimate | None:
    """Raw agreement with Wilson's interval, on the effective n of weights and clusters."""
    if resampled is None:
        return None
    share = resampled.value
    n_eff = float(w.sum() ** 2 / (w * w).sum())
    if clusters is not None:
        between = mean_of(same, w, clusters, level)
        if isinstance(between, TooLittle) or not between.error:
            return resampled
        n_eff = min(float(same.size), share * (1 - share) / between.error**2)
        if n_eff <= 0:
            return resampled
    low, high = wilson_limits(share, n_eff, level)
    return replace(resampled, low=low, high=high, n_eff=n_eff, method="raw agreement, Wilson interval")
