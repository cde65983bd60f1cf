"""What votes say, how many sessions gave one, who they are, and between what the truth lies whatever silence means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from evals.stats.quantiles import wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.survivorship.counts import Cell, Counts
from evals.stats.survivorship.results import Bounds, StratumCoverage
from evals.stats.weighted import plain_share
from traces.behaviour.types import Stratum

VOTES_MIN = 30
SESSIONS_MIN = 50
STRATUM_MIN = 10
# Of expected numbers below this the normal test is not to be trusted in its tails; the exact one is quick there.
EXPECTED_MIN = 5.0
_SUMMED = 100_000

NOTHING_ASSUMED = "Every silent session unhappy, then every one happy."
BEHAVIOUR_ASSUMED = (
    "Silent sessions that reached a goal or carried on count as satisfied; those that asked again, corrected the "
    "answer or asked for a person count as not; those that left, and traces without a session, count as all unhappy, "
    "then all happy."
)
SATISFIED_IF_SILENT = frozenset({Stratum.COMPLETED, Stratum.CARRIED_ON})
UNHAPPY_IF_SILENT = frozenset({Stratum.RETRIED, Stratum.CORRECTED, Stratum.ESCALATED})

_NORMAL = NormalDist()


def votes_rate(counts: Counts, level: float = LEVEL) -> Estimate | TooLittle:
    """Ups of all votes, Wilson. Fewer than 30 votes: TooLittle. Its interval covers chance, not who chose to vote."""
    total = counts.total
    if total.votes < VOTES_MIN:
        return TooLittle(total.votes, VOTES_MIN, "votes")
    return plain_share(total.up, total.votes, level)


def coverage(counts: Counts, level: float = LEVEL) -> Estimate | TooLittle:
    """The share of sessions that voted, Wilson. Fewer than 50 sessions: TooLittle."""
    total = counts.total
    if total.n < SESSIONS_MIN:
        return TooLittle(total.n, SESSIONS_MIN, "sessions")
    return plain_share(total.votes, total.n, level)


def manski(counts: Counts, level: float = LEVEL) -> Bounds | TooLittle:
    """[U/N, (N-D)/N], which no assumption about the silent can leave, with Imbens and Manski's interval.

    Fewer than 50 sessions: TooLittle. Source: Manski 1989, 1990; Imbens and Manski 2004.
    """
    total = counts.total
    if total.n < SESSIONS_MIN:
        return TooLittle(total.n, SESSIONS_MIN, "sessions")
    return _bounds(total.up, total.n - total.down, total.n, level, "no assumptions", NOTHING_ASSUMED)


def behaviour_bounds(counts: Counts, level: float = LEVEL) -> Bounds | TooLittle:
    """The worst and the best case for those who left in silence, taking the other silent sessions at their behaviour.

    Votes count as they were given. Silent ones: completed and carried on are satisfied; retried, corrected and
    escalated are not; abandoned, and traces without a session, are all unhappy, then all happy. Escalated counts as
    not: who asks for a person did not get from the assistant what they came for. Interval as of `manski`.
    Fewer than 50 sessions: TooLittle.
    """
    if counts.n < SESSIONS_MIN:
        return TooLittle(counts.n, SESSIONS_MIN, "sessions")
    low = high = counts.total.up
    for stratum, cell in counts.by_stratum.items():
        if stratum in SATISFIED_IF_SILENT:
            low, high = low + cell.silent, high + cell.silent
        elif stratum not in UNHAPPY_IF_SILENT:
            high += cell.silent
    return _bounds(low, high, counts.n, level, "behaviour", BEHAVIOUR_ASSUMED)


def _bounds(low: int, high: int, n: int, level: float, method: str, assumption: str) -> Bounds:
    one, two = low / n, high / n
    limit_low, limit_high = imbens_manski(one, two, n, level)
    return Bounds(one, two, limit_low, limit_high, level, n, f"{method}, Imbens-Manski interval", assumption)


def share_of(k: int, n: int, level: float = LEVEL) -> Estimate:
    """k of n with Wilson's interval, for an n that is known to be over 0."""
    low, high = wilson_limits(k / n, n, level)
    return Estimate(k / n, low, high, level, n, float(n), "share, Wilson interval")


