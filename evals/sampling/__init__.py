"""Which traces a judge scores: plans as values, and the draw. Pure."""

from evals.sampling.budget import Allowance, factor_of
from evals.sampling.covariates import FIELDS, LISTS, NUMBERS, Covariates
from evals.sampling.draw import Draw, chance, decide, decide_late, hash_share, is_late_better
from evals.sampling.plan import (
    FLOOR,
    Clause,
    Condition,
    Plan,
    PlanRefused,
    covers,
    describe,
    parse_plan,
    plan_json,
    share_of,
)

__all__ = [
    "FIELDS",
    "FLOOR",
    "LISTS",
    "NUMBERS",
    "Allowance",
    "Clause",
    "Condition",
    "Covariates",
    "Draw",
    "Plan",
    "PlanRefused",
    "chance",
    "covers",
    "decide",
    "decide_late",
    "describe",
    "factor_of",
    "hash_share",
    "is_late_better",
    "parse_plan",
    "plan_json",
    "share_of",
]
