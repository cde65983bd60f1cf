"""How much waits for a person, and how long work of the product waits, as every page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from alerts.incidents.types import GOING
from telltale.lib import clock
from telltale.lib.sql import load

MOST = 1_000


@dataclass(frozen=True, slots=True)
class Oldest:
    """Since when the oldest work of each kind waits; None: none does.

    `account`: requests for the account of ingest. `charts`, `behaviour`, `samples`: changed traces for roll-ups, for
    what users did, and for drift. `judging`: traces to draw from, and drawn answers that are due. `monitors`: their
    next look. `life_at`: when a worker last showed life; None where none ever did.
    """

    life_at: datetime | None = None
    account: datetime | None = None
    charts: datetime | None = None
    behaviour: datetime | None = None
    samples: datetime | None = None
    judging: datetime | None = None
    monitors: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Incidents that go on, and answers that wait in review queues; MOST says "as many or more"."""

    incidents: int = 0
    reviews: int = 0
    oldest: Oldest = Oldest()


def read_waiting(project_id: int) -> Waiting:
    """What waits in a project. One small query."""
    with connection.cursor() as cursor:
        params: dict[str, Any] = {
            "project_id": project_id,
            "going": [state.value for state in GOING],
            "most": MOST,
            "now": clock.now(),
        }
        cursor.execute(load("alerts", "waiting_counts"), params)
        incidents, reviews, *oldest = cursor.fetchone() or (0, 0)
    return Waiting(incidents, reviews, Oldest(*oldest))
