"""Limits of several statistics under one budget, by resampling the baseline they are to be charted against.

Each chain draws its own bootstrap baseline, standardises by what *that* one would have been frozen with, and runs on
points of the true baseline: so the error of estimating a baseline is in the limit (idea of Gandy & Kvaløy 2013,
Guaranteed conditional performance of control charts via bootstrap methods, Scand. J. Stat. 40).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Steps of a chain: ten times the memory of the slowest statistic, and no fewer than measured to settle (spec 2.3).
_MEMORIES, _STEPS = 10, 1_000
# Alarms wanted over all chains, so that the Monte-Carlo error of a run length is about a tenth.
_ALARMS = 160
_CHAINS = (400, 8_000)
_COUNTED_LEAST = 20
# Scales of all limits together that are tried at once: correlated statistics need less than their separate budgets.
_SCALES = np.linspace(0.76, 1.18, 8)
_SEARCHES = 4
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Channel:
    """One reading of the points. "level": value in baseline sds. "share": whether it passes the baseline's quantile."""

    name: str
    kind: Literal["level", "share"] = "level"
    quantile: float = 0.95
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """An EWMA of one channel with weight `lam` (1: the point alone) that takes `share` of the budget."""

    name: str
    channel: int
    lam: float
    share: float


@dataclass(frozen=True, slots=True)
class Limits:
    """(p,) limits of p rules on standardised statistics; ±inf where a side has no budget.

    `beyond`: the run length is longer than chains can count, and the limits were carried on from one they can.
    """

    low: Floats
    high: Floats
    chains: int
    steps: int
    beyond: bool


def chain_limits(
    sample: Floats,
    channels: Sequence[Channel],
    rules: Sequence[Rule],
    *,
    arl0: float,
    up_share: float,
    seed: int,
    block: int = 1,
    smooth: float = 0.0,
) -> Limits:
    """Limits at which the rules together raise one alarm in `arl0` points, counted with restart after each.

    Shapes: `sample` (n, j) baseline values, one column a channel. `block`: points drawn together, for dependent ones.
    `smooth` in 0..1: the part of a level's spread that is drawn from a normal, for samples that do not reach far.
    Errors: ValueError for fewer than 8 rows. Cost: two passes over chains x steps, 0.1 to 0.5 s.
    """
    n = len(sample)
    if n < 8:
        raise ValueError(f"limits by resampling need 8 rows of baseline, not {n}")
    slowest = min(rule.lam for rule in rules)
    # Much longer than a run length, and every chain would have alarmed: extremes would say nothing.
    steps = math.ceil(max(min(_STEPS, arl0 / 2), _MEMORIES / slowest))
    chains = min(max(_CHAINS[0], math.ceil(_ALARMS / -math.expm1(-steps / arl0))), _CHAINS[1])
    world = _World(sample, channels, chains, np.random.default_rng([seed, 1]), block, smooth)
    counted = min(arl0, chains * steps / _ALARMS)
    low, high = _separate(world, rules, counted, up_share, steps, np.random.default_rng([seed, 2]))
    for search in range(_SEARCHES):
        alarms = _together(world, rules, low, high, steps, np.random.default_rng([seed, 3, search]))
        # Rates fall as limits rise; a straight line between the two neighbours, the end where none is wide enough.
        wanted = math.log(chains * steps / counted)
        scale = float(np.interp(-wanted, -np.log(np.maximum(alarms, 0.5)), _SCALES))
        low, high = low * scale, high * scale
        if _SCALES[0] < scale < _SCALES[-1]:
            break
    if arl0 > counted:
        further = carried_on(alarms, _SCALES / scale, arl0 / counted)
        low, high = low * further, high * further
    return Limits(low, high, chains, steps, arl0 > counted)


def carried_on(alarms: Floats, scales: Floats, times: float) -> float:
    """How much wider the limits are for a run length `times` as long: log rates fall with the square of a limit.

    So the tail of a normal statistic goes, to which an EWMA comes close; fitted where at least 20 alarms were counted.
    """
    enough = alarms >= _COUNTED_LEAST
    if enough.sum() < 2:
        return 1.0
    slope = float(np.polyfit(scales[enough] ** 2, np.log(alarms[enough]), 1)[0])
    return math.sqrt(1 + math.log(times) / -slope) if slope < 0 else 1.0


