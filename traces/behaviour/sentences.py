"""The rules of behaviour in words, with the numbers of a definition: what pages and REST print beside every figure."""

from __future__ import annotations

from collections.abc import Callable

from traces.behaviour.definition import CLOSING_CHARS_MAX, COMPLETIONS, Definition

PREVIEWS = (
    "Words are compared as they are kept for lists: the last message of the user in a turn, cut at 200 characters. Cut "
    "messages are never taken for the same question, except after an error."
)


def idle(rules: Definition) -> str:
    """When a session is over."""
    return f"A session is over when nothing came for {_time(rules.idle_minutes * 60)}; until then it is in no rate."


def abandonment(rules: Definition) -> str:
    """When a session counts as abandoned."""
    if rules.single_shot:
        return "One answer is the whole job here: only a signal tells that a session was abandoned."
    if not rules.abandon_answers:
        return "Leaving says nothing here: only a signal tells that a session was abandoned."
    answers = "one answer" if rules.abandon_answers == 1 else f"{rules.abandon_answers} answers"
    return (
        f"The session ended by itself after at most {answers}; the user said and did nothing after the last answer or "
        f"error, and there is no sign of completion. Or a signal says so, and the user did not come back."
    )


def completion(rules: Definition) -> str:
    """What counts as a sign of completion: the rule that tells natural completion from abandonment."""
    if not rules.completion:
        return "Nothing counts as a sign of completion here."
    signs = "; or ".join(COMPLETIONS[name] for name in rules.completion)
    return f"A session is completed, and never abandoned, where {signs}."


def closing(rules: Definition) -> str:
    """When words take leave."""
    return (
        f"The last message takes leave where it has one of {len(rules.closing_phrases)} phrases, at most "
        f"{CLOSING_CHARS_MAX} characters, no question mark, no word that turns it round (but, still, …), asks for no "
        f"correction and no human, and comes after an answer."
    )


def retry(rules: Definition) -> str:
    """When a turn is a retry or a rephrasing."""
    return (
        f"The same question within {_time(rules.retry_seconds)} after an answer or an error; or almost the same "
        f"(similarity from {rules.rephrase_similarity:g}) within {_time(rules.rephrase_seconds)}; or a signal says so. "
        f"Messages below {rules.least_letters} letters count only after an error, and what begins within "
        f"{rules.least_gap_seconds:g} s of an answer was the application."
    )


def correction(rules: Definition) -> str:
    """When a message asks for a correction."""
    return (
        f"A message after an answer has one of {len(rules.correction_phrases)} phrases; or a signal says that the "
        "answer was corrected or edited."
    )


def escalation(rules: Definition) -> str:
    """When a message asks for a human."""
    return f"A message has one of {len(rules.escalation_phrases)} phrases that ask for a human; or a signal says so."


def follow_up(rules: Definition) -> str:
    """When a turn is a follow-up."""
    return (
        f"Another, different question of {rules.least_letters} letters or more within {_time(rules.follow_up_seconds)} "
        f"after an answer; or a signal says so."
    )


def votes(rules: Definition) -> str:
    """What a vote is."""
    return (
        f"The last thumb or rating of a person in the session; the last of all where several voted. A rating of "
        f"{rules.rating_low:g} to {rules.rating_high:g} is up from {rules.rating_up_from:g}, down to "
        f"{rules.rating_down_to:g}, and no vote between."
    )


RATE_RULES: dict[str, Callable[[Definition], str]] = {
    "abandonment": abandonment,
    "retry": retry,
    "correction": correction,
    "escalation": escalation,
    "follow_up": follow_up,
    "completion": completion,
}
# Every derived signal as pages list them: its name, and its rule.
ALL: tuple[tuple[str, str, Callable[[Definition], str]], ...] = (
    ("idle", "Session end", idle),
    ("abandonment", "Abandonment", abandonment),
    ("completion", "Completion", completion),
    ("closing", "Closing words", closing),
    ("retry", "Retry and rephrasing", retry),
    ("correction", "Correction request", correction),
    ("escalation", "Escalation hint", escalation),
    ("follow_up", "Follow-up", follow_up),
    ("votes", "Vote", votes),
)
STRATA = (
    "A closed session is in the first group that matches: abandoned, retried (or rephrased), corrected, escalated, "
    "completed; else carried on. A session without any answer or error, and a trace without a session, is in none "
    "unless a signal tells."
)


def _time(seconds: float) -> str:
    if seconds >= 86_400 and not seconds % 86_400:
        return _plural(seconds / 86_400, "day")
    if seconds >= 3600 and not seconds % 3600:
        return _plural(seconds / 3600, "hour")
    if seconds >= 120 and not seconds % 60:
        return _plural(seconds / 60, "minute")
    return _plural(seconds, "second")


def _plural(n: float, unit: str) -> str:
    return f"{n:g} {unit}" if n == 1 else f"{n:,.0f} {unit}s"
