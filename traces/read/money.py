"""What a sum of costs may claim: exact, at least, at most, or not known. Unknown is never $0."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

PICO = 10**12


class CostState(StrEnum):
    """How far a cost may be trusted."""

    NONE = "none"  # nothing in it could cost anything
    EXACT = "exact"
    AT_LEAST = "at_least"  # some spans are unpriced or have unknown usage
    AT_MOST = "at_most"  # cache counts unknown: an upper bound
    ESTIMATE = "estimate"  # both of them
    UNPRICED = "unpriced"  # no price for any of its models
    UNKNOWN_USAGE = "unknown_usage"  # no token counts


@dataclass(frozen=True, slots=True)
class CostSum:
    """The cost of a trace: counted spans by what is known of their price. `pico` is None where nothing is."""

    pico: int | None
    state: CostState
    priced: int = 0
    unpriced: int = 0
    unknown_usage: int = 0
    partial: int = 0
    upper_bound: int = 0
    reported_pico: int | None = None

    @property
    def usd(self) -> Decimal | None:
        """The sum in USD, exact."""
        return None if self.pico is None else Decimal(self.pico) / PICO

    @property
    def reported_usd(self) -> Decimal | None:
        """What the senders said it cost, exact."""
        return None if self.reported_pico is None else Decimal(self.reported_pico) / PICO

    @property
    def is_known(self) -> bool:
        return self.pico is not None


def cost_sum(
    pico: int, priced: int, unpriced: int, unknown_usage: int, partial: int, upper_bound: int, reported_pico: int | None
) -> CostSum:
    """The sum of stored counts, with the state that follows from them."""
    known = priced + upper_bound
    missing = unpriced + unknown_usage + partial
    if not known:
        if not missing:
            state = CostState.NONE
        else:
            state = CostState.UNPRICED if unpriced or partial else CostState.UNKNOWN_USAGE
        return CostSum(None, state, priced, unpriced, unknown_usage, partial, upper_bound, reported_pico)
    if missing:
        state = CostState.ESTIMATE if upper_bound else CostState.AT_LEAST
    else:
        state = CostState.AT_MOST if upper_bound else CostState.EXACT
    return CostSum(pico, state, priced, unpriced, unknown_usage, partial, upper_bound, reported_pico)
