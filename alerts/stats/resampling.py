"""Limits of one or several statistics under one budget, by resampling the baseline they are to be charted against.

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

from alerts.stats.dependence import Memory

Floats = NDArray[np.float64]

ROWS_MIN = 8
# Skewness under this is chance; none is carried beyond that of a square of a normal, nor bent further than this.
_EVEN, _SKEWNESS_MOST, _BENT_MOST = 0.1, 2.8, 0.35
_YOUNGEST = 8
# A cumulative sum remembers about as long as an EWMA of this weight.
_SUM_AS = 0.05
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
# A chain's own baseline is drawn no longer than this: the errors of longer ones follow.
_LENGTH = 1_000


@dataclass(frozen=True, slots=True)
class Channel:
    """One reading of the points, charted in baseline sds, which are never under `floor`.

    With a `memory` the part of it that lasts is drawn as a level that wanders, normal and as large; the rest, and all
    of points without, is drawn from the sample.
    """

    name: str
    floor: float = 0.0
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A statistic of one channel that takes `share` of the budget: an EWMA of weight `lam` (1: the point alone).

    With `sums` ("up", "down") a cumulative sum instead, of points over `k` or under -`k`, with an upper limit alone.
    """

    name: str
    channel: int
    lam: float
    share: float
    sums: Literal["", "up", "down"] = ""
    k: float = 0.5


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
    widening: bool = False,
) -> Limits:
    """Limits at which the rules together raise one alarm in `arl0` points, counted with restart after each.

    Shapes: `sample` (n, j) baseline values, one column a channel. `block`: points drawn together, for dependent ones.
    `smooth` in 0..1: the part of a level's spread that is drawn from a normal, for samples that do not reach far.
    `widening`: averages are judged by these limits times `youth` of the points since they started.
    Errors: ValueError for fewer than 8 rows. Cost: two passes over chains x steps, 0.1 to 0.5 s.
    """
    n = len(sample)
    if n < ROWS_MIN:
        raise ValueError(f"limits by resampling need {ROWS_MIN} rows of baseline, not {n}")
    slowest = min(_SUM_AS if rule.sums else rule.lam for rule in rules)
    # Much longer than a run length, and every chain would have alarmed: extremes would say nothing.
    steps = math.ceil(max(min(_STEPS, arl0 / 2), _MEMORIES / slowest))
    chains = min(max(_CHAINS[0], math.ceil(_ALARMS / -math.expm1(-steps / arl0))), _CHAINS[1])
    world = _World(sample, channels, chains, np.random.default_rng([seed, 1]), block, smooth)
    counted = min(arl0, chains * steps / _ALARMS)
    low, high = _separate(world, rules, counted, up_share, steps, np.random.default_rng([seed, 2]), widening)
    for search in range(_SEARCHES):
        alarms = _together(world, rules, low, high, steps, np.random.default_rng([seed, 3, search]), widening)
        # Rates fall as limits rise; a straight line between the two neighbours, the end where none is wide enough.
        wanted = math.log(chains * steps / counted)
        scale = float(np.interp(-wanted, -np.log(np.maximum(alarms, 0.5)), _SCALES))
        low, high = low * scale, high * scale
        if _SCALES[0] < scale < _SCALES[-1]:
            break
    if arl0 > counted:
        # A sum's rate falls with its limit itself (about as exp(-2kh)), an average's with the square of it.
        power = 1.0 if any(rule.sums for rule in rules) else 2.0
        further = carried_on(alarms, _SCALES / scale, arl0 / counted, power)
        low, high = low * further, high * further
    return Limits(low, high, chains, steps, arl0 > counted)


def youth(lam: float, points: int) -> float:
    """The sd of an EWMA of so many points since it started at 0, as a part of its sd in the long run (NIST 6.3.2.4).

    Averages of fewer than 8 points take that of 8: one wild point is no average yet.
    """
    return math.sqrt(-math.expm1(2 * max(points, _YOUNGEST) * math.log1p(-lam))) if lam < 1 else 1.0


