"""Judging: what waits in the queue becomes scored, failed or skipped, each target once for each judge version."""

from evals.judging.context import Context, context_of
from evals.judging.models import ModelRun, judge_models
from evals.judging.rules import judge_rules
from evals.judging.tending import resume_waiting
from evals.judging.trying import PREFLIGHT_MAX, PreflightRefused, Tried, preflight

__all__ = [
    "PREFLIGHT_MAX",
    "Context",
    "ModelRun",
    "PreflightRefused",
    "Tried",
    "context_of",
    "judge_models",
    "judge_rules",
    "preflight",
    "resume_waiting",
    "work",
]


def work(seconds: float = 60.0) -> int:
    """Judge what is due by rules and by models, until nothing is left or `seconds` are over; how many ended.

    For commands and tests: tasks do the two apart.
    """
    return judge_rules(seconds) + judge_models(seconds)
