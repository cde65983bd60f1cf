"""Scores as people give them, read against a rubric: numbers, words and labels of REST, forms and files. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from evals.judges.verdict import IS_BOOLEAN, LABEL, NUMERIC
from evals.reviewing.config import RefusedReview
from evals.rubrics import Criterion, Rubric

_YES = frozenset({"yes", "true", "1", "y", "t", "pass"})
_NO = frozenset({"no", "false", "0", "n", "f", "fail"})


@dataclass(frozen=True, slots=True)
class Value:
    """One score as it is stored: data type, number, label."""

    data_type: int
    number: float | None
    label: str | None

    @property
    def compared(self) -> float | str:
        """What agreement is about: the number, or the label where the scale has none."""
        return self.number if self.number is not None else self.label or ""


def read_value(criterion: Criterion, raw: object, where: str) -> Value:
    """What `raw` (number, true/false, text) is on the criterion's scale; RefusedReview where it is not on it."""
    scale = criterion.scale
    limit = ", ".join(scale.names) if len(scale.names) <= 12 else f"{scale.low} to {scale.high}"
    shown = str(raw)[:60]
    if scale.kind == "boolean":
        word = str(raw).strip().casefold() if isinstance(raw, bool | int | float | str) else ""
        word = word.removesuffix(".0")
        if word in _YES:
            return Value(IS_BOOLEAN, 1.0, None)
        if word in _NO:
            return Value(IS_BOOLEAN, 0.0, None)
        raise RefusedReview(where, "is neither yes nor no", "true, false, yes, no, 1, 0", shown)
    if scale.kind == "labels":
        found = next((label for label in scale.labels if label.casefold() == str(raw).strip().casefold()), None)
        if found is None:
            raise RefusedReview(where, "is no label of the scale", limit, shown)
        place = scale.number_of(found)
        return Value(LABEL, None if place is None else float(place), found)
    number = _number(raw)
    if number is None or not scale.low <= number <= scale.high:
        raise RefusedReview(where, "is not on the scale", limit, shown)
    return Value(NUMERIC, number, None)


def read_scores(rubric: Rubric, told: Mapping[str, object], where: str = "scores") -> dict[str, Value]:
    """The scores of one review by criterion; empty ones are left out. RefusedReview."""
    found: dict[str, Value] = {}
    for key, raw in told.items():
        criterion = rubric.criterion(key)
        if criterion is None:
            keys = ", ".join(each.key for each in rubric.criteria)
            raise RefusedReview(f"{where}.{str(key)[:60]}", "is no criterion of the rubric", keys)
        if raw is None or raw == "":
            continue
        found[key] = read_value(criterion, raw, f"{where}.{key}")
    return found


def _number(raw: object) -> float | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, str):
        try:
            raw = float(raw.strip()[:40])
        except ValueError:
            return None
    if not isinstance(raw, int | float) or not isfinite(raw):
        return None
    return float(raw) if abs(raw) < 1e9 else None
