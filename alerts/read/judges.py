"""The judges of a project as monitors name them: by slug, with what their scores mean now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import orjson

from alerts.read.series_sql import rows_of, template
from evals.rubrics import Criterion, Rubric, parse_rubric
from evals.rubrics.kinds import BOOLEAN, RubricRefused


@dataclass(frozen=True, slots=True)
class JudgeNow:
    """A judge with its live version (None: none), and the one whose rubric counts: that, or the newest."""

    id: int
    slug: str
    name: str
    live_version_id: int | None
    version_id: int
    number: int
    config_hash: str
    rubric: Rubric | None

    @property
    def is_live(self) -> bool:
        """Whether it scores traffic."""
        return self.live_version_id is not None

    def criterion(self, key: str) -> Criterion | None:
        """The criterion of its rubric; None where there is none of that key."""
        return None if self.rubric is None else self.rubric.criterion(key)


def read_judges(project_id: int, slugs: Collection[str] | None = None) -> dict[str, JudgeNow]:
    """Judges by slug, those at work before archived ones; all of the project where `slugs` is None. One query."""
    params = {"project_id": project_id, "slugs": None if slugs is None else sorted(slugs)}
    rows = rows_of(template("series_judges"), params)
    return {
        slug: JudgeNow(judge_id, slug, name, live_id, version_id, number, config_hash, _rubric(spec))
        for judge_id, slug, name, live_id, version_id, number, config_hash, spec in rows
    }


def low_limit(criterion: Criterion, told: object) -> float | None:
    """The highest number of the scale that counts as low: as told, as the criterion flags, or "no"; None: not known."""
    if isinstance(told, int | float) and not isinstance(told, bool):
        return float(told)
    if criterion.flag_at_most is not None:
        return criterion.flag_at_most
    return 0.0 if criterion.scale.kind == BOOLEAN else None


@lru_cache(maxsize=256)
def _rubric(spec: str) -> Rubric | None:
    try:
        return parse_rubric(orjson.loads(spec))
    except RubricRefused:
        return None
