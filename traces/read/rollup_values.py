"""What is asked of roll-ups and what they answer: frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from telltale.stats.sketch import Sketch
from traces.rollup.covering import Step
from traces.rollup.sums import DIMENSIONS, Family, Sums, add

Value = str | int | None
Key = tuple[Value, ...]
Auto = Literal["auto"]
AUTO: Auto = "auto"
_NO_SKETCH = Sketch()


@dataclass(frozen=True, slots=True)
class Where:
    """Which rows: a family, and for dimensions the values that are accepted, or that are not. None is "unknown"."""

    family: Family
    accepted: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    refused: tuple[tuple[str, tuple[Value, ...]], ...] = ()

    def __post_init__(self) -> None:
        for name, _ in (*self.accepted, *self.refused):
            check_dimension(self.family, name)

    def but(self, **refused: Value | Sequence[Value]) -> Where:
        """The same without rows of these values."""
        return Where(self.family, self.accepted, (*self.refused, *_terms(refused)))

    def only(self, **accepted: Value | Sequence[Value]) -> Where:
        """The same, of these values alone."""
        return Where(self.family, (*self.accepted, *_terms(accepted)), self.refused)


def requests(**accepted: Value | Sequence[Value]) -> Where:
    """Traces, booked at their start, whose dimensions have these values: `requests(feature=("search", None))`."""
    return Where(Family.TRACE, _terms(accepted))


def calls(**accepted: Value | Sequence[Value]) -> Where:
    """Spans, booked at their own start, whose dimensions have these values: `calls(kind=Kind.GENERATION)`."""
    return Where(Family.SPAN, _terms(accepted))


@dataclass(frozen=True, slots=True)
class Row:
    """One group in one point of time. `at` counts points from 0; `key` has the values of `by` in its order."""

    at: int
    key: Key
    sums: Sums
    sketches: Mapping[str, Sketch] = field(default_factory=dict)

    def sketch(self, name: str) -> Sketch:
        """A sketch that was asked for; empty where nothing was added to it."""
        return self.sketches.get(name, _NO_SKETCH)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked for over [start, end): rows of points and groups to which something was booked.

    Point i lies in [edges[i], edges[i + 1]); the first and the last may be shorter than `step`.
    """

    start: datetime
    end: datetime
    step: Step | None
    edges: tuple[datetime, ...]
    by: tuple[str, ...]
    rows: tuple[Row, ...]
    is_widened: bool  # finer buckets are no longer kept: the window is larger than asked for

    @property
    def total(self) -> Sums:
        """Over all points and groups."""
        return add(row.sums for row in self.rows)

    def groups(self) -> dict[Key, Sums]:
        """Each group over all points."""
        found: dict[Key, list[Sums]] = {}
        for row in self.rows:
            found.setdefault(row.key, []).append(row.sums)
        return {key: many[0] if len(many) == 1 else add(many) for key, many in found.items()}

    def points(self, key: Key = ()) -> list[Row]:
        """One row for every point of time of one group, empty ones included."""
        held = {row.at: row for row in self.rows if row.key == key}
        return [held.get(at) or Row(at, key, Sums()) for at in range(len(self.edges) - 1)]


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """How often an error type or a finish reason was told, in one point of one group."""

    at: int
    key: Key
    reason: str
    n: int


@dataclass(frozen=True, slots=True)
class Reasons:
    """Reasons over [start, end); as `Answer`."""

    start: datetime
    end: datetime
    step: Step | None
    edges: tuple[datetime, ...]
    by: tuple[str, ...]
    rows: tuple[ReasonRow, ...]
    is_widened: bool


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user over whole days. `input_tokens` holds the cached ones too."""

    user_id: str
    n: int
    errors: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_pico: int
    unpriced_count: int


@dataclass(frozen=True, slots=True)
class Users:
    """Users over [start, end), whole days of the project's zone; `count` of them in all.

    `is_exact` False: too many to look at each. `count` is at least what it says, and somebody who was never among the
    dearest of a day or month may be missing.
    """

    start: datetime
    end: datetime
    rows: tuple[UserRow, ...]
    count: int
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class FoldState:
    """How far roll-ups are behind what is stored."""

    oldest_at: datetime | None  # when the oldest change that is not yet booked was committed
    lag_seconds: float
    waiting: int  # commits that wait, counted up to 1,000
    huge_waiting: int  # huge traces that changed and wait for their turn
    set_aside: int  # traces that could not be booked
    time_zone: str | None  # in which hours and days are cut; None before anything was booked
    rebuild: str | None  # the state of the last rebuild's job
    rebuild_done: int
    rebuild_total: int | None

    @property
    def is_rebuilding(self) -> bool:
        return self.rebuild in {"pending", "running"}


@dataclass(frozen=True, slots=True)
class FoldBacklog:
    """What waits in the whole installation: entries of the feed, the age of the oldest, traces set aside."""

    entries: int
    oldest_seconds: float | None
    set_aside: int


def check_dimension(family: Family, name: str) -> None:
    """ValueError where traces or spans have no such dimension."""
    if name not in DIMENSIONS[family]:
        raise ValueError(
            f"{name!r} is no dimension of {family.name.lower()}s; there are {', '.join(DIMENSIONS[family])}"
        )


def _terms(given: Mapping[str, Value | Sequence[Value]]) -> tuple[tuple[str, tuple[Value, ...]], ...]:
    return tuple(
        (name, (values,) if values is None or isinstance(values, str | int) else tuple(values))
        for name, values in given.items()
    )
