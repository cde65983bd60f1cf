"""Whether votes can be trusted: the survivorship check of a project, what it takes for satisfied, its history."""

from evals.surviving.choosing import Anchoring, RefusedAnchor, anchoring_for, save_anchoring
from evals.surviving.example import example
from evals.surviving.looking import JudgeScores, Look, Survivorship, look_at

__all__ = [
    "Anchoring",
    "JudgeScores",
    "Look",
    "RefusedAnchor",
    "Survivorship",
    "anchoring_for",
    "example",
    "look_at",
    "save_anchoring",
]
