"""Where the bars of a waterfall stand, in percent of its width. Written into SVG geometry, never into styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from traces.canonical.types import SpanFlag
from traces.tree.build import Step

_MISPLACED = int(SpanFlag.FAR_PAST | SpanFlag.FAR_FUTURE | SpanFlag.FROM_RECEIPT)
_ONES = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
_SIXTIES = (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45)
_STEPS_MS = (
    *(one * 10.0**power for power in range(-3, 4) for one in _ONES),
    *(10_000.0, 12_000.0, 15_000.0, 20_000.0, 25_000.0, 30_000.0, 45_000.0),
    *(one * 60_000.0 for one in _SIXTIES),
    *(one * 3_600_000.0 for one in (1, 1.5, 2, 3, 4, 6, 8, 12)),
    *(one * 86_400_000.0 for one in (1, 2, 3, 5, 7, 14, 30, 60, 90, 180, 365)),
)
# Quarters, since the rows' grid lines stand there.
PARTS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from `x` over `width`, with the wait for the first token as its first `wait`; all in percent."""

    x: float
    width: float
    wait: float = 0.0

    @property
    def end(self) -> float:
        return self.x + self.width


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the time line: its place in percent, and its time in ms from the start."""

    x: float
    at_ms: float


@dataclass(frozen=True, slots=True)
class Scale:
    """The time line of a trace, from its first start over `span_us`, in four even parts."""

    start_us: int
    span_us: float
    ticks: tuple[Tick, ...]

    def bar(self, started_us: int, duration_ns: int | None, ttft_ns: int | None = None) -> Bar:
        """The bar of a span, kept within the line; a span without an end gets no width."""
        x = min(max((started_us - self.start_us) / self.span_us * 100, 0.0), 100.0)
        width = min((duration_ns or 0) / 1000 / self.span_us * 100, 100.0 - x)
        wait = min(ttft_ns / 1000 / self.span_us * 100, width) if ttft_ns else 0.0
        return Bar(round(x, 3), round(width, 3), round(wait, 3))


def make_scale(steps: Sequence[Step]) -> Scale:
    """The scale over all steps whose time can be trusted, or over all where none can."""
    placed = [step for step in steps if not step[6] & _MISPLACED] or list(steps)
    if not placed:
        return Scale(0, 1.0, ())
    start = min([step[2] for step in placed])
    end = max([step[2] + (step[3] or 0) // 1000 for step in placed])
    long_ms = max((end - start) / 1000, 0.001)
    step_ms = next((step for step in _STEPS_MS if step * PARTS >= long_ms), long_ms / PARTS)
    ticks = tuple(Tick(n * 100 / PARTS, n * step_ms) for n in range(PARTS + 1))
    return Scale(start, step_ms * PARTS * 1000, ticks)
