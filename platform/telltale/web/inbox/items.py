"""The items of the inbox: what they are, whose they are, and in which order they want a person. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """Where an item comes from."""

    INCIDENT = "incident"
    ALARM = "alarm"  # one that pages and belongs to no incident
    PROBE = "probe"
    FLAGGED = "flagged"  # an answer that a judge flagged
    REVIEW = "review"  # a review queue with items that wait
    PROPOSAL = "proposal"  # a monitor to retire or merge, a baseline to approve
    JUDGE = "judge"  # a calibration that failed or holds no longer, a routine that is due
    MONITOR = "monitor"  # one that cannot be evaluated as it is
    SIGNALS = "signals"  # votes that overstate
    SETUP = "setup"  # what a project lacks so that anybody is told


KIND_WORDS: dict[Kind, str] = {
    Kind.INCIDENT: "Incident",
    Kind.ALARM: "Alarm",
    Kind.PROBE: "Probe",
    Kind.FLAGGED: "Flagged answer",
    Kind.REVIEW: "Review queue",
    Kind.PROPOSAL: "Proposal",
    Kind.JUDGE: "Judge",
    Kind.MONITOR: "Monitor",
    Kind.SIGNALS: "User signals",
    Kind.SETUP: "Setup",
}
# What can be done with items of a kind from the list. Incidents, alarms and probes end on their own pages, with a
# verdict: they are not put aside.
ASSIGN, ACKNOWLEDGE, QUEUE, DISMISS, UNDO = "assign", "acknowledge", "queue", "dismiss", "undo"
ACTS: dict[Kind, frozenset[str]] = {
    Kind.INCIDENT: frozenset({ASSIGN, ACKNOWLEDGE}),
    Kind.ALARM: frozenset({ASSIGN, ACKNOWLEDGE}),
    Kind.PROBE: frozenset({ASSIGN, ACKNOWLEDGE}),
    Kind.FLAGGED: frozenset({ASSIGN, QUEUE, DISMISS}),
    Kind.REVIEW: frozenset({ASSIGN, DISMISS}),
    Kind.PROPOSAL: frozenset({ASSIGN, DISMISS}),
    Kind.JUDGE: frozenset({ASSIGN, DISMISS}),
    Kind.MONITOR: frozenset({ASSIGN, DISMISS}),
    Kind.SIGNALS: frozenset({ASSIGN, DISMISS}),
    Kind.SETUP: frozenset({DISMISS}),
}
# Without a severity of its own an item is as urgent as this: between P2 and P3 what hides trouble, then routine work.
_WEIGHT: dict[Kind, float] = {
    Kind.SETUP: 2.2, Kind.MONITOR: 2.4, Kind.SIGNALS: 2.5, Kind.JUDGE: 2.6, Kind.FLAGGED: 3.2, Kind.REVIEW: 3.4,
    Kind.PROPOSAL: 3.6,
}  # fmt: skip
FAR = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits. `severity` None: it has none. `path` below the project; `action`: the word of its button.

    `is_seen`: somebody acknowledged it. `state` says in one word where it is. `owner_id` None: nobody's.
    """

    kind: Kind
    ref: str
    title: str
    detail: str
    path: str
    action: str
    at: datetime
    severity: int | None = None
    due_at: datetime | None = None
    owner_id: int | None = None
    owner: str = ""
    state: str = "open"
    is_seen: bool = False
    feature: str = ""
    number: int | None = None
    trace_id: UUID | None = None
    span_id: int = 0
    dismissed_at: datetime | None = None
    dismissed_by: str = ""

    @property
    def key(self) -> str:
        """What names it in forms and REST: "incident:42"."""
        return f"{self.kind}:{self.ref}"

    @property
    def kind_word(self) -> str:
        return KIND_WORDS[self.kind]

    @property
    def severity_word(self) -> str:
        """ "p1"; "" without a severity."""
        return "" if self.severity is None else f"p{self.severity}"

    @property
    def is_dismissed(self) -> bool:
        return self.dismissed_at is not None

    @property
    def weight(self) -> float:
        """How urgent it is, 0 the most."""
        return float(self.severity) if self.severity is not None else _WEIGHT.get(self.kind, 3.0)

    def is_overdue(self, now: datetime) -> bool:
        """Whether its time is up."""
        return self.due_at is not None and self.due_at < now


@dataclass(frozen=True, slots=True)
class Mark:
    """What people said of an item that has no owner and no end of its own."""

    assignee_id: int | None
    assignee: str
    dismissed_at: datetime | None
    dismissed_by: str


def marked(items: Iterable[Item], marks: dict[tuple[str, str], Mark]) -> list[Item]:
    """The items with what people said of them; an owner that an item has of its own stays."""
    found = []
    for item in items:
        mark = marks.get((item.kind.value, item.ref))
        if mark is not None:
            item = replace(item, dismissed_at=mark.dismissed_at, dismissed_by=mark.dismissed_by)
            if item.owner_id is None:
                item = replace(item, owner_id=mark.assignee_id, owner=mark.assignee)
        found.append(item)
    return found


def ordered(items: Iterable[Item], person_id: int | None) -> list[Item]:
    """Mine first, then what is nobody's, then what others have; each by urgency, time left and age."""

    def place(item: Item) -> tuple[object, ...]:
        whose = 0 if item.owner_id == person_id and person_id is not None else 1 if item.owner_id is None else 2
        # Of flagged answers the newest first: they are many, and the old ones have waited in vain.
        age = -item.at.timestamp() if item.kind is Kind.FLAGGED else item.at.timestamp()
        return whose, item.weight, item.due_at or FAR, item.kind.value, age, item.ref

    return sorted(items, key=place)


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters of an address; what it says wrongly is left out."""

    kinds: tuple[str, ...] = ()
    owner: str = ""  # me, nobody, others
    severity: int | None = None
    feature: str = ""
    search: str = ""
    dismissed: bool = False
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(
            self.kinds or self.owner or self.severity is not None or self.feature or self.search or self.dismissed
        )


def chosen(items: Sequence[Item], asked: Asked, person_id: int | None) -> list[Item]:
    """The items an address asks for, in their order."""
    return [item for item in items if _is_chosen(item, asked, person_id)]


def _is_chosen(item: Item, asked: Asked, person_id: int | None) -> bool:
    if item.is_dismissed != asked.dismissed:
        return False
    if asked.kinds and item.kind.value not in asked.kinds:
        return False
    is_mine = item.owner_id is not None and item.owner_id == person_id
    owned = {"me": is_mine, "nobody": item.owner_id is None, "others": item.owner_id is not None and not is_mine}
    if asked.owner and not owned[asked.owner]:
        return False
    if asked.severity is not None and item.severity != asked.severity:
        return False
    if asked.feature and item.feature != asked.feature:
        return False
    text = asked.search.casefold()
    return not text or text in item.title.casefold() or text in item.detail.casefold()
