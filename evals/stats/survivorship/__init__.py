"""Whether votes can be trusted: what the silence of those who did not vote may hide, and what is known of it.

Counts of closed sessions by what their users did go in; every figure of the page, the verdict and its words come out.
Pure: no clock, no rows. Formulas and minima: docs/statistics.md.
"""

from __future__ import annotations

from evals.stats.survivorship.anchoring import anchor_from_reviews, reviews_from_nothing, reviews_to_reach
from evals.stats.survivorship.bounds import (
    behaviour_bounds,
    coverage,
    coverage_by_stratum,
    imbens_manski,
    manski,
    two_proportions,
    votes_rate,
)
from evals.stats.survivorship.calibrating import calibrated, delta_to_reach, ipw, sensitivity
from evals.stats.survivorship.counts import SOURCE_EXAMPLE, Cell, Counts
from evals.stats.survivorship.results import (
    Anchor,
    Bounds,
    Calibrated,
    Lacking,
    NotIdentified,
    StratumCoverage,
    Verdict,
    Weighted,
)
from evals.stats.survivorship.rules import TOLERANCE, verdict
from evals.stats.survivorship.wording import Words, words

__all__ = [
    "SOURCE_EXAMPLE",
    "TOLERANCE",
    "Anchor",
    "Bounds",
    "Calibrated",
    "Cell",
    "Counts",
    "Lacking",
    "NotIdentified",
    "StratumCoverage",
    "Verdict",
    "Weighted",
    "Words",
    "anchor_from_reviews",
    "behaviour_bounds",
    "calibrated",
    "coverage",
    "coverage_by_stratum",
    "delta_to_reach",
    "imbens_manski",
    "ipw",
    "manski",
    "reviews_from_nothing",
    "reviews_to_reach",
    "sensitivity",
    "two_proportions",
    "verdict",
    "votes_rate",
    "words",
]
