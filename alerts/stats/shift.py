"""How big a change is: windows since an alarm against those of the baseline, with an interval. For people, not limits.

The windows that raised an alarm were chosen for being far out, so the size measured on them alone runs high; what
comes after corrects it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
