"""The case that everybody quotes, "90 % thumbs-up, 40 % abandonment", put to the same code: made-up counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from evals.read.survivorship import Sample, Units
from evals.read.survivorship_kept import REVIEWS, TOLERANCE
from evals.stats.results import TooLittle
from evals.stats.survivorship import (
    SOURCE_EXAMPLE,
    Anchor,
    Verdict,
    Words,
    anchor_from_reviews,
    reviews_from_nothing,
    verdict,
    words,
)
from evals.surviving.choosing import Anchoring
from evals.surviving.looking import DELTAS, Survivorship, look, rates_by_delta

# What people might find among so many randomly drawn sessions: that most are fine, or that the silent were let down.
FOUND_FINE = (0.9, 0.6)


@dataclass(frozen=True, slots=True)
class Supposed:
    """What the verdict would be if `fine` of `reviews` randomly drawn sessions were found satisfied."""

    fine: int
    reviews: int
    anchor: Anchor
    verdict: Verdict
    words: Words


def example(start: datetime, end: datetime) -> tuple[Survivorship, tuple[Supposed, ...]]:
    """The check of the example's counts, and what reviews of a random sample would make of it."""
    anchoring = Anchoring(REVIEWS, None, None, TOLERANCE, True, ())
    found = look(0, None, Units(sessions=SOURCE_EXAMPLE), Sample(), anchoring)
    line = rates_by_delta(found.counts, DELTAS, found.seed)
    whole = Survivorship(start, end, found, (), 0, line, None, Sample(), anchoring)
    return whole, tuple(_supposed(share, found.verdict) for share in FOUND_FINE)


def _supposed(share: float, now: Verdict) -> Supposed:
    reviews = reviews_from_nothing()
    fine = round(share * reviews)
    people = np.array([1.0] * fine + [0.0] * (reviews - fine))
    anchor = anchor_from_reviews(np.full(reviews, np.nan), 1.0, people, 1.0)
    if isinstance(anchor, TooLittle):
        raise ValueError(f"{reviews} reviews make an anchor")
    found = verdict(now.counts, anchor, tolerance=now.tolerance, calibrated=now.calibrated)
    return Supposed(fine, reviews, anchor, found, words(found))
