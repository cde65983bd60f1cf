"""From what people write to a `Rubric`, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evals.rubrics.kinds import BOOLEAN, LABELS, POINTS, Criterion, Example, Rubric, RubricRefused, Scale

CRITERIA_MAX = 20
TITLE_CHARS_MAX = 100
DEFINITION_CHARS_MAX = 4_000
INSTRUCTIONS_CHARS_MAX = 8_000
ANCHOR_CHARS_MAX = 500
EXAMPLES_MAX = 5
EXAMPLE_CHARS_MAX = 4_000
LABELS_MAX = 20
LABEL_CHARS_MAX = 60
LEVEL_MAX = 100
# More levels than this nobody tells apart, and every level is a row of tables.
LEVELS_MAX = 101
_KEY = re.compile(r"[a-z][a-z0-9_]{0,49}\Z")


def parse_rubric(spec: object) -> Rubric:
    """The rubric that `spec` (JSON: criteria, instructions) describes; RubricRefused at the first fault."""
    told = _object(spec, "rubric", {"criteria", "instructions"})
    instructions = _text(told.get("instructions", ""), "instructions", INSTRUCTIONS_CHARS_MAX, may_be_empty=True)
    raw = told.get("criteria")
    if not isinstance(raw, list) or not raw:
        raise RubricRefused("criteria", "must be a list with at least one criterion.")
    if len(raw) > CRITERIA_MAX:
        raise RubricRefused("criteria", f"holds {len(raw)} criteria; at most {CRITERIA_MAX}.", str(CRITERIA_MAX))
    criteria = tuple(_criterion(each, f"criteria[{at}]") for at, each in enumerate(raw))
    seen: set[str] = set()
    for at, each in enumerate(criteria):
        if each.key in seen:
            raise RubricRefused(f"criteria[{at}].key", f"“{each.key}” is used twice.")
        seen.add(each.key)
    return Rubric(criteria, instructions)


def _criterion(raw: object, where: str) -> Criterion:
    told = _object(raw, where, {"key", "title", "definition", "scale", "examples", "flag_at_most"})
    key = told.get("key")
    if not isinstance(key, str) or not _KEY.match(key):
        raise RubricRefused(
            f"{where}.key", "must begin with a small letter and hold small letters, digits and _ only.", "50 characters"
        )
    title = _text(told.get("title", key.replace("_", " ").capitalize()), f"{where}.title", TITLE_CHARS_MAX)
    definition = _text(told.get("definition"), f"{where}.definition", DEFINITION_CHARS_MAX)
    scale = _scale(told.get("scale"), f"{where}.scale")
    raw_examples = told.get("examples", [])
    if not isinstance(raw_examples, list):
        raise RubricRefused(f"{where}.examples", "must be a list.")
    if len(raw_examples) > EXAMPLES_MAX:
        raise RubricRefused(
            f"{where}.examples", f"holds {len(raw_examples)}; at most {EXAMPLES_MAX}.", str(EXAMPLES_MAX)
        )
    examples = tuple(_example(each, scale, f"{where}.examples[{at}]") for at, each in enumerate(raw_examples))
    return Criterion(key, title, definition, scale, examples, _flag(told.get("flag_at_most"), scale, where))


def _flag(raw: object, scale: Scale, where: str) -> float | None:
    where = f"{where}.flag_at_most"
    if raw is None:
        return None
    if not scale.has_numbers:
        raise RubricRefused(where, "needs a scale with an order.")
    number: float
    if isinstance(raw, str) and scale.kind == LABELS and raw in scale.labels:
        number = scale.labels.index(raw) + 1
    elif isinstance(raw, bool) and scale.kind == BOOLEAN:
        number = int(raw)
    elif isinstance(raw, int | float) and not isinstance(raw, bool):
        number = raw
    else:
        raise RubricRefused(where, "must be a level of the scale.")
    if not scale.low <= number < scale.high:
        limit = f"{scale.low} to below {scale.high}"
        raise RubricRefused(where, f"is {number:g}, and everything or nothing would be flagged; from {limit}.", limit)
    return number


def _scale(raw: object, where: str) -> Scale:
    told = _object(raw, where, {"kind", "low", "high", "labels", "ordered", "anchors"})
    kind = told.get("kind")
    if kind == POINTS:
        _without(told, where, "labels", "ordered")
        low, high = _level(told.get("low", 1), f"{where}.low"), _level(told.get("high", 5), f"{where}.high")
        if high <= low:
            raise RubricRefused(f"{where}.high", f"is {high}, and must be more than low ({low}).", f"> {low}")
        if high - low + 1 > LEVELS_MAX:
            raise RubricRefused(
                f"{where}.high", f"makes {high - low + 1} levels; at most {LEVELS_MAX}.", str(LEVELS_MAX)
            )
        scale = Scale.points(low, high)
    elif kind == BOOLEAN:
        _without(told, where, "low", "high", "labels", "ordered")
        scale = Scale.yes_no()
    elif kind == LABELS:
        _without(told, where, "low", "high")
        is_ordered = told.get("ordered", True)
        if not isinstance(is_ordered, bool):
            raise RubricRefused(f"{where}.ordered", "must be true or false.")
        scale = Scale.of_labels(*_labels(told.get("labels"), f"{where}.labels"), is_ordered=is_ordered)
    else:
        raise RubricRefused(f"{where}.kind", f"must be {POINTS}, {BOOLEAN} or {LABELS}.")
    anchors = _anchors(told.get("anchors"), scale, f"{where}.anchors")
    return Scale(scale.kind, scale.low, scale.high, scale.labels, scale.is_ordered, anchors)


def _level(raw: object, where: str) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise RubricRefused(where, "must be a whole number.")
    if abs(raw) > LEVEL_MAX:
        raise RubricRefused(where, f"must be from -{LEVEL_MAX} to {LEVEL_MAX}.", f"-{LEVEL_MAX} to {LEVEL_MAX}")
    return raw


def _labels(raw: object, where: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not 2 <= len(raw) <= LABELS_MAX:
        raise RubricRefused(where, f"must be a list of 2 to {LABELS_MAX} labels.", f"2 to {LABELS_MAX}")
    labels = tuple(_text(each, f"{where}[{at}]", LABEL_CHARS_MAX) for at, each in enumerate(raw))
    if len({label.casefold() for label in labels}) < len(labels):
        raise RubricRefused(where, "names a label twice.")
    return labels


def _anchors(raw: object, scale: Scale, where: str) -> dict[str, str]:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise RubricRefused(where, "must be an object from a level to what earns it.")
    anchors: dict[str, str] = {}
    for level, text in raw.items():
        if level not in scale.names:
            raise RubricRefused(where, f"names “{str(level)[:40]}”, which is no level of the scale.")
        anchors[level] = _text(text, f"{where}.{level}", ANCHOR_CHARS_MAX)
    return {level: anchors[level] for level in scale.names if level in anchors}


def _example(raw: object, scale: Scale, where: str) -> Example:
    told = _object(raw, where, {"question", "answer", "level", "reason"})
    level = told.get("level")
    if isinstance(level, bool):
        level = "yes" if level else "no"
    elif isinstance(level, int):
        level = str(level)
    if not isinstance(level, str) or level not in scale.names:
        raise RubricRefused(f"{where}.level", "must be a level of the scale.", ", ".join(scale.names[:12]))
    return Example(
        _text(told.get("question", ""), f"{where}.question", EXAMPLE_CHARS_MAX, may_be_empty=True),
        _text(told.get("answer"), f"{where}.answer", EXAMPLE_CHARS_MAX),
        level,
        _text(told.get("reason", ""), f"{where}.reason", EXAMPLE_CHARS_MAX, may_be_empty=True),
    )


def _object(raw: object, where: str, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise RubricRefused(where, "must be an object.")
    for name in raw:
        if name not in names:
            raise RubricRefused(f"{where}.{str(name)[:60]}", "is not known here.", ", ".join(sorted(names)))
    return raw


def _without(told: Mapping[str, Any], where: str, *names: str) -> None:
    for name in names:
        if name in told:
            raise RubricRefused(f"{where}.{name}", f"does not go with a scale of kind {told['kind']}.")


def _text(raw: object, where: str, limit: int, *, may_be_empty: bool = False) -> str:
    if not isinstance(raw, str):
        raise RubricRefused(where, "must be a text.")
    text = raw.strip()
    if not text and not may_be_empty:
        raise RubricRefused(where, "must not be empty.")
    if len(text) > limit:
        raise RubricRefused(where, f"has {len(text):,} characters; at most {limit:,}.", f"{limit:,} characters")
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise RubricRefused(where, "holds characters that cannot be stored.")
    return text


def to_json(rubric: Rubric) -> dict[str, Any]:
    """The JSON that `parse_rubric` reads as this rubric; the same rubric always gives the same JSON."""
    told: dict[str, Any] = {"criteria": [_criterion_json(each) for each in rubric.criteria]}
    if rubric.instructions:
        told["instructions"] = rubric.instructions
    return told


def _criterion_json(criterion: Criterion) -> dict[str, Any]:
    scale = criterion.scale
    shape: dict[str, Any] = {"kind": scale.kind}
    if scale.kind == POINTS:
        shape |= {"low": scale.low, "high": scale.high}
    elif scale.kind == LABELS:
        shape |= {"labels": list(scale.labels), "ordered": scale.is_ordered}
    if scale.anchors:
        shape["anchors"] = dict(scale.anchors)
    told: dict[str, Any] = {
        "key": criterion.key,
        "title": criterion.title,
        "definition": criterion.definition,
        "scale": shape,
    }
    if criterion.examples:
        told["examples"] = [
            {"question": each.question, "answer": each.answer, "level": each.level, "reason": each.reason}
            for each in criterion.examples
        ]
    if criterion.flag_at_most is not None:
        told["flag_at_most"] = criterion.flag_at_most
    return told
