"""Embeddings: a multivariate EWMA on the whitened components of a frozen reference, and on what they leave over.

A new topic is new because it lies outside the old components: the log of the squared residual, standardised, is one
coordinate more. No cosine and no distance has a fixed cut; the limit is resampled from the reference. The name and
version of the encoder are the caller's key of a baseline: another encoder needs another reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import phase1
from alerts.detectors.base import (
    Baseline,
    NotStable,
    Part,
    Ruled,
    Settings,
    State,
    TooLittle,
    Verdict,
    judged,
    of_kind,
)
from alerts.stats.resampling import carried_on

KIND = "vector"
Floats = NDArray[np.float64]

VECTORS_MIN = 500
COMPONENTS = 8
# Squared residuals under this part of the reference's middle one are a copy of a reference text, not a better fit.
_LEAST_RESIDUAL = 1e-3
# Components that are looked at for a change within a reference.
_LOOKED_AT = 3
_STEPS, _ALARMS, _CHAINS = 1_000, 120, (300, 4_000)
_SCALES = np.linspace(0.70, 1.20, 8)


@dataclass(frozen=True, slots=True)
class VectorSettings(Settings):
    """`lam`: weight of the newest vector; `components`: how many are kept, fewer where the reference has fewer."""

    up_share: float = 1.0
    lam: float = 0.05
    components: int = COMPONENTS
    vectors_min: int = VECTORS_MIN


@dataclass(frozen=True, slots=True)
class _Fit:
    """What one part of a reference is frozen as: its centre (d,), whitening axes (d, k), plain axes (d, k), floor."""

    centre: Floats
    whitening: Floats
    axes: Floats
    floor: float

    def readings(self, rows: Floats) -> tuple[Floats, Floats]:
        """Whitened components (n, k) and log squared residuals (n,) of vectors (n, d)."""
        centred = rows - self.centre
        residual = centred - (centred @ self.axes) @ self.axes.T
        return centred @ self.whitening, np.log(np.maximum((residual**2).sum(axis=1), self.floor))


class Vectors:
    """The detector of embeddings, one vector a point, all of one length."""

    kind = KIND

    def learn(
        self, points: Sequence[Sequence[float]], settings: VectorSettings, seed: int
    ) -> Baseline | NotStable | TooLittle:
        """A frozen reference: centre, components, residual; the limit by resampling what each half says of the other.

        Shapes: `points` n vectors of d finite numbers. Assumes vectors independent in order. Centre and sd of every
        coordinate are cross-fitted, components from one half and readings of the other, as they will be of new
        vectors. TooLittle under `vectors_min`; NotStable for a change within; ValueError for other shapes.
        Source: Lowry et al. 1992, Technometrics 34; residual as Jackson & Mudholkar 1979, Technometrics 21.
        """
        if len(points) < settings.vectors_min:
            return TooLittle(len(points), settings.vectors_min, "vectors")
        rows = np.asarray(points, dtype=np.float64)
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise ValueError("a reference holds vectors of one length and finite numbers")
        generator = np.random.default_rng([seed, 11])
        order = generator.permutation(len(rows))
        halves = (np.sort(order[::2]), np.sort(order[1::2]))
        readings = np.empty((len(rows), 0))
        crossed = []
        for one, other in (halves, halves[::-1]):
            fit = _fitted(rows[one], settings.components)
            whitened, residual = fit.readings(rows[other])
            crossed.append(np.column_stack([whitened, residual]))
        width = min(part.shape[1] for part in crossed)
        crossed = [np.column_stack([part[:, : width - 1], part[:, -1]]) for part in crossed]
        residuals = np.concatenate([part[:, -1] for part in crossed])
        spread = float(residuals.std(ddof=1)) or 1.0
        level = float(residuals.mean())
        readings = np.concatenate([_standard(part) for part in crossed])
        fit = _fitted(rows, settings.components)
        refusal = _refused(fit, rows, seed)
        if refusal is not None:
            return refusal
        limit = _limit(readings, settings.lam, settings.arl0, seed)
        return Baseline(
            kind=KIND,
            parameters={
                "lam": settings.lam,
                "centre": fit.centre.tolist(),
                "whitening": fit.whitening.tolist(),
                "axes": fit.axes.tolist(),
                "floor": fit.floor,
                "residual_level": level,
                "residual_sd": spread,
                "high": limit,
            },
            n=len(rows),
            windows=len(rows),
            method=f"{fit.axes.shape[1]} components and residual",
            seed=seed,
            arl0=settings.arl0,
        )

    def step(self, baseline: Baseline, state: State, point: Sequence[float]) -> tuple[State, Verdict]:
        """The state after one vector; its z is the standardised residual. ValueError for another length."""
        of_kind(baseline, KIND)
        frozen = _thawed(baseline)
        vector = np.asarray(point, dtype=np.float64)
        if vector.shape != frozen.centre.shape or not np.isfinite(vector).all():
            raise ValueError(f"a vector of {frozen.centre.shape[0]} finite numbers is needed")
        whitened, residual = frozen.readings(vector[None, :])
        z = (float(residual[0]) - baseline.number("residual_level")) / baseline.number("residual_sd")
        coordinates = [*whitened[0].tolist(), z]
        lam = baseline.number("lam")
        before = state.statistics or (0.0,) * len(coordinates)
        statistics = tuple(c + lam * (one - c) for c, one in zip(before, coordinates, strict=True))
        statistic = math.sqrt(math.fsum(c * c for c in statistics))
        part = Part(f"MEWMA {lam:g}", statistic, None, baseline.number("high"))
        return judged(state, Ruled((part,), statistics, z))


def _fitted(rows: Floats, components: int) -> _Fit:
    centre = rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(rows - centre, full_matrices=False)
    real = int((sizes > 1e-9 * max(1.0, float(sizes[0]))).sum())
    # One direction at least is left over, or there would be no residual to look at.
    count = max(0, min(components, real, rows.shape[1] - 1))
    kept = axes[:count].T
    whitening = kept * (math.sqrt(len(rows) - 1) / sizes[:count])
    centred = rows - centre
    squares = ((centred - (centred @ kept) @ kept.T) ** 2).sum(axis=1)
    floor = _LEAST_RESIDUAL * float(np.median(squares))
    return _Fit(centre, whitening, kept, max(floor, 1e-18))


def _standard(part: Floats) -> Floats:
    """Readings of one half by components of the other, each column about its own mean in its own sd."""
    sds = part.std(axis=0, ddof=1)
    result: Floats = (part - part.mean(axis=0)) / np.where(sds > 0, sds, 1.0)
    return result


def _refused(fit: _Fit, rows: Floats, seed: int) -> NotStable | None:
    """A change in the residual or the first components of the whole reference: what moved is most of its spread."""
    whitened, residual = fit.readings(rows)
    columns = [residual, *whitened[:, :_LOOKED_AT].T]
    found = [phase1.refused(np.ascontiguousarray(column), seed) for column in columns]
    return next((one for one in found if one is not None), None)


def _limit(readings: Floats, lam: float, arl0: float, seed: int) -> float:
    """The limit of |c| passed once in `arl0` vectors: chains, each about the centre of a reference of its own.

    Every chain standardises by the mean and sd of its own bootstrap reference. Alarms are counted with restart.
    """
    generator = np.random.default_rng([seed, 12])
    n, width = readings.shape
    steps = math.ceil(max(min(_STEPS, arl0 / 2), 10 / lam))
    chains = min(max(_CHAINS[0], math.ceil(_ALARMS / -math.expm1(-steps / arl0))), _CHAINS[1])
    counted = min(arl0, chains * steps / _ALARMS)
    counts = generator.multinomial(n, np.full(n, 1 / n), size=chains).astype(np.float64)
    means = counts @ readings / n
    sds = np.sqrt(np.maximum(counts @ readings**2 / n - means**2, 1e-12))
    extremes = np.zeros(chains)
    current = np.zeros((chains, width))
    for _ in range(steps):
        current += lam * ((readings[generator.integers(0, n, chains)] - means) / sds - current)
        np.maximum(extremes, np.einsum("ij,ij->i", current, current), out=extremes)
    first = math.sqrt(float(np.quantile(extremes, math.exp(-steps / counted))))
    limits = (first * _SCALES) ** 2
    state = np.zeros((len(limits), chains, width))
    alarms = np.zeros(len(limits))
    for _ in range(steps):
        state += lam * ((readings[generator.integers(0, n, chains)] - means) / sds - state)
        hit = np.einsum("gij,gij->gi", state, state) > limits[:, None]
        if hit.any():
            alarms += hit.sum(axis=1)
            state[hit] = 0.0
    wanted = math.log(chains * steps / counted)
    scale = float(np.interp(-wanted, -np.log(np.maximum(alarms, 0.5)), _SCALES))
    return first * scale * (carried_on(alarms, _SCALES / scale, arl0 / counted) if arl0 > counted else 1.0)


_THAWED: dict[int, tuple[Baseline, _Fit]] = {}
_THAWED_MOST = 64


def _thawed(baseline: Baseline) -> _Fit:
    """The arrays of a baseline, kept beside it: lists become arrays once, not once a vector."""
    known = _THAWED.get(id(baseline))
    if known is not None and known[0] is baseline:
        return known[1]
    parameters: dict[str, Any] = dict(baseline.parameters)
    fit = _Fit(
        centre=np.array(parameters["centre"], dtype=np.float64),
        whitening=np.array(parameters["whitening"], dtype=np.float64),
        axes=np.array(parameters["axes"], dtype=np.float64),
        floor=baseline.number("floor"),
    )
    if len(_THAWED) >= _THAWED_MOST:
        _THAWED.clear()
    _THAWED[id(baseline)] = (baseline, fit)
    return fit
