"""By how much a money limit lowers an hour's shares, fixed before its first draw: never "the first n of the day"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit for `hours` to come, and what an hour would take of it at full shares. Same unit."""

    left: float
    hours: float
    demand: float

    @property
    def factor(self) -> float:
        """The part of the demand that the limit allows, in [0, 1]; 1 where there is no demand."""
        if self.demand <= 0.0:
            return 1.0
        return min(max(self.left, 0.0) / max(self.hours, 1e-9) / self.demand, 1.0)


def factor_of(allowances: Iterable[Allowance]) -> float:
    """The factor under several limits at once: the tightest."""
    return min((each.factor for each in allowances), default=1.0)
