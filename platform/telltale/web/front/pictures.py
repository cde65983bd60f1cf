"""The small charts of the overview: one series with its limits, its alarm, and the same elsewhere in grey. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from alerts.monitors.types import Scope, Window
from alerts.pages import units
from alerts.pages import words as monitor_words
from alerts.pages.chart_figure import time_ticks
from alerts.read.fronted import CurvePoint, line_of
from alerts.series.links import behind
from telltale.lib import charts
from telltale.lib import format as fmt
from telltale.web.front import words
from telltale.web.front.values import Seen
from traces.read.cost_values import MonthForecast

SIZE = (384, 132)
LETTER, RIGHT_LEAST, RIGHT_MOST, LABEL_MOST = 6.6, 52.0, 112.0, 10
TICKS = 3
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS_LEAST = 3


def figure(
    seen: Seen, beside: Seen | None, start: datetime, end: datetime, zone: ZoneInfo, base: str
) -> charts.Figure | None:
    """The chart of one monitor over [start, end); None with fewer than two windows that have a value."""
    unit = words.unit_of(seen)
    is_smoothed = any(point.shown_level is not None for point in seen.curve)
    kept = line_of(seen.curve, is_smoothed=is_smoothed)
    points = [each for each in kept if each.value is not None]
    if len(points) < 2:
        return None
    xs = [_middle(point) for point in kept]
    main = [point.shown_level if is_smoothed else point.value for point in kept]
    lows, highs = _band(kept, main)
    last = next((value for value in reversed(main) if value is not None), None)
    is_out = seen.alarm is not None
    name = _named(seen.about.scope) or "Now"
    lines = []
    if beside is not None:
        lines += _beside(beside, unit)
    lines.append(
        charts.Line(
            xs, main, "c-line ink", low=lows, high=highs, band_css="c-band", end=f"{name} {unit.text(last)}",
            end_css="t-alert" if is_out else "t-ink",
        )
    )  # fmt: skip
    marks = [charts.Mark(xs[-1], main[-1], "c-alert", 4.5)] if is_out and main and main[-1] is not None else []
    known = [value for line in lines for part in (line.ys, line.low, line.high) for value in part if value is not None]
    from_zero = 0 <= min(known) < 0.35 * max(known)
    right = min(max(RIGHT_LEAST, 14 + LETTER * max(len(line.end) for line in lines)), RIGHT_MOST)
    picture = charts.line_picture(
        lines, _ticks(start, end, zone), unit, x_range=(start.timestamp(), end.timestamp()), size=SIZE, right=right,
        from_zero=from_zero, grid=3, marks=marks, spots=_spots(seen, zone, base),
    )  # fmt: skip
    values = [point.value for point in points if point.value is not None]
    outs = sum(point.is_out for point in seen.curve)
    sentence = (
        f"{words.series(seen)}{words.place(seen.about.scope)}: {len(points)} windows drawn, between "
        f"{unit.text(min(values))} and {unit.text(max(values))}; {outs} beyond a limit."
    )
    return charts.Figure(
        finding=sentence,
        note=_caption(seen, is_smoothed, beside),
        sentence=sentence[:1].upper() + sentence[1:],
        picture=picture,
        head=("Window", "n", "Value", "Smoothed", "Limits"),
        rows=tuple(_row(seen, point, zone) for point in reversed(seen.curve)),
        is_fit=True,
    )


def _beside(beside: Seen, unit: charts.Unit) -> list[charts.Line]:
    smoothed = any(point.shown_level is not None for point in beside.curve)
    kept = line_of(beside.curve, is_smoothed=smoothed)
    xs = [_middle(point) for point in kept]
    ys = [point.shown_level if smoothed else point.value for point in kept]
    last = next((value for value in reversed(ys) if value is not None), None)
    if last is None:
        return []
    name = _named(beside.about.scope) or ("Others" if "feature" in dict(beside.about.scope.values) else "All")
    return [charts.Line(xs, ys, "c-line grey", end=f"{name} {unit.text(last)}")]


def _band(points: Sequence[CurvePoint], main: Sequence[float | None]) -> tuple[list[float | None], list[float | None]]:
    """The limits as a band; a side without one is open to the edge of what is drawn."""
    known = [value for value in main if value is not None]
    known += [edge for point in points for edge in (point.shown_low, point.shown_high) if edge is not None]
    lowest, highest = min(known), max(known)
    lowest = 0.0 if 0 <= lowest < 0.35 * highest else lowest
    lows: list[float | None] = []
    highs: list[float | None] = []
    for point in points:
        is_there = point.shown_low is not None or point.shown_high is not None
        lows.append((lowest if point.shown_low is None else point.shown_low) if is_there else None)
        highs.append((highest if point.shown_high is None else point.shown_high) if is_there else None)
    return lows, highs


def _caption(seen: Seen, is_smoothed: bool, beside: Seen | None) -> str:
    """What is drawn, in which windows, and what the band is."""
    told = words.series(seen)
    parts = [told[:1].upper() + told[1:]]
    if is_smoothed:
        parts.append("smoothed")
    if seen.definition is not None:
        parts.append(monitor_words.each_window(seen.definition.window))
    text = f"{', '.join(parts)}."
    if any(point.shown_low is not None or point.shown_high is not None for point in seen.curve):
        text += f" Grey band: within limits{_of(seen) if beside is not None else ''}."
    return text


def _of(seen: Seen) -> str:
    name = words.subject(seen.about.scope)
    return f" for {name}" if name else ""


def _spots(seen: Seen, zone: ZoneInfo, base: str) -> list[charts.Spot]:
    """A strip for each window that leads to what it was counted from, else to its place on the page of its chart."""
    address, unit, found = behind_address(seen, base), words.unit_of(seen), []
    own = f"{base}monitors/{seen.shown.id}/?at="
    for point in seen.curve:
        start, end = point.start_at.timestamp(), point.end_at.timestamp()
        href = (address(point.start_at, point.end_at) if point.n else "") or f"{own}{int(start)}#window"
        found.append(charts.Spot(start, end, href, _title(point, unit, zone)))
    return found


def behind_address(seen: Seen, base: str) -> Callable[[datetime, datetime], str]:
    """The address of the list of what a window was counted from; "" where no list shows it.

    The addresses differ in their times alone: the rest is put together once.
    """
    first, last = datetime(1987, 1, 1, 1, 1, 1, tzinfo=UTC), datetime(1988, 2, 2, 2, 2, 2, tzinfo=UTC)
    if seen.metric is None or seen.definition is None:
        return lambda start, end: ""
    found = behind(seen.metric, seen.definition, Window(first, last))
    if not found.page:
        return lambda start, end: ""
    # The query in pieces, with a hole for the start (True) or the end of a window: filled for every window.
    pieces: list[str | bool] = [found.query]
    for mark, is_start in ((quote(fmt.iso(first), safe=""), True), (quote(fmt.iso(last), safe=""), False)):
        cut: list[str | bool] = []
        for piece in pieces:
            if isinstance(piece, bool):
                cut.append(piece)
                continue
            for at, part in enumerate(piece.split(mark)):
                cut += [is_start, part] if at else [part]
        pieces = cut

    def of(start: datetime, end: datetime) -> str:
        times = {True: _iso(start), False: _iso(end)}
        query = "".join(times[piece] if isinstance(piece, bool) else piece for piece in pieces)
        return f"{base}{found.page}/?{query}"

    return of


def _iso(at: datetime) -> str:
    """As `fmt.iso`, for the value of a parameter."""
    return fmt.iso(at).replace(":", "%3A").replace("+", "%2B")


def _title(point: CurvePoint, unit: charts.Unit, zone: ZoneInfo) -> str:
    value = unit.text(point.value) if point.value is not None else "no value"
    return f"{_window(point, zone)}: {value}, n = {point.n:,}{', beyond a limit' if point.is_out else ''}"


def _window(point: CurvePoint, zone: ZoneInfo) -> str:
    # Hundreds a page: strftime would take half of the time of a chart.
    start, end = point.start_at.astimezone(zone), point.end_at.astimezone(zone)
    day = f"{start.day} {_MONTHS[start.month - 1]}"
    return f"{day} {start.hour:02}:{start.minute:02}{fmt.EN_DASH}{end.hour:02}:{end.minute:02}"


def _row(seen: Seen, point: CurvePoint, zone: ZoneInfo) -> charts.Row:
    unit = words.unit_of(seen)
    return charts.Row(
        (
            _window(point, zone),
            f"{point.n:,}",
            unit.text(point.value) if point.value is not None else "none",
            unit.text(point.shown_level) if point.shown_level is not None else "none",
            units.band(unit, point.shown_low, point.shown_high, "none"),
        )
    )


def daily_cost(month: MonthForecast) -> charts.Figure | None:
    """What each whole day cost, where no monitor watches it; None with under DAYS_LEAST of them."""
    days = [day for day in (*month.previous, *month.days) if day.usd is not None][-29:-1]
    began = next((at for at, day in enumerate(days) if day.usd), len(days))
    days = days[began:]
    if len(days) < DAYS_LEAST:
        return None
    xs = [float(at) for at in range(len(days))]
    ys = [day.usd for day in days]
    known = [value for value in ys if value is not None]
    ticks = [(xs[0], _day(days[0].day)), (xs[-1], _day(days[-1].day))]
    picture = charts.line_picture(
        [charts.Line(xs, ys, "c-line ink", end=charts.USD.text(ys[-1]), end_css="t-ink")],
        ticks, charts.USD, x_range=(xs[0], xs[-1]), size=SIZE, right=70.0, grid=3,
    )  # fmt: skip
    sentence = (
        f"Cost of {len(days)} whole days, between {charts.USD.text(min(known))} and {charts.USD.text(max(known))}."
    )
    rows = tuple(charts.Row((_day(day.day), charts.USD.text(day.usd))) for day in reversed(days))
    note = "US dollars a whole day. No band: no monitor of cost has limits."
    return charts.Figure(sentence, note, sentence, picture, ("Day", "Cost"), rows, is_fit=True)


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _ticks(start: datetime, end: datetime, zone: ZoneInfo) -> list[tuple[float, str]]:
    """At most TICKS of the wall clock, and the end of it as "now" where the window reaches it."""
    every = time_ticks(start, end, zone)
    keep = charts.spread(len(every), TICKS)
    return [tick for at, tick in enumerate(every) if at in keep]


def _middle(point: CurvePoint) -> float:
    return (point.start_at.timestamp() + point.end_at.timestamp()) / 2


def _named(scope: Scope) -> str:
    """The one feature of a scope, short enough for the end of a line; "" where it is of several or of all."""
    features = dict(scope.values).get("feature", ())
    name = words.subject(scope) if len(features) == 1 else ""
    return name if len(name) <= LABEL_MOST else name[: LABEL_MOST - 1] + "…"
