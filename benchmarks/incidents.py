"""Scope and isolate: whether the planted part and the planted change are found, and nothing where there is none.

    python -m benchmarks.incidents                 # 100 runs of each, some minutes on one core
    python -m benchmarks.incidents --runs 20

Each run makes traffic of 12 attributes with 200 values in sum, 18 hours of baseline and six of incident, by a
seed of its own. Planted: one of the 200 values, or one of the 200 cells of two attributes (10 x 20), goes from 2 % to
--rate bad. The monitor that alarmed is of one value of the first attribute, as of a feature. The log has 30 changes in
two weeks, of random parts; one of them is when it began. Without a difference: the same rates before and since, once
alike everywhere and once different by part, as traffic is; and a series that moves by chance alone. What pages propose
is what is counted: `Slice.is_proposed`, and matches of an onset that is clear.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alerts.stats.changepoint import change_in_share
from alerts.stats.isolate import Contrast, Logged, Onset, Ranking, contrast_of, rank_changes
from alerts.stats.scope import Scope, find_scope
from benchmarks._report import Figure, Report
from evals.stats.results import TooLittle

SIZES = (10, 20, 8, 4, 12, 15, 6, 10, 40, 30, 25, 20)
CELLS = (0, 1)
RUNS, ROWS = 100, 20_000
BASELINE_HOURS, INCIDENT_HOURS, QUARTER = 18, 6, 900.0
CHANGES, LOG_DAYS = 30, 14
USUAL = 0.02
Columns = dict[str, list[str]]


@dataclass(frozen=True)
class Traffic:
    """Requests in order of time: `at` seconds since the beginning, attributes, and whether each is bad."""

    at: np.ndarray[Any, np.dtype[np.float64]]
    columns: Columns
    bad: np.ndarray[Any, np.dtype[np.bool_]]

    def within(self, start: float, end: float) -> Traffic:
        """Those of [start, end)."""
        low, high = np.searchsorted(self.at, [start, end])
        return Traffic(
            self.at[low:high], {name: values[low:high] for name, values in self.columns.items()}, self.bad[low:high]
        )


@dataclass(frozen=True, slots=True)
class Planted:
    """What is bad from when on: values by attribute."""

    parts: tuple[tuple[str, str], ...]
    rate: float


def made(random: np.random.Generator, rows: int, planted: Planted | None, *, differs: bool) -> Traffic:
    """Traffic of baseline and incident. `differs`: rates differ by part, the same before and since."""
    began, end = BASELINE_HOURS * 3600.0, (BASELINE_HOURS + INCIDENT_HOURS) * 3600.0
    # As many an hour before as since.
    at = np.sort(np.concatenate([random.uniform(0, began, 3 * rows // 4), random.uniform(began, end, rows // 4)]))
    columns: Columns = {}
    codes: list[np.ndarray[Any, np.dtype[np.intp]]] = []
    for name, size in enumerate(SIZES):
        # The cells of the first two are alike in size, so that each of them can be planted.
        weights = np.ones(size) if name in CELLS else 1 / np.arange(1, size + 1)
        codes.append(random.choice(size, at.size, p=weights / weights.sum()))
        columns[f"a{name}"] = [f"v{code}" for code in codes[-1].tolist()]
    rate = np.full(at.size, USUAL)
    if differs:
        for name in (2, 3, 8):
            rate = rate * random.lognormal(0, 0.7, SIZES[name])[codes[name]]
    if planted is not None:
        hit = at >= began
        for attribute, value in planted.parts:
            hit &= codes[int(attribute[1:])] == int(value[1:])
        rate = np.where(hit, planted.rate, rate)
    return Traffic(at, columns, random.random(at.size) < np.clip(rate, 0, 0.95))


def scope_of(traffic: Traffic) -> Scope | TooLittle:
    """As the product compares: the incident's stretch with the baseline's."""
    began, end = BASELINE_HOURS * 3600.0, (BASELINE_HOURS + INCIDENT_HOURS) * 3600.0
    now, before = traffic.within(began, end), traffic.within(0, began)
    return find_scope(now.columns, now.bad, baseline=(before.columns, before.bad, None))


def drawn(random: np.random.Generator, rate: float) -> tuple[Planted, Planted]:
    """A value of one attribute among the larger ones, and a cell of two."""
    # A value that a hundredth of the traffic has: fewer than ten bad rows show nothing.
    name = int(random.integers(len(SIZES)))
    value = Planted(((f"a{name}", f"v{int(random.integers(min(SIZES[name], 12)))}"),), rate)
    cell = tuple((f"a{name}", f"v{int(random.integers(SIZES[name]))}") for name in CELLS)
    return value, Planted(cell, rate)


def is_first(found: Scope | TooLittle, planted: Planted) -> bool:
    """Whether the first slice is the planted part, and proposed."""
    if isinstance(found, TooLittle) or not found.slices:
        return False
    first = found.slices[0]
    return first.is_proposed and set(first.parts) == set(planted.parts)


def proposed(found: Scope | TooLittle) -> int:
    """How many slices a page would name."""
    return 0 if isinstance(found, TooLittle) else sum(one.is_proposed for one in found.slices)


def onset_of(traffic: Traffic, seed: int, of: tuple[tuple[str, str], ...]) -> Onset | None:
    """The change point of the share of bad by quarter of an hour, from ten hours before; None: no clear start.

    `of`: the values that it is the series of, as monitors watch a feature.
    """
    first = (BASELINE_HOURS - 10) * 3600.0
    last = (BASELINE_HOURS + INCIDENT_HOURS) * 3600.0
    edges = np.arange(first, last + 1, QUARTER)
    mine = np.ones(traffic.at.size, dtype=np.bool_)
    for name, value in of:
        mine &= np.array(traffic.columns[name]) == value
    n, k = (np.histogram(traffic.at[mask], edges)[0] for mask in (mine, mine & traffic.bad))
    change = change_in_share(k, n, seed=seed)
    if isinstance(change, TooLittle) or not change.clear:
        return None
    return Onset(*(float(edges[at]) for at in (change.split, change.low, change.high)), QUARTER)


def logged(random: np.random.Generator, traffic: Traffic, planted: Planted | None) -> tuple[list[Logged], int]:
    """30 changes of two weeks, each of a value of one attribute or of everything; the number of the planted one."""
    began = BASELINE_HOURS * 3600.0
    last = (BASELINE_HOURS + INCIDENT_HOURS) * 3600.0
    since = traffic.within(began - 6 * 3600.0, last)
    columns = {name: np.array(values) for name, values in since.columns.items()}
    hours = np.floor_divide(since.at, 3600).astype(int)
    hours -= hours.min()
    changes = []
    which = int(random.integers(CHANGES))
    for at in range(CHANGES):
        name = int(random.integers(len(SIZES)))
        touches = {} if random.random() < 0.3 else {f"a{name}": f"v{int(random.integers(SIZES[name]))}"}
        moment = last - float(random.uniform(0, LOG_DAYS * 86_400))
        if at == which and planted is not None:
            moment = began + float(random.uniform(-60, 60))
            touches = dict(planted.parts)
        changes.append(Logged(at, moment, touches=touches, contrast=_contrast(columns, since.bad, hours, touches)))
    return changes, which


def ranking_of(
    traffic: Traffic, changes: list[Logged], found: Scope | TooLittle, seed: int, of: tuple[str, str]
) -> Ranking:
    """As the product ranks: the onset, of the part that scope proposed where the monitor's own series is not clear."""
    scope: dict[str, list[str]] = {}
    regression = 0.0
    if not isinstance(found, TooLittle):
        regression = max(0.0, found.rate - (found.rate_baseline or 0.0))
        for one in found.slices:
            for name, value in one.parts if one.is_proposed else ():
                scope.setdefault(name, []).append(value)
    onset = onset_of(traffic, seed, (of,))
    named = [] if isinstance(found, TooLittle) else [one for one in found.slices if one.is_proposed and not one.through]
    if onset is None and named:
        onset = onset_of(traffic, seed, named[0].parts)
    return rank_changes(onset, changes, scope, regression)


