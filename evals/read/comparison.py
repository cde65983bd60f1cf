"""Two experiments over the same items: what got better or worse, how sure that is, and which items moved.

Items count where both experiments answered the same content: an item that was edited between the dataset's versions, or
that one of them lacks, is left out and counted. Every criterion, metric and number of the sender's that both have is
a line. The lines of one comparison are a family: each is held to a level at which all of them together are wrongly told
better or worse in at most 1 - level of comparisons (Bonferroni), so that many criteria do not make chance proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray

from evals.metrics import METRICS
from evals.models import JudgeVersion
from evals.read.experiments import ExperimentRow, JudgeOf
from evals.rubrics import parse_rubric
from evals.rubrics.kinds import Criterion, RubricRefused
from evals.stats.paired import Compared, compare_scores, compare_shares
from evals.stats.results import LEVEL, TooLittle
from telltale.lib.db import raw_cursor

# Fewer pairs than this prove nothing: an interval of so few scores of a coarse scale is not what it says.
PAIRS_MIN = 10
BETTER, WORSE, CANNOT_TELL, TOO_LITTLE = "better", "worse", "cannot_tell", "too_little"
ANSWERED, LATENCY, COST = "answered", "latency_ms", "cost_usd"
Floats = NDArray[np.float64]


class NotComparable(Exception):
    """Two experiments that have nothing to be compared by; the text says why."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is compared. `low` and `high` bound its values where they are bounded; `decides` as part of the family."""

    key: str
    title: str
    kind: str  # judge, metric, sent, own
    judge: JudgeOf | None = None
    is_binary: bool = False
    is_higher_better: bool = True
    low: float | None = None
    high: float | None = None
    decides: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """One measure, new against old, over n pairs. Interval at 95 %; the verdict at `level_each`. None: not known.

    `new_n` and `old_n` count the results of each that have a value at all.
    """

    measure: Measure
    n: int
    new_n: int
    old_n: int
    new_mean: float | None
    old_mean: float | None
    difference: float | None
    low: float | None
    high: float | None
    wins: int
    losses: int
    ties: int
    p: float | None
    test: str
    level_each: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Moved:
    """One item's values of a measure in both experiments."""

    key: str
    new: float | None
    old: float | None
    new_target: UUID
    old_target: UUID

    @property
    def change(self) -> float | None:
        """New less old; None where one is missing."""
        return None if self.new is None or self.old is None else self.new - self.old


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Items that are in no pair: edited in between, or without a result in one of the two."""

    edited: int
    only_new: int
    only_old: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything a page says of two experiments. `unlike` names what both have but in versions that differ."""

    new: ExperimentRow
    old: ExperimentRow
    pairs: int
    left_out: LeftOut
    lines: tuple[Line, ...]
    unlike: tuple[str, ...]
    level: float
    margin: float
    moved: dict[str, tuple[Moved, ...]]

    def line(self, key: str) -> Line | None:
        """The line of a measure."""
        return next((line for line in self.lines if line.measure.key == key), None)

    @property
    def family(self) -> tuple[Line, ...]:
        """The lines that decide."""
        return tuple(line for line in self.lines if line.measure.decides)

    @property
    def worse(self) -> tuple[Line, ...]:
        """The deciding lines that are proven worse: the regressions."""
        return tuple(line for line in self.family if line.verdict == WORSE)

    @property
    def better(self) -> tuple[Line, ...]:
        """The deciding lines that are proven better."""
        return tuple(line for line in self.family if line.verdict == BETTER)


_PAIRS = """
WITH new AS (SELECT * FROM evals_experimentresult WHERE experiment_id = %(new)s),
old AS (SELECT * FROM evals_experimentresult WHERE experiment_id = %(old)s)
SELECT coalesce(n.item_key, o.item_key), n.target_id, n.state, n.metrics, n.latency_ms, n.cost_pico,
    o.target_id, o.state, o.metrics, o.latency_ms, o.cost_pico,
    a.id = b.id OR (a.input = b.input AND a.expected IS NOT DISTINCT FROM b.expected)
FROM new AS n FULL JOIN old AS o ON o.item_key = n.item_key
LEFT JOIN evals_datasetitem AS a ON a.dataset_id = %(dataset)s AND a.item_key = n.item_key
    AND a.from_version <= %(new_version)s AND (a.to_version IS NULL OR a.to_version > %(new_version)s)
LEFT JOIN evals_datasetitem AS b ON b.dataset_id = %(dataset)s AND b.item_key = o.item_key
    AND b.from_version <= %(old_version)s AND (b.to_version IS NULL OR b.to_version > %(old_version)s)
ORDER BY 1
"""
_SCORES = """
SELECT s.trace_id, s.judge_version_id, s.name, s.number, s.data_type
FROM evals_experimentresult AS r
JOIN evals_score AS s ON s.project_id = %(project)s AND s.trace_id = r.target_id AND s.target_kind = 4 AND s.source = 1
WHERE r.experiment_id = ANY(%(experiments)s) AND s.number IS NOT NULL
"""


