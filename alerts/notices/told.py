"""What is known of a transition when its message is written, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from alerts.notices.transitions import Kind


@dataclass(frozen=True, slots=True)
class Moved:
    """A series that moved. `value`, `before`, `low`, `high` (95 %) in the metric's unit, None unknown.

    `false_a_week`: alarms of this monitor to expect a week while nothing is wrong, None where that is not known.
    `path`: its page below /p/<slug>/.
    """

    name: str
    metric: str
    says: str
    direction: str
    value: float | None = None
    before: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    false_a_week: float | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """The last change of the log before the trouble began."""

    at: datetime
    title: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """An incident. `moved`: its paging members, the worst first; `others` belong to it and are not among them."""

    id: int
    number: int
    title: str
    severity: int
    state: str
    step: str
    round: int
    scope: str
    features: tuple[str, ...]
    began_at: datetime
    opened_at: datetime
    quiet_since: datetime | None
    assignee: str
    verdict: str
    moved: tuple[Moved, ...] = ()
    others: int = 0
    change: Changed | None = None
    is_change_known: bool = True  # whether the change log could be read


@dataclass(frozen=True, slots=True)
class Told:
    """A transition with what it is about. `base` is the address people reach the product by."""

    id: UUID
    kind: Kind
    key: str
    at: datetime
    project: str
    project_name: str
    zone: str
    base: str
    severity: int | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    trouble: Trouble | None = None
