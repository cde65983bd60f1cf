"""How telling went in the whole installation: for counters, never for a project's page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from alerts.write.notices import KEPT_ATTEMPTS, attempts_by_result
from telltale.jobs.kept import read_kept

_GIVEN_UP = """
    SELECT project.slug, count(*), max(delivery.ended_at),
        (array_agg(delivery.error ORDER BY delivery.ended_at DESC))[1]
    FROM alerts_delivery AS delivery
    JOIN projects_project AS project ON project.id = delivery.project_id
    WHERE delivery.state = 'failed' AND delivery.ended_at >= %s
    GROUP BY project.slug
    ORDER BY 2 DESC, 1
    LIMIT 50
"""


def read_attempt_totals() -> dict[str, int]:
    """Attempts to deliver since the beginning, by result: delivered, failed; those on their way are in none."""
    kept, there = read_kept(KEPT_ATTEMPTS), attempts_by_result()
    return {result: kept.get(result, 0) + there.get(result, 0) for result in ("delivered", "failed")}


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Messages of a project that were given up: how many, when the last, and why."""

    project: str
    n: int
    last_at: datetime
    error: str


def read_given_up(since: datetime) -> list[GivenUp]:
    """Projects with messages given up since then, most first. One query, at most fifty rows."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVEN_UP, [since])
        return [GivenUp(*row) for row in cursor.fetchall()]
