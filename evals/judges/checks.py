"""Kinds of rules: their settings."""

from __future__ import annotations

from evals.judges.fields import Rule
from evals.rubrics import Rubric


def read_rule(raw: object, where: str) -> Rule:
    """One rule, checked."""
    raise NotImplementedError


def check_rules_fit(rubric: Rubric, rules: tuple[Rule, ...]) -> None:
    """ConfigRefused where rules and rubric do not fit."""
    raise NotImplementedError
