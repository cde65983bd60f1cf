"""The votes' rate weighed by behaviour, the line of what it would be if the silent feel worse, and weighted votes.

All three repair only what behaviour explains. Where voting depends on satisfaction itself, beyond what a session did,
none of them finds the truth: that takes an anchor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evals.stats.bootstrap import RESAMPLES
from evals.stats.quantiles import normal_quantile, wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.survivorship.bounds import SESSIONS_MIN
from evals.stats.survivorship.counts import Counts
from evals.stats.survivorship.results import Calibrated, Lacking, NotIdentified, Weighted
from evals.stats.weighted import Sums, wilson_eff

# A stratum with a larger share of sessions needs votes of its own; smaller ones may be guessed at one half.
SHARE_MOST = 0.02
STRATUM_VOTES_MIN = 5
IPW_VOTES_MIN = 200
# Weights above this quantile over the votes are cut to it.
CAP_QUANTILE = 0.99
DELTA_MOST = 0.5

Floats = NDArray[np.float64]


def lacking(counts: Counts) -> NotIdentified | TooLittle | None:
    """What keeps the calibrated rate from being told; None where nothing does."""
    n = counts.n
    if n < SESSIONS_MIN:
        return TooLittle(n, SESSIONS_MIN, "sessions")
    short = tuple(
        Lacking(stratum, cell.n / n, cell.votes)
        for stratum, cell in counts.by_stratum.items()
        if cell.n > SHARE_MOST * n and cell.votes < STRATUM_VOTES_MIN
    )
    return NotIdentified(short, STRATUM_VOTES_MIN) if short else None


def calibrated(
    counts: Counts, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Calibrated | NotIdentified | TooLittle:
    """Σ_s (N_s/N) (U_s + ½) / (U_s + D_s + 1): each stratum's votes speak for its silent sessions.

    Assumes that voters and the silent of one stratum are satisfied alike. Fewer than 50 sessions: TooLittle; a stratum
    of over 2 % of the sessions with fewer than 5 votes: NotIdentified.

    The interval is the wider, on either side, of two. Percentile bootstrap of sessions: one multinomial draw over the
    cells (stratum, vote) a resample. Wilson's limits of each stratum, squared and added: a stratum whose few votes all
    agree hardly varies between resamples, and is no certainty. Sources: poststratification, Holt and Smith 1979;
    bootstrap, Efron and Tibshirani 1993, chapter 13; limits added, Zou and Donner 2008.
    """
    found = sensitivity(counts, (0.0,), seed, resamples, level)
    if isinstance(found, (NotIdentified, TooLittle)):
        return found
    total = counts.total
    estimate = replace(found[0], method="votes weighed by behaviour, bootstrap of sessions")
    return Calibrated(estimate, total.silent / total.n, seed, resamples)


def sensitivity(
    counts: Counts, deltas: Sequence[float], seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[Estimate, ...] | NotIdentified | TooLittle:
    """The rate if silent users are satisfied `delta` less than voters who did alike: calibrated - delta (1 - coverage).

    One estimate for each of `deltas`, 0 to .5, kept within 0 and 1; at 0 it is `calibrated`. Nothing in the data says
    which delta is true. Errors as in `calibrated`; ValueError for a delta outside of 0 and .5.
    """
    if any(not 0 <= delta <= DELTA_MOST for delta in deltas):
        raise ValueError(f"delta lies within 0 and {DELTA_MOST}")
    short = lacking(counts)
    if short is not None:
        return short
    cells = counts.array()
    rates, silent = _drawn(cells, seed, resamples)
    point, quiet = (float(part[0]) for part in _rates(cells[None]))
    limits = _added(cells, level)
    votes = counts.total.votes
    return tuple(_shifted(point, quiet, rates, silent, limits, votes, delta, level) for delta in deltas)


def delta_to_reach(found: Calibrated, rate: float) -> float | None:
    """By how much less than voters alike the silent must be satisfied for the true rate to be `rate`.

    0 where the calibrated rate is there already; None where no delta up to .5 does, or nobody is silent.
    """
    gap = found.estimate.value - rate
    if gap <= 0:
        return 0.0
    if found.silent_share <= 0 or gap / found.silent_share > DELTA_MOST:
        return None
    return gap / found.silent_share


def _drawn(cells: Floats, seed: int, resamples: int) -> tuple[Floats, Floats]:
    """Calibrated rates and silent shares (resamples,) of sessions drawn with putting back."""
    n, flat = int(cells.sum()), cells.ravel()
    times = np.random.default_rng(seed).multinomial(n, flat / flat.sum(), size=resamples)
    return _rates(times.reshape(resamples, *cells.shape).astype(np.float64))


def _rates(cells: Floats) -> tuple[Floats, Floats]:
    """Of cells (b, strata, 3): the calibrated rates (b,) and the shares of silent sessions (b,)."""
    up, down, silent = cells[..., 0], cells[..., 1], cells[..., 2]
    votes = up + down
    sizes = votes + silent
    n = sizes.sum(-1)
    rates: Floats = (sizes * (up + 0.5) / (votes + 1)).sum(-1) / n
    shares: Floats = silent.sum(-1) / n
    return rates, shares


def _added(cells: Floats, level: float) -> tuple[float, float]:
    """Limits of Σ (N_s/N) U_s/V_s from Wilson's of each stratum and the chance in its size; 0 to 1 without votes."""
    n = float(cells.sum())
    sizes, votes = cells.sum(1) / n, cells[:, 0] + cells[:, 1]
    rates = np.where(votes > 0, cells[:, 0] / np.maximum(votes, 1), 0.5)
    each = [
        wilson_limits(float(rate), float(v), level) if v else (0.0, 1.0) for rate, v in zip(rates, votes, strict=True)
    ]
    lows, highs = np.array(each).T
    middle = float(sizes @ rates)
    by_size = normal_quantile(level) ** 2 * float(sizes @ (rates - middle) ** 2) / n
    below = math.sqrt(float(sizes**2 @ (rates - lows) ** 2) + by_size)
    above = math.sqrt(float(sizes**2 @ (highs - rates) ** 2) + by_size)
    return max(0.0, middle - below), min(1.0, middle + above)


