"""Which detector charts a series, with which settings, and which one a stored baseline belongs to.

Kinds and methods are those of `alerts.monitors.states`, as plain words: detectors lie below monitors.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from alerts.detectors.base import Baseline, Detector, NotThisBaseline, Settings
from alerts.detectors.cost import Cost, CostSettings
from alerts.detectors.counts import Counts, CountSettings
from alerts.detectors.embeddings import Embeddings
from alerts.detectors.latency import Latency, LatencySettings
from alerts.detectors.points import Categories as Categories
from alerts.detectors.points import Count as Count
from alerts.detectors.points import Level as Level
from alerts.detectors.points import Point
from alerts.detectors.points import Share as Share
from alerts.detectors.points import Values as Values
from alerts.detectors.points import Vectors as Vectors
from alerts.detectors.scores import Scores, ScoreSettings
from alerts.detectors.shares import Shares, ShareSettings
from alerts.detectors.vectors import VectorSettings

Sides = Literal["both", "up", "down"]
AnyDetector = Detector[Any, Any]

# One detector of each baseline's kind: what stored baselines are stepped by.
DETECTORS: dict[str, AnyDetector] = {
    one.kind: one for one in (Shares(), Scores(), Latency(), Cost(), Counts(), Embeddings())
}
_OF_KIND = {"share": "share", "score": "score", "time": "latency", "cost": "cost", "count": "count", "vector": "vector"}
# Values that make a point of a chart of means where nothing else is asked for.
_VALUES_A_MEAN = 50
_DAY_HOURS = 24.0


def detector_of(baseline: Baseline) -> AnyDetector:
    """The detector that `baseline` was learned by. NotThisBaseline for a kind that is unknown."""
    found = DETECTORS.get(baseline.kind)
    if found is None:
        raise NotThisBaseline(f"no detector knows a baseline of kind {baseline.kind}")
    return found


def detector_for(kind: str, method: str = "chart", points: Sequence[Point] = ()) -> AnyDetector:
    """The detector to learn a series of `kind` by `method` from `points`. ValueError where there is none."""
    name = _OF_KIND.get(kind) if method == "chart" else None
    if name is None:
        raise ValueError(f"a series of kind {kind} is not charted by {method}")
    return DETECTORS[name]


def settings_for(
    kind: str,
    method: str = "chart",
    *,
    arl0: float,
    direction: Sides = "both",
    least_n: int = 1,
    window: timedelta = timedelta(hours=1),
    lowest: float = 1.0,
    highest: float = 5.0,
    worse: Literal["up", "down"] | None = None,
) -> Settings:
    """The settings of the detector that `detector_for` gives.

    `arl0`: windows until a false alarm. `direction`: where alarms may come from; "both" splits the budget as the kind
    does, four fifths to the side that is `worse` where that is known. `least_n`: values that make a point of means
    (1: the kind's own). `window`: its length. `lowest`, `highest`: the ends of a scale of scores. ValueError for a kind
    that is unknown.
    """
    up = {"up": 1.0, "down": 0.0}.get(direction)
    if up is None and worse is not None:
        up = 0.8 if worse == "up" else 0.2
    sides: dict[str, Any] = {} if up is None else {"up_share": up}
    means = {"window": least_n if least_n > 1 else _VALUES_A_MEAN}
    if kind == "share":
        return ShareSettings(arl0, **sides)
    if kind == "score":
        # A fall of scores is what people fear: a twentieth for rises unless more was asked for.
        only = {} if direction == "both" and worse == "down" else sides
        return ScoreSettings(arl0, **only, **means, lowest=lowest, highest=highest)
    if kind == "time":
        return LatencySettings(arl0, **({} if direction == "both" and worse == "up" else sides), **means)
    if kind == "cost":
        return CostSettings(arl0, **sides, **means)
    if kind == "count":
        windows_a_day = max(1, round(_DAY_HOURS / (window / timedelta(hours=1))))
        return CountSettings(arl0, **sides, windows_a_day=windows_a_day)
    if kind == "vector":
        return VectorSettings(arl0)
    raise ValueError(f"there is no series of kind {kind}")
