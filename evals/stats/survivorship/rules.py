"""The verdict: red, amber, grey or green, by the first of the stated rules that matches.

grey   fewer than 50 sessions; no votes; coverage under 1 % (unless an anchor shows red); under 30 votes and no anchor
red    the anchor's upper limit lies below the votes' lower limit less the tolerance
amber  the calibrated interval excludes the votes' rate; or coverage differs between strata and votes of those who left
       are worse; or coverage under 5 %. Where only the latter two hold and an anchor agrees: green, with a note
green  an anchor of half-width .10 or less that is not below the votes' rate by more than the tolerance
grey   else, saying what is missing
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from evals.stats.ppi import REVIEWS_MIN
from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship.anchoring import HALF_WIDTH_MOST, reviews_from_nothing, reviews_to_reach
from evals.stats.survivorship.bounds import SESSIONS_MIN, VOTES_MIN, coverage_by_stratum, manski
from evals.stats.survivorship.calibrating import calibrated as calibrate
from evals.stats.survivorship.counts import Counts
from evals.stats.survivorship.results import (
    Anchor,
    Calibrated,
    Missing,
    Note,
    NotIdentified,
    Rule,
    StratumCoverage,
    Verdict,
)
from evals.stats.weighted import plain_share
from traces.behaviour.types import Stratum

TOLERANCE = 0.05
COVERAGE_MIN = 0.01
COVERAGE_LOW = 0.05
P_MOST = 0.001
RATIOS = (0.67, 1.5)
# More reviews than this nobody gives to settle one verdict.
REVIEWS_MOST = 5_000
# What rounding may do to a width that is .1 or a difference that is .05.
_HAIR = 1e-9
_GREY: dict[Missing | None, Rule] = {
    "anchor": "no_anchor",
    "reviews": "few_reviews",
    "narrower_anchor": "wide_anchor",
    "clearer_anchor": "anchor_not_clear",
}


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A reason for amber, with the numbers behind it; `by_coverage` ones are lifted by an anchor that agrees."""

    rule: Rule
    deciding: dict[str, float]
    by_coverage: bool


