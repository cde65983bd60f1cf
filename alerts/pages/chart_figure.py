"""The chart of a monitor: windows, the smoothed statistic, its limits and centre, alarms, changes, n. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from alerts.monitors.states import PointState
from alerts.pages import words
from alerts.pages.units import PLAIN
from alerts.read.charted import told_of
from alerts.read.points import PointRow
from telltale.lib import charts
from telltale.lib import format as fmt

# Room for the labels at line ends: as much as the longest of them takes.
RIGHT, RIGHT_MOST, LETTER, TICKS_MAX = 104.0, 190.0, 7.2, 9
SIZE, STATISTIC_SIZE = (1060, 330), (1060, 190)
# Beyond so many windows a hollow circle each would be a smear.
RINGS_MAX = 260
ROWS_MAX = 120
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS = tuple(
    timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 180, 360, 720, 1440, 2880, 10_080, 20_160, 40_320)
)


@dataclass(frozen=True, slots=True)
class Marked:
    """A change drawn on the chart: when, its name, whether it is the one to suspect."""

    at: datetime
    name: str
    is_hot: bool = False


@dataclass(frozen=True)
class Sketch:
    """What all pictures of one chart share: its windows, its time, its words. `length`: of a window."""

    name: str
    unit: charts.Unit
    points: Sequence[PointRow]
    start: datetime
    end: datetime
    zone: ZoneInfo
    length: timedelta
    every: int
    smoothed: str  # what the smoothed line is called: "EWMA"

    @cached_property
    def right(self) -> float:
        """The room at the right, the same for all pictures of the chart."""
        last = next((point for point in reversed(self.points) if point.shown_level is not None), None)
        values = (last.shown_level, last.shown_low, last.shown_high) if last is not None else ()
        longest = max((len(self.unit.text(value)) for value in values if value is not None), default=0)
        return min(max(RIGHT, 16 + LETTER * (longest + len(self.smoothed) + 1)), RIGHT_MOST)

    @property
    def x_range(self) -> tuple[float, float]:
        return self.start.timestamp(), self.end.timestamp()


def chart(
    sketch: Sketch,
    changes: Sequence[Marked],
    behind: Callable[[PointRow], str],
    href: Callable[[PointRow], str],
    finding: str,
    note: str,
    levels_set: Sequence[charts.Limit] = (),
) -> charts.Figure | None:
    """Values, the smoothed level with limits and centre, alarms and changes; None with nothing to draw.

    A strip of the picture leads to what is `behind` a window, else to what was said of it (`href`), as rows do.
    `levels_set`: levels that people set, drawn where they are not far from all that is there.
    """
    points = sketch.points
    if not any(point.now_value is not None for point in points):
        return None
    xs, at = _xs(sketch)
    levels = _column(points, at, lambda point: point.shown_level)
    values = _column(points, at, lambda point: point.now_value)
    highs, lows = (
        _column(points, at, lambda point: point.shown_high),
        _column(points, at, lambda point: point.shown_low),
    )
    centres = _column(points, at, lambda point: _number(told_of(point).get("centre")))
    is_smoothed = any(value is not None for value in levels)
    known = [value for column in (values, highs, lows, levels) for value in column if value is not None]
    lowest, highest = min(known), max(known)
    main = levels if is_smoothed else values
    from_zero = 0 <= lowest < 0.35 * highest
    band_low, band_high = _sides(lows, highs, 0.0 if from_zero else lowest, highest)
    lines = [
        charts.Line(xs, centres, "c-base"),
        charts.Line(xs, highs, "c-limit", end=_end("Upper", highs, sketch.unit)),
        charts.Line(xs, lows, "c-limit", end=_end("Lower", lows, sketch.unit)),
        charts.Line(
            xs,
            main,
            "c-line ink" if is_smoothed else "c-line",
            low=band_low,
            high=band_high,
            band_css="c-band",
            end=_end(sketch.smoothed if is_smoothed else "Now", main, sketch.unit),
            end_css="t-ink",
        ),
    ]
    picture = charts.line_picture(
        lines,
        time_ticks(sketch.start, sketch.end, sketch.zone),
        sketch.unit,
        x_range=sketch.x_range,
        size=SIZE,
        right=sketch.right,
        from_zero=from_zero,
        grid=6,
        limits=[each for each in levels_set if 2 * lowest - highest <= each.value <= max(3 * highest, 0)],
        events=[charts.Event(each.at.timestamp(), each.name, each.is_hot) for each in changes],
        marks=_marks(points, is_smoothed),
        spots=[
            charts.Spot(
                point.start_at.timestamp(),
                point.end_at.timestamp(),
                (behind(point) if point.now_n else "") or href(point),
                title(sketch, point),
            )
            for point in points
        ],
    )
    drawn = [value for value in values if value is not None]
    outs = sum(point.came_to is PointState.OUT for point in points)
    sentence = (
        f"{sketch.name}: {len(drawn)} windows drawn, between {sketch.unit.text(min(drawn))} and "
        f"{sketch.unit.text(max(drawn))}; {outs} beyond a limit."
    )
    return charts.Figure(
        finding=finding,
        note=note,
        sentence=sentence,
        picture=picture,
        head=("Window", "n", "Value", sketch.smoothed, "Lower limit", "Upper limit", "State"),
        rows=tuple(_row(sketch, point, href(point)) for point in reversed(points[-ROWS_MAX:])),
        legend=_legend(sketch, is_smoothed, any(value is not None for value in (*lows, *highs)), bool(outs)),
    )


def units_strip(sketch: Sketch, noun: str) -> charts.Figure | None:
    """How many units each window stands for, below the chart; None where no window holds any."""
    points = sketch.points
    most = max((point.now_n for point in points), default=0)
    if not most:
        return None
    bars = [
        charts.Bar(point.start_at.timestamp(), point.end_at.timestamp(), float(point.now_n)) for point in sketch.points
    ]
    picture = charts.strip_picture(bars, charts.COUNT, x_range=sketch.x_range, right=sketch.right)
    sentence = f"{noun} in each window, at most {fmt.count(most)}."
    return charts.Figure(
        finding=f"{noun} in each window",
        note=" Limits widen where a window holds fewer." if any(each.shown_high is not None for each in points) else "",
        sentence=sentence,
        picture=picture,
        head=(),
        rows=(),
    )


def statistic(sketch: Sketch, rule: str, note: str) -> charts.Figure | None:
    """One rule on its own scale with the limits each window was judged by; None where it never spoke."""
    told = [rules_of(point).get(rule) for point in sketch.points]
    if sum(one is not None for one in told) < 2:
        return None
    xs, at = _xs(sketch)

    def column(part: int) -> list[float | None]:
        found: list[float | None] = [None] * len(at)
        for place, index in enumerate(at):
            one = None if index is None else told[index]
            found[place] = one[part] if one else None
        return found

    values, lows, highs = column(0), column(1), column(2)
    known = [value for part in (values, lows, highs) for value in part if value is not None]
    band_low, band_high = _sides(lows, highs, min(known), max(known))
    unit = PLAIN
    line = charts.Line(
        xs,
        values,
        "c-line ink",
        low=band_low,
        high=band_high,
        band_css="c-band",
        end=_end("Now", values, unit),
        end_css="t-ink",
    )
    picture = charts.line_picture(
        [
            charts.Line(xs, highs, "c-limit", end=_end("Upper", highs, unit)),
            charts.Line(xs, lows, "c-limit", end=_end("Lower", lows, unit)),
            line,
        ],
        time_ticks(sketch.start, sketch.end, sketch.zone),
        unit,
        x_range=sketch.x_range,
        size=STATISTIC_SIZE,
        right=sketch.right,
        from_zero=min(known) >= 0,
    )
    last = next(value for value in reversed(values) if value is not None)
    return charts.Figure(
        finding=f"{rule}, on its own scale",
        note=f" {note}",
        sentence=f"{rule}: now {unit.text(last)}, between {unit.text(min(known))} and {unit.text(max(known))}.",
        picture=picture,
        head=(),
        rows=(),
    )


def rules_of(point: PointRow) -> Mapping[str, tuple[float, float | None, float | None]]:
    """What every rule said of a window: its statistic and its limits, by name, the first one leading."""
    found: dict[str, tuple[float, float | None, float | None]] = {}
    for one in told_of(point).get("rules", ()):
        value = _number(one.get("statistic"))
        if value is not None:
            found[str(one.get("rule", ""))] = (value, _number(one.get("low")), _number(one.get("high")))
    return found


def title(sketch: Sketch, point: PointRow) -> str:
    """What stands under the pointer."""
    said = words.POINTS[point.came_to][1].lower()
    value = sketch.unit.text(point.now_value) if point.now_value is not None else "no value"
    return f"{window_words(point, sketch.zone)}: {value}, n = {point.now_n:,}, {said}"


def window_words(point: PointRow, zone: ZoneInfo) -> str:
    """ "Thu 19 Nov 10:00–11:00"."""
    # A page has a thousand of these: strftime took a fifth of its time.
    start, end = point.start_at.astimezone(zone), point.end_at.astimezone(zone)
    days = f"{_DAYS[start.weekday()]} {start.day} {_MONTHS[start.month - 1]}"
    if point.end_at - point.start_at >= timedelta(hours=23):
        last = end - timedelta(minutes=1)
        return days if last.date() == start.date() else f"{days} to {last.day} {_MONTHS[last.month - 1]}"
    return f"{days} {start.hour:02}:{start.minute:02}{fmt.EN_DASH}{end.hour:02}:{end.minute:02}"


def time_ticks(start: datetime, end: datetime, zone: ZoneInfo) -> list[tuple[float, str]]:
    """At most TICKS_MAX times of the wall clock within [start, end]: hours, or days by name."""
    step = next((step for step in _STEPS if (end - start) / step <= TICKS_MAX), _STEPS[-1])
    first = start.astimezone(zone)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    wall = first.replace(tzinfo=None)
    at = midnight + ((wall - midnight) // step) * step
    found: list[tuple[float, str]] = []
    while len(found) <= TICKS_MAX + 1:
        moment = at.replace(tzinfo=zone)
        if moment.timestamp() > end.timestamp():
            break
        if moment.timestamp() >= start.timestamp():
            found.append((moment.timestamp(), _tick(at, step, is_first=not found)))
        at += step
    return found


def _tick(at: datetime, step: timedelta, *, is_first: bool) -> str:
    if step >= timedelta(days=1):
        return f"{at:%a} {at.day}" if step == timedelta(days=1) and not is_first else f"{at.day} {at:%b}"
    return f"{at.day} {at:%b}" if at.hour == at.minute == 0 else f"{at:%H:%M}"


def _xs(sketch: Sketch) -> tuple[list[float], list[int | None]]:
    """The middle of each window, and which point lies there: None stands where windows are missing."""
    points, near = sketch.points, sketch.length * (sketch.every + 0.5)
    xs: list[float] = []
    at: list[int | None] = []
    for index, point in enumerate(points):
        if index and point.start_at - points[index - 1].end_at > near:
            xs.append((points[index - 1].end_at.timestamp() + point.start_at.timestamp()) / 2)
            at.append(None)
        xs.append((point.start_at.timestamp() + point.end_at.timestamp()) / 2)
        at.append(index)
    return xs, at


def _column(
    points: Sequence[PointRow], at: Sequence[int | None], of: Callable[[PointRow], float | None]
) -> list[float | None]:
    return [None if index is None else of(points[index]) for index in at]


def _sides(
    lows: Sequence[float | None], highs: Sequence[float | None], lowest: float, highest: float
) -> tuple[list[float | None], list[float | None]]:
    """The band of the limits; a side without one is open to the edge of what is drawn."""
    below: list[float | None] = []
    above: list[float | None] = []
    for low, high in zip(lows, highs, strict=True):
        is_there = low is not None or high is not None
        below.append((lowest if low is None else low) if is_there else None)
        above.append((highest if high is None else high) if is_there else None)
    return below, above


def _marks(points: Sequence[PointRow], is_smoothed: bool) -> list[charts.Mark]:
    many = sum(point.now_value is not None for point in points) > RINGS_MAX
    found = []
    for point in points:
        x = (point.start_at.timestamp() + point.end_at.timestamp()) / 2
        if is_smoothed and point.now_value is not None:
            found.append(charts.Mark(x, point.now_value, "c-pt", 1.5 if many else 2.5))
        y = point.shown_level if is_smoothed and point.shown_level is not None else point.now_value
        if y is not None and point.came_to is PointState.OUT and point.alarm_id is None:
            found.append(charts.Mark(x, y, "c-alertf", 2.5))
        if y is not None and point.alarm_id is not None:
            found.append(charts.Mark(x, y, "c-alert", 5.5))
    return found


def _end(word: str, values: Sequence[float | None], unit: charts.Unit) -> str:
    last = next((value for value in reversed(values) if value is not None), None)
    return "" if last is None else f"{word} {unit.text(last)}"


def _legend(sketch: Sketch, is_smoothed: bool, has_limits: bool, has_outs: bool) -> tuple[tuple[str, str], ...]:
    found = []
    if is_smoothed:
        found += [("l-ink", sketch.smoothed), ("l-pt", "value of a window")]
    else:
        found.append(("l-line", "value of a window"))
    if has_limits:
        found.append(("l-band", "within limits"))
    if has_outs:
        found += [("l-alert", "alarm"), ("l-out", "beyond a limit while the alarm goes on")]
    return tuple(found)


def _row(sketch: Sketch, point: PointRow, href: str) -> charts.Row:
    unit = sketch.unit

    def cell(value: float | None, missing: str) -> str:
        return unit.text(value) if value is not None else missing

    return charts.Row(
        (
            window_words(point, sketch.zone),
            f"{point.now_n:,}",
            cell(point.now_value, "none"),
            cell(point.shown_level, "not drawn"),
            cell(point.shown_low, "none"),
            cell(point.shown_high, "none"),
            words.POINTS[point.came_to][1] + (" (alarm)" if point.alarm_id is not None else ""),
        ),
        href,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
