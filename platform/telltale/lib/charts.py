"""Charts as geometry for a server-made SVG, with the table that says the same. Pure: numbers in, frozen figures out.

A page makes lines or stacks and gets a `Figure`; `templates/_chart.html` writes it. Colours are classes of
`components.css`, so a chart follows the theme by itself, and needs neither a script nor a style attribute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from telltale.lib import format as fmt
from telltale.lib.chart_shapes import (
    Bar,
    Dot,
    Event,
    Figure,
    Hit,
    Limit,
    Line,
    Mark,
    Path,
    Picture,
    Row,
    Rule,
    Spot,
    Stack,
    Text,
)

# Real pixels: a whole card, half a card (docs: text in a chart keeps its size).
WIDE = (1060, 230)
HALF = (545, 250)
STRIP = (1060, 62)
TOP, BOTTOM, LEFT = 16.0, 26.0, 56.0
LABEL_GAP = 14.0
# Names of changes: lanes below each other, and about how wide a letter is.
EVENT_LANES, EVENT_LETTER = 3, 6.4
# A stack's colours in order; what is left over is grey, and there is never a seventh.
STACK_CSS = ("f1", "f2", "f3", "f4", "f5")
REST_CSS = "f6"


@dataclass(frozen=True, slots=True)
class Unit:
    """How the values of an axis are written: `tick` gets the value and the distance of the grid lines."""

    tick: Callable[[float, float], str]
    text: Callable[[float | None], str]


def _digits(step: float) -> int:
    """How many decimals write the grid lines of this distance exactly."""
    return next((digits for digits in range(13) if math.isclose(round(step, digits), step, rel_tol=1e-6)), 13)


def _usd_tick(value: float, step: float) -> str:
    if step >= 1000:
        return f"${value / 1000:,g}k" if step < 1_000_000 else f"${value / 1_000_000:,g} M"
    digits = _digits(step)
    return f"${value:,.{max(digits, 2) if digits else 0}f}" if value else "$0"


def _count_tick(value: float, step: float) -> str:
    if step >= 1_000_000:
        return f"{value / 1_000_000:,g} M"
    return f"{value / 1000:,g} k" if step >= 1000 else f"{value:,.{_digits(step)}f}"


def _ms_tick(value: float, step: float) -> str:
    if step >= 60_000:
        return f"{value / 60_000:,g} min"
    return f"{value / 1000:,g} s" if step >= 100 and value else f"{value:,g} ms" if value else "0"


def _share_tick(value: float, step: float) -> str:
    return f"{value * 100:,.{_digits(step * 100)}f}%" if value else "0%"


USD = Unit(_usd_tick, lambda v: "unknown" if v is None else fmt.cost(fmt.decimal_of(v)))
COUNT = Unit(_count_tick, lambda v: fmt.count(None if v is None else round(v)))
MS = Unit(_ms_tick, fmt.latency)
SHARE = Unit(_share_tick, fmt.share)


@dataclass(frozen=True, slots=True)
class Plane:
    """Where values lie in the picture."""

    x0: float
    x1: float
    y0: float
    y1: float
    left: float
    right: float
    top: float
    bottom: float

    def x(self, value: float) -> float:
        span = self.x1 - self.x0
        return round(self.left + (self.right - self.left) * ((value - self.x0) / span if span else 0.5), 1)

    def y(self, value: float) -> float:
        span = self.y1 - self.y0
        return round(self.bottom - (self.bottom - self.top) * ((value - self.y0) / span if span else 0.0), 1)


def nice_step(top: float, lines: int = 4) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that reaches `top` in at most `lines` steps; 1 for about 0."""
    if not math.isfinite(top) or top < 1e-15:
        return 1.0
    raw = top / lines
    power = 10.0 ** math.floor(math.log10(raw))
    return next((size * power for size in (1.0, 2.0, 2.5, 5.0) if size * power >= raw * (1 - 1e-9)), 10.0 * power)


