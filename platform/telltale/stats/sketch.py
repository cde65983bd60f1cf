"""Mergeable sketches of positive whole numbers: counts over fixed logarithmic buckets, and quantiles read from them.

Bucket i holds the values in (γ^(i-1), γ^i], γ = 1.05; a value read back is 2γ^i/(γ+1), so its relative error is at most
(γ-1)/(γ+1) = 2.44 %. Values are integers (nanoseconds, tokens), so bounds are whole, buckets too narrow to hold one are
left out, and up to 20 every integer has its own. Index 0 counts what is zero or less, the last one what is over 2^63.

A sketch is bytes: records of (index u16, count i32), little endian, in any order and repeated at will. Merging is
joining: associative, exact, in any order, and taking away what was added leaves nothing. Sketches of another γ would be
another column. In SQL the index of a whole number x is width_bucket(x - 1, BOUNDS), joining is string_agg(sketch, '').

Source: Masson, Rim, Lee 2019 (DDSketch), section 2; the buckets are fixed instead of collapsing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from telltale.stats.ranks import rank_interval

GAMMA = 1.05
RELATIVE_ERROR = (GAMMA - 1) / (GAMMA + 1)
VALUE_MAX = 2**63 - 1
COUNT_MAX = 2**31 - 1
RECORD_BYTES = 6

_pack = Struct("<Hi").pack
_RECORD = np.dtype([("index", "<u2"), ("count", "<i4")])


def _bounds() -> tuple[int, ...]:
    """Upper bounds of the buckets as whole numbers, by exact rational arithmetic: floats differ between machines."""
    bounds: list[int] = [0]
    power, scale = 1, 1
    while (bound := power // scale) < VALUE_MAX:
        if bound > bounds[-1]:
            bounds.append(bound)
        power, scale = power * 21, scale * 20
    return (*bounds, VALUE_MAX)


# BOUNDS[k] is the largest value of index k.
BOUNDS = _bounds()
SIZE = len(BOUNDS) + 1


def _values() -> NDArray[np.float64]:
    """What each index reads back as: as far, relatively, from the bucket's lowest number as from its highest."""
    values: NDArray[np.float64] = 2 * _LOWER * _UPPER / np.maximum(_LOWER + _UPPER, 1)
    return values


# The highest and the lowest whole number of each index.
_UPPER = np.array([*BOUNDS, VALUE_MAX], dtype=np.float64)
_LOWER = np.array([0, *(bound + 1 for bound in BOUNDS[:-1]), VALUE_MAX], dtype=np.float64)
_VALUES = _values()


def index_of(value: int) -> int:
    """The index that counts `value`."""
    return bisect_left(BOUNDS, value)


def encode(counts: Mapping[int, int]) -> bytes:
    """The sketch of counts by index, ascending; counts may be negative (taken away), zeros are left out."""
    parts = []
    for index in sorted(counts):
        count = counts[index]
        while abs(count) > COUNT_MAX:
            step = COUNT_MAX if count > 0 else -COUNT_MAX
            parts.append(_pack(index, step))
            count -= step
        if count:
            parts.append(_pack(index, count))
    return b"".join(parts)


def of_values(values: Iterable[int]) -> bytes:
    """The sketch of some values."""
    counts: dict[int, int] = {}
    for value in values:
        index = bisect_left(BOUNDS, value)
        counts[index] = counts.get(index, 0) + 1
    return encode(counts)


def compact(data: bytes | memoryview) -> bytes:
    """The same sketch with one record an index."""
    counts = decode(data)
    return encode({int(index): int(counts[index]) for index in np.flatnonzero(counts)})