def imbens_manski(low: float, high: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Limits that hold the true rate with `level` where it lies between `low` and `high`, two shares of `n` sessions.

    low - c s_low and high + c s_high, s = sqrt(p (1-p) / n), with Φ(c + (high - low) / max(s_low, s_high)) - Φ(-c) =
    level: c goes from 1.96 where both ends meet to 1.645 where they are far apart. Kept within 0 and 1. Where both
    ends are 0, or both 1, there is no spread to go by and the limits are Wilson's. Source: Imbens and Manski 2004.
    """
    spread_low, spread_high = (math.sqrt(max(0.0, p * (1 - p)) / n) for p in (low, high))
    most = max(spread_low, spread_high)
    if most == 0 and low == high:
        return wilson_limits(low, n, level)
    apart = (high - low) / most if most > 0 else math.inf
    c = _critical(apart, level)
    return max(0.0, low - c * spread_low), min(1.0, high + c * spread_high)


def _critical(apart: float, level: float) -> float:
    least, most = _NORMAL.inv_cdf(level), _NORMAL.inv_cdf(0.5 + level / 2)
    for _ in range(60):
        middle = (least + most) / 2
        if not least < middle < most:
            break
        reached = (1.0 if apart > 40 else _NORMAL.cdf(middle + apart)) - _NORMAL.cdf(-middle)
        least, most = (middle, most) if reached < level else (least, middle)
    return (least + most) / 2


def coverage_by_stratum(counts: Counts, level: float = LEVEL) -> Mapping[Stratum, StratumCoverage | TooLittle]:
    """Who votes: each stratum's coverage beside that of all other sessions, with test, ratio and its log interval.

    A stratum, or all others together, of fewer than 10 sessions: TooLittle. The test is of two proportions, pooled and
    two-sided; Fisher's exact one where fewer than 5 are expected anywhere. Log interval with half a vote added:
    Walter 1975; Pettigrew, Gart, Thomas 1986.
    """
    return {stratum: _against_rest(stratum, counts, level) for stratum in counts.by_stratum}


def _against_rest(stratum: Stratum, counts: Counts, level: float) -> StratumCoverage | TooLittle:
    own, rest = counts[stratum], counts.rest(stratum)
    if min(own.n, rest.n) < STRATUM_MIN:
        return TooLittle(min(own.n, rest.n), STRATUM_MIN, "sessions in this group" if own.n <= rest.n else "others")
    mine, others = share_of(own.votes, own.n, level), share_of(rest.votes, rest.n, level)
    ratio_low, ratio_high = _ratio_limits(own, rest, level)
    p, test = two_proportions(own.votes, own.n, rest.votes, rest.n)
    return StratumCoverage(
        stratum,
        own.n,
        own.n / counts.n,
        mine,
        others,
        mine.value / others.value if others.value else None,
        ratio_low,
        ratio_high,
        p,
        test,
        plain_share(own.up, own.votes, level),
    )


def _ratio_limits(own: Cell, rest: Cell, level: float) -> tuple[float, float]:
    a, n, b, m = own.votes + 0.5, own.n + 0.5, rest.votes + 0.5, rest.n + 0.5
    half = _NORMAL.inv_cdf(0.5 + level / 2) * math.sqrt(max(0.0, 1 / a - 1 / n + 1 / b - 1 / m))
    centre = math.log(a / n) - math.log(b / m)
    return math.exp(centre - half), math.exp(centre + half)


def two_proportions(a: int, n: int, b: int, m: int) -> tuple[float, str]:
    """The two-sided p that `a` of `n` and `b` of `m` sessions come from one share, and the test it is by.

    The pooled z test, or Fisher's exact test where fewer than 5 are expected in a cell of the table; 1 where nobody or
    everybody voted. Source: Agresti 2013, sections 3.2 and 3.5.
    """
    hits, whole = a + b, n + m
    misses = whole - hits
    if not (hits and misses and n and m):
        return 1.0, "no difference possible"
    row, column = min(n, m), min(hits, misses)
    if row * column / whole < EXPECTED_MIN:
        mine = (a if n <= m else b) if hits <= misses else (n - a if n <= m else m - b)
        return _fisher(mine, row, column, whole), "Fisher's exact test"
    share = hits / whole
    z = (a / n - b / m) / math.sqrt(share * (1 - share) * (1 / n + 1 / m))
    return math.erfc(abs(z) / math.sqrt(2)), "two proportions, pooled z"


def _fisher(k: int, row: int, column: int, whole: int) -> float:
    """P of all tables as likely as `k` or less, for the cell of the smaller row and column: few are expected in it."""
    few, many = min(row, column), max(row, column)
    # P(0), the chance that none of the few are among the many; of very many the middle one stands for each.
    if few <= _SUMMED:
        log_p = float(np.log1p(-many / (whole - np.arange(few))).sum())
    else:
        log_p = few * math.log1p(-many / (whole - (few - 1) / 2))
    p = math.exp(log_p)
    terms = [p]
    for i in range(min(row, column)):
        p *= (row - i) * (column - i) / ((i + 1) * (whole - row - column + i + 1))
        terms.append(p)
        if p < 1e-30 and i > EXPECTED_MIN:
            break
    seen = terms[k] if k < len(terms) else 0.0
    return min(1.0, math.fsum(term for term in terms if term <= seen * (1 + 1e-7)))
