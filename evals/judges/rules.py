"""Judges that need no model: each criterion by its rules."""

from __future__ import annotations

from evals.judges.config import RuleConfig
from evals.judges.fields import Outcome, RuleFailed
from evals.judges.injections import finds_injection
from evals.judges.material import Material
from evals.judges.verdict import (
    INCOMPLETE,
    IS_BOOLEAN,
    LABEL,
    NUMERIC,
    OUT_OF_RANGE,
    UNPARSABLE,
    CriterionScore,
    DocumentScore,
    Unusable,
    Verdict,
)
from evals.rubrics import Criterion, Rubric

REASON_CHARS_MAX = 1_000


class _Unfit(Exception):
    def __init__(self, kind: str, told: str) -> None:
        super().__init__(told)
        self.unusable = Unusable(kind, told)


def run_rules(rubric: Rubric, config: RuleConfig, material: Material) -> Verdict | Unusable:
    """The verdict of rules on one target. The same material always gets the same verdict: trying again is no use.

    A yes/no criterion is met where all its rules hold; unsure where none fails and one cannot be told (an unknown cost,
    a text too short to name its language). A rule that breaks off leaves no score at all, never a low one.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for at, rule in enumerate(config.rules, 1):
        try:
            outcomes.setdefault(rule.criterion, []).append(rule.check(material))
        except RuleFailed as failed:
            return Unusable(UNPARSABLE, f"Rule {at} ({rule.kind}) could not be run: {failed}.")
    try:
        scores = tuple(_score(each, outcomes.get(each.key, [])) for each in rubric.criteria)
    except _Unfit as unfit:
        return unfit.unusable
    documents: tuple[DocumentScore, ...] = ()
    for each in (outcome for found in outcomes.values() for outcome in found):
        documents = documents or each.documents
    return Verdict(scores, finds_injection(material), (), documents)


def _score(criterion: Criterion, outcomes: list[Outcome]) -> CriterionScore:
    if not outcomes:
        raise _Unfit(INCOMPLETE, f"No rule decides “{criterion.key}”.")
    kind = criterion.scale.kind
    if kind == "boolean":
        return _both(criterion, outcomes)
    outcome = outcomes[0]
    data_type = NUMERIC if kind == "points" else LABEL
    if outcome.value is None:
        return CriterionScore(criterion.key, data_type, reason=outcome.reason, is_unsure=True)
    return _level(criterion, outcome, data_type)


def _both(criterion: Criterion, outcomes: list[Outcome]) -> CriterionScore:
    """A criterion of yes and no: all its rules together."""
    for each in outcomes:
        if each.value is not None and not isinstance(each.value, bool):
            raise _Unfit(UNPARSABLE, f"A rule of “{criterion.key}” gives neither true nor false.")
    failed = [each for each in outcomes if each.value is False]
    unknown = [each for each in outcomes if each.value is None]
    telling = failed or unknown or outcomes
    reason = " ".join(each.reason for each in telling)[:REASON_CHARS_MAX]
    evidence = tuple(quote for each in telling for quote in each.evidence)
    if not failed and unknown:
        return CriterionScore(criterion.key, IS_BOOLEAN, reason=reason, is_unsure=True)
    return CriterionScore(criterion.key, IS_BOOLEAN, 0.0 if failed else 1.0, None, reason, evidence)


def _level(criterion: Criterion, outcome: Outcome, data_type: int) -> CriterionScore:
    key, scale, value = criterion.key, criterion.scale, outcome.value
    if scale.kind == "labels":
        if not isinstance(value, str):
            raise _Unfit(UNPARSABLE, f"The rule of “{key}” gives no label.")
        if value not in scale.labels:
            raise _Unfit(OUT_OF_RANGE, f"The rule of “{key}” gives a label that its scale does not have.")
        return CriterionScore(key, data_type, scale.number_of(value), value, outcome.reason, outcome.evidence)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unfit(UNPARSABLE, f"The rule of “{key}” gives no number.")
    if not scale.low <= value <= scale.high or value != int(value):
        raise _Unfit(
            OUT_OF_RANGE, f"The rule of “{key}” gives {value:g}, no whole number from {scale.low} to {scale.high}."
        )
    return CriterionScore(key, data_type, float(value), None, outcome.reason, outcome.evidence)
