"""Pairs: what people and a judge version scored of the same target in the same criterion.

A label counts where it was given blind (an adjudication always), by a rubric whose wording and scale of the criterion
are the judge's own, and lies on that scale. What does not count is counted, by reason.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from evals.models import RubricVersion
from evals.read.calibration import EVERYTHING, Scope
from evals.rubrics import Criterion, Scale, parse_rubric
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

# The newest labels of a criterion that are looked at: a calibration of 20,000 pairs takes a second or two.
LABELS_MAX = 60_000
# With so many drawn by a design, the ones picked by hand are left out; with fewer, all count alike.
DRAWN_MIN = 30
NOT_BLIND = "the judge's score was seen first"
OTHER_WORDING = "given by another wording of the criterion"
OFF_SCALE = "not on the scale"
UNJUDGED = "not judged by this version"
UNSURE = "the judge was unsure"
BY_HAND = "picked by hand, not drawn"


@dataclass(frozen=True, slots=True)
class Rating:
    """One person's label: `level` counts from 0 at the worst level of the scale."""

    reviewer: str
    level: int
    at: datetime
    is_adjudication: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """One target that people labelled, and what the judge scored it: `judge` is None where it did not.

    `person` is the adjudicated level, else what the people came to together (`settle`). `pi` is the chance it had to
    be judged and to be drawn for review; None where it was picked by hand.
    """

    trace_id: UUID
    span_id: int
    ratings: tuple[Rating, ...]
    person: int
    judge: int | None
    pi: float | None
    feature: str
    model: str
    prompt_version: str
    session_id: str = ""
    judge_note: str = ""
    queue_id: int | None = None
    started_at: datetime | None = None
    pi_judge: float | None = None
    pi_review: float | None = None

    @property
    def blind(self) -> tuple[Rating, ...]:
        """The labels of people who did not know each other's: without adjudications."""
        return tuple(rating for rating in self.ratings if not rating.is_adjudication)

    @property
    def cluster(self) -> str:
        """What resamples keep together: the session, else the trace."""
        return self.session_id or self.trace_id.hex


