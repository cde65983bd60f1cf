"""Which incident something belongs to: the rule, without rows or a clock.

What arrives joins an incident that goes on where it is about the same part of the project at the same time, where it
is the same metric at nearly the same moment (one trouble under many features), or where that incident holds an
earlier alarm of the same monitor in the same direction. The most specific match wins, then the oldest incident.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from alerts.incidents import scopes
from alerts.incidents.types import Kind, Scope

# Effects lag causes and windows differ in length: what began an hour before or two hours after belongs together.
BEFORE, AFTER = timedelta(hours=1), timedelta(hours=2)
# Twenty features that fall in one window are one trouble; an hour apart they may be two.
SAME_METRIC = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something that may open or join an incident. `start`, `end`: the window that was out; `facts` are kept with it.

    Not `is_page`: it joins as evidence and opens nothing. `over_at`: it is over already.
    """

    kind: Kind
    ref: int
    severity: int
    is_page: bool
    start: datetime
    end: datetime
    metric: str = ""
    direction: str = ""
    monitor_id: int | None = None
    scope: Scope = field(default_factory=dict)
    over_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Going:
    """An incident that goes on, as the rule sees it. `is_wide`: a paging member is about the whole project."""

    id: int
    scope: Scope
    is_wide: bool
    began_at: datetime
    last_moved_at: datetime
    opened_at: datetime
    metrics: frozenset[str] = frozenset()
    # (monitor id, direction) of its members.
    monitors: frozenset[tuple[int, str]] = frozenset()


def choose(arrival: Arrival, going: Iterable[Going]) -> Going | None:
    """The incident that an arrival belongs to; None: to none of these."""
    found = [(rank, each) for each in going if (rank := _rank(arrival, each)) is not None]
    best = min(found, key=lambda pair: (*(-part for part in pair[0]), pair[1].opened_at, pair[1].id), default=None)
    return None if best is None else best[1]


def order(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Arrivals in the order to take them: what pages before what does not, the earliest first, then the worst."""
    return sorted(arrivals, key=lambda one: (not one.is_page, one.start, one.severity, one.kind, one.ref))


def _rank(arrival: Arrival, going: Going) -> tuple[int, int, int] | None:
    """How well an incident fits: same monitor, dimensions shared, same metric. None: it does not."""
    is_same = arrival.monitor_id is not None and (arrival.monitor_id, arrival.direction) in going.monitors
    shared = scopes.agree(arrival.scope, going.scope)
    if shared is None and going.is_wide:
        shared = 0
    near = _overlap(arrival, going, BEFORE, AFTER)
    is_metric = arrival.metric in going.metrics and _overlap(arrival, going, SAME_METRIC, SAME_METRIC)
    if not is_same and not is_metric and not (shared is not None and near):
        return None
    return int(is_same), shared or 0, int(is_metric)


def _overlap(arrival: Arrival, going: Going, before: timedelta, after: timedelta) -> bool:
    return arrival.end >= going.began_at - before and arrival.start <= going.last_moved_at + after
