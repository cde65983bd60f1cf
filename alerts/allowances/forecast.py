"""What a period will have cost when it is over, with an 80 % interval, and when its allowance runs out.

Months: `traces.cost.forecast` (weekdays, a wandering level, growth). Days: what is spent after a time of day, from what
was spent before it, learned from the days before by least squares,

    after / f = a + b * (before / f) + c * day + noise,

with f the factor of the weekday (`weekday_factors`). The interval is that of a new observation (Draper and Smith 1998,
section 3.1), so that a day unlike those before, such as one with a loop that spends, gets a wide one. Assumes days that
resemble their weekday. Needs `DAYS_MIN` whole days; `None` figures below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import numpy as np

from traces.cost.forecast import DAYS_MIN, LEVEL, Day, Forecast, forecast_month, weekday_factors

HISTORY_DAYS = 28
PICO = 10**12


@dataclass(frozen=True, slots=True)
class DayParts:
    """One whole day in the past: what was spent before and after the time of day that it is now, USD."""

    day: date
    before_usd: float
    after_usd: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a period will have cost; pico-dollars, rounded: they are estimates. None: too little data.

    `n` whole days were learned from of `needed`. `ahead`: (day, expected, low, high) sums at the ends of days to come.
    """

    pico: int | None
    low_pico: int | None
    high_pico: int | None
    n: int
    needed: int = DAYS_MIN
    level: float = LEVEL
    ahead: tuple[tuple[date, int, int, int], ...] = ()

    @property
    def is_known(self) -> bool:
        return self.pico is not None


@dataclass(frozen=True, slots=True)
class RunsOut:
    """The first day at whose end the allowance is expected to be spent, and those of the interval's edges.

    None: not within the period.
    """

    expected: date | None
    earliest: date | None
    latest: date | None


def outlook_of_month(
    history: Sequence[Day], spent_usd: float, today: Day, today_share: float, rest: Sequence[Day]
) -> Outlook:
    """As `forecast_month`."""
    return _outlook(forecast_month(history, spent_usd, today, today_share, rest))


def outlook_of_day(history: Sequence[DayParts], spent_usd: float, today: date) -> Outlook:
    """What today will have cost; `history` in order, quiet days as 0, from the first day with data on."""
    days = history[-HISTORY_DAYS:]
    n = len(days)
    if n < DAYS_MIN:
        return Outlook(None, None, None, n)
    before = np.array([day.before_usd for day in days])
    after = np.array([day.after_usd for day in days])
    totals = before + after
    if not totals.any():
        return _from_usd(spent_usd, spent_usd, spent_usd, n, today)
    factors, learned = weekday_factors(totals, np.array([day.day.weekday() for day in days], dtype=np.intp))
    own = np.maximum(np.array([factors[day.day.weekday()] for day in days]), 0.02)
    factor = max(float(factors[today.weekday()]), 0.02)
    x, y = before / own, after / own
    spread_of_x = float(x.std())
    # Without a spread (midnight) what was spent before says nothing. Days are centred on the newest: a plain mean of
    # four weeks would be two weeks old where traffic grows.
    past = np.arange(-n, 0, dtype=float) / n
    scaled = (x - x.mean()) / spread_of_x if spread_of_x > 1e-9 * (x.mean() + y.mean()) else np.zeros(n)
    asked = (spent_usd / factor - float(x.mean())) / spread_of_x if scaled.any() else 0.0
    design = np.column_stack([np.ones(n), past, *([scaled] if scaled.any() else [])])
    point = np.array([1.0, 0.0, *([asked] if scaled.any() else [])])
    inverse = np.linalg.pinv(design.T @ design)
    told = inverse @ design.T @ y
    free = max(n - design.shape[1] - learned, 4.0)
    noise = float(((y - design @ told) ** 2).sum()) / free
    expected = max(float(point @ told), 0.0)
    spread = _quantile(free) * math.sqrt(noise * (1.0 + float(point @ inverse @ point)))
    low, high = max(expected - spread, 0.0), expected + spread
    return _from_usd(spent_usd + factor * expected, spent_usd + factor * low, spent_usd + factor * high, n, today)


def runs_out(outlook: Outlook, limit_pico: int) -> RunsOut:
    """When the allowance will be spent, by what is expected and by both edges of the interval."""

    days: list[date | None] = [None, None, None]
    for day, *sums in reversed(outlook.ahead):
        days = [day if sums[at] >= limit_pico else days[at] for at in range(3)]
    return RunsOut(days[0], days[2], days[1])


def will_not_last(outlook: Outlook, limit_pico: int) -> bool:
    """Whether the whole interval lies at the limit or above it: what people are told of before it is spent."""
    return outlook.low_pico is not None and outlook.low_pico >= limit_pico


def _outlook(found: Forecast) -> Outlook:
    if found.usd is None or found.low_usd is None or found.high_usd is None:
        return Outlook(None, None, None, found.n, found.needed, found.level)
    ahead = tuple((point.day, _pico(point.usd), _pico(point.low_usd), _pico(point.high_usd)) for point in found.ahead)
    return Outlook(
        _pico(found.usd), _pico(found.low_usd), _pico(found.high_usd), found.n, found.needed, found.level, ahead
    )  # fmt: skip


def _from_usd(usd: float, low: float, high: float, n: int, today: date) -> Outlook:
    figures = _pico(usd), _pico(low), _pico(high)
    return Outlook(*figures, n, ahead=((today, *figures),))


def _pico(usd: float) -> int:
    return round(usd * PICO)


def _quantile(free: float) -> float:
    """Student's t for `LEVEL`, by Cornish and Fisher, as `traces.cost.forecast`."""
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    return z + (z**3 + z) / (4 * free)
