"""The last days of a monitor as a sparkline with its limits, and in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.monitors.states import PointState
from alerts.read.shown import SparkPoint
from telltale.lib.charts import Unit

WIDTH, HEIGHT, EDGE = 96.0, 24.0, 3.0


@dataclass(frozen=True, slots=True)
class Spark:
    """A sparkline of 96 by 24: the band of the limits, the line, its last point, and what it shows in words."""

    band: str
    line: str
    x: float
    y: float
    is_out: bool
    outs: tuple[tuple[float, float], ...]
    sentence: str


def spark(points: Sequence[SparkPoint], start: datetime, length: timedelta, unit: Unit) -> Spark | None:
    """The curve of `points` over [start, start + length); None with fewer than two that have a value."""
    known = [(point, point.value) for point in points if point.value is not None]
    if len(known) < 2:
        return None
    edges = [edge for point, _ in known for edge in (point.shown_low, point.shown_high) if edge is not None]
    values = [value for _, value in known]
    low, high = min(values + edges), max(values + edges)

    def x(at: datetime) -> float:
        return round(EDGE + (at - start) / length * (WIDTH - 2 * EDGE), 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE), 1)

    parts, before = [], False
    for point in points:
        parts += [] if point.value is None else [f"{'L' if before else 'M'}{x(point.start):g} {y(point.value):g}"]
        before = point.value is not None
    outs = [(x(point.start), y(value)) for point, value in known if point.state is PointState.OUT]
    last, value = known[-1]
    words = f"7 days, between {unit.text(min(values))} and {unit.text(max(values))}"
    words += f", beyond its limits in {len(outs)} of {len(known)} windows drawn" if outs else ""
    return Spark(
        band=_band(points, x, y, low, high),
        line="".join(parts),
        x=x(last.start),
        y=y(value),
        is_out=last.state is PointState.OUT,
        outs=tuple(outs),
        sentence=words,
    )


def _band(
    points: Sequence[SparkPoint], x: Callable[[datetime], float], y: Callable[[float], float], low: float, high: float
) -> str:
    drawn = [point for point in points if point.shown_low is not None or point.shown_high is not None]
    if len(drawn) < 2:
        return ""
    # A side without a limit is open to the edge of the picture.
    upper = "L".join(f"{x(each.start):g} {y(high if each.shown_high is None else each.shown_high):g}" for each in drawn)
    lower = "L".join(
        f"{x(each.start):g} {y(low if each.shown_low is None else each.shown_low):g}" for each in reversed(drawn)
    )
    return f"M{upper}L{lower}Z"
