"""Cost of a trace: the level by mean logs, shifted so that nothing costs nothing. Free traces are a share of their own.

The share of traces that cost nothing (cache hits) is charted by `shares`; money in sum against what the hour of the
week is used to by `counts`. Unpriced generations are counted apart before any of it: they never cost 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alerts.detectors import _values
from alerts.detectors._values import Reading, Values, ValueSettings
from alerts.detectors.base import Baseline, NotStable, State, TooLittle, Verdict
from alerts.stats.resampling import Floats, Rule

KIND = "cost"

SINGLE = (Rule("EWMA 0.03", 0, 0.03, 0.5), Rule("EWMA 0.1", 0, 0.1, 0.5))
MEANS = (Rule("EWMA 0.1", 0, 0.1, 0.8), Rule("one point", 0, 1.0, 0.2))
_LEAST_AT = 0.05


@dataclass(frozen=True, slots=True)
class CostSettings(ValueSettings):
    """Costs of priced traces, in one currency."""

    up_share: float = 0.8
    values_min: int = 400


class Cost:
    """The detector of costs a trace."""

    kind = KIND

    def learn(self, points: Sequence[Values], settings: CostSettings, seed: int) -> Baseline | NotStable | TooLittle:
        """A frozen mean of log(cost + c), c a small positive cost of the baseline (statistics.md 3.4).

        Assumes costs of 0 or more; ValueError otherwise. TooLittle under 400 traces and 50 windows, or where every
        trace was free; NotStable for a change within.
        """
        costs = np.array([one for point in points for one in point.values], dtype=np.float64)
        if (costs < 0).any():
            raise ValueError("a cost is 0 or more")
        if len(costs) and not (costs > 0).any():
            return TooLittle(0, 1, "traces that cost anything")

        def prepare(values: Floats) -> Reading:
            # The smallest of thousands would be next to nothing, and free traces all of the spread.
            least = float(np.quantile(values[values > 0], _LEAST_AT))
            # Costs that are all alike: a tenth more or less is then one sd.
            floor = 0.1 if float(np.log(values + least).std(ddof=1)) < 1e-6 else 0.0
            return Reading(
                names=("cost",),
                read=lambda one: np.log(one + least)[:, None],
                floors=(floor,),
                single=SINGLE,
                means=MEANS,
                parameters={"least": least},
            )

        return _values.learn(KIND, points, settings, seed, prepare)

    def step(self, baseline: Baseline, state: State, point: Values) -> tuple[State, Verdict]:
        """The state after one window of costs. NotThisBaseline for a baseline of another kind."""
        return _values.step(KIND, baseline, state, point, _read)


def _read(baseline: Baseline, values: Floats) -> Floats:
    return np.log(np.maximum(values, 0.0) + baseline.number("least"))[:, None]
