"""What goes into outcomes and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from traces.behaviour.types import Behaviour, Seen


@dataclass(frozen=True, slots=True)
class Unit:
    """One closed session with what it cost; `cost_pico` is None where some of it is unknown."""

    behaviour: Behaviour
    seen: Sequence[Seen]
    cost_pico: int | None


@dataclass(frozen=True, slots=True)
class Figure:
    """What one unit adds to one outcome: sum(y) / sum(x) is the outcome. None both: unknown, counted apart."""

    outcome_id: int
    x: Decimal | None
    y: Decimal | None
