"""Judge scores: two EWMAs, a quick and a slow one, under one budget; one by one or by means of windows.

A score is read half by its value and half by its rank in the baseline. Most answers get one of the two best scores, so
values lean far to the left and a limit on their average lies far out; ranks are even, and say more of a small fall. The
half that is the value keeps what ranks cannot see: how much worse than anything before the worst are.
"""

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

# Chosen on streams of judge scores (docs/decisions/0009): the slow one is what finds a fall of .22 sd.
SINGLE = (Rule("EWMA 0.022", 0, 0.022, 0.5), Rule("EWMA 0.085", 0, 0.085, 0.5))
MEANS = (Rule("EWMA 0.04", 0, 0.04, 0.3), Rule("EWMA 0.12", 0, 0.12, 0.65), Rule("one point", 0, 1.0, 0.05))
# Distinct scores that each keep their rank; of more, so many quantiles do, with straight lines between.
_KNOTS = 64


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


def read_at(values: Floats, lowest: float, highest: float) -> tuple[Floats, Floats]:
    """Scores (k,) and what each is read as (k,), in the same unit: with the mean and the sd of `values` (n,).

    Half the standardised value, half the standardised mid-rank (ridit; Bross 1958), which alone would be the locally
    best where the odds of "so good or better" fall by one factor for every score. Rising; straight lines between the
    scores and out to the ends of the scale. Scores that are all alike are read as they are.
    """
    ends = np.array([min(lowest, float(values.min())), max(highest, float(values.max()))])
    mean, sd = float(values.mean()), float(values.std())
    at, counts = np.unique(values, return_counts=True)
    if len(at) < 2 or not sd > 0:
        return ends, ends
    ranks = (np.cumsum(counts) - counts / 2) / len(values)
    rank_sd = math.sqrt(float(counts @ (ranks - 0.5) ** 2) / len(values))
    if len(at) > _KNOTS:
        kept = np.unique(np.searchsorted(ranks, np.linspace(ranks[0], ranks[-1], _KNOTS)))
        at, ranks = at[kept], ranks[kept]
    if at[0] > ends[0]:
        at, ranks = np.append(ends[0], at), np.append(0.0, ranks)
    if at[-1] < ends[1]:
        at, ranks = np.append(at, ends[1]), np.append(ranks, 1.0)
    both = (at - mean) / sd + (ranks - 0.5) / rank_sd
    read = np.interp(values, at, both)
    return at, mean + (both - read.mean()) * (sd / float(read.std()))


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
            at, read_as = read_at(values, settings.lowest, settings.highest)
            return Reading(
                names=("score",),
                read=lambda one: np.interp(one, at, read_as)[:, None],
                floors=(scale / (2 * math.sqrt(len(values))),),
                single=SINGLE,
                means=MEANS,
                parameters={
                    "lowest": settings.lowest,
                    "highest": settings.highest,
                    "read_at": at.tolist(),
                    "read_as": read_as.tolist(),
                },
                unseen=tuple(end for end in (settings.lowest, settings.highest) if end not in seen),
                widening=True,
            )

        return _values.learn(KIND, points, settings, seed, prepare)

    def step(self, baseline: Baseline, state: State, point: Values) -> tuple[State, Verdict]:
        """The state after one window of scores. NotThisBaseline for a baseline of another kind."""
        return _values.step(KIND, baseline, state, point, _read)


def _read(baseline: Baseline, values: Floats) -> Floats:
    held = np.clip(values, baseline.number("lowest"), baseline.number("highest"))
    # Baselines learned before ranks were read have values alone.
    if "read_at" in baseline.parameters:
        held = np.interp(held, baseline.numbers("read_at"), baseline.numbers("read_as"))
    return held[:, None]
