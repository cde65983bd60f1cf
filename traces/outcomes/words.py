"""What an outcome measures, in a sentence for people."""

from __future__ import annotations

from collections.abc import Sequence

from traces.behaviour.types import Fact
from traces.outcomes.spec import Check, Condition, Measure, OutcomeSpec, Per
from traces.signals.kinds import Kind

KIND_WORDS = {
    Kind.THUMB: "a thumb",
    Kind.RATING: "a rating",
    Kind.CORRECTION: "a correction told",
    Kind.FOLLOW_UP: "a follow-up told",
    Kind.RETRY: "a retry told",
    Kind.COPIED: "a copied answer",
    Kind.EDITED: "an edited answer",
    Kind.ABANDONED: "an abandonment told",
    Kind.ESCALATED: "an escalation told",
    Kind.COMPLETED: "a completed task told",
    Kind.CONVERSION: "a conversion",
    Kind.TEXT: "a comment",
}
FACT_WORDS = {
    Fact.ABANDONED: "an abandonment",
    Fact.RETRIED: "a retry",
    Fact.REPHRASED: "a rephrased question",
    Fact.CORRECTED: "a correction",
    Fact.FOLLOWED_UP: "a follow-up",
    Fact.ESCALATED: "an escalation",
    Fact.COMPLETED: "a completion",
    Fact.CONVERTED: "a conversion",
    Fact.COPIED: "a copied answer",
    Fact.EDITED: "an edited answer",
    Fact.ERROR: "a failed turn",
}
MEASURE_WORDS = {
    Measure.SHARE: "Share of sessions",
    Measure.VALUE: "Mean value",
    Measure.COST: "Cost per session with it",
    Measure.TIME: "Time to it",
    Measure.ANSWERS: "Answers until it",
}
_THUMBS = {True: "a thumb up", False: "a thumb down"}


def sentence(spec: OutcomeSpec) -> str:
    """ "Sessions with a conversion, as a share of all sessions." """
    it, scope = any_of(spec.of), _scope(spec)
    match spec.measure:
        case Measure.SHARE:
            return f"Sessions with {it}, as a share of {scope or 'all sessions'}."
        case Measure.COST:
            return f"Cost of {scope or 'all sessions'}, divided by those with {it}."
        case Measure.VALUE:
            over = "all of them, 0 where there is none" if spec.per is Per.SESSION else "sessions that have it"
            return f"The number of {it}, summed by session: the mean over {over}{_of(scope)}."
        case Measure.TIME:
            return f"From the first turn to the first of {it}: the mean over sessions that have it{_of(scope)}."
        case Measure.ANSWERS:
            return f"Answers until the first of {it}: the mean over sessions that have it{_of(scope)}."


def any_of(conditions: Sequence[Condition]) -> str:
    """ "a conversion or a completed task told"."""
    return " or ".join(condition_words(each) for each in conditions)


def condition_words(condition: Condition) -> str:
    """One condition: "a rating of at least 4"."""
    if condition.fact is not None:
        return FACT_WORDS[condition.fact]
    if condition.kind is Kind.THUMB and condition.check is Check.IS:
        return _THUMBS[bool(condition.wanted)]
    what = KIND_WORDS[condition.kind] if condition.kind is not None else f"a signal “{condition.name}”"
    match condition.check:
        case None:
            return what
        case Check.IS:
            return f"{what} that is {'true' if condition.wanted else 'false'}"
        case Check.LABEL:
            return f"{what} “{condition.wanted}”"
        case Check.AT_LEAST:
            return f"{what} of at least {condition.wanted:g}"
        case Check.AT_MOST:
            return f"{what} of at most {condition.wanted:g}"


def _scope(spec: OutcomeSpec) -> str:
    parts = []
    if spec.among:
        parts.append(f"those with {any_of(spec.among)}")
    if spec.features:
        names = ", ".join(spec.features)
        parts.append(f"{'' if spec.among else 'sessions '}of {names}")
    return " ".join(parts)


def _of(scope: str) -> str:
    return f", of {scope}" if scope else ""
