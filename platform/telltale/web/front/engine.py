"""Whether monitors are evaluated: what the watchdog of this process saw, else how late they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts import standing_guard
from alerts.read.monitors import read_watching_backlog

# Where no watchdog looks: a round of many monitors that learn anew may take a while.
LATE_SECONDS = 200.0


@dataclass(frozen=True, slots=True)
class Engine:
    """`stands_since` None: it runs. `words` say why it is held to stand."""

    stands_since: datetime | None
    words: str


def read_engine(now: datetime) -> Engine:
    """Whether anything is evaluated now. No query where this process has a watchdog, else one."""
    look = standing_guard.seen()
    if look is not None:
        return Engine(look.stands_since, look.words)
    backlog = read_watching_backlog(now)
    if backlog.due and backlog.oldest_seconds is not None and backlog.oldest_seconds > LATE_SECONDS:
        return Engine(now - timedelta(seconds=backlog.oldest_seconds), "monitors wait to be evaluated")
    return Engine(None, "")
