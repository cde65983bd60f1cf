"""A project drawn from chance: fifty series as monitors read them, with seasons, moods of the hour and nothing wrong.

Traffic follows the hour and the day of the week. Judges' scores wander from hour to hour as much as the hardest stream
of the benchmark of detectors (a tilt of .35), latencies and costs have a day in them and an hour's mood, half of the
shares are overdispersed, counts vary more than Poisson and wander.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from alerts.monitors.states import Kind
from alerts.monitors.types import (
    BaselinePolicy,
    Count,
    Data,
    Definition,
    Metric,
    Reading,
    Share,
    Values,
    Vectors,
    Window,
)

Floats = NDArray[np.float64]

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
WEEK = timedelta(days=7)
SCORES = np.arange(1.0, 6.0)
USUAL = np.array([0.03, 0.05, 0.12, 0.35, 0.45])
# Requests an hour of a series of shares on a weekday around noon; other series have what suits them.
BUSY = 700.0
_TOPICS = np.random.default_rng(29).normal(0, 1, (6, 16))


@dataclass(frozen=True, slots=True)
class Series:
    """One monitored series: its definition and metric, and what draws the data of its windows from a generator."""

    definition: Definition
    metric: Metric
    draw: Callable[[np.random.Generator, int], list[Data]]

    @property
    def windows_a_week(self) -> float:
        return WEEK / self.definition.window

    def readings(self, g: np.random.Generator, windows: int) -> Iterator[Reading]:
        """The first `windows` windows from a Monday on, in their order."""
        size = self.definition.window
        for at, data in enumerate(self.draw(g, windows)):
            yield reading(Window(MONDAY + at * size, MONDAY + (at + 1) * size), data)


def reading(window: Window, data: Data) -> Reading:
    """A window as series give it: n and value of its data."""
    match data:
        case Share(k=k, n=n):
            return Reading(window, n, k / n if n else None, data if n else None)
        case Values(values=values):
            return Reading(window, len(values), float(np.mean(values)) if values else None, data if values else None)
        case Count(events=events):
            return Reading(window, events, float(events), data)
        case Vectors(rows=rows):
            return Reading(window, len(rows), None, data if rows else None)
    raise ValueError(f"no series here has {type(data).__name__}")


def traffic(windows: int, size: timedelta, a_day: float = 0.7) -> Floats:
    """Traffic by window against that of a weekday's mean: a wave a day, half of it at weekends."""
    hours = (np.arange(windows) + 0.5) * (size / HOUR)
    wave = 1 + a_day * np.sin(2 * np.pi * (hours % 24 - 6) / 24)
    result: Floats = wave * np.where(hours // 24 % 7 >= 5, 0.5, 1.0)
    return result


def mood(g: np.random.Generator, windows: int, size: timedelta, sd: float, keep: float) -> Floats:
    """A level that wanders from hour to hour, the same within an hour; its sd, and how alike neighbours are."""
    a_window = max(1, round(HOUR / size))
    hours = -(-windows // a_window)
    level, found = g.normal(0, sd), np.empty(hours)
    for at, shock in enumerate(g.normal(0, sd * np.sqrt(1 - keep**2), hours)):
        level = keep * level + shock
        found[at] = level
    return np.repeat(found, a_window)[:windows]


def judged(
    g: np.random.Generator, windows: int, *, keep: float = 0.3, tilt: float = 0.35, a_window: int = 30
) -> list[Data]:
    """Scores 1..5 an hour, tilted by the mood of the hour."""
    sizes = g.poisson(a_window * traffic(windows, HOUR))
    tilts = mood(g, windows, HOUR, tilt, keep)
    found: list[Data] = []
    for n, t in zip(sizes, tilts, strict=True):
        p = USUAL * np.exp(t * (SCORES - 3.0))
        found.append(Values(tuple(g.choice(SCORES, n, p=p / p.sum()).tolist())))
    return found


def shares(
    g: np.random.Generator, windows: int, *, p: float = 0.02, rho: float = 0.0, changed: tuple[int, float] | None = None
) -> list[Data]:
    """k of n a quarter of an hour; from window `changed[0]` on with the share `changed[1]`."""
    sizes = g.poisson(BUSY / 4 / 1.7 * traffic(windows, QUARTER))
    share = np.full(windows, p)
    if changed is not None:
        share[changed[0] :] = changed[1]
    if rho:
        share = g.beta(share * (1 / rho - 1), (1 - share) * (1 / rho - 1))
    return [Share(int(k), int(n)) for k, n in zip(g.binomial(sizes, share), sizes, strict=True)]


def times(g: np.random.Generator, windows: int, *, a_window: int = 16) -> list[Data]:
    """Milliseconds: log-normal with a Pareto tail of 2 %, slower at noon and by the hour's mood."""
    sizes = np.minimum(128, g.poisson(a_window * traffic(windows, QUARTER)))
    level = mood(g, windows, QUARTER, 0.06, 0.5) + 0.05 * (traffic(windows, QUARTER) - 1)
    found: list[Data] = []
    for n, at in zip(sizes, level, strict=True):
        x = g.lognormal(6.8 + at, 0.55, n)
        x = np.where(g.random(n) < 0.02, 2_700 * (1 + g.pareto(1.6, n)), x)
        found.append(Values(tuple(x.tolist())))
    return found


def costs(g: np.random.Generator, windows: int, *, a_window: int = 40) -> list[Data]:
    """Dollars a request: log-normal, one in ten free, dearer by the hour's mood."""
    sizes = g.poisson(a_window * traffic(windows, HOUR))
    level = mood(g, windows, HOUR, 0.1, 0.4)
    return [
        Values(tuple((g.lognormal(-6 + at, 0.8, n) * (g.random(n) > 0.1)).tolist()))
        for n, at in zip(sizes, level, strict=True)
    ]


def counts(
    g: np.random.Generator,
    windows: int,
    *,
    size: timedelta = QUARTER,
    an_hour: float = 400.0,
    dead_from: int | None = None,
) -> list[Data]:
    """Requests: negative binomial about the traffic, which wanders; nothing at all from window `dead_from` on."""
    level = np.exp(mood(g, windows, size, 0.06, 0.8))
    means = an_hour * (size / HOUR) * traffic(windows, size) * level
    events = g.poisson(means * g.gamma(60.0, 1 / 60.0, windows))
    if dead_from is not None:
        events[dead_from:] = 0
    middle = size / HOUR / 2
    return [Count(int(k), (at * (size / HOUR) + middle) % 168) for at, k in enumerate(events)]


def embedded(g: np.random.Generator, windows: int, *, a_window: int = 6) -> list[Data]:
    """Embeddings of five topics, 16 numbers each."""
    found: list[Data] = []
    for n in g.poisson(a_window * traffic(windows, HOUR)):
        rows = _TOPICS[g.choice(5, n, p=[0.3, 0.25, 0.2, 0.15, 0.1])] + 0.4 * g.normal(0, 1, (n, 16))
        found.append(Vectors(tuple(map(tuple, rows.tolist()))))
    return found


def monitored(
    name: str,
    kind: Kind,
    draw: Callable[[np.random.Generator, int], list[Data]],
    *,
    window: timedelta = HOUR,
    weeks: float = 4,
    weight: float = 1.0,
) -> Series:
    """A series with a monitor of this kind's usual settings, learning from its first `weeks` weeks."""
    worse = {Kind.SCORE: "down", Kind.SHARE: "up", Kind.TIME: "up", Kind.COST: "up"}.get(kind)
    metric = Metric(name, name, kind, "number", "simulated", name, worse=worse)  # type: ignore[arg-type]
    definition = Definition(
        name,
        metric.key,
        window=window,
        direction="up" if kind is Kind.SHARE else "both",
        baseline=BaselinePolicy(days=7 * weeks),
        weight=weight,
    )
    return Series(definition, metric, draw)


def project(weeks: float = 4, parts: tuple[int, ...] = (20, 5, 5, 8, 5, 4, 3)) -> list[Series]:
    """The series of a project: scores, shares, overdispersed shares, times, costs, counts, embeddings, so many each."""
    makers: tuple[Callable[[int], Series], ...] = (
        lambda i: monitored(f"score {i}", Kind.SCORE, judged, weeks=weeks),
        lambda i: monitored(f"share {i}", Kind.SHARE, shares, window=QUARTER, weeks=weeks),
        lambda i: monitored(
            f"uneven share {i}", Kind.SHARE, lambda g, n: shares(g, n, rho=0.01), window=QUARTER, weeks=weeks
        ),
        lambda i: monitored(f"time {i}", Kind.TIME, times, window=QUARTER, weeks=weeks),
        lambda i: monitored(f"cost {i}", Kind.COST, costs, weeks=weeks),
        lambda i: monitored(f"count {i}", Kind.COUNT, counts, window=QUARTER, weeks=weeks),
        lambda i: monitored(f"embedding {i}", Kind.VECTOR, embedded, weeks=weeks),
    )
    return [make(i) for make, count in zip(makers, parts, strict=True) for i in range(count)]
