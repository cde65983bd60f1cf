"""What is vague in a rubric."""

from __future__ import annotations

from dataclasses import dataclass

from evals.rubrics.kinds import Rubric


@dataclass(frozen=True, slots=True)
class Remark:
    """What could be clearer in a criterion (its key; "" for the rubric as a whole)."""

    criterion: str
    text: str


def lint(rubric: Rubric) -> tuple[Remark, ...]:
    """Remarks on criteria that two readers would score differently. Warnings only: a rubric may be used as it is."""
    return ()