def line_picture(
    lines: Sequence[Line],
    ticks: Sequence[tuple[float, str]],
    unit: Unit,
    *,
    x_range: tuple[float, float],
    size: tuple[int, int] = WIDE,
    right: float = 16.0,
    from_zero: bool = True,
    limits: Sequence[Limit] = (),
    events: Sequence[Event] = (),
    spots: Sequence[Spot] = (),
    marks: Sequence[Mark] = (),
    grid: int = 4,
) -> Picture:
    """Lines with their bands. `ticks` are (x, text); `right` leaves room for labels at line ends; `grid`: about how
    many lines of the grid."""
    values = [v for line in lines for part in (line.ys, line.low, line.high) for v in part if v is not None]
    values += [limit.value for limit in limits]
    values += [mark.y for mark in marks]
    low = 0.0 if from_zero else min(values, default=0.0)
    plane, levels, texts = _plane(low, max(values, default=0.0), unit, x_range, size, right, grid)
    areas, paths, dots, ends = [], [], [], []
    for line in lines:
        band = _band(line, plane)
        if band:
            areas.append(Path(band, line.band_css))
        paths.append(Path(_line(line.xs, line.ys, plane), line.css, "4 4" if line.is_dashed else ""))
        last = next(((x, y) for x, y in zip(reversed(line.xs), reversed(line.ys), strict=False) if y is not None), None)
        if last is not None:
            x, y = plane.x(last[0]), plane.y(last[1])
            if line.has_dot:
                dots.append(Dot(x, y))
            if line.end:
                ends.append((line, x, y))
    rules = [*levels]
    for limit in limits:
        y = plane.y(limit.value)
        rules.append(Rule(plane.left, y, plane.right, y, limit.css))
        texts.append(Text(plane.left + 4, y - 5, limit.text))
    for event in events:
        x = plane.x(event.x)
        rules.append(Rule(x, plane.top, x, plane.bottom, "c-event-hot" if event.is_hot else "c-event"))
    named = _end_texts(ends, plane)
    texts += _event_texts(events, plane, named)
    dots = [*(Dot(plane.x(mark.x), plane.y(mark.y), mark.css, mark.r) for mark in marks), *dots]
    texts += _tick_texts(ticks, plane, size)
    texts += named
    hits = [_hit(spot, plane) for spot in spots]
    return Picture(*size, tuple(areas), tuple(rules), tuple(paths), tuple(dots), tuple(texts), tuple(hits))


def bar_picture(
    stacks: Sequence[Stack],
    labels: Sequence[str],
    unit: Unit,
    *,
    size: tuple[int, int] = WIDE,
    limits: Sequence[Limit] = (),
    spots: Sequence[tuple[str, str]] = (),
) -> Picture:
    """Stacked bars from 0; `labels` has a text for each bar, empty where none fits. `spots` are (href, title) a bar."""
    n = len(labels)
    tops = [sum(stack.values[at] or 0 for stack in stacks) for at in range(n)]
    plane, grid, texts = _plane(
        0.0, max([*tops, *(limit.value for limit in limits)], default=0.0), unit, (0.0, float(max(n, 1))), size, 8.0
    )
    pitch = (plane.right - plane.left) / max(n, 1)
    gap = min(max(pitch * 0.25, 1.0), 14.0)
    width = max(round(pitch - gap, 1), 1.0)
    bases = [0.0] * n
    paths = []
    for stack in stacks:
        d = []
        for at, value in enumerate(stack.values):
            if value:
                y0, y1 = plane.y(bases[at]), plane.y(bases[at] + value)
                d.append(f"M{plane.left + at * pitch + gap / 2:.1f} {y0:g}V{y1:g}h{width:g}V{y0:g}z")
                bases[at] += value
        if d:
            paths.append(Path("".join(d), stack.css))
    rules = [*grid]
    for limit in limits:
        y = plane.y(limit.value)
        rules.append(Rule(plane.left, y, plane.right, y, limit.css))
        texts.append(Text(plane.left + 4, y - 5, limit.text))
    texts += [
        Text(round(plane.left + (at + 0.5) * pitch, 1), size[1] - 8, text, anchor="middle")
        for at, text in enumerate(labels)
        if text
    ]
    hits = [
        Hit(round(plane.left + at * pitch, 1), round(pitch, 1), TOP, plane.bottom - TOP, href, title)
        for at, (href, title) in enumerate(spots)
        if href
    ]
    return Picture(*size, (), tuple(rules), tuple(paths), (), tuple(texts), tuple(hits))


