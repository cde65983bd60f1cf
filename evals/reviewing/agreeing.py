"""When an item has all it needs, and when its reviewers disagree. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evals.reviewing.config import FAILURE, UNSURE
from evals.rubrics import Rubric

OPEN, DONE, DISPUTED, SETTLED, DROPPED = "open", "done", "disputed", "settled", "dropped"
# Two scores further apart than this part of the scale are a disagreement: on 1 to 5, more than one step.
APART = 0.25
# Somebody unsure asks for one person more, once.
MORE_WHEN_UNSURE = 1


@dataclass(frozen=True, slots=True)
class Said:
    """What one person said: a verdict ("" where they only scored), and a number or a label for each criterion."""

    verdict: str
    scores: Mapping[str, float | str] = field(default_factory=dict)
    is_adjudication: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an item stands: its state, how many reviews it wants by now, and on what its reviewers disagree."""

    state: str
    wanted: int
    disagreements: tuple[str, ...] = ()


def outcome(rubric: Rubric, said: Sequence[Said], wanted: int) -> Outcome:
    """Where an item stands that at first wanted `wanted` reviews and has these.

    An adjudication settles it. Otherwise it is open until all are there; somebody unsure asks for one more, once. Then
    it is done where people agree, and disputed where they do not, or where nobody was sure.
    """
    if any(each.is_adjudication for each in said):
        return Outcome(SETTLED, max(wanted, 1))
    if any(each.verdict == UNSURE for each in said):
        wanted += MORE_WHEN_UNSURE
    if len(said) < wanted:
        return Outcome(OPEN, wanted)
    found = disagreements(rubric, said)
    if said and all(each.verdict == UNSURE for each in said):
        found = (*found, "nobody was sure")
    return Outcome(DISPUTED if found else DONE, wanted, found)


def disagreements(rubric: Rubric, said: Sequence[Said]) -> tuple[str, ...]:
    """On what people disagree: "verdict", and keys of criteria. The unsure disagree with nobody."""
    found = []
    sure = {each.verdict == FAILURE for each in said if each.verdict and each.verdict != UNSURE}
    if len(sure) > 1:
        found.append("verdict")
    for criterion in rubric.criteria:
        given = [each.scores[criterion.key] for each in said if criterion.key in each.scores]
        if _apart(rubric, criterion.key, given):
            found.append(criterion.key)
    return tuple(found)


def _apart(rubric: Rubric, key: str, given: Sequence[float | str]) -> bool:
    criterion = rubric.criterion(key)
    if criterion is None or len(given) < 2:
        return False
    if not criterion.scale.has_numbers:
        return len(set(given)) > 1
    units = [criterion.scale.to_unit(value) for value in given if not isinstance(value, str)]
    known = [unit for unit in units if unit is not None]
    return len(known) > 1 and max(known) - min(known) > APART
