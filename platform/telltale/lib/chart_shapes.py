"""What charts are made of: what goes in (lines, stacks, limits) and what comes out (a figure of simple shapes)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `ys` may have None, where the line breaks. `low` and `high` are its band; `end` its label there."""

    xs: Sequence[float]
    ys: Sequence[float | None]
    css: str = "c-line"
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    band_css: str = "c-band2"
    is_dashed: bool = False
    end: str = ""
    end_note: str = ""
    end_css: str = "t-m"
    has_dot: bool = False  # a filled dot at the last value


@dataclass(frozen=True, slots=True)
class Limit:
    """A horizontal line with a name: an objective, a budget."""

    value: float
    text: str
    css: str = "c-limit"


@dataclass(frozen=True, slots=True)
class Event:
    """A change at one moment: a dotted vertical line with a name; the suspect is hot."""

    x: float
    text: str
    is_hot: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """One value drawn by itself: a window of a control chart, a ring around an alarm."""

    x: float
    y: float
    css: str = "c-pt"
    r: float = 2.5


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from 0 to `value` over the strip from `start` to `end` on the x axis."""

    start: float
    end: float
    value: float


@dataclass(frozen=True, slots=True)
class Stack:
    """One colour of stacked bars: a value for each bar, None where it is not known."""

    word: str
    values: Sequence[float | None]
    css: str = "f1"


@dataclass(frozen=True, slots=True)
class Spot:
    """A part of the picture that opens an address: the strip from `start` to `end` on the x axis, what is under it."""

    start: float
    end: float
    href: str
    title: str


@dataclass(frozen=True, slots=True)
class Path:
    d: str
    css: str
    dash: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    y: float
    text: str
    css: str = ""
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line from (x1, y1) to (x2, y2)."""

    x1: float
    y1: float
    x2: float
    y2: float
    css: str


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    css: str = "c-ptf"
    r: float = 4.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A link over a strip of the picture."""

    x: float
    width: float
    y: float
    height: float
    href: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table twin: its first cell is its heading, with the address behind it."""

    cells: tuple[str, ...]
    href: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn, in the order it lies."""

    width: int
    height: int
    areas: tuple[Path, ...] = ()
    rules: tuple[Rule, ...] = ()
    paths: tuple[Path, ...] = ()
    dots: tuple[Dot, ...] = ()
    texts: tuple[Text, ...] = ()
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with what it says: the finding first, then unit and window, a sentence for those who cannot see it."""

    finding: str
    note: str
    sentence: str
    picture: Picture
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    legend: tuple[tuple[str, str], ...] = ()  # (class of the swatch, word)
    is_fit: bool = False  # half a card: shrinks on a phone instead of scrolling