def compare(
    project_id: int,
    new: ExperimentRow,
    old: ExperimentRow,
    *,
    on: Sequence[str] = (),
    level: float = LEVEL,
    margin: float = 0.0,
) -> Comparison:
    """New against old. `on` keeps to these measures, which then are the family; `margin` in their own units.

    NotComparable for experiments of different datasets, for one with itself, and where `on` names what is not there.
    """
    if new.id == old.id:
        raise NotComparable("An experiment differs from itself in nothing. Choose another one.")
    if new.dataset_id != old.dataset_id:
        raise NotComparable("These experiments ran over different datasets: they have no items in common.")
    both = _read(project_id, new, old)
    measures, unlike = _measures(project_id, new, old, both)
    if on:
        there = {measure.key for measure in measures}
        missing = [key for key in on if key not in there]
        if missing:
            said = ", ".join(sorted(there)) or "nothing"
            raise NotComparable(f"There is no {missing[0][:80]} in both experiments; there is {said}.")
        measures = [_deciding(measure) for measure in measures if measure.key in on]
    family = sum(measure.decides for measure in measures) or 1
    level_each = 1 - (1 - level) / family
    lines, moved = [], {}
    for measure in measures:
        each = tuple(_moved(measure, both))
        moved[measure.key] = each
        lines.append(_line(measure, each, level_each if measure.decides else level, level, margin))
    left_out = LeftOut(both.edited, both.only_new, both.only_old)
    return Comparison(new, old, len(both.rows), left_out, tuple(lines), unlike, level, margin, moved)


def worst_first(line: Line, moved: Iterable[Moved]) -> list[Moved]:
    """Items with values on both sides, by how much worse the new one is; ties by key."""
    sign = 1.0 if line.measure.is_higher_better else -1.0
    both = [each for each in moved if each.change is not None]
    return sorted(both, key=lambda each: (sign * (each.change or 0.0), each.key))


@dataclass(slots=True)
class _Side:
    target: UUID
    is_answered: bool
    reference: dict[str, float]
    sent: dict[str, float]
    latency_ms: float | None
    cost_pico: int | None


@dataclass(slots=True)
class _Both:
    rows: list[tuple[str, _Side, _Side]]
    scores: dict[UUID, dict[tuple[int, str], float]]
    types: dict[tuple[int, str], int]
    edited: int = 0
    only_new: int = 0
    only_old: int = 0


def _read(project_id: int, new: ExperimentRow, old: ExperimentRow) -> _Both:
    params = {
        "new": new.id, "old": old.id, "dataset": new.dataset_id, "new_version": new.version, "old_version": old.version,
    }  # fmt: skip
    both = _Both([], {}, {})
    with raw_cursor() as cursor:
        cursor.execute(_PAIRS, params)
        for key, *sides, is_same in cursor.fetchall():
            if sides[0] is None or sides[1] == "pending":
                both.only_old += 1
            elif sides[5] is None or sides[6] == "pending":
                both.only_new += 1
            elif not is_same:
                both.edited += 1
            else:
                both.rows.append((key, _side(sides[:5]), _side(sides[5:])))
        cursor.execute(_SCORES, {"project": project_id, "experiments": [new.id, old.id]})
        for target, version, name, number, data_type in cursor.fetchall():
            both.scores.setdefault(target, {})[version, name] = number
            both.types[version, name] = data_type
    return both


def _side(values: Sequence[Any]) -> _Side:
    target, state, metrics, latency_ms, cost_pico = values
    told = orjson.loads(metrics) if isinstance(metrics, str) else metrics or {}
    return _Side(target, state == "done", told.get("reference", {}), told.get("sent", {}), latency_ms, cost_pico)


