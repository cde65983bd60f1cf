"""Reading what a model judge replied: a verdict, or a reason why it is none. Never a guess, never a clipped value.

Strict on purpose. A reply is one JSON object of the schema, at most within one code fence. What is not of the schema,
lies off the scale or stands in prose is no score; the caller asks again or records the failure.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from evals.judges.fencing import clean, visible
from evals.judges.injections import finds_injection
from evals.judges.material import Material
from evals.judges.prompt import DOCUMENTS_MAX, RELEVANCE_HIGH, texts_of
from evals.judges.verdict import (
    EMPTY,
    INCOMPLETE,
    IS_BOOLEAN,
    LABEL,
    NUMERIC,
    OUT_OF_RANGE,
    REFUSED,
    UNPARSABLE,
    CriterionScore,
    DocumentScore,
    Unusable,
    Verdict,
)
from evals.rubrics import Criterion, Rubric

REPLY_CHARS_MAX = 200_000
REASON_CHARS_MAX = 4_000
EVIDENCE_MAX = 20
EVIDENCE_CHARS_MAX = 1_000
_CODE_FENCE = re.compile(r"```(?:json)?[ \t]*\r?\n(?P<body>.*?)\r?\n?```\Z", re.DOTALL | re.IGNORECASE)
_REFUSAL = re.compile(
    r"(i['’]?m sorry|i am sorry|sorry,|i apologi[sz]e|i can['’]?t|i cannot|i can not|i am unable|i['’]?m unable|"
    r"i am not able|i['’]?m not able|i won['’]?t|i will not|i must decline|as an ai)",
    re.IGNORECASE,
)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‚": "'", "\u00a0": " "})
_GAP = re.compile(r"\s*(?:\[\s*)?(?:\.\.\.|…)(?:\s*\])?\s*")


class _Unfit(Exception):
    """The reply is no verdict."""

    def __init__(self, kind: str, told: str) -> None:
        super().__init__(told)
        self.unusable = Unusable(kind, told)


def read_reply(
    rubric: Rubric, text: str, material: Material, finish_reason: str = "", *, with_documents: bool = False
) -> Verdict | Unusable:
    """The verdict that a reply holds, or why it is none. Never raises, whatever the text.

    `finish_reason` is the provider's: a refusal or a filtered reply is refused whatever it says, and one that stopped
    at the output limit is told apart from nonsense. `with_documents` as in the settings of the judge.
    """
    try:
        return _read(rubric, text, material, finish_reason, with_documents)
    except _Unfit as unfit:
        return unfit.unusable


def _read(rubric: Rubric, text: str, material: Material, finish_reason: str, with_documents: bool) -> Verdict:
    if finish_reason in ("refusal", "content_filter"):
        raise _Unfit(REFUSED, f"The provider ended the reply with “{finish_reason}”.")
    told = _load(text, finish_reason)
    documents = min(len(material.documents), DOCUMENTS_MAX) if with_documents else 0
    _only(told, {"injection_attempt", "criteria", *(["documents"] if documents else [])}, "the reply")
    reported = told.get("injection_attempt", False)
    if not isinstance(reported, bool):
        raise _Unfit(UNPARSABLE, "“injection_attempt” is neither true nor false.")
    criteria = told.get("criteria")
    if criteria is None:
        raise _Unfit(INCOMPLETE, "The reply has no “criteria”.")
    if not isinstance(criteria, dict):
        raise _Unfit(UNPARSABLE, "“criteria” is no object.")
    _only(criteria, {each.key for each in rubric.criteria}, "“criteria”")
    missing = [each.key for each in rubric.criteria if each.key not in criteria]
    if missing:
        raise _Unfit(INCOMPLETE, f"Not scored: {', '.join(missing)}.")
    scores = tuple(_score(each, criteria[each.key]) for each in rubric.criteria)
    relevances = _documents(told.get("documents"), material, documents) if documents else ()
    found = reported or finds_injection(material)
    return Verdict(scores, found, _missing_evidence(scores, material), relevances)


def _load(text: str, finish_reason: str) -> Mapping[str, Any]:
    if not isinstance(text, str) or not text.strip():
        raise _Unfit(EMPTY, "The reply is empty.")
    if len(text) > REPLY_CHARS_MAX:
        raise _Unfit(UNPARSABLE, f"The reply has {len(text):,} characters; at most {REPLY_CHARS_MAX:,} are read.")
    body = text.strip()
    if fenced := _CODE_FENCE.match(body):
        body = fenced.group("body").strip()
    if not body.startswith("{"):
        if _REFUSAL.match(body.lstrip("\"'*# ")):
            raise _Unfit(REFUSED, "The judge refused to score.")
        raise _Unfit(UNPARSABLE, "The reply is no JSON object.")
    try:
        told = json.loads(body, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        if finish_reason == "length":
            raise _Unfit(INCOMPLETE, "The reply was cut off at the judge's output limit.") from None
        raise _Unfit(UNPARSABLE, "The reply is no whole JSON object, or has text around it.") from None
    assert isinstance(told, dict)  # noqa: S101 - it begins with a brace
    return told


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("a name twice: which of the values holds would be a guess")
    return told


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _only(told: Mapping[str, Any], names: set[str], where: str) -> None:
    for name in told:
        if name not in names:
            raise _Unfit(UNPARSABLE, f"In {where} stands “{visible(name[:40])}”, which nobody asked for.")


def _score(criterion: Criterion, raw: object) -> CriterionScore:
    key = criterion.key
    if not isinstance(raw, dict):
        raise _Unfit(UNPARSABLE, f"“{key}” is no object.")
    _only(raw, {"reason", "evidence", "unsure", "score"}, f"“{key}”")
    for name in ("reason", "score"):
        if name not in raw:
            raise _Unfit(INCOMPLETE, f"“{key}” has no “{name}”.")
    reason, is_unsure, evidence = raw["reason"], raw.get("unsure", False), raw.get("evidence", [])
    if not isinstance(reason, str):
        raise _Unfit(UNPARSABLE, f"The reason of “{key}” is no text.")
    if not isinstance(is_unsure, bool):
        raise _Unfit(UNPARSABLE, f"“unsure” of “{key}” is neither true nor false.")
    if not isinstance(evidence, list) or not all(isinstance(each, str) for each in evidence):
        raise _Unfit(UNPARSABLE, f"The evidence of “{key}” is no list of texts.")
    number, label = _value(criterion, raw["score"], is_unsure)
    quotes = tuple(clean(each)[:EVIDENCE_CHARS_MAX] for each in evidence[:EVIDENCE_MAX] if each.strip())
    data_type = {"points": NUMERIC, "boolean": IS_BOOLEAN, "labels": LABEL}[criterion.scale.kind]
    return CriterionScore(key, data_type, number, label, clean(reason)[:REASON_CHARS_MAX], quotes, is_unsure)


def _value(criterion: Criterion, raw: object, is_unsure: bool) -> tuple[float | None, str | None]:
    """Number and label of a score; neither where the judge is unsure. A value beside "unsure" must be of the scale."""
    key, scale = criterion.key, criterion.scale
    if raw is None:
        if not is_unsure:
            raise _Unfit(INCOMPLETE, f"“{key}” has no score, and is not said to be unsure.")
        return None, None
    number: float | None
    label: str | None = None
    if scale.kind == "boolean":
        if not isinstance(raw, bool):
            raise _Unfit(UNPARSABLE, f"The score of “{key}” is neither true nor false.")
        number = float(raw)
    elif scale.kind == "labels":
        if not isinstance(raw, str):
            raise _Unfit(UNPARSABLE, f"The score of “{key}” is no label.")
        if raw not in scale.labels:
            raise _Unfit(OUT_OF_RANGE, f"The score of “{key}” is none of its labels.")
        number, label = scale.number_of(raw), raw
    else:
        if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
            raise _Unfit(UNPARSABLE, f"The score of “{key}” is no number.")
        if not scale.low <= raw <= scale.high:
            shown = f"{raw:g}" if abs(raw) < 1e15 else "far off"
            raise _Unfit(OUT_OF_RANGE, f"The score of “{key}” is {shown}, and goes from {scale.low} to {scale.high}.")
        if raw != int(raw):
            raise _Unfit(OUT_OF_RANGE, f"The score of “{key}” is {raw:g}, and only whole numbers are levels.")
        number = float(raw)
    return (None, None) if is_unsure else (number, label)


def _documents(raw: object, material: Material, wanted: int) -> tuple[DocumentScore, ...]:
    if raw is None:
        raise _Unfit(INCOMPLETE, "The reply has no “documents”.")
    if not isinstance(raw, list):
        raise _Unfit(UNPARSABLE, "“documents” is no list.")
    found: dict[int, int] = {}
    for each in raw:
        if not isinstance(each, dict) or each.keys() != {"number", "relevance"}:
            raise _Unfit(UNPARSABLE, "A document has other fields than its number and its relevance.")
        number, relevance = each["number"], each["relevance"]
        if type(number) is not int or type(relevance) is not int:
            raise _Unfit(UNPARSABLE, "A document's number or relevance is no whole number.")
        if not 1 <= number <= wanted or not 0 <= relevance <= RELEVANCE_HIGH:
            raise _Unfit(OUT_OF_RANGE, "A document's number or relevance is off its range.")
        if number in found:
            raise _Unfit(UNPARSABLE, f"Document {number} is judged twice.")
        found[number] = relevance
    if len(found) < wanted:
        raise _Unfit(INCOMPLETE, f"{wanted - len(found)} of {wanted} documents are not judged.")
    return tuple(
        DocumentScore(each.rank, found[at] / RELEVANCE_HIGH, each.id, each.score, each.span_id)
        for at, each in enumerate(material.documents[:wanted], 1)
    )


def _missing_evidence(scores: tuple[CriterionScore, ...], material: Material) -> tuple[str, ...]:
    """Criteria with a quote that is nowhere in the material, as it was or as it was shown."""
    if not any(score.evidence for score in scores):
        return ()
    texts = list(texts_of(material))
    haystack = _plain("\n".join(texts)) + "\n" + _plain(visible("\n".join(texts)))
    return tuple(s.key for s in scores if any(not _is_quoted(quote, haystack) for quote in s.evidence))


def _is_quoted(quote: str, haystack: str) -> bool:
    """Whether each piece of a quote, between its dots of omission, is in the material."""
    pieces = [piece for piece in _GAP.split(_plain(quote).strip("\"' ")) if piece]
    return bool(pieces) and all(piece in haystack for piece in pieces)


def _plain(text: str) -> str:
    """`text` without what copying changes: case, kinds of quotes, spaces."""
    return " ".join(text.translate(_QUOTES).casefold().split())
