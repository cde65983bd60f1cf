"""Sessions as outcomes look at them: the row of what its user did, its signals, and its turns where they are asked for.

Counting a measure again stands on these rows, not on traces: what was derived from a session is kept in its row, so a
measure over 90 days is counted anew in minutes, and without reading a single span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from telltale.lib.sql import load
from traces.behaviour.types import Behaviour, Fact, Seen, Stratum, Turn
from traces.outcomes.types import Unit
from traces.read.behaviour_units import SIGNALS_MAX, UnitRef, iterate_units
from traces.signals.kinds import Kind, Source

COLUMNS = (
    "unit_key", "session_id", "feature", "first_at", "last_at", "closes_at", "is_closed", "last_trace_id", "turns",
    "answers", "facts", "stratum", "vote", "votes", "rating", "length_seconds", "cost_pico", "is_cost_known",
    "outcomes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeptUnit:
    """A row of `traces_behaviour` with what outcomes look at."""

    unit_key: UUID
    unit: Unit
    outcomes: dict[str, list[Any]] | None


def units_of(cursor: Any, project_id: int, rows: Sequence[Sequence[Any]], *, with_turns: bool) -> list[KeptUnit]:
    """Rows of `COLUMNS` with their signals; two queries at most, whatever their number."""
    seen = _signals(cursor, project_id, [row[0] for row in rows])
    turns = _turns(cursor, project_id, rows) if with_turns else {}
    found = []
    for row in rows:
        told = dict(zip(COLUMNS, row, strict=True))
        cost = int(told["cost_pico"]) if told["is_cost_known"] else None
        unit = Unit(_behaviour(told), seen[told["unit_key"]], cost, turns.get(told["unit_key"]))
        found.append(KeptUnit(told["unit_key"], unit, _read(told["outcomes"])))
    return found


def _signals(cursor: Any, project_id: int, keys: Sequence[UUID]) -> dict[UUID, list[Seen]]:
    """The signals of units as the fold reads them, in order of time."""
    found: dict[UUID, list[Seen]] = {key: [] for key in keys}
    params = {"project_id": project_id, "keys": list(keys), "limit": SIGNALS_MAX}
    cursor.execute(load("traces", "read_behaviour_signals"), params)
    for key, kind, name, source, happened_at, trace_id, number, truth, label, author, vote in cursor.fetchall():
        one = Seen(
            Kind(kind), name, Source(source), happened_at, trace_id, number, truth, label, author=author, vote=vote
        )
        found[key].append(one)
    for seen in found.values():
        seen.reverse()
    return found


def _turns(cursor: Any, project_id: int, rows: Sequence[Sequence[Any]]) -> dict[UUID, Sequence[Turn]]:
    """All turns of units as the fold reads them; of those with more than it reads, nothing."""
    refs = [UnitRef(row[0], row[1]) for row in rows]
    return {
        unit.ref.unit_key: unit.turns
        for unit in iterate_units(cursor, project_id, refs)
        if unit.turns and unit.earlier is None
    }


def _read(value: Any) -> dict[str, list[Any]] | None:
    found: dict[str, list[Any]] | None = orjson.loads(value) if isinstance(value, str | bytes) else value
    return found


def _behaviour(told: dict[str, Any]) -> Behaviour:
    return Behaviour(
        feature=told["feature"],
        first_at=told["first_at"],
        last_at=told["last_at"],
        closes_at=told["closes_at"],
        is_closed=told["is_closed"],
        last_trace_id=told["last_trace_id"],
        turns=told["turns"],
        answers=told["answers"],
        facts=Fact(told["facts"]),
        stratum=Stratum(told["stratum"]),
        vote=told["vote"],
        votes=told["votes"],
        rating=told["rating"],
        length_seconds=told["length_seconds"],
    )
