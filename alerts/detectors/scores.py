"""Judge scores: two EWMAs, a quick and a slow one, under one budget; one by one or by means of windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alerts.detectors import _values
from alerts.detectors._values import Reading, Values, ValueSettings
from alerts.detectors.base import Baseline, NotStable, State, TooLittle, Verdict
from alerts.stats.resampling import Floats, Rule

KIND = "score"

# Chosen on streams of judge scores (docs/decisions/0009): against .1 and .05 the pair sees a fall of .22 sd in some 270
# scores, not 320, and one of .53 sd as early.
SINGLE = (Rule("EWMA 0.025", 0, 0.025, 0.5), Rule("EWMA 0.1", 0, 0.1, 0.5))
MEANS = (Rule("EWMA 0.05", 0, 0.05, 0.3), Rule("EWMA 0.2", 0, 0.2, 0.65), Rule("one point", 0, 1.0, 0.05))


@dataclass(frozen=True, slots=True)
class ScoreSettings(ValueSettings):
    """`lowest`, `highest`: the ends of the scale. A twentieth of the budget is for scores that rise."""

    up_share: float = 0.05
    lowest: float = 1.0
    highest: float = 5.0

    def __post_init__(self) -> None:
        # A dataclass with slots is made anew: super() without names would ask for the class that was.
        super(ScoreSettings, self).__post_init__()
        if not self.lowest < self.highest:
            raise ValueError(f"a scale runs from a lower to a higher score, not from {self.lowest} to {self.highest}")


class Scores:
    """The detector of judge scores. A score outside the scale is no score: keep it out before."""

    kind = KIND

    def learn(self, points: Sequence[Values], settings: ScoreSettings, seed: int) -> Baseline | NotStable | TooLittle:
        """A frozen level with the limits of two EWMAs by resampling (statistics.md 2.3, 3.1).

        Assumes that windows follow each other in time. One by one where a portmanteau test finds neighbours
        independent and all weights are alike, by Hájek means of windows otherwise. The sd within is at least
        range/(2·sqrt(n)). TooLittle under `values_min` and `windows_min`; NotStable for a change within.
        """

        def prepare(values: Floats) -> Reading:
            scale = settings.highest - settings.lowest
            seen = {float(values.min()), float(values.max())}
            return Reading(
                names=("score",),
                read=lambda one: one[:, None],
                floors=(scale / (2 * math.sqrt(len(values))),),
                single=SINGLE,
                means=MEANS,
                parameters={"lowest": settings.lowest, "highest": settings.highest},
                unseen=tuple(end for end in (settings.lowest, settings.highest) if end not in seen),
            )

        return _values.learn(KIND, points, settings, seed, prepare)

    def step(self, baseline: Baseline, state: State, point: Values) -> tuple[State, Verdict]:
        """The state after one window of scores. NotThisBaseline for a baseline of another kind."""
        return _values.step(KIND, baseline, state, point, _read)


def _read(baseline: Baseline, values: Floats) -> Floats:
    return np.clip(values, baseline.number("lowest"), baseline.number("highest"))[:, None]
