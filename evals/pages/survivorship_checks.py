"""What speaks for and against the verdict, what would let more be said, and what is in no rate."""

from __future__ import annotations

from dataclasses import dataclass

from evals.pages.survivorship_view import NAMES, Links
from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship import Anchor, Calibrated, StratumCoverage
from evals.stats.survivorship.wording import interval, of_things, percent, points
from evals.surviving import Look, Survivorship
from telltale.lib import format as fmt
from traces.behaviour.types import Stratum
from traces.read.signals import UNBOUND_MAX, Unbound

LEFT_VOTES_MIN = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One check on the verdict: state of the design, its word, what was found, and what to do."""

    state: str
    word: str
    text: str
    href: str = ""
    action: str = ""


def checks(found: Survivorship, links: Links, *, may_measure: bool) -> list[Check]:
    """What speaks for and against the verdict, what would let more be said, and what is in no rate."""
    return [
        _anchor_check(found, links, may_measure),
        *_judge_check(found, links, may_measure),
        _votes_check(found),
        *_leavers_check(found, links),
    ]


def _anchor_check(found: Survivorship, links: Links, may_measure: bool) -> Check:
    look, anchor = found.whole, found.whole.anchor
    queue = (f"{links.base}review/new/?kind=random", "Draw answers to review") if may_measure else ("", "")
    if found.anchoring.lost:
        words = f"No anchor: {found.anchoring.lost}"
        return Check("none", "Missing", words, f"{links.base}signals/anchor/", "Choose what counts as satisfied")
    if not found.anchoring.is_on:
        words = "No anchor: nobody chose what counts as satisfied"
        return Check("none", "Missing", words, f"{links.base}signals/anchor/", "Choose")
    if not isinstance(anchor, Anchor):
        have = anchor.have if isinstance(anchor, TooLittle) else 0
        more = look.verdict.reviews_needed or 93
        words = f"Reviews of randomly drawn last answers: {have} of the 30 that are the least; about {more} more"
        return Check("none", "Missing", f"{words} tell the rate within 10 points", *queue)
    said = f"A random sample says {percent(anchor.estimate)}, {interval(anchor.low, anchor.high)}"
    votes = look.verdict.votes
    if votes is None:
        return Check("none", "Nothing to compare", f"{said}; there is no vote to compare it with", *queue)
    tolerance = points(look.verdict.tolerance)
    if look.verdict.colour == "red":
        return Check("bad", "Disagrees", f"{said}: below the votes by more than the {tolerance} tolerated")
    if anchor.half_width > 0.10 + 1e-9:
        words = f"{said}: wider than 10 points either way; about {anchor.reviews_to_ten} more reviews narrow it"
        return Check("watch", "Unsure", words, *queue)
    if anchor.estimate >= votes.value - look.verdict.tolerance - 1e-9:
        return Check("ok", "Agrees", f"{said}: not below the votes by more than the {tolerance} tolerated")
    return Check(
        "watch", "Unsure", f"{said}: below the votes by more than the {tolerance} tolerated, not clearly", *queue
    )


def _judge_check(found: Survivorship, links: Links, may_measure: bool) -> list[Check]:
    scores = found.scores
    if scores is None:
        href = f"{links.base}judges/new/" if may_measure else f"{links.base}judges/"
        return [Check("none", "Missing", "No judge scores the answers of silent sessions", href, "Judges")]
    if scores.all_silent is None or scores.voters is None or scores.apart is None:
        words = "Fewer than 20 judged last answers of silent sessions, or of voters: the judge cannot compare them yet"
        return [Check("none", "Missing", words)]
    apart = scores.apart
    low, high = (apart.low or 0.0), (apart.high or 0.0)
    is_lower, is_higher = high < 0, low > 0
    size = f"{abs(apart.value):.2f} {'lower' if apart.value < 0 else 'higher'}"
    limits = f"95% CI {fmt.MINUS if low < 0 else ''}{abs(low):.2f} to {fmt.MINUS if high < 0 else ''}{abs(high):.2f}"
    text = f"The judge scores silent sessions {size} than voters (uncorrected; {limits})"
    weighed, votes = found.whole.calibrated, found.whole.verdict.votes
    if not isinstance(weighed, Calibrated) or votes is None:
        return [Check("watch" if is_lower else "none", "For itself", text)]
    falls = weighed.estimate.value < votes.value
    if (is_lower and falls) or (is_higher and not falls):
        return [Check("ok", "Agrees", f"{text}, in line with the adjusted rate")]
    if is_lower or is_higher:
        return [Check("watch", "Disagrees", f"{text}, against the adjusted rate")]
    found_low, found_high = weighed.estimate.low, weighed.estimate.high
    if found_low is not None and found_high is not None and found_low <= votes.value <= found_high:
        return [Check("ok", "Agrees", f"{text}: no difference shown, and none between votes and adjusted rate")]
    return [Check("watch", "Unsure", f"{text}: no difference shown")]


def _votes_check(found: Survivorship) -> Check:
    counts = found.whole.counts
    large = [(cell.votes, NAMES[stratum]) for stratum, cell in counts.by_stratum.items() if cell.n > 0.02 * counts.n]
    if not large:
        return Check("none", "Missing", "No closed session to count votes of")
    fewest, name = min(large)
    text = f"At least 5 votes in every group of over 2% of sessions: the fewest are {fewest}, in “{name}”"
    if fewest >= 5:
        return Check("ok", "Enough", text)
    return Check("none", "Missing", f"{text}; without them there is no adjusted rate")


def _leavers_check(found: Survivorship, links: Links) -> list[Check]:
    left = found.whole.counts[Stratum.ABANDONED]
    if not left.n:
        return []
    if left.votes < LEFT_VOTES_MIN:
        text = f"Whether those who left got what they came for is not known: {left.votes} of {fmt.count(left.n)} voted"
        return [Check("none", "Missing", text, links.read(), "Read some of them")]
    rate = left.rate or 0.0
    text = (
        f"“Left” may include people who got their answer: {percent(rate)} of the {of_things(left.votes, 'leaver')} who "
        "voted gave up votes"
    )
    own = found.whole.verdict.strata.get(Stratum.ABANDONED)
    known = own.rate if isinstance(own, StratumCoverage) and isinstance(own.rate, Estimate) else None
    if known is not None and known.high is not None and known.high < 0.5:
        return [Check("ok", "Mostly not", text.replace("may include", "seems to hold few"), links.read(), "Read some")]
    return [Check("watch", "Unsure", text, links.read(), "Read some of them")]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is in no rate, or needs to be known of the rates: how much, and what can be done."""

    name: str
    words: str
    href: str = ""
    action: str = ""


