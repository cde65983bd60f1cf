"""Where plain intervals fail: few votes that all agree, and judges that erred in none of a few reviews."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks._report import Report
from evals.stats.ppi import ppi_nested
from evals.stats.results import TooLittle
from evals.stats.survivorship import Anchor, Calibrated, Cell, Counts, anchor_from_reviews, calibrated
from evals.stats.weighted import Sums
from traces.behaviour.types import Stratum

Floats = NDArray[np.float64]

# Wilson's own interval of 30 at 95 % holds the truth in 92 of 100.
LEAST = 90
# Weighing strata leaves less where 99 of 100 votes are up; the plain interval holds the truth in none there.
LEAST_OF_VOTES = 88
SHARES = {Stratum.ABANDONED: 0.5, Stratum.COMPLETED: 0.3, Stratum.CARRIED_ON: 0.2}
# How often the judge says "satisfied" of satisfied sessions, and of others.
JUDGES = {"usual": (0.92, 0.30), "good": (0.97, 0.05), "perfect": (1.0, 0.0), "useless": (0.6, 0.6)}


def measure_edges(report: Report, seeds: range) -> None:
    """How often each interval holds the truth, beside the plain one that it replaces."""
    for coverage in (0.03, 0.10):
        for rate in (0.7, 0.9, 0.95, 0.99):
            _votes(report, coverage, rate, seeds)
    for truth in (0.60, 0.86, 0.95):
        for name, judge in JUDGES.items():
            for reviews, n in ((30, 1_000), (60, 1_000), (150, 3_000)):
                _judged(report, truth, name, judge, reviews, n, seeds)
        for pi_judge, pi_low, pi_high in ((1.0, 0.2, 0.02), (0.3, 0.5, 0.05), (0.3, 1.0, 0.1)):
            _unequal(report, truth, pi_judge, pi_low, pi_high, seeds)


def _votes(report: Report, coverage: float, rate: float, seeds: range) -> None:
    told = held = held_plain = 0
    for seed in seeds:
        random = np.random.default_rng([seed, int(1000 * rate), int(1000 * coverage)])
        cells = {}
        for stratum, share in SHARES.items():
            n = int(1_000 * share)
            votes = int(random.binomial(n, coverage))
            up = int(random.binomial(votes, rate))
            cells[stratum] = Cell(up, votes - up, n - votes)
        counts = Counts(cells)
        found = calibrated(counts, seed, 500)
        if isinstance(found, Calibrated):
            told += 1
            held += _holds((found.estimate.low, found.estimate.high), rate)
            held_plain += _holds(_resampled(counts, seed), rate)
    name = f"calibrated, {rate:.0%} of votes up, coverage {coverage:.0%}"
    note = f"bootstrap alone {100 * held_plain / max(told, 1):.1f}%, told in {told}"
    report.add(name, 100 * held / max(told, 1), "%", LEAST_OF_VOTES, is_floor=True, note=note)


def _resampled(counts: Counts, seed: int) -> tuple[float, float]:
    """The percentile limits of resampled sessions and nothing else."""
    cells = counts.array()
    times = np.random.default_rng(seed).multinomial(counts.n, cells.ravel() / counts.n, size=500)
    drawn = times.reshape(500, *cells.shape)
    votes = drawn[..., 0] + drawn[..., 1]
    rates = (drawn.sum(-1) * (drawn[..., 0] + 0.5) / (votes + 1)).sum(-1) / counts.n
    low, high = np.quantile(rates, (0.025, 0.975))
    return float(low), float(high)


def _judged(
    report: Report, truth: float, name: str, judge: tuple[float, float], reviews: int, n: int, seeds: range
) -> None:
    held = held_plain = 0
    width = alone = 0.0
    for seed in seeds:
        random = np.random.default_rng([seed, reviews, int(100 * truth), int(100 * judge[0])])
        happy = (random.random(n) < truth).astype(float)
        scores = (random.random(n) < np.where(happy == 1, *judge)).astype(float)
        human = np.full(n, np.nan)
        taken = random.choice(n, reviews, replace=False)
        human[taken] = happy[taken]
        found = anchor_from_reviews(scores, 1.0, human, reviews / n)
        unjudged = anchor_from_reviews(np.full(n, np.nan), 1.0, human, reviews / n)
        if isinstance(found, Anchor) and isinstance(unjudged, Anchor):
            held += _holds((found.low, found.high), truth)
            width, alone = width + found.half_width, alone + unjudged.half_width
        held_plain += _holds(_plain(happy[taken], scores[taken], np.full(reviews, reviews / n), scores), truth)
    runs = len(seeds)
    note = (
        f"plain PPI++ {100 * held_plain / runs:.1f}%, half-width {width / runs:.3f}, reviews alone {alone / runs:.3f}"
    )
    title = f"anchor, {name} judge, {reviews} reviews of {n:,}, true {truth:.0%}"
    report.add(title, 100 * held / runs, "%", LEAST, is_floor=True, note=note)


def _unequal(
    report: Report, truth: float, pi_judge: float, pi_low: float, pi_high: float, seeds: range, n: int = 3_000
) -> None:
    """Some sessions judged, and what the judge found bad reviewed more often than what it found good."""
    held = held_plain = told = 0
    width = 0.0
    for seed in seeds:
        random = np.random.default_rng([seed, int(100 * truth), int(100 * pi_judge), int(100 * pi_low)])
        happy = (random.random(n) < truth).astype(float)
        scores = (random.random(n) < np.where(happy == 1, *JUDGES["usual"])).astype(float)
        is_judged = random.random(n) < pi_judge
        happy, scores = happy[is_judged], scores[is_judged]
        pi_review = np.where(scores == 0, pi_low, pi_high)
        taken = random.random(scores.size) < pi_review
        found = anchor_from_reviews(scores, pi_judge, np.where(taken, happy, np.nan), pi_review)
        if isinstance(found, Anchor):
            told += 1
            held += _holds((found.low, found.high), truth)
            width += found.half_width
            held_plain += _holds(_plain(happy[taken], scores[taken], pi_review[taken], scores, pi_judge), truth)
    runs = max(1, told)
    title = f"anchor, {pi_judge:.0%} judged, {pi_low:.0%} and {pi_high:.0%} reviewed, true {truth:.0%}"
    note = f"plain PPI++ {100 * held_plain / runs:.1f}%, half-width {width / runs:.3f}, told in {told}"
    report.add(title, 100 * held / runs, "%", LEAST, is_floor=True, note=note)


def _plain(
    people: Floats, judge: Floats, pi_review: Floats, scores: Floats, pi_judge: float = 1.0
) -> tuple[float | None, float | None]:
    sums = Sums.of(scores, pi_judge)
    found = ppi_nested(people, judge, np.full(people.size, pi_judge), pi_review, sums, scale=(0.0, 1.0), smoothed=False)
    return (None, None) if isinstance(found, TooLittle) else (found.estimate.low, found.estimate.high)


def _holds(limits: tuple[float | None, float | None], truth: float) -> bool:
    low, high = limits
    return low is not None and high is not None and low <= truth <= high
