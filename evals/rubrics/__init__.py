"""Rubrics: the written standard that judges and people score by. Pure.

`parse_rubric` reads what people write, `lint` says what is vague in it, `PRESETS` are rubrics to begin with.
"""

from evals.rubrics.kinds import Criterion, Example, Rubric, RubricRefused, Scale
from evals.rubrics.lint import Remark, lint
from evals.rubrics.presets import PRESETS, Preset
from evals.rubrics.reading import parse_rubric, to_json

__all__ = [
    "PRESETS",
    "Criterion",
    "Example",
    "Preset",
    "Remark",
    "Rubric",
    "RubricRefused",
    "Scale",
    "lint",
    "parse_rubric",
    "to_json",
]
