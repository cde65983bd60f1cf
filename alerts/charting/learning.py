"""From windows held to be normal to a frozen baseline: when it is tried, and what a refusal leads to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.charting.types import Collected, Learning, NewBaseline, Recall
from alerts.detectors.base import Baseline, NotStable, TooLittle
from alerts.detectors.registry import detector_for, settings_for
from alerts.monitors.states import Kind
from alerts.monitors.types import Definition, Metric

# A run length under this would be no watch at all; the budget never goes below (alerts.stats.budget.ARL0_LEAST).
_ARL0_LEAST = 2.0
# Nothing older than this is learned from: what windows held is kept no longer.
STRETCH_MOST = timedelta(days=90)
_DAY = timedelta(days=1)
# Kinds whose drawn values multiply rather than add: their middle is the geometric one.
_BY_RATIO = {Kind.TIME, Kind.COST}


@dataclass(frozen=True, slots=True)
class Tried:
    """What one look at the collected windows came to: a baseline, or learning as it goes on (not both)."""

    learning: Learning | None
    baseline: NewBaseline | None


def learn(
    points: Sequence[Collected], definition: Definition, metric: Metric, arl0: float, seed: int, no: int, reason: str
) -> NewBaseline | NotStable | TooLittle:
    """The frozen baseline of `points` (oldest first), or why there is none; the same for the same arguments.

    `arl0`: windows until a false alarm. `NotStable.at` and its limits are positions in `points`.
    """
    if not points:
        return TooLittle(0, 1, "windows")
    held = [point.data for point in points]
    detector = detector_for(metric.kind, definition.method, held)  # type: ignore[arg-type]
    settings = settings_for(
        metric.kind,
        definition.method,
        arl0=max(arl0, _ARL0_LEAST),
        direction=definition.direction,
        least_n=definition.least_n,
        window=definition.window,
        lowest=metric.lowest,
        highest=metric.highest,
        worse=metric.worse,
    )
    found = detector.learn(held, settings, seed)
    if not isinstance(found, Baseline):
        return found
    return NewBaseline(
        no=no,
        learned=found,
        start=points[0].start,
        end=points[-1].end,
        n=sum(point.n for point in points),
        windows=len(points),
        centre=_centre(points, metric.kind in _BY_RATIO),
        excluded=tuple(points[at].start for at in found.excluded if at < len(points)),
        reason=reason,
    )


def collect(learning: Learning, window: Collected) -> Learning:
    """Learning with one window more, unless it lies outside of the stretch people chose."""
    if learning.start is not None and window.start < learning.start:
        return learning
    return replace(
        learning,
        first=learning.first or window.start,
        windows=learning.windows + 1,
        here=(*learning.here, window),
    )


def is_due(learning: Learning, end: datetime) -> bool:
    """Whether the windows up to `end` are to be looked at now."""
    if learning.first is None or learning.windows < learning.next_at:
        return False
    if learning.end is not None:
        return end >= learning.end
    return (end - learning.first) / _DAY >= learning.days


def attempt(
    learning: Learning,
    definition: Definition,
    metric: Metric,
    arl0: float,
    seed: int,
    no: int,
    end: datetime,
    recall: Recall | None,
) -> Tried:
    """One look at everything collected up to `end`. ValueError where windows are missing and `recall` is."""
    points = _all(learning, end, recall)
    if learning.end is not None:
        # A chosen stretch: what came after its end is collected too, and used only where the stretch is not enough.
        chosen = [point for point in points if point.end <= learning.end]
        if learning.have == 0 and learning.split_at is None and chosen:
            points = chosen
    found = learn(points, definition, metric, arl0, seed, no, _reason(learning))
    if isinstance(found, NewBaseline):
        return Tried(None, found)
    if isinstance(found, TooLittle):
        missing = (found.need - found.have) / max(found.have, 1)
        wait = min(max(1, math.ceil(learning.windows * missing)), max(1, learning.windows // 4))
        return Tried(
            replace(
                learning,
                next_at=learning.windows + wait,
                have=found.have,
                need=found.need,
                what=found.what,
            ),
            None,
        )
    at = min(max(found.at, 1), len(points) - 1)
    rest = tuple(points[at:])
    if not rest:
        return Tried(replace(learning, first=None, windows=0, here=(), next_at=0), None)
    split = rest[0].start
    return Tried(
        Learning(
            start=split,
            days=learning.days,
            first=split,
            windows=len(rest),
            here=rest,
            next_at=len(rest) + 1,
            split_at=split,
            stale=learning.stale,
        ),
        None,
    )


def words(learning: Learning, at: datetime | None = None) -> str:
    """How far learning is at `at` (None: by what is collected alone), in a line."""
    if learning.first is None:
        return "learning: nothing to learn from so far"
    if learning.need:
        return f"learning: {learning.have} of {learning.need} {learning.what}"
    if learning.end is not None:
        return f"learning from the stretch until {learning.end:%Y-%m-%d %H:%M} UTC"
    if at is not None:
        return f"learning: {min((at - learning.first) / _DAY, learning.days):.1f} of {learning.days:g} days"
    return f"learning: {learning.windows} windows collected"


def _all(learning: Learning, end: datetime, recall: Recall | None) -> list[Collected]:
    points = list(learning.here)
    if learning.windows > len(points) and learning.first is not None:
        if recall is None:
            raise ValueError(f"{learning.windows - len(points)} collected windows are kept elsewhere: recall is needed")
        before = points[0].start if points else end
        points = [*recall(learning.first, before), *points]
    earliest = end - STRETCH_MOST
    return [point for point in points if point.start >= earliest]


def _reason(learning: Learning) -> str:
    if learning.split_at is not None:
        return "learned after a change: what came before did not hold together with it"
    if learning.stale:
        return f"learned anew: {learning.stale}"
    if learning.start is not None:
        return "learned from the stretch that was chosen"
    return "learned from the first windows that hold together"


def _centre(points: Sequence[Collected], by_ratio: bool) -> float | None:
    """The middle of what was drawn, weighted by n; the geometric one where values multiply."""
    drawn = [(point.value, point.n) for point in points if point.value is not None and point.n > 0]
    if by_ratio:
        drawn = [(math.log(value), n) for value, n in drawn if value > 0]
    total = math.fsum(n for _, n in drawn)
    if not total:
        return None
    mean = math.fsum(value * n for value, n in drawn) / total
    return math.exp(mean) if by_ratio else mean
