"""The rules of the verdict in words: what pages and REST print beside its colour."""

from __future__ import annotations

# The rule of each verdict in words; docs/statistics.md has them in full.
RULES = {
    "no_sessions": "no session has ended",
    "few_sessions": "fewer than 50 closed sessions",
    "no_votes": "not one vote",
    "low_coverage": "fewer than 1% of sessions voted",
    "few_votes": "fewer than 30 votes, and no anchor",
    "anchor_below_votes": "the anchor’s upper limit lies below the votes’ lower limit by more than the tolerance",
    "calibrated_excludes_votes": "the interval of the adjusted rate does not hold the votes’ rate",
    "unequal_coverage": "some group votes far more or less often than the others (p < .001, ratio under .67 or over "
    "1.5), and the votes of those who left are worse",
    "coverage_below_5": "fewer than 5% of sessions voted",
    "anchor_agrees": "an anchor within 10 points that is not below the votes by more than the tolerance",
    "no_anchor": "nothing speaks against the votes, and there is no anchor that could clear them",
    "few_reviews": "nothing speaks against the votes, and the anchor has fewer than 30 reviews",
    "wide_anchor": "nothing speaks against the votes, and the anchor is wider than 10 points either way",
    "anchor_not_clear": "the anchor lies below the votes by more than the tolerance, but not clearly",
}
