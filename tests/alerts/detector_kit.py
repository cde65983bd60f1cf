"""Series for the tests of detectors: one in control for each kind, and one that has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from alerts.detectors.base import Settings
from alerts.detectors.categories import CategoryMix, CategorySettings
from alerts.detectors.cost import Cost, CostSettings
from alerts.detectors.counts import Counts, CountSettings
from alerts.detectors.latency import Latency, LatencySettings
from alerts.detectors.levels import Levels, LevelSettings
from alerts.detectors.points import Categories, Count, Level, Share, Values
from alerts.detectors.rare import Rare
from alerts.detectors.scores import Scores, ScoreSettings
from alerts.detectors.shares import Shares, ShareSettings
from alerts.detectors.vectors import Vectors, VectorSettings

SCORES = np.array([0.03, 0.05, 0.12, 0.35, 0.45])
WORSE = np.array([0.22, 0.20, 0.22, 0.22, 0.14])


@dataclass(frozen=True)
class Kind:
    """A detector, its settings, a series (generator, points, changed), and how long it learns and watches."""

    detector: Any
    settings: Settings
    series: Callable[[np.random.Generator, int, bool], list[Any]]
    learns: int
    watches: int
    changes: str


def score_windows(g: np.random.Generator, n: int, changed: bool = False, size: int = 20) -> list[Values]:
    p = WORSE if changed else SCORES
    return [Values(tuple(g.choice(np.arange(1.0, 6.0), size, p=p).tolist())) for _ in range(n)]


def uneven_scores(g: np.random.Generator, n: int, changed: bool = False) -> list[Values]:
    """Scores of hours that differ in quality: neighbours resemble each other."""
    levels = 4.0 + g.normal(0, 0.4, n) - (1.2 if changed else 0.0)
    return [Values(tuple(np.clip(np.round(g.normal(level, 0.8, 20)), 1, 5).tolist())) for level in levels]


def shares(g: np.random.Generator, n: int, changed: bool = False) -> list[Share]:
    sizes = g.poisson(150, n)
    return [Share(int(k), int(of)) for k, of in zip(g.binomial(sizes, 0.08 if changed else 0.02), sizes, strict=True)]


def times(g: np.random.Generator, n: int, changed: bool = False) -> list[Values]:
    scale = 3.0 if changed else 1.0
    return [Values(tuple((scale * g.lognormal(6.8, 0.55, 20)).tolist())) for _ in range(n)]


def costs(g: np.random.Generator, n: int, changed: bool = False) -> list[Values]:
    scale = 0.004 * (4.0 if changed else 1.0)
    return [Values(tuple((scale * g.gamma(2.0, 1.0, 20) * (g.random(20) > 0.1)).tolist())) for _ in range(n)]


def counts(g: np.random.Generator, n: int, changed: bool = False) -> list[Count]:
    t = np.arange(n)
    means = (120 * (1 + 0.8 * np.sin(2 * np.pi * t / 96)) + 10) * (0.3 if changed else 1.0)
    return [Count(int(k), float((at + 0.5) / 4 % 168)) for at, k in enumerate(g.poisson(means))]


def vectors(g: np.random.Generator, n: int, changed: bool = False) -> list[tuple[float, ...]]:
    topics = np.random.default_rng(29).normal(0, 1, (5, 12))
    picked = g.integers(0, 4, n) if not changed else np.full(n, 4)
    rows = topics[picked] + 0.3 * g.normal(0, 1, (n, 12))
    return [tuple(row.tolist()) for row in rows]


def rare_shares(g: np.random.Generator, n: int, changed: bool = False) -> list[Share]:
    sizes = g.poisson(60, n)
    return [Share(int(k), int(of)) for k, of in zip(g.binomial(sizes, 0.05 if changed else 0.002), sizes, strict=True)]


def levels(g: np.random.Generator, n: int, changed: bool = False) -> list[Level]:
    """A host's load: each hour resembles the one before."""
    noise, load = g.normal(0, 1, n + 20), 0.0
    found = []
    for one in noise:
        load = 0.5 * load + float(one)
        found.append(Level(40 + 5 * load + (30.0 if changed else 0.0)))
    return found[20:]


def single_levels(g: np.random.Generator, n: int, changed: bool = False) -> list[Level]:
    """Ratios with their own errors, each by itself."""
    return [Level(float(one), 0.1) for one in g.normal(1.5 if changed else 1.0, 0.2, n)]


def categories(g: np.random.Generator, n: int, changed: bool = False) -> list[Categories]:
    """Finish reasons: windows differ a little more than chance."""
    usual = np.array([0.80, 0.12, 0.05, 0.03]) if not changed else np.array([0.60, 0.32, 0.05, 0.03])
    rows = [g.multinomial(int(g.poisson(120)), g.dirichlet(400 * usual)) for _ in range(n)]
    names = ("stop", "length", "tool_calls", None)
    return [Categories(tuple(zip(names, row.tolist(), strict=True))) for row in rows]


KINDS = {
    "scores one by one": Kind(Scores(), ScoreSettings(200.0), score_windows, 60, 60, "down"),
    "scores by means": Kind(Scores(), ScoreSettings(200.0), uneven_scores, 120, 60, "down"),
    "shares": Kind(Shares(), ShareSettings(200.0), shares, 200, 60, "up"),
    "latency": Kind(Latency(), LatencySettings(200.0), times, 60, 60, "up"),
    "cost": Kind(Cost(), CostSettings(200.0), costs, 60, 60, "up"),
    "counts": Kind(Counts(), CountSettings(400.0), counts, 14 * 96, 96, "down"),
    "rare": Kind(Rare(), ShareSettings(400.0), rare_shares, 400, 60, "up"),
    "levels": Kind(Levels(), LevelSettings(200.0), levels, 192, 60, "up"),
    "levels apart": Kind(Levels(), LevelSettings(200.0), single_levels, 120, 60, "up"),
    "categories": Kind(CategoryMix(), CategorySettings(200.0), categories, 120, 60, "up"),
    "scores by sums": Kind(Scores(), ScoreSettings(200.0, by="cusum"), uneven_scores, 120, 60, "down"),
    "scores by one point": Kind(Scores(), ScoreSettings(200.0, by="shewhart"), uneven_scores, 120, 60, "down"),
    "latency by sums": Kind(Latency(), LatencySettings(200.0, by="cusum"), times, 120, 60, "up"),
    "shares by sums": Kind(Shares(), ShareSettings(200.0, by="cusum"), shares, 200, 60, "up"),
    "shares by one point": Kind(Shares(), ShareSettings(200.0, by="shewhart"), shares, 200, 60, "up"),
    "counts by sums": Kind(Counts(), CountSettings(400.0, by="cusum"), counts, 14 * 96, 96, "down"),
    "levels by sums": Kind(Levels(), LevelSettings(200.0, by="cusum"), levels, 192, 60, "up"),
    "vectors": Kind(Vectors(), VectorSettings(400.0), vectors, 500, 60, "up"),
}
