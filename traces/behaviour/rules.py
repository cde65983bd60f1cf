"""What the user of a session did, by a definition: from its turns and signals, and nothing else.

Every rule is a sentence on the page of definitions (`traces.behaviour.sentences`); a change here changes that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from traces.behaviour import words as spoken
from traces.behaviour.definition import CLOSING_CHARS_MAX, Definition
from traces.behaviour.types import NOTHING, Behaviour, Earlier, Fact, Seen, Stratum, Turn, Why
from traces.behaviour.votes import count_votes, is_denied
from traces.signals.kinds import Kind, Source

# A question is compared with so many turns before it.
LOOK_BACK = 5
# A page shows no more reasons than this.
WHYS_MAX = 50

# What an end user's signal tells by itself.
_TOLD = {
    Kind.CORRECTION: Fact.CORRECTED,
    Kind.EDITED: Fact.CORRECTED | Fact.EDITED,
    Kind.FOLLOW_UP: Fact.FOLLOWED_UP,
    Kind.RETRY: Fact.RETRIED,
    Kind.ESCALATED: Fact.ESCALATED,
    Kind.COPIED: Fact.COPIED,
    Kind.CONVERSION: Fact.CONVERTED,
}
# Signs of completion among signals, by the name that a definition lists them under.
_SIGNS = {Kind.COMPLETED: "completed", Kind.CONVERSION: "conversion", Kind.COPIED: "copied"}
# Whoever did one of these after the last answer did not leave it unanswered.
_REACTIONS = (Kind.CORRECTION, Kind.EDITED, Kind.FOLLOW_UP, Kind.RETRY, Kind.ESCALATED)
_STRATA = (
    (Fact.ABANDONED, Stratum.ABANDONED),
    (Fact.RETRIED | Fact.REPHRASED, Stratum.RETRIED),
    (Fact.CORRECTED, Stratum.CORRECTED),
    (Fact.ESCALATED, Stratum.ESCALATED),
    (Fact.COMPLETED, Stratum.COMPLETED),
)
_OTHERS = (Source.REVIEWER, Source.MODEL)
_started = attrgetter("started_at", "trace_id")
_happened = attrgetter("happened_at")
Note = Callable[[Fact, Turn | Seen, str], None]


def behaviour(
    turns: Sequence[Turn],
    seen: Sequence[Seen],
    definition: Definition,
    now: datetime,
    *,
    is_session: bool = True,
    earlier: Earlier | None = None,
) -> Behaviour:
    """What the user did. `turns`: one at least, in any order; of a long session the newest, what was before in
    `earlier`. `seen`: its signals. `is_session`: False for a trace that names none: only what signals tell is known.

    Signals of reviewers and models say nothing about what the user did. ValueError without turns.
    """
    if not turns:
        raise ValueError("a unit without turns has no behaviour")
    turns = sorted(turns, key=_started)
    feature = (earlier.feature if earlier else "") or next((turn.feature for turn in turns if turn.feature), "")
    rules = definition.for_feature(feature)
    signals = sorted((each for each in seen if each.source not in _OTHERS), key=_happened)
    whys: list[Why] = []

    def note(fact: Fact, where: Turn | Seen, words: str) -> None:
        if len(whys) < WHYS_MAX:
            whys.append(Why(fact, where.trace_id, words, isinstance(where, Seen)))

    last = turns[-1]
    last_at, closes_at = _end(turns, signals, timedelta(minutes=rules.idle_minutes))
    is_closed = now >= closes_at
    answers = sum(turn.has_answer for turn in turns) + (earlier.answers if earlier else 0)
    has_failed = any(turn.failed for turn in turns) or (earlier is not None and earlier.has_failed)
    facts = earlier.facts if earlier else NOTHING
    if has_failed:
        facts |= Fact.ERROR
    if all(turn.said is None for turn in turns):
        facts |= Fact.WORDLESS
    if rules.single_shot:
        facts |= Fact.SINGLE_SHOT
    if not is_session:
        facts |= Fact.LONE
    if not answers:
        facts |= Fact.UNANSWERED
    told = _told(turns, signals, rules, note)
    facts |= told
    if is_session:
        facts |= _derived(turns, rules, note, has_earlier_answer=earlier is not None and earlier.answers > 0)
        if facts & Fact.CLOSING_WORDS and "closing_words" in rules.completion:
            facts |= Fact.COMPLETED
        if (
            is_closed
            and 0 < rules.abandon_answers >= answers
            and not rules.single_shot
            and (last.has_answer or last.failed)
            and not facts & Fact.COMPLETED
            and not _reacted(last, signals, rules)
        ):
            facts |= Fact.ABANDONED
            words = "an error" if last.failed else "an answer"
            note(Fact.ABANDONED, last, f"left after {words}, with {answers} answered in all")
    ends = [turn.ended_at for turn in turns if turn.ended_at is not None]
    first_at = earlier.first_at if earlier else turns[0].started_at
    length = (max(ends) - first_at).total_seconds() if ends and last.ended_at is not None else None
    vote, votes, rating = count_votes(signals, rules)
    return Behaviour(
        feature=feature,
        first_at=first_at,
        last_at=last_at,
        closes_at=closes_at,
        is_closed=is_closed,
        last_trace_id=next((turn.trace_id for turn in reversed(turns) if turn.has_answer), None),
        turns=len(turns) + (earlier.turns if earlier else 0),
        answers=answers,
        facts=facts,
        stratum=_stratum(facts if is_session else told, is_closed, can_tell=is_session and (answers > 0 or has_failed)),
        vote=vote,
        votes=votes,
        rating=rating,
        length_seconds=None if length is None else max(length, 0.0),
        whys=tuple(whys),
    )


def _stratum(facts: Fact, is_closed: bool, *, can_tell: bool) -> Stratum:
    if not is_closed:
        return Stratum.OPEN
    for fact, stratum in _STRATA:
        if facts & fact:
            return stratum
    return Stratum.CARRIED_ON if can_tell else Stratum.UNKNOWN


def _end(turns: Sequence[Turn], signals: Sequence[Seen], idle: timedelta) -> tuple[datetime, datetime]:
    """When something last came, and when the session is over if nothing more does.

    A signal keeps a session open while it is; one that comes when it is over opens nothing again.
    """
    last_at = max(max(turn.ended_at or turn.started_at, turn.started_at) for turn in turns)
    for each in signals:
        if last_at < each.happened_at <= _after(last_at, idle):
            last_at = each.happened_at
    return last_at, _after(last_at, idle)


def _after(moment: datetime, idle: timedelta) -> datetime:
    try:
        return moment + idle
    except OverflowError:  # the year 9999
        return moment


def _told(turns: Sequence[Turn], signals: Sequence[Seen], rules: Definition, note: Note) -> Fact:
    """What signals say."""
    facts = NOTHING
    for at, each in enumerate(signals):
        if is_denied(each):
            continue
        found = _TOLD.get(each.kind, NOTHING)
        if each.kind in _SIGNS and _SIGNS[each.kind] in rules.completion:
            found |= Fact.COMPLETED
        elif each.kind is Kind.ABANDONED and not _came_back(each, turns, signals[at + 1 :]):
            found |= Fact.ABANDONED
        if found:
            facts |= found
            for fact in found:
                note(fact, each, f"the signal “{each.name[:60]}” says so")
    return facts


def _came_back(left: Seen, turns: Sequence[Turn], later: Sequence[Seen]) -> bool:
    if turns[-1].started_at > left.happened_at:
        return True
    return any(each.kind is Kind.COMPLETED and not is_denied(each) for each in later)


def _reacted(last: Turn, signals: Sequence[Seen], rules: Definition) -> bool:
    """Whether the user did not simply leave: asked for a human with the last words, or did something to the answer."""
    if last.said is not None and rules.phrases("escalation_phrases").find(
        spoken.normal(last.said), has_end=not spoken.is_cut(last.said)
    ):
        return True
    answered_at = last.ended_at or last.started_at
    return any(
        each.kind in _REACTIONS
        and not is_denied(each)
        and (each.trace_id == last.trace_id or each.happened_at >= answered_at)
        for each in signals
    )


@dataclass(slots=True)
class _Said:
    """One turn with the words of its user made comparable; " ": none are known."""

    turn: Turn
    words: str
    is_cut: bool
    end: datetime


def _derived(turns: Sequence[Turn], rules: Definition, note: Note, *, has_earlier_answer: bool) -> Fact:
    """What the turns themselves show."""
    facts = NOTHING
    said: list[_Said] = []
    is_answered = has_earlier_answer
    closing: Fact = NOTHING
    for turn in turns:
        text = turn.said
        mine = _Said(
            turn,
            " " if text is None else spoken.normal(text),
            text is not None and spoken.is_cut(text),
            max(turn.ended_at or turn.started_at, turn.started_at),
        )
        closing = NOTHING
        if mine.words != " ":
            found, closing = _heard(mine, rules, note, is_answered=is_answered)
            facts |= found
            facts |= _compared(mine, said, rules, note, is_other=not found and not closing)
        said.append(mine)
        is_answered = is_answered or turn.has_answer
    if closing:
        note(
            Fact.CLOSING_WORDS, turns[-1], f"the last words take leave: “{(turns[-1].said or '')[:CLOSING_CHARS_MAX]}”"
        )
    return facts | closing


def _heard(mine: _Said, rules: Definition, note: Note, *, is_answered: bool) -> tuple[Fact, Fact]:
    """(What phrases tell, whether these words would take leave if they were the last)."""
    facts = NOTHING
    has_end = not mine.is_cut
    if phrase := rules.phrases("escalation_phrases").find(mine.words, has_end=has_end):
        facts |= Fact.ESCALATED
        note(Fact.ESCALATED, mine.turn, f"asks for a human: “{phrase.strip('^$')}”")
    if not is_answered:
        return facts, NOTHING
    if phrase := rules.phrases("correction_phrases").find(mine.words, has_end=has_end):
        facts |= Fact.CORRECTED
        note(Fact.CORRECTED, mine.turn, f"asks for a correction: “{phrase.strip('^$')}”")
    text = mine.turn.said or ""
    takes_leave = (
        not facts
        and has_end
        and len(text) <= CLOSING_CHARS_MAX
        and rules.phrases("closing_phrases").find(mine.words) is not None
        and not spoken.asks(text)
        and rules.phrases("turning").find(mine.words) is None
    )
    return facts, Fact.CLOSING_WORDS if takes_leave else NOTHING


def _compared(mine: _Said, before: Sequence[_Said], rules: Definition, note: Note, *, is_other: bool) -> Fact:
    """Whether a question was asked before, or is another one. `is_other`: whether it may be a question at all."""
    is_long = spoken.letters(mine.words) >= rules.least_letters
    window = max(rules.retry_seconds, rules.rephrase_seconds)
    follows: _Said | None = None
    for theirs in reversed(before[-LOOK_BACK:]):
        failed = theirs.turn.failed
        if not (failed or theirs.turn.has_answer):
            continue
        gap = (mine.turn.started_at - theirs.end).total_seconds()
        if gap < rules.least_gap_seconds:
            # Made by the application itself, or begun before the other had ended.
            return NOTHING
        if follows is None and theirs.turn.has_answer and gap <= rules.follow_up_seconds:
            follows = theirs
        if gap > window or theirs.words == " ":
            continue
        if theirs.words == mine.words and not (is_long or failed):
            return NOTHING
        if mine.is_cut or theirs.is_cut:
            # Two beginnings of 200 characters are no proof; after an error the same one is.
            if theirs.words != mine.words:
                continue
            if not failed:
                return NOTHING
        if theirs.words == mine.words and gap <= rules.retry_seconds:
            note(
                Fact.RETRIED, mine.turn, f"the same question {gap:,.0f} s after {'an error' if failed else 'an answer'}"
            )
            return Fact.RETRIED
        if gap <= rules.rephrase_seconds and is_long:
            alike = spoken.similarity(mine.words, theirs.words)
            if alike >= rules.rephrase_similarity:
                note(Fact.REPHRASED, mine.turn, f"almost the same question ({alike:.2f}) after {gap:,.0f} s")
                return Fact.REPHRASED
    if follows is not None and is_other and is_long and follows.words not in (" ", mine.words):
        note(Fact.FOLLOWED_UP, mine.turn, "another question after an answer")
        return Fact.FOLLOWED_UP
    return NOTHING
