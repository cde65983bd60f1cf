"""What a signal's value says: a vote up or down, a rating, or that something did not happen."""

from __future__ import annotations

from collections.abc import Sequence

from traces.behaviour.definition import Definition
from traces.behaviour.types import Seen
from traces.signals.kinds import Kind, Source

_VOTERS = (Source.END_USER, Source.API)
_DENIED = frozenset({"no", "false", "0", "not", "none", "incomplete", "failed", "failure"})


def is_denied(seen: Seen) -> bool:
    """Whether a signal says that what its name says did not happen: `completed: false`."""
    if seen.truth is not None:
        return not seen.truth
    if seen.number is not None:
        return seen.number == 0 and seen.kind is not Kind.CONVERSION
    return seen.label is not None and seen.label.strip().lower() in _DENIED


def rated(seen: Seen, rules: Definition) -> int | None:
    """1 up, -1 down, 0 neither, of a rating; None where it is none on the scale."""
    if seen.number is None or not rules.rating_low <= seen.number <= rules.rating_high:
        return None
    return 1 if seen.number >= rules.rating_up_from else -1 if seen.number <= rules.rating_down_to else 0


def count_votes(signals: Sequence[Seen], rules: Definition) -> tuple[int, int, float | None]:
    """(The last vote of all, how many people's last word is a vote, the last rating). `signals`: in order of time.

    Each person's last one counts; without an author there is one person. A thumb taken back, or a rating between up and
    down, says nothing about the votes before it.
    """
    last: dict[str, int] = {}
    rating: float | None = None
    for each in signals:
        if each.source not in _VOTERS:
            continue
        vote = 0
        if each.kind is Kind.THUMB:
            vote = each.vote or 0
        elif each.kind is Kind.RATING:
            found = rated(each, rules)
            if found is None:
                continue
            vote, rating = found, each.number
        if vote:
            author = each.author or ""
            last.pop(author, None)
            last[author] = vote
    return (next(reversed(last.values())) if last else 0), len(last), rating
