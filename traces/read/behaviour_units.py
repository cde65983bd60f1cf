"""Sessions and lone traces as the rules of behaviour look at them: turns, signals, what they cost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import Cursor

from telltale.lib.sql import load
from traces.behaviour.types import Earlier, Seen, Turn
from traces.cost.judging import JUDGE_SERVICE
from traces.signals.kinds import Kind, Source

# Of a longer session the newest turns are looked at; what was before is counted from its sums.
TURNS_MAX = 500
# Of a unit with more signals the newest count.
SIGNALS_MAX = 2000
# Read together: at most 50,000 turns (about 50 MB) are held at once.
READ_UNITS = 100
_FAILED = 2


@dataclass(frozen=True, slots=True)
class UnitRef:
    """Which unit: `session_id` is None for a trace that names none."""

    unit_key: UUID
    session_id: str | None

    @classmethod
    def of_session(cls, session_id: str) -> UnitRef:
        """The unit of a session, as `traces_session.session_key` has it."""
        digest = hashlib.md5(session_id.encode("utf-8", "replace"), usedforsecurity=False)
        return cls(UUID(digest.hexdigest()), session_id)

    @classmethod
    def of_trace(cls, trace_id: UUID) -> UnitRef:
        """The unit of a trace without a session."""
        return cls(trace_id, None)


@dataclass(slots=True)
class Material:
    """What is stored of a unit. Without `turns` nothing is. `cost_pico` is None where some of it is unknown.

    `is_stale`: the sums of a long session are behind what is stored.
    """

    ref: UnitRef
    turns: list[Turn] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    earlier: Earlier | None = None
    cost_sum: int = 0
    is_cost_known: bool = True
    user_id: str | None = None
    is_stale: bool = False

    @property
    def cost_pico(self) -> int | None:
        return self.cost_sum if self.is_cost_known else None


def read_units(cursor: Cursor[Any], project_id: int, refs: Sequence[UnitRef]) -> list[Material]:
    """What is stored of these units, in their order. Two queries per `READ_UNITS`, one more for long sessions."""
    return list(iterate_units(cursor, project_id, refs))


def iterate_units(cursor: Cursor[Any], project_id: int, refs: Sequence[UnitRef]) -> Iterator[Material]:
    """The same, so that no more than `READ_UNITS` are held at once."""
    for at in range(0, len(refs), READ_UNITS):
        yield from _read(cursor, project_id, refs[at : at + READ_UNITS])


def _read(cursor: Cursor[Any], project_id: int, refs: Sequence[UnitRef]) -> list[Material]:
    units = {ref.unit_key: Material(ref) for ref in refs}
    params: dict[str, Any] = {
        "project_id": project_id,
        "keys": list(units),
        "session_ids": [unit.ref.session_id for unit in units.values()],
        "limit": TURNS_MAX + 1,
        "judge": JUDGE_SERVICE,
    }
    # Planned each time (0.3 ms): a plan kept from when a table was small would read it whole once it is large.
    cursor.execute(load("traces", "read_behaviour_turns"), params, prepare=False)
    for row in cursor.fetchall():
        key, trace_id, started_at, ended_at, feature, said, has_answer, status, cost_pico, unknown, user_id = row
        unit = units[key]
        failed = status == _FAILED
        answered = has_answer and not failed
        unit.turns.append(Turn(trace_id, started_at, ended_at, feature or "", said, None, answered, failed))
        unit.cost_sum += int(cost_pico)
        unit.is_cost_known = unit.is_cost_known and not unknown
        # Rows come newest first: the last one kept is that of the first turn that names one.
        unit.user_id = user_id or unit.user_id
    cursor.execute(load("traces", "read_behaviour_signals"), params | {"limit": SIGNALS_MAX}, prepare=False)
    for key, kind, name, source, happened_at, trace_id, number, truth, label, author, vote in cursor.fetchall():
        units[key].seen.append(
            Seen(
                Kind(kind), name, Source(source), happened_at, trace_id, number, truth, label, author=author, vote=vote
            )
        )
    for unit in units.values():
        unit.turns.sort(key=lambda turn: (turn.started_at, turn.trace_id))
        unit.seen.reverse()
    long = [unit for unit in units.values() if len(unit.turns) > TURNS_MAX]
    if long:
        _read_long(cursor, params, long)
    return list(units.values())


def _read_long(cursor: Cursor[Any], params: dict[str, Any], units: Sequence[Material]) -> None:
    asked = {"session_ids": [unit.ref.session_id for unit in units], "limit": TURNS_MAX}
    cursor.execute(load("traces", "read_behaviour_long"), params | asked)
    found = {row[0]: row[1:] for row in cursor.fetchall()}
    for unit in units:
        del unit.turns[: len(unit.turns) - TURNS_MAX]
        row = found.get(unit.ref.unit_key)
        if row is None:
            # Its row of sums is still to come: that marks it again.
            unit.is_stale, unit.is_cost_known = True, False
            continue
        unit.is_stale, turns, failed_turns, cost_pico, unknown, user_id, first_at, feature = row
        kept, kept_failed = len(unit.turns), sum(turn.failed for turn in unit.turns)
        before = max(turns - kept, 1)
        failed_before = min(max(failed_turns - kept_failed, 0), before)
        unit.earlier = Earlier(first_at, feature or "", before, before - failed_before, failed_before > 0)
        unit.cost_sum, unit.is_cost_known, unit.user_id = int(cost_pico), not unknown, user_id
