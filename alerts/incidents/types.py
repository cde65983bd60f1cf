"""The words incidents are made of: steps, states, kinds of members, the project's settings, and what acts refuse.

    NotThere      the project has no incident (or nothing of it) under this number
    Outdated      somebody changed it meanwhile; `version` is the one in force
    WrongState    it is closed, merged or at another point: `words` say what would have to be done first

What is wrong with a value that was sent is an `ItemRefused` of `telltale.lib.faults`, with the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Step(StrEnum):
    """What an incident is at. One after the other; going back is possible, skipping is finishing with no outcome."""

    TRIAGE = "triage"
    SCOPE = "scope"
    ISOLATE = "isolate"
    RESPOND = "respond"
    LEARN = "learn"


class State(StrEnum):
    """Whether anybody works on it. Nothing but a person's act resolves or merges an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    MERGED = "merged"


class Kind(StrEnum):
    """What a member of an incident is."""

    ALARM = "alarm"
    PROBE = "probe"
    REVIEW = "review"
    BUDGET = "budget"


class Origin(StrEnum):
    """What opened an incident."""

    ALARM = "alarm"
    PROBE = "probe"
    REVIEW = "review"
    BUDGET = "budget"
    PERSON = "person"


class Verdict(StrEnum):
    """What people decided it was; "" while nobody has."""

    REAL = "real"
    FALSE = "false"


STEPS: tuple[Step, ...] = tuple(Step)
GOING: tuple[State, ...] = (State.OPEN, State.ACKNOWLEDGED)
SEVERITIES = (0, 1, 2, 3)
# What scopes of monitors may name and incidents are grouped by; a filter of traces counts as one more.
DIMENSIONS = (
    "feature", "service", "environment", "release", "prompt_name", "prompt_version", "provider", "model", "filter",
)  # fmt: skip

# Minutes from the start of a step until it should be done: "Triage < 30 min, Scope < 1 h, Isolate < 2 h"
# (docs/incidents.md, Timers). Responding and learning take as long as they take. The same for every severity.
TIMERS: Mapping[Step, int | None] = {
    Step.TRIAGE: 30,
    Step.SCOPE: 60,
    Step.ISOLATE: 120,
    Step.RESPOND: None,
    Step.LEARN: None,
}
TIMER_LEAST, TIMER_MOST = 1, 60 * 24 * 31

TITLE_MAX, NOTE_MAX, COMMENT_MAX = 200, 2_000, 4_000
CASES_LEAST, RECOVERY_HOURS, REOPEN_DAYS = 5, 6.0, 7

# A scope as it is kept: each dimension with the values it may have, None among them "unknown"; {} the whole project.
Scope = Mapping[str, tuple[str | None, ...]]


class NotThere(Exception):
    """The project has no such incident, or the incident no such thing."""


class Outdated(Exception):
    """Somebody changed the incident since `version` of the caller was read."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} is in force")
        self.version = version


class WrongState(Exception):
    """The incident is not where this act begins; `words` say so and what would have to be done first."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True, slots=True)
class Settings:
    """A project's timers and gates. `timers`: minutes by severity and step, None no timer."""

    timers: Mapping[int, Mapping[Step, int | None]] = field(
        default_factory=lambda: {severity: dict(TIMERS) for severity in SEVERITIES}
    )
    cases_least: int = CASES_LEAST
    recovery_hours: float = RECOVERY_HOURS
    reopen_days: int = REOPEN_DAYS

    def due(self, step: Step, severity: int, start: datetime) -> datetime | None:
        """Until when a step that began at `start` should be done; None: it has no timer."""
        minutes = self.timers[severity][step]
        return None if minutes is None else start + timedelta(minutes=minutes)


def following(step: Step) -> Step | None:
    """The step after one; None after the last."""
    at = STEPS.index(step) + 1
    return STEPS[at] if at < len(STEPS) else None


def ref_of(number: int) -> str:
    """INC-42."""
    return f"INC-{number}"
