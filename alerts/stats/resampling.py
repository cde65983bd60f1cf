"""Limits of an EWMA from the baseline itself, with the error of estimating that baseline inside.

R chains: each draws a bootstrap baseline as long as the true one, is standardised by what *that* one would have been
frozen with, and runs on points of the true baseline, in blocks where they depend on each other. Bad baselines alarm
more often, and the limit must bear that. Source: idea of Gandy & Kvaløy 2013, Scandinavian Journal of Statistics 40.

Two ways to the limit: "survival" takes the exp(-T/ARL0) quantile of the R maxima over T points; "counting" runs on
with restarts after each alarm and finds the limit at which alarms come once in ARL0 points, which is what a budget
counts and comes out a little higher.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alerts.stats.ewma import Sides, statistic_sd
from alerts.stats.normal import Array
from evals.stats.results import TooLittle

Method = Literal["counting", "survival"]
# Takes bootstrap baselines (r, n) and gives what standardises points (r,): a function of points (r,) to z (r,).
Freeze = Callable[[Array], Callable[[Array], Array]]

BASELINE_MIN = 8
# Alarms wanted over all chains: the Monte-Carlo error of ARL0 is then 5 to 7 %.
ALARMS = 400
_CHAINS_LEAST = 400
# Ten memories of the statistic, and enough points that the start from 0 does not show.
_MEMORIES = 10
_STEPS_LEAST = 500
# Points one calibration may draw: 1 s (measured); beyond a run length of 100,000 its error grows instead.
_WORK = 45_000_000
_BATCH = 4_000_000
# With fewer expected alarms than these a rate is not counted but guessed.
_COUNTABLE = 8
# Limits that are counted at once, as parts of the survival limit.
_SCALES = np.array([0.92, 0.97, 1.0, 1.03, 1.07, 1.12, 1.2, 1.32, 1.5, 1.8])


@dataclass(frozen=True, slots=True)
class Resampled:
    """A limit on the statistic |c|, in sd of the points, with how it was found.

    `arl0` the wanted run length, `error` the relative Monte-Carlo standard error of the run length it really has;
    `chains` x `steps` simulated points, from a baseline of `n` and `seed`. `beyond`: this run length lies further out
    than the baseline or the chains reach; the limit is no further than they came, and its error is stated as 1.
    """

    limit: float
    arl0: float
    error: float
    method: Method
    sides: Sides
    chains: int
    steps: int
    n: int
    block: int
    seed: int
    beyond: bool


def by_mean_and_sd(floor: float = 0.0) -> Freeze:
    """Standardising by mean and sd (n - 1), the sd never under `floor`: a baseline of all 5s is not infinitely sure."""

    def freeze(baselines: Array) -> Callable[[Array], Array]:
        mean: Array = np.asarray(baselines.mean(axis=1), dtype=np.float64)
        sd: Array = np.maximum(np.asarray(baselines.std(axis=1, ddof=1), dtype=np.float64), max(floor, 1e-12))
        return lambda points: (points - mean) / sd

    return freeze


def by_exceedance(q: float = 0.95) -> Freeze:
    """Standardising by whether a point is over the baseline's own quantile `q`, estimated again in every chain."""
    sd = math.sqrt(q * (1 - q))

    def freeze(baselines: Array) -> Callable[[Array], Array]:
        cut: Array = np.asarray(np.quantile(baselines, q, axis=1), dtype=np.float64)

        def over(points: Array) -> Array:
            z: Array = ((points > cut).astype(np.float64) - (1 - q)) / sd
            return z

        return over

    return freeze