@dataclass(frozen=True, slots=True)
class PairSet:
    """All that people labelled in one criterion, beside one judge version."""

    criterion: Criterion
    scope: Scope
    labelled: tuple[Pair, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def judged(self) -> tuple[Pair, ...]:
        """The pairs proper: labelled, and scored by the judge."""
        return tuple(pair for pair in self.labelled if pair.judge is not None)

    @property
    def used(self) -> tuple[Pair, ...]:
        """The pairs that figures stand on: the drawn ones where there are enough, else all."""
        judged = self.judged
        drawn = tuple(pair for pair in judged if pair.pi is not None)
        return drawn if len(drawn) >= DRAWN_MIN else judged

    @property
    def is_weighted(self) -> bool:
        """Whether every pair in use has a known chance of being drawn."""
        used = self.used
        return bool(used) and all(pair.pi is not None for pair in used)

    @property
    def reviewers(self) -> int:
        """How many people labelled the pairs in use."""
        return len({rating.reviewer for pair in self.used for rating in pair.ratings})

    @property
    def labels(self) -> int:
        """How many labels the pairs in use have."""
        return sum(len(pair.ratings) for pair in self.used)

    @property
    def times(self) -> list[datetime]:
        """When the labels of the pairs in use were given, earliest first."""
        return sorted(rating.at for pair in self.used for rating in pair.ratings)

    def within(self, scope: Scope) -> PairSet:
        """The part of it that is of `scope`."""
        return replace(self, scope=scope, labelled=tuple(pair for pair in self.labelled if _is_of(pair, scope)))


def level_of(scale: Scale, number: float | None, label: str | None, *, is_rounded: bool = False) -> int | None:
    """The level of a score, counted from 0 at the worst; None where the scale has none such.

    `is_rounded` takes a number between two levels as the nearest one, the higher half-way: for judges that answer so.
    """
    if scale.labels and label is not None:
        return scale.labels.index(label) if label in scale.labels else None
    if number is None or not scale.has_numbers or not scale.low <= number <= scale.high:
        return None
    level = math.floor(number + 0.5)
    return level - scale.low if is_rounded or level == number else None


def settle(ratings: Sequence[Rating], is_ordered: bool) -> int:
    """What people came to: the newest adjudication; else the median of an ordered scale, the most frequent otherwise.

    Of two middle levels it is the one the first reviewer is nearer to; of equally frequent ones the first reviewer's.
    """
    settled = [rating for rating in ratings if rating.is_adjudication]
    if settled:
        return max(settled, key=lambda rating: rating.at).level
    first = min(ratings, key=lambda rating: rating.at).level
    if not is_ordered:
        counts = Counter(rating.level for rating in ratings)
        most = max(counts.values())
        return first if counts[first] == most else min(level for level, count in counts.items() if count == most)
    low = statistics.median_low(rating.level for rating in ratings)
    high = statistics.median_high(rating.level for rating in ratings)
    return low if abs(first - low) <= abs(first - high) else high


def load_pairs(project_id: int, version_id: int, criterion: Criterion, scope: Scope = EVERYTHING) -> PairSet:
    """The labels of a criterion in `scope`, beside what the judge version scored. Three queries."""
    with raw_cursor(dict_row) as cursor:
        cursor.execute(
            load("evals", "read_labels"), {"project_id": project_id, "name": criterion.key, "most": LABELS_MAX}
        )
        labels = cursor.fetchall()
        trace_ids = list({row["trace_id"] for row in labels})
        cursor.execute(
            load("evals", "read_judged"),
            {"project_id": project_id, "name": criterion.key, "version_id": version_id, "trace_ids": trace_ids},
        )
        judged = {(row["trace_id"], row["span_id"]): row for row in cursor}
    left_out: Counter[str] = Counter()
    alike = _same_wording(criterion, {row["rubric_version_id"] for row in labels})
    by_target: dict[tuple[UUID, int], list[dict[str, Any]]] = {}
    for row in labels:
        row["level"] = level_of(criterion.scale, row["number"], row["label"])
        if row["level"] is None:
            left_out[OFF_SCALE] += 1
        elif row["rubric_version_id"] is not None and row["rubric_version_id"] not in alike:
            left_out[OTHER_WORDING] += 1
        elif not row["was_blind"] and not row["is_adjudication"]:
            left_out[NOT_BLIND] += 1
        else:
            by_target.setdefault((row["trace_id"], row["span_id"]), []).append(row)
    pairs = [_pair(criterion, rows, judged.get(target), left_out) for target, rows in by_target.items()]
    pairs.sort(key=lambda pair: (pair.trace_id, pair.span_id))
    whole = PairSet(criterion, EVERYTHING, tuple(pairs), left_out)
    found_set = whole if scope == EVERYTHING else whole.within(scope)
    by_hand = len(found_set.judged) - len(found_set.used)
    return replace(found_set, left_out=dict(left_out) | ({BY_HAND: by_hand} if by_hand else {}))


def _pair(
    criterion: Criterion, rows: list[dict[str, Any]], judged: dict[str, Any] | None, left_out: Counter[str]
) -> Pair:
    ratings = tuple(
        Rating(row["reviewer"], row["level"], row["at"], row["is_adjudication"], row["comment"] or "")
        for row in sorted(rows, key=lambda row: (row["at"], row["reviewer"]))
    )
    level = None if judged is None else level_of(criterion.scale, judged["number"], judged["label"], is_rounded=True)
    if judged is None:
        left_out[UNJUDGED] += 1
    elif level is None:
        left_out[UNSURE if judged["number"] is None and judged["label"] is None else OFF_SCALE] += 1
    about, chances = rows[0], _chances(rows, judged)
    where = {
        name: (judged or {}).get(name) or next((row[name] for row in rows if row[name]), "")
        for name in ("feature", "model", "prompt_version")
    }
    return Pair(
        trace_id=about["trace_id"],
        span_id=about["span_id"],
        ratings=ratings,
        person=settle(ratings, criterion.scale.has_numbers),
        judge=level,
        pi=None if chances is None else chances[0] * chances[1],
        pi_judge=None if chances is None else chances[0],
        pi_review=None if chances is None else chances[1],
        started_at=about["started_at"],
        session_id=about["session_id"] or "",
        judge_note=(judged or {}).get("comment") or "",
        queue_id=next((row["queue_id"] for row in rows if row["queue_id"] is not None), None),
        **where,
    )


def _chances(rows: list[dict[str, Any]], judged: dict[str, Any] | None) -> tuple[float, float] | None:
    """The chances to be judged and then drawn for review; of several draws the likeliest. None: picked by hand."""
    found = []
    for row in rows:
        judge_pi = row["pi_judge"] if row["pi_judge"] is not None else (judged or {}).get("pi")
        if row["pi_review"] is not None and judge_pi is not None:
            found.append((float(judge_pi), float(row["pi_review"])))
    return max(found, key=lambda each: each[0] * each[1]) if found else None


def _same_wording(criterion: Criterion, version_ids: Iterable[int | None]) -> set[int]:
    """The rubric versions that word and scale the criterion the same."""
    wanted = {version_id for version_id in version_ids if version_id is not None}
    alike = set()
    for found in RubricVersion.objects.filter(pk__in=wanted).only("pk", "spec"):
        other = parse_rubric(found.spec).criterion(criterion.key)
        if other is not None and (other.definition, other.scale) == (criterion.definition, criterion.scale):
            alike.add(found.pk)
    return alike


def _is_of(pair: Pair, scope: Scope) -> bool:
    return all(
        not wanted or wanted == got
        for wanted, got in (
            (scope.feature, pair.feature),
            (scope.model, pair.model),
            (scope.prompt_version, pair.prompt_version),
        )
    )