def _shifted(
    point: float,
    quiet: float,
    rates: Floats,
    silent: Floats,
    limits: tuple[float, float],
    votes: int,
    delta: float,
    level: float,
) -> Estimate:
    """The estimate at one delta."""
    value = max(0.0, point - delta * quiet)
    drawn = np.maximum(0.0, rates - delta * silent)
    tail = (1 - level) / 2
    low, high = (float(limit) for limit in np.quantile(drawn, (tail, 1 - tail)))
    low, high = min(low, value, limits[0] - delta * quiet), max(high, value, limits[1] - delta * quiet)
    error = float(drawn.std(ddof=1))
    # How many equally weighted votes would be as sure.
    worth = min(float(votes), value * (1 - value) / error**2) if error > 0 and 0 < value < 1 else float(votes)
    method = f"silent users satisfied {delta:g} less than voters alike"
    return Estimate(value, max(0.0, low), min(1.0, high), level, votes, worth, method, error)


def ipw(counts: Counts, level: float = LEVEL) -> Weighted | TooLittle:
    """Σ w U / Σ w (U + D) with w = N_s / (U_s + D_s), the sessions that one vote of the stratum stands for.

    Weights are cut at their 99th percentile over the votes. The interval is Wilson's for weighted shares, which takes
    the propensities as known. Fewer than 200 votes: TooLittle. Strata without a vote are not spoken of (`uncovered`).
    Source: Hájek 1971; Robins, Rotnitzky, Zhao 1994; cut weights: Cole and Hernán 2008.
    """
    cells = counts.array()
    votes = cells[:, 0] + cells[:, 1]
    whole = int(votes.sum())
    if whole < IPW_VOTES_MIN:
        return TooLittle(whole, IPW_VOTES_MIN, "votes")
    sizes = cells.sum(1)
    seen = votes > 0
    up, votes, weights = cells[seen, 0], votes[seen], sizes[seen] / votes[seen]
    order = np.argsort(weights)
    upto = np.cumsum(votes[order])
    cap = float(weights[order][int(np.searchsorted(upto, CAP_QUANTILE * whole))])
    above = int(votes[weights > cap].sum())
    found = wilson_eff(_sums(up, votes, np.minimum(weights, cap)), level)
    if isinstance(found, TooLittle):
        return found
    estimate = replace(found, method="votes weighed by 1/propensity, Wilson interval")
    uncovered = float(sizes[~seen].sum() / sizes.sum())
    return Weighted(estimate, cap, above, uncovered)


def _sums(up: Floats, votes: Floats, w: Floats) -> Sums:
    """The sums of votes 1 and 0 in groups of equal weight."""
    w2, v = w * w, w * w - w
    terms = (w @ votes, w2 @ votes, w @ up, w @ up, w2 @ up, w2 @ up, v @ votes, v @ up, v @ up)
    return Sums(int(votes.sum()), *(float(term) for term in terms))
