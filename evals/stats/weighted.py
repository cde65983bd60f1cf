"""Estimates for all traffic from what was drawn of it with known, unequal probabilities.

Every score carries pi, the probability with which its target was drawn, and weighs w = 1/pi. What the estimators need
of the single scores are ten sums; those of two disjoint sets of scores add up, so hours, features and versions can be
stored apart and joined at will.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from evals.stats.results import LEVEL, Estimate, TooLittle

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
        """The sums of scores `y` (n,) drawn with `pi` (n,) or one number, each in (0, 1]. ValueError otherwise."""
        raise NotImplementedError

    @classmethod
    def one(cls, y: float, pi: float) -> Sums:
        """The sums of a single score: what a stored hour grows by."""
        raise NotImplementedError

    @classmethod
    def total(cls, parts: Iterable[Sums]) -> Sums:
        """The sums over all parts."""
        raise NotImplementedError

    def __add__(self, other: Sums) -> Sums:
        raise NotImplementedError

    @property
    def n_eff(self) -> float:
        """How many equally weighted scores these are worth: (sum of w)² / (sum of w²), Kish 1965. 0 of none."""
        return self.sw * self.sw / self.sw2 if self.sw2 > 0 else 0.0


def hajek(
    sums: Sums, level: float = LEVEL, of: Of = "traffic", scale: tuple[float, float] | None = None
) -> Estimate | TooLittle:
    """The mean over all traffic, Σwy / Σw, with a t interval on n_eff. Poisson variance (`of="traffic"`)."""
    raise NotImplementedError


def wilson_eff(sums: Sums, level: float = LEVEL, of: Of = "process") -> Estimate | TooLittle:
    """The share of ones over all traffic, of scores that are 0 or 1, with Wilson's interval on the effective n."""
    raise NotImplementedError


def total_ht(sums: Sums, level: float = LEVEL) -> Estimate | TooLittle:
    """The sum of y over all traffic, Σ y/pi (Horvitz and Thompson 1952)."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Stratum:
    """n scores drawn at random without putting back from `population` targets; `variance` has divisor n-1."""

    name: str
    population: int
    n: int
    mean: float
    variance: float


def stratified(strata: Sequence[Stratum], level: float = LEVEL) -> Estimate | TooLittle:
    """The mean over all strata, Σ (N_h/N) ȳ_h, with the finite population correction."""
    raise NotImplementedError


def stratified_total(strata: Sequence[Stratum], level: float = LEVEL) -> Estimate | TooLittle:
    """The sum over all strata."""
    raise NotImplementedError


def cluster(y: ArrayLike, pi: ArrayLike, clusters: Sequence[object], level: float = LEVEL) -> Estimate | TooLittle:
    """The Hájek mean with the variance between sessions: for scores whose session, not they themselves, was drawn."""
    raise NotImplementedError


def second_phase(pi1: float, pi2: float) -> float:
    """The probability of being drawn at least once in two independent draws: 1 - (1-pi1)(1-pi2)."""
    return 1 - (1 - pi1) * (1 - pi2)


@dataclass(frozen=True, slots=True)
class Cell:
    """One stratum in one hour: how many targets were drawn, and the sums over those that got a score."""

    stratum: str
    hour: int
    taken: int
    sums: Sums


@dataclass(frozen=True, slots=True)
class Responded:
    """Sums weighted up for the drawn targets that got no score, and how many those are.

    `is_flagged`: more than NONRESPONSE_FLAG of the drawn have none. `uncovered`: drawn in strata without any score.
    """

    sums: Sums
    taken: int
    scored: int
    uncovered: int
    nonresponse_share: float | None
    is_flagged: bool


NONRESPONSE_FLAG = 0.05


def for_nonresponse(cells: Iterable[Cell]) -> Responded:
    """Non-response weighting within stratum and hour."""
    raise NotImplementedError
