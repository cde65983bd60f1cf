"""What the survivorship check keeps: what a project takes for satisfied, and the verdicts of days past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import orjson

from evals.models import SurvivorshipDay, SurvivorshipSettings
from evals.rubrics import Criterion, Rubric, parse_rubric
from evals.rubrics.kinds import BOOLEAN, RubricRefused
from telltale.lib.db import raw_cursor

JUDGE, REVIEWS, NONE = "judge", "reviews", "none"
METHODS = (JUDGE, REVIEWS, NONE)
TOLERANCE = 0.05
# Judges whose judgements are drawn with a known chance.
_JUDGES = """
    SELECT j.id, j.slug, j.name, v.id, v.rubric_version_id, r.spec::text
    FROM evals_judge AS j
    JOIN evals_judgeversion AS v ON v.judge_id = j.id
    JOIN evals_rubricversion AS r ON r.id = v.rubric_version_id
    WHERE j.project_id = %s AND j.archived_at IS NULL AND j.live_version_id IS NOT NULL AND j.kind IN ('model', 'rule')
    ORDER BY j.kind, j.id, v.id = j.live_version_id DESC, v.number DESC
"""


@dataclass(frozen=True, slots=True)
class Judging:
    """A judge's criterion that may stand for "satisfied": from `suggested` on, where nobody set another number."""

    judge_id: int
    judge_slug: str
    judge_name: str
    version_ids: tuple[int, ...]  # of the judge, live one first, with the same scale
    rubric_version_id: int
    criterion: Criterion

    @property
    def key(self) -> str:
        """Judge and criterion in one word, as forms name it."""
        return f"{self.judge_slug}/{self.criterion.key}"

    @property
    def suggested(self) -> float:
        """Three quarters up the scale, as a level: 4 of 1 to 5, yes."""
        scale = self.criterion.scale
        if scale.kind == BOOLEAN:
            return 1.0
        return float(-(-(4 * scale.low + 3 * (scale.high - scale.low)) // 4))

    @property
    def low(self) -> float:
        """The lowest number of the scale."""
        return float(self.criterion.scale.low)

    @property
    def high(self) -> float:
        """The highest number of the scale."""
        return float(self.criterion.scale.high)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What counts as satisfied, as stored; None of `stored_at`: nobody chose."""

    method: str
    judge_id: int | None
    criterion: str
    at_least: float | None
    tolerance: float
    stored_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What a stored verdict stands on, and when it was made."""

    basis: str
    computed_at: datetime


@dataclass(frozen=True, slots=True)
class Day:
    """The verdict of one day as it was stored."""

    day: date
    feature: str | None
    colour: str
    rule: str
    sessions: int
    figures: Mapping[str, Any]
    definition: int
    basis: str
    revision: int
    computed_at: datetime


def read_judgings(project_id: int) -> list[Judging]:
    """Every criterion with numbers of every live judge, models before rules, in the order they were made."""
    with raw_cursor() as cursor:
        cursor.execute(_JUDGES, [project_id])
        rows = cursor.fetchall()
    live: dict[int, tuple[tuple[Any, ...], Rubric]] = {}
    versions: dict[tuple[int, str], list[int]] = {}
    for row in rows:
        judge_id, version_id, rubric = row[0], row[3], read_rubric(row[5])
        if rubric is None:
            continue
        ours = live.setdefault(judge_id, (row, rubric))[1]
        for criterion in ours.criteria:
            theirs = rubric.criterion(criterion.key)
            if theirs is not None and theirs.scale.has_numbers and _scale(theirs) == _scale(criterion):
                versions.setdefault((judge_id, criterion.key), []).append(version_id)
    return [
        Judging(row[0], row[1], row[2], tuple(versions[row[0], criterion.key]), row[4], criterion)
        for row, rubric in live.values()
        for criterion in rubric.criteria
        if (row[0], criterion.key) in versions
    ]


def _scale(criterion: Criterion) -> tuple[Any, ...]:
    """What makes the numbers of two versions the same numbers."""
    return criterion.scale.kind, criterion.scale.low, criterion.scale.high, criterion.scale.labels


def read_chosen(project_id: int) -> Chosen | None:
    """What the project chose; None where it chose nothing."""
    row = SurvivorshipSettings.objects.filter(project_id=project_id).first()
    if row is None:
        return None
    return Chosen(row.method, row.judge_id, row.criterion, row.at_least, row.tolerance, row.updated_at)


def read_days(project_id: int, feature: str | None, since: date) -> list[Day]:
    """The stored verdicts of one feature (None: all together) since a day, oldest first."""
    rows = SurvivorshipDay.objects.filter(
        project_id=project_id, is_whole=feature is None, feature=feature or "", day__gte=since
    )
    return [
        Day(
            row.day,
            None if row.is_whole else row.feature,
            row.colour,
            row.rule,
            row.sessions,
            row.figures,
            row.definition,
            row.basis,
            row.revision,
            row.computed_at,
        )
        for row in rows.order_by("day")
    ]


def stored_days(project_id: int, since: date) -> dict[date, dict[str | None, Stored]]:
    """What the stored verdicts since a day stand on, by day and feature (None: all together)."""
    rows = SurvivorshipDay.objects.filter(project_id=project_id, day__gte=since)
    found: dict[date, dict[str | None, Stored]] = {}
    for day, is_whole, feature, basis, at in rows.values_list("day", "is_whole", "feature", "basis", "computed_at"):
        found.setdefault(day, {})[None if is_whole else feature] = Stored(basis, at)
    return found


def projects_with_sessions() -> list[int]:
    """The projects that had a session ever."""
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT p.id FROM projects_project AS p"
            " WHERE EXISTS (SELECT FROM traces_behaviour_hour AS h WHERE h.project_id = p.id)"
        )
        return [row[0] for row in cursor.fetchall()]


def first_hour(project_id: int) -> datetime | None:
    """The first hour that a session began in; None where there is none."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT min(hour) FROM traces_behaviour_hour WHERE project_id = %s", [project_id])
        row = cursor.fetchone()
    return row[0] if row else None


@lru_cache(maxsize=256)
def read_rubric(spec: str) -> Rubric | None:
    """A stored rubric; None where it cannot be read any more."""
    try:
        return parse_rubric(orjson.loads(spec))
    except RubricRefused:
        return None
