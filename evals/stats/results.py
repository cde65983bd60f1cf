"""What every estimator of evals gives back: an estimate with its n and interval, or what is lacking for one."""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval.

    `low` and `high` are the limits at `level`; None where no interval can be told. `n` counts the observations, `n_eff`
    how many equally weighted ones they are worth. `method` names estimator and interval in words for the page.
    `error` is the standard error, None for intervals made without one.
    """

    value: float
    low: float | None
    high: float | None
    level: float
    n: int
    n_eff: float
    method: str
    error: float | None = None

    @property
    def design_effect(self) -> float:
        """How many times more observations this took than equally weighted ones would; 1 when all weigh the same."""
        return self.n / self.n_eff if self.n_eff > 0 else 1.0

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, None without one."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class TooLittle:
    """There is no figure yet: `have` of the `need` pieces of `what` ("reviews", "scores") that the least one takes."""

    have: int
    need: int
    what: str


Result = Estimate | TooLittle
