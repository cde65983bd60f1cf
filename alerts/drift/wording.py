"""What a report comes to in a sentence, and words for its states: no more than a test and a size bear out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.drift.fields import Side
from alerts.drift.grouping import GROWN, Group
from alerts.drift.report import Report
from alerts.drift.shifts import UNKNOWN, FieldShift
from alerts.drift.words import is_lexical
from telltale.lib import format as fmt

STATE_WORDS = {
    "stable": ("ok", "Stable"),
    "small": ("ok", "Small"),
    "shifted": ("watch", "Shifted"),
    "too_little": ("none", "Too little"),
}
# Fields that say what is run, not what is asked or answered: a new version is news of the change log.
_OF_RELEASES = ("prompt_version", "model", "provider")


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence with how grave it is: ok, watch, none. `rank` orders sentences of both sides."""

    state: str
    sentence: str
    rank: float = 0.0


def tell(report: Report | None, side: Side, encoder: str) -> Told:
    """One side in a sentence."""
    noun = "inputs" if side == "input" else "outputs"
    if report is None:
        return Told("none", f"No report on {noun} yet")
    if report.mmd2 is None:
        return Told("none", f"Too little to compare {noun}: {report.lacking}")
    grown = grown_groups(report)
    if report.has_moved and grown:
        return Told("watch", _grown(grown[0], side, encoder), 2 + grown[0].change)
    if report.has_moved:
        what = "wording" if is_lexical(encoder) else "meaning"
        moved = f"The {what} of {noun} has moved away from the reference; no single group accounts for it"
        return Told("watch", moved, 1.5)
    shifted = [each for each in report.fields if each.state == "shifted" and each.key not in _OF_RELEASES]
    if shifted:
        return Told("watch", f"{noun.capitalize()} read as before, but {lower(describe(shifted[0]))}", 1)
    return Told("ok", f"{noun.capitalize()} look like the reference")


def grown_groups(report: Report) -> list[Group]:
    """Groups that grew beyond chance, the one that grew most first; none where their division did not move."""
    if report.topic_p_adjusted is None or not report.has_moved:
        return []
    found = [each for each in report.groups if (each.residual or 0.0) >= GROWN and each.change > 0]
    return sorted(found, key=lambda group: -group.change)


def _grown(group: Group, side: Side, encoder: str) -> str:
    share, before = fmt.share(group.share_current), fmt.share(group.share_reference)
    noun = "inputs" if side == "input" else "outputs"
    if group.is_new:
        kind = "A new kind of wording" if is_lexical(encoder) else "A new kind"
        of = "question" if side == "input" else "answer"
        first = kind if is_lexical(encoder) else f"{kind} of {of}"
        return f"{first}: “{group.name}” is {share} of {noun}, up from {before}"
    if group.key == "outside":
        return f"{share} of {noun} are unlike any in the reference, up from {before}"
    return f"{noun.capitalize()} like “{group.name}” are {share} of all, up from {before}"


def describe(shift: FieldShift) -> str:
    """What moved most in one field: "Answer length: the middle 289 → 90 characters"."""
    if shift.lacking:
        return f"{shift.title}: {shift.lacking}"
    if shift.test == "Kolmogorov-Smirnov":
        middle = next((each for each in shift.moved if each.name == "p50"), None)
        if middle is None:
            return shift.title
        then, now = fmt.count(round(middle.share_reference)), fmt.count(round(middle.share_current))
        return f"{shift.title}: half are under {now} {shift.unit}, {then} before"
    if not shift.moved:
        return shift.title
    first = shift.moved[0]
    then, now = fmt.share(first.share_reference), fmt.share(first.share_current)
    return f"{shift.title}: {named(first.name)} {then} → {now}"


def named(value: str) -> str:
    """A category's name as a sentence has it."""
    return "not known" if value == UNKNOWN else value


def lower(text: str) -> str:
    """A sentence's beginning within another."""
    return text[:1].lower() + text[1:]


def began(points: Sequence[tuple[float | None, float | None]]) -> int:
    """How many days in a row, the latest ones, lie beyond what chance gives; days without enough neither end nor count.

    `points`: (distance, what 99 of 100 permutations stay under) by day, oldest first.
    """
    n = 0
    for value, limit in reversed(points):
        if value is None or limit is None:
            continue
        if value <= limit:
            break
        n += 1
    return n
