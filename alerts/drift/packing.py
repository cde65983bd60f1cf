"""Vectors as bytes, and with fewer numbers.

Kept as float16 at length 1: a rounding of 2⁻¹¹ a number moves a distance between two such vectors by less than .001,
far below what one word more or less moves it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

HALF = np.dtype("<f2")
SINGLE = np.dtype("<f4")
# Charts look at so many numbers of a vector (Johnson and Lindenstrauss 1984): distances keep within about a tenth.
CHART_DIMS = 64


def unit(vector: ArrayLike) -> Floats | None:
    """`vector` (d,) at length 1; None for one of zeros, or with numbers that are not finite."""
    numbers = np.asarray(vector, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not bool(np.isfinite(numbers).all()):
        return None
    largest = float(np.abs(numbers).max())
    if largest == 0:
        return None
    # Squares of very large or very small numbers would leave what a float can hold.
    numbers = numbers / largest
    return np.asarray(numbers / np.sqrt((numbers * numbers).sum()))


def pack(vector: Floats) -> bytes:
    """A vector of length 1 as float16, little-endian."""
    return vector.astype(HALF).tobytes()


def unpack(rows: Sequence[bytes | memoryview], dims: int) -> Floats:
    """Packed vectors as (n, dims); ValueError for one of another length."""
    joined = b"".join(rows)
    if len(joined) != len(rows) * dims * HALF.itemsize:
        raise ValueError(f"vectors of {dims} numbers are {dims * HALF.itemsize} bytes each")
    return np.frombuffer(joined, dtype=HALF).reshape(len(rows), dims).astype(np.float64)


def narrowed(rows: Floats, dims: int = CHART_DIMS) -> Floats:
    """Vectors (n, d) by `dims` fixed directions, distances about as they were; as they are with so many or fewer.

    The directions depend on d and `dims` alone, today and in ten years: a frozen baseline stands on them. Source:
    Johnson and Lindenstrauss 1984, with signs as Achlioptas 2003.
    """
    if rows.shape[1] <= dims:
        return rows
    return np.asarray(rows @ _directions(rows.shape[1], dims))


@lru_cache(maxsize=8)
def _directions(wide: int, dims: int) -> Floats:
    """Signs (wide, dims) from the bits of a hash, by 1/√dims: a generator's stream may change, this does not."""
    bits = hashlib.shake_256(f"telltale drift {wide} to {dims}".encode()).digest((wide * dims + 7) // 8)
    signs = np.unpackbits(np.frombuffer(bits, dtype=np.uint8))[: wide * dims].reshape(wide, dims)
    return np.asarray((signs.astype(np.float64) * 2 - 1) / np.sqrt(dims))
