"""How much waits for a person, as every page shows it beside its sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection

from alerts.incidents.types import GOING
from telltale.lib.sql import load

MOST = 1_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """Incidents that go on, and answers that wait in review queues; MOST says "as many or more"."""

    incidents: int = 0
    reviews: int = 0


def read_waiting(project_id: int) -> Waiting:
    """What waits in a project. One small query."""
    with connection.cursor() as cursor:
        params: dict[str, Any] = {"project_id": project_id, "going": [state.value for state in GOING], "most": MOST}
        cursor.execute(load("alerts", "waiting_counts"), params)
        incidents, reviews = cursor.fetchone() or (0, 0)
    return Waiting(incidents, reviews)
