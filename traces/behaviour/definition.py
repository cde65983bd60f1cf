"""What a project takes for abandonment, a retry, a correction, …: numbers and phrases, versioned, shown on the page.

A definition is plain JSON; `parse_definition` reads one and refuses with each field, its limit and the value. What is
left out is as shipped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from traces.behaviour.phrases import CLOSING, CORRECTION, ESCALATION, TURNING
from traces.behaviour.words import Phrases, normal, prepare
from traces.signals.names import Names, NamesRefused

PHRASES_MAX = 200
PHRASE_CHARS_MAX = 80
FEATURES_MAX = 100
FEATURE_CHARS_MAX = 200
# The kinds of signs that a project may take for completion, in the order of the page.
COMPLETIONS = {
    "completed": "a signal says the task was completed",
    "conversion": "a signal tells a conversion",
    "copied": "a signal says the answer was copied",
    "closing_words": "the user's last message takes leave",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """One number of a definition: where it may lie, its unit, and what it means in a sentence."""

    name: str
    label: str
    low: float
    high: float
    unit: str
    why: str
    is_whole: bool = True


LIMITS = (
    Limit(
        "idle_minutes", "Session ends after", 1, 10_080, "minutes",
        "A session is over when nothing came for so long; until then it is open and in no rate.",
    ),
    Limit(
        "abandon_answers", "Abandoned after at most", 0, 100, "answers",
        "A session that ends by itself after at most so many answers, with no sign of completion and nothing said "
        "after the last answer or error, was abandoned. 0: leaving says nothing.",
    ),
    Limit(
        "retry_seconds", "Quick retry within", 1, 86_400, "seconds",
        "The same question again, so soon after an answer or an error, is a retry.",
    ),
    Limit(
        "rephrase_seconds", "Rephrasing within", 1, 86_400, "seconds",
        "A question almost the same as one before, so soon after its answer or error, is a rephrasing.",
    ),
    Limit(
        "rephrase_similarity", "Almost the same from", 0.3, 0.99, "of 1",
        "Share of three-character groups (of two in scripts without spaces) that two messages have in common; 0 where "
        "they name different numbers or each is about a word that the other lacks.",
        is_whole=False,
    ),
    Limit(
        "least_letters", "Compare messages from", 1, 100, "letters",
        "Shorter ones (yes, next, continue) are no retry unless they follow an error. Characters of scripts without "
        "spaces count double.",
    ),
    Limit(
        "least_gap_seconds", "A person needs", 0, 60, "seconds",
        "A turn that begins sooner after an answer was made by the application itself: no retry, no follow-up.",
        is_whole=False,
    ),
    Limit(
        "follow_up_seconds", "Follow-up within", 1, 604_800, "seconds",
        "Another, different question so soon after an answer is a follow-up.",
    ),
    Limit(
        "rating_low", "Ratings go from", -1000, 1000, "",
        "The lowest rating of your scale; one outside of the scale is no vote.", is_whole=False,
    ),
    Limit(
        "rating_high", "Ratings go up to", -1000, 1000, "",
        "The highest rating of your scale.", is_whole=False,
    ),
    Limit(
        "rating_up_from", "A rating is a vote up from", -1000, 1000, "",
        "Ratings between the two are no vote.", is_whole=False,
    ),
    Limit(
        "rating_down_to", "A rating is a vote down to", -1000, 1000, "",
        "Ratings between the two are no vote.", is_whole=False,
    ),
)  # fmt: skip
LIMIT = {limit.name: limit for limit in LIMITS}
SINGLE_SHOT_WHY = "One answer is the whole job of this feature: leaving after it says nothing, and is not abandonment."
LISTS = {
    "correction_phrases": "A message with one of these, after an answer, asks for a correction.",
    "escalation_phrases": "A message with one of these asks for a human.",
    "closing_phrases": "A last message with one of these, at most {chars} characters long, without a question mark and "
    "without a turn such as “but”, takes leave: the job is done.",
}
CLOSING_CHARS_MAX = 80
NUMBERS = tuple(LIMIT)
# What a feature may have of its own.
OVERRIDES = (*NUMBERS, "single_shot")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a definition: its field (dotted), what is asked for, and the value that came."""

    field: str
    message: str
    value: Any = None


class DefinitionError(ValueError):
    """A definition is refused."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Definition:
    """Numbers, phrases, and what features have of their own. `names`: the project's names of signals, as JSON."""

    idle_minutes: int = 30
    abandon_answers: int = 1
    retry_seconds: int = 120
    rephrase_seconds: int = 600
    rephrase_similarity: float = 0.65
    least_letters: int = 8
    least_gap_seconds: float = 1.0
    follow_up_seconds: int = 1800
    rating_low: float = 1.0
    rating_high: float = 5.0
    rating_up_from: float = 4.0
    rating_down_to: float = 2.0
    single_shot: bool = False
    completion: tuple[str, ...] = tuple(COMPLETIONS)
    correction_phrases: tuple[str, ...] = CORRECTION
    escalation_phrases: tuple[str, ...] = ESCALATION
    closing_phrases: tuple[str, ...] = CLOSING
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def for_feature(self, feature: str) -> Definition:
        """The definition as it is for sessions of this feature."""
        own = self.features.get(feature)
        if not own:
            return self
        key = f"feature {feature}"
        if key not in self._made:
            self._made[key] = replace(self, **own, features={})
        made: Definition = self._made[key]
        return made

    def phrases(self, name: str) -> Phrases:
        """One of the lists of phrases, or `turning`, made ready to be looked for."""
        if name not in self._made:
            self._made[name] = prepare(TURNING if name == "turning" else getattr(self, name))
        made: Phrases = self._made[name]
        return made