def strip_picture(
    bars: Sequence[Bar],
    unit: Unit,
    *,
    x_range: tuple[float, float],
    size: tuple[int, int] = STRIP,
    right: float = 16.0,
    css: str = "fline",
) -> Picture:
    """Bars along time, below a chart of the same `x_range` and `right`: how much each of its points stands for."""
    top = max((bar.value for bar in bars), default=0.0)
    step = nice_step(top, 2)
    plane = Plane(*x_range, 0.0, max(math.ceil(top / step - 1e-9), 1) * step, LEFT, size[0] - right, 8.0, size[1] - 8.0)
    d = []
    for bar in bars:
        if bar.value > 0:
            x0, x1, y = plane.x(bar.start), plane.x(bar.end), plane.y(bar.value)
            gap = min((x1 - x0) * 0.2, 2.0)
            d.append(f"M{x0 + gap / 2:.1f} {plane.bottom:g}V{y:g}h{max(x1 - x0 - gap, 0.6):.1f}V{plane.bottom:g}z")
    ends = (0.0, plane.y1)
    rules = tuple(Rule(plane.left, plane.y(v), plane.right, plane.y(v), "c-grid") for v in ends)
    texts = tuple(Text(LEFT - 8, plane.y(v) + 4, unit.tick(v, step), anchor="end") for v in ends)
    return Picture(*size, (), rules, (Path("".join(d), css),) if d else (), (), texts)


def step_picture(
    before: tuple[str, float],
    steps: Sequence[tuple[str, float, str]],
    after: str,
    unit: Unit,
    *,
    size: tuple[int, int] = HALF,
) -> Picture:
    """A small waterfall: `before` is (word, level), each step (word, difference, class of its bar), `after` a word.

    The levels at both ends are lines with their value, no bars: so the axis may begin where the steps can be seen.
    """
    levels = [before[1]]
    for _, amount, _ in steps:
        levels.append(levels[-1] + amount)
    low, high = min(levels), max(levels)
    low = max(low - (high - low) * 0.2, 0.0) if low >= 0 else low
    plane, grid, texts = _plane(low, high + (high - low) * 0.1, unit, (0.0, float(len(steps) + 2)), size, 8.0)
    pitch = (plane.right - plane.left) / (len(steps) + 2)
    gap = min(pitch * 0.3, 18.0)
    wide = pitch - gap
    paths, rules = [], [*grid]
    for at, word in enumerate([before[0], *(word for word, _, _ in steps), after]):
        x = plane.left + at * pitch + gap / 2
        is_end = at in (0, len(steps) + 1)
        level = levels[min(at, len(steps))]
        y = plane.y(level)
        if is_end:
            paths.append(Path(f"M{x:.1f} {y:g}h{wide:.1f}", "c-line ink"))
            texts.append(Text(round(x + wide / 2, 1), y - 7, unit.text(level), "t-ink t-b", "middle"))
        else:
            top, bottom = sorted((plane.y(levels[at - 1]), y))
            # A step of nothing still has its place.
            paths.append(Path(f"M{x:.1f} {top:g}h{wide:.1f}V{max(bottom, top + 1):g}h-{wide:.1f}z", steps[at - 1][2]))
        if at <= len(steps):
            rules.append(Rule(round(x + wide, 1), y, round(x + pitch, 1), y, "c-axis"))
        texts.append(Text(round(x + wide / 2, 1), size[1] - 8, word, anchor="middle"))
    return Picture(*size, (), tuple(rules), tuple(paths), (), tuple(texts), ())


def merge_rest(stacks: Sequence[Stack], most: int = 5, rest: str = "Everything else") -> tuple[Stack, ...]:
    """At most `most` series as they come (the largest first), coloured in order, the others summed in grey."""
    kept = [replace(stack, css=STACK_CSS[at]) for at, stack in enumerate(stacks[:most])]
    if len(stacks) > most:
        tail = stacks[most:]
        sums = [sum(stack.values[at] or 0 for stack in tail) for at in range(len(tail[0].values))]
        kept.append(Stack(rest, sums, REST_CSS))
    return tuple(kept)


def spread(n: int, most: int) -> set[int]:
    """Which of `n` labels to write so that there are at most `most`, evenly; the first always."""
    every = math.ceil(n / max(most, 1)) if n else 1
    return set(range(0, n, every))


def _plane(
    low: float,
    high: float,
    unit: Unit,
    x_range: tuple[float, float],
    size: tuple[int, int],
    right: float,
    lines: int = 4,
) -> tuple[Plane, list[Rule], list[Text]]:
    step = nice_step((high - low) or abs(high) or 1.0, lines)
    if low == high > 0:  # a flat line is drawn at the top: what is always 100 % has nothing above
        low = max(high - step, 0.0)
    y0 = math.floor(low / step + 1e-9) * step
    count = max(math.ceil((high - y0) / step - 1e-9), 1)
    plane = Plane(*x_range, y0, y0 + count * step, LEFT, size[0] - right, TOP, size[1] - BOTTOM)
    values = [y0 + at * step for at in range(count + 1)]
    rules = [Rule(plane.left, plane.y(v), plane.right, plane.y(v), "c-grid") for v in values]
    texts = [Text(LEFT - 8, plane.y(v) + 4, unit.tick(v, step), anchor="end") for v in values]
    return plane, rules, texts


