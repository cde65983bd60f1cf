"""Two judge versions on the same labelled answers: agreement of each, and the difference with a paired interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.calibrating.figures import NOMINAL, ORDERED, measure
from evals.read.pairs import PairSet
from evals.stats.agreement import mean_of, values_of
from evals.stats.bootstrap import Statistics, bootstrap
from evals.stats.results import Estimate, TooLittle

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of both versions, and the second minus the first on the same answers; None where undefined."""

    name: str
    first: Estimate | None
    second: Estimate | None
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class Compared:
    """Both versions beside people. `moved`: mean of second minus first score, in points of the scale."""

    n: int
    reviewers: int
    lines: tuple[Line, ...]
    moved: Estimate | TooLittle | None
    same: int
    bad: int
    caught: tuple[int, int]
    seed: int


def compared(
    first: PairSet, second: PairSet, bad_at_most: tuple[float | None, float | None], *, seed: int
) -> Compared | None:
    """The comparison over the answers that people labelled and both versions scored; None where there are none."""
    theirs = {(pair.trace_id, pair.span_id): pair for pair in second.judged}
    both = [
        (pair, theirs[(pair.trace_id, pair.span_id)])
        for pair in first.judged
        if (pair.trace_id, pair.span_id) in theirs
    ]
    if not both:
        return None
    scale = first.criterion.scale
    k = len(scale.names)
    values = values_of(scale.levels) if scale.has_numbers else np.arange(k, dtype=np.float64)
    names = ORDERED if scale.has_numbers else NOMINAL
    person = np.array([one.person for one, _ in both])
    before = np.array([one.judge for one, _ in both])
    after = np.array([two.judge for _, two in both])
    rows = np.zeros((len(both), 2 * k * k))
    at = np.arange(len(both))
    rows[at, person * k + before] = 1
    rows[at, k * k + person * k + after] = 1

    def statistics(sums: Floats) -> Statistics:
        parts = sums.reshape(sums.shape[0], 2, k, k)
        told: dict[str, Floats] = {}
        for name in names:
            told[f"1 {name}"], told[f"2 {name}"] = (
                measure(name, parts[:, 0], values, scale.has_numbers),
                measure(name, parts[:, 1], values, scale.has_numbers),
            )
            told[f"d {name}"] = told[f"2 {name}"] - told[f"1 {name}"]
        return told

    drawn = bootstrap(rows, statistics, seed=seed)
    cuts = [_cut(scale.levels, limit) for limit in bad_at_most]
    bad = person <= cuts[0]
    return Compared(
        n=len(both),
        reviewers=len({rating.reviewer for one, _ in both for rating in one.ratings}),
        lines=tuple(Line(name, drawn[f"1 {name}"], drawn[f"2 {name}"], drawn[f"d {name}"]) for name in names),
        moved=mean_of(values[after] - values[before], np.ones(len(both)), step=1.0) if scale.has_numbers else None,
        same=int((before == after).sum()),
        bad=int(bad.sum()),
        caught=(int((bad & (before <= cuts[0])).sum()), int((bad & (after <= cuts[1])).sum())),
        seed=seed,
    )


def _cut(levels: tuple[int, ...], at_most: float | None) -> int:
    """The highest bad level, counted from 0; -1 where none is."""
    return -1 if at_most is None else sum(1 for level in levels if level <= at_most) - 1
