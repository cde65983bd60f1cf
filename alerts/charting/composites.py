"""Charts made of charts: what the members said, window by window. Pure, so that live and back-test read alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.detectors.base import Part
from alerts.monitors.definition import COMPOSITE
from alerts.monitors.states import Kind
from alerts.monitors.types import Definition, Members, Metric, Reading, Window

METRIC = Metric(
    key=COMPOSITE,
    title="Composite",
    kind=Kind.LEVEL,
    unit="number",
    group=COMPOSITE,
    told="How many of its members alarmed, or how near they are to their limits.",
    worse="up",
    scopes=(),
    has_filter=False,
    window=timedelta(minutes=15),
)


@dataclass(frozen=True, slots=True)
class Said:
    """One point of a member: when its window ended, whether it opened an alarm, and its statistic with the limits."""

    end: datetime
    opened: bool
    statistic: float | None = None
    limit_low: float | None = None
    limit_high: float | None = None

    @property
    def nearness(self) -> float | None:
        """How far along to its limit it was: 0 at the centre, above 1 beyond; None where nothing was judged."""
        if self.statistic is None or (self.limit_low is None and self.limit_high is None):
            return None
        return max(0.0, Part("", self.statistic, self.limit_low, self.limit_high).nearness)


def readings(definition: Definition, windows: Sequence[Window], said: Mapping[int, Sequence[Said]]) -> list[Reading]:
    """A reading of a composite for each window, from its members' points (oldest first, by monitor).

    A member counts with what it said within (end - within, end]. Members without a point there are missing; where all
    are, nothing came. ValueError for a definition without members.
    """
    composite = definition.composite
    if composite is None:
        raise ValueError("a composite names its members")
    found = []
    for window in windows:
        since = window.end - composite.within
        lately = {
            member.monitor_id: [one for one in said.get(member.monitor_id, ()) if since < one.end <= window.end]
            for member in composite.members
        }
        n = sum(1 for points in lately.values() if points)
        alarmed = sorted(
            (one.end.timestamp(), member) for member, points in lately.items() for one in points if one.opened
        )
        nearness = tuple((member, points[-1].nearness if points else None) for member, points in lately.items())
        data = Members(tuple((member, at) for at, member in alarmed), nearness)
        value = float(len({member for _, member in alarmed})) if n else None
        lacking = "" if n else "no member has a point"
        found.append(Reading(window, n, value, data if n else None, lacking=lacking))
    return found
