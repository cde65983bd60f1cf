"""What the review page shows, made ready: the list, the item, the form, the head and its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from evals.judges.material import Material
from evals.read.calibration import CalibrationRow
from evals.read.review import Counts, ItemView, Judged, JudgedScore, Progress, QueueView, ReviewView, ScoreView
from evals.reviewing.config import (
    ERRORS,
    FAILURE,
    FALSE_ALARM,
    FLAGGED,
    GOOD,
    KIND_WORDS,
    RULES,
    THUMBS_DOWN,
    UNSURE,
    stored_config,
)
from evals.reviewing.marking import Piece, mark
from evals.rubrics import Criterion, Rubric, parse_rubric
from telltale.lib.format import count, latency, share

# Longer texts are cut on the page; the trace has them whole.
TEXT_MAX = 20_000
DOCUMENT_MAX = 4_000
DOCUMENTS_SHOWN = 12
MESSAGES_SHOWN = 12
VERDICT_WORDS = {FAILURE: "Real failure", FALSE_ALARM: "False alarm", GOOD: "Fine", UNSURE: "Unsure"}
_SHORT = {FAILURE: "Real", FALSE_ALARM: "False alarm", GOOD: "Fine", UNSURE: "Unsure"}
_PICKED = {
    FLAGGED: "answers that a judge flagged",
    THUMBS_DOWN: "answers that end users disliked",
    ERRORS: "traces that ended in an error",
}
_MANY = {FAILURE: "real failure", FALSE_ALARM: "false alarm", GOOD: "fine", UNSURE: "unsure"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list of what waits."""

    href: str
    at: datetime
    badge: str
    is_bad: bool
    reason: str
    question: str
    said: str
    held_by: str
    is_current: bool
    is_disputed: bool


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message of the conversation."""

    css: str
    who: str
    pieces: tuple[Piece, ...]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A document that the assistant could see."""

    name: str
    pieces: tuple[Piece, ...]
    score: str


@dataclass(frozen=True, slots=True)
class Line:
    """A criterion with what somebody gave it."""

    title: str
    value: str
    is_bad: bool
    reason: str


