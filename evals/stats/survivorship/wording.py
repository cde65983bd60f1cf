"""The verdict in plain words, with its numbers: a headline, the reason, what votes alone allow, what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship.bounds import VOTES_MIN
from evals.stats.survivorship.counts import Cell, Counts
from evals.stats.survivorship.results import Anchor, Bounds, Calibrated, NotIdentified, Verdict, Weighted
from telltale.lib.format import EN_DASH, count
from traces.behaviour.types import Stratum

STRATUM_WORDS = {
    Stratum.UNKNOWN: "traces without a session",
    Stratum.ABANDONED: "sessions that left after an answer",
    Stratum.RETRIED: "sessions that asked again",
    Stratum.CORRECTED: "sessions that corrected the answer",
    Stratum.ESCALATED: "sessions that asked for a person",
    Stratum.COMPLETED: "sessions that reached their goal",
    Stratum.CARRIED_ON: "sessions that carried on",
}


@dataclass(frozen=True, slots=True)
class Words:
    """A verdict as a page says it, each a sentence or two.

    `bounds`: what votes alone leave open, None with fewer than 50 sessions. `who`: who votes and who does not.
    `missing`: what would let more be said. `notes`: what a reader of a green verdict must still know. None: nothing
    to say.
    """

    headline: str
    reason: str
    bounds: str | None
    who: str | None
    missing: str | None
    notes: tuple[str, ...] = ()


def percent(share: float) -> str:
    """A share in 0..1: whole percents, one decimal under 10% and over 99%; never a false 0% or 100%."""
    pct = Decimal(repr(share)) * 100
    if 0 < pct < Decimal("0.05"):
        return "under 0.1%"
    if Decimal("99.95") <= pct < 100:
        return "over 99.9%"
    whole = pct.quantize(Decimal(1), ROUND_HALF_UP)
    tenth = pct.quantize(Decimal("0.1"), ROUND_HALF_UP)
    if (tenth < 10 or pct > 99) and tenth != whole:
        return f"{tenth}%"
    return f"{whole}%"


def points(difference: float) -> str:
    """A difference of two shares: 5 points, 0.4 points, 1 point."""
    text = percent(abs(difference)).removesuffix("%")
    return f"{text} point" if text == "1" else f"{text} points"


def interval(low: float, high: float) -> str:
    """69% to 76%."""
    return f"{percent(low)} to {percent(high)}"


def short_interval(low: float, high: float) -> str:
    """69-76, with an en dash, for labels of charts."""
    return f"{percent(low).removesuffix('%')}{EN_DASH}{percent(high).removesuffix('%')}"


def of_things(number: int, one: str, many: str | None = None) -> str:
    """1 vote, 4,780 votes."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def bounds_words(bounds: Bounds) -> str:
    """Votes alone leave the true rate anywhere between 9% and 99%."""
    if bounds.high - bounds.low < 1e-12:
        return f"Every session voted, so the votes' {percent(bounds.low)} is the rate of these sessions."
    return f"Votes alone leave the true rate anywhere between {percent(bounds.low)} and {percent(bounds.high)}."


def behaviour_words(bounds: Bounds) -> str:
    """What the true rate can be at the most and at the least, taking silent behaviour as it looks."""
    return (
        f"Even if every user who left in silence was happy, satisfaction could not exceed {percent(bounds.high)}; "
        f"if none was, it is {percent(bounds.low)}."
    )


def who_votes(counts: Counts) -> str | None:
    """The two strata that are over- and underrepresented the most among votes; None without votes or with one stratum.

    Sessions that reached their goal are 31% of sessions and 67% of votes; ...
    """
    total = counts.total
    cells = [(stratum, cell) for stratum, cell in counts.by_stratum.items() if cell.n]
    if not total.votes or len(cells) < 2:
        return None

    def excess(cell: Cell) -> float:
        return cell.votes / total.votes - cell.n / total.n

    most, least = max(cells, key=lambda row: excess(row[1])), min(cells, key=lambda row: excess(row[1]))
    if excess(most[1]) <= 0:
        return None
    said = (
        f"{STRATUM_WORDS[stratum]} are {percent(cell.n / total.n)} of sessions and "
        f"{percent(cell.votes / total.votes)} of votes"
        for stratum, cell in (most, least)
    )
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}."


