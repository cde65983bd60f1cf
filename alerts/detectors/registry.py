"""Which detector charts a series, with which settings, and which one a stored baseline belongs to.

Kinds and methods are those of `alerts.monitors.states`, as plain words: detectors lie below monitors.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from alerts.detectors.base import Baseline, By, Detector, NotThisBaseline, Settings
from alerts.detectors.categories import CategoryMix, CategorySettings
from alerts.detectors.cost import Cost, CostSettings
from alerts.detectors.counts import Counts, CountSettings
from alerts.detectors.embeddings import Embeddings
from alerts.detectors.latency import Latency, LatencySettings
from alerts.detectors.levels import Levels, LevelSettings
from alerts.detectors.points import Categories as Categories
from alerts.detectors.points import Count as Count
from alerts.detectors.points import Level as Level
from alerts.detectors.points import Point
from alerts.detectors.points import Share as Share
from alerts.detectors.points import Values as Values
from alerts.detectors.points import Vectors as Vectors
from alerts.detectors.rare import Rare, suits
from alerts.detectors.scores import Scores, ScoreSettings
from alerts.detectors.shares import Shares, ShareSettings
from alerts.detectors.vectors import VectorSettings

Sides = Literal["both", "up", "down"]
AnyDetector = Detector[Any, Any]

# One detector of each baseline's kind: what stored baselines are stepped by.
DETECTORS: dict[str, AnyDetector] = {
    one.kind: one
    for one in (Shares(), Rare(), Scores(), Latency(), Cost(), Counts(), Levels(), CategoryMix(), Embeddings())
}
_OF_KIND = {
    "share": "share",
    "score": "score",
    "time": "latency",
    "cost": "cost",
    "count": "count",
    "level": "level",
    "category": "category",
    "vector": "vector",
}
_METHODS: tuple[By, ...] = ("chart", "cusum", "shewhart")
# Charted by their own rules alone: a test and a distance have no second side to sum up.
_BY_CHART_ALONE = ("category", "vector")
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
    """The detector to learn a series of `kind` by `method` from `points`: shares that are too rare have their own.

    ValueError for a kind or method that is unknown, or a kind that this method does not chart.
    """
    _method(kind, method)
    if kind == "share" and method == "chart" and suits([point for point in points if isinstance(point, Share)]):
        return DETECTORS["rare"]
    return DETECTORS[_OF_KIND[kind]]


def _method(kind: str, method: str) -> By:
    found = next((one for one in _METHODS if one == method), None)
    if found is None or kind not in _OF_KIND or (found != "chart" and kind in _BY_CHART_ALONE):
        raise ValueError(f"a series of kind {kind} is not charted by {method}")
    return found


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
    or a method that is unknown.
    """
    up = {"up": 1.0, "down": 0.0}.get(direction)
    if up is None and worse is not None:
        up = 0.8 if worse == "up" else 0.2
    by: dict[str, Any] = {"by": _method(kind, method)}
    sides: dict[str, Any] = by if up is None else {"up_share": up, **by}
    # What people fear of scores and times is in the kind's own split already.
    feared = by if direction == "both" and worse == {"score": "down", "time": "up"}.get(kind) else sides
    means: dict[str, Any] = {"window": least_n if least_n > 1 else _VALUES_A_MEAN}
    windows_a_day = _DAY_HOURS / (window / timedelta(hours=1))
    if kind == "share":
        return ShareSettings(arl0, **sides)
    if kind == "score":
        return ScoreSettings(arl0, **feared, **means, lowest=lowest, highest=highest)
    if kind == "time":
        return LatencySettings(arl0, **feared, **means)
    if kind == "cost":
        return CostSettings(arl0, **sides, **means)
    if kind == "count":
        return CountSettings(arl0, **sides, windows_a_day=windows_a_day)
    if kind == "level":
        return LevelSettings(arl0, **sides, windows_a_day=windows_a_day)
    return CategorySettings(arl0) if kind == "category" else VectorSettings(arl0)
