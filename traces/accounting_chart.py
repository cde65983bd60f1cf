"""The stacked bars of the accounting page, as geometry for a server-made SVG. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from traces.read.accounting import Flow, HourFlow

WIDTH, HEIGHT = 1060, 210
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 14, 26
# Up to three days an hour keeps a bar of 13 px; beyond, days are what one can tell apart.
HOURS_MAX = 72
LABELS_MAX = 12
# Part of a flow, its colour class, its word.
PARTS = (
    ("stored", "f1", "Stored"),
    ("duplicate", "f6", "Stored already"),
    ("rejected", "f2", "Rejected"),
    ("dropped", "f4", "Dropped"),
)


@dataclass(frozen=True, slots=True)
class Segment:
    css: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Label:
    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class BarRow:
    """One bar as its table twin shows it."""

    start: datetime
    label: str
    flow: Flow


@dataclass(frozen=True, slots=True)
class BarChart:
    unit_word: str  # hour or day
    rows: tuple[BarRow, ...]
    segments: tuple[Segment, ...]
    grid: tuple[Label, ...]  # y of each line, x and text of its label
    ticks: tuple[Label, ...]
    most: BarRow | None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT


def bar_chart(hours: Sequence[HourFlow], zone: ZoneInfo, *, spans_only: bool) -> BarChart:
    """Bars by hour, or by day of `zone` where there are more than `HOURS_MAX` hours."""
    flows = [(row.hour, row.spans if spans_only else row.flow) for row in hours]
    by_day = len(flows) > HOURS_MAX
    rows = _days(flows, zone) if by_day else [_hour_row(at, flow, zone) for at, flow in flows]
    top = _nice(max((row.flow.received for row in rows), default=0))
    plot = HEIGHT - TOP - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / max(len(rows), 1)
    gap = min(3.0, step * 0.15)
    segments, ticks = [], []
    every = math.ceil(len(rows) / LABELS_MAX) if rows else 1
    for at, row in enumerate(rows):
        x, base = LEFT + at * step + gap / 2, float(HEIGHT - BOTTOM)
        for name, css, _ in PARTS:
            value = getattr(row.flow, name)
            height = plot * value / top
            if value:
                base -= height
                segments.append(Segment(css, round(x, 2), round(base, 2), round(step - gap, 2), round(height, 2)))
        if at % every == 0:
            ticks.append(Label(row.label, round(x + (step - gap) / 2, 2), HEIGHT - 8))
    grid = [Label(_short(top * part // 2), LEFT - 8, HEIGHT - BOTTOM - plot * part / 2) for part in (0, 1, 2)]
    filled = [row for row in rows if row.flow.received]
    most = max(filled, key=lambda row: row.flow.received) if filled else None
    return BarChart("day" if by_day else "hour", tuple(rows), tuple(segments), tuple(grid), tuple(ticks), most)


def _hour_row(at: datetime, flow: Flow, zone: ZoneInfo) -> BarRow:
    local = at.astimezone(zone)
    return BarRow(at, f"{local.day} {local:%b}" if local.hour == 0 else f"{local:%H:%M}", flow)


def _days(flows: Sequence[tuple[datetime, Flow]], zone: ZoneInfo) -> list[BarRow]:
    days: dict[str, list[tuple[datetime, Flow]]] = {}
    for at, flow in flows:
        local = at.astimezone(zone)
        days.setdefault(f"{local.day} {local:%b}", []).append((at, flow))
    return [BarRow(held[0][0], label, add_flows([flow for _, flow in held])) for label, held in days.items()]


def add_flows(flows: Sequence[Flow]) -> Flow:
    """The sum of several flows; the mean lag weighs each by its requests."""
    requests = sum(flow.requests for flow in flows)
    lags = [flow for flow in flows if flow.lag_mean_ms is not None and flow.lag_max_ms is not None]
    return Flow(
        requests=requests,
        body_bytes=sum(flow.body_bytes for flow in flows),
        received=sum(flow.received for flow in flows),
        stored=sum(flow.stored for flow in flows),
        duplicate=sum(flow.duplicate for flow in flows),
        rejected=sum(flow.rejected for flow in flows),
        dropped=sum(flow.dropped for flow in flows),
        lag_mean_ms=sum((flow.lag_mean_ms or 0) * flow.requests for flow in lags) / requests if lags else None,
        lag_max_ms=max(flow.lag_max_ms or 0 for flow in lags) if lags else None,
    )


def _nice(most: int) -> int:
    """The smallest even number of the form 2, 4, 10, 20, 40 ... that is not below `most`."""
    size = 1
    while True:
        for step in (2, 4, 10):
            if step * size >= most:
                return step * size
        size *= 10


def _short(value: int) -> str:
    if value >= 10**6:
        return f"{value / 10**6:g} M"
    return f"{value / 1000:g} k" if value >= 10_000 else f"{value:,}"
