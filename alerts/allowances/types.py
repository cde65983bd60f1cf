"""What a cost budget is: whose, how long, how much, and what to do when it is spent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

PICO = Decimal(10) ** 12


class Of(StrEnum):
    """Whose spending is added up."""

    PROJECT = "project"
    FEATURE = "feature"
    USER = "user"


class Period(StrEnum):
    """For how long an allowance is given: a local day, or a local month."""

    DAY = "day"
    MONTH = "month"


class Do(StrEnum):
    """What an application should do, from the mildest to the strictest."""

    WARN = "warn"
    SHORTER_CONTEXT = "shorter_context"
    CHEAPER_MODEL = "cheaper_model"
    CACHED_ANSWER = "cached_answer"
    REFUSE = "refuse"


STRICTNESS = {do: at for at, do in enumerate(Do)}


@dataclass(frozen=True, slots=True)
class Step:
    """From this share of the limit on, do this. `using`: the model, or the tokens of context, where one is named."""

    at: Decimal
    do: Do
    using: str = ""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A budget as people define it. `subject` "": the project, or each feature or user on its own.

    `tell_at` ascends: the shares of the limit that people are told of. `policy` ascends by share.
    """

    name: str
    of: Of
    subject: str
    period: Period
    limit_pico: int
    tell_at: tuple[Decimal, ...]
    policy: tuple[Step, ...]
    severity: int
    is_on: bool = True

    @property
    def is_each(self) -> bool:
        """Whether every feature or user has the limit for itself."""
        return self.of != Of.PROJECT and not self.subject


def step_at(policy: tuple[Step, ...], spent_pico: int, limit_pico: int) -> Step | None:
    """The last step whose share has been spent; None before the first. Exact: shares are decimals."""
    reached = [step for step in policy if has_spent(step.at, spent_pico, limit_pico)]
    return reached[-1] if reached else None


def has_spent(share: Decimal, spent_pico: int, limit_pico: int) -> bool:
    """Whether that share of the limit is spent."""
    return spent_pico >= share * limit_pico


def told_share(tell_at: tuple[Decimal, ...], spent_pico: int, limit_pico: int) -> Decimal:
    """The highest share to tell of that is spent; 0 before the first."""
    return max((share for share in tell_at if has_spent(share, spent_pico, limit_pico)), default=Decimal(0))
