"""The anchor: how many sessions are satisfied, from some that were drawn at random and read by people.

Missing votes cannot touch it, for whether a session was drawn has nothing to do with whether its user voted.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.ppi import REVIEWS_MIN, ppi_nested
from evals.stats.quantiles import normal_quantile, wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.survivorship.results import Anchor
from evals.stats.weighted import Sums, as_share, hajek, wilson_eff

HALF_WIDTH_MOST = 0.10
# More of the reviewed without a judge's score than this, and the reviews stand alone.
UNJUDGED_MOST = 0.05

Floats = NDArray[np.float64]


def anchor_from_reviews(
    judge: ArrayLike, pi_judge: ArrayLike, human: ArrayLike, pi_review: ArrayLike, level: float = LEVEL
) -> Anchor | TooLittle:
    """The share of satisfied sessions from randomly drawn ones: people's reviews, made to go further by a judge.

    Each array (n,) over the sessions drawn: `judge`, `human`: 1 satisfied, 0 not, NaN where there is no score;
    `pi_judge`: with what probability the session was drawn (over 0, up to 1); `pi_review`: with what probability a
    drawn one was given to a person (any value where `human` is NaN). What people picked by hand has no place here.

    Fewer than 30 reviews: TooLittle. Where the judge scored other drawn sessions too, and at least 95 % of the
    reviewed, the estimate is PPI++'s for nested samples, weighted by 1/pi and 1/(pi pi_review); else the weighted share
    of the reviews alone. Wilson's interval for weights, or the smoothed one of `ppi_nested`. A missing score is taken
    to say nothing. Errors: ValueError for values outside of 0 and 1 or shapes that differ.
    """
    scored, pi_one = _shaped(judge, pi_judge)
    people, pi_two = _shaped(human, pi_review)
    if scored.shape != people.shape:
        raise ValueError(f"{scored.size} judge's scores and {people.size} people's must be of the same sessions")
    reviewed = ~np.isnan(people)
    n = int(reviewed.sum())
    if n < REVIEWS_MIN:
        return TooLittle(n, REVIEWS_MIN, "reviews")
    alone = _alone(people[reviewed], pi_one[reviewed] * pi_two[reviewed], level)
    judged = ~np.isnan(scored)
    both = reviewed & judged
    beside = int((judged & ~reviewed).sum())
    if beside and both.sum() >= max(REVIEWS_MIN, (1 - UNJUDGED_MOST) * n):
        sums = Sums.of(scored[judged], pi_one[judged])
        corrected = _corrected(people[both], scored[both], pi_one[both], pi_two[both], sums, level)
        if _width(corrected) < _width(alone):
            return _anchor(corrected, n, "random sample judged, corrected by reviews (PPI++)", beside, level)
    return _anchor(alone, n, "reviews of a random sample alone", 0, level)


def _alone(people: Floats, pi: Floats, level: float) -> Estimate | TooLittle:
    sums = Sums.of(people, pi)
    if np.isin(people, (0.0, 1.0)).all():
        return wilson_eff(sums, level)
    # Means of several people vary less than 0 and 1 do; near the ends of the scale that is no certainty either.
    found = as_share(hajek(sums, level, "process", (0.0, 1.0)))
    if isinstance(found, TooLittle) or found.n_eff <= sums.n_eff:
        return found
    low, high = wilson_limits(found.value, sums.n_eff, level)
    return replace(found, low=low, high=high, n_eff=sums.n_eff)


def _corrected(
    people: Floats, judge: Floats, pi: Floats, pi_review: Floats, judged: Sums, level: float
) -> Estimate | TooLittle:
    """PPI++ with its smoothed interval, and how many reviews alone would be as sure as its error says."""
    found = ppi_nested(people, judge, pi, pi_review, judged, level, (0.0, 1.0))
    if isinstance(found, TooLittle):
        return found
    estimate, inner = found.estimate, found.estimate.value * (1 - found.estimate.value)
    # At the ends of the scale the error says nothing of the number of reviews.
    known = estimate.n_eff if not estimate.error else max(estimate.n_eff, inner / estimate.error**2)
    return replace(estimate, n_eff=known)


def _width(found: Estimate | TooLittle) -> float:
    if isinstance(found, TooLittle) or found.low is None or found.high is None:
        return math.inf
    return found.high - found.low


def _anchor(found: Estimate | TooLittle, n: int, method: str, judged: int, level: float) -> Anchor | TooLittle:
    if isinstance(found, TooLittle):
        return found
    low, high = (0.0 if found.low is None else found.low), (1.0 if found.high is None else found.high)
    to_ten = reviews_to_reach(HALF_WIDTH_MOST, (high - low) / 2, n)
    return Anchor(found.value, low, high, n, method, found.n_eff, judged, level, to_ten, found.error)


def reviews_to_reach(wanted: float, half_width: float, n: int) -> int:
    """About how many reviews on top of `n` bring a half-width to `wanted`: widths shrink with 1/sqrt(n)."""
    return 0 if half_width <= wanted else math.ceil(n * ((half_width / wanted) ** 2 - 1))


def reviews_from_nothing(wanted: float = HALF_WIDTH_MOST, level: float = LEVEL) -> int:
    """How many reviews alone bring Wilson's half-width to `wanted` whatever the share turns out to be: 93 for .10."""
    z = normal_quantile(level)
    n = max(REVIEWS_MIN, math.ceil((z / (2 * wanted)) ** 2 - z * z))
    low, high = wilson_limits(0.5, n, level)
    return n if (high - low) / 2 <= wanted else n + 1


def _shaped(scores: ArrayLike, pi: ArrayLike) -> tuple[Floats, Floats]:
    values = np.atleast_1d(np.asarray(scores, dtype=np.float64))
    shares = np.broadcast_to(np.asarray(pi, dtype=np.float64), values.shape)
    seen = ~np.isnan(values)
    if values.ndim != 1 or not np.all((values[seen] >= 0) & (values[seen] <= 1)):
        raise ValueError("scores are one row of numbers within 0 and 1, NaN where there is none")
    if not np.all((shares[seen] > 0) & (shares[seen] <= 1)):
        raise ValueError("inclusion probabilities lie over 0 and up to 1")
    return values, shares
