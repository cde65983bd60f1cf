"""What people are told of: the kinds of transitions, and the one id that every message of a transition carries."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID, uuid5

# Never changed: receivers know messages by what comes of it.
_NAMESPACE = UUID("6f4b1d0e-2c55-5b7a-9a54-0f3b6f3f7c21")
KEY_MAX = 160


class Kind(StrEnum):
    """What happened."""

    OPENED = "opened"
    WORSE = "worse"
    ACKNOWLEDGED = "acknowledged"
    OVERDUE = "overdue"
    UNACKNOWLEDGED = "unacknowledged"
    REOPENED = "reopened"
    RECOVERED = "recovered"
    RESOLVED = "resolved"
    REPEAT = "repeat"
    ENGINE_STANDS = "engine_stands"
    ENGINE_RUNS = "engine_runs"
    BUDGET = "budget"
    TEST = "test"


KINDS = tuple(Kind)
# What begins a trouble: alarms that come together are one message of it.
GROUPED = frozenset({Kind.OPENED, Kind.REOPENED})


def make_id(project_id: int, key: str) -> UUID:
    """The id of what happened: the same project and key, the same id, for ever."""
    return uuid5(_NAMESPACE, f"{project_id}:{key}")
