"""Whether the level of quality moved from one month to the next: the difference of corrected means, or too little.

Pure: pairs and sums in, plain values out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evals.calibrating.figures import kept
from evals.read.pairs import Pair
from evals.rubrics import Scale
from evals.stats.ppi import REVIEWS_MIN, Corrected, difference, ppi_nested
from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import Sums

# The move that people want to hear of, in points of the scale.
MOVED = 0.3
Word = Literal["noise", "small", "moved", "too_few"]


@dataclass(frozen=True, slots=True)
class Month:
    """The drawn reviews of a month and the sums of everything the judge scored in it."""

    pairs: tuple[Pair, ...]
    judged: Sums


def level_of_month(month: Month, scale: Scale) -> Corrected | TooLittle:
    """The corrected mean of a month over all its traffic."""
    drawn = [pair for pair in month.pairs if pair.judge is not None and pair.pi_judge and pair.pi_review]
    if len(drawn) < REVIEWS_MIN:
        return TooLittle(len(drawn), REVIEWS_MIN, "reviews of drawn answers")
    if month.judged.n < len(drawn):
        return TooLittle(month.judged.n, len(drawn), "scores of drawn answers")
    return ppi_nested(
        np.array([scale.low + pair.person for pair in drawn], dtype=np.float64),
        np.array([scale.low + (pair.judge or 0) for pair in drawn], dtype=np.float64),
        np.array([pair.pi_judge for pair in drawn], dtype=np.float64),
        np.array([pair.pi_review for pair in drawn], dtype=np.float64),
        month.judged,
        scale=(scale.low, scale.high),
    )


def moved(before: Month, now: Month, scale: Scale) -> dict[str, Any]:
    """Both months, their difference, and what it is: noise, a small move, a move of `MOVED` points, or too few reviews.

    noise: the 95 % interval holds 0. moved: it does not, and the difference is at least `MOVED` points.
    """
    first, second = level_of_month(before, scale), level_of_month(now, scale)
    told: dict[str, Any] = {"before": _told(first), "now": _told(second), "bar": MOVED}
    if isinstance(first, TooLittle) or isinstance(second, TooLittle):
        return told | {"difference": None, "word": "too_few"}
    found = difference(second, first)
    return told | {"difference": kept(found), "word": word_of(found)}


def word_of(found: Estimate) -> Word:
    """What a difference of two months is."""
    if found.low is None or found.high is None:
        return "too_few"
    if found.low <= 0 <= found.high:
        return "noise"
    return "moved" if abs(found.value) >= MOVED else "small"


def _told(found: Corrected | TooLittle) -> dict[str, Any] | None:
    if isinstance(found, TooLittle):
        return kept(found)
    return (kept(found.estimate) or {}) | {
        "lam": found.lam,
        "effective_reviews": found.effective_reviews,
        "bias": found.bias,
        "judged": found.n_judged,
    }


def overall(criteria: Mapping[str, Mapping[str, Any]]) -> Word:
    """The most that any criterion says."""
    words: Sequence[Word] = ("moved", "small", "too_few", "noise")
    found = {each["word"] for each in criteria.values()}
    return next((word for word in words if word in found), "too_few")
