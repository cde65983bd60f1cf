"""Numbers that come many to a window (scores, times, costs), charted one by one or by means of windows.

One by one is quickest and right only where neighbours do not resemble each other. Whether they do is asked of the
baseline once (Ljung & Box 1978, 20 lags); if so, windows are charted by their means and the spread *between* windows
sets the limits. Every channel is a fixed reading of a value; the limits of all rules follow together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alerts.detectors import phase1
from alerts.detectors._rules import Rules, chosen, reaching
from alerts.detectors._rules import frozen as kept_rules
from alerts.detectors.base import (
    Baseline,
    Json,
    NotStable,
    Ruled,
    Settings,
    State,
    TooLittle,
    Verdict,
    judged,
    of_kind,
    waiting,
)
from alerts.detectors.points import Values as Values
from alerts.stats.dependence import P_LEAST, ljung_box, memory
from alerts.stats.gamma import chi_square_tail
from alerts.stats.resampling import Channel, Floats, Rule, chain_limits

# Fewer windows give no spread between them worth a limit.
WINDOWS_LEAST = 20
# Of longer baselines so many values, evenly spread, stand in for all when limits are drawn.
_SAMPLE = 4_000
_SMOOTH = 0.3
# Windows that differ a little alarm far too often one by one; means of windows cost little where they do not.
_BETWEEN_P = 0.05


@dataclass(frozen=True, slots=True)
class ValueSettings(Settings):
    """`values_min` or `windows_min` make a baseline; `window` values at least make a point of a chart of means."""

    values_min: int = 500
    windows_min: int = 50
    window: int = 50


@dataclass(frozen=True, slots=True)
class Reading:
    """How values become channels: names, the readings (n,) -> (n, j), a floor for each sd, the rules of both ways.

    `unseen`: values that may come and never did. `widening`: limits of averages widen while these are young.
    """

    names: tuple[str, ...]
    read: Callable[[Floats], Floats]
    floors: tuple[float, ...]
    single: tuple[Rule, ...]
    means: tuple[Rule, ...]
    parameters: dict[str, Json]
    unseen: tuple[float, ...] = ()
    widening: bool = False


def learn(
    kind: str,
    points: Sequence[Values],
    settings: ValueSettings,
    seed: int,
    prepare: Callable[[Floats], Reading],
) -> Baseline | NotStable | TooLittle:
    """The frozen baseline of `kind`: `prepare` fixes the reading from all values of the baseline."""
    filled = [at for at, point in enumerate(points) if point.values]
    values = np.array([one for at in filled for one in points[at].values], dtype=np.float64)
    weights = np.array([one for at in filled for one in points[at].weights or (1.0,) * len(points[at].values)])
    if len(values) < settings.values_min and len(filled) < settings.windows_min:
        return TooLittle(len(values), settings.values_min, "values")
    if not np.isfinite(values).all():
        raise ValueError("a baseline holds finite values only")
    reading = prepare(values)
    channels = reading.read(values)
    starts = np.cumsum([0] + [len(points[at].values) for at in filled])
    alike = bool((weights == weights[0]).all())
    if alike and settings.by == "chart" and all(_independent(column, starts) for column in channels.T):
        owner = np.repeat(filled, np.diff(starts))
        return _one_by_one(kind, channels, reading, settings, seed, len(points), owner.tolist())
    groups = _merged(starts, settings.window)
    if len(groups) < WINDOWS_LEAST:
        return TooLittle(len(groups), WINDOWS_LEAST, f"windows of {settings.window} values")
    return _by_means(kind, channels, weights, reading, settings, seed, len(points), starts, groups, filled)


def _independent(column: Floats, starts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bool:
    """Whether neighbours have nothing in common that a test would find; too few to tell are held to have.

    A portmanteau test of neighbours in order, and where windows hold several values an analysis of variance between
    them: a mood of the hour too small for the one still shows in the other.
    """
    found = ljung_box(np.ascontiguousarray(column))
    if isinstance(found, TooLittle) or found.p < P_LEAST:
        return False
    n, windows = len(column), len(starts) - 1
    if windows < 2 or n < 2 * windows:
        return True
    sizes = np.diff(starts)
    means = np.add.reduceat(column, starts[:-1]) / sizes
    between = float((sizes * (means - column.mean()) ** 2).sum())
    within = (float(((column - column.mean()) ** 2).sum()) - between) / (n - windows)
    # With so many values within, F times its degrees of freedom is chi-square.
    return within <= 0 or chi_square_tail(between / within, windows - 1) >= _BETWEEN_P


def _one_by_one(
    kind: str,
    channels: Floats,
    reading: Reading,
    settings: ValueSettings,
    seed: int,
    windows: int,
    owner: list[int],
) -> Baseline | NotStable | TooLittle:
    refusal = phase1.refused(channels[:, 0], seed, owner)
    if refusal is not None:
        return refusal
    n = len(channels)
    centres, sds = channels.mean(axis=0), np.maximum(channels.std(axis=0, ddof=1), reading.floors)
    sample = channels[np.linspace(0, n - 1, _SAMPLE).astype(int)] if n > _SAMPLE else channels
    if reading.unseen:
        # What the scale allows and the baseline never showed is put in once: it is rare, not impossible.
        sample = np.vstack([sample, reading.read(np.array(reading.unseen))])
    limits = chain_limits(
        sample,
        [Channel(name, floor=floor) for name, floor in zip(reading.names, reading.floors, strict=True)],
        reading.single,
        arl0=settings.arl0 * n / windows,
        up_share=settings.up_share,
        seed=seed,
        widening=reading.widening,
    )
    frozen = {
        "centres": centres.tolist(),
        "sds": sds.tolist(),
        "between": [],
        "window": 1,
        "beyond": limits.beyond,
    }
    return _frozen(
        kind, reading, reading.single, frozen, limits.low, limits.high, n, windows, "one by one", seed, settings
    )


def _merged(starts: np.ndarray[tuple[int], np.dtype[np.int64]], least: int) -> list[tuple[int, int]]:
    """Windows merged forward until each holds `least` values: half-open ranges of windows; a rest is left out."""
    groups, first = [], 0
    for at in range(1, len(starts)):
        if starts[at] - starts[first] >= least:
            groups.append((first, at))
            first = at
    return groups


def _by_means(
    kind: str,
    channels: Floats,
    weights: Floats,
    reading: Reading,
    settings: ValueSettings,
    seed: int,
    points: int,
    starts: np.ndarray[tuple[int], np.dtype[np.int64]],
    groups: list[tuple[int, int]],
    filled: list[int],
) -> Baseline | NotStable | TooLittle:
    spans = [slice(int(starts[first]), int(starts[last])) for first, last in groups]
    sizes = np.array([weights[span].sum() ** 2 / (weights[span] ** 2).sum() for span in spans])
    means = np.array([weights[span] @ channels[span] / weights[span].sum() for span in spans])
    windows = _Windows(channels, weights, starts, groups)
    inside = np.maximum(windows.inside, reading.floors)

    def frozen_of(kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[Floats, Floats, Floats]:
        centres = np.average(means[kept], axis=0, weights=sizes[kept])
        return centres, *windows.levels(kept, centres, inside)

    def standardised(kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
        centres, between, lasting = frozen_of(kept)
        levels = between**2 * (lasting + (1 - lasting) * windows.evenness[:, None])
        z: Floats = (means - centres) / np.sqrt(levels + inside**2 / sizes[:, None])
        return z

    kept = phase1.screened(len(groups), lambda which: np.abs(standardised(which)).max(axis=1))
    refusal = phase1.refused(standardised(kept)[:, 0], seed, [filled[first] for first, _ in groups])
    if refusal is not None:
        return refusal
    centres, between, lasting = frozen_of(kept)
    z = standardised(kept)[kept]
    flat = bool((z.std(axis=0, ddof=1) < 0.5).any())
    arl0 = settings.arl0 * len(groups) / points
    rules = chosen(settings.by, reading.means, reading.names)
    limits = chain_limits(
        z,
        [
            Channel(name, 1.0 if flat else 0.0, memory(np.ascontiguousarray(column)))
            for name, column in zip(reading.names, z.T, strict=True)
        ],
        rules,
        arl0=arl0,
        up_share=settings.up_share,
        seed=seed,
        smooth=1.0 if flat else _SMOOTH,
        widening=reading.widening,
    )
    low, high = reaching(rules, limits.low, limits.high, z, arl0, settings.up_share)
    frozen = {
        "centres": centres.tolist(),
        "sds": inside.tolist(),
        "between": between.tolist(),
        "lasting": lasting.tolist(),
        "window": settings.window,
        "beyond": limits.beyond,
    }
    left_out = [
        filled[at]
        for (first, last), stays in zip(groups, kept.tolist(), strict=True)
        if not stays
        for at in range(first, last)
    ]
    return _frozen(
        kind,
        reading,
        rules,
        frozen,
        low,
        high,
        len(channels),
        points,
        "means of windows",
        seed,
        settings,
        left_out,
    )


class _Windows:
    """Windows that were merged to groups: how much of what they differ by is left in the mean of a group.

    A mood of one hour is half as large in the mean of two. Taken for as large, quiet nights whose hours are merged
    would look too even and busy days too uneven, and days would raise what false alarms nights save.
    """

    def __init__(
        self,
        channels: Floats,
        weights: Floats,
        starts: np.ndarray[tuple[int], np.dtype[np.int64]],
        groups: list[tuple[int, int]],
    ) -> None:
        if len(channels) < 2 * (len(starts) - 1):
            # Windows of one value tell nothing of what is within one: every group is one window.
            starts = np.append(starts[[first for first, _ in groups]], starts[groups[-1][1]])
            groups = [(at, at + 1) for at in range(len(groups))]
        channels, weights, first = channels[: starts[-1]], weights[: starts[-1]], starts[:-1]
        counts = np.diff(starts)
        values = np.add.reduceat(channels, first) / counts[:, None]
        within = ((channels - np.repeat(values, counts, axis=0)) ** 2).sum(axis=0)
        self.inside = np.sqrt(within / max(int(counts.sum()) - len(counts), 1))
        # The last windows may be too few for a group.
        self.group = np.repeat(np.arange(len(groups)), [last - start for start, last in groups])
        used = len(self.group)
        totals = np.add.reduceat(weights, first)
        self.sizes = (totals**2 / np.add.reduceat(weights**2, first))[:used]
        self.means = (np.add.reduceat(weights[:, None] * channels, first) / totals[:, None])[:used]
        totals = totals[:used]
        shares = totals / np.bincount(self.group, totals)[self.group]
        # Σ share² of the windows of each group: 1 of a single one, 1/k of k alike.
        self.evenness = np.bincount(self.group, shares**2)

    def levels(
        self, kept: np.ndarray[tuple[int], np.dtype[np.bool_]], centres: Floats, inside: Floats
    ) -> tuple[Floats, Floats]:
        """The sd between windows (j,), and the part of its square that windows merged together share (j,).

        That part from products of different windows of one group, by moments; all of it where none was merged.
        """
        which = kept[self.group]
        group, sizes, means = self.group[which], self.sizes[which], self.means[which]
        between = between_windows(means, sizes, centres, inside)
        pairs = float((np.bincount(group, sizes) ** 2).sum() - (sizes**2).sum())
        if pairs <= 1e-9 * float((sizes**2).sum()):
            return between, np.ones_like(between)
        away = sizes[:, None] * (means - centres)
        together = np.array([np.bincount(group, column) for column in away.T]).T
        products = ((together**2).sum(axis=0) - (away**2).sum(axis=0)) / pairs
        lasting: Floats = np.clip(products / np.maximum(between**2, 1e-300), 0.0, 1.0)
        return between, lasting


def between_windows(means: Floats, sizes: Floats, centres: Floats, inside: Floats) -> Floats:
    """The sd between windows (j,) beyond what `inside` explains, by moments; 0 where windows vary as chance does.

    s_b² = max(0, [Σ n_w(ȳ_w - μ)² - (W-1)s_w²] / [Σn_w - Σn_w²/Σn_w]). Shapes: means (w, j), sizes (w,).
    """
    total = sizes.sum()
    room = total - (sizes**2).sum() / total
    sum_of_squares = (sizes[:, None] * (means - centres) ** 2).sum(axis=0)
    result: Floats = np.sqrt(np.maximum(0.0, (sum_of_squares - (len(means) - 1) * inside**2) / room))
    return result


def _frozen(
    kind: str,
    reading: Reading,
    rules: Sequence[Rule],
    frozen: dict[str, object],
    low: Floats,
    high: Floats,
    n: int,
    windows: int,
    method: str,
    seed: int,
    settings: ValueSettings,
    excluded: Sequence[int] = (),
) -> Baseline:
    parameters = {
        **reading.parameters,
        **frozen,
        **kept_rules(rules, low, high, reading.widening),
    }
    return Baseline(kind, parameters, n, windows, method, seed, settings.arl0, tuple(excluded))  # type: ignore[arg-type]


def step(
    kind: str, baseline: Baseline, state: State, point: Values, read: Callable[[Baseline, Floats], Floats]
) -> tuple[State, Verdict]:
    """The state after one window of values: charted one by one, or merged until it makes a mean."""
    of_kind(baseline, kind)
    rules = Rules(baseline)
    statistics = state.statistics or rules.start
    if not point.values:
        return waiting(state, rules.parts(statistics), state.pending)
    channels = read(baseline, np.array(point.values, dtype=np.float64))
    if baseline.number("window") == 1:
        return _run(baseline, rules, state, statistics, channels)
    weights = np.array(point.weights or (1.0,) * len(point.values))
    j, total = channels.shape[1], weights.sum()
    added = (len(point.values), total, (weights**2).sum(), *(weights @ channels), total**2)
    # What waited since before the squares of windows were kept counts as one window.
    pending = state.pending or (0.0,) * (4 + j)
    pending = pending if len(pending) == 4 + j else (*pending, pending[1] ** 2)
    pending = tuple(float(old + new) for old, new in zip(pending, added, strict=True))
    count, total, squares, *sums, of_windows = pending
    if count < baseline.number("window"):
        return waiting(State(state.points, statistics, pending, state.latched), rules.parts(statistics), pending)
    size = total**2 / squares
    evenness = of_windows / total**2
    lasting = baseline.numbers("lasting") if "lasting" in baseline.parameters else (1.0,) * j
    z = [
        (one / total - m) / math.sqrt(b**2 * (part + (1 - part) * evenness) + s**2 / size)
        for one, m, s, b, part in zip(sums, *_numbers(baseline), lasting, strict=True)
    ]
    moved = rules.moved(statistics, z)
    return judged(state, Ruled(rules.parts(moved), moved, z[0]))


def _numbers(baseline: Baseline) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Centre, sd within and sd between windows of every channel."""
    return baseline.numbers("centres"), baseline.numbers("sds"), baseline.numbers("between")


def _run(
    baseline: Baseline, rules: Rules, state: State, statistics: tuple[float, ...], channels: Floats
) -> tuple[State, Verdict]:
    """Every value of the window in turn; the window speaks by its first crossing, or by where it ended."""
    centres, sds, _ = _numbers(baseline)
    scaled = ((channels - np.array(centres)) / np.array(sds)).tolist()
    spoken: tuple[State, Verdict] | None = None
    for z in scaled:
        statistics = rules.moved(statistics, z)
        if spoken is None:
            parts = rules.parts(statistics)
            if any(part.crossed for part in parts):
                spoken = judged(state, Ruled(parts, statistics, z[0]))
    ended = judged(state, Ruled(rules.parts(statistics), statistics, scaled[-1][0]))
    if spoken is None:
        return ended
    verdict = spoken[1]
    return State(state.points + 1, statistics, (), True), verdict