@dataclass(frozen=True, slots=True)
class JudgeBlock:
    """What a judge thought."""

    title: str
    href: str
    lines: tuple[Line, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a person said of the item."""

    who: str
    verdict: str
    category: str
    note: str
    lines: tuple[Line, ...]
    at: datetime
    is_adjudication: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One level of a criterion's scale in the form; `key` is the digit that picks it, empty for none."""

    value: str
    label: str
    key: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Question:
    """One criterion in the form."""

    key: str
    title: str
    definition: str
    choices: tuple[Choice, ...]
    is_wide: bool


@dataclass(frozen=True, slots=True)
class Option:
    """One verdict in the form."""

    value: str
    label: str
    about: str
    key: str
    is_chosen: bool


FLAG_WORDS = {
    "injection_attempt": "the text addresses the judge",
    "evidence_not_found": "a quote is not in the text",
    "cut": "the judge saw a part of the text",
}


def rows_of(
    items: Sequence[ItemView],
    *,
    questions: Mapping[Any, str],
    judged: Mapping[Any, Judged],
    said: Mapping[int, ReviewView],
    person_id: int | None,
    current: int | None,
    is_blind: bool,
    base: str,
    query: Sequence[tuple[str, str]],
) -> list[Row]:
    """The list: what waits, then what this person said. Nothing of the judge where it is blind."""
    rows = []
    for item in items:
        mine = said.get(item.id)
        hides = is_blind and mine is None
        badge, is_bad = ("", False) if hides else badge_of(judged.get((item.trace_id, item.span_id)))
        held = item.held_by if item.leased_by_id != person_id else ""
        rows.append(
            Row(
                href=f"{base}?" + urlencode([*query, ("item", str(item.id))]),
                at=item.started_at,
                badge=badge,
                is_bad=is_bad,
                reason="" if hides else item.reason,
                question=questions.get(item.trace_id, "The trace is gone"),
                said=_SHORT.get(mine.verdict, "Scored") if mine else "",
                held_by=held,
                is_current=item.id == current,
                is_disputed=item.state == "disputed",
            )
        )
    return rows


def badge_of(judged: Judged | None) -> tuple[str, bool]:
    """The worst score of a judge as "2 / 5", and whether it is a bad one; empty where there is none on points."""
    if judged is None:
        return "", False
    rubric = parse_rubric(dict(judged.spec))
    worst: tuple[float, str] | None = None
    for score in judged.scores:
        criterion = rubric.criterion(score.name)
        if criterion is None or score.number is None or criterion.scale.kind != "points":
            continue
        unit = criterion.scale.to_unit(score.number)
        if unit is not None and (worst is None or unit < worst[0]):
            worst = (unit, f"{score.number:g} / {criterion.scale.high}")
    if worst is None:
        return ("flagged", True) if judged.is_flagged else ("", False)
    return worst[1], worst[0] <= 0.25 or bool(judged.is_flagged)


def conversation(material: Material, next_words: str, quotes: Sequence[str]) -> list[Bubble]:
    """What was said, in order: before, the question, the answer with the judge's quotes marked, what came next."""
    bubbles = [_bubble(each.role, each.text, ()) for each in material.messages[-MESSAGES_SHOWN:]]
    if material.question:
        bubbles.append(_bubble("user", material.question, ()))
    if material.answer:
        bubbles.append(_bubble("assistant", material.answer, quotes))
    if next_words:
        bubbles.append(Bubble("", "User, next", mark(next_words, ())))
    return bubbles


def _bubble(role: str, text: str, quotes: Sequence[str]) -> Bubble:
    css = role if role in ("user", "assistant") else ""
    return Bubble(
        css, role.replace("_", " ").capitalize() or "Somebody", mark(text[:TEXT_MAX], quotes), len(text) > TEXT_MAX
    )


def sources(material: Material, quotes: Sequence[str]) -> tuple[list[Source], int]:
    """The documents that the assistant could see, quotes marked, and how many more there are."""
    shown = [
        Source(
            each.id or f"document {each.rank}",
            mark(each.text[:DOCUMENT_MAX], quotes),
            "" if each.score is None else f"score {each.score:.3g}",
        )
        for each in material.documents[:DOCUMENTS_SHOWN]
    ]
    return shown, max(len(material.documents) - DOCUMENTS_SHOWN, 0)


def judge_block(judged: Judged, base: str) -> JudgeBlock:
    """What the judge gave, criterion by criterion."""
    rubric = parse_rubric(dict(judged.spec))
    badge, _ = badge_of(judged)
    title = f"Judge: {judged.judge_name} v{judged.version}" + (f", {badge}" if badge else "")
    lines = tuple(_line(rubric, each) for each in judged.scores)
    flags = tuple(FLAG_WORDS.get(flag, flag.replace("_", " ")) for flag in judged.flags)
    return JudgeBlock(title, f"{base}judges/{judged.judge_slug}/?v={judged.version}", lines, flags)


def spoken(review: ReviewView, rubric: Rubric) -> Spoken:
    """What one person said."""
    lines = tuple(_line(rubric, each) for each in review.scores)
    verdict = VERDICT_WORDS.get(review.verdict, "Scores alone")
    return Spoken(
        review.reviewer, verdict, review.category, review.note, lines, review.created_at, review.is_adjudication
    )


def _line(rubric: Rubric, score: JudgedScore | ScoreView) -> Line:
    criterion = rubric.criterion(score.name)
    title = criterion.title if criterion else score.name
    unit = None
    if criterion is not None and score.number is not None:
        unit = criterion.scale.to_unit(score.number)
    reason = score.reason if isinstance(score, JudgedScore) else ""
    return Line(title, value_words(criterion, score.number, score.label), unit is not None and unit <= 0.25, reason)


def value_words(criterion: Criterion | None, number: float | None, label: str | None) -> str:
    """A score as people read it."""
    if label:
        return label
    if number is None:
        return "unsure"
    if criterion is not None and criterion.scale.kind == "boolean":
        return "yes" if number else "no"
    return f"{number:g}"


def questions(rubric: Rubric, chosen: Mapping[str, str]) -> list[Question]:
    """The form's criteria; what was chosen before stays chosen."""
    found = []
    for criterion in rubric.criteria:
        scale = criterion.scale
        if scale.kind == "boolean":
            levels = [("yes", "yes", "1"), ("no", "no", "2")]
        elif scale.kind == "labels":
            levels = [(label, label, _digit(at + 1)) for at, label in enumerate(scale.labels)]
        else:
            levels = [(str(level), str(level), _digit(level)) for level in scale.levels]
        picked = chosen.get(criterion.key, "")
        choices = tuple(Choice(value, label, key, value == picked) for value, label, key in levels)
        is_wide = scale.kind == "labels" or len(levels) > 5
        found.append(Question(criterion.key, criterion.title, criterion.definition, choices, is_wide))
    return found


def _digit(level: int) -> str:
    """The key for a level: its digit, 0 for ten; none for what no digit names."""
    if level == 10:
        return "0"
    return str(level) if 0 <= level <= 9 else ""


def options(queue: QueueView, *, is_triage: bool, chosen: str) -> list[Option]:
    """The verdicts: on a judge's flag whether it is right, without one whether the answer is."""
    fine = (
        (FALSE_ALARM, "False alarm", "The answer is fine; the judge erred")
        if is_triage
        else (GOOD, "Fine", "The answer does what it should")
    )
    told = (
        (FAILURE, "Real failure", "The answer is wrong or harmful"),
        fine,
        (UNSURE, "Unsure", "Needs a second person"),
    )
    return [
        Option(value, label, about, str(at), value == chosen) for at, (value, label, about) in enumerate(told, start=1)
    ]


def flag_words(rows: Sequence[CalibrationRow]) -> str:
    """How good the judge's flag is, as measured on people's reviews; empty where nobody measured it."""
    for row in sorted(rows, key=lambda row: row.computed_at, reverse=True):
        flag = row.result.get("flag")
        if row.scope.stored() or not isinstance(flag, Mapping):
            continue
        parts = [
            f"{words} {share(told['value'])} (95% CI {share(told['low'])}–{share(told['high'])})"
            for words, told in (("finds", flag.get("recall")), ("is right in", flag.get("precision")))
            if isinstance(told, Mapping) and told.get("value") is not None and told.get("low") is not None
        ]
        if parts:
            of = {"finds": " of bad answers", "is right in": " of what it flags"}
            said = [part + next(tail for head, tail in of.items() if part.startswith(head)) for part in parts]
            return f"The flag “{row.criterion} {flag.get('words', '')}” {', and '.join(said)}, n = {row.pairs:,}."
    return ""


def title_words(queue: QueueView, counts: Counts) -> str:
    """The head of the page."""
    total = counts.total - counts.dropped
    return f"{queue.name}: {count(counts.reviewed)} of {count(total)} answer{'' if total == 1 else 's'} reviewed"


def kind_words(queue: QueueView) -> str:
    """What comes into a queue, in words."""
    picked = [_PICKED[rule] for rule in stored_config(queue.config).rules if rule in _PICKED]
    if queue.kind != RULES or not picked:
        return KIND_WORDS.get(queue.kind, "")
    words = ", ".join(picked[:-1]) + (" and " if picked[1:] else "") + picked[-1]
    return words[0].upper() + words[1:]


def summary_words(queue: QueueView, counts: Counts, progress: Progress, now: datetime) -> str:
    """What the queue is of, what was found so far, and how long it takes yet."""
    parts = [f"{kind_words(queue)}."]
    found = [
        f"{count(n)} {_MANY.get(verdict, verdict)}{'s' if n != 1 and verdict in (FAILURE, FALSE_ALARM) else ''}"
        for verdict, n in sorted(
            progress.verdicts.items(), key=lambda pair: list(_MANY).index(pair[0]) if pair[0] in _MANY else 9
        )
        if verdict
    ]
    if found:
        parts.append(f"{', '.join(found)} so far.")
    if counts.disputed:
        parts.append(f"{count(counts.disputed)} to settle between people who disagree.")
    if queue.due_at is not None:
        left = (queue.due_at - now).total_seconds()
        parts.append(f"Due in {latency(left * 1000)}." if left > 0 else f"Due {latency(-left * 1000)} ago.")
    if progress.pace_seconds is not None and counts.waiting:
        took = latency(progress.pace_seconds * counts.waiting * 1000)
        parts.append(f"About {took} left at your pace of {latency(progress.pace_seconds * 1000)} an answer.")
    return " ".join(parts)