def verdict(
    counts: Counts,
    anchor: Anchor | TooLittle | None = None,
    *,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    calibrated: Calibrated | NotIdentified | TooLittle | None = None,
) -> Verdict:
    """Whether the votes of these closed sessions can be trusted.

    `anchor`: of the same sessions' population; TooLittle where it has fewer than 30 reviews, None where there is none.
    `tolerance`: by how much the truth may lie below the votes without alarm. `calibrated` may be handed in if it is
    known, else it is drawn with `seed`. Never raises for counts up to 10**18. ValueError for a tolerance outside of 0
    and 1.
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"a tolerance lies within 0 and 1, not {tolerance}")
    total = counts.total
    votes, coverage, bounds = plain_share(total.up, total.votes), plain_share(total.votes, total.n), manski(counts)
    found = Verdict(
        "grey",
        "no_sessions",
        counts,
        tolerance,
        seed,
        None if isinstance(votes, TooLittle) else votes,
        None if isinstance(coverage, TooLittle) else coverage,
        None if isinstance(bounds, TooLittle) else bounds,
        anchor=anchor,
    )
    if total.n < SESSIONS_MIN:
        rule: Rule = "few_sessions" if total.n else "no_sessions"
        return replace(found, rule=rule, missing="sessions", have=total.n, need=SESSIONS_MIN)
    if calibrated is None:
        calibrated = calibrate(counts, seed)
    found = replace(found, calibrated=calibrated, strata=coverage_by_stratum(counts))
    if found.votes is None:
        return replace(found, rule="no_votes", missing="votes", have=0, need=VOTES_MIN, reviews_needed=_to_see(anchor))
    known = anchor if isinstance(anchor, Anchor) else None
    is_red = known is not None and found.votes.low is not None and known.high < found.votes.low - tolerance
    share = total.votes / total.n
    if share < COVERAGE_MIN and not is_red:
        need = math.ceil(COVERAGE_MIN * total.n)
        grey = replace(found, rule="low_coverage", deciding={"coverage": share, "least": COVERAGE_MIN})
        return replace(grey, missing="votes", have=total.votes, need=need, reviews_needed=_to_see(anchor))
    if total.votes < VOTES_MIN and known is None:
        grey = replace(found, rule="few_votes", missing="votes", have=total.votes, need=VOTES_MIN)
        return replace(grey, reviews_needed=_to_see(anchor))
    if is_red and known is not None and found.votes.low is not None:
        numbers = {"anchor_high": known.high, "votes_low": found.votes.low, "limit": found.votes.low - tolerance}
        return replace(found, colour="red", rule="anchor_below_votes", deciding=numbers, reviews_needed=0)
    return _beyond_red(found, found.votes, known, share)


def _beyond_red(found: Verdict, votes: Estimate, known: Anchor | None, share: float) -> Verdict:
    doubts = _doubts(found, votes, share)
    agrees = known is not None and _agrees(known, votes, found.tolerance)
    unequal = _unequal(found)
    if doubts and not (agrees and all(doubt.by_coverage for doubt in doubts)):
        first = doubts[0]
        amber = replace(found, colour="amber", rule=first.rule, deciding=first.deciding, unequal=unequal)
        return amber if agrees else _lacking(amber, votes)
    if known is not None and agrees:
        numbers = {"anchor": known.estimate, "half_width": known.half_width, "limit": votes.value - found.tolerance}
        notes: tuple[Note, ...] = ("few_or_selective_votes",) if doubts else ()
        if votes.high is not None and known.low > votes.high + found.tolerance:
            notes += ("votes_understate",)
        green = replace(found, colour="green", rule="anchor_agrees", deciding=numbers, notes=notes, unequal=unequal)
        return replace(green, reviews_needed=0)
    grey = _lacking(found, votes)
    return replace(grey, rule=_GREY.get(grey.missing, "anchor_not_clear"))


def _doubts(found: Verdict, votes: Estimate, share: float) -> list[_Doubt]:
    doubts = []
    if isinstance(found.calibrated, Calibrated):
        estimate = found.calibrated.estimate
        low, high = estimate.low, estimate.high
        if low is not None and high is not None and not low - _HAIR <= votes.value <= high + _HAIR:
            numbers = {"calibrated_low": low, "calibrated_high": high, "votes": votes.value}
            doubts.append(_Doubt("calibrated_excludes_votes", numbers, by_coverage=False))
    unequal = _unequal(found)
    left, others = found.counts[Stratum.ABANDONED], found.counts.rest(Stratum.ABANDONED)
    if unequal and left.rate is not None and others.rate is not None and left.rate < others.rate:
        numbers = {"votes_of_those_who_left": left.rate, "votes_of_others": others.rate, "p": unequal[0].p}
        doubts.append(_Doubt("unequal_coverage", numbers, by_coverage=True))
    if share < COVERAGE_LOW:
        doubts.append(_Doubt("coverage_below_5", {"coverage": share, "least": COVERAGE_LOW}, by_coverage=True))
    return doubts


def _unequal(found: Verdict) -> tuple[StratumCoverage, ...]:
    """Strata that vote clearly more or less often than all others, the most telling first."""

    def differs(row: StratumCoverage) -> bool:
        return row.p < P_MOST and (row.ratio is None or not RATIOS[0] <= row.ratio <= RATIOS[1])

    rows = [row for row in found.strata.values() if isinstance(row, StratumCoverage) and differs(row)]
    return tuple(sorted(rows, key=lambda row: (row.p, row.stratum)))


def _agrees(anchor: Anchor, votes: Estimate, tolerance: float) -> bool:
    """Whether the anchor is narrow enough and not below the votes' rate by more than the tolerance."""
    return anchor.half_width <= HALF_WIDTH_MOST + _HAIR and anchor.estimate >= votes.value - tolerance - _HAIR


def _to_see(anchor: Anchor | TooLittle | None) -> int:
    """About how many more reviews give an anchor of half-width .10."""
    if isinstance(anchor, Anchor):
        return anchor.reviews_to_ten
    have = anchor.have if isinstance(anchor, TooLittle) else 0
    return max(REVIEWS_MIN - have, reviews_from_nothing() - have)


def _lacking(found: Verdict, votes: Estimate) -> Verdict:
    """The verdict with what would let more be said."""
    anchor = found.anchor
    missing: Missing
    if not isinstance(anchor, Anchor):
        missing = "anchor" if anchor is None or not anchor.have else "reviews"
        have, need = (anchor.have, anchor.need) if isinstance(anchor, TooLittle) else (0, REVIEWS_MIN)
        return replace(found, missing=missing, have=have, need=need, reviews_needed=_to_see(anchor))
    if anchor.half_width > HALF_WIDTH_MOST + _HAIR:
        need = anchor.n + anchor.reviews_to_ten
        return replace(found, missing="narrower_anchor", have=anchor.n, need=need, reviews_needed=anchor.reviews_to_ten)
    # Narrow, and below the votes by more than the tolerance, but not clearly: how narrow would make it clear?
    room = (votes.value if votes.low is None else votes.low) - found.tolerance - anchor.estimate
    more = reviews_to_reach(room, anchor.high - anchor.estimate, anchor.n) if room > _HAIR else REVIEWS_MOST + 1
    told = more if 0 < more <= REVIEWS_MOST else None
    need = anchor.n + (told or 0)
    return replace(found, missing="clearer_anchor", have=anchor.n, need=need, reviews_needed=told)
