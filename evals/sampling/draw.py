"""The draw: a salted hash of the trace's id against its inclusion probability.

The salt and the key belong to the judge and the purpose, not to the version of the plan: a share that rises keeps every
trace it had, two judges draw independently, and a trace sent again is decided the same.

Source: statistics.md, section 7 (Poisson sampling with stored inclusion probabilities).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from evals.sampling.covariates import Covariates
from evals.sampling.plan import FLOOR, Plan, clause_of, covers


@dataclass(frozen=True, slots=True)
class Draw:
    """What was decided of one trace. Not `is_covered`: the clause gives it no chance, and no mean speaks for it."""

    draw: float  # in [0, 1)
    pi: float
    is_taken: bool
    rule: str
    stratum: str

    @property
    def is_covered(self) -> bool:
        return self.pi > 0.0


def hash_share(salt: str, key: str, trace_id: UUID) -> float:
    """A number in [0, 1), uniform over trace ids, the same for the same three."""
    digest = sha256(b"\0".join((salt.encode(), key.encode(), trace_id.bytes))).digest()
    # The top 53 bits: as a float exact, and never rounded up to 1.
    return float(int.from_bytes(digest[:8], "big") >> 11) * 2.0**-53


def chance(share: float, factor: float) -> float:
    """The inclusion probability of a share that money lowers by `factor`; 0 stays 0, anything else keeps the floor."""
    if share <= 0.0:
        return 0.0
    return min(max(share * min(max(factor, 0.0), 1.0), FLOOR), 1.0)


def decide(
    plan: Plan, salt: str, plan_key: str, trace_id: UUID, covariates: Covariates, factor: float = 1.0
) -> Draw | None:
    """The first draw of a trace; None where the judge's filter leaves it out."""
    if not covers(plan, covariates):
        return None
    clause = clause_of(plan, covariates)
    pi = chance(clause.share, factor)
    draw = hash_share(salt, plan_key, trace_id)
    return Draw(draw, pi, draw < pi, clause.rule, clause.stratum)


def is_late_better(plan: Plan, covariates: Covariates, pi_first: float) -> bool:
    """Whether what became known after the first draw gives the trace a larger chance than it had."""
    clause = clause_of(plan, covariates)
    return clause.is_signal and clause.share > pi_first


def decide_late(
    plan: Plan,
    salt: str,
    plan_key: str,
    trace_id: UUID,
    covariates: Covariates,
    first: tuple[float, bool],
    factor: float = 1.0,
) -> Draw | None:
    """The second draw, for what was not known at the first (pi, taken); None where it gives no larger chance.

    It is independent of the first, so that the trace's chance is pi = 1 - (1 - pi1)(1 - pi2), whether or not the first
    draw had taken it.
    """
    pi_first, was_taken = first
    if not covers(plan, covariates) or not is_late_better(plan, covariates, pi_first):
        return None
    clause = clause_of(plan, covariates)
    pi_second = chance(clause.share, factor)
    draw = hash_share(salt, plan_key + ":late", trace_id)
    pi = 1.0 - (1.0 - pi_first) * (1.0 - pi_second)
    return Draw(draw, pi, was_taken or draw < pi_second, clause.rule, clause.stratum)
