"""Judges that need no model."""

from __future__ import annotations

from evals.judges.config import RuleConfig
from evals.judges.material import Material
from evals.judges.verdict import Unusable, Verdict
from evals.rubrics import Rubric


def run_rules(rubric: Rubric, config: RuleConfig, material: Material) -> Verdict | Unusable:
    """The verdict of rules on one target."""
    raise NotImplementedError