def _contrast(
    columns: Mapping[str, np.ndarray[Any, Any]],
    bad: np.ndarray[Any, np.dtype[np.bool_]],
    hours: np.ndarray[Any, np.dtype[np.int_]],
    touches: Mapping[str, str],
) -> Contrast | None:
    """The named value against the most frequent other of its attribute, by hour, as of versions."""
    if len(touches) != 1:
        return None
    ((name, value),) = touches.items()
    values = columns[name]
    others, counts = np.unique(values[values != value], return_counts=True)
    if not others.size:
        return None
    old = others[counts.argmax()]
    parts = []
    for which in (value, old):
        mask = values == which
        for some in (mask & bad, mask):
            parts.append(np.bincount(hours[some], minlength=int(hours.max()) + 1))
    found = contrast_of(parts[0], parts[1], parts[2], parts[3])
    return None if isinstance(found, TooLittle) else found


def measure(runs: int, rows: int, rate: float, seed: int, cost_rows: int) -> list[Figure]:
    """All figures, in the order of the report."""
    value_first = cell_first = top_three = named = missed = 0
    quiet = {"alike": 0, "different": 0, "changes": 0}
    for run in range(runs):
        random = np.random.default_rng([seed, run])
        value, cell = drawn(random, rate)
        traffic = made(random, rows, value, differs=True)
        value_first += is_first(scope_of(traffic), value)
        # A cell is a 200th of the traffic: with less of it no monitor would have alarmed.
        traffic = made(random, 5 * rows, cell, differs=True)
        found = scope_of(traffic)
        cell_first += is_first(found, cell)
        changes, which = logged(random, traffic, cell)
        ranking = ranking_of(traffic, changes, found, run, cell.parts[0])
        place = next(at for at, fit in enumerate(ranking.fits) if fit.id == which)
        if ranking.fits[0].match == "none":
            missed += 1
        top_three += place < 3 and ranking.fits[0].match != "none"
        named += place == 0 and ranking.fits[0].match == "strong"
        for word, differs in (("alike", False), ("different", True)):
            same = made(random, rows, None, differs=differs)
            nothing = scope_of(same)
            quiet[word] += proposed(nothing) == 0
            if differs:
                changes, _ = logged(random, same, None)
                none = ranking_of(same, changes, nothing, run, (f"a{CELLS[0]}", "v0"))
                quiet["changes"] += all(fit.match == "none" for fit in none.fits)
    per = 100 / runs
    return [
        Figure("planted: 1 of 200 values ranks first", value_first * per, "%", 95, is_floor=True),
        Figure("planted: 1 of 200 cells of two attributes ranks first", cell_first * per, "%", 95, is_floor=True),
        Figure("planted change among 30 in the first three", top_three * per, "%", 95, is_floor=True),
        Figure("planted change first, and a strong match", named * per, "%"),
        Figure("no clear start of the planted", missed * per, "%"),
        Figure("no difference, rates alike: no part proposed", quiet["alike"] * per, "%", 95, is_floor=True),
        Figure("no difference, rates differ by part: no part proposed", quiet["different"] * per, "%", 95,
               is_floor=True),
        Figure("no difference: no change proposed", quiet["changes"] * per, "%", 95, is_floor=True),
        Figure(f"comparing {cost_rows:,} responses of 12 attributes, CPU", _seconds(cost_rows, seed), "s", 2.0),
    ]  # fmt: skip


def _seconds(rows: int, seed: int) -> float:
    """Of one core, which other work on the machine does not lengthen; the least of three."""
    random = np.random.default_rng(seed)
    traffic = made(random, rows, drawn(random, 0.2)[1], differs=True)
    times = []
    for _ in range(3):
        began = time.process_time()
        scope_of(traffic)
        times.append(time.process_time() - began)
    return min(times)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table; 0 where all bars hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--rows", type=int, default=ROWS, help="responses of a run; five times where a cell is")
    parser.add_argument("--rate", type=float, default=0.5, help="share of bad ones in what is planted")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cost-rows", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    told = parser.parse_args(arguments)
    report = Report("Incidents: scope and isolate")
    for figure in measure(told.runs, told.rows, told.rate, told.seed, told.cost_rows):
        report.add(figure.name, figure.value, figure.unit, figure.bar, is_floor=figure.is_floor, note=figure.note)
    return report.finish(told.json)


if __name__ == "__main__":
    sys.exit(main())