def decode(data: bytes | memoryview) -> NDArray[np.int64]:
    """Counts by index, (SIZE,) integers. ValueError where the bytes are no whole records or name an unknown index."""
    if len(data) % RECORD_BYTES:
        raise ValueError(f"a sketch has records of {RECORD_BYTES} bytes, this one has {len(data)} bytes")
    records = np.frombuffer(data, dtype=_RECORD)
    counts = np.zeros(SIZE, dtype=np.int64)
    if records.size:
        if int(records["index"].max()) >= SIZE:
            raise ValueError(f"a sketch has {SIZE} indexes, this one names {int(records['index'].max())}")
        # Floats are exact up to 2^53, far over any count of records times 2^31 that we sum here at once.
        summed = np.bincount(records["index"], weights=records["count"], minlength=SIZE)
        counts += summed.astype(np.int64)
    return counts


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of n values by nearest rank, with its order-statistic interval.

    `low` is the lower edge of the bucket of rank l, `high` the upper edge of that of rank u; None: no such limit exists
    from n values at this confidence.
    """

    q: float
    n: int
    value: float
    low: float | None
    high: float | None


class Sketch:
    """A sketch to read from. Empty where nothing was added."""

    __slots__ = ("_counts", "_cumulated", "_sparse", "n")

    def __init__(self, data: bytes | memoryview = b"") -> None:
        counts = decode(data)
        # Only what was once added can be taken away; a negative rest would be damage, and counts as none.
        self._keep(counts, np.flatnonzero(counts > 0))

    def _keep(self, counts: NDArray[np.int64], sparse: NDArray[np.int64]) -> None:
        self._sparse = sparse
        self._counts = counts[sparse]
        self._cumulated = self._counts.cumsum()
        self.n = int(self._cumulated[-1]) if sparse.size else 0

    @classmethod
    def merged(cls, parts: Iterable[Sketch]) -> Sketch:
        """All values of several sketches in one."""
        counts = np.zeros(SIZE, dtype=np.int64)
        for part in parts:
            if part.n:
                counts[part._sparse] += part._counts
        whole = cls.__new__(cls)
        whole._keep(counts, np.flatnonzero(counts))
        return whole

    def _index_at(self, rank: int) -> int:
        return int(self._sparse[self._cumulated.searchsorted(rank)])

    def value_at(self, rank: int) -> float:
        """The value of rank 1..n. IndexError outside."""
        if not 1 <= rank <= self.n:
            raise IndexError(f"rank {rank} of {self.n} values")
        return float(_VALUES[self._index_at(rank)])

    def values_at(self, ranks: NDArray[np.int64]) -> NDArray[np.float64]:
        """The values of many ranks 1..n, in their order. IndexError outside."""
        if ranks.size and (ranks.min() < 1 or ranks.max() > self.n):
            raise IndexError(f"ranks {int(ranks.min())} to {int(ranks.max())} of {self.n} values")
        values: NDArray[np.float64] = _VALUES[self._sparse[self._cumulated.searchsorted(ranks)]]
        return values

    def quantile(self, q: float, confidence: float = 0.95) -> Quantile | None:
        """Quantile `q` in (0, 1) by nearest rank, None of nothing.

        Assumes values drawn independently. Errors: ValueError for q outside. Source: order statistics; see
        `telltale.stats.ranks.rank_interval`.
        """
        if not 0 < q < 1:
            raise ValueError(f"q must lie between 0 and 1, not {q}")
        if self.n == 0:
            return None
        lower, upper = rank_interval(self.n, q, confidence)
        return Quantile(
            q=q,
            n=self.n,
            value=self.value_at(nearest_rank(self.n, q)),
            low=None if lower is None else float(_LOWER[self._index_at(lower)]),
            high=None if upper is None else float(_UPPER[self._index_at(upper)]),
        )

    def share_over(self, limit: float) -> float | None:
        """The share of values in buckets that lie wholly over `limit`, None of nothing; off by one bucket at most."""
        if self.n == 0:
            return None
        over = self._sparse[_LOWER[self._sparse] > limit]
        return float(self._count_of(over)) / self.n

    def _count_of(self, indexes: NDArray[np.int64]) -> int:
        if not indexes.size:
            return 0
        first = int(np.searchsorted(self._sparse, indexes[0]))
        return self.n - (int(self._cumulated[first - 1]) if first else 0)

    def histogram(self) -> list[tuple[float, float, int]]:
        """(lowest value, highest value, count) of each bucket that holds some, ascending."""
        return [(float(_LOWER[i]), float(_UPPER[i]), int(n)) for i, n in zip(self._sparse, self._counts, strict=True)]


@lru_cache(maxsize=4096)
def nearest_rank(n: int, q: float) -> int:
    """The nearest rank of quantile q among n values, 1..n: ceil(q n), without the dust of binary fractions."""
    return min(max(ceil(round(q * n, 9)), 1), n)
