"""What the users of many sessions did, for lists and files; and how many of a sample did what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from traces.behaviour.types import Fact, Stratum
from traces.read.asking import asking, compose, fetch
from traces.read.filters import TraceFilter
from traces.read.sessions import SESSION_SORTS, is_of_users, split_conditions

# Enough for shares to about three points; read and counted in some milliseconds at any size.
SAMPLE = 1000
# Where they are looked for by what users did, no more than so many are looked at (about 10 ms).
SCAN_MAX = 3000


@dataclass(frozen=True, slots=True)
class Did:
    """What the user of one session did, as last folded. `vote` is 1 up, -1 down, 0 none."""

    stratum: Stratum
    facts: Fact
    vote: int
    votes: int
    rating: float | None
    is_closed: bool
    closes_at: datetime
    definition: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What the users of `n` sessions did: those that match, or the newest of them where not `is_whole`.

    `strata` counts all of them (None: no rule has looked yet); `up` and `down` are of the `closed` ones that are over.
    """

    n: int
    is_whole: bool
    strata: dict[Stratum | None, int]
    closed: int
    up: int
    down: int

    @property
    def voted(self) -> int:
        """How many of the closed sessions have a vote."""
        return self.up + self.down


def did_of_sessions(project_id: int, keys: Sequence[UUID]) -> dict[UUID, Did]:
    """What is known of these sessions, by key; those that no rule has looked at yet are left out. One query."""
    if not keys:
        return {}
    with asking() as cursor:
        return read_did(cursor, project_id, keys)


def read_did(cursor: CursorWrapper, project_id: int, keys: Sequence[UUID]) -> dict[UUID, Did]:
    """As `did_of_sessions`, within a transaction that is open already."""
    params = {"project_id": project_id, "keys": list(keys)}
    return {row[0]: _did(row[1:]) for row in fetch(cursor, compose("read_session_did"), params)}


def tally_sessions(cursor: CursorWrapper, project_id: int, wanted: TraceFilter, sample: int = SAMPLE) -> Tally:
    """What the users of the newest `sample` sessions that match did. One query.

    By what users did they are looked for among the newest `SCAN_MAX` that match otherwise.
    """
    near, far, params = split_conditions(wanted, project_id, SESSION_SORTS["started_at"])
    strata: Counter[Stratum | None] = Counter()
    votes: Counter[int] = Counter()
    closed = 0
    scan = SCAN_MAX if is_of_users(wanted) else sample
    rows = fetch(cursor, compose("read_session_tally", near=near, far=far), params | {"sample": sample, "scan": scan})
    looked_at = rows[0][4] if rows else 0
    for stratum, vote, is_closed, n, _ in rows:
        strata[None if stratum is None else Stratum(stratum)] += n
        if is_closed:
            closed += n
            votes[vote] += n
    n = sum(strata.values())
    return Tally(n, n < sample and looked_at < scan, dict(strata), closed, votes[1], votes[-1])


def _did(row: tuple[Any, ...]) -> Did:
    stratum, facts, *rest = row
    return Did(Stratum(stratum), Fact(facts), *rest)
