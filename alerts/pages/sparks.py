"""The last days of a monitor as a sparkline with its limits, and in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alerts.read.shown import STRETCHES, SparkPoint
from telltale.lib.charts import Unit

WIDTH, HEIGHT, EDGE = 96.0, 24.0, 3.0
# Where the stretches lie, from left to right.
XS = tuple(f"{EDGE + (at + 0.5) / STRETCHES * (WIDTH - 2 * EDGE):.1f}" for at in range(STRETCHES))


@dataclass(frozen=True, slots=True)
class Spark:
    """A sparkline of 96 by 24: the band of the limits, the line, its last point, and what it shows in words."""

    band: str
    line: str
    x: str
    y: str
    is_out: bool
    outs: tuple[tuple[str, str], ...]
    sentence: str


def spark(points: Sequence[SparkPoint], unit: Unit) -> Spark | None:
    """The curve of `points`; None with fewer than two that have a value."""
    known = [(point, point.value) for point in points if point.value is not None]
    if len(known) < 2:
        return None
    edges = [edge for point, _ in known for edge in (point.shown_low, point.shown_high) if edge is not None]
    values = [value for _, value in known]
    low, high = min(values + edges), max(values + edges)
    middle, scale = HEIGHT / 2, 0.0
    if high > low:
        middle, scale = HEIGHT - EDGE, (HEIGHT - 2 * EDGE) / (high - low)

    def y(value: float) -> str:
        return f"{middle - (value - low) * scale:.1f}"

    parts, before = [], False
    for point in points:
        if point.value is not None:
            parts.append(f"{'L' if before else 'M'}{XS[point.at]} {y(point.value)}")
        before = point.value is not None
    # As text: the template would ask of each number how the reader's country writes it.
    outs = tuple((XS[point.at], y(value)) for point, value in known if point.is_out)
    last, value = known[-1]
    words = f"7 days, between {unit.text(min(values))} and {unit.text(max(values))}"
    words += f", beyond its limits in {len(outs)} of {len(known)} windows drawn" if outs else ""
    return Spark(_band(points, y, low, high), "".join(parts), XS[last.at], y(value), last.is_out, outs, words)


def _band(points: Sequence[SparkPoint], y: Callable[[float], str], low: float, high: float) -> str:
    drawn = [point for point in points if point.shown_low is not None or point.shown_high is not None]
    if len(drawn) < 2:
        return ""
    # A side without a limit is open to the edge of the picture.
    upper = "L".join(f"{XS[each.at]} {y(high if each.shown_high is None else each.shown_high)}" for each in drawn)
    lower = "L".join(
        f"{XS[each.at]} {y(low if each.shown_low is None else each.shown_low)}" for each in reversed(drawn)
    )
    return f"M{upper}L{lower}Z"
