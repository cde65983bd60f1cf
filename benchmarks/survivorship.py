"""The verdict on votes in simulated products whose truth is known: how often which colour, and whether intervals hold.

    python -m benchmarks.survivorship --seeds 1000
    python -m benchmarks.survivorship --edges --seeds 1000
    python -m benchmarks.survivorship --corrected --seeds 400

Each product is played once a seed with 1,000 closed sessions and once with 3,000, and judged without an anchor, with 30
and 100 plain reviews of randomly drawn sessions, and with a judge's scores of all 3,000 corrected by 150 reviews.
`--edges`: how often intervals hold the truth where votes or judges hardly ever err, beside the plain ones.
`--corrected`: the same of the quality page's corrected figures, with few and many reviews of shares and of points.
"""

from __future__ import annotations

import argparse
import math
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks._corrected import measure_corrected
from benchmarks._edges import measure_edges
from benchmarks._products import BY_NAME, PRODUCTS, READINGS, Product, play, read
from benchmarks._report import Report
from evals.stats.results import Estimate
from evals.stats.survivorship import (
    Anchor,
    Bounds,
    Calibrated,
    Weighted,
    calibrated,
    ipw,
    manski,
    verdict,
    votes_rate,
)

COLOURS = ("red", "amber", "green", "grey")
# An interval of 95 % holds the truth in 93 % at the least; what chance takes away once in 10,000 times is allowed for.
COVERED = 0.93
_Z = 3.719


@dataclass(slots=True)
class Tally:
    """What happened to one product: colours and rules by reading; by estimator and sessions, how often it was told,
    held the truth, and its mean half-width."""

    runs: int = 0
    colours: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    rules: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    told: Counter[tuple[str, int]] = field(default_factory=Counter)
    held: Counter[tuple[str, int]] = field(default_factory=Counter)
    width: dict[tuple[str, int], float] = field(default_factory=lambda: defaultdict(float))

    def share(self, reading: str, *colours: str) -> float:
        """In how many of the runs the verdict by this reading was one of these colours."""
        return sum(self.colours[reading][colour] for colour in colours) / self.runs

    def coverage(self, estimator: str, n: int) -> float:
        """How often the interval held the truth, where it was told; NaN where it never was."""
        told = self.told[estimator, n]
        return self.held[estimator, n] / told if told else math.nan

    def note(self, estimator: str, n: int, low: float | None, high: float | None, truth: float) -> None:
        """One interval."""
        if low is None or high is None:
            return
        self.told[estimator, n] += 1
        self.held[estimator, n] += low <= truth <= high
        self.width[estimator, n] += (high - low) / 2


def simulate(product: Product, seeds: Iterable[int], resamples: int = 1_000) -> Tally:
    """The product, once a seed for each number of sessions that its readings take."""
    tally = Tally()
    for seed in seeds:
        tally.runs += 1
        for n in sorted({reading.sessions for reading in READINGS}):
            random = np.random.default_rng([seed, n, zlib.crc32(product.name.encode())])
            _once(product, n, random, seed, resamples, tally)
    return tally


def _once(product: Product, n: int, random: np.random.Generator, seed: int, resamples: int, tally: Tally) -> None:
    sessions = play(product, n, random)
    counts = sessions.counts
    rate = calibrated(counts, seed, resamples)
    weighed = ipw(counts)
    if isinstance(rate, Calibrated):
        tally.note("calibrated", n, rate.estimate.low, rate.estimate.high, product.truth)
    if isinstance(weighed, Weighted):
        tally.note("weighted", n, weighed.estimate.low, weighed.estimate.high, product.truth)
    bounds, votes = manski(counts), votes_rate(counts)
    if isinstance(bounds, Bounds):
        tally.note("no assumptions", n, bounds.limit_low, bounds.limit_high, product.truth)
    if isinstance(votes, Estimate):
        tally.note("votes", n, votes.low, votes.high, product.truth)
    for reading in READINGS:
        if reading.sessions != n:
            continue
        anchor = read(sessions, reading, random) if reading.reviews else None
        found = verdict(counts, anchor, seed=seed, calibrated=rate)
        tally.colours[reading.name][found.colour] += 1
        tally.rules[reading.name][found.rule] += 1
        if isinstance(anchor, Anchor):
            tally.note(f"anchor, {reading.name}", n, anchor.low, anchor.high, product.truth)


def verdict_table(tallies: dict[str, Tally]) -> list[str]:
    """A line for each product and reading: the shares of the verdicts, and of the rule that decided most often."""
    lines = [f"{'product':28s} {'anchor':28s} " + " ".join(f"{colour:>6s}" for colour in COLOURS) + "  rule"]
    for name, tally in tallies.items():
        for reading in READINGS:
            shares = " ".join(f"{100 * tally.share(reading.name, colour):5.1f}%" for colour in COLOURS)
            rule, times = tally.rules[reading.name].most_common(1)[0]
            lines.append(f"{name:28s} {reading.name:28s} {shares}  {rule} {100 * times / tally.runs:.0f}%")
    return lines