def plan(lam: float, arl0: float, block: int = 1) -> tuple[int, int]:
    """(chains, steps): T >= 10/λ, R·(1 - exp(-T/ARL0)) >= the wanted alarms, within what a calibration may take."""
    steps = max(_STEPS_LEAST, math.ceil(_MEMORIES / lam))
    # Long chains cost no more than many and waste less on their starts, while they stay short beside ARL0.
    steps = min(max(steps, round(arl0 / 20)), 2_000)
    steps = math.ceil(steps / block) * block
    chains = max(_CHAINS_LEAST, math.ceil(ALARMS / -math.expm1(-steps / arl0)))
    return min(chains, max(_CHAINS_LEAST, _WORK // steps)), steps


def resampled_limit(
    baseline: Array,
    lam: float,
    arl0: float,
    seed: int,
    *,
    block: int = 1,
    sides: Sides = "both",
    method: Method = "counting",
    freeze: Freeze | None = None,
    smooth: float = 0.0,
    size: tuple[int, int] | None = None,
) -> Resampled | TooLittle:
    """The limit with run length `arl0` for the EWMA of weight `lam` of points like `baseline` (n,), n >= 8.

    `block`: points drawn together, 1 for independent ones. `freeze` standardises (default: mean and sd). `smooth` adds
    normal noise of that many baseline sd to every point drawn and takes the extra spread off again, for baselines of
    few windows whose far tail was never seen. `size` overrides (chains, steps).
    Errors: ValueError for `lam` outside (0, 1], `arl0` under 2, a block under 1 or longer than the baseline.
    """
    n = int(baseline.size)
    if n < BASELINE_MIN:
        return TooLittle(n, BASELINE_MIN, "points")
    if not (0 < lam <= 1 and arl0 >= 2 and 1 <= block <= n):
        raise ValueError(f"λ in (0, 1], ARL0 >= 2 and a block within 1 and n are needed, not {lam}, {arl0}, {block}")
    chains, steps = size or plan(lam, arl0, block)
    world = _World(
        np.asarray(baseline, dtype=np.float64), chains, steps, block, smooth, seed, freeze or by_mean_and_sd()
    )
    maxima = _maxima(world, lam, sides)
    share = math.exp(-steps / arl0)
    limit = float(np.quantile(maxima, share))
    passed = max(1.0, chains * (1 - share))
    error = math.sqrt(max(share, 1 / chains) / passed) if share > 0 else 1 / math.sqrt(chains)
    if method == "counting":
        limit, error = _counted(world, lam, arl0, sides, limit)
    furthest = float(maxima.max())
    # Too few alarms to count, or none: the limit is where the chains ended, and its run length is anyone's guess.
    beyond = limit >= furthest or chains * steps < _COUNTABLE * arl0
    limit, error = min(limit, furthest), 1.0 if beyond else error
    return Resampled(limit, arl0, error, method, sides, chains, steps, n, block, seed, beyond)


class _World:
    """The baseline as the truth, chains with baselines of their own, and the same random points at every visit."""

    def __init__(
        self, truth: Array, chains: int, steps: int, block: int, smooth: float, seed: int, freeze: Freeze
    ) -> None:
        self.chains, self.steps, self.block, self.seed = chains, steps, block, seed
        self._smooth = smooth
        self._mean, self._sd = float(truth.mean()), float(truth.std(ddof=1))
        self._shrink = 1 / math.sqrt(1 + smooth * smooth)
        n = truth.size
        # A sample's spread about its own mean is too small as a truth by (n - 1)/n.
        self._truth = self._mean + math.sqrt(n / (n - 1)) * (truth - self._mean)
        rng = np.random.default_rng([seed, 1])
        rows = max(1, _BATCH // n)
        self._parts: list[tuple[slice, Callable[[Array], Array]]] = []
        for start in range(0, chains, rows):
            stop = min(chains, start + rows)
            drawn = self._values(self._indexes(rng, stop - start, n), rng)
            self._parts.append((slice(start, stop), freeze(drawn)))

    def _indexes(self, rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.int64]:
        n = self._truth.size
        if self.block == 1:
            return rng.integers(0, n, (rows, columns))
        starts = rng.integers(0, n, (rows, -(-columns // self.block)))
        return ((starts[:, :, None] + np.arange(self.block)) % n).reshape(rows, -1)[:, :columns]

    def _values(self, indexes: NDArray[np.int64], rng: np.random.Generator) -> Array:
        values: Array = self._truth[indexes]
        if self._smooth:
            noise = rng.standard_normal(values.shape) * (self._smooth * self._sd)
            values = self._mean + self._shrink * (values - self._mean + noise)
        return values

    def points(self, salt: int) -> list[Array]:
        """Standardised points of the steps in turn, (chains,) each, a block at a time; the same for the same salt."""
        rng = np.random.default_rng([self.seed, 2, salt])
        # One block of indexes in memory order of the steps.
        drawn = self._values(self._indexes(rng, self.chains, self.block), rng)
        z = []
        for at in range(self.block):
            column = np.empty(self.chains)
            for rows, standardised in self._parts:
                column[rows] = standardised(drawn[rows, at])
            z.append(column)
        return z


def _maxima(world: _World, lam: float, sides: Sides) -> Array:
    """The furthest the statistic of each chain ever comes, (chains,)."""
    c, furthest = np.zeros(world.chains), np.zeros(world.chains)
    for salt in range(-(-world.steps // world.block)):
        for z in world.points(salt):
            c += lam * (z - c)
            reach = np.abs(c) if sides == "both" else c if sides == "up" else -c
            np.maximum(furthest, reach, out=furthest)
    return furthest


def _counted(world: _World, lam: float, arl0: float, sides: Sides, limit: float) -> tuple[float, float]:
    """The limit at which alarms, with a restart after each, come once in `arl0` points; and its relative error."""
    limits = limit * _SCALES
    c = np.zeros((limits.size, world.chains))
    alarms = np.zeros((limits.size, world.chains))
    for salt in range(-(-world.steps // world.block)):
        for z in world.points(salt):
            c += lam * (z - c)
            reach = np.abs(c) if sides == "both" else c if sides == "up" else -c
            hit = reach > limits[:, None]
            if hit.any():
                alarms += hit
                c[hit] = 0.0
    totals = alarms.sum(axis=1)
    wanted = world.chains * world.steps / arl0
    # Log rates are nearly straight in the square of a limit. None at all counts as half an alarm.
    found = float(np.interp(-math.log(wanted), -np.log(np.maximum(totals, 0.5)), limits * limits))
    nearest = alarms[int(np.argmin(np.abs(limits * limits - found)))]
    total = max(1.0, float(nearest.sum()))
    # Alarms crowd in chains with bad baselines: the error is between chains, not between alarms.
    error = math.sqrt(world.chains * float(nearest.var(ddof=1))) / total if total > 1 else 1.0
    return math.sqrt(found), error


def normal_limit(lam: float, resampled: Resampled) -> float:
    """The same limit as an L: in sd of the statistic of independent normal points, to set beside the Gaussian one."""
    return resampled.limit / statistic_sd(lam)
