"""What goes into the rules of behaviour and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, IntFlag
from uuid import UUID

from traces.signals.kinds import Kind, Source


class Fact(IntFlag):
    """What was seen in a session, by a rule over traces or told by a signal (`Why` says which)."""

    ABANDONED = 1
    RETRIED = 2
    REPHRASED = 4
    CORRECTED = 8
    FOLLOWED_UP = 16
    ESCALATED = 32
    COMPLETED = 64
    CONVERTED = 128
    COPIED = 256
    EDITED = 512
    CLOSING_WORDS = 1024
    ERROR = 2048  # a turn failed
    SINGLE_SHOT = 4096  # its feature is one answer by design: leaving after it says nothing
    WORDLESS = 8192  # nothing that its user said is recorded: no rule about words can see anything
    LONE = 16384  # a trace that names no session: what came after it is not known
    UNANSWERED = 32768  # no turn of it was answered: a page of rates counts it apart


NOTHING = Fact(0)


class Stratum(IntEnum):
    """The one group a closed session is in: the first that matches, in this order; UNKNOWN: nothing can be told."""

    UNKNOWN = 0  # a trace without a session: what came after it is not known
    ABANDONED = 1
    RETRIED = 2
    CORRECTED = 3
    ESCALATED = 4
    COMPLETED = 5
    CARRIED_ON = 6
    OPEN = 9  # not over yet, in no rate


@dataclass(frozen=True, slots=True)
class Turn:
    """One trace of a session. `said` and `answered` are previews (at most 200 characters); None: not told."""

    trace_id: UUID
    started_at: datetime
    ended_at: datetime | None
    feature: str
    said: str | None
    answered: str | None
    has_answer: bool
    failed: bool


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of the turns of a session before those that are looked at; `facts`: what was seen in them."""

    first_at: datetime
    feature: str
    turns: int
    answers: int
    has_failed: bool
    facts: Fact = NOTHING


@dataclass(frozen=True, slots=True)
class Seen:
    """One signal of a session, as its row says it."""

    kind: Kind
    name: str
    source: Source
    happened_at: datetime
    trace_id: UUID | None = None
    number: float | None = None
    truth: bool | None = None
    label: str | None = None
    text: str | None = None
    author: str | None = None
    vote: int | None = None  # of a thumb, by the project's names: 1 up, -1 down, 0 nothing


@dataclass(frozen=True, slots=True)
class Why:
    """Which rule saw a fact, where, and from what: for the page of the session."""

    fact: Fact
    trace_id: UUID | None
    words: str
    is_told: bool  # by a signal; else derived from traces


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a unit's user did, by one definition."""

    feature: str
    first_at: datetime
    last_at: datetime
    closes_at: datetime
    is_closed: bool
    last_trace_id: UUID | None
    turns: int
    answers: int
    facts: Fact
    stratum: Stratum
    vote: int  # the last one: 1, -1, 0 none
    votes: int
    rating: float | None
    length_seconds: float | None
    whys: tuple[Why, ...] = ()
