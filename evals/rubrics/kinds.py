"""What a rubric consists of: criteria, their scales and worked examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

POINTS = "points"
BOOLEAN = "boolean"
LABELS = "labels"


class RubricRefused(ValueError):
    """A rubric that cannot be read: `field` as in `criteria[0].scale.high`, and the limit it broke, "" if none."""

    def __init__(self, field: str, message: str, limit: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Scale:
    """The values a criterion may take; more is better, whatever the kind.

    points: the whole numbers from `low` to `high`. boolean: no (0) and yes (1). labels: `labels`, from worst to best
    where they are ordered, and then numbered from 1. Labels without an order have no numbers at all.
    `anchors` says what earns a level: the number, or for labels the label itself, as text.
    """

    kind: str
    low: int = 0
    high: int = 1
    labels: tuple[str, ...] = ()
    is_ordered: bool = True
    anchors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def points(cls, low: int, high: int, anchors: Mapping[str, str] | None = None) -> Scale:
        """The whole numbers from `low` to `high`."""
        return cls(POINTS, low, high, anchors=dict(anchors or {}))

    @classmethod
    def yes_no(cls, anchors: Mapping[str, str] | None = None) -> Scale:
        """Yes (1, the good one) or no (0)."""
        return cls(BOOLEAN, 0, 1, anchors=dict(anchors or {}))

    @classmethod
    def of_labels(cls, *labels: str, is_ordered: bool = True, anchors: Mapping[str, str] | None = None) -> Scale:
        """One of `labels`, named from worst to best where they are ordered."""
        low, high = (1, len(labels)) if is_ordered else (0, 0)
        return cls(LABELS, low, high, labels, is_ordered, dict(anchors or {}))

    @property
    def has_numbers(self) -> bool:
        """Whether values have a number that a mean or a rank makes sense of."""
        return self.kind != LABELS or self.is_ordered

    @property
    def levels(self) -> tuple[int, ...]:
        """Every number of the scale, worst first, seen or not; empty for labels without an order."""
        return tuple(range(self.low, self.high + 1)) if self.has_numbers else ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every level as people read it, worst first."""
        if self.kind == BOOLEAN:
            return "no", "yes"
        return self.labels if self.kind == LABELS else tuple(str(level) for level in self.levels)

    def to_unit(self, x: float) -> float | None:
        """Where `x` lies between the worst (0) and the best level (1); None for labels without an order."""
        if not self.has_numbers:
            return None
        return (x - self.low) / (self.high - self.low)

    def number_of(self, label: str) -> int | None:
        """The number of a label, counted from 1 at the worst; None where labels have no order. KeyError if unknown."""
        if label not in self.labels:
            raise KeyError(label)
        return self.labels.index(label) + 1 if self.is_ordered else None


@dataclass(frozen=True, slots=True)
class Example:
    """A question, an answer, and the level it earns with the reason: what a judge is shown beside the definition."""

    question: str
    answer: str
    level: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One judged question. `flag_at_most`: this level or a worse one flags the trace, as a number of the scale."""

    key: str
    title: str
    definition: str
    scale: Scale
    examples: tuple[Example, ...] = ()
    flag_at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Rubric:
    """A written standard. Keys of criteria are unique and in the order of writing."""

    criteria: tuple[Criterion, ...]
    instructions: str = ""

    def criterion(self, key: str) -> Criterion | None:
        """The criterion of that key."""
        return next((each for each in self.criteria if each.key == key), None)
