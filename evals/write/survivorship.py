"""Rows of the survivorship check: what counts as satisfied, and the verdicts of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb

from evals.models import SurvivorshipSettings
from evals.write.setup import lock_project
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load


@dataclass(frozen=True, slots=True)
class NewDay:
    """The verdict of a day, to be kept. `feature` None: all together."""

    day: date
    feature: str | None
    colour: str
    rule: str
    sessions: int
    figures: dict[str, Any]
    definition: int
    basis: str


def lock(project_id: int) -> None:
    """Let nobody else change the settings of this project until the transaction ends."""
    lock_project(project_id)


def save_settings(
    project_id: int, method: str, judge_id: int | None, criterion: str, at_least: float | None, tolerance: float
) -> None:
    """Set what counts as satisfied."""
    SurvivorshipSettings.objects.update_or_create(
        project_id=project_id,
        defaults={
            "method": method,
            "judge_id": judge_id,
            "criterion": criterion,
            "at_least": at_least,
            "tolerance": tolerance,
        },
    )


def put_days(project_id: int, days: Sequence[NewDay], now: datetime) -> int:
    """Keep verdicts, each with a revision that grows where it says something else than before; how many."""
    if not days:
        return 0
    rows = [
        {
            "day": each.day.isoformat(),
            "is_whole": each.feature is None,
            "feature": each.feature or "",
            "colour": each.colour,
            "rule": each.rule,
            "sessions": each.sessions,
            "figures": each.figures,
            "definition": each.definition,
            "basis": each.basis,
        }
        for each in days
    ]
    with raw_cursor() as cursor:
        cursor.execute(
            load("evals", "put_survivorship_days"), {"project_id": project_id, "rows": Jsonb(rows), "now": now}
        )
        return int(cursor.rowcount)
