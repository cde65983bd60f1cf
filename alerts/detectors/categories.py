"""Categories of a window against those of the baseline: models, finish reasons, tools, languages, topics.

A window is tested as a whole by chi-square, small cells pooled, and becomes the normal score of its p. Windows differ
from each other by more than chance (the tools of the hour), so the spread *between* the baseline's windows sets the
limits of the scores. A category the baseline never had is an event of its own: how many rows of such may come by chance
follows from how many stood in the baseline but once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import phase1
from alerts.detectors._rules import Rules, chosen, frozen, reaching
from alerts.detectors.base import (
    Baseline,
    NotStable,
    Part,
    Ruled,
    Settings,
    State,
    TooLittle,
    Verdict,
    judged,
    of_kind,
    waiting,
)
from alerts.detectors.points import Categories
from alerts.stats.categories import CELLS_BESIDE, EXPECTED_MIN, POOL_MIN, REFERENCE_MIN
from alerts.stats.dependence import memory
from alerts.stats.gamma import chi_square_tail
from alerts.stats.normal import score, upper_quantile
from alerts.stats.resampling import Channel, Rule, chain_limits
from alerts.stats.tails import share_tails

KIND = "category"

Floats = NDArray[np.float64]
# None: a row whose category is unknown.
Name = str | None
USUAL = (Rule("EWMA 0.1", 0, 0.1, 0.6), Rule("one point", 0, 1.0, 0.4))
_WINDOWS_MIN = 20
_SMOOTH = 0.3
# Names of many rare categories (queries as topics, say) are kept as far as this; beyond it they are "other".
_NAMES_MOST = 2_000
_RULE_MOST = 60


@dataclass(frozen=True, slots=True)
class CategorySettings(Settings):
    """`new_share`: the part of the budget for categories never seen; `rows_min` rows make a baseline."""

    up_share: float = 1.0
    new_share: float = 0.2
    rows_min: int = REFERENCE_MIN


class CategoryMix:
    """The detector of categories. It looks one way: away from the baseline."""

    kind = KIND

    def learn(
        self, points: Sequence[Categories], settings: CategorySettings, seed: int
    ) -> Baseline | NotStable | TooLittle:
        """The frozen shares of every category with their cells, and the limits of the scores between windows.

        Windows are merged forward until two cells are expected five times; where that makes fewer than 20, all but the
        largest category are one rare kind. Each window is scored against all *others*. TooLittle under `rows_min` rows
        or 20 windows; NotStable for a change within. Source: Pearson 1900; pooling as Cochran 1954; unseen ones as Good
        1953.
        """
        windows = [Counter({name: k for name, k in point.counts if k}) for point in points]
        totals = sum(windows, Counter[Name]())
        rows = sum(totals.values())
        if rows < settings.rows_min:
            return TooLittle(rows, settings.rows_min, "rows")
        filled = [at for at, window in enumerate(windows) if window]
        if len(filled) < _WINDOWS_MIN:
            return TooLittle(len(filled), _WINDOWS_MIN, "windows that hold anything")
        typical = float(np.median([sum(windows[at].values()) for at in filled]))
        cells, least, has_others = _cells(totals, typical)
        merged, first = _merged(windows, filled, least)
        if len(merged) < _WINDOWS_MIN:
            # One category is nearly all there is: whatever else comes is rare.
            return _nearly_one(points, totals, cells[:1], settings, seed)
        table = np.array([_counts(window, cells, has_others) for window in merged], dtype=np.float64)
        df = table.shape[1] - 1

        def statistics(kept: NDArray[np.bool_]) -> Floats:
            whole = table[kept].sum(axis=0)
            others = whole - np.where(kept[:, None], table, 0.0)
            return np.array([_chi_square(rest, row) for rest, row in zip(others, table, strict=True)])

        def scores(kept: NDArray[np.bool_]) -> Floats:
            found = statistics(kept)
            effect = max(1.0, float(found[kept].mean()) / df)
            return np.array([_score(one / effect, df) for one in found])

        kept = phase1.screened(len(merged), scores)
        z = scores(kept)
        refusal = phase1.refused(z, seed, first)
        if refusal is None:
            # Two halves may differ and every window be as far from both: the largest cell tells.
            largest = table[:, int(table.sum(axis=0).argmax())] / np.array([sum(one.values()) for one in merged])
            refusal = phase1.refused(largest, seed + 1, first)
        if refusal is not None:
            return refusal
        effect = max(1.0, float(statistics(kept)[kept].mean()) / df)
        z = z[kept]
        rest = 1 - settings.new_share
        rules = chosen(settings.by, USUAL)
        limits = chain_limits(
            z[:, None],
            [Channel("mix", 0.5, memory(z))],
            rules,
            arl0=settings.arl0 * len(merged) / len(points) / rest,
            up_share=1.0,
            seed=seed,
            smooth=_SMOOTH,
        )
        low, high = reaching(rules, limits.low, limits.high, z[:, None], settings.arl0 / rest, 1.0)
        reference = Counter[Name]()
        for at in np.flatnonzero(kept).tolist():
            reference.update(merged[at])
        n = sum(reference.values())
        names = [name for name, _ in reference.most_common(_NAMES_MOST)]
        known = sum(reference[name] for name in names)
        once = sum(1 for count in reference.values() if count == 1)
        return Baseline(
            kind=KIND,
            parameters={
                "cells": cells,
                "has_others": has_others,
                "reference": table[kept].sum(axis=0).tolist(),
                "names": names,
                "unseen": (n - known + once + 1) / (n + 2),
                "effect": effect,
                "least": least,
                "centre": float(z.mean()),
                "sd": max(float(z.std(ddof=1)), 0.5),
                "alpha_new": settings.new_share / settings.arl0,
                "beyond": limits.beyond,
                **frozen(rules, low, high),
            },
            n=n,
            windows=len(points),
            method=f"chi-square of {table.shape[1]} cells",
            seed=seed,
            arl0=settings.arl0,
            excluded=tuple(first[at] for at in np.flatnonzero(~kept).tolist()),
        )

    def step(self, baseline: Baseline, state: State, point: Categories) -> tuple[State, Verdict]:
        """The state after one window: merged until its cells can be tested, but for new categories, told at once."""
        of_kind(baseline, KIND)
        rules = Rules(baseline)
        names, cells = _words(baseline, "names"), _words(baseline, "cells")
        window = Counter({name: k for name, k in point.counts if k})
        statistics = state.statistics or rules.start
        fresh = _new(baseline, window, names)
        if not rules.names:
            if not window:
                return waiting(state, (fresh,), ())
            return judged(state, Ruled((fresh,), (), fresh.statistic))
        counts = np.array(_counts(window, cells, bool(baseline.parameters.get("has_others"))), dtype=np.float64)
        if state.pending:
            counts += np.array(state.pending)
        if counts.sum() < baseline.number("least"):
            parts = (*rules.parts(statistics), fresh)
            pending = tuple(counts.tolist())
            if fresh.crossed is None:
                return waiting(State(state.points, statistics, pending, state.latched), parts, pending)
            return judged(state, Ruled(parts, statistics, None, pending))
        raw = _chi_square(np.array(baseline.numbers("reference")), counts) / baseline.number("effect")
        z = (_score(raw, len(counts) - 1) - baseline.number("centre")) / baseline.number("sd")
        moved = rules.moved(statistics, (z,))
        return judged(state, Ruled((*rules.parts(moved), fresh), moved, z))


def _nearly_one(
    points: Sequence[Categories], totals: Counter[Name], named: list[Name], settings: CategorySettings, seed: int
) -> Baseline:
    """The baseline of rows that are nearly all of one category: the whole budget for the exact tail of all others."""
    n = sum(totals.values())
    return Baseline(
        kind=KIND,
        parameters={
            "cells": named,
            "has_others": False,
            "names": named,
            "unseen": (n - totals[named[0]] + 1) / (n + 2),
            "alpha_new": 1 / settings.arl0,
            "beyond": False,
            **frozen((), np.empty(0), np.empty(0)),
        },
        n=n,
        windows=len(points),
        method="all but one category together",
        seed=seed,
        arl0=settings.arl0,
    )


def _words(baseline: Baseline, name: str) -> list[Name]:
    found = baseline.parameters.get(name)
    return [None if one is None else str(one) for one in found] if isinstance(found, (list, tuple)) else []


def _cells(totals: Counter[Name], typical: float) -> tuple[list[Name], int, bool]:
    """The categories with a cell of their own, how many rows a window needs for them, and whether all others have one.

    At least two cells are expected five times; more where a `typical` window has rows for them. Others that are
    expected less than once have no cell: what is rare is judged by its exact tail.
    """
    rows = sum(totals.values())
    ordered = sorted(totals, key=lambda name: (-totals[name], name or ""))
    share = totals[ordered[0]] / rows
    least = math.ceil(max(EXPECTED_MIN / share, EXPECTED_MIN / max(1 - share, 0.5 / rows)))
    n = max(typical, least)
    cells = [name for name in ordered if totals[name] / rows * n >= EXPECTED_MIN] or ordered[:1]
    while True:
        left = (rows - sum(totals[name] for name in cells)) / rows * n
        has_others = left >= (POOL_MIN if len(cells) >= CELLS_BESIDE else EXPECTED_MIN)
        if has_others or left < POOL_MIN or len(cells) == 1:
            return cells, least, has_others
        cells.pop()


def _merged(windows: list[Counter[Name]], filled: list[int], least: int) -> tuple[list[Counter[Name]], list[int]]:
    """Windows merged forward until each holds `least` rows, with where each began; a rest is left out."""
    found, first = [], []
    held: Counter[Name] = Counter()
    start = -1
    for at in filled:
        start = at if start < 0 else start
        held = held + windows[at]
        if sum(held.values()) >= least:
            found.append(held)
            first.append(start)
            held, start = Counter(), -1
    return found, first


def _counts(window: Counter[Name], cells: Sequence[Name], has_others: bool) -> list[int]:
    """Rows of each cell, those of all other categories last where they have one."""
    named = [window[name] for name in cells]
    return [*named, sum(window.values()) - sum(named)] if has_others else named


def _chi_square(reference: Floats, window: Floats) -> float:
    """Pearson's statistic of two rows of counts (k,); a cell of none on both sides adds 0."""
    table = np.stack([reference, window])
    whole = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / whole
    some = expected > 0
    return float(((table - expected)[some] ** 2 / expected[some]).sum())


def _score(statistic: float, df: int) -> float:
    tail = chi_square_tail(max(statistic, 0.0), df)
    return score(1 - tail, tail)


def _new(baseline: Baseline, window: Counter[Name], names: Sequence[Name]) -> Part:
    """The rule of categories never seen: their rows against what chance brings of such, on the scale of scores."""
    alpha = baseline.number("alpha_new")
    limit = upper_quantile(alpha) if alpha > 0 else None
    known = set(names)
    fresh = Counter({name: k for name, k in window.items() if name not in known})
    if limit is None or not fresh:
        return Part("new category", 0.0, None, limit)
    tails = share_tails(sum(fresh.values()), sum(window.values()), baseline.number("unseen"))
    chance = tails.at + tails.above
    z = max(0.0, score(1 - chance, chance))
    if chance < alpha:
        z = max(z, math.nextafter(limit, math.inf))
    ((name, _),) = fresh.most_common(1)
    return Part(f"new category {'unknown' if name is None else name}"[:_RULE_MOST], z, None, limit)
