"""Reading what a model judge replied."""

from __future__ import annotations

from evals.judges.material import Material
from evals.judges.verdict import Unusable, Verdict
from evals.rubrics import Rubric


def read_reply(rubric: Rubric, text: str, material: Material, finish_reason: str = "") -> Verdict | Unusable:
    """The verdict that a reply holds, or why it is none. Never raises, whatever the text."""
    raise NotImplementedError
