"""What a month will have cost when it is over: the daily rate with its weekday pattern, and an 80 % interval.

Model. Cost of day t = L_t · f(weekday) · h/24 + noise, with h the hours of the day (23 and 25 happen). The factors f
are shares of the mean day, drawn towards 1 as far as their differences could be chance (James and Stein 1961, the
variance between weekdays by moments). The level L_t wanders and may grow by a fixed amount a day: a local level with a
slope, followed by Kalman's filter (Harvey 1989, chapter 3; Durbin and Koopman 2012, chapters 2 and 4). How much it
wanders is not estimated but averaged over, by the likelihood of each of `_WANDER`; growth has a prior around none.

Assumes days that resemble their weekday and no sudden change; a change shows in the interval once it has happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import numpy as np

# Two of every weekday: with fewer, a weekday and a change of level cannot be told apart.
DAYS_MIN = 14
# Older days say little of the next ones and their weekdays are covered eight times.
DAYS_MAX = 56
LEVEL = 0.80
# Variance of the level's step from a day to the next, in parts of the variance of a day's noise; and how likely each is
# before there are data. Most bills wander little.
_WANDER = np.array([0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0])
_PRIOR = np.array([4.0, 3.0, 2.0, 1.25, 0.5, 0.25, 0.1])
# Standard deviation of growth a day as a part of the level: 0.3 % a day is about 9 % a month.
GROWTH_SD = 0.003
# Chosen with the priors above by simulation (tests/traces/test_cost_forecast.py): the 80 % interval then holds the
# truth in 75 to 85 % of months on every pattern there.
CALIBRATION = 0.93


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the project's zone: what it cost (USD; None for one that has not come) and how many hours it has."""

    day: date
    usd: float | None
    hours: float = 24.0


