"""Triage in words: one response as a card, the strip of all, and what the verdicts come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from alerts.incidents.types import Verdict
from alerts.read.triage import BEFORE, CONTROL, FALSE, FLAGGED, REAL, UNSURE, Deal, ItemRow
from alerts.stats.triage import Arm, Range, Weighed
from evals.judges.material import Material
from telltale.lib import format as fmt
from telltale.lib.format import EN_DASH

TEXT_MAX, DOCUMENT_MAX, DOCUMENTS_SHOWN, MESSAGES_SHOWN, TOOLS_SHOWN = 20_000, 2_000, 10, 20, 20
# What people answer with: value, words, what it means, key.
OPTIONS = (
    (REAL, "Real failure", "A user was served badly", "1"),
    (FALSE, "Fine", "Nothing wrong with it", "2"),
    (UNSURE, "Cannot tell", "Counts for neither", "3"),
)
WORDS = {REAL: "Real", FALSE: "Fine", UNSURE: "?"}
_CSS = {REAL: "r", FALSE: "f", UNSURE: "u"}
_LONG = {REAL: "real failure", FALSE: "fine", UNSURE: "cannot tell"}
ORIGINS = {
    FLAGGED: "Flagged, these hours",
    CONTROL: "Not flagged, these hours",
    BEFORE: "Flagged, before",
}
_WHOLE = {FLAGGED: "These hours", BEFORE: "Before"}


@dataclass(frozen=True, slots=True)
class Text:
    """A piece that somebody said or a document held; `is_cut`: the trace has more."""

    who: str
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One response: big the question and the answer, folded what was around them. `facts` say nothing of its origin."""

    position: int
    is_gone: bool
    question: Text | None
    answer: Text | None
    next_words: str
    facts: str
    earlier: tuple[Text, ...]
    documents: tuple[Text, ...]
    tools: tuple[Text, ...]
    system: Text | None
    more: int
    verdict: str
    said: str
    held_by: str
    note: str
    trace_href: str
    origin: str
    is_mine: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """One response in the strip of all; `label` is "" where nobody said anything."""

    position: int
    css: str
    label: str
    title: str
    href: str
    is_current: bool
    is_flagged: bool


@dataclass(frozen=True, slots=True)
class Line:
    """The verdicts on one origin in the table. `part`: the share of real ones with its interval, "" without any."""

    name: str
    dealt: int
    real: int
    false: int
    unsure: int
    left: int
    part: str


@dataclass(frozen=True, slots=True)
class Result:
    """What the verdicts come to in sentences. `suggestion`: real, false or ""; `advice` says it in words."""

    lines: tuple[Line, ...]
    sentences: tuple[str, ...]
    suggestion: str
    advice: str
    why: str


def card(
    item: ItemRow, material: Material | None, next_words: str, *, person_id: int | None, base: str, is_open: bool
) -> Card:
    """One response as the page shows it. Before the deal is over nothing says when it was, or links to it."""
    shown = material is not None
    about = material or Material()
    talk = tuple(_text(each.role, each.text) for each in about.messages[-MESSAGES_SHOWN:])
    documents = tuple(
        _text(each.id or f"document {each.rank}", each.text, DOCUMENT_MAX) for each in about.documents[:DOCUMENTS_SHOWN]
    )
    tools = tuple(
        _text(
            each.name,
            "\n".join(filter(None, (each.arguments, each.result, f"failed: {each.error}" if each.error else ""))),
            DOCUMENT_MAX,
        )
        for each in about.tools[:TOOLS_SHOWN]
    )
    return Card(
        position=item.position,
        is_gone=not shown,
        question=_text("Question", about.question) if about.question else None,
        answer=_text("Answer", about.answer) if about.answer else None,
        next_words=next_words[:TEXT_MAX],
        facts=facts_of(about) if shown else "",
        earlier=talk,
        documents=documents,
        tools=tools,
        system=_text("Instructions", about.system) if about.system else None,
        more=max(len(about.documents) - DOCUMENTS_SHOWN, 0),
        verdict=item.verdict,
        said=f"{item.who or 'A key'} said {_LONG[item.verdict]}" if item.verdict else "",
        held_by=item.held_by if item.held_by_id not in (None, person_id) else "",
        note=item.note,
        trace_href=f"{base}traces/{item.hex_id}/" if is_open else "",
        origin=ORIGINS[item.origin] if is_open else "",
        is_mine=item.user_id is not None and item.user_id == person_id,
    )


def facts_of(material: Material) -> str:
    """How long it took, what it cost, how it ended: what a user feels of it and no text says."""
    parts = []
    if material.duration_ms is not None:
        parts.append(f"took {fmt.latency(material.duration_ms)}")
    if material.cost_pico is not None:
        parts.append(f"cost {fmt.cost_pico(material.cost_pico)}")
    if material.finish_reason and material.finish_reason not in {"stop", "end_turn"}:
        parts.append(f"ended by {material.finish_reason}")
    if material.error_type:
        parts.append(f"failed: {material.error_type}")
    return ", ".join(parts)


