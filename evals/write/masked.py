"""What judges and models said, as a project may keep it: masked, and left out where traces are stored without content.

A judge's words quote what it read, so they go the way of the trace's own text: without content a verdict keeps its
scores, labels and marks. Answers to datasets and probes are made to be looked at; they are masked, not left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from evals.judges.verdict import Unusable, Verdict
from evals.write.judgements import RESULT, Judgement
from traces.masks import keeps_content, mask_text, mask_value

Said = TypeVar("Said", bound=Verdict | Unusable)


def keeps_words_of(row: Judgement) -> bool:
    """Whether what a judge says of this target may be kept at all."""
    return row.target_kind == RESULT or keeps_content(row.project_id, row.feature)


def mask_said(row: Judgement, said: Said) -> Said:
    """A judge's verdict, or why there is none, as it may be kept of this target."""
    return mask_said_of(row.project_id, "" if row.target_kind == RESULT else row.feature, said, keeps_words_of(row))


def mask_said_of(project_id: int, feature: str, said: Said, keeps_words: bool) -> Said:
    """The same of a target that is no row yet."""
    if isinstance(said, Unusable):
        return replace(said, told=mask_text(project_id, said.told, feature))
    scores = tuple(
        replace(each, reason=mask_text(project_id, each.reason, feature), evidence=tuple(
            mask_text(project_id, quote, feature) for quote in each.evidence
        ))
        if keeps_words
        else replace(each, reason="", evidence=())
        for each in said.scores
    )  # fmt: skip
    return replace(said, scores=scores)


def mask_reply(row: Judgement, text: str) -> str:
    """A judge's raw reply as it may be kept; "" without content."""
    if not keeps_words_of(row):
        return ""
    return mask_text(row.project_id, text, "" if row.target_kind == RESULT else row.feature)


def mask_fields(project_id: int, values: Mapping[str, Any], limits: Mapping[str, int | None]) -> dict[str, Any]:
    """`values` with the fields that `limits` names masked; texts of those with a limit are cut to so many characters.

    Numbers of other fields stay what they are: an amount may look like a card's number.
    """
    masked = dict(values)
    for name, limit in limits.items():
        if name in values:
            masked[name] = mask_value(project_id, values[name])
            if limit is not None:
                masked[name] = masked[name][:limit]
    return masked