@dataclass(frozen=True, slots=True)
class Ahead:
    """The expected sum of the month at the end of a day to come, with its interval."""

    day: date
    usd: float
    low_usd: float
    high_usd: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The month's cost when it is over, with its interval at `level`; None where there is too little data.

    `n` whole days were learned from of `needed`; `ahead` has a point for each day from today to the month's last.
    """

    spent_usd: float
    usd: float | None
    low_usd: float | None
    high_usd: float | None
    n: int
    needed: int = DAYS_MIN
    level: float = LEVEL
    ahead: tuple[Ahead, ...] = ()

    @property
    def is_known(self) -> bool:
        return self.usd is not None


def forecast_month(
    history: Sequence[Day], spent_usd: float, today: Day, today_share: float, rest: Sequence[Day]
) -> Forecast:
    """The month's forecast.

    history: whole days before today in order, the newest last; days of the month and before, from the first day with
    data on, quiet ones as 0. spent_usd: the month so far, today included. today: what today has cost so far, and how
    long it is; today_share: the part of it that has passed, 0..1. rest: the month's days after today.
    Needs `DAYS_MIN` whole days, of which some cost something; the newest `DAYS_MAX` are used.
    """
    days = [day for day in history if day.usd is not None][-DAYS_MAX:]
    values = np.array([(day.usd or 0.0) * 24.0 / day.hours for day in days])
    if len(days) < DAYS_MIN:
        return Forecast(spent_usd, None, None, None, len(days))
    if not values.any():
        ahead = tuple(Ahead(day.day, spent_usd, spent_usd, spent_usd) for day in [today, *rest])
        return Forecast(spent_usd, spent_usd, spent_usd, spent_usd, len(days), ahead=ahead)
    weekdays = np.array([day.day.weekday() for day in days], dtype=np.intp)
    factors, learned = weekday_factors(values, weekdays)
    free = max(len(days) - 1 - learned, 4.0)
    coming = [today, *rest]
    pattern = np.array([factors[day.day.weekday()] * day.hours / 24.0 for day in coming])
    pattern[0] *= 1.0 - min(max(today_share, 0.0), 1.0)
    sums, variances = _sums(values, factors[weekdays], pattern, free)
    sums = spent_usd + sums
    spreads = CALIBRATION * _quantile(free) * np.sqrt(variances)
    ahead = tuple(
        Ahead(day.day, float(total), max(float(total - spread), spent_usd), float(total + spread))
        for day, total, spread in zip(coming, sums, spreads, strict=True)
    )
    last = ahead[-1]
    return Forecast(spent_usd, last.usd, last.low_usd, last.high_usd, len(days), ahead=ahead)


def _sums(values: np.ndarray, factors: np.ndarray, pattern: np.ndarray, free: float) -> tuple[np.ndarray, np.ndarray]:
    """Expected cumulated sums over the days to come and their variances, over all degrees of wandering."""
    fit = _filter(values, factors, free)
    total = np.cumsum(pattern)
    later = np.cumsum(pattern * np.arange(1, len(pattern) + 1))
    sums = fit.level[:, None] * total + fit.slope[:, None] * later
    known = fit.var_level[:, None] * total**2 + 2 * fit.cov[:, None] * total * later + fit.var_slope[:, None] * later**2
    # A step of the level on one day moves all days after it; the noise of a day is its own.
    after = total[:, None] - np.concatenate(([0.0], total[:-1]))[None, :]
    moved = np.tril(after**2).sum(axis=1)
    variances = fit.noise[:, None] * (known + _WANDER[:, None] * moved + total)
    mean = (fit.chance[:, None] * sums).sum(axis=0)
    variance = (fit.chance[:, None] * (variances + (sums - mean) ** 2)).sum(axis=0)
    return np.maximum(mean, 0.0), variance


def weekday_factors(values: np.ndarray, weekdays: np.ndarray) -> tuple[np.ndarray, float]:
    """What each weekday costs of the mean day (mean 1), and how many numbers were learned for it: 0 to 6.

    values: (n,) cost a day of 24 hours. weekdays: (n,) 0 Monday to 6. Shape (7,). Needs two of each weekday.
    """
    level = values.mean()
    ratios = values / level if level > 0 else np.ones_like(values)
    counts = np.bincount(weekdays, minlength=7)
    means = np.bincount(weekdays, weights=ratios, minlength=7) / np.maximum(counts, 1)
    inside = ratios - means[weekdays]
    free = max(len(ratios) - int(np.count_nonzero(counts)), 1)
    noise = float((inside**2).sum()) / free
    between = max(float(means.var(ddof=1)) - noise * float((1.0 / np.maximum(counts, 1)).mean()), 0.0)
    keep = between / (between + noise / np.maximum(counts, 1)) if between > 0 else np.zeros(7)
    factors = np.maximum(1.0 + keep * (means - 1.0), 0.0)
    return np.asarray(factors / factors.mean()), float(keep.mean()) * 6


@dataclass(frozen=True, slots=True)
class _Fit:
    """The state after the last day for each degree of wandering, all (k,): variances in units of `noise`."""

    level: np.ndarray
    slope: np.ndarray
    var_level: np.ndarray
    cov: np.ndarray
    var_slope: np.ndarray
    noise: np.ndarray  # variance of the noise of a mean day, USD²
    chance: np.ndarray  # how likely each degree of wandering is


def _filter(values: np.ndarray, factors: np.ndarray, free: float) -> _Fit:
    """Kalman's filter over the days, for all of `_WANDER` at once."""
    mean = float(values.sum()) / max(float(factors.sum()), 1e-9)
    weight = np.maximum(factors, 0.02)  # noise grows with the day; a quiet weekday says little of the level
    rough = float(((values - mean * factors) ** 2 / weight).mean())
    k = len(_WANDER)
    level, slope = np.full(k, mean), np.zeros(k)
    var_level = np.full(k, 1e4)  # next to nothing is known at first
    cov, var_slope = np.zeros(k), np.full(k, (GROWTH_SD * mean) ** 2 / rough if rough else 0.0)
    squared, logs = np.zeros(k), np.zeros(k)
    for value, factor, own in zip(values, factors, weight, strict=True):
        level = level + slope
        var_level = var_level + 2 * cov + var_slope + _WANDER
        cov = cov + var_slope
        scale = factor**2 * var_level + own
        error = value - factor * level
        gain_level, gain_slope = factor * var_level / scale, factor * cov / scale
        level, slope = level + gain_level * error, slope + gain_slope * error
        var_slope = var_slope - gain_slope * factor * cov
        cov = cov - gain_level * factor * cov
        var_level = var_level - gain_level * factor * var_level
        squared += error**2 / scale
        logs += np.log(scale)
    noise = squared / free
    squared = np.maximum(squared, 1e-30)
    score = np.log(_PRIOR) - logs / 2 - len(values) / 2 * np.log(squared / squared.min())
    chance = np.exp(score - score.max())
    return _Fit(level, slope, var_level, cov, var_slope, noise, chance / chance.sum())


def _quantile(free: float) -> float:
    """The factor of a standard deviation for `LEVEL`: Student's t with `free` degrees, by Cornish and Fisher."""
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    return z + (z**3 + z) / (4 * free)
