"""Money and calls of a day: set aside before a call, settled after it. Every function runs in the caller's transaction.

Each change is made for the judge and for the whole project (judge 0), the rows locked in order of their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Cursor

WHOLE = 0
# What is embedded for drift has an account of its own beside those of judges.
EMBEDDINGS = -1
_LOCK = """
INSERT INTO evals_spendday (
    project_id, judge_id, day, reserved_pico, spent_pico, reserved_calls, calls, unpriced_calls, lost_calls, lost_pico
)
SELECT %(project_id)s, judge_id, %(day)s, 0, 0, 0, 0, 0, 0, 0 FROM unnest(%(judges)s::bigint[]) AS judge_id
ON CONFLICT (project_id, judge_id, day) DO NOTHING
"""
_READ = """
SELECT judge_id, spent_pico + lost_pico + reserved_pico, calls + lost_calls + reserved_calls FROM evals_spendday
WHERE project_id = %(project_id)s AND day = %(day)s AND judge_id = ANY(%(judges)s)
ORDER BY judge_id
FOR UPDATE
"""
_ADD = """
UPDATE evals_spendday
SET reserved_pico = greatest(reserved_pico + %(reserved_pico)s, 0), spent_pico = spent_pico + %(spent_pico)s,
    reserved_calls = greatest(reserved_calls + %(reserved_calls)s, 0), calls = calls + %(calls)s,
    unpriced_calls = unpriced_calls + %(unpriced)s, lost_calls = greatest(lost_calls + %(lost_calls)s, 0),
    lost_pico = greatest(lost_pico + %(lost_pico)s, 0)
WHERE project_id = %(project_id)s AND day = %(day)s AND judge_id = ANY(%(judges)s)
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a day for one judge and for the whole project; None is no limit."""

    whole_pico: int | None = None
    whole_calls: int | None = None
    judge_pico: int | None = None
    judge_calls: int | None = None

    def fits(self, used: dict[int, tuple[int, int]], judge_id: int, pico: int, calls: int) -> bool:
        """Whether `pico` and `calls` more stay within every limit."""
        whole, own = used.get(WHOLE, (0, 0)), used.get(judge_id, (0, 0))
        if self.whole_calls is not None and whole[1] + calls > self.whole_calls:
            return False
        if self.judge_calls is not None and own[1] + calls > self.judge_calls:
            return False
        if pico <= 0:
            # Of unknown price, or free: it counts as a call, and only where no money is spent beyond its limit.
            return (self.whole_pico is None or whole[0] <= self.whole_pico) and (
                self.judge_pico is None or own[0] <= self.judge_pico
            )
        if self.whole_pico is not None and whole[0] + pico > self.whole_pico:
            return False
        return self.judge_pico is None or own[0] + pico <= self.judge_pico


def _judges(judge_id: int) -> list[int]:
    return sorted({WHOLE, judge_id})


def reserve(
    cursor: Cursor[Any], project_id: int, judge_id: int, day: date, wanted: Sequence[int | None], budget: Budget
) -> int:
    """Set aside money (pico-dollars, None unknown) for calls in turn, as far as the budget goes; for how many."""
    params: dict[str, Any] = {"project_id": project_id, "day": day, "judges": _judges(judge_id)}
    cursor.execute(_LOCK, params)
    cursor.execute(_READ, params)
    used = {row[0]: (int(row[1]), int(row[2])) for row in cursor.fetchall()}
    pico = calls = 0
    for each in wanted:
        if not budget.fits(used, judge_id, pico + (each or 0), calls + 1):
            break
        pico, calls = pico + (each or 0), calls + 1
    if calls:
        add(cursor, project_id, judge_id, day, Change(reserved_pico=pico, reserved_calls=calls))
    return calls


@dataclass(frozen=True, slots=True)
class Change:
    """What is added to a day; what was set aside is taken back with negative numbers."""

    reserved_pico: int = 0
    reserved_calls: int = 0
    spent_pico: int = 0
    calls: int = 0
    unpriced: int = 0
    lost_calls: int = 0
    lost_pico: int = 0

    def __add__(self, other: Change) -> Change:
        return Change(
            self.reserved_pico + other.reserved_pico,
            self.reserved_calls + other.reserved_calls,
            self.spent_pico + other.spent_pico,
            self.calls + other.calls,
            self.unpriced + other.unpriced,
            self.lost_calls + other.lost_calls,
            self.lost_pico + other.lost_pico,
        )


def answered(reserved: int | None, cost_pico: int | None) -> Change:
    """A reserved call came back with an answer; None: its price is not known."""
    return Change(-(reserved or 0), -1, cost_pico or 0, 1, int(cost_pico is None))


def lost(reserved: int | None) -> Change:
    """A reserved call got no answer: at most what was set aside was paid."""
    return Change(-(reserved or 0), -1, lost_calls=1, lost_pico=reserved or 0)


def unsent(reserved: int | None) -> Change:
    """A reserved call was never made."""
    return Change(-(reserved or 0), -1)


def found_again(reserved: int | None, cost_pico: int | None) -> Change:
    """A call taken for lost was answered after all."""
    return Change(0, 0, cost_pico or 0, 1, int(cost_pico is None), -1, -(reserved or 0))


def add(cursor: Cursor[Any], project_id: int, judge_id: int, day: date, change: Change) -> None:
    """Write a change of a day."""
    params: dict[str, Any] = {"project_id": project_id, "day": day, "judges": _judges(judge_id)}
    cursor.execute(_LOCK, params)
    # Locked in one order first, so that two writers never wait for each other.
    cursor.execute(_READ, params)
    values = {name: getattr(change, name) for name in Change.__slots__}
    cursor.execute(_ADD, params | values)


class Book:
    """Changes of one transaction, written together at its end in one order, so that two never wait for each other."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._changes: dict[tuple[date, int], Change] = {}

    def add(self, judge_id: int, day: date, change: Change) -> None:
        """Count a change of a judge's day."""
        self._changes[day, judge_id] = self._changes.get((day, judge_id), Change()) + change

    def write(self, cursor: Cursor[Any]) -> None:
        """Write what was counted."""
        for (day, judge_id), change in sorted(self._changes.items(), key=lambda item: item[0]):
            add(cursor, self._project_id, judge_id, day, change)
        self._changes.clear()
