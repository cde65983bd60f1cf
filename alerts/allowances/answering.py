"""What a budget answers when it is asked: over or not, what to do, and which of several budgets decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from alerts.allowances.types import STRICTNESS, Do, Of, Period, Step, step_at

# Sums older than this are called stale: they are renewed every few seconds while the worker runs.
STALE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Stood:
    """One budget that holds for whoever asks. `spent_pico` None: nobody knows yet, which is not 0."""

    budget_id: int
    name: str
    of: Of
    subject: str
    period: Period
    limit_pico: int
    policy: tuple[Step, ...]
    start: datetime
    resets_at: datetime
    spent_pico: int | None
    unpriced: int
    upper_bound: int
    as_of: datetime | None

    @property
    def is_over(self) -> bool | None:
        """Whether the limit is spent; None where nobody knows."""
        return None if self.spent_pico is None else self.spent_pico >= self.limit_pico

    @property
    def share(self) -> Decimal | None:
        """Which part of the limit is spent."""
        return None if self.spent_pico is None else Decimal(self.spent_pico) / self.limit_pico

    @property
    def step(self) -> Step | None:
        """What its policy says now; None: nothing, or nobody knows."""
        return None if self.spent_pico is None else step_at(self.policy, self.spent_pico, self.limit_pico)

    @property
    def remaining_pico(self) -> int | None:
        """What is left, 0 at least."""
        return None if self.spent_pico is None else max(self.limit_pico - self.spent_pico, 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an application is told. `decides`: the budget whose advice it is, None where no budget holds."""

    budgets: tuple[Stood, ...]
    decides: Stood | None
    now: datetime

    @property
    def advice(self) -> Step | None:
        """What to do; None: go on as always."""
        return self.decides.step if self.decides else None

    @property
    def is_allowed(self) -> bool:
        """False where a policy says to refuse. What nobody knows is allowed: the budget must not stop the product."""
        step = self.advice
        return step is None or step.do != Do.REFUSE

    @property
    def is_over(self) -> bool | None:
        """Whether any budget is spent; None where none is known to be and of some nobody knows."""
        told = [stood.is_over for stood in self.budgets]
        if any(told):
            return True
        return None if None in told else False

    @property
    def as_of(self) -> datetime | None:
        """Until when everything is in the sums: the oldest of all budgets."""
        told = [stood.as_of for stood in self.budgets if stood.as_of is not None]
        return min(told) if told else None

    @property
    def is_stale(self) -> bool:
        """Whether the sums are older than they should be, or unknown."""
        if not self.budgets:
            return False
        if any(stood.as_of is None for stood in self.budgets):
            return True
        return self.as_of is not None and (self.now - self.as_of).total_seconds() > STALE_SECONDS


def answer(found: Sequence[Stood], now: datetime) -> Answer:
    """The answer of several budgets: the strictest advice counts, then the larger share.

    A budget of one named feature or user stands instead of the one for each, of the same period.
    """
    named = {(each.of, each.period) for each in found if each.of != Of.PROJECT and each.subject}
    budgets = tuple(
        each for each in found if each.of == Of.PROJECT or each.subject or (each.of, each.period) not in named
    )
    return Answer(budgets, max(budgets, key=_weight, default=None), now)


def _weight(stood: Stood) -> tuple[int, Decimal, int]:
    step = stood.step
    return (
        -1 if step is None else STRICTNESS[step.do],
        Decimal(-1) if stood.share is None else stood.share,
        -stood.budget_id,
    )
