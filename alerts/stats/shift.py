"""How big a change is: windows since an alarm against those of the baseline, with an interval. For people, not limits.

The windows that raised an alarm were chosen for being far out, so the size measured on them alone runs high; what
comes after corrects it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from alerts.stats.gamma import poisson_limits
from evals.stats.quantiles import normal_quantile, t_quantile, wilson_limits
from evals.stats.results import LEVEL, TooLittle

WINDOWS_LEAST = 5


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sums of windows with a value v of n units each: how many, Σn, Σv, Σv², Σnv, Σnv² (money and times alike)."""

    windows: int
    n: float
    values: float
    squares: float
    weighted: float
    weighted_squares: float

    @property
    def mean(self) -> float:
        return self.values / self.windows

    @property
    def variance(self) -> float:
        """Between windows, divisor windows - 1; 0 for one window."""
        if self.windows < 2:
            return 0.0
        return max(0.0, (self.squares - self.values * self.values / self.windows) / (self.windows - 1))

    @property
    def share(self) -> float:
        return min(max(self.weighted / self.n, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Shift:
    """`value` = after - before with its interval at `level`; `windows` and `n` are those after. `method` names both."""

    before: float
    after: float
    value: float
    low: float
    high: float
    windows: int
    n: float
    level: float
    method: str


def shift_of_share(before: Stretch, after: Stretch, level: float = LEVEL) -> Shift | TooLittle:
    """The difference of two shares, v of n in each window.

    Newcombe's interval, with every n divided by the dispersion of the baseline's windows (Pearson's chi-square over its
    degrees of freedom, at least 1), so that windows more uneven than chance do not give too narrow an interval.
    TooLittle under 5 windows before or without any unit after. Source: Newcombe 1998, method 10; McCullagh and Nelder
    1989, section 4.5.
    """
    lacking = _lacking(before, after)
    if lacking is not None:
        return lacking
    if not (before.n > 0 and after.n > 0):
        return TooLittle(0, 1, "units after the alarm")
    p, q = before.share, after.share
    spread = max(1.0, dispersion(before))
    low_p, high_p = wilson_limits(p, before.n / spread, level)
    low_q, high_q = wilson_limits(q, after.n / spread, level)
    value = q - p
    below, above = math.hypot(q - low_q, high_p - p), math.hypot(high_q - q, p - low_p)
    words = "difference of shares (Newcombe)" + (f", dispersion {spread:.1f}" if spread > 1.05 else "")
    return Shift(
        p, q, value, max(-1.0, value - below), min(1.0, value + above), after.windows, after.n, level, words
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rated:
    """Windows of counts with the count expected in each: how many, Σcount, Σexpected, Σ(count - expected)²/expected."""

    windows: int
    count: float
    expected: float
    squares: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as much came as was expected, with its interval at `level`; `windows` are those after."""

    value: float
    low: float
    high: float
    count: float
    expected: float
    windows: int
    level: float
    method: str


def ratio_of_counts(
    before: Rated, after: Rated, level: float = LEVEL, *, are_events: bool = True
) -> Ratio | TooLittle:
    """Counts after an alarm over what was expected in the same hours.

    Garwood's limits of a Poisson count, the count divided by the dispersion of windows before the alarm (Pearson's
    chi-square a window, at least 1); of sums that count no events (money, tokens) the normal limits with that spread.
    TooLittle under 5 windows before, or where nothing was expected after. Source: Garwood 1936; McCullagh and Nelder
    1989, section 6.2.
    """
    if before.windows < WINDOWS_LEAST:
        return TooLittle(before.windows, WINDOWS_LEAST, "judged windows before the alarm")
    if after.windows < 1 or after.expected <= 0:
        return TooLittle(0, 1, "windows since the alarm in which anything was expected")
    spread, value = before.squares / before.windows, after.count / after.expected
    if not are_events:
        half = normal_quantile(level) * math.sqrt(spread / after.expected)
        words = "ratio of sums, spread as before the alarm"
        return Ratio(
            value, max(value - half, 0.0), value + half, after.count, after.expected, after.windows, level, words
        )  # fmt: skip
    spread = max(1.0, spread)
    low, high = poisson_limits(round(after.count / spread), level)
    scale = spread / after.expected
    # The count in whole units of the dispersion may lie a little beside the count itself.
    words = "ratio of counts (Poisson)" if spread <= 1.05 else f"ratio of counts (Poisson, dispersion {spread:.1f})"
    low, high = min(low * scale, value), max(high * scale, value)
    return Ratio(value, low, high, after.count, after.expected, after.windows, level, words)


@dataclass(frozen=True, slots=True)
class Moved:
    """One category: its share before and after, and the difference with its interval."""

    name: str | None
    before: float
    after: float
    value: float
    low: float
    high: float


def moved_categories(
    before: Mapping[str | None, int], after: Mapping[str | None, int], most: int = 5, level: float = LEVEL
) -> list[Moved]:
    """The categories whose share moved most, the largest difference first, each with Newcombe's interval.

    They are picked for having moved, so the differences run high; rows of a window are taken for independent.
    """
    n, m = sum(before.values()), sum(after.values())
    if not n or not m:
        return []
    found = []
    for name in {*before, *after}:
        p, q = before.get(name, 0) / n, after.get(name, 0) / m
        low_p, high_p = wilson_limits(p, n, level)
        low_q, high_q = wilson_limits(q, m, level)
        value = q - p
        low, high = value - math.hypot(q - low_q, high_p - p), value + math.hypot(high_q - q, p - low_p)
        found.append(Moved(name, p, q, value, max(-1.0, low), min(1.0, high)))
    return sorted(found, key=lambda each: (-abs(each.value), each.name or ""))[:most]


def dispersion(stretch: Stretch) -> float:
    """Pearson's chi-square of windows with one share, over its degrees of freedom; 1 where it cannot be told."""
    p = stretch.share
    if stretch.windows < 2 or not 0 < p < 1:
        return 1.0
    squares = stretch.weighted_squares - 2 * p * stretch.weighted + p * p * stretch.n
    return max(0.0, squares) / (p * (1 - p)) / (stretch.windows - 1)


def shift_of_mean(before: Stretch, after: Stretch, level: float = LEVEL) -> Shift | TooLittle:
    """The difference of the means of window values, each window counting alike and taken for independent.

    Welch's interval; with fewer than 5 windows after, those are taken to vary like the baseline's, since their own
    variance is not known yet. TooLittle under 5 windows before. Source: Welch 1947.
    """
    lacking = _lacking(before, after)
    if lacking is not None:
        return lacking
    own = after.windows >= WINDOWS_LEAST
    a = before.variance / before.windows
    b = (after.variance if own else before.variance) / after.windows
    freedom: float = before.windows - 1
    if own and a + b > 0:
        freedom = (a + b) ** 2 / (a * a / (before.windows - 1) + b * b / (after.windows - 1))
    wide = t_quantile(level, freedom) if freedom > 0 else normal_quantile(level)
    value, half = after.mean - before.mean, wide * math.sqrt(a + b)
    words = "difference of window means (Welch)" if own else "difference of window means, spread as in the baseline"
    return Shift(
        before.mean, after.mean, value, value - half, value + half, after.windows, after.n, level, words
    )  # fmt: skip


def _lacking(before: Stretch, after: Stretch) -> TooLittle | None:
    if before.windows < WINDOWS_LEAST:
        return TooLittle(before.windows, WINDOWS_LEAST, "windows of the baseline")
    if after.windows < 1:
        return TooLittle(0, 1, "windows since the alarm")
    return None
