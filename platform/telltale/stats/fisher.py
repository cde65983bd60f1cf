"""Fisher's exact test of two shares. numpy alone; equal to scipy within 1e-9."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Tables as likely as the one seen, but for rounding, count as at least as far (as R's fisher.test has it).
_AS_LIKELY = 1 + 1e-7


@dataclass(frozen=True, slots=True)
class Fisher:
    """P of a table at least as far: `less` and `greater` of its first cell, `two_sided` of tables no likelier."""

    less: float
    greater: float
    two_sided: float


def fisher(a: int, b: int, c: int, d: int) -> Fisher:
    """Fisher's exact test of the table [[a, b], [c, d]], margins held (Fisher 1935). ValueError for negative cells."""
    if min(a, b, c, d) < 0:
        raise ValueError(f"cells are counts, not {a}, {b}, {c}, {d}")
    row, other, column = a + b, c + d, a + c
    low, high = max(0, column - other), min(row, column)
    if low == high:
        return Fisher(1.0, 1.0, 1.0)
    cells = np.arange(low, high, dtype=np.float64)
    ratios = np.log((row - cells) * (column - cells)) - np.log((cells + 1) * (other - column + cells + 1))
    logs = np.concatenate((np.zeros(1), np.cumsum(ratios)))
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    at = a - low
    near = weights <= weights[at] * _AS_LIKELY
    less, greater, both = weights[: at + 1].sum(), weights[at:].sum(), weights[near].sum()
    return Fisher(min(1.0, float(less)), min(1.0, float(greater)), min(1.0, float(both)))
