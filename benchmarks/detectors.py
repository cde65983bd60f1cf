"""Telltale's detectors for the benchmark of detectors: one factory a kind of series.

    python detectors.py --plug-only --reps 34 --only judge,judgemixlong --plug benchmarks.detectors:scores
    python detectors.py --plug-only --reps 34 --only latency --plug benchmarks.detectors:latency
    python detectors.py --plug-only --reps 34 --only prop,propod --plug benchmarks.detectors:shares@prop
    python detectors.py --plug-only --reps 34 --only emb,embani --plug benchmarks.detectors:vectors@emb

Every detector here is the product's own, `learn` on the first points and `step` on the rest, with one set of settings
a kind of series. After an alarm the statistic starts again, as it does once an incident is resolved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from alerts.detectors.base import Baseline, NotStable, Settings, State
from alerts.detectors.latency import Latency, LatencySettings
from alerts.detectors.points import Share, Values
from alerts.detectors.scores import Scores, ScoreSettings
from alerts.detectors.shares import Shares, ShareSettings
from alerts.detectors.vectors import Vectors, VectorSettings

P = TypeVar("P")

# Points to a false alarm that each kind is asked for: near what is wanted of its streams, less a margin.
SHARES_ARL0 = 6_500.0
SCORES_ARL0 = 4_000.0
LATENCY_ARL0 = 2_600.0
VECTORS_ARL0 = 5_000.0
# The benchmark gives scores a baseline of 200, fewer than the product waits for.
LEAST = 200
# Scores that make a mean where neighbours resemble each other: single scores come here, no hours of them.
A_MEAN = 12


class Watched(Generic[P]):
    """A detector as the benchmark knows one: learns from the first `warmup` values, alarms by True."""

    def __init__(self, warmup: int, detector: Any, settings: Settings, point: Callable[[Any], P]) -> None:
        self.warmup, self.detector, self.settings, self.point = warmup, detector, settings, point
        self.learned: list[P] = []
        self.baseline: Baseline | None = None
        self.state = State()

    def update(self, value: Any) -> bool:
        point = self.point(value)
        if self.baseline is None:
            self.learned.append(point)
            if len(self.learned) >= self.warmup:
                self._learn()
            return False
        self.state, verdict = self.detector.step(self.baseline, self.state, point)
        if verdict.alarm is None:
            return False
        self.state = self.state.released()
        return True

    def _learn(self) -> None:
        found = self.detector.learn(self.learned, self.settings, seed=20_261_121)
        if isinstance(found, Baseline):
            self.baseline, self.learned = found, []
        elif isinstance(found, NotStable):
            # What a person would do: take what came after the change, and wait until that is enough.
            self.learned = self.learned[found.at :]


def shares(warmup: int) -> Watched[Share]:
    """Windows of k of n: errors, refusals, unusable answers, low scores."""
    return Watched(warmup, Shares(), ShareSettings(SHARES_ARL0, up_share=0.8), lambda value: Share(value.k, value.n))


def scores(warmup: int) -> Watched[Values]:
    """Single judge scores, charted one by one or by means as the baseline asks for."""
    settings = ScoreSettings(SCORES_ARL0, values_min=LEAST, window=A_MEAN)
    return Watched(warmup, Scores(), settings, lambda value: Values((float(value),)))


def latency(warmup: int) -> Watched[Values]:
    """Single times."""
    return Watched(warmup, Latency(), LatencySettings(LATENCY_ARL0), lambda value: Values((float(value),)))


def vectors(warmup: int) -> Watched[tuple[float, ...]]:
    """Single embeddings."""
    return Watched(warmup, Vectors(), VectorSettings(VECTORS_ARL0), lambda value: tuple(value.tolist()))