def _line(xs: Sequence[float], ys: Sequence[float | None], plane: Plane) -> str:
    parts, is_open = [], False
    for at, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if y is None:
            is_open = False
            continue
        alone = not is_open and (at + 1 == len(ys) or ys[at + 1] is None)
        parts.append(f"{'L' if is_open else 'M'}{plane.x(x):g} {plane.y(y):g}" + ("h.1" if alone else ""))
        is_open = True
    return "".join(parts)


def _band(line: Line, plane: Plane) -> str:
    if not line.low:
        return ""
    parts: list[str] = []
    run: list[tuple[float, float, float]] = []
    for x, low, high in [*zip(line.xs, line.low, line.high, strict=True), (0.0, None, None)]:
        if low is not None and high is not None:
            run.append((plane.x(x), plane.y(low), plane.y(high)))
            continue
        if len(run) > 1:
            upper = "L".join(f"{at:g} {high:g}" for at, _, high in run)
            lower = "L".join(f"{at:g} {low:g}" for at, low, _ in reversed(run))
            parts.append(f"M{upper}L{lower}Z")
        run = []
    return "".join(parts)


def _tick_texts(ticks: Sequence[tuple[float, str]], plane: Plane, size: tuple[int, int]) -> list[Text]:
    texts = []
    for value, text in ticks:
        x = plane.x(value)
        anchor = "start" if x < plane.left + 12 else "end" if x > plane.right - 12 else "middle"
        texts.append(Text(x, size[1] - 8, text, anchor=anchor))
    return texts


def _event_texts(events: Sequence[Event], plane: Plane, ends: Sequence[Text]) -> list[Text]:
    """Names of changes below each other where they are near, each at most in EVENT_LANES; what finds no room has none.

    Those that are hot come first. One at the right edge, or in the way of the label of a line's end (`ends`), stands
    before its line.
    """
    texts: list[Text] = []
    lanes = [plane.top + 8 + lane * LABEL_GAP for lane in range(EVENT_LANES)]
    taken = [[_span(end) for end in ends if abs(end.y - y) < LABEL_GAP] for y in lanes]
    for event in sorted(events, key=lambda event: (not event.is_hot, event.x)):
        x, wide = plane.x(event.x), 8 + EVENT_LETTER * len(event.text)
        before = x + wide > plane.right + LEFT or any(
            x < right and x + wide > left for left, right in map(_span, ends) if x <= left
        )
        left, right = (x - wide, x) if before else (x, x + wide)
        lane = next(
            (at for at, held in enumerate(taken) if all(right <= start or left >= end for start, end in held)), None
        )
        if lane is None:
            continue
        taken[lane].append((left, right))
        place = (x - 4, "end") if before else (x + 4, "start")
        texts.append(Text(place[0], lanes[lane], event.text, "t-alert" if event.is_hot else "", place[1]))
    return texts


def _span(text: Text) -> tuple[float, float]:
    """From where to where a text that begins at its place reaches, about."""
    return text.x, text.x + EVENT_LETTER * len(text.text)


def _end_texts(ends: Sequence[tuple[Line, float, float]], plane: Plane) -> list[Text]:
    """Labels at line ends, moved apart where they would lie on each other."""
    texts: list[Text] = []
    below = -math.inf
    for line, x, y in sorted(ends, key=lambda end: end[2]):
        y = max(y + 4, below + LABEL_GAP)
        texts.append(Text(x + 7, round(y, 1), line.end, f"{line.end_css} t-b"))
        below = y
        if line.end_note:
            below = y + LABEL_GAP
            texts.append(Text(x + 7, round(below, 1), line.end_note))
    return texts


def _hit(spot: Spot, plane: Plane) -> Hit:
    x = plane.x(spot.start)
    return Hit(x, round(max(plane.x(spot.end) - x, 1.0), 1), TOP, plane.bottom - TOP, spot.href, spot.title)


__all__ = [
    "COUNT",
    "HALF",
    "MS",
    "SHARE",
    "STRIP",
    "USD",
    "WIDE",
    "Bar",
    "Dot",
    "Event",
    "Figure",
    "Hit",
    "Limit",
    "Line",
    "Mark",
    "Path",
    "Picture",
    "Row",
    "Rule",
    "Spot",
    "Stack",
    "Text",
    "Unit",
    "bar_picture",
    "line_picture",
    "merge_rest",
    "nice_step",
    "spread",
    "step_picture",
    "strip_picture",
]
