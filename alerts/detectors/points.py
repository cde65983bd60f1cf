"""What a detector looks at: one closed window of a series, as frozen numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

HOURS_A_WEEK = 168


@dataclass(frozen=True, slots=True)
class Share:
    """One window: `k` of `n`, by any unit that is counted whole."""

    k: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.k <= self.n:
            raise ValueError(f"k of n needs 0 <= k <= n, not {self.k} of {self.n}")


@dataclass(frozen=True, slots=True)
class Values:
    """One window of values in their order; `weights` (1/inclusion probability) of as many, None: all alike."""

    values: tuple[float, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.values):
            raise ValueError(f"{len(self.values)} values need as many weights, not {len(self.weights)}")


@dataclass(frozen=True, slots=True)
class Count:
    """`events` in one window whose middle is `hour` (hours since Monday midnight, in the project's time zone)."""

    events: int
    hour: float

    def __post_init__(self) -> None:
        if self.events < 0 or not 0 <= self.hour < HOURS_A_WEEK:
            raise ValueError(f"a count is 0 or more in an hour 0..168, not {self.events} in {self.hour}")


@dataclass(frozen=True, slots=True)
class Level:
    """One number of a window; `sd`: the standard error of this number where it is known."""

    value: float
    sd: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or not (self.sd is None or 0 <= self.sd < math.inf):
            raise ValueError(f"a level and its sd are finite, the sd at least 0, not {self.value} and {self.sd}")


@dataclass(frozen=True, slots=True)
class Categories:
    """Rows of a window by value; `None` as a key: unknown."""

    counts: tuple[tuple[str | None, int], ...]

    def __post_init__(self) -> None:
        if any(count < 0 for _, count in self.counts) or len(dict(self.counts)) != len(self.counts):
            raise ValueError("every category stands once, with a count of 0 or more")


@dataclass(frozen=True, slots=True)
class Vectors:
    """Embeddings of a window in their order, (n, d), with the traces they are of (hex)."""

    rows: tuple[tuple[float, ...], ...]
    traces: tuple[str, ...] = ()


Point = Share | Values | Count | Level | Categories | Vectors
