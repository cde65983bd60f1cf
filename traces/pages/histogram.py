"""The histogram above a list of traces, as the geometry of an SVG."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from traces.read import Histogram

WIDTH = 900
HEIGHT = 64
LEFT, RIGHT = 4.0, 840.0
BASE, TOP = 48.0, 8.0
_UNITS = ((86_400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds"))


@dataclass(frozen=True, slots=True)
class Column:
    """One bar, as the table twin has it."""

    start: str
    n: int


@dataclass(frozen=True, slots=True)
class Chart:
    """All that the template writes."""

    columns: tuple[Column, ...]
    bars: str  # all bars as one path: a page of 70 elements less
    step: str
    first: str
    last: str
    most: int
    most_y: float
    sentence: str


def draw(histogram: Histogram, zone: ZoneInfo) -> Chart:
    """The bars of `histogram`, the tallest as high as there is room."""
    bars = histogram.bars
    pitch = (RIGHT - LEFT) / len(bars)
    most = max(bars)
    width = max(pitch - max(pitch * 0.2, 0.5), 1.0)
    columns, path = [], []
    for at, n in enumerate(bars):
        if n:
            start = histogram.start + timedelta(seconds=histogram.step_seconds * at)
            columns.append(Column(_moment(start, zone), n))
            height = max((BASE - TOP) * n / most, 1.0)
            path.append(f"M{LEFT + at * pitch:.1f} {BASE:g}v-{height:.1f}h{width:.1f}v{height:.1f}z")
    peak = histogram.start + timedelta(seconds=histogram.step_seconds * bars.index(most))
    step = step_words(histogram.step_seconds)
    sentence = f"Matching traces {step}: at most {most:,}, at {_moment(peak, zone)}"
    return Chart(
        columns=tuple(columns),
        bars="".join(path),
        step=step,
        first=_moment(histogram.start, zone),
        last=_moment(histogram.end, zone),
        most=most,
        most_y=TOP + 8,
        sentence=sentence,
    )


def step_words(seconds: int) -> str:
    """ "per 10 minutes", "per hour"."""
    for size, one, many in _UNITS:
        if seconds % size == 0:
            return f"per {one}" if seconds == size else f"per {seconds // size} {many}"
    return f"per {seconds} seconds"


def _moment(at: datetime, zone: ZoneInfo) -> str:
    try:
        local = at.astimezone(zone)
    except OverflowError:
        local = at
    return f"{local.day} {local:%b %H:%M}"