SHIPPED = Definition()
_FIELDS = tuple(each.name for each in fields(Definition) if not each.name.startswith("_"))


def to_json(definition: Definition) -> dict[str, Any]:
    """A definition as JSON, whole: what `parse_definition` reads back as the same."""
    told: dict[str, Any] = {name: getattr(definition, name) for name in (*NUMBERS, "single_shot")}
    told["completion"] = list(definition.completion)
    told |= {name: list(getattr(definition, name)) for name in LISTS}
    told["features"] = {feature: dict(own) for feature, own in sorted(definition.features.items())}
    told["names"] = dict(definition.names)
    return told


def parse_definition(told: Any) -> Definition:
    """The definition that JSON tells; what it leaves out is as shipped. DefinitionError names every fault."""
    if not isinstance(told, dict):
        raise DefinitionError([Fault("definition", "must be an object", told)])
    faults = [Fault(str(name), "is no field of a definition", None) for name in told if name not in _FIELDS]
    found: dict[str, Any] = _numbers(told, "", faults)
    if "completion" in told:
        found["completion"] = _completion(told["completion"], faults)
    for name in LISTS:
        if name in told:
            found[name] = _phrases(name, told[name], faults)
    if "features" in told:
        found["features"] = _features(told["features"], faults)
    if "names" in told:
        found["names"] = _names(told["names"], faults)
    if not faults:
        made = Definition(**found)
        faults += _scale(made, "")
        for feature in made.features:
            faults += _scale(made.for_feature(feature), f"features.{feature}.")
        if not faults:
            return made
    raise DefinitionError(faults)


def _numbers(told: Mapping[str, Any], place: str, faults: list[Fault]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for limit in LIMITS:
        if limit.name in told:
            value = told[limit.name]
            if not _is_number(value, limit):
                kind = "a whole number" if limit.is_whole else "a number"
                message = f"must be {kind} between {limit.low:,g} and {limit.high:,g}"
                faults.append(Fault(f"{place}{limit.name}", message, value))
            else:
                found[limit.name] = int(value) if limit.is_whole else float(value)
    if "single_shot" in told:
        if not isinstance(told["single_shot"], bool):
            faults.append(Fault(f"{place}single_shot", "must be true or false", told["single_shot"]))
        else:
            found["single_shot"] = told["single_shot"]
    return found


def _is_number(value: Any, limit: Limit) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Compared before it becomes a float: an integer of JSON may have a thousand digits.
    if not limit.low <= value <= limit.high or (isinstance(value, float) and not math.isfinite(value)):
        return False
    return not limit.is_whole or float(value).is_integer()


def _scale(made: Definition, place: str) -> list[Fault]:
    if not made.rating_low < made.rating_high:
        return [Fault(f"{place}rating_high", f"must be above rating_low, {made.rating_low:g}", made.rating_high)]
    if not made.rating_low <= made.rating_down_to < made.rating_up_from <= made.rating_high:
        message = "must lie on the scale, and be above rating_down_to"
        return [Fault(f"{place}rating_up_from", message, made.rating_up_from)]
    return []


def _completion(told: Any, faults: list[Fault]) -> tuple[str, ...]:
    if not isinstance(told, list) or any(each not in tuple(COMPLETIONS) for each in told):
        faults.append(Fault("completion", f"must be an array of {', '.join(COMPLETIONS)}", told))
        return ()
    return tuple(each for each in COMPLETIONS if each in told)


def _phrases(name: str, told: Any, faults: list[Fault]) -> tuple[str, ...]:
    if not isinstance(told, list) or len(told) > PHRASES_MAX:
        faults.append(Fault(name, f"must be an array of at most {PHRASES_MAX} phrases", told))
        return ()
    found: dict[str, None] = {}
    for at, phrase in enumerate(told):
        if not isinstance(phrase, str) or not phrase.strip() or len(phrase.strip()) > PHRASE_CHARS_MAX:
            faults.append(Fault(f"{name}[{at}]", f"must be text of 1 to {PHRASE_CHARS_MAX} characters", phrase))
        elif not _is_plain(phrase) or normal(phrase.strip().removeprefix("^").removesuffix("$")) == " ":
            faults.append(Fault(f"{name}[{at}]", "must have a letter or a digit, and no control characters", phrase))
        else:
            found[phrase.strip()] = None
    return tuple(found)


def _is_plain(text: str) -> bool:
    return all(ord(char) >= 32 and not 0xD800 <= ord(char) <= 0xDFFF for char in text.strip())


def _features(told: Any, faults: list[Fault]) -> dict[str, dict[str, Any]]:
    if not isinstance(told, dict) or len(told) > FEATURES_MAX:
        faults.append(Fault("features", f"must be an object of at most {FEATURES_MAX} features", None))
        return {}
    found: dict[str, dict[str, Any]] = {}
    for feature, own in told.items():
        if not feature or len(feature) > FEATURE_CHARS_MAX or not _is_plain(feature):
            faults.append(Fault("features", f"must name features of 1 to {FEATURE_CHARS_MAX} characters", feature))
        elif not isinstance(own, dict):
            faults.append(Fault(f"features.{feature}", "must be an object", own))
        else:
            others = [name for name in own if name not in OVERRIDES]
            faults += [
                Fault(f"features.{feature}.{name}", "is nothing a feature can have of its own") for name in others
            ]
            if numbers := _numbers(own, f"features.{feature}.", faults):
                found[feature] = numbers
    return found


def _names(told: Any, faults: list[Fault]) -> dict[str, str]:
    try:
        return Names.parse(told).to_json()
    except NamesRefused as refused:
        limit = f": {refused.limit}" if refused.limit else ""
        faults.append(Fault(refused.field, f"{refused.message}{limit}", refused.value))
        return {}
