"""Attributes as codes, and weighted counts of rows and bad rows by slice: the arithmetic under `scope`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.quantiles import wilson_limits
from evals.stats.results import LEVEL

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NOT_SET = "(not set)"
# Rows whose value nobody looked at: they count with all others, and are no slice of their own.
NOT_LOOKED = "(not looked at)"
# Two slices that share more of their rows than this are one line.
SAME_OVER = 0.95


@dataclass(frozen=True, eq=False)
class Attribute:
    """A column of values as codes (n,), 0..len(labels)-1. One object is one column: compared by identity."""

    name: str
    codes: NDArray[np.intp]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, name: str, values: ArrayLike) -> Attribute:
        """The codes of some text values in order of appearance, None being a value of its own."""
        listed: Sequence[object] = values.tolist() if isinstance(values, np.ndarray) else list(values)  # type: ignore[arg-type]
        places: dict[object, int] = {}
        codes = np.fromiter((places.setdefault(value, len(places)) for value in listed), np.intp, len(listed))
        return cls(name, codes, tuple(NOT_SET if value is None else str(value) for value in places))


@dataclass(frozen=True, slots=True)
class Counts:
    """Of some rows: how many, how many bad; sums of weights of all, of bad, and of squares."""

    rows: int
    bad_rows: int
    all: float
    bad: float
    squares: float

    @classmethod
    def whole(cls, bad: Bools, w: Floats) -> Counts:
        """The counts of all rows: `bad` (n,), weights `w` (n,)."""
        return cls(bad.size, int(bad.sum()), float(w.sum()), float(w[bad].sum()), float((w * w).sum()))

    @property
    def rate(self) -> float:
        """The Hájek share of bad rows; 0 of nothing, which is never shown: slices have 10 bad rows, rests have rows."""
        return min(1.0, max(0.0, self.bad / self.all)) if self.all > 0 else 0.0

    @property
    def n_eff(self) -> float:
        """How many equally weighted rows these are worth (Kish)."""
        return self.all * self.all / self.squares if self.squares > 0 else 0.0

    def less(self, part: Counts) -> Counts:
        """The rows that are not in `part`."""
        rows = self.rows - part.rows
        if rows <= 0:
            return Counts(0, 0, 0.0, 0.0, 0.0)
        return Counts(
            rows,
            self.bad_rows - part.bad_rows,
            self.all - part.all,
            self.bad - part.bad if self.bad_rows > part.bad_rows else 0.0,
            self.squares - part.squares,
        )

    def against(self, other: Counts, level: float = LEVEL) -> tuple[float, float, float]:
        """rate - the other's rate with Newcombe's limits on effective counts (Newcombe 1998, method 10)."""
        value = self.rate - other.rate
        if self.n_eff <= 0 or other.n_eff <= 0:
            return value, -1.0, 1.0
        a, b = wilson_limits(self.rate, self.n_eff, level), wilson_limits(other.rate, other.n_eff, level)
        return (
            value,
            value - math.hypot(self.rate - a[0], b[1] - other.rate),
            value + math.hypot(a[1] - self.rate, other.rate - b[0]),
        )


def counts_of(codes: NDArray[np.intp], size: int, bad: Bools, w: Floats) -> list[Counts]:
    """The counts of each code 0..size-1."""
    some = codes[bad]
    columns = (
        np.bincount(codes, minlength=size),
        np.bincount(some, minlength=size),
        np.bincount(codes, weights=w, minlength=size),
        np.bincount(some, weights=w[bad], minlength=size),
        np.bincount(codes, weights=w * w, minlength=size),
    )
    return [Counts(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def rows_in(columns: Mapping[str, Attribute], parts: Iterable[tuple[str, str]]) -> Bools | None:
    """Which rows have every (attribute, label) of `parts`; None where an attribute or a label is not there."""
    mask: Bools | None = None
    for name, label in parts:
        column = columns.get(name)
        if column is None or label not in column.labels:
            return None
        mine = np.asarray(column.codes == column.labels.index(label))
        mask = mine if mask is None else mask & mine
    return mask


def shift_between(now: tuple[float, float, float], before: tuple[float, float, float]) -> tuple[float, float, float]:
    """The difference of two independent differences, each (value, low, high), with limits from theirs.

    Source: Zou and Donner 2008 (MOVER).
    """
    value = now[0] - before[0]
    low = value - math.hypot(now[0] - now[1], before[2] - before[0])
    high = value + math.hypot(now[2] - now[0], before[0] - before[1])
    return value, low, high


def same_rows(a: Bools, b: Bools) -> bool:
    """Whether two slices select (nearly) the same rows: Jaccard over .95."""
    either = int((a | b).sum())
    return either > 0 and int((a & b).sum()) / either > SAME_OVER
