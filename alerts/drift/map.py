"""Vectors on a plane, to look at: two directions of the most spread, then and now together. A picture, no evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
POINTS_MOST = 220


@dataclass(frozen=True, slots=True)
class Plane:
    """Points (x, y) within 0..1, and `shown` 0..1: the part of the spread that the plane has."""

    reference: tuple[tuple[float, float], ...]
    current: tuple[tuple[float, float], ...]
    new: tuple[tuple[float, float], ...]
    shown: float


def plane_of(reference: Floats, current: Floats, is_new: NDArray[np.bool_]) -> Plane | None:
    """At most 220 points a side of (n, d) and (m, d), evenly taken; None with fewer than three rows in all.

    `is_new` (m,): which of the current rows lie outside of everything before.
    """
    a, b = _every(reference.shape[0]), _every(current.shape[0])
    rows = np.concatenate((reference[a], current[b]))
    if rows.shape[0] < 3 or rows.shape[1] < 2:
        return None
    centred = rows - rows.mean(axis=0)
    sizes, axes = np.linalg.eigh(centred.T @ centred)
    whole = float(sizes.sum())
    if whole <= 0:
        return None
    two = axes[:, :-3:-1].T
    # The sign of a direction is nobody's: the same rows give the same picture.
    two = two * np.where(two.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    flat = centred @ two.T
    low, high = np.quantile(flat, 0.02, axis=0), np.quantile(flat, 0.98, axis=0)
    places = np.clip((flat - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    points = [(round(float(x), 3), round(float(y), 3)) for x, y in places]
    told = [bool(each) for each in is_new[b]]
    now = points[a.size :]
    return Plane(
        reference=tuple(points[: a.size]),
        current=tuple(point for point, new in zip(now, told, strict=True) if not new),
        new=tuple(point for point, new in zip(now, told, strict=True) if new),
        shown=float(sizes[-2:].sum() / whole),
    )


def _every(n: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, n - 1, min(n, POINTS_MOST)).astype(np.intp)) if n else np.empty(0, dtype=np.intp)
