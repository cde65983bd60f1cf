"""What the overview is made of, as it was read: frozen values, nothing decided yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from alerts.monitors.types import Definition, Metric
from alerts.read.alarms import AlarmRow
from alerts.read.fronted import CurvePoint
from alerts.read.incidents import IncidentRow
from alerts.read.questions import About, QuestionRow
from alerts.read.shown import Last, Shown
from alerts.read.waiting import Oldest
from alerts.stats.shift import Shift
from evals.read.estimates import Estimates
from evals.stats.results import TooLittle
from telltale.projects.models import Project
from telltale.stats.sketch import Sketch
from traces.read.accounting import Account
from traces.read.changelog import Change
from traces.read.cost_values import MonthForecast
from traces.read.rollups import FoldState
from traces.rollup.sums import Sums


@dataclass(frozen=True, slots=True)
class Seen:
    """One monitor with all that its sentence needs. `incident`: number of the one its open alarm belongs to."""

    shown: Shown
    about: About
    metric: Metric | None
    definition: Definition | None
    alarm: AlarmRow | None = None
    incident: int | None = None
    last: Last | None = None
    size: Shift | TooLittle | None = None
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its live monitors, the one that is drawn, and one of the same metric to set it against."""

    question: QuestionRow
    monitors: tuple[Shown, ...]
    lead: Seen | None
    beside: Seen | None = None


@dataclass(frozen=True, slots=True)
class FeatureUse:
    """What one feature was asked for: sums of its requests and how long they took."""

    feature: str | None
    sums: Sums
    durations: Sketch


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests of the last 24 hours by feature, busiest first, and the month's cost so far."""

    start: datetime
    end: datetime
    features: tuple[FeatureUse, ...]
    total: FeatureUse
    month: MonthForecast
    state: FoldState


@dataclass(frozen=True, slots=True)
class Watching:
    """The monitors of a project and what they say. `alarms` by monitor: the one that is open or acknowledged."""

    asked: tuple[Asked, ...]
    live: tuple[Shown, ...]
    about: Mapping[int, About] = field(hash=False)
    alarms: Mapping[int, AlarmRow] = field(hash=False)
    opened: tuple[AlarmRow, ...] = field(hash=False)  # every alarm that is open or acknowledged, newest first
    # Of an open alarm: the number of its incident.
    incident_of: Mapping[int, int] = field(hash=False)
    small: Mapping[int, tuple[CurvePoint, ...]] = field(hash=False)  # curves of the table's monitors
    last: Mapping[int, Last] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Front:
    """All that was read. None: that part took too long, and the page says so in its place."""

    project: Project
    zone: ZoneInfo
    now: datetime
    start: datetime
    end: datetime
    watching: Watching | None
    traffic: Traffic | None
    judged: Estimates | None
    account: Account | None
    changes: tuple[Change, ...] | None
    incidents: tuple[IncidentRow, ...]
    oldest: Oldest
