"""The form of definitions: its inputs with what was typed, and the JSON that they say.

It has a scope: the project, or one feature, whose inputs are empty where it is as the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from traces.behaviour.definition import (
    CLOSING_CHARS_MAX,
    COMPLETIONS,
    LIMITS,
    LISTS,
    SINGLE_SHOT_WHY,
    Definition,
    DefinitionError,
    Fault,
    to_json,
)
from traces.signals.names import MEANINGS

TEXT_MAX = 40_000
_LABELS = {
    "correction_phrases": "Phrases that ask for a correction",
    "escalation_phrases": "Phrases that ask for a human",
    "closing_phrases": "Phrases that take leave",
}


@dataclass(frozen=True, slots=True)
class NumberInput:
    """One number: its limits and meaning, what was typed, and what holds where nothing is."""

    name: str
    label: str
    unit: str
    why: str
    low: str
    high: str
    step: str
    value: str
    otherwise: str
    error: str


@dataclass(frozen=True, slots=True)
class ListInput:
    """One list of phrases, one a line."""

    name: str
    label: str
    why: str
    value: str
    error: str
    count: int


@dataclass(frozen=True, slots=True)
class DefinitionForm:
    """All inputs. `errors`: (id of the input, words) of each fault. `single_shot`: "", "yes" or "no"."""

    feature: str
    version: int
    numbers: tuple[NumberInput, ...]
    single_shot: str
    single_shot_why: str
    completions: tuple[tuple[str, str, bool], ...]
    lists: tuple[ListInput, ...]
    names: str
    names_error: str
    meanings: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]


def form_of(
    definition: Definition, version: int, feature: str, typed: QueryDict | None = None, faults: tuple[Fault, ...] = ()
) -> DefinitionForm:
    """The form of a definition in force, or as it was typed with what is wrong in it."""
    own: Mapping[str, Any] = definition.features.get(feature, {}) if feature else {}
    wrong = {_input(fault.field, feature): _words(fault) for fault in faults}

    def value(name: str, held: str) -> str:
        return held if typed is None else _clean(typed.get(name, ""))

    numbers = tuple(
        NumberInput(
            name=each.name,
            label=each.label,
            unit=each.unit,
            why=each.why,
            low=f"{each.low:g}",
            high=f"{each.high:g}",
            step="1" if each.is_whole else "any",
            value=value(each.name, _number(own.get(each.name) if feature else getattr(definition, each.name))),
            otherwise=_number(getattr(definition, each.name)) if feature else "",
            error=wrong.get(each.name, ""),
        )
        for each in LIMITS
    )
    held_single = own.get("single_shot") if feature else definition.single_shot
    chosen = set(definition.completion) if typed is None else set(typed.getlist("completion"))
    lists = []
    for name, why in LISTS.items():
        text = value(name, "\n".join(getattr(definition, name)))
        count = sum(bool(line.strip()) for line in text.splitlines())
        lists.append(
            ListInput(name, _LABELS[name], why.format(chars=CLOSING_CHARS_MAX), text, wrong.get(name, ""), count)
        )
    return DefinitionForm(
        feature=feature,
        version=version,
        numbers=numbers,
        single_shot=value("single_shot", "" if held_single is None else "yes" if held_single else "no"),
        single_shot_why=SINGLE_SHOT_WHY,
        completions=tuple((name, words, name in chosen) for name, words in COMPLETIONS.items()),
        lists=tuple(lists),
        names=value("names", "\n".join(f"{name} = {word}" for name, word in sorted(definition.names.items()))),
        names_error=wrong.get("names", ""),
        meanings=tuple(MEANINGS),
        errors=tuple(wrong.items()),
    )


def told_by(typed: QueryDict, definition: Definition, feature: str) -> dict[str, Any]:
    """The JSON that a posted form says, on top of the definition in force. DefinitionError for what is no number."""
    told = to_json(definition)
    faults: list[Fault] = []
    numbers: dict[str, Any] = {}
    for each in LIMITS:
        text = _clean(typed.get(each.name, "")).strip()
        if not text and feature:
            continue
        try:
            numbers[each.name] = int(text) if each.is_whole else float(text)
        except ValueError:
            kind = "a whole number" if each.is_whole else "a number"
            message = f"must be {kind} between {each.low:,g} and {each.high:,g}"
            faults.append(Fault(each.name, message, text[:40]))
    single = typed.get("single_shot", "")
    if single in ("yes", "no"):
        numbers["single_shot"] = single == "yes"
    if feature:
        told["features"] = {name: own for name, own in told["features"].items() if name != feature}
        told["features"] |= {feature: numbers} if numbers else {}
    else:
        told |= numbers
        told["completion"] = [name for name in typed.getlist("completion") if name in COMPLETIONS]
        for name in LISTS:
            told[name] = [line.strip() for line in _clean(typed.get(name, "")).splitlines() if line.strip()]
        told["names"] = _names(_clean(typed.get("names", "")), faults)
    if faults:
        raise DefinitionError(faults)
    return told


def _names(text: str, faults: list[Fault]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.strip():
            name, sign, word = line.rpartition("=")
            if not sign or not name.strip() or not word.strip():
                faults.append(Fault("names", "must have one `name = meaning` a line", line.strip()[:60]))
            else:
                found[name.strip()] = word.strip()
    return found


def _input(field: str, feature: str) -> str:
    """The id of the input that a fault is about."""
    plain = field.removeprefix(f"features.{feature}.") if feature else field
    for name in (*(each.name for each in LIMITS), *LISTS, "names", "completion", "single_shot"):
        if plain == name or plain.startswith((f"{name}[", f"{name}.")):
            return name
    return "definition"


def _words(fault: Fault) -> str:
    value = (
        f": “{str(fault.value)[:60]}”" if fault.value not in (None, "") and not isinstance(fault.value, list) else ""
    )
    label = next((each.label for each in LIMITS if fault.field.endswith(each.name)), "")
    label = label or next((words for name, words in _LABELS.items() if fault.field.startswith(name)), fault.field)
    return f"{label} {fault.message}{value}."


def _number(value: Any) -> str:
    return "" if value is None else f"{value:g}"


def _clean(text: str) -> str:
    return text.replace("\x00", "\ufffd").replace("\r\n", "\n")[:TEXT_MAX]