def carried_on(alarms: Floats, scales: Floats, times: float, power: float = 2.0) -> float:
    """How much wider the limits are for a run length `times` as long: log rates fall with a `power` of a limit.

    2 is the tail of a normal statistic, to which an EWMA comes close; fitted where at least 20 alarms were counted.
    """
    enough = alarms >= _COUNTED_LEAST
    if enough.sum() < 2:
        return 1.0
    slope = float(np.polyfit(scales[enough] ** power, np.log(alarms[enough]), 1)[0])
    return float((1 + math.log(times) / -slope) ** (1 / power)) if slope < 0 else 1.0


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
        self.memories = [channel.memory for channel in channels]
        # How much of each chain's truth lasts: no two as much, as far as the baseline leaves it open.
        self.lasting = [
            np.clip(memory.share + memory.unsure * generator.standard_normal(chains), 0.0, 1.0)
            for memory in (each or Memory() for each in self.memories)
        ]
        # A sample's own spread is too small by (n-1)/n as a truth to draw from.
        widen = math.sqrt(self.n / (self.n - 1))
        middle = sample.mean(axis=0)
        self.columns = [np.ascontiguousarray(sample[:, j]) for j in range(sample.shape[1])]
        # A sample that is all alike is smoothed by its floor: what it never showed it may yet do.
        self.spreads = [
            max(float(column.std(ddof=1)), channel.floor)
            for column, channel in zip(self.columns, channels, strict=True)
        ]
        # What smooths or wanders is nearer to normal than its parts: those are drawn as much more lopsided.
        self.columns = [
            _lopsided(column, _evened(self.smooth, memory))
            for column, memory in zip(self.columns, self.memories, strict=True)
        ]
        means = np.empty((len(channels), chains))
        sds = np.empty((len(channels), chains))
        for j in range(len(channels)):
            self.columns[j] = middle[j] + widen * (self.columns[j] - middle[j])
        # Where each channel's level stands, a chain each: carried from one piece of a run to the next.
        self.levels: dict[int, Floats] = {}
        length = min(self.n, _LENGTH)
        rows = max(1, _CHUNK // length)
        for start in range(0, chains, rows):
            size = min(rows, chains - start)
            self.levels.clear()
            drawn = self._starts(generator, (size, length))
            which = slice(start, start + size)
            for j in range(len(channels)):
                values = self._values(drawn.T, j, generator, self.lasting[j][which]).T
                means[j, which] = values.mean(axis=1)
                sds[j, which] = values.std(axis=1, ddof=1)
        # Errors of a longer baseline are as much smaller as roots of lengths are.
        part = math.sqrt(length / self.n)
        whole_means = np.array([column.mean() for column in self.columns])[:, None]
        whole_sds = np.array([column.std(ddof=1) for column in self.columns])[:, None]
        means, sds = whole_means + part * (means - whole_means), whole_sds + part * (sds - whole_sds)
        self.centres = means
        floors = np.array([max(channel.floor, 1e-12) for channel in channels])
        self.sds = np.maximum(sds, floors[:, None])

    def _starts(self, generator: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.int64]:
        if self.block == 1:
            return generator.integers(0, self.n, shape)
        rows, columns = shape
        starts = generator.integers(0, self.n, (rows, -(-columns // self.block)))
        return ((starts[:, :, None] + np.arange(self.block)) % self.n).reshape(rows, -1)[:, :columns]

    def _values(self, drawn: NDArray[np.int64], j: int, generator: np.random.Generator, lasting: Floats) -> Floats:
        """Values (steps, chains) of channel j where these rows were drawn: smoothed, and with a level that wanders.

        `lasting` (chains,): the part of the variance that is the level's.
        """
        values = self.columns[j][drawn]
        memory, middle = self.memories[j], self.columns[j].mean()
        if self.smooth:
            kept = math.sqrt(1 - self.smooth**2)
            noise = generator.standard_normal(values.shape) * (self.smooth * self.spreads[j])
            values = middle + kept * (values - middle) + noise
        if memory is not None and memory.is_any:
            level = self.levels.get(j)
            if level is None or level.shape != values.shape[1:]:
                level = generator.standard_normal(values.shape[1:])
            # What moves the level is as lopsided as the sample.
            rows = generator.integers(0, self.n, values.shape)
            shocks = (self.columns[j][rows] - middle) * (math.sqrt(1 - memory.keep**2) / self.spreads[j])
            wandered = np.empty(values.shape)
            for at, shock in enumerate(shocks):
                level = memory.keep * level + shock
                wandered[at] = level
            self.levels[j] = level
            part = np.sqrt(lasting) * self.spreads[j]
            values = middle + np.sqrt(1 - lasting) * (values - middle) + part * wandered
        result: Floats = values
        return result

    def points(self, steps: int, generator: np.random.Generator) -> list[Floats]:
        """Standardised points for some steps: for each channel (steps, chains)."""
        if self.block == 1:
            drawn = generator.integers(0, self.n, (steps, self.chains))
        else:
            drawn = self._starts(generator, (self.chains, steps)).T
        return [
            (self._values(drawn, j, generator, self.lasting[j]) - self.centres[j]) / self.sds[j]
            for j in range(len(self.columns))
        ]


def _evened(smooth: float, memory: Memory | None) -> float:
    """The part of a sample's skewness that is left after it was smoothed and mixed with a level that wanders."""
    kept = math.pow(1 - smooth**2, 1.5)
    if memory is None or not memory.is_any:
        return kept
    share, keep = memory.share, memory.keep
    # Skewness of a sum of independent parts, the level's an AR(1) of innovations like the sample.
    level = math.pow(1 - keep**2, 1.5) / (1 - keep**3)
    return kept * (math.pow(1 - share, 1.5) + level * math.pow(share, 1.5))


def _skewness(values: Floats) -> float:
    centred = values - values.mean()
    sd = float(centred.std())
    return float((centred**3).mean()) / sd**3 if sd > 0 else 0.0


def _lopsided(values: Floats, part: float) -> Floats:
    """The values with 1/`part` of their skewness, their mean and sd; no more than a parabola of them can be bent to."""
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    skew = _skewness(values)
    if sd <= 0 or part >= 1 or abs(skew) < _EVEN:
        return values
    u = (values - mean) / sd
    wanted = max(-_SKEWNESS_MOST, min(_SKEWNESS_MOST, skew / max(part, 1 / _SKEWNESS_MOST)))
    low, high = 0.0, _BENT_MOST
    sign = 1.0 if skew > 0 else -1.0
    for _ in range(20):
        middle = (low + high) / 2
        if _skewness(u + sign * middle * u * u) * sign < wanted * sign:
            low = middle
        else:
            high = middle
    bent = u + sign * low * u * u
    result: Floats = mean + sd * (bent - bent.mean()) / bent.std(ddof=1)
    return result


class _Step:
    """How the statistics of all rules move by one point: (p, ...) arrays, p rules."""

    def __init__(self, rules: Sequence[Rule], axes: int) -> None:
        shape = (len(rules),) + (1,) * axes
        self.lam = np.array([rule.lam for rule in rules]).reshape(shape)
        self.sign = np.array([{"": 0.0, "up": 1.0, "down": -1.0}[rule.sums] for rule in rules]).reshape(shape)
        self.k = np.array([rule.k for rule in rules]).reshape(shape)
        self.sums = self.sign != 0
        # What of an average's variance in the long run a point leaves missing; sums and single points miss none.
        self.misses = np.where(self.sums, 0.0, (1 - self.lam) ** 2)
        self.most = self.misses**_YOUNGEST

    def __call__(self, current: Floats, row: Floats) -> Floats:
        if not self.sums.any():
            current += self.lam * (row - current)
            return current
        summed = np.maximum(0.0, current + self.sign * row - self.k)
        moved: Floats = np.where(self.sums, summed, current + self.lam * (row - current))
        return moved


def _pieces(world: _World, steps: int) -> list[int]:
    """Steps at a time, so that no array outgrows the cache by much; whole blocks."""
    size = max(world.block, (_CHUNK // 4 // world.chains) // world.block * world.block, 1)
    return [min(size, steps - start) for start in range(0, steps, size)]


def _separate(
    world: _World,
    rules: Sequence[Rule],
    arl0: float,
    up_share: float,
    steps: int,
    generator: np.random.Generator,
    widening: bool,
) -> tuple[Floats, Floats]:
    """Each rule's limits as if it were alone with its share: quantiles of the chains' extremes."""
    p = len(rules)
    step = _Step(rules, 1)
    world.levels.clear()
    current = np.zeros((p, world.chains))
    highest, lowest = np.zeros((p, world.chains)), np.zeros((p, world.chains))
    missing = np.ones((p, 1))
    for size in _pieces(world, steps):
        columns = world.points(size, generator)
        z = np.stack([columns[rule.channel] for rule in rules], axis=1)
        for row in z:
            current = step(current, row)
            missing = missing * step.misses
            scaled = current / np.sqrt(1 - np.minimum(missing, step.most)) if widening else current
            np.maximum(highest, scaled, out=highest)
            np.minimum(lowest, scaled, out=lowest)
    low, high = np.full(p, -np.inf), np.full(p, np.inf)
    for i, rule in enumerate(rules):
        up, down = up_share, 1 - up_share
        if rule.sums:
            up, down = (up if rule.sums == "up" else down), 0.0
        for side, share, ends in ((high, up, highest), (low, down, -lowest)):
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
    widening: bool,
) -> Floats:
    """Alarms of all chains, counted with restart, at each scale (g,) of all limits together."""
    p, g = len(rules), len(_SCALES)
    step = _Step(rules, 2)
    ceiling = high[:, None, None] * _SCALES[None, :, None]
    bottom = low[:, None, None] * _SCALES[None, :, None]
    world.levels.clear()
    current = np.zeros((p, g, world.chains))
    missing = np.ones((p, g, world.chains))
    alarms = np.zeros(g)
    for size in _pieces(world, steps):
        columns = world.points(size, generator)
        z = np.stack([columns[rule.channel] for rule in rules], axis=1)[:, :, None, :]
        for row in z:
            current = step(current, row)
            judged = current
            if widening:
                missing *= step.misses
                judged = current / np.sqrt(1 - np.minimum(missing, step.most))
            hit = ((judged > ceiling) | (judged < bottom)).any(axis=0)
            if hit.any():
                alarms += hit.sum(axis=1)
                current[:, hit] = 0.0
                missing[:, hit] = 1.0
    return alarms