def strip(found: Deal, current: int | None, address: str) -> list[Cell]:
    """All that was dealt, in its order."""
    cells = []
    for item in found.items:
        title = f"Response {item.position}: {_LONG.get(item.verdict, 'nobody said anything')}"
        if item.verdict and item.who:
            title += f", {item.who}"
        elif item.held_by:
            title += f", with {item.held_by}"
        if found.is_open:
            title += f". {ORIGINS[item.origin]}"
        cells.append(
            Cell(
                item.position, _CSS.get(item.verdict, ""), WORDS.get(item.verdict, str(item.position)), title,
                f"{address}?{urlencode({'at': item.position})}", item.position == current,
                found.is_open and item.origin == FLAGGED,
            )
        )  # fmt: skip
    return cells


def result(found: Deal) -> Result:
    """What the verdicts come to so far."""
    weighed = found.weigh()
    origins = (FLAGGED, BEFORE) if found.is_whole else (FLAGGED, CONTROL, BEFORE)
    names = _WHOLE if found.is_whole else ORIGINS
    parts = {FLAGGED: weighed.confirmed, CONTROL: weighed.missed, BEFORE: weighed.confirmed_before}
    lines = tuple(_line(names[origin], found.arm(origin), parts[origin]) for origin in origins)
    return Result(lines, tuple(_sentences(found, weighed)), weighed.suggestion, _advice(weighed), weighed.why)


def _line(name: str, arm: Arm, part: Range | None) -> Line:
    return Line(name, arm.dealt, arm.real, arm.false, arm.unsure, arm.left, span(part) if part else "")


def _sentences(found: Deal, weighed: Weighed) -> list[str]:
    now = found.arm(FLAGGED)
    told = []
    if weighed.confirmed is not None:
        unsure = f" {now.unsure} cannot be told." if now.unsure else ""
        kind = "" if found.is_whole else "flagged "
        told.append(
            f"{now.real} of the {now.decided} decided {kind}responses are real failures: {span(weighed.confirmed)}."
            + unsure
        )
    if weighed.against_control is not None and weighed.against_control.value is not None:
        missed = found.arm(CONTROL)
        gap = weighed.against_control
        told.append(
            f"Of responses that are not flagged {missed.real} of {missed.decided} are; the difference is"
            f" {_points(gap.value)} (95% CI {_points(gap.low)} to {_points(gap.high)})."
        )
    if not found.is_whole and found.now.share is not None and found.before.share is not None:
        told.append(
            f"Flagged are {fmt.share(found.now.share)} of responses now (n = {found.now.n:,}), before"
            f" {fmt.share(found.before.share)} (n = {found.before.n:,})."
        )
        if weighed.rate_now is not None and weighed.rate_before is not None:
            before = weighed.rate_before
            was = span(before) if before.value is not None else f"at most {fmt.share(before.high)}"
            told.append(f"Times the part that is real: {span(weighed.rate_now)} of all responses now, before {was}.")
    elif found.is_whole and weighed.confirmed_before is not None:
        told.append(f"Of responses before, {span(weighed.confirmed_before)} are real failures.")
    return told


def _advice(weighed: Weighed) -> str:
    match weighed.why:
        case "rose":
            return "The verdicts suggest a real regression: confirmed failures rose by more than chance gives."
        case "most_real":
            return "The verdicts suggest a real regression: most flagged responses are real failures."
        case "not_risen":
            return "The verdicts suggest a false alarm: more is flagged, but confirmed failures explain less than half."
        case "few_real":
            return "The verdicts suggest a false alarm: fewer than one in four can be real failures."
        case "too_few":
            return "Too few flagged responses are decided to suggest anything."
    return "The verdicts do not settle it: the interval of the rise holds none and a real one alike."


def span(part: Range) -> str:
    """A share with its interval: "84% (95% CI 60–97)"."""
    low, high = fmt.share(part.low).removesuffix("%"), fmt.share(part.high).removesuffix("%")
    return f"{fmt.share(part.value)} (95% CI {low}{EN_DASH}{high})"


def concluded(verdict: str) -> str:
    """What people decided."""
    return {Verdict.REAL: "Real regression", Verdict.FALSE: "False alarm"}.get(Verdict(verdict), "") if verdict else ""


def _points(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:+.0f} points".replace("-", fmt.MINUS)


def _text(who: str, text: str, most: int = TEXT_MAX) -> Text:
    return Text(who.replace("_", " ").capitalize() or "Somebody", text[:most], len(text) > most)


def ahead_of(found: Deal, person_id: int | None, current: int | None) -> Sequence[int]:
    """The positions that come next for a person, after the current one."""
    return [
        each.position
        for each in found.items
        if not each.verdict and each.position != current and each.held_by_id in (None, person_id)
    ][:2]
