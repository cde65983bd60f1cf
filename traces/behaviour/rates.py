"""Sessions counted, and the rates that stand on the counts: each with its rule, its denominator and its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from telltale.stats.proportions import Proportion, wilson
from traces.behaviour.definition import Definition
from traces.behaviour.sentences import RATE_RULES
from traces.behaviour.types import Fact, Stratum

_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Cell:
    """How many units were alike. `key`: the start of the day or hour, or the feature; None where all are one.

    The sums are over their answers, and over the length in seconds of those `seconds_n` whose length is known.
    """

    key: datetime | str | None
    feature: str
    stratum: Stratum
    facts: Fact
    vote: int
    is_closed: bool
    n: int
    answers: int
    answers_squared: int
    seconds: Decimal
    seconds_squared: Decimal
    seconds_n: int


@dataclass(frozen=True, slots=True)
class Rate:
    """One rate: `found` of the sessions that could have had it, and how many could not have, and why."""

    key: str
    label: str
    rule: str
    found: Proportion
    left_out: int
    left_out_why: str


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `n` sessions with its 95 % interval (normal, from the sums of squares); None below two."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def value_ms(self) -> float | None:
        """Of seconds, in milliseconds; so `low_ms` and `high_ms`."""
        return None if self.value is None else self.value * 1000

    @property
    def low_ms(self) -> float | None:
        return None if self.low is None else self.low * 1000

    @property
    def high_ms(self) -> float | None:
        return None if self.high is None else self.high * 1000


@dataclass(frozen=True, slots=True)
class Rates:
    """What people did in closed sessions, by one version. Open sessions and traces without one are in no rate."""

    version: int
    sessions: int
    open: int
    lone: int
    rates: tuple[Rate, ...]
    answers: Mean
    seconds: Mean


_Has = Callable[[Cell], bool]
_NO_WORDS = "nothing their users said is recorded"


def rates_of(found: Iterable[Cell], definition: Definition, version: int) -> Rates:
    """The rates of cells of one window; `definition` is the one of their feature, in force as `version`."""
    cells = list(found)
    lone = [cell for cell in cells if cell.facts & Fact.LONE]
    sessions = [cell for cell in cells if not cell.facts & Fact.LONE]
    closed = [cell for cell in sessions if cell.is_closed]
    n = _count(closed)

    def rate(key: str, label: str, fact: Fact, is_asked: _Has, why: str) -> Rate:
        asked = [cell for cell in closed if is_asked(cell)]
        k = _count(cell for cell in asked if cell.facts & fact)
        return Rate(key, label, RATE_RULES[key](definition), wilson(k, _count(asked)), n - _count(asked), why)

    def has_words(cell: Cell) -> bool:
        return not cell.facts & Fact.WORDLESS

    def can_leave(cell: Cell) -> bool:
        return not cell.facts & Fact.SINGLE_SHOT and cell.stratum is not Stratum.UNKNOWN

    return Rates(
        version=version,
        sessions=n,
        open=_count(cell for cell in sessions if not cell.is_closed),
        lone=_count(lone),
        rates=(
            rate(
                "abandonment", "Abandoned", Fact.ABANDONED, can_leave, "one answer is the whole job, or none was given"
            ),
            rate("retry", "Retried or rephrased", Fact.RETRIED | Fact.REPHRASED, has_words, _NO_WORDS),
            rate("correction", "Asked for a correction", Fact.CORRECTED, has_words, _NO_WORDS),
            rate("escalation", "Asked for a human", Fact.ESCALATED, has_words, _NO_WORDS),
            rate("follow_up", "Followed up", Fact.FOLLOWED_UP, has_words, _NO_WORDS),
            rate("completion", "Completed", Fact.COMPLETED, lambda cell: True, ""),
        ),
        answers=_mean(n, sum(cell.answers for cell in closed), sum(cell.answers_squared for cell in closed)),
        seconds=_mean(
            sum(cell.seconds_n for cell in closed),
            sum((cell.seconds for cell in closed), Decimal(0)),
            sum((cell.seconds_squared for cell in closed), Decimal(0)),
        ),
    )


def _count(cells: Iterable[Cell]) -> int:
    return sum(cell.n for cell in cells)


def _mean(n: int, total: int | Decimal, squares: int | Decimal) -> Mean:
    if n < 2:
        return Mean(float(total) / n if n else None, None, None, n)
    # Exact until here: the difference of two large sums would lose what it is about.
    variance = (Decimal(squares) - Decimal(total) * Decimal(total) / n) / (n - 1)
    value, half = float(total) / n, _Z * math.sqrt(max(float(variance), 0.0) / n)
    return Mean(value, max(value - half, 0.0), value + half, n)


__all__: Sequence[str] = ("Cell", "Mean", "Rate", "Rates", "rates_of")