def words(verdict: Verdict) -> Words:
    """The verdict in words. Every sentence has its numbers, and says "cannot tell" where that is so."""
    headline, reason = _SAID[verdict.rule](verdict)
    if verdict.colour == "amber" and not isinstance(verdict.anchor, Anchor):
        reason += " How satisfied the silent are, votes cannot tell: that takes an anchor."
    return Words(
        headline,
        reason,
        None if verdict.bounds is None else bounds_words(verdict.bounds),
        who_votes(verdict.counts),
        _missing(verdict),
        _notes(verdict),
    )


def not_identified_words(found: NotIdentified | TooLittle) -> str:
    """Why there is no calibrated rate."""
    if isinstance(found, TooLittle):
        return f"Too little data: {count(found.have)} of {count(found.need)} {found.what}."
    parts = [
        f"{STRATUM_WORDS[row.stratum]} ({percent(row.share)} of sessions) gave {of_things(row.votes, 'vote')}"
        for row in found.strata
    ]
    text = "; ".join(parts)
    return f"Not identified: {text}; {found.need} in each are the least."


def weighted_words(found: Weighted | TooLittle) -> str:
    """73% (69% to 76%), worth 559 equally weighted votes; one vote stands for up to 502 sessions."""
    if isinstance(found, TooLittle):
        return f"Too little data: {count(found.have)} of {count(found.need)} {found.what}."
    estimate = found.estimate
    low, high = estimate.low, estimate.high
    limits = "" if low is None or high is None else f" ({interval(low, high)})"
    worth = of_things(round(estimate.n_eff), "equally weighted vote")
    stands_for = of_things(round(found.capped_at), "session")
    text = f"{percent(estimate.value)}{limits}, worth {worth}; one vote stands for up to {stands_for}"
    if found.capped:
        text += f", to which {of_things(found.capped, 'vote')} were cut"
    if found.uncovered:
        text += f"; it does not speak of the {percent(found.uncovered)} of sessions in groups without a vote"
    return f"{text}."


def anchor_words(anchor: Anchor) -> str:
    """A random sample puts the true rate at 60% (95% interval 52% to 68%; 93 reviews)."""
    beside = f", {of_things(anchor.judged, 'more session')} judged" if anchor.judged else ""
    return (
        f"A random sample puts the true rate at {percent(anchor.estimate)} "
        f"({percent(anchor.level)} interval {interval(anchor.low, anchor.high)}; "
        f"{of_things(anchor.n, 'review')}{beside})"
    )


def _votes(verdict: Verdict) -> Estimate:
    if verdict.votes is None:
        raise ValueError(f"the rule {verdict.rule} speaks of votes, and there are none")
    return verdict.votes


def _anchor(verdict: Verdict) -> Anchor:
    if not isinstance(verdict.anchor, Anchor):
        raise ValueError(f"the rule {verdict.rule} speaks of an anchor, and there is none")
    return verdict.anchor


def _rate(verdict: Verdict) -> str:
    """90%, and 9 of 10 up where votes are too few for a rate."""
    total = verdict.counts.total
    if total.votes < VOTES_MIN:
        return f"{count(total.up)} of {count(total.votes)} up"
    return percent(_votes(verdict).value)


def _of_votes(verdict: Verdict) -> str:
    """90% of 4,780 votes are up, given by 2.8% of sessions."""
    total = verdict.counts.total
    share = percent(total.votes / total.n)
    if total.votes < VOTES_MIN:
        return f"{count(total.up)} of {of_things(total.votes, 'vote')} are up, given by {share} of sessions"
    return f"{_rate(verdict)} of {count(total.votes)} votes are up, given by {share} of sessions"


def _no_sessions(verdict: Verdict) -> tuple[str, str]:
    return "Cannot tell: no session has ended in this window", "Sessions count once they are over, and none is."


def _few_sessions(verdict: Verdict) -> tuple[str, str]:
    n, need = verdict.have, verdict.need
    headline = f"Cannot tell: {of_things(n, 'session')} {'has' if n == 1 else 'have'} ended, {need} are needed"
    return headline, f"Below {need} closed sessions no rate is told, whatever the votes say."


def _no_votes(verdict: Verdict) -> tuple[str, str]:
    headline = f"Cannot tell: none of {of_things(verdict.counts.n, 'session')} gave a vote"
    reason = "No votes is no good sign and no bad one: the true rate is unknown."
    if isinstance(verdict.anchor, Anchor):
        reason = f"{anchor_words(verdict.anchor)}, and there is no vote to compare it with."
    return headline, reason