def _measures(
    project_id: int, new: ExperimentRow, old: ExperimentRow, both: _Both
) -> tuple[list[Measure], tuple[str, ...]]:
    found: list[Measure] = []
    if any(not side.is_answered for _, a, b in both.rows for side in (a, b)):
        found.append(Measure(ANSWERED, "Answered", "own", is_binary=True, low=0, high=1))
    old_versions = {judge.version_id: judge for judge in old.judges}
    shared = [judge for judge in new.judges if judge.version_id in old_versions]
    criteria = criteria_of(project_id, [judge.version_id for judge in shared])
    for judge in shared:
        names = sorted({name for version, name in both.types if version == judge.version_id})
        for name in names:
            found.append(
                _judged(judge, name, criteria.get((judge.version_id, name)), both.types[judge.version_id, name])
            )
    for name, metric in METRICS.items():
        if name in new.metrics and name in old.metrics:
            high = 1.0 if metric.is_share else None
            found.append(Measure(
                f"metric.{name}", metric.title, "metric", is_binary=metric.is_binary, low=0, high=high,
                is_higher_better=metric.is_higher_better,
            ))  # fmt: skip
    sent = {name for _, a, b in both.rows for name in a.sent.keys() & b.sent.keys()}
    for name in sorted(sent):
        values = {side.sent[name] for _, a, b in both.rows for side in (a, b) if name in side.sent}
        found.append(Measure(f"sent.{name}", name, "sent", is_binary=values <= {0.0, 1.0}))
    for key, title in ((LATENCY, "Latency"), (COST, "Cost")):
        if any(_value(key, a, {}) is not None and _value(key, b, {}) is not None for _, a, b in both.rows):
            found.append(Measure(key, title, "own", is_higher_better=False, low=0, decides=False))
    old_judges = {judge.judge_id: judge for judge in old.judges}
    unlike = tuple(
        f"{judge.name}: v{judge.number} judged the new one, v{old_judges[judge.judge_id].number} the old one"
        for judge in new.judges
        if judge.version_id not in old_versions and judge.judge_id in old_judges
    )
    return found, unlike


def _judged(judge: JudgeOf, name: str, criterion: Criterion | None, data_type: int) -> Measure:
    title = f"{criterion.title if criterion else name}"
    scale = criterion.scale if criterion and criterion.scale.has_numbers else None
    low, high = (float(scale.low), float(scale.high)) if scale else (None, None)
    return Measure(f"{judge.slug}.{name}", title, "judge", judge, data_type == 2, True, low, high)


def criteria_of(project_id: int, version_ids: Sequence[int]) -> dict[tuple[int, str], Criterion]:
    """The criteria of judge versions, by version and key."""
    found: dict[tuple[int, str], Criterion] = {}
    versions = JudgeVersion.objects.filter(judge__project_id=project_id, pk__in=list(version_ids))
    for version in versions.select_related("rubric_version"):
        try:
            rubric = parse_rubric(version.rubric_version.spec)
        except RubricRefused:
            continue
        found.update({(version.pk, criterion.key): criterion for criterion in rubric.criteria})
    return found


def _deciding(measure: Measure) -> Measure:
    return Measure(
        measure.key, measure.title, measure.kind, measure.judge, measure.is_binary, measure.is_higher_better,
        measure.low, measure.high, True,
    )  # fmt: skip


def _moved(measure: Measure, both: _Both) -> Iterable[Moved]:
    key: Any = measure.key
    if measure.judge is not None:
        key = (measure.judge.version_id, measure.key.partition(".")[2])
    for item_key, new, old in both.rows:
        values = [_value(key, side, both.scores.get(side.target, {})) for side in (new, old)]
        yield Moved(item_key, values[0], values[1], new.target, old.target)


def _value(key: Any, side: _Side, scores: dict[tuple[int, str], float]) -> float | None:
    if isinstance(key, tuple):
        return scores.get(key)
    if key == ANSWERED:
        return float(side.is_answered)
    if key == LATENCY:
        return side.latency_ms
    if key == COST:
        return None if side.cost_pico is None else side.cost_pico / 1e12
    kind, _, name = key.partition(".")
    return (side.reference if kind == "metric" else side.sent).get(name)


def _line(measure: Measure, moved: Sequence[Moved], level_each: float, level: float, margin: float) -> Line:
    new, old = (
        np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        for values in ([each.new for each in moved], [each.old for each in moved])
    )
    counts = int(np.isfinite(new).sum()), int(np.isfinite(old).sum())
    shown, held = (_compare(measure, new, old, each, margin) for each in (level, level_each))
    if isinstance(shown, TooLittle) or isinstance(held, TooLittle):
        lacking = shown if isinstance(shown, TooLittle) else held
        n = lacking.have if isinstance(lacking, TooLittle) else 0
        return Line(
            measure, n, *counts, None, None, None, None, None, 0, 0, 0, None, "", level_each, TOO_LITTLE
        )  # fmt: skip
    verdict = held.verdict if held.verdict in (BETTER, WORSE) else CANNOT_TELL
    if held.n < PAIRS_MIN:
        verdict = TOO_LITTLE
    return Line(
        measure, shown.n, *counts, shown.mean_a, shown.mean_b, shown.difference.value, shown.difference.low,
        shown.difference.high, shown.wins, shown.losses, shown.ties, shown.p, shown.test, level_each, verdict,
    )  # fmt: skip


def _compare(measure: Measure, new: Floats, old: Floats, level: float, margin: float) -> Compared | TooLittle:
    options: dict[str, Any] = {
        "level": level, "margin": margin, "higher_is_better": measure.is_higher_better, "resamples": 0,
    }  # fmt: skip
    return compare_shares(new, old, **options) if measure.is_binary else compare_scores(new, old, **options)
