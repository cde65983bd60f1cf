"""An outcome over time: its figure a day with the interval as a band, the table that says the same, and a sparkline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from telltale.lib import charts
from traces.outcomes.ratio import Ratio, change
from traces.pages.outcome_words import axis, interval_words, lacking_words, noise_words, value_words
from traces.read.outcomes import Defined, Point

TICKS_MAX = 8
SPARK = (96.0, 24.0)


@dataclass(frozen=True, slots=True)
class Spark:
    """A sparkline of 96 by 24: the path, the last point, and what it shows in words."""

    d: str
    x: float
    y: float
    sentence: str


def figure(outcome: Defined, points: Sequence[Point], href: Callable[[Point], str]) -> charts.Figure | None:
    """The daily series; None with fewer than two days that have a figure."""
    known = [ratio_of(point) for point in points]
    drawn = [one for one in known if one is not None]
    if len(drawn) < 2:
        return None
    spec = outcome.spec
    xs = [(point.start.timestamp() + point.end.timestamp()) / 2 for point in points]
    line = charts.Line(
        xs,
        [one.value if one else None for one in known],
        low=[one.low if one else None for one in known],
        high=[one.high if one else None for one in known],
        has_dot=True,
    )
    x_range = (points[0].start.timestamp(), points[-1].end.timestamp())
    picture = charts.line_picture(
        [line],
        _ticks(points),
        axis(spec),
        x_range=x_range,
        from_zero=0 <= min(one.low for one in drawn) < 0.5 * max(one.high for one in drawn),
        spots=[
            charts.Spot(point.start.timestamp(), point.end.timestamp(), href(point), _title(outcome, point, one))
            for point, one in zip(points, known, strict=True)
        ],
    )
    low, high = min(one.value for one in drawn), max(one.value for one in drawn)
    return charts.Figure(
        finding=_finding(outcome, drawn),
        note="A point a day, by the first turn of each session; band: 95% interval. A gap: too little data.",
        sentence=f"{outcome.name} by day: between {value_words(spec, low)} and {value_words(spec, high)}.",
        picture=picture,
        head=("Day", "Figure", "Interval", "Sessions", "Not known"),
        rows=tuple(
            charts.Row(
                (
                    day_words(point.day),
                    value_words(spec, one.value) if one else _lacking(outcome, point),
                    interval_words(spec, one) if one else "none",
                    f"{point.n:,}",
                    f"{point.unknown:,}",
                ),
                href(point),
            )
            for point, one in zip(points, known, strict=True)
        ),
    )


def spark(outcome: Defined, points: Sequence[Point]) -> Spark | None:
    """The same as a sparkline; None with fewer than two days that have a figure."""
    known = [(at, point.ratio) for at, point in enumerate(points) if point.ratio is not None]
    if len(known) < 2:
        return None
    low, high = min(value for _, value in known), max(value for _, value in known)
    width, height = SPARK
    last = max(len(points) - 1, 1)

    def place(at: int, value: float) -> tuple[float, float]:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(4 + at / last * (width - 8), 1), round(height - 4 - share * (height - 8), 1)

    parts, before = [], None
    for at, value in known:
        x, y = place(at, value)
        parts.append(f"{'L' if before == at - 1 else 'M'}{x:g} {y:g}")
        before = at
    x, y = place(*known[-1])
    spec = outcome.spec
    words = f"{len(known)} days, between {value_words(spec, low)} and {value_words(spec, high)}"
    return Spark("".join(parts), x, y, words)


def ratio_of(point: Point) -> Ratio | None:
    """The figure of a day with its interval; None where there is too little data."""
    if point.ratio is None or point.low is None or point.high is None:
        return None
    return Ratio(point.ratio, point.low, point.high, point.n, point.method)


def day_words(day: date) -> str:
    """ "Thu 19 Nov"."""
    return f"{day:%a} {day.day} {day:%b}"


def _finding(outcome: Defined, drawn: Sequence[Ratio]) -> str:
    spec, first, last = outcome.spec, drawn[0], drawn[-1]
    values = f"{value_words(spec, first.value)} on the first day, {value_words(spec, last.value)} on the last"
    return f"{outcome.name}: {values}, {noise_words(spec, change(last, first))}"


def _title(outcome: Defined, point: Point, found: Ratio | None) -> str:
    if found is None:
        return f"{day_words(point.day)}: {_lacking(outcome, point)}"
    figure_ = f"{value_words(outcome.spec, found.value)}, {interval_words(outcome.spec, found)}"
    return f"{day_words(point.day)}: {figure_}, {point.n:,} sessions"


def _lacking(outcome: Defined, point: Point) -> str:
    return lacking_words(outcome.spec, point.lacking) if point.lacking else "none"


def _ticks(points: Sequence[Point]) -> list[tuple[float, str]]:
    shown = charts.spread(len(points), TICKS_MAX)
    return [
        ((point.start.timestamp() + point.end.timestamp()) / 2, f"{point.day.day} {point.day:%b}")
        for at, point in enumerate(points)
        if at in shown
    ]
