"""What is read of a project's costs: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from traces.canonical.types import Kind
from traces.cost.decompose import Change
from traces.cost.forecast import Day, Forecast
from traces.cost.periods import Days, Period
from traces.read.money import CostSum, cost_sum
from traces.read.rollups import FoldState, UserRow, Users, Value
from traces.read.session_rows import SessionRow
from traces.rollup.sums import Sums, add


@dataclass(frozen=True, slots=True)
class DayBill:
    """One local day: all requests that began in it."""

    day: date
    start: datetime
    end: datetime
    hours: float
    sums: Sums


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a breakdown: its values, its sums, its money in the days before (None: nothing was), and by point.

    For rows of calls `kind` is None for model calls, and the kind where steps that call no model report usage.
    """

    key: tuple[Value, ...]
    sums: Sums
    before_pico: int | None
    by_point: tuple[int, ...]
    kind: Kind | None = None
    providers: tuple[str, ...] = ()

    @property
    def money(self) -> CostSum:
        return money_of(self.sums)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The rows of a window, dearest first, with the points of time that their money is spread over."""

    by: str
    lines: tuple[Line, ...]
    edges: tuple[datetime, ...]
    is_of_calls: bool

    @property
    def total(self) -> Sums:
        """All lines together."""
        return add(line.sums for line in self.lines)


@dataclass(frozen=True, slots=True)
class Bill:
    """All sums of a period: `days` has every day of it; `judging` (None: there never was any) is in `total` too."""

    period: Period
    total: Sums
    judging: Sums | None
    days: tuple[DayBill, ...]
    before: Sums | None
    change: Change | None
    state: FoldState

    @property
    def money(self) -> CostSum:
        return money_of(self.total)

    @property
    def whole(self) -> Sums | None:
        """The sums of the days that are over; None where there are none."""
        whole = self.period.whole
        return add(day.sums for day in self.days if day.day < whole.after) if whole else None


@dataclass(frozen=True, slots=True)
class MonthForecast:
    """The forecast of one month: what each day cost so far, and the month before beside it."""

    month: date
    days: tuple[Day, ...]  # of the month up to today
    previous: tuple[Day, ...]  # all days of the month before
    forecast: Forecast
    today_share: float
    spent: CostSum  # so far, with what it may claim


@dataclass(frozen=True, slots=True)
class Heaviest:
    """The dearest users (of `users_days`, a month) and sessions; None where finding them took too long."""

    users: tuple[UserRow, ...] | None
    users_days: Days
    sessions: tuple[SessionRow, ...] | None


@dataclass(frozen=True, slots=True)
class CostPage:
    """Everything the page shows of one period."""

    bill: Bill
    breakdown: Breakdown | None  # None by day, user and session
    month: MonthForecast
    heaviest: Heaviest
    # The rows of "by user" and "by session"; None where finding them took too long, or where they were not asked for.
    users: Users | None = None
    sessions: tuple[SessionRow, ...] | None = None


def money_of(sums: Sums) -> CostSum:
    """What these sums cost, with how far it may be trusted."""
    return cost_sum(
        sums.cost_pico,
        sums.priced_count,
        sums.unpriced_count,
        sums.unknown_usage_count,
        sums.partial_count,
        sums.upper_bound_count,
        None,
    )


def counted(sums: Sums) -> int:
    """How many calls count in the money of these sums, priced or not."""
    return (
        sums.priced_count + sums.unpriced_count + sums.unknown_usage_count + sums.partial_count + sums.upper_bound_count
    )
