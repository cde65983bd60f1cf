"""Charts of events too rare for shares: a CUSUM of the log likelihood ratio, gaps between events, Jeffreys' prior.

S = max(0, S + k·log(p1/p0) + (n - k)·log((1-p1)/(1-p0))) looks for p1 = `ratio`·p0 at whatever n each window has; its
limit comes from simulating windows of the real volumes. Overdispersed counts need their own limit, drawn with `rho`:
the one of independent events is passed six times as often there (the specification, 3.2: 1.9 per 1,000 against .3).
Source: Page 1954; Reynolds & Stoumbos 1999, J. Quality Technology 31, 87-108; Brown, Cai & DasGupta 2001 (Jeffreys).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.stats.normal import score
from evals.stats.quantiles import beta_quantile
from evals.stats.results import TooLittle

RATIO = 2.0
# A window is rare below one expected event.
RARE_BELOW = 1.0
EVENTS_MIN = 30
_P_MOST = 0.999
_CHAINS_LEAST = 400
_ALARMS = 160
_STEPS_LEAST, _STEPS_MOST = 500, 2_000
_WORK = 8_000_000
# Limits that are counted at once, as parts of the one by survival.
_AROUND = np.array([0.5, 0.65, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0])


@dataclass(frozen=True, slots=True)
class Weights:
    """What one event and one request without (`calm`) add to the sum: more for events where p1 is over p0."""

    event: float
    calm: float
    p0: float
    p1: float

    def step(self, total: float, k: int, n: int) -> float:
        """The sum after a window of `k` of `n`; a window of none changes nothing."""
        return max(0.0, total + k * self.event + (n - k) * self.calm)


def weights(p0: float, ratio: float = RATIO) -> Weights:
    """The log likelihood ratios of p1 = `ratio`·p0 (no higher than .999) to `p0`; under 1 the sum looks for a fall.

    ValueError unless 0 < p0 < 1 and p1 is another share.
    """
    p1 = min(_P_MOST, p0 * ratio)
    if not (0 < p0 < 1 and p1 > 0 and p1 != p0 and (p1 > p0) == (ratio > 1)):
        raise ValueError(f"a share inside (0, 1) and a ratio other than 1 are needed, not {p0}, {ratio}")
    return Weights(math.log(p1 / p0), math.log1p(-p1) - math.log1p(-p0), p0, p1)


@dataclass(frozen=True, slots=True)
class SimulatedLimit:
    """A limit on the sum with run length `arl0` windows; `error` the relative Monte-Carlo error of that run length.

    `out_of_reach`: not even the highest limit tried made alarms as rare as wanted; the limit is that one.
    """

    limit: float
    arl0: float
    error: float
    chains: int
    steps: int
    seed: int
    out_of_reach: bool


def simulated_limit(
    volumes: NDArray[np.int64],
    p0: float,
    arl0: float,
    seed: int,
    ratio: float = RATIO,
    known_from: tuple[int, int] | None = None,
    rho: float = 0.0,
) -> SimulatedLimit | TooLittle:
    """The limit that windows of the real `volumes` (m,) pass once in `arl0` windows while the share is `p0`.

    Each chain starts at a window of its own and goes round, so days and weeks stay as they are. `known_from`: the
    (events, requests) that `p0` was estimated from; then each chain has a true share drawn from Jeffreys' posterior and
    the error of the estimate is in the limit. `rho`: how alike the requests of one window are, as in proportions.
    Alarms are counted with a restart after each.
    Errors: ValueError for `arl0` under 2; too little without a single request in the volumes.
    """
    if not arl0 >= 2:
        raise ValueError(f"a wanted run length of at least 2 windows is needed, not {arl0}")
    if volumes.size == 0 or int(volumes.sum()) == 0:
        return TooLittle(0, 1, "requests")
    w = weights(p0, ratio)
    steps = min(max(_STEPS_LEAST, round(arl0 / 20)), _STEPS_MOST)
    chains = max(_CHAINS_LEAST, math.ceil(_ALARMS / -math.expm1(-steps / arl0)))
    chains = min(chains, max(_CHAINS_LEAST, _WORK // steps))
    rng = np.random.default_rng([seed, 3])
    offsets = rng.integers(0, volumes.size, chains)
    truth = np.full(chains, p0)
    if known_from is not None:
        events, requests = known_from
        truth = rng.beta(events + 0.5, requests - events + 0.5, chains)
    added = np.empty((steps, chains), dtype=np.float32)
    sums, highest = np.zeros(chains), np.zeros(chains)
    for step in range(steps):
        n = volumes[(offsets + step) % volumes.size]
        share = truth if rho <= 0 else rng.beta(truth * (1 / rho - 1), (1 - truth) * (1 / rho - 1))
        k = rng.binomial(n, share)
        added[step] = k * w.event + (n - k) * w.calm
        sums += added[step]
        np.maximum(sums, 0.0, out=sums)
        np.maximum(highest, sums, out=highest)
    # Survival tells about where the limit is; alarms with restarts, what it is.
    first = max(float(np.quantile(highest, math.exp(-steps / arl0))), abs(w.event))
    limits = first * _AROUND
    totals, spread = _alarms(added, limits)
    wanted = math.log(chains * steps / arl0)
    logs = np.log(np.maximum(totals, 0.5))
    limit = float(np.interp(-wanted, -logs, limits))
    nearest = int(np.argmin(np.abs(limits - limit)))
    total = float(totals[nearest])
    error = math.sqrt(chains * float(spread[nearest])) / total if total > 1 else 1.0
    return SimulatedLimit(limit, arl0, error, chains, steps, seed, bool(logs[-1] > wanted))


def _alarms(added: NDArray[np.float32], limits: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Alarms of sums of `added` (steps, chains) with restarts at each limit (g,), and their variance between chains."""
    chains = added.shape[1]
    sums = np.zeros((limits.size, chains), dtype=np.float32)
    alarms = np.zeros((limits.size, chains))
    ceiling = limits[:, None].astype(np.float32)
    for row in added:
        sums += row
        np.maximum(sums, 0.0, out=sums)
        hit = sums > ceiling
        if hit.any():
            alarms += hit
            sums[hit] = 0.0
    return alarms.sum(axis=1), alarms.var(axis=1, ddof=1)


