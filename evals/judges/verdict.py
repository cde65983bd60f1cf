"""What a judge came to: scores for every criterion, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass

NUMERIC, IS_BOOLEAN, LABEL = 1, 2, 3

UNPARSABLE = "unparsable"
REFUSED = "refused"
OUT_OF_RANGE = "out_of_range"
INCOMPLETE = "incomplete"
EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class CriterionScore:
    """One criterion's score. `data_type` as stored: 1 numeric, 2 boolean, 3 label.

    `number`: points; 0 and 1 of a boolean; the place of an ordered label from 1; None for a label without an order.
    An unsure judge gives neither number nor label: that is no score, and is never counted as one.
    """

    key: str
    data_type: int
    number: float | None = None
    label: str | None = None
    reason: str = ""
    evidence: tuple[str, ...] = ()
    is_unsure: bool = False


@dataclass(frozen=True, slots=True)
class DocumentScore:
    """How relevant (0..1) a retrieved document was to the question."""

    rank: int
    relevance: float
    document_id: str = ""
    retrieval_score: float | None = None
    span_id: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score or an "unsure" for each criterion of the rubric, in its order.

    `injection_attempt`: the material addresses the judge. `evidence_missing`: criteria whose quotes are not in it.
    Neither changes a score.
    """

    scores: tuple[CriterionScore, ...]
    injection_attempt: bool = False
    evidence_missing: tuple[str, ...] = ()
    documents: tuple[DocumentScore, ...] = ()

    def score(self, key: str) -> CriterionScore | None:
        """The score of one criterion."""
        return next((each for each in self.scores if each.key == key), None)


@dataclass(frozen=True, slots=True)
class Unusable:
    """No verdict: `kind` is unparsable, refused, out_of_range, incomplete or empty; `told` says it in a sentence."""

    kind: str
    told: str
