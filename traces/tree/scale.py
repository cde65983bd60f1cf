"""Where the bars of a waterfall stand, in percent of its width. Written into SVG geometry, never into styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from traces.canonical.types import SpanFlag
from traces.tree.build import Step

_MISPLACED = int(SpanFlag.FAR_PAST | SpanFlag.FAR_FUTURE | SpanFlag.FROM_RECEIPT)
_STEPS_MS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000,
    15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000,
    86_400_000, 172_800_000, 604_800_000, 2_592_000_000,
)  # fmt: skip
TICKS = 5


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
    """The time line of a trace, from its first start over `span_us`, which ends a little after the last end."""

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
    step_ms = next((step for step in _STEPS_MS if long_ms / step <= TICKS - 1), long_ms / (TICKS - 1))
    # The line ends a little behind the last bar, so that a label fits there.
    span_ms = max(long_ms * 1.02, 0.001)
    ticks = tuple(
        Tick(round(n * step_ms / span_ms * 100, 3), n * step_ms) for n in range(TICKS + 1) if n * step_ms <= span_ms
    )
    return Scale(start, span_ms * 1000, ticks)
