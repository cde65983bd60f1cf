"""How often the quality page's corrected figures hold the truth, of shares and of points, beside plain PPI++."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks._report import Report
from evals.stats.ppi import ppi_nested
from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import Sums

Floats = NDArray[np.float64]

TRUTHS = (0.5, 0.8, 0.95)
RIGHT = (0.7, 0.9, 0.97)
REVIEWS = (30, 60, 150)
JUDGED = (300, 3_000)
# How many times as often as others an answer is reviewed that the judge scored below its mean.
DRAWS = {"equal": 1.0, "error-driven": 5.0}
# The highest score, the lowest being 0 of shares and 1 of points; and whether the judge errs in one direction only.
KINDS = {
    "yes or no": (1, False),
    "1 to 5": (5, False),
    "1 to 10": (10, False),
    "1 to 5, judge too kind": (5, True),
}


@dataclass(frozen=True, slots=True)
class Case:
    """`truth`: the share of good answers, of points the mean as a share of the scale; `right`: how often the judge is.

    `draw`: how reviews were drawn, of DRAWS.
    """

    kind: str
    truth: float
    right: float
    reviews: int
    judged: int
    draw: str

    @property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest score."""
        most = KINDS[self.kind][0]
        return (0.0, 1.0) if most == 1 else (1.0, float(most))

    @property
    def mean(self) -> float:
        """The true mean."""
        low, high = self.scale
        return low + self.truth * (high - low)


@dataclass(slots=True)
class Found:
    """Shares of runs whose interval held the truth, mean widths, and the share of reviews in which the judge erred."""

    held: float = 0.0
    held_plain: float = 0.0
    width: float = 0.0
    width_plain: float = 0.0
    erred: float = 0.0

    @property
    def ratio(self) -> float:
        """How many times as wide as the plain interval."""
        return self.width / self.width_plain


@dataclass(slots=True)
class _Row:
    cases: list[tuple[Case, Found]] = field(default_factory=list)


def play_case(case: Case, seeds: range) -> Found:
    """The case once a seed."""
    found, runs = Found(), len(seeds)
    for seed in seeds:
        random = np.random.default_rng([seed, case.reviews, case.judged, int(1e3 * case.truth), int(1e3 * case.right)])
        people, judge = _scores(case, random)
        chances = _chances(judge, case)
        at = _drawn(chances, random)
        sums = Sums.of(judge, 1.0)
        for smoothed in (True, False):
            told = ppi_nested(people[at], judge[at], 1.0, chances[at], sums, scale=case.scale, smoothed=smoothed)
            if isinstance(told, TooLittle):
                raise TypeError(f"{case} leaves too few reviews")
            held, width = _reading(told.estimate, case.mean)
            if smoothed:
                found.held, found.width = found.held + held / runs, found.width + width / runs
            else:
                found.held_plain, found.width_plain = found.held_plain + held / runs, found.width_plain + width / runs
        found.erred += float((people[at] != judge[at]).mean()) / runs
    return found


def _reading(estimate: Estimate, truth: float) -> tuple[bool, float]:
    if estimate.low is None or estimate.high is None:
        return False, 0.0
    return estimate.low <= truth <= estimate.high, estimate.high - estimate.low


def _scores(case: Case, random: np.random.Generator) -> tuple[Floats, Floats]:
    """People's scores and the judge's, who else is a level off or, if too kind, half the time says the highest."""
    most, is_kind = KINDS[case.kind]
    n = case.judged
    is_wrong = random.random(n) >= case.right
    if most == 1:
        good = (random.random(n) < case.truth).astype(np.float64)
        return good, np.where(is_wrong, 1 - good, good)
    people = np.asarray(1 + random.binomial(most - 1, case.truth, n), dtype=np.float64)
    said: Floats
    if is_kind:
        said = np.where(random.random(n) < 0.5, most, np.minimum(most, people + 1))
    else:
        said = people + random.choice((-1.0, 1.0), n)
        said = np.where(said < 1, 2, np.where(said > most, most - 1, said))
    return people, np.where(is_wrong, said, people)


def _chances(judge: Floats, case: Case) -> Floats:
    """With what probability each is reviewed, `case.reviews` in all."""
    heavy = np.where(judge < judge.mean(), DRAWS[case.draw], 1.0)
    chances = np.zeros(judge.size)
    is_open = np.ones(judge.size, dtype=bool)
    while True:
        left = case.reviews - int((~is_open).sum())
        chances[is_open] = heavy[is_open] * left / heavy[is_open].sum()
        if chances.max() <= 1:
            return chances
        is_open &= chances < 1
        chances[~is_open] = 1.0


def _drawn(chances: Floats, random: np.random.Generator) -> NDArray[np.int64]:
    """As many as the chances add up to, in steps along a random order (Madow 1949)."""
    order = random.permutation(chances.size)
    ends = np.cumsum(chances[order])
    at = np.searchsorted(ends, random.random() + np.arange(round(float(ends[-1]))))
    return order[np.minimum(at, chances.size - 1)]


def measure_corrected(report: Report, seeds: range, bar: float) -> None:
    """Every case against `bar` in percent (the judge that is too kind has none); then a line for several of them."""
    rows: dict[tuple[str, int, str], _Row] = defaultdict(_Row)
    for kind, reviews, draw, truth, right, judged in product(KINDS, REVIEWS, DRAWS, TRUTHS, RIGHT, JUDGED):
        case = Case(kind, truth, right, reviews, judged, draw)
        found = play_case(case, seeds)
        rows[kind, reviews, draw].cases.append((case, found))
        name = f"{kind}, true {truth:.0%}, judge right {right:.0%}, {reviews} of {judged:,}, {draw}"
        note = f"plain PPI++ {100 * found.held_plain:.1f}%, {found.ratio:.2f} times as wide, erred {found.erred:.0%}"
        # A too kind judge leaves errors of up to four levels where least is reviewed: shown, and no promise.
        least = None if KINDS[kind][1] else bar
        report.add(name, 100 * found.held, "%", least, is_floor=True, note=note)
    print("", *table(rows), "", sep="\n")


def table(rows: dict[tuple[str, int, str], _Row]) -> list[str]:
    """Least and mean coverage of both, and how many times as wide, also where the judge errs in a tenth or more."""
    lines = ["| scores | reviews | draw | plain: least, mean | smoothed: least, mean | width, erred in 10 % or more |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for (kind, reviews, draw), row in rows.items():
        held = [100 * found.held for _, found in row.cases]
        plain = [100 * found.held_plain for _, found in row.cases]
        often = [found.ratio for case, found in row.cases if case.right <= 0.9]
        lines.append(
            f"| {kind} | {reviews} | {draw} | {min(plain):.0f}, {np.mean(plain):.0f} | {min(held):.0f}, "
            f"{np.mean(held):.0f} | {np.mean([found.ratio for _, found in row.cases]):.2f}, {np.mean(often):.2f} |"
        )
    return lines
