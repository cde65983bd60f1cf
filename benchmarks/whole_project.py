"""A whole project, simulated: what fifty charts under one alert budget page while nothing is wrong, and when it is.

    python -m benchmarks.whole_project --runs 20 --budget 1
    python -m benchmarks.whole_project --runs 20 --budget 5
    python -m benchmarks.whole_project --changes --runs 20
    python -m benchmarks.whole_project --runs 8 --kinds score --unmerged

20 charts of judges' scores, 10 of shares (half of them overdispersed), 8 of latencies, 5 of costs, 4 of counts and 3 of
embeddings, through the product's own windows, merging, baselines and charts (`alerts.charting`) with the run lengths of
`alerts.stats.budget`: 4 weeks to learn, 8 weeks watched. Alarms that begin within an hour of one another are one page,
as they belong to one incident. `--changes`: one error share 2 -> 4 %, a sender that dies at noon, and a deploy that
shifts the mix alone, each among the same fifty charts' budget.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np

from alerts.charting import advancing
from alerts.charting.advancing import advance, begin
from alerts.charting.merging import is_enough
from alerts.detectors.base import Baseline
from alerts.monitors.states import Kind
from alerts.monitors.types import Data, Definition, Level, Reading, Values, Window
from alerts.stats.budget import Chart as Place
from alerts.stats.budget import allot
from alerts.stats.gamma import poisson_limits
from alerts.stats.mix import Stratum, standardise
from benchmarks._project import (
    HOUR,
    MONDAY,
    QUARTER,
    Series,
    counts,
    monitored,
    project,
    shares,
)
from benchmarks._report import Report
from evals.stats.results import TooLittle

LEARN_WEEKS, WATCH_WEEKS = 4, 8
# Alarms that begin so soon after one another are one page.
TOGETHER = timedelta(hours=1)
BAR = 1.5


@dataclass(frozen=True, slots=True)
class Alarm:
    """A chart said "out of control" with the window that ended at `at`."""

    at: datetime
    chart: str
    rule: str


@dataclass(frozen=True, slots=True)
class Watched:
    """What one chart did: when it began to watch (None: never), how many windows it watched, and its alarms."""

    since: datetime | None
    windows: int
    alarms: tuple[Alarm, ...]


def run_lengths(series: Sequence[Series], budget: float) -> dict[str, float]:
    """Windows until a false alarm of every series, by name."""
    places = [Place(one.definition.name, one.windows_a_week, one.definition.weight) for one in series]
    return {share.chart.key: share.arl0 for share in allot(places, budget)}


def watch(one: Series, readings: Iterable[Reading], arl0: float, seed: int) -> Watched:
    """One chart over its readings, as the engine advances it."""
    chart = begin(one.definition, seed)
    since, windows, alarms = None, 0, []
    for each in readings:
        advanced = advance(chart, one.definition, one.metric, each, arl0)
        chart = advanced.chart
        if advanced.baseline is not None and since is None:
            since = each.window.end
        windows += since is not None
        if advanced.alarm is not None:
            alarms.append(Alarm(each.window.end, one.definition.name, advanced.alarm.rule))
    return Watched(since, windows, tuple(alarms))


def pages(alarms: Iterable[Alarm]) -> int:
    """How many pages the alarms of a project are: one for all that begin within an hour of one another."""
    count, last = 0, None
    for alarm in sorted(alarms, key=lambda one: one.at):
        if last is None or alarm.at - last > TOGETHER:
            count += 1
        last = alarm.at
    return count


def kind_of(one: Series) -> str:
    """The name of a series less its number."""
    return one.definition.name.rsplit(" ", 1)[0]


def quiet(series: Sequence[Series], budget: float, seed: int, weeks: float, kinds: Sequence[str] = ()) -> list[Watched]:
    """All charts of a project over `weeks` weeks in which nothing changes; of `kinds` alone where some are named.

    Every chart keeps its part of the whole budget and its own chance, whichever others are drawn.
    """
    lengths = run_lengths(series, budget)
    found = []
    for at, one in enumerate(series):
        if kinds and kind_of(one) not in kinds:
            found.append(Watched(None, 0, ()))
            continue
        g = np.random.default_rng([seed, at, 5])
        readings = one.readings(g, round(weeks * one.windows_a_week))
        found.append(watch(one, readings, lengths[one.definition.name], seed * 1_000 + at))
    return found


def measure_quiet(report: Report, runs: int, budget: float, first: int, kinds: Sequence[str] = ()) -> None:
    """False pages a week while nothing changes, over `runs` projects; of `kinds` alone where some are named."""
    series = project(LEARN_WEEKS)
    a_run, alarms, weeks, late = [], Counter[str](), 0.0, 0
    expected = Counter[str]()
    lengths = run_lengths(series, budget)
    begun = time.perf_counter()
    for run in range(runs):
        watched = quiet(series, budget, first + run, LEARN_WEEKS + WATCH_WEEKS, kinds)
        for one, each in zip(series, watched, strict=True):
            kind = kind_of(one)
            if kinds and kind not in kinds:
                continue
            alarms[kind] += len(each.alarms)
            expected[kind] += each.windows / lengths[one.definition.name]
            late += each.since is None or each.since > MONDAY + timedelta(weeks=LEARN_WEEKS, hours=1)
        count = pages(alarm for each in watched for alarm in each.alarms)
        # Weeks that a chart was watched, all charts together, in weeks of the whole project.
        weeks += math.fsum(each.windows / one.windows_a_week for one, each in zip(series, watched, strict=True)) / len(
            series
        )
        a_run.append(count / WATCH_WEEKS)
        told = ", ".join(f"{alarm.chart} ({alarm.rule})" for each in watched for alarm in each.alarms)
        print(f"  run {first + run}: {count} pages, {time.perf_counter() - begun:.0f} s: {told}", flush=True)
    mean = float(np.mean(a_run))
    half = 1.96 * float(np.std(a_run, ddof=1)) / math.sqrt(runs) if runs > 1 else math.nan
    low, high = poisson_limits(round(mean * WATCH_WEEKS * runs))
    of = f" of {', '.join(kinds)} alone" if kinds else ""
    report.add(f"false pages a week{of}, budget {budget:g}", mean, "a week", None if kinds else BAR * budget)
    report.add(
        f"  their 95 % limit over {runs} projects",
        mean + half,
        "a week",
        note=f"Poisson {low / WATCH_WEEKS / runs:.2f} to {high / WATCH_WEEKS / runs:.2f}",
    )
    report.add("  charts whose baseline came late", late, f"of {runs * len(series)}")
    report.say(f"watched {weeks:.1f} weeks of whole projects")
    for kind in expected:
        report.say(f"{kind:14s} {alarms[kind]:4d} alarms, {expected[kind]:.1f} expected")


def first_alarm(watched: Watched, after: datetime) -> datetime | None:
    """The end of the first window that alarmed after `after`; None: none."""
    return next((alarm.at for alarm in watched.alarms if alarm.at > after), None)


def measure_changes(report: Report, runs: int, budget: float, first: int) -> None:
    """Delays of three changes, one at a time, at the run lengths of the whole project."""
    lengths = run_lengths(project(LEARN_WEEKS), budget)
    noon = MONDAY + timedelta(weeks=LEARN_WEEKS + 1, days=1, hours=10)
    at = round((noon - MONDAY) / QUARTER)
    delays, heavier = [], []
    for run in range(runs):
        for weight, into in ((1.0, delays), (3.0, heavier)):
            one = monitored("errors", Kind.SHARE, lambda g, n: shares(g, n, changed=(at, 0.04)), window=QUARTER)
            g = np.random.default_rng([first + run, 7])
            found = watch(one, one.readings(g, at + 96), lengths["share 0"] / weight, first + run)
            alarm = first_alarm(found, noon)
            into.append((alarm - noon) / HOUR if alarm else math.inf)
    report.add("errors 2 -> 4 %: median delay", float(np.median(delays)), "h", 2.0)
    report.add("  9 of 10 within", float(np.quantile(delays, 0.9)), "h")
    report.add("  with three times its share of the budget", float(np.median(heavier)), "h")
    _silence(report, min(runs, 10), lengths["count 0"], first)
    _mix(report, min(runs, 20), lengths["score 0"], first)


def _silence(report: Report, runs: int, arl0: float, first: int) -> None:
    """A sender that dies at noon, charted by windows of five minutes, at the same false alarms a week."""
    five = timedelta(minutes=5)
    noon = MONDAY + timedelta(weeks=LEARN_WEEKS, days=2, hours=12)
    at = round((noon - MONDAY) / five)
    delays = []
    for run in range(runs):
        one = monitored("requests", Kind.COUNT, lambda g, n: counts(g, n, size=five, dead_from=at), window=five)
        found = watch(one, one.readings(np.random.default_rng([first + run, 8]), at + 12), arl0 * 3, first + run)
        alarm = first_alarm(found, noon)
        delays.append((alarm - noon) / timedelta(minutes=1) if alarm else math.inf)
    report.add("a sender dead at noon: until its window closed", max(delays), "min", 15.0)


def _mix(report: Report, runs: int, arl0: float, first: int) -> None:
    """A deploy that sends twice as many hard questions, each answered as well as ever: raw and standardised means."""
    alarms = Counter[str]()
    hours, change = 24 * 7 * (LEARN_WEEKS + 2), 24 * 7 * (LEARN_WEEKS + 1)
    for run in range(runs):
        g = np.random.default_rng([first + run, 9])
        usual, cells = {"easy": 0.8, "hard": 0.2}, []
        for hour in range(hours):
            hard = 0.2 if hour < change else 0.5
            sizes = {"easy": int(g.poisson(60 * (1 - hard))), "hard": int(g.poisson(60 * hard))}
            cells.append({name: g.normal(4.3 if name == "easy" else 3.3, 0.8, n) for name, n in sizes.items()})
        for name in ("raw", "standardised"):
            one = monitored(name, Kind.LEVEL, lambda g, n: [])
            readings = (
                reading_of(Window(MONDAY + at * HOUR, MONDAY + (at + 1) * HOUR), mean_of(cell, usual, name))
                for at, cell in enumerate(cells)
            )
            found = watch(one, readings, arl0, first + run)
            alarms[name] += first_alarm(found, MONDAY + change * HOUR) is not None
    report.add("a shift of the mix alone: raw means alarmed", alarms["raw"] / runs, "share")
    report.add("  standardised ones alarmed within a week", alarms["standardised"] / runs, "share", 0.1)


def mean_of(cell: dict[str, np.ndarray], usual: dict[str, float], name: str) -> Level:
    """The mean of an hour, as it came or with the mix of the baseline."""
    values = np.concatenate(list(cell.values()))
    if name == "raw":
        return Level(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)))
    found = standardise(
        usual,
        {
            key: Stratum(len(x), float(x.mean()), float(x.std(ddof=1)) if len(x) > 1 else None)
            for key, x in cell.items()
        },
    )
    if isinstance(found, TooLittle):
        raise TypeError("every hour has both kinds")
    # After the shift other strata are small: the mean is less sure, and says so itself.
    return Level(found.standardised.value, found.standardised.error or 0.0)


def reading_of(window: Window, data: Level) -> Reading:
    """A window of one number."""
    return Reading(window, 1, data.value, data)


def _unmerged(n: int, data: Data, definition: Definition, baseline: Baseline | None) -> bool:
    """As `is_enough`, but for values: their detectors merge windows themselves, and know how hours even out."""
    return isinstance(data, Values) or is_enough(n, data, definition, baseline)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--budget", type=float, default=1.0, help="false pages a week")
    parser.add_argument("--first", type=int, default=1, help="seed of the first run")
    parser.add_argument("--changes", action="store_true", help="delays of changes in place of false pages")
    parser.add_argument("--kinds", help="these kinds of charts alone, by commas: score, time, cost, ...")
    parser.add_argument("--unmerged", action="store_true", help="values reach detectors window by window")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    report = Report("whole project")
    if chosen.changes:
        measure_changes(report, chosen.runs, chosen.budget, chosen.first)
    else:
        kinds = tuple(chosen.kinds.split(",")) if chosen.kinds else ()
        unknown = set(kinds) - {kind_of(one) for one in project(LEARN_WEEKS)}
        if unknown:
            parser.error(f"no charts of kind {', '.join(sorted(unknown))}")
        with patch.object(advancing, "is_enough", _unmerged) if chosen.unmerged else nullcontext():
            measure_quiet(report, chosen.runs, chosen.budget, chosen.first, kinds)
    return report.finish(chosen.json)


if __name__ == "__main__":
    sys.exit(main())
