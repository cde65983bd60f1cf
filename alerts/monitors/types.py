"""The values that pass between series, charts, pages and REST: frozen, without a database, JSON elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from alerts.detectors.points import Categories as Categories
from alerts.detectors.points import Count as Count
from alerts.detectors.points import Level as Level
from alerts.detectors.points import Point
from alerts.detectors.points import Share as Share
from alerts.detectors.points import Values as Values
from alerts.detectors.points import Vectors as Vectors
from alerts.monitors.states import Kind, Method

# The dimensions a scope may name; a tuple of values means any of them, None among them "unknown".
DIMENSIONS = ("feature", "service", "environment", "release", "prompt_name", "prompt_version", "provider", "model")


@dataclass(frozen=True, slots=True)
class Scope:
    """What part of a project a series is of. `values`: (dimension, accepted values), sorted by dimension.

    `filter` is the query string of a list of traces ("feature=search&cost.min=0.01"), "" none; `view` the id of the
    saved view it came from. A filter and dimensions both hold.
    """

    values: tuple[tuple[str, tuple[str | None, ...]], ...] = ()
    filter: str = ""
    view: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [start, end)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Members:
    """What the members of a composite said: alarms (monitor id, seconds since 1970), nearness to the limit (or None).

    `nearness` is 0 at the centre line and above 1 beyond a limit; each member once, in the order of the composite.
    """

    alarmed: tuple[tuple[int, float], ...] = ()
    nearness: tuple[tuple[int, float | None], ...] = ()


Data = Point | Members


@dataclass(frozen=True, slots=True)
class Reading:
    """What a series holds in one window.

    `n` units in the denominator (0: nothing came), `value` what is drawn, in the metric's unit, with its 95 % interval
    (None: unknown, never 0). `data` is what a detector takes; None where there is nothing to judge. `coverage` 0..1:
    the part of what could be known that is. `lacking` says in words why there is no value.
    """

    window: Window
    n: int
    value: float | None
    data: Data | None
    low: float | None = None
    high: float | None = None
    n_eff: float | None = None
    coverage: float | None = None
    lacking: str = ""


@dataclass(frozen=True, slots=True)
class BaselinePolicy:
    """From what a chart learns. A fixed stretch, or the first `days` of history that hold together.

    `start` None: as soon as there is enough from the beginning of the monitor's history, at least `days` long.
    """

    start: datetime | None = None
    end: datetime | None = None
    days: float = 7.0


@dataclass(frozen=True, slots=True)
class Threshold:
    """A fixed limit. `release`: where a breach ends (hysteresis); `after` windows in a row before it alarms."""

    limit: float
    side: Literal["over", "under"] = "over"
    release: float | None = None
    after: int = 1


@dataclass(frozen=True, slots=True)
class Objective:
    """A promised share of bad ones at most (0..1), alarmed by burn rates (alerts.stats.objectives.BURN_RULES)."""

    allowed: float


@dataclass(frozen=True, slots=True)
class Member:
    """One monitor of a composite, with its weight in the score."""

    monitor_id: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Composite:
    """`least` of the members alarmed within `within`, or a weighted score of their nearness to the limit over it."""

    members: tuple[Member, ...]
    least: int = 2
    within: timedelta = timedelta(hours=6)
    score_over: float | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """Everything people decide about a monitor.

    `params` belong to the metric (a judge and criterion, an outcome, a quantile, a host metric ...). `floor` and
    `ceiling` alarm whatever the chart says. `no_data`: minutes without anything until that itself is an alarm, None
    never. `least_n`: windows with fewer are merged forward or left undecided. `lateness`: how long after its end a
    window is decided; `grace`: how long late data may still revise it.
    """

    name: str
    metric: str
    method: Method = Method.CHART
    params: Mapping[str, Any] = field(default_factory=dict)
    scope: Scope = Scope()
    window: timedelta = timedelta(hours=1)
    direction: Literal["both", "up", "down"] = "both"
    severity: int = 2
    is_paging: bool = True
    weight: float = 1.0
    baseline: BaselinePolicy = BaselinePolicy()
    threshold: Threshold | None = None
    objective: Objective | None = None
    composite: Composite | None = None
    least_n: int = 1
    no_data: timedelta | None = None
    floor: float | None = None
    ceiling: float | None = None
    lateness: timedelta = timedelta(minutes=10)
    grace: timedelta = timedelta(hours=24)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One series the product can chart (alerts.series.catalogue): words, unit, kind, what it can be asked by.

    `unit`: "share", "score", "ms", "usd", "count", "tokens", "seconds", "number". `worse` says which way is bad,
    None: either. `needs` names the params it takes, `scopes` the dimensions; `has_filter`: a saved filter is possible.
    `lowest` and `highest` are the ends of a scale of scores, as the metric of one definition knows them.
    """

    key: str
    title: str
    kind: Kind
    unit: str
    group: str
    told: str
    worse: Literal["up", "down"] | None = None
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    scopes: tuple[str, ...] = DIMENSIONS
    has_filter: bool = True
    window: timedelta = timedelta(hours=1)
    shortest: timedelta = timedelta(minutes=1)
    lowest: float = 1.0
    highest: float = 5.0