def coverage_table(tallies: dict[str, Tally]) -> list[str]:
    """A line for each product and estimator: how often it was told, held the truth, and its mean half-width."""
    lines = [f"{'product':28s} {'estimator':38s} {'sessions':>8s} {'told':>6s} {'holds':>6s} {'half-width':>10s}"]
    for name, tally in tallies.items():
        for estimator, n in sorted(tally.told):
            told, holds = tally.told[estimator, n], tally.coverage(estimator, n)
            lines.append(
                f"{name:28s} {estimator:38s} {n:8,d} {100 * told / tally.runs:5.0f}% {100 * holds:5.1f}% "
                f"{tally.width[estimator, n] / told:10.3f}"
            )
    return lines


def lowest(coverage: float, runs: int) -> float:
    """What a promised coverage may fall to in so many runs by chance, once in 10,000 times."""
    return coverage - _Z * math.sqrt(coverage * (1 - coverage) / max(1, runs))


def measure(report: Report, tallies: dict[str, Tally]) -> None:
    """The figures that have a bar."""
    for product in PRODUCTS:
        tally = tallies.get(product.name)
        if tally is None:
            continue
        without = READINGS[0].name
        report.add(f"{product.name}: green or red, {without}", 100 * tally.share(without, "green", "red"), "%", 0)
        for reading in READINGS[1:]:
            if product.is_healthy:
                red = 100 * tally.share(reading.name, "red")
                report.add(f"{product.name}: red, {reading.name}", red, "%", 2)
    _failures(report, tallies)
    _intervals(report, tallies)


def _failures(report: Report, tallies: dict[str, Tally]) -> None:
    none, few, hundred, judged = (reading.name for reading in READINGS)
    wanted = (
        ("silent failure", none, ("red", "amber"), 90),
        ("silent failure", few, ("red", "amber"), 90),
        ("silent failure", few, ("red",), 45),
        ("silent failure", hundred, ("red", "amber"), 90),
        ("silent failure", judged, ("red",), 95),
        ("silent failure, votes alike", few, ("red",), 45),
        ("silent failure, votes alike", judged, ("red",), 95),
        ("thumb down lost", few, ("red",), 95),
        ("thumb down lost", judged, ("red",), 95),
        ("selective beyond behaviour", judged, ("red",), 95),
        ("no votes", none, ("grey",), 100),
        ("no votes", judged, ("grey",), 100),
    )
    for name, reading, colours, bar in wanted:
        if name in tallies:
            share = 100 * tallies[name].share(reading, *colours)
            report.add(f"{name}: {' or '.join(colours)}, {reading}", share, "%", bar, is_floor=True)


def _intervals(report: Report, tallies: dict[str, Tally]) -> None:
    for name, tally in tallies.items():
        for estimator, n in sorted(tally.told):
            is_known = estimator in ("calibrated", "weighted") and BY_NAME[name].is_by_behaviour
            is_sure = estimator.startswith("anchor") or estimator == "no assumptions"
            if (is_known or is_sure) and tally.told[estimator, n] >= 30:
                bar = 100 * lowest(COVERED, tally.told[estimator, n])
                share = 100 * tally.coverage(estimator, n)
                report.add(f"{name}: {estimator}, {n:,}", share, "%", bar, is_floor=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="how often each product is played")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--product", action="append", choices=sorted(BY_NAME), help="only this one; may be repeated")
    parser.add_argument("--edges", action="store_true", help="only the intervals of extreme cases")
    parser.add_argument("--corrected", action="store_true", help="only the corrected figures of quality")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    report = Report("survivorship")
    if args.edges:
        measure_edges(report, range(args.first, args.first + args.seeds))
        return report.finish(args.json)
    if args.corrected:
        runs = range(args.first, args.first + args.seeds)
        measure_corrected(report, runs, 100 * lowest(COVERED, len(runs)))
        return report.finish(args.json)
    chosen = [product for product in PRODUCTS if not args.product or product.name in args.product]
    tallies = {product.name: simulate(product, range(args.first, args.first + args.seeds)) for product in chosen}
    for product in chosen:
        print(
            f"{product.name:28s} true {product.truth:.3f}, votes {product.expected_votes:.3f}, calibrated "
            f"{product.expected_calibrated:.3f}, coverage {product.expected_coverage:.3f}"
        )
    print("", *verdict_table(tallies), "", *coverage_table(tallies), "", sep="\n")
    measure(report, tallies)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