def _low_coverage(verdict: Verdict) -> tuple[str, str]:
    total = verdict.counts.total
    headline = f"Cannot tell: {count(total.votes)} of {of_things(total.n, 'session')} voted"
    reason = f"{_of_votes(verdict)}. Below 1% of sessions, votes say nothing about the others."
    if isinstance(verdict.anchor, Anchor):
        reason += f" {anchor_words(verdict.anchor)}."
    return headline, reason


def _few_votes(verdict: Verdict) -> tuple[str, str]:
    headline = f"Cannot tell: {of_things(verdict.have, 'vote')}, and no other evidence"
    reason = f"{_of_votes(verdict)}. Below {verdict.need} votes nothing is said without an anchor."
    return headline, reason


def _red(verdict: Verdict) -> tuple[str, str]:
    anchor = _anchor(verdict)
    headline = f"Do not trust the {_rate(verdict)}: about {percent(anchor.estimate)} of sessions are satisfied"
    low = verdict.deciding["votes_low"]
    reason = (
        f"{_of_votes(verdict)}. {anchor_words(anchor)}. Even its upper limit, {percent(anchor.high)}, lies below the "
        f"votes' lower limit, {percent(low)}, by more than the {points(verdict.tolerance)} that are tolerated."
    )
    return headline, reason


def _calibrated(verdict: Verdict) -> tuple[str, str]:
    if not isinstance(verdict.calibrated, Calibrated):
        raise ValueError(f"the rule {verdict.rule} speaks of a calibrated rate, and there is none")
    value = percent(verdict.calibrated.estimate.value)
    limits = interval(verdict.deciding["calibrated_low"], verdict.deciding["calibrated_high"])
    headline = f"Read the {_rate(verdict)} with care: weighed by what sessions did it is {value}"
    reason = (
        f"{_of_votes(verdict)}. Groups do not vote equally often: if the silent of each group feel like its voters, "
        f"{value} are satisfied, and the 95% interval, {limits}, does not hold the votes' {_rate(verdict)}."
    )
    return headline, reason


def _unequal(verdict: Verdict) -> tuple[str, str]:
    row = verdict.unequal[0]
    own, rest = percent(row.coverage.value), percent(row.rest_coverage.value)
    headline = f"Read the {_rate(verdict)} with care: {own} of {STRATUM_WORDS[row.stratum]} voted, {rest} of all others"
    left, others = verdict.deciding["votes_of_those_who_left"], verdict.deciding["votes_of_others"]
    reason = (
        f"{_of_votes(verdict)}. Groups vote unequally often (p {_p(row.p)}), and of the votes of those who left "
        f"{percent(left)} are up, of the others' {percent(others)}."
    )
    return headline, reason


def _p(p: float) -> str:
    return "below .0001" if p < 0.0001 else f"= {p:.4f}".replace("0.", ".", 1)


def _below_five(verdict: Verdict) -> tuple[str, str]:
    total = verdict.counts.total
    share = percent(total.votes / total.n)
    headline = f"Read the {_rate(verdict)} with care: it is the word of {share} of sessions"
    return headline, f"{_of_votes(verdict)}. Below 5% of sessions, votes may be of a few who are not like the rest."


def _green(verdict: Verdict) -> tuple[str, str]:
    anchor = _anchor(verdict)
    if "votes_understate" in verdict.notes:
        headline = (
            f"Silence hides no failure: about {percent(anchor.estimate)} of sessions are satisfied, "
            f"more than the votes' {_rate(verdict)}"
        )
    else:
        headline = f"The {_rate(verdict)} holds: a random sample says {percent(anchor.estimate)}"
    reason = (
        f"{_of_votes(verdict)}. {anchor_words(anchor)}, which is not below the votes by more than the "
        f"{points(verdict.tolerance)} that are tolerated."
    )
    return headline, reason


def _no_anchor(verdict: Verdict) -> tuple[str, str]:
    headline = f"Cannot tell: the {_rate(verdict)} is what voters say, and nobody asked the silent"
    return headline, f"{_of_votes(verdict)}. {_weighed(verdict)} Nothing else was measured."


