"""What every detector promises: what it learns, what it keeps between points, what it says of one.

A detector has two doors. `learn` looks once at a stretch of points held to be in control and freezes what it found with
the limits that follow from a wanted run length; `step` judges one later point by it. Nothing a point does can move the
baseline that judges it. Baseline and state are numbers and words that pass through JSON unchanged, so a replay of
stored points gives the same alarms bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar

from evals.stats.results import TooLittle as TooLittle

Direction = Literal["up", "down"]
By = Literal["chart", "cusum", "shewhart"]
Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Parameters = Mapping[str, Json]


class NotThisBaseline(ValueError):
    """A baseline of another kind, or of another version of the rule, was handed to a detector."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A frozen reference. `arl0` is the wanted in-control run length in points of the series, the only dial of a limit.

    `n` counts what was learned from (scores, requests, vectors), `windows` the points it came in, `method` says in one
    word how it is charted, `excluded` lists the positions that phase I left out.
    """

    kind: str
    parameters: Parameters
    n: int
    windows: int
    method: str
    seed: int
    arl0: float
    excluded: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """What a JSON column holds of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Baseline:
        """The baseline that `as_json` gave, equal to the last bit."""
        return cls(**{**stored, "excluded": tuple(stored["excluded"])})

    def number(self, name: str) -> float:
        """One parameter that is a number. NotThisBaseline when it is missing or something else."""
        value = self.parameters.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise NotThisBaseline(f"the baseline of kind {self.kind} has no number {name}")
        return float(value)

    def numbers(self, name: str) -> tuple[float, ...]:
        """One parameter that is a list of numbers; None within it stands for no limit on that side."""
        value = self.parameters.get(name)
        if not isinstance(value, (list, tuple)):
            raise NotThisBaseline(f"the baseline of kind {self.kind} has no list {name}")
        return tuple(math.inf if one is None else float(one) for one in value)


@dataclass(frozen=True, slots=True)
class State:
    """What a detector carries from point to point: the statistics, points since they started, what waits to be merged.

    `latched` from an alarm until `released`: points go on being drawn, but no second alarm is raised.
    """

    points: int = 0
    statistics: tuple[float, ...] = ()
    pending: tuple[float, ...] = ()
    latched: bool = False

    def as_json(self) -> dict[str, Any]:
        """What a JSON column holds of it."""
        return {
            "points": self.points,
            "statistics": list(self.statistics),
            "pending": list(self.pending),
            "latched": self.latched,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> State:
        """The state that `as_json` gave, equal to the last bit."""
        return cls(
            points=int(stored["points"]),
            statistics=tuple(float(one) for one in stored["statistics"]),
            pending=tuple(float(one) for one in stored["pending"]),
            latched=bool(stored["latched"]),
        )

    def released(self) -> State:
        """The state after its incident was resolved: every statistic starts again at 0, what waits is kept."""
        return State(pending=self.pending)


@dataclass(frozen=True, slots=True)
class Part:
    """One rule of a detector at one point: its statistic and the limits it was judged by (None: none on that side)."""

    rule: str
    statistic: float
    limit_low: float | None
    limit_high: float | None

    @property
    def crossed(self) -> Direction | None:
        if self.limit_high is not None and self.statistic > self.limit_high:
            return "up"
        if self.limit_low is not None and self.statistic < self.limit_low:
            return "down"
        return None

    @property
    def nearness(self) -> float:
        """How far along it is to its limit: 0 at the centre, above 1 beyond it."""
        limit = self.limit_high if self.statistic >= 0 else self.limit_low
        return 0.0 if not limit else self.statistic / limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one point came to. The statistic and limits are those of the rule nearest to its limit, named by `rule`.

    `z` is the point itself in baseline standard deviations, None when it says nothing (no request, still filling).
    `crossed` is a limit passed at this point; `alarm` the same, unless the detector was latched already.
    """

    statistic: float
    limit_low: float | None
    limit_high: float | None
    z: float | None
    alarm: Direction | None
    rule: str
    crossed: Direction | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class NotStable:
    """The points change within and make no baseline: split before `at`. `p`: the chance of it in steady points."""

    at: int
    p: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Settings:
    """`arl0`: points of the series until a false alarm, on average. `up_share`: the part of the budget for "up".

    `by`: the kind's own rules, or two cumulative sums, or each point alone.
    """

    arl0: float
    up_share: float = 0.5
    by: By = "chart"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.arl0) and self.arl0 > 1):
            raise ValueError(f"a run length in control is more than 1 point, not {self.arl0}")
        if not 0 <= self.up_share <= 1:
            raise ValueError(f"the share of the budget for upward alarms lies in 0..1, not {self.up_share}")


P = TypeVar("P", contravariant=True)
S = TypeVar("S", contravariant=True, bound=Settings)


class Detector(Protocol[P, S]):
    """One kind of series. Both doors are functions of their arguments alone."""

    kind: str

    def learn(self, points: Sequence[P], settings: S, seed: int) -> Baseline | NotStable | TooLittle:
        """A frozen baseline with its limits, or why there is none."""

    def step(self, baseline: Baseline, state: State, point: P) -> tuple[State, Verdict]:
        """The state after `point` and what it came to. NotThisBaseline for a baseline of another kind."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """What the rules of one point came to, before it is known whether the detector was latched."""

    parts: tuple[Part, ...]
    statistics: tuple[float, ...]
    z: float | None
    pending: tuple[float, ...] = field(default=())


def judged(state: State, ruled: Ruled) -> tuple[State, Verdict]:
    """The next state and the verdict: the rule nearest to its limit speaks, a crossing latches."""
    lead = max(ruled.parts, key=lambda part: part.nearness)
    crossing = next((part for part in ruled.parts if part.crossed), None)
    if lead.crossed is None and crossing is not None:
        lead = crossing
    crossed = lead.crossed
    verdict = Verdict(
        statistic=lead.statistic,
        limit_low=lead.limit_low,
        limit_high=lead.limit_high,
        z=ruled.z,
        alarm=None if state.latched else crossed,
        rule=lead.rule,
        crossed=crossed,
        parts=ruled.parts,
    )
    following = State(state.points + 1, ruled.statistics, ruled.pending, state.latched or crossed is not None)
    return following, verdict


def waiting(state: State, parts: tuple[Part, ...], pending: tuple[float, ...]) -> tuple[State, Verdict]:
    """The verdict of a point that says nothing yet: statistics stay where they were."""
    lead = max(parts, key=lambda part: part.nearness)
    verdict = Verdict(lead.statistic, lead.limit_low, lead.limit_high, None, None, lead.rule, None, parts)
    return replace(state, pending=pending), verdict


def of_kind(baseline: Baseline, kind: str) -> None:
    """Nothing; NotThisBaseline when `baseline` was learned by a detector of another kind."""
    if baseline.kind != kind:
        raise NotThisBaseline(f"a baseline of kind {baseline.kind} was handed to the detector of {kind}")


def replay(
    detector: Detector[P, Any], baseline: Baseline, points: Iterable[P], *, released_at: frozenset[int] = frozenset()
) -> list[Verdict]:
    """The verdicts on stored points from a fresh state, released before each position of `released_at`."""
    state, verdicts = State(), []
    for position, point in enumerate(points):
        if position in released_at:
            state = state.released()
        state, verdict = detector.step(baseline, state, point)
        verdicts.append(verdict)
    return verdicts
