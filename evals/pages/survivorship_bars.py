"""The figures on one axis: votes, adjusted rate, anchor, and the bounds of what silence may mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship import Anchor, Bounds, Calibrated, NotIdentified
from evals.stats.survivorship.bounds import VOTES_MIN
from evals.stats.survivorship.wording import (
    interval,
    not_identified_words,
    of_things,
    percent,
    short_interval,
    weighted_words,
)
from evals.surviving import Look
from telltale.lib import format as fmt


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of the chart: shares of 0 to 100 as x positions; None where there is nothing to draw, said in `missing`.

    `text` stands at `text_x`, `anchor` being the end that lies there. Of bounds, `ends` are the words at both ends.
    """

    kind: str  # votes, adjusted, anchor, behaviour, manski
    name: str
    note: str
    low: float | None
    width: float | None
    mark: float | None
    value: str
    detail: str
    text_x: float
    text_anchor: str
    ends: tuple[str, str] | None
    missing: str
    cells: tuple[str, str, str]  # of the table that says the same: figure, 95 % interval, what it rests on
    made: str

    @property
    def end(self) -> float:
        """Where the bar ends."""
        return round((self.low or 0.0) + (self.width or 0.0), 2)


def percent_x(share: float) -> float:
    """A share as an x position of 0 to 100."""
    return round(100 * share, 2)


def limits_words(found: Estimate) -> str:
    """The interval of an estimate, or that there is none."""
    if found.low is None or found.high is None:
        return "none"
    return interval(found.low, found.high)


def bars(found: Look, anchor_of: str) -> list[Bar]:
    """The figures on one axis, from the number everyone quotes down to what can be said with no assumption at all."""
    rows = [_votes(found), _adjusted(found), _anchor(found, anchor_of)]
    rows.append(
        _bounds(
            "behaviour", "Behaviour bounds", "worst and best case for leavers", found.behaviour,
            ("worst case", "best case"),
        )
    )  # fmt: skip
    bounds = found.verdict.bounds or TooLittle(found.counts.n, 50, "sessions")
    rows.append(_bounds("manski", "No assumptions", "silent users could be anything", bounds, None))
    return rows


def _votes(found: Look) -> Bar:
    total, votes = found.counts.total, found.verdict.votes
    note = f"{percent(total.votes / total.n)} of sessions" if total.n else "no sessions"
    if votes is None:
        return _nothing("votes", "What the votes say", note, "unknown: nobody voted", "There is no vote to count.")
    if total.votes < VOTES_MIN:
        words = f"{total.up} of {of_things(total.votes, 'vote')} up: a rate takes {VOTES_MIN}"
        made = f"Fewer than {VOTES_MIN} votes are no rate; the interval would be {limits_words(votes)}."
        return _nothing("votes", "What the votes say", note, words, made)
    made = (
        f"Up ÷ (up + down) = {fmt.count(total.up)} ÷ {fmt.count(total.votes)}; of several votes in a session the last. "
        f"The interval, {limits_words(votes)} (Wilson), covers chance, not who chose to vote."
    )
    return _estimate("votes", "What the votes say", note, votes, f"{of_things(total.votes, 'vote')}", made)


def _adjusted(found: Look) -> Bar:
    name, note = "Adjusted estimate", "re-weighted to all sessions"
    weighed = found.calibrated
    if not isinstance(weighed, Calibrated):
        short = "not identified" if isinstance(weighed, NotIdentified) else "too little data"
        return _nothing("adjusted", name, note, short, not_identified_words(weighed))
    made = (
        "The votes’ rate within each group of behaviour, half a vote added each way, weighted by the group’s share of "
        "all sessions. Assumes that voters and silent users of one group feel alike. Interval: "
        f"{fmt.count(weighed.resamples)} bootstrap samples of sessions, seed {weighed.seed}, or the groups’ own limits "
        "where those are wider. Each vote weighted by how seldom such a session votes says: "
        f"{weighted_words(found.weighted)}"
    )
    return _estimate("adjusted", name, note, weighed.estimate, "votes weighted by behaviour", made)


def _anchor(found: Look, anchor_of: str) -> Bar:
    name, note, anchor = "Anchor", "random sample, read by people", found.anchor
    if not isinstance(anchor, Anchor):
        have = anchor.have if isinstance(anchor, TooLittle) else 0
        words = f"{have} of 30 reviews" if have else "none yet"
        made = (
            "Answers drawn at random, judged and read by people, whoever voted: missing votes cannot touch it. From 30 "
            f"reviews of last answers of closed sessions on; there {'is' if have == 1 else 'are'} {have}."
        )
        return _nothing("anchor", name, note, words, made)
    made = (
        f"Closed sessions whose last answer was drawn with a known chance. Satisfied: {anchor_of}. "
        f"{of_things(anchor.n, 'review')}{_beside(anchor)}; {anchor.method}. Worth {anchor.n_eff:,.0f} equal reviews."
    )
    rests = f"{of_things(anchor.n, 'review')}{_beside(anchor)}"
    value = Estimate(anchor.estimate, anchor.low, anchor.high, anchor.level, anchor.n, anchor.n_eff, anchor.method)
    return _estimate("anchor", name, note, value, rests, made)


def _beside(anchor: Anchor) -> str:
    return f" and {of_things(anchor.judged, 'more session')} that the judge scored" if anchor.judged else ""


def _estimate(kind: str, name: str, note: str, found: Estimate, rests: str, made: str) -> Bar:
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    on_left = found.value >= 0.5
    return Bar(
        kind,
        name,
        note,
        percent_x(low),
        percent_x(high - low),
        percent_x(found.value),
        percent(found.value),
        f"95% CI {short_interval(low, high)}",
        percent_x(low if on_left else high),
        "end" if on_left else "start",
        None,
        "",
        (percent(found.value), interval(low, high), rests),
        made,
    )


def _bounds(kind: str, name: str, note: str, found: Bounds | TooLittle, ends: tuple[str, str] | None) -> Bar:
    if isinstance(found, TooLittle):
        words = f"too little data: {found.have} of {found.need} {found.what}"
        return _nothing(kind, name, note, words, f"From {found.need} closed sessions on.")
    inside = (found.low, found.high)
    span = f"{percent(found.low)} to {percent(found.high)}"
    is_wide = found.high - found.low >= 0.3
    x = (found.low + found.high) / 2 if kind == "manski" and is_wide else found.high if found.high < 0.5 else found.low
    middle = kind == "manski" and is_wide
    return Bar(
        kind,
        name,
        note,
        percent_x(found.low),
        percent_x(found.high - found.low),
        None,
        span,
        "",
        percent_x(x),
        "middle" if middle else "start" if found.high < 0.5 else "end",
        None if ends is None or not is_wide else (percent(inside[0]), percent(inside[1])),
        "",
        (span, interval(found.limit_low, found.limit_high), of_things(found.n, "session")),
        f"{found.assumption} With chance (Imbens and Manski), {interval(found.limit_low, found.limit_high)}.",
    )


def _nothing(kind: str, name: str, note: str, words: str, made: str) -> Bar:
    return Bar(kind, name, note, None, None, None, "", "", 0.0, "start", None, words, (words, "none", "nothing"), made)


def bars_sentence(rows: Sequence[Bar]) -> str:
    """The chart as one sentence."""
    parts = [f"{row.name}: {row.missing or row.value}{f', {row.detail}' if row.detail else ''}" for row in rows]
    return "; ".join(parts)
