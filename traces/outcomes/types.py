"""What goes into outcomes and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from traces.behaviour.types import Behaviour, Seen, Turn


@dataclass(frozen=True, slots=True)
class Unit:
    """One closed session with what it cost; `cost_pico` is None where some of it is unknown.

    `turns` in order of time, all of them; None where they are not known (any more).
    """

    behaviour: Behaviour
    seen: Sequence[Seen]
    cost_pico: int | None
    turns: Sequence[Turn] | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """What one unit adds to one outcome: sum(y) / sum(x) is the outcome. None both: unknown, counted apart."""

    outcome_id: int
    x: Decimal | None
    y: Decimal | None
