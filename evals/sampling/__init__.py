"""Which traces a judge scores: plans as values, and the draw. Pure."""

from evals.sampling.covariates import FIELDS, LISTS, NUMBERS, Covariates
from evals.sampling.draw import Draw, chance, decide, decide_late, hash_share, is_late_better
from evals.sampling.plan import FLOOR, Clause, Condition, Plan, PlanRefused, covers, describe, parse_plan, plan_json

__all__ = [
    "FIELDS",
    "FLOOR",
    "LISTS",
    "NUMBERS",
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
    "hash_share",
    "is_late_better",
    "parse_plan",
    "plan_json",
]