class _World:
    """The baseline as the truth, and for each chain what it would have frozen had it seen a baseline of its own."""

    def __init__(
        self,
        sample: Floats,
        channels: Sequence[Channel],
        chains: int,
        generator: np.random.Generator,
        block: int,
        smooth: float,
    ) -> None:
        self.n, self.chains, self.block, self.smooth = len(sample), chains, block, smooth
        # A sample's own spread is too small by (n-1)/n as a truth to draw from.
        widen = math.sqrt(self.n / (self.n - 1))
        middle = sample.mean(axis=0)
        self.columns = [np.ascontiguousarray(sample[:, j]) for j in range(sample.shape[1])]
        self.spreads = [float(column.std(ddof=1)) for column in self.columns]
        self.centres, self.sds = [], []
        level = [j for j, channel in enumerate(channels) if channel.kind == "level"]
        for j in level:
            self.columns[j] = middle[j] + widen * (self.columns[j] - middle[j])
        means = np.empty((len(channels), chains))
        sds = np.empty((len(channels), chains))
        rows = max(1, _CHUNK // self.n)
        for start in range(0, chains, rows):
            size = min(rows, chains - start)
            drawn = self._starts(generator, (size, self.n))
            for j in level:
                values = self._smoothed(self.columns[j][drawn], j, generator)
                means[j, start : start + size] = values.mean(axis=1)
                sds[j, start : start + size] = values.std(axis=1, ddof=1)
        for j, channel in enumerate(channels):
            if channel.kind == "level":
                self.centres.append(means[j])
                self.sds.append(np.maximum(np.maximum(sds[j], channel.floor), 1e-12))
            else:
                # The bootstrap quantile of n values is the one of true rank Beta(nq, n(1-q)).
                q = channel.quantile
                ranks = generator.beta(self.n * q, self.n * (1 - q), chains)
                self.centres.append(np.quantile(self.columns[j], ranks))
                self.sds.append(np.full(chains, math.sqrt(q * (1 - q))))
        self.channels = channels

    def _starts(self, generator: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.int64]:
        if self.block == 1:
            return generator.integers(0, self.n, shape)
        rows, columns = shape
        starts = generator.integers(0, self.n, (rows, -(-columns // self.block)))
        return ((starts[:, :, None] + np.arange(self.block)) % self.n).reshape(rows, -1)[:, :columns]

    def _smoothed(self, values: Floats, j: int, generator: np.random.Generator) -> Floats:
        if not self.smooth:
            return values
        middle = self.columns[j].mean()
        kept = math.sqrt(1 - self.smooth**2)
        noise = generator.standard_normal(values.shape) * (self.smooth * self.spreads[j])
        result: Floats = middle + kept * (values - middle) + noise
        return result

    def points(self, steps: int, generator: np.random.Generator) -> list[Floats]:
        """Standardised points for some steps: for each channel (steps, chains)."""
        if self.block == 1:
            drawn = generator.integers(0, self.n, (steps, self.chains))
        else:
            drawn = self._starts(generator, (self.chains, steps)).T
        found = []
        for j, channel in enumerate(self.channels):
            if channel.kind == "level":
                values = self._smoothed(self.columns[j][drawn], j, generator)
                found.append((values - self.centres[j]) / self.sds[j])
            else:
                beyond = self.columns[j][drawn] > self.centres[j]
                found.append((beyond - (1 - channel.quantile)) / self.sds[j])
        return found


def _pieces(world: _World, steps: int) -> list[int]:
    """Steps at a time, so that no array outgrows the cache by much; whole blocks."""
    size = max(world.block, (_CHUNK // 4 // world.chains) // world.block * world.block, 1)
    return [min(size, steps - start) for start in range(0, steps, size)]


def _separate(
    world: _World, rules: Sequence[Rule], arl0: float, up_share: float, steps: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Each rule's limits as if it were alone with its share: quantiles of the chains' extremes."""
    p = len(rules)
    lam = np.array([rule.lam for rule in rules])[:, None]
    current = np.zeros((p, world.chains))
    highest, lowest = np.zeros((p, world.chains)), np.zeros((p, world.chains))
    for size in _pieces(world, steps):
        columns = world.points(size, generator)
        z = np.stack([columns[rule.channel] for rule in rules], axis=1)
        for row in z:
            current += lam * (row - current)
            np.maximum(highest, current, out=highest)
            np.minimum(lowest, current, out=lowest)
    low, high = np.full(p, -np.inf), np.full(p, np.inf)
    for i, rule in enumerate(rules):
        for side, share, ends in ((high, up_share, highest), (low, 1 - up_share, -lowest)):
            expected = steps * rule.share * share / arl0
            if expected > 0:
                limit = float(np.quantile(ends[i], math.exp(-expected)))
                side[i] = limit if side is high else -limit
    return low, high


def _together(
    world: _World,
    rules: Sequence[Rule],
    low: Floats,
    high: Floats,
    steps: int,
    generator: np.random.Generator,
) -> Floats:
    """Alarms of all chains, counted with restart, at each scale (g,) of all limits together."""
    p, g = len(rules), len(_SCALES)
    lam = np.array([rule.lam for rule in rules])[:, None, None]
    ceiling = high[:, None, None] * _SCALES[None, :, None]
    bottom = low[:, None, None] * _SCALES[None, :, None]
    current = np.zeros((p, g, world.chains))
    alarms = np.zeros(g)
    for size in _pieces(world, steps):
        columns = world.points(size, generator)
        z = np.stack([columns[rule.channel] for rule in rules], axis=1)[:, :, None, :]
        for row in z:
            current += lam * (row - current)
            hit = ((current > ceiling) | (current < bottom)).any(axis=0)
            if hit.any():
                alarms += hit.sum(axis=1)
                current[:, hit] = 0.0
    return alarms
