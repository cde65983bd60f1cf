"""The reference metrics by name: what each says of one result, and what of all of them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.metrics import numbers, texts
from evals.metrics.contents import text_of


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of each result that has an expected answer. `is_share`: 0..1; `is_binary`: 0 or 1 alone."""

    name: str
    title: str
    says: str
    is_binary: bool = False
    is_share: bool = True
    is_higher_better: bool = True


@dataclass(frozen=True, slots=True)
class Whole:
    """A figure of all results together, with its n; `note` says how it was made. Not paired: no interval is told."""

    name: str
    title: str
    value: float
    n: int
    note: str = ""


METRICS = {
    metric.name: metric
    for metric in (
        Metric("exact_match", "Exact match", "As expected, but for case, punctuation, articles", is_binary=True),
        Metric("contains", "Contains expected", "The expected text stands in the answer", is_binary=True),
        Metric("token_f1", "Token F1", "Words in common with the expected answer, as F1"),
        Metric("rouge1", "ROUGE-1", "Single words in common, as F1"),
        Metric("rouge2", "ROUGE-2", "Pairs of words in common, as F1"),
        Metric("rougeL", "ROUGE-L", "Longest common run of words, as F1"),
        Metric("bleu", "BLEU", "4-gram precision with brevity penalty, by sacrebleu"),
        Metric("chrf", "chrF", "Character n-grams in common, by sacrebleu"),
        Metric("label", "Label right", "The answer is the expected label", is_binary=True),
        Metric("squared_error", "Squared error", "Square of the difference of two numbers", is_share=False,
               is_higher_better=False),
    )
}  # fmt: skip
_TEXTS: Mapping[str, Callable[[str, str], float]] = {
    "exact_match": texts.exact_match,
    "contains": texts.contains,
    "token_f1": texts.token_f1,
    "rouge1": lambda answer, expected: texts.rouge_n(answer, expected, 1),
    "rouge2": lambda answer, expected: texts.rouge_n(answer, expected, 2),
    "rougeL": texts.rouge_l,
    "bleu": texts.bleu,
    "chrf": texts.chrf,
    "label": lambda answer, expected: float(answer.strip().strip(".").lower() == expected.strip().strip(".").lower()),
}


def measure(names: Sequence[str], output: Any, expected: Any) -> dict[str, float]:
    """The metrics of one result, by name. Empty where nothing was expected; squared_error needs two numbers."""
    if expected is None:
        return {}
    answer, wanted = text_of(output), text_of(expected)
    found = {name: _TEXTS[name](answer, wanted) for name in names if name in _TEXTS}
    if "squared_error" in names:
        a, b = numbers.number_of(answer), numbers.number_of(wanted)
        if a is not None and b is not None:
            found["squared_error"] = (a - b) ** 2
    return found


def wholes(names: Sequence[str], pairs: Sequence[tuple[Any, Any]]) -> list[Whole]:
    """The figures of all (output, expected) pairs together that belong to the metrics in use."""
    told = [(text_of(output), text_of(expected)) for output, expected in pairs if expected is not None]
    found: list[Whole] = []
    if "bleu" in names and told:
        whole = texts.corpus_bleu([a for a, _ in told], [b for _, b in told])
        if whole is not None:
            found.append(Whole("corpus_bleu", "BLEU of all", whole, len(told), "sacrebleu, over all answers at once"))
    if "label" in names and told:
        found += _label_wholes(told)
    if "squared_error" in names:
        both = [(numbers.number_of(a), numbers.number_of(b)) for a, b in told]
        values = [(a, b) for a, b in both if a is not None and b is not None]
        error = numbers.rmse([a for a, _ in values], [b for _, b in values])
        if error is not None:
            note = f"{len(told) - len(values)} left out: no number" if len(values) < len(told) else ""
            found.append(Whole("rmse", "RMSE", error, len(values), note))
    return found


def _label_wholes(told: Sequence[tuple[str, str]]) -> list[Whole]:
    figures = numbers.labels_of([a for a, _ in told], [b for _, b in told])
    if figures is None:
        return []
    note = "mean over labels" if figures.how == "macro" else f"of “{figures.how}”"
    found = [Whole("accuracy", "Accuracy", figures.accuracy, figures.n)]
    for name, title, value in (("precision", "Precision", figures.precision), ("recall", "Recall", figures.recall),
                               ("f1", "F1", figures.f1)):  # fmt: skip
        if value is not None:
            found.append(Whole(name, title, value, figures.n, note))
    scored = [(numbers.number_of(a), numbers.truth_of(b)) for a, b in told]
    usable = [(score, truth) for score, truth in scored if score is not None and truth is not None]
    area = numbers.auc([score for score, _ in usable], [truth for _, truth in usable])
    if area is not None:
        found.append(Whole("auc", "AUC", area, len(usable), "of answers that are numbers"))
    return found
