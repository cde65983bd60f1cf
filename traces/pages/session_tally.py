"""Above a list of sessions: how many of them did what, and of how many there is a vote; each leads to its sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from telltale.lib import format as fmt
from traces.forms import ListState, with_term
from traces.read import Term
from traces.read.session_did import Tally
from traces.read.signal_terms import STRATUM_WORDS


@dataclass(frozen=True, slots=True)
class TallyLine:
    """One group: its words, how many, and the list of these."""

    words: str
    n: str
    href: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class TallyView:
    """The groups, the votes, and coverage in words: "Of 312 that are over, 4 voted (1.3%)"."""

    groups: tuple[TallyLine, ...]
    votes: tuple[TallyLine, ...]
    coverage: str
    of: str


def view_tally(tally: Tally, state: ListState) -> TallyView | None:
    """The line above the list; None where nothing is known of any of its sessions."""
    if not any(stratum is not None for stratum in tally.strata):
        return None
    groups = [
        _line(state, "behaviour", stratum.name.lower(), word, tally.strata[stratum])
        for stratum, word in STRATUM_WORDS.items()
        if tally.strata.get(stratum)
    ]
    votes = [_line(state, "vote", word, f"vote {word}", n) for word, n in (("up", tally.up), ("down", tally.down)) if n]
    coverage = "None of them is over yet"
    if tally.closed:
        are, share = "is" if tally.closed == 1 else "are", fmt.share(tally.voted / tally.closed)
        coverage = f"Of {tally.closed:,} that {are} over, {tally.voted:,} voted ({share})"
    unknown = tally.strata.get(None, 0)
    of = f"Of the {'' if tally.is_whole else 'newest '}{tally.n:,} session{'' if tally.n == 1 else 's'} that match"
    of += f"; {unknown:,} not looked at yet" if unknown else ""
    return TallyView(tuple(groups), tuple(votes), coverage, of)


def _line(state: ListState, field: str, value: str, words: str, n: int) -> TallyLine:
    is_on = value in state.wanted.values(field)
    if is_on:
        href = replace(state, wanted=state.wanted.without(field), before="", after="").address()
    else:
        href = with_term(state, Term(field, "is", (value,))).address()
    return TallyLine(words, fmt.count(n, short=True), href, is_on)
