"""The lines of an incident's timeline: what kinds there are, and what each says. Pure.

A line keeps facts, never words: the page, the summary and REST say it from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Facts = Mapping[str, Any]
_STEPS = {"triage": "Triage", "scope": "Scope", "isolate": "Isolate", "respond": "Respond", "learn": "Learn"}
_NOBODY = "Nobody"


def say(kind: str, who: str, facts: Facts) -> str:
    """What a line says; `who` "" is the machine. A kind that is not known is its own name."""
    found = KINDS.get(kind)
    return found(who or "Telltale", facts) if found else kind.replace("_", " ").capitalize()


def is_hot(kind: str) -> bool:
    """Whether a line is where things turned for the worse."""
    return kind in {"opened", "reopened", "worse", "overdue", "relapsed"}


def _opened(who: str, facts: Facts) -> str:
    by = {"person": f" by {who}", "review": f" by {who}, from a review"}.get(str(facts.get("origin")), "")
    return f"Opened as {_level(facts)}{by}"


def _level(facts: Facts) -> str:
    level = facts.get("severity")
    return f"P{level}" if isinstance(level, int) else "an incident"


def _joined(who: str, facts: Facts) -> str:
    name, says, words = facts.get("name", "Something"), facts.get("says", ""), facts.get("before_now", "")
    note = "" if facts.get("is_page", True) else " (a notice)"
    more = facts.get("more", 0)
    told = f"{name} {says}{f', {words}' if words else ''}{note}".strip()
    told += f", and {more} more" if more else ""
    return f"{told}. Joined by {who}" if facts.get("by_hand") else told


def _step(who: str, facts: Facts) -> str:
    step, words = _STEPS.get(str(facts.get("step")), "A step"), facts.get("words", "")
    again = " again" if facts.get("again") else ""
    return f"{who} finished {step.lower()}{again}{f': {words}' if words else ''}"


def _severity(who: str, facts: Facts) -> str:
    return f"{who} set the severity from P{facts.get('before')} to P{facts.get('severity')}"


def _assigned(who: str, facts: Facts) -> str:
    name = facts.get("name") or _NOBODY.lower()
    if not facts.get("name"):
        return f"{who} gave it to nobody"
    return f"{who} took it" if facts.get("self") else f"{who} gave it to {name}"


def _muted(who: str, facts: Facts) -> str:
    until = facts.get("until")
    return f"{who} muted it {f'until {until}' if until else 'until it gets worse'}"


def _overdue(who: str, facts: Facts) -> str:
    minutes = facts.get("minutes")
    told = f": {minutes} min are over" if minutes is not None else ""
    return f"{_STEPS.get(str(facts.get('step')), 'A step')} is overdue{told}"


def _words(text: str) -> Callable[[str, Facts], str]:
    def said(who: str, facts: Facts) -> str:
        words = str(facts.get("words") or "")
        return text.format(who=who, words=words, tail=f": {words}" if words else "", ref=facts.get("ref", ""))

    return said


KINDS: Mapping[str, Callable[[str, Facts], str]] = {
    "opened": _opened,
    "reopened": _words("Opened again: it came back{tail}"),
    "joined": _joined,
    "over": lambda who, facts: f"{facts.get('name', 'A member')} is quiet again",
    "quiet": _words("Quiet: nothing is out of limits any more"),
    "moves": _words("Out of limits again{tail}"),
    "worse": lambda who, facts: f"Worse: {_level(facts)} now, P{facts.get('before')} before",
    "acknowledged": _words("{who} acknowledged it"),
    "assigned": _assigned,
    "watched": _words("{who} watches it"),
    "unwatched": _words("{who} watches it no longer"),
    "commented": lambda who, facts: f"{who}: {facts.get('text', '')}",
    "retitled": lambda who, facts: f"{who} renamed it, before: {facts.get('before', '')}",
    "severity": _severity,
    "muted": _muted,
    "unmuted": _words("{who} unmuted it"),
    "merged": _words("{who} merged it into {ref}"),
    "absorbed": _words("{who} merged {ref} into it"),
    "split": _words("{who} split {ref} off{tail}"),
    "split_off": _words("{who} split it off {ref}"),
    "step": _step,
    "step_back": lambda who, facts: f"{who} went back to {_STEPS.get(str(facts.get('step')), 'a step').lower()}",
    "verdict": _words("{who} decided{tail}"),
    "scope": _words("{who} wrote the scope{tail}"),
    "cause": _words("{who} marked what it began with{tail}"),
    "cause_cleared": _words("{who} took back what it began with"),
    "response": _words("{who} recorded a response{tail}"),
    "recovered": _words("Back within limits{tail}"),
    "relapsed": _words("Out of limits again after the response{tail}"),
    "cases": _words("{who} added cases to a dataset{tail}"),
    "experiment": _words("{who} recorded an experiment{tail}"),
    "told": _words("Told{tail}"),
    "not_told": _words("Not told{tail}"),
    "overdue": _overdue,
    "closed": _words("{who} closed it{tail}"),
    "closed_false": _words("{who} closed it as a false alarm{tail}"),
    "overridden": _words("{who} closed it although conditions were not met{tail}"),
    "noted": _words("{who}{tail}"),
}