def left_out(found: Look, links: Links, other_units: str, unbound: Unbound | None, revised: str) -> list[LeftOut]:
    """What is in no rate. `other_units` is the address that counts traces without a session in, or leaves them out."""
    units, said = found.units, []
    if units.open:
        votes = fmt.count(units.open_votes)
        words = f"{of_things(units.open, 'session')} not over yet, {votes} with a vote; counted once over"
        said.append(LeftOut("Open", words))
    if units.unanswered:
        words = (
            f"{of_things(units.unanswered, 'closed session')} in which nothing was ever answered, "
            f"{fmt.count(units.unanswered_votes)} with a vote: nobody can be satisfied with an answer that never came"
        )
        said.append(LeftOut("Without an answer", words, f"{links.sessions()}&seen=unanswered", "Open them"))
    if units.lone.n and not found.has_lone:
        votes = fmt.count(units.lone.total.votes)
        words = f"{of_things(units.lone.n, 'trace')} that name no session, {votes} with a vote"
        said.append(LeftOut("Without a session", words, other_units, "Count them in"))
    elif units.lone.n and units.sessions.n:
        words = f"{of_things(units.lone.n, 'trace')} that name no session count as one unit each"
        said.append(LeftOut("Without a session", words, other_units, "Leave them out"))
    elif units.lone.n:
        words = "No trace names a session, so each trace is one unit; what its user did next is not known"
        said.append(LeftOut("Without a session", words))
    if unbound is not None and unbound.waiting:
        words = (
            f"{'at least ' if unbound.waiting >= UNBOUND_MAX else ''}{of_things(unbound.waiting, 'signal')} of the "
            f"project about what is not here (yet), {fmt.count(unbound.orphans)} for over 7 days; they are in no rate"
        )
        said.append(LeftOut("Without a target", words, f"{links.base}signals/all/?bound=no", "See them"))
    late = "count for their session whenever they come, and change what was said of it"
    said.append(LeftOut("Late votes", late + revised))
    return said
