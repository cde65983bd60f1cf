"""Times: duration, time to first token, time per token. The body by logs, the tail by what lies beyond the baseline's.

A chart of raw times follows a few giants, and one of 1{x > p95} alone throws away how far beyond they are. The tail is
read as min(max(0, log(x / p)), log cap), p a high percentile of the baseline: nothing below p, no giant over cap·p. The
logs of the body are held within the same bounds.
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

KIND = "latency"

# Within a tenth of the best reading of a tail there is for 5 % of calls made five times slower (.24 sd of
# at most .27; 1{x > p95} has .19), and it still sees all of them made a third slower (.29 sd).
TAIL_FROM = 0.85
TAIL_CAP = 4.0
SINGLE = (Rule("body, EWMA 0.03", 0, 0.03, 0.12), Rule("tail, EWMA 0.02", 1, 0.02, 0.88))
MEANS = (
    Rule("body, EWMA 0.1", 0, 0.1, 0.3),
    Rule("tail, EWMA 0.1", 1, 0.1, 0.4),
    Rule("body, one point", 0, 1.0, 0.15),
    Rule("tail, one point", 1, 1.0, 0.15),
)
# Below this, in the unit of the series, a time is a clock that did not tick.
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class LatencySettings(ValueSettings):
    """Times of answers that came: failures are quick and belong to a series of their own."""

    up_share: float = 0.9
    values_min: int = 400


class Latency:
    """The detector of times, in any one unit. Stratify by model and streaming before: a change of mix is not slow."""

    kind = KIND

    def learn(self, points: Sequence[Values], settings: LatencySettings, seed: int) -> Baseline | NotStable | TooLittle:
        """A frozen body and tail with their limits by resampling, the error of the percentile within.

        Assumes values over 0 (others count as the least). TooLittle under 400 values and 50 windows; NotStable for a
        change of the body within. Source: statistics.md 3.3; the tail as the excess of Hill 1975, cut at log cap.
        """

        def prepare(values: Floats) -> Reading:
            least, threshold = np.quantile(np.maximum(values, _LEAST), [1 - TAIL_FROM, TAIL_FROM]).tolist()
            sd = float(np.log(np.maximum(values, _LEAST)).std(ddof=1))
            # Times that are all alike: a tenth more or less is then one sd.
            floor = 0.1 if sd < 1e-6 else 0.0
            return Reading(
                names=("body", "tail"),
                read=lambda one: _channels(one, least, threshold),
                floors=(floor, max(floor, math.log(TAIL_CAP) / (2 * math.sqrt(len(values))))),
                single=SINGLE,
                means=MEANS,
                parameters={"head_from": least, "tail_from": threshold},
            )

        return _values.learn(KIND, points, settings, seed, prepare)

    def step(self, baseline: Baseline, state: State, point: Values) -> tuple[State, Verdict]:
        """The state after one window of times. NotThisBaseline for a baseline of another kind."""
        return _values.step(KIND, baseline, state, point, _read)


def _read(baseline: Baseline, values: Floats) -> Floats:
    return _channels(values, baseline.number("head_from"), baseline.number("tail_from"))


def _channels(values: Floats, least: float, threshold: float) -> Floats:
    """Body and tail (n, 2): logs held within a factor of TAIL_CAP of both percentiles, and how far beyond the upper."""
    cap = math.log(TAIL_CAP)
    logs = np.log(np.maximum(values, _LEAST))
    body = np.clip(logs, math.log(least) - cap, math.log(threshold) + cap)
    return np.column_stack([body, np.clip(logs - math.log(threshold), 0.0, cap)])