def _weighed(verdict: Verdict) -> str:
    """What behaviour says of the votes where it does not speak against them."""
    if isinstance(verdict.calibrated, Calibrated):
        found = verdict.calibrated.estimate
        low, high = found.value if found.low is None else found.low, found.value if found.high is None else found.high
        return (
            f"Weighed by what sessions did it is {percent(found.value)} ({interval(low, high)}), which holds that rate."
        )
    if isinstance(verdict.calibrated, NotIdentified):
        groups = of_things(len(verdict.calibrated.strata), "group")
        return f"It cannot be weighed by what sessions did: {groups} gave fewer than {verdict.calibrated.need} votes."
    return ""


def _few_reviews(verdict: Verdict) -> tuple[str, str]:
    headline = f"Cannot tell: {of_things(verdict.have, 'review')} of randomly drawn sessions, {verdict.need} are needed"
    return headline, f"{_of_votes(verdict)}. {_weighed(verdict)}".rstrip()


def _wide(verdict: Verdict) -> tuple[str, str]:
    anchor = _anchor(verdict)
    headline = f"Cannot tell: the true rate lies between {percent(anchor.low)} and {percent(anchor.high)}"
    reason = (
        f"{_of_votes(verdict)}. {anchor_words(anchor)}: within {points(anchor.half_width)} either way, and 10 are the "
        "most that can clear the votes."
    )
    return headline, reason


def _not_clear(verdict: Verdict) -> tuple[str, str]:
    anchor = _anchor(verdict)
    gap = points(_votes(verdict).value - anchor.estimate)
    headline = f"Cannot tell: a random sample says {percent(anchor.estimate)}, {gap} below the votes"
    reason = (
        f"{_of_votes(verdict)}. {anchor_words(anchor)}. That is more than the {points(verdict.tolerance)} that are "
        "tolerated, but chance could still be the cause."
    )
    return headline, reason


_SAID: dict[str, Callable[[Verdict], tuple[str, str]]] = {
    "no_sessions": _no_sessions,
    "few_sessions": _few_sessions,
    "no_votes": _no_votes,
    "low_coverage": _low_coverage,
    "few_votes": _few_votes,
    "anchor_below_votes": _red,
    "calibrated_excludes_votes": _calibrated,
    "unequal_coverage": _unequal,
    "coverage_below_5": _below_five,
    "anchor_agrees": _green,
    "no_anchor": _no_anchor,
    "few_reviews": _few_reviews,
    "wide_anchor": _wide,
    "anchor_not_clear": _not_clear,
}


def _missing(verdict: Verdict) -> str | None:
    more = verdict.reviews_needed
    drawn = "reviews of randomly drawn sessions"
    if verdict.missing is None:
        return None
    if verdict.missing == "sessions":
        return f"{of_things(verdict.need - verdict.have, 'more closed session')}."
    if verdict.missing == "votes":
        least = of_things(verdict.need - verdict.have, "more vote")
        if verdict.rule == "low_coverage":
            least = f"Votes of 1% of sessions, {count(verdict.need)} of these; {count(verdict.have)} are there"
        if isinstance(verdict.anchor, Anchor) or not more:
            return f"{least}."
        return f"{least}; or about {count(more)} {drawn}, which tell the true rate within 10 points without any vote."
    if verdict.missing == "anchor":
        return f"An anchor: about {count(more)} {drawn}, voters or not, tell the true rate within 10 points."
    if verdict.missing == "reviews":
        return f"About {count(more)} more {drawn}: {verdict.have} of the {verdict.need} that are the least are there."
    if verdict.missing == "narrower_anchor":
        return f"About {count(more)} more {drawn} bring the anchor within 10 points."
    if more is None:
        return "More votes: the votes' own interval is too wide for more reviews to settle it."
    return f"About {count(more)} more {drawn} would show whether the difference is real."


def _notes(verdict: Verdict) -> tuple[str, ...]:
    said = []
    if "few_or_selective_votes" in verdict.notes:
        total = verdict.counts.total
        share = percent(total.votes / total.n)
        said.append(f"Few or selective votes: {share} of sessions voted. The random sample decides, not the votes.")
    if "votes_understate" in verdict.notes and isinstance(verdict.anchor, Anchor):
        gap = points(verdict.anchor.estimate - _votes(verdict).value)
        said.append(f"The votes understate: the random sample is {gap} above them.")
    return tuple(said)
