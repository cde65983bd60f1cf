"""What a chart keeps between windows and what one window gives: frozen values that pass through JSON unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal

from alerts.detectors.base import Baseline, Direction, State
from alerts.monitors.states import PointState, Standing
from alerts.monitors.types import Data, Share, Window

# Words of the rules that are no detector's.
RULE_FLOOR, RULE_CEILING, RULE_THRESHOLD = "floor", "ceiling", "threshold"
RULE_NO_DATA, RULE_BURN, RULE_MEMBERS = "no data", "burn rate", "members"


class Phase(IntEnum):
    """What a point was decided in; the numbers are those of `alerts_point.phase`."""

    LEARNING = 1
    WATCHED = 2
    LATCHED = 3  # watched while an alarm was open: drawn, and never a second alarm


@dataclass(frozen=True, slots=True)
class Collected:
    """One window (or several merged ones) that a baseline may be learned from."""

    start: datetime
    end: datetime
    n: int
    value: float | None
    data: Data


def collected(start: datetime, end: datetime, n: int, value: float | None, data: Data) -> Collected:
    """A collected window; what shares came to is told by their data alone, merged or not."""
    if isinstance(data, Share) and data.n:
        n, value = data.n, data.k / data.n
    return Collected(start, end, n, value, data)


# Gives the collected windows in [start, end) that the chart itself no longer holds, oldest first.
Recall = Callable[[datetime, datetime], Sequence[Collected]]


@dataclass(frozen=True, slots=True)
class Learning:
    """Where learning stands. `here` are the windows collected in this process; those before are recalled when needed.

    `start`: nothing earlier is learned from; `end` of a chosen stretch (None: as soon as there is enough).
    `days`: how long a stretch must hold together at least. `first`: where the first collected window begins.
    `next_at`: windows collected at which learning is tried again. `split_at`: where the last refusal saw a change.
    `stale`: what made the numbers of the baseline before another thing ("": nothing).
    """

    start: datetime | None = None
    end: datetime | None = None
    days: float = 7.0
    first: datetime | None = None
    windows: int = 0
    here: tuple[Collected, ...] = ()
    next_at: int = 0
    have: int = 0  # what the last try found, of how many it needs, of what
    need: int = 0
    what: str = ""
    split_at: datetime | None = None
    stale: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Windows that were too small and wait to be merged with the next: the data so far and where they begin."""

    start: datetime
    n: int
    data: Data


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """The alarm that is open: the window that opened it, and what must be quiet for it to end."""

    start: datetime
    direction: Direction
    rule: str
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """k of n of one past window, for burn rates."""

    start: datetime
    end: datetime
    k: int
    n: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the next window needs; made by `begin`, moved by `advance`, never by hand.

    `baseline_no` counts the baselines of this chart (0: none yet), `centre` is the middle of what was drawn while it
    was learned. `quiet`: windows in a row within limits since the alarm. `words` say in a line what `standing` means.
    """

    seed: int
    standing: Standing = Standing.LEARNING
    words: str = ""
    since: datetime | None = None
    learning: Learning | None = field(default_factory=Learning)
    baseline: Baseline | None = None
    baseline_no: int = 0
    centre: float | None = None
    state: State = field(default_factory=State)
    waiting: Waiting | None = None
    breached: bool = False
    beyond: int = 0
    tallies: tuple[Tally, ...] = ()
    alarm: OpenAlarm | None = None
    quiet: int = 0
    fresh_from: datetime | None = None
    last_data_at: datetime | None = None
    decided_to: datetime | None = None

    @property
    def is_learning(self) -> bool:
        """Whether it has no baseline and collects windows for one."""
        return self.learning is not None


@dataclass(frozen=True, slots=True)
class Decided:
    """What one window came to: the row of `alerts_point`, named alike. `baseline_no` 0: no baseline judged it.

    `told`: {"rules": [{"rule", "statistic", "low", "high"}], "centre", "merged_from", "merged_n", "why", "marked"}.
    """

    window: Window
    n: int
    n_eff: float | None
    value: float | None
    low: float | None
    high: float | None
    coverage: float | None
    phase: Phase
    baseline_no: int
    state: PointState
    z: float | None = None
    statistic: float | None = None
    limit_low: float | None = None
    limit_high: float | None = None
    shown_low: float | None = None
    shown_high: float | None = None
    shown_level: float | None = None
    rule: str = ""
    crossed: Direction | Literal[""] = ""
    opened: bool = False  # this window opened an alarm
    told: Mapping[str, Any] = field(default_factory=dict)
    data: Data | None = None


@dataclass(frozen=True, slots=True)
class NewAlarm:
    """An alarm this window opened. `value`: of what was judged (merged windows together), in the metric's unit."""

    window: Window
    direction: Direction
    rule: str
    statistic: float | None
    limit: float | None
    value: float | None
    severity: int
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewBaseline:
    """A baseline that was frozen at this window and judges from the next on.

    `start`, `end`: the stretch; `excluded`: starts of windows that phase I left out; `centre`: the middle of the drawn
    values, weighted by n (None: nothing was drawn).
    """

    no: int
    learned: Baseline
    start: datetime
    end: datetime
    n: int
    windows: int
    centre: float | None
    excluded: tuple[datetime, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """The chart after one window. `ended`: the open alarm ended by itself with this window."""

    chart: Chart
    point: Decided
    alarm: NewAlarm | None = None
    ended: bool = False
    baseline: NewBaseline | None = None
