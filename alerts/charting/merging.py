"""Windows that hold too little are joined with those after them."""

from __future__ import annotations

from datetime import timedelta

from alerts.detectors.base import Baseline
from alerts.monitors.types import Categories, Count, Data, Definition, Share, Values, Vectors

# Windows wait to be merged for so long; then there was too little (statistics.md 3).
WAIT_MOST = timedelta(hours=24)


def merged(earlier: Data, later: Data) -> Data | None:
    """Both windows as one; None for what cannot be joined (a count belongs to its hour, a level to its moment)."""
    match earlier, later:
        case Share(), Share():
            return Share(earlier.k + later.k, earlier.n + later.n)
        case Values(), Values():
            weights: tuple[float, ...] | None = None
            if earlier.weights is not None or later.weights is not None:
                weights = (*_weights(earlier), *_weights(later))
            return Values((*earlier.values, *later.values), weights)
        case Categories(), Categories():
            sums = dict(earlier.counts)
            for name, count in later.counts:
                sums[name] = sums.get(name, 0) + count
            return Categories(tuple(sums.items()))
        case Vectors(), Vectors():
            return Vectors((*earlier.rows, *later.rows), (*earlier.traces, *later.traces))
    return None


def is_enough(n: int, data: Data, definition: Definition, baseline: Baseline | None) -> bool:
    """Whether `n` units, of which a detector has `data`, can be judged: a count always, it is its own n."""
    if isinstance(data, Count):
        return True
    if isinstance(data, Values):
        least = baseline.parameters.get("window", 1) if baseline is not None else 1
        if isinstance(least, int | float) and len(data.values) < least:
            return False
    # What is a reading without any unit (a level of nothing, silence) is enough where nobody asks for units.
    return definition.least_n <= 1 or n >= definition.least_n


def _weights(values: Values) -> tuple[float, ...]:
    return values.weights if values.weights is not None else (1.0,) * len(values.values)
