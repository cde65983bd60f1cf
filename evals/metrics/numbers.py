"""Metrics of a whole experiment: accuracy, precision, recall and F1 of labels, AUC of scores, RMSE of numbers.

One-line formulas over what was counted; tests hold them to scikit-learn's documented examples. None where nothing can
be said, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TRUE_WORDS = frozenset({"true", "yes", "y", "1", "positive", "pass"})
FALSE_WORDS = frozenset({"false", "no", "n", "0", "negative", "fail"})


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Accuracy over n answers; precision, recall and F1 of the positive label, or averaged over labels.

    `how` says which: the positive label, or "macro": the plain mean over the labels that occur.
    """

    n: int
    accuracy: float
    precision: float | None
    recall: float | None
    f1: float | None
    how: str


def labels_of(answers: Sequence[str], expected: Sequence[str]) -> LabelFigures | None:
    """Figures of answers that are labels (compared without case and outer space); None without any.

    Two labels of which one is a word for yes: precision and recall are of that one. Otherwise macro averages, in which
    a label nobody answered has precision 0, as in scikit-learn with zero_division=0.
    """
    if not expected:
        return None
    told = [_label(text) for text in answers]
    wanted = [_label(text) for text in expected]
    hits = sum(a == b for a, b in zip(told, wanted, strict=True))
    names = sorted(set(wanted) | set(told))
    positive = next((name for name in names if name in TRUE_WORDS), None)
    is_binary = positive is not None and set(wanted) <= {positive} | FALSE_WORDS
    chosen = [positive] if is_binary and positive is not None else names
    figures = [_of_label(told, wanted, name) for name in chosen]
    count = len(figures)
    precision, recall, f1 = (sum(each[at] for each in figures) / count for at in range(3))
    return LabelFigures(len(wanted), hits / len(wanted), precision, recall, f1, str(positive) if is_binary else "macro")


def auc(scores: Sequence[float], is_positive: Sequence[bool]) -> float | None:
    """The area under the ROC curve: the chance that a positive scores above a negative, ties half (Mann, Whitney).

    None unless both kinds occur.
    """
    order = sorted(range(len(scores)), key=lambda at: scores[at])
    ranks = [0.0] * len(scores)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and scores[order[end]] == scores[order[at]]:
            end += 1
        for place in order[at:end]:
            ranks[place] = (at + end + 1) / 2
        at = end
    positives = sum(is_positive)
    negatives = len(scores) - positives
    if not positives or not negatives:
        return None
    rank_sum = sum(rank for rank, hit in zip(ranks, is_positive, strict=True) if hit)
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def rmse(answers: Sequence[float], expected: Sequence[float]) -> float | None:
    """The root of the mean squared error; None without any."""
    if not expected:
        return None
    return math.sqrt(math.fsum((a - b) ** 2 for a, b in zip(answers, expected, strict=True)) / len(expected))


def number_of(text: str) -> float | None:
    """A text that is a number (12, -0.5, 1e3, 95 %, 1,200); None for any other."""
    plain = text.strip().removesuffix("%").strip().replace(",", "").replace("_", "")
    if len(plain) > 40:
        return None
    try:
        value = float(plain)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def truth_of(text: str) -> bool | None:
    """A text that is a word for yes or no; None for any other."""
    word = _label(text)
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None


def _label(text: str) -> str:
    return text.strip().strip(".").lower()


def _of_label(told: Sequence[str], wanted: Sequence[str], name: str) -> tuple[float, float, float]:
    hits = sum(a == b == name for a, b in zip(told, wanted, strict=True))
    said, there = told.count(name), wanted.count(name)
    return (hits / said if said else 0.0, hits / there if there else 0.0, 2 * hits / (said + there) if hits else 0.0)
