"""Groups of a report: topics and what lies outside of them, then and now, with what else is known of their traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from alerts.drift.groups import NewGroup, new_groups
from alerts.drift.reference import Reference
from alerts.stats.categories import residual
from alerts.stats.topics import EXAMPLES, OUTSIDE, TopicDrift, Topics, assign
from telltale.stats.proportions import newcombe, wilson

Floats = NDArray[np.float64]
# A group has grown where its count lies so far beyond what chance gives.
GROWN = 3.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A mean of a group then and now with how many traces told it; None of none: not known is never 0."""

    reference: float | None = None
    n_reference: int = 0
    current: float | None = None
    n_current: int = 0


@dataclass(frozen=True)
class About:
    """What is known of traces (hex) beside their texts: passages found, and a judge's score with its weight, 1/pi.

    `scored_by`: the criterion; all scores are of one version of one judge, for others are not comparable.
    """

    passages: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    scored_by: str = ""


NOTHING = About()


@dataclass(frozen=True, slots=True)
class Group:
    """A topic of the reference, a group of inputs that lie outside of all of them, or what else lies outside.

    `key`: "topic:0", "new:0", "outside". Shares 0..1, the difference with its 95 % limits; `residual` about N(0, 1) by
    chance. Examples are ids of traces, the most central first. `passages` found a trace, `score` of a judge.
    """

    key: str
    name: str
    n_reference: int
    n_current: int
    share_reference: float
    share_current: float
    low: float | None
    high: float | None
    residual: float | None
    reference_traces: tuple[str, ...] = ()
    current_traces: tuple[str, ...] = ()
    passages: Pair = Pair()
    score: Pair = Pair()

    @property
    def is_new(self) -> bool:
        return self.key.startswith("new:")

    @property
    def change(self) -> float:
        return self.share_current - self.share_reference


def groups_of(
    reference: Reference, rows: Floats, traces: Sequence[str], drift: TopicDrift, about: About = NOTHING
) -> tuple[Group, ...]:
    """The groups of vectors (n, d) of `traces`, the most grown first."""
    # Topics keep the counts they were frozen with.
    frozen, n, m = reference.topics.n, reference.n, int(rows.shape[0])
    found = []
    for moved in drift.topics:
        if moved.topic is None:
            continue
        found.append(
            _group(
                f"topic:{moved.topic}",
                reference.names[moved.topic],
                (moved.n_reference, frozen),
                (moved.n_current, m),
                [reference.traces[at] for at in reference.topics.central[moved.topic]],
                [traces[at] for at in moved.examples],
            )
        )
    new = new_groups(reference.topics, reference.rows, rows)
    before_left, now_left = reference.topics.outside, next(t.n_current for t in drift.topics if t.topic is None)
    for at, group in enumerate(new):
        before_left -= len(group.reference)
        now_left -= len(group.current)
        found.append(
            _group(
                f"new:{at}",
                f"New group {at + 1}",
                (len(group.reference), n),
                (len(group.current), m),
                [reference.traces[row] for row in group.reference[:EXAMPLES]],
                [traces[row] for row in group.current[:EXAMPLES]],
            )
        )
    outside = next(t for t in drift.topics if t.topic is None)
    named = {row for group in new for row in group.current}
    left = [traces[row] for row in outside.examples if row not in named]
    found.append(_group(OUTSIDE, "Unlike any other", (max(0, before_left), frozen), (max(0, now_left), m), [], left))
    members = _members(reference, rows, new)
    return tuple(
        sorted(
            (_known(group, reference.traces, traces, members[group.key], about) for group in found),
            key=lambda group: (-group.change, group.key),
        )
    )


def _members(reference: Reference, rows: Floats, new: Sequence[NewGroup]) -> dict[str, tuple[list[int], list[int]]]:
    """The rows of each group by index: of the reference, of the window."""
    then, now = _owners(reference.topics, reference.rows), _owners(reference.topics, rows)
    for at, group in enumerate(new):
        for owners, indexes in ((then, group.reference), (now, group.current)):
            owners.update(dict.fromkeys(indexes, f"new:{at}"))
    keys = [f"topic:{topic}" for topic in range(len(reference.names))]
    keys += [OUTSIDE, *(f"new:{at}" for at in range(len(new)))]
    found: dict[str, tuple[list[int], list[int]]] = {key: ([], []) for key in keys}
    for side, owners in enumerate((then, now)):
        for index, key in owners.items():
            found[key][side].append(index)
    return found


def _owners(topics: Topics, rows: Floats) -> dict[int, str]:
    owner, far = assign(topics.centres, rows)
    return {
        at: f"topic:{topic}" if away <= topics.radius else OUTSIDE
        for at, (topic, away) in enumerate(zip(owner.tolist(), far.tolist(), strict=True))
    }


def _known(
    group: Group, then: Sequence[str], now: Sequence[str], members: tuple[list[int], list[int]], about: About
) -> Group:
    """The group with what is known of its traces."""
    sides = ([then[at] for at in members[0]], [now[at] for at in members[1]])
    found = [[(float(about.passages[each]), 1.0) for each in traces if each in about.passages] for traces in sides]
    scores = [[about.scores[each] for each in traces if each in about.scores] for traces in sides]
    return replace(group, passages=_pair(*found), score=_pair(*scores))


def _pair(then: Sequence[tuple[float, float]], now: Sequence[tuple[float, float]]) -> Pair:
    return Pair(_mean(then), len(then), _mean(now), len(now))


def _mean(told: Sequence[tuple[float, float]]) -> float | None:
    whole = sum(weight for _, weight in told)
    return sum(value * weight for value, weight in told) / whole if whole else None


def _group(
    key: str, name: str, before: tuple[int, int], now: tuple[int, int], then: list[str], today: list[str]
) -> Group:
    limits = newcombe(wilson(*now), wilson(*before)) if now[1] and before[1] else None
    return Group(
        key=key,
        name=name,
        n_reference=before[0],
        n_current=now[0],
        share_reference=before[0] / before[1],
        share_current=now[0] / now[1] if now[1] else 0.0,
        low=None if limits is None else limits.low,
        high=None if limits is None else limits.high,
        residual=residual(before[0], before[1], now[0], now[1]) if now[1] else None,
        reference_traces=tuple(then),
        current_traces=tuple(today),
    )
