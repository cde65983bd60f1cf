"""What one session adds to each outcome: the x and y of a ratio of sums, or that it is not known.

A session that an outcome does not speak about (another feature, without Y, without X where it is a mean over those with
X) adds nothing. What cannot be told (a cost without a price, a signal without its number, a derived fact of a trace
without a session) is unknown: it is counted apart and never taken for 0. Whether it can be told never depends on what
it is: else those with X would be known, those without unknown, and every share 100 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal

from traces.behaviour.types import Behaviour, Fact, Seen, Stratum
from traces.behaviour.votes import is_denied
from traces.outcomes.spec import NUMBER_MAX, Check, Condition, Measure, OutcomeSpec, Per
from traces.outcomes.types import Figure, Unit
from traces.signals.kinds import Kind, Source

ZERO, ONE = Decimal(0), Decimal(1)
_VALUED = (Kind.RATING, Kind.TEXT, Kind.OTHER, Kind.OUTSIDE)
_BY_WORDS = Fact.RETRIED | Fact.REPHRASED | Fact.CORRECTED | Fact.ESCALATED | Fact.FOLLOWED_UP
# What these say of a person's doing is theirs, not that person's.
_OTHERS = (Source.REVIEWER, Source.MODEL)
# Told numbers are kept to a billionth, times to a microsecond, money to the pico-dollar it is counted in.
_NUMBER_DIGITS, _SECOND_DIGITS = Decimal("1e-9"), Decimal("1e-6")


def figures(specs: Sequence[tuple[int, OutcomeSpec]], unit: Unit) -> tuple[Figure, ...]:
    """What a unit adds to each of the outcomes, (id, measure) each; nothing for one that is not closed."""
    if not unit.behaviour.is_closed:
        return ()
    found = ((outcome_id, figure(spec, unit)) for outcome_id, spec in specs)
    return tuple(Figure(outcome_id, *each) for outcome_id, each in found if each is not None)


def figure(spec: OutcomeSpec, unit: Unit) -> tuple[Decimal | None, Decimal | None] | None:
    """(x, y) of a closed unit, (None, None) where it is unknown; None where the outcome does not speak about it."""
    unknown = (None, None)
    if spec.features and unit.behaviour.feature not in spec.features:
        return None
    if spec.among:
        is_among = _has(spec.among, unit)
        if is_among is None:
            return unknown
        if not is_among:
            return None
    has = _has(spec.of, unit)
    if has is None:
        return unknown
    match spec.measure:
        case Measure.SHARE:
            return ONE, ONE if has else ZERO
        case Measure.COST:
            if unit.cost_pico is None:
                return unknown
            return ONE if has else ZERO, Decimal(unit.cost_pico).scaleb(-12)
        case Measure.VALUE:
            if not has:
                return (ONE, ZERO) if spec.per is Per.SESSION else None
            value = _value(spec.of, unit)
        case Measure.TIME:
            if not has:
                return None
            value = _seconds(spec.of, unit)
        case Measure.ANSWERS:
            if not has:
                return None
            value = _answers(spec.of, unit)
    return unknown if value is None else (ONE, value)


def matches(condition: Condition, seen: Seen) -> bool:
    """Whether a signal is what the condition speaks of, by its name or kind and its value.

    Without a check a signal that was told as false does not count: it says that something did not happen. Of a thumb
    false is a thumb down, and one that was taken back is none.
    """
    if condition.name is not None:
        if seen.name != condition.name:
            return False
    elif condition.kind is None or seen.kind != condition.kind or seen.source in _OTHERS:
        return False
    if seen.vote == 0:
        return False
    match condition.check:
        case None:
            return _has_happened(seen)
        case Check.IS:
            return truth(seen) is condition.wanted
        case Check.LABEL:
            return seen.label == condition.wanted
        case Check.AT_LEAST:
            return _is_number(seen) and seen.number >= condition.wanted  # type: ignore[operator]
        case Check.AT_MOST:
            return _is_number(seen) and seen.number <= condition.wanted  # type: ignore[operator]


def truth(seen: Seen) -> bool | None:
    """What a signal says of yes or no: a vote, its own word, or the sign of its number; None where it says neither."""
    if seen.vote:
        return seen.vote > 0
    if seen.truth is not None:
        return seen.truth
    if _is_number(seen):
        return seen.number > 0  # type: ignore[operator]
    return None


def _has_happened(seen: Seen) -> bool:
    if seen.kind is Kind.THUMB:
        return True
    # The number of these is a value, and 0 is one.
    return seen.truth is not False if seen.kind in _VALUED else not is_denied(seen)


def _has(conditions: Sequence[Condition], unit: Unit) -> bool | None:
    """Whether any of the conditions holds; None where one of them cannot be told of such a session."""
    facts = unit.behaviour.facts
    wanted = [condition.fact for condition in conditions if condition.fact is not None]
    if any(not _can_be_told(fact, unit.behaviour) for fact in wanted):
        return None
    if any(facts & fact for fact in wanted):
        return True
    return any(matches(each, seen) for each in conditions if each.fact is None for seen in unit.seen)


def _can_be_told(fact: Fact, of: Behaviour) -> bool:
    """Whether a fact can be told of such a session at all: as the rates of behaviour leave sessions out."""
    if of.facts & Fact.LONE:
        return False  # what came after a trace without a session is not known
    if fact & Fact.ABANDONED:
        return not of.facts & Fact.SINGLE_SHOT and of.stratum is not Stratum.UNKNOWN
    return not (fact & _BY_WORDS and of.facts & Fact.WORDLESS)


def _of(conditions: Sequence[Condition], unit: Unit) -> Iterator[Seen]:
    for seen in unit.seen:
        if any(condition.fact is None and matches(condition, seen) for condition in conditions):
            yield seen


def _first(conditions: Sequence[Condition], unit: Unit) -> Seen | None:
    return min(_of(conditions, unit), key=lambda seen: seen.happened_at, default=None)


def _value(conditions: Sequence[Condition], unit: Unit) -> Decimal | None:
    total = ZERO
    for seen in _of(conditions, unit):
        if not _is_number(seen) or abs(seen.number) > NUMBER_MAX:  # type: ignore[arg-type]
            return None
        total += Decimal(repr(seen.number)).quantize(_NUMBER_DIGITS)
    return total


def _seconds(conditions: Sequence[Condition], unit: Unit) -> Decimal | None:
    first = _first(conditions, unit)
    if first is None:
        return None
    since = (first.happened_at - unit.behaviour.first_at).total_seconds()
    # Clocks that disagree: value before the first turn is no value of it.
    return None if since < 0 else Decimal(repr(since)).quantize(_SECOND_DIGITS)


def _answers(conditions: Sequence[Condition], unit: Unit) -> Decimal | None:
    first = _first(conditions, unit)
    if first is None or unit.turns is None or len(unit.turns) < unit.behaviour.turns:
        return None
    turns = sorted(unit.turns, key=lambda turn: (turn.started_at, turn.trace_id))
    at = next((at for at, turn in enumerate(turns) if turn.trace_id == first.trace_id), None)
    until = turns[: at + 1] if at is not None else [turn for turn in turns if turn.started_at <= first.happened_at]
    answered = sum(turn.has_answer for turn in until)
    return Decimal(answered) if until else None


def _is_number(seen: Seen) -> bool:
    return seen.number is not None and math.isfinite(seen.number)