@dataclass(frozen=True, slots=True)
class Prior:
    """A share from few events by Jeffreys' prior: its posterior mean and interval, and whether that had to serve.

    `assumed`: fewer than 30 events, so that the page must say the level is mostly assumed.
    """

    share: float
    low: float
    high: float
    level: float
    events: int
    n: int
    assumed: bool


def jeffreys(events: int, n: int, level: float = 0.95) -> Prior:
    """The posterior Beta(events + ½, n - events + ½): mean and equal-tailed interval (to 0 and 1 at the ends).

    Without any request it is the prior itself. ValueError unless 0 <= events <= n and 0 < level < 1.
    """
    if not 0 <= events <= n or not 0 < level < 1:
        raise ValueError(f"0 <= events <= n and a level inside (0, 1) are needed, not {events}, {n}, {level}")
    a, b = events + 0.5, n - events + 0.5
    tail = (1 - level) / 2
    low = 0.0 if events == 0 else beta_quantile(tail, a, b)
    high = 1.0 if events == n else beta_quantile(1 - tail, a, b)
    return Prior(a / (a + b), low, high, level, events, n, events < EVENTS_MIN)


def is_rare(p0: float, n: float) -> bool:
    """Whether a window of `n` requests is expected to hold less than one event."""
    return n * p0 < RARE_BELOW


def gap_score(gap: int, p0: float) -> float:
    """z of an event after `gap` >= 1 requests (itself the last): short gaps are high. Mid-p, within ±6.

    P(G <= g) = 1 - (1 - p0)^g of a geometric. ValueError for a gap under 1 or a share outside (0, 1).
    """
    if gap < 1 or not 0 < p0 < 1:
        raise ValueError(f"a gap of at least 1 and a share inside (0, 1) are needed, not {gap}, {p0}")
    longer = math.exp(gap * math.log1p(-p0))
    shorter = -math.expm1((gap - 1) * math.log1p(-p0))
    at = max(0.0, 1 - longer - shorter)
    return score(longer + at / 2, shorter + at / 2)


def shortest_gaps(p0: float, alpha: float) -> int | None:
    """The longest gap so short that chance gives it to less than `alpha` of the events; None where not even 1 is."""
    if not (0 < alpha < 1 and 0 < p0 < 1):
        raise ValueError(f"a chance and a share inside (0, 1) are needed, not {alpha}, {p0}")
    gap = math.floor(math.log1p(-alpha) / math.log1p(-p0))
    return gap if gap >= 1 else None
