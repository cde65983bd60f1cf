"""What the estimators need of scores drawn with known, unequal probabilities: ten sums, which add up.

Every score carries pi, the probability with which its target was drawn, and weighs w = 1/pi. The sums of two disjoint
sets of scores add up, so hours, features and versions can be stored apart and joined at will.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Of = Literal["traffic", "process"]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over n scores y with w = 1/pi: of w, w², wy, wy², w²y, w²y², and of (1-pi)/pi² times 1, y, y²."""

    n: int = 0
    sw: float = 0.0
    sw2: float = 0.0
    swy: float = 0.0
    swy2: float = 0.0
    sw2y: float = 0.0
    sw2y2: float = 0.0
    v0: float = 0.0
    v1: float = 0.0
    v2: float = 0.0

    @classmethod
    def of(cls, y: ArrayLike, pi: ArrayLike) -> Sums:
        """The sums of scores `y` (n,) drawn with `pi` (n,) or one number.

        Errors: ValueError where a score is no finite number, a pi lies outside (0, 1] or the shapes differ.
        """
        scores, shares = aligned(y, pi)
        w = 1 / shares
        w2, v = w * w, (1 - shares) / (shares * shares)
        y2 = scores * scores
        terms = (w, w2, w * scores, w * y2, w2 * scores, w2 * y2, v, v * scores, v * y2)
        # fsum is exact: the same scores give the same sums in whatever order they come.
        return cls(len(scores), *(_sum(term.tolist()) for term in terms))

    @classmethod
    def one(cls, y: float, pi: float) -> Sums:
        """The sums of a single score: what a stored hour grows by. ValueError as in `of`."""
        if not (0 < pi <= 1 and math.isfinite(y)):
            raise ValueError(f"a finite score and a pi in (0, 1] are needed, not {y} and {pi}")
        w = 1 / pi
        v = (1 - pi) / (pi * pi)
        return cls(1, w, w * w, w * y, w * y * y, w * w * y, w * w * y * y, v, v * y, v * y * y)

    @classmethod
    def total(cls, parts: Iterable[Sums]) -> Sums:
        """The sums over all parts, which have no score in common."""
        rows = list(parts)
        n = sum(row.n for row in rows)
        return cls(n, *(_sum([getattr(row, name) for row in rows]) for name in _WEIGHED))

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in ("n", *_WEIGHED)))

    def __sub__(self, other: Sums) -> Sums:
        """What is left without `other`, a part of these: as when a score was replaced."""
        return Sums(*(getattr(self, name) - getattr(other, name) for name in ("n", *_WEIGHED)))

    def reweighted(self, factor: float) -> Sums:
        """The same scores, each `factor` times as heavy: drawn with pi / factor. ValueError for a factor below 1."""
        if not factor >= 1:
            raise ValueError(f"weights grow by a factor of 1 or more, not {factor}")
        square = factor * factor
        sw, sw2 = self.sw * factor, self.sw2 * square
        swy, sw2y = self.swy * factor, self.sw2y * square
        swy2, sw2y2 = self.swy2 * factor, self.sw2y2 * square
        # (1-pi)/pi² = w² - w; at factor 1 the stored sums are the exact ones.
        v0, v1, v2 = (self.v0, self.v1, self.v2) if factor == 1 else (sw2 - sw, sw2y - swy, sw2y2 - swy2)
        return Sums(self.n, sw, sw2, swy, swy2, sw2y, sw2y2, v0, v1, v2)

    @property
    def mean(self) -> float | None:
        """Σwy / Σw, None of no scores."""
        return self.swy / self.sw if self.n > 0 and self.sw > 0 else None

    @property
    def n_eff(self) -> float:
        """How many equally weighted scores these are worth: (Σw)² / Σw² (Kish 1965). 0 of none."""
        return self.sw * self.sw / self.sw2 if self.sw2 > 0 else 0.0

    @property
    def is_finite(self) -> bool:
        """Whether the scores were small enough (up to 1e150) for their squares to be summed."""
        return math.isfinite(self.swy) and math.isfinite(self.sw2y2) and math.isfinite(self.sw2)

    @property
    def is_complete(self) -> bool:
        """Whether every target was drawn for certain."""
        return self.n > 0 and self.v0 <= 1e-12 * self.sw2

    def variance(self, of: Of = "traffic") -> float:
        """The variance of the Hájek mean, 0 at the least; 0 of fewer than two scores.

        traffic: Σ (1-pi)/pi² (y-ȳ)² / N̂², of Poisson sampling (Särndal, Swensson, Wretman 1992, section 5.7);
        process: Σ w² (y-ȳ)² / N̂². Both times n/(n-1), so that an equal pi gives (1-pi) s²/n and s²/n.
        """
        if self.n < 2 or self.sw <= 0:
            return 0.0
        mean = self.swy / self.sw
        s0, s1, s2 = (self.v0, self.v1, self.v2) if of == "traffic" else (self.sw2, self.sw2y, self.sw2y2)
        spread = s2 - 2 * mean * s1 + mean * mean * s0
        # What rounding leaves where all scores are the same.
        if spread <= 1e-12 * (s2 + mean * mean * s0):
            return 0.0
        return spread / (self.sw * self.sw) * self.n / (self.n - 1)


def _sum(terms: list[float]) -> float:
    """The exact sum; infinite where it, or one of them, is too large for a float."""
    try:
        return math.fsum(terms)
    except (OverflowError, ValueError):
        return math.inf


_WEIGHED = tuple(field.name for field in fields(Sums) if field.name != "n")


def aligned(y: ArrayLike, pi: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores and inclusion probabilities as arrays (n,). ValueError as in `Sums.of`."""
    scores = np.asarray(y, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"scores have one dimension, not {scores.ndim}")
    shares = np.asarray(pi, dtype=np.float64)
    if shares.ndim == 0:
        shares = np.full(scores.shape, float(shares))
    if shares.shape != scores.shape:
        raise ValueError(f"{scores.size} scores need as many inclusion probabilities, not {shares.size}")
    if not np.all((shares > 0) & (shares <= 1)):
        raise ValueError("inclusion probabilities lie over 0 and up to 1")
    if not np.all(np.isfinite(scores)):
        raise ValueError("scores are finite numbers")
    return scores, shares


def second_phase(pi1: float, pi2: float) -> float:
    """The probability of being drawn at least once in two independent draws: 1 - (1-pi1)(1-pi2)."""
    # Exact where a draw is certain, and no less than either.
    return max(pi1, pi2, pi1 + pi2 - pi1 * pi2) if pi1 < 1 and pi2 < 1 else 1.0
