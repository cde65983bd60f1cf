"""The form of an outcome: its inputs with what was typed, and the measure that they say.

It works without a script: each condition is a row of its own, empty rows say nothing, and there are always two more
than were filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from traces.measuring import NAME_MAX
from traces.outcomes.spec import (
    CONDITIONS_MAX,
    FACTS,
    KINDS,
    Check,
    Measure,
    OutcomeSpec,
    Per,
    SpecRefused,
    condition_json,
    to_json,
)
from traces.outcomes.words import FACT_WORDS, KIND_WORDS

TEXT_MAX = 4_000
MEASURES = (
    ("share", "A share", "Sessions with it, of all sessions: conversion, resolution, escalation."),
    ("value", "A mean value", "The numbers that it carries, such as the value of orders."),
    ("cost", "Cost per session with it", "What all sessions cost, divided by those with it."),
    ("time", "Time to it", "From the first turn to the first of it."),
    ("answers", "Answers until it", "How many answers it takes."),
)
CHECKS = (
    ("", "any value"),
    ("at_least", "is at least"),
    ("at_most", "is at most"),
    ("true", "is true, a thumb up"),
    ("false", "is false, a thumb down"),
    ("label", "is the label"),
)
_NAMED = "name"


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """One condition as its inputs show it. `n` is its number, `part` "of" or "among"."""

    part: str
    n: int
    what: str
    name: str
    check: str
    value: str
    error: str

    @property
    def key(self) -> str:
        """What the names of its inputs begin with."""
        return f"{self.part}{self.n}"

    @property
    def whats(self) -> tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...]:
        """The choices of what is looked for, in groups: (value, word, whether it is chosen)."""
        return tuple(
            (group, tuple((value, word, value == self.what) for value, word in choices)) for group, choices in WHATS
        )

    @property
    def checks(self) -> tuple[tuple[str, str, bool], ...]:
        """The choices of what its value is held to."""
        return tuple((value, word, value == self.check) for value, word in CHECKS)


@dataclass(frozen=True, slots=True)
class OutcomeForm:
    """The form with what was typed. `errors` are (id of the input, words)."""

    name: str
    measure: str
    per: str
    of: tuple[ConditionRow, ...]
    among: tuple[ConditionRow, ...]
    features: str
    better: str
    unit: str
    errors: tuple[tuple[str, str], ...] = ()

    @property
    def measures(self) -> tuple[tuple[str, str, str, bool], ...]:
        """The choices of the measure."""
        return tuple((value, word, about, value == self.measure) for value, word, about in MEASURES)

    @property
    def wrong(self) -> frozenset[str]:
        """The ids of inputs that need fixing."""
        return frozenset(at for at, _ in self.errors)


WHATS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Signals by what they mean",
        tuple((f"kind:{name}", _words) for name, kind in KINDS.items() if (_words := KIND_WORDS[kind])),
    ),
    ("Signals by their name", ((_NAMED, "the signal named beside"),)),
    ("Seen in traces, or told", tuple((f"fact:{name}", FACT_WORDS[fact]) for name, fact in FACTS.items())),
)


def empty_form() -> OutcomeForm:
    """The form of a new outcome."""
    return OutcomeForm("", "share", "with", _rows("of", []), _rows("among", []), "", "higher", "")


def form_of(name: str, spec: OutcomeSpec) -> OutcomeForm:
    """The form that says what an outcome measures."""
    told = to_json(spec)
    return OutcomeForm(
        name=name,
        measure=spec.measure.value,
        per=spec.per.value,
        of=_rows("of", [_typed(condition_json(each)) for each in spec.of]),
        among=_rows("among", [_typed(condition_json(each)) for each in spec.among]),
        features="\n".join(told["features"]),
        better=spec.better,
        unit=spec.unit,
    )


def form_of_post(post: QueryDict, refused: SpecRefused | None = None) -> OutcomeForm:
    """The form with what was typed, and what is wrong with it."""
    errors: tuple[tuple[str, str], ...] = ()
    if refused is not None:
        limit = f" ({refused.limit})" if refused.limit else ""
        errors = ((_input_of(post, refused.field), f"{_label(refused.field)} {refused.message}{limit}"),)
    return OutcomeForm(
        name=_clean(post.get("name", ""))[: NAME_MAX * 2],
        measure=_clean(post.get("measure", "share")),
        per=_clean(post.get("per", "with")),
        of=_rows("of", _filled(post, "of"), errors),
        among=_rows("among", _filled(post, "among"), errors),
        features=_clean(post.get("features", "")),
        better=_clean(post.get("better", "higher")),
        unit=_clean(post.get("unit", "")),
        errors=errors,
    )


def told_of_post(post: QueryDict) -> dict[str, Any]:
    """What the form says, as `parse_outcome` reads it; SpecRefused where a number is none."""
    measure = _clean(post.get("measure", ""))
    features = [line.strip() for line in _clean(post.get("features", "")).splitlines() if line.strip()]
    told: dict[str, Any] = {
        "measure": measure,
        "of": [_condition(each, f"of[{at}]") for at, each in enumerate(_filled(post, "of"))],
        "among": [_condition(each, f"among[{at}]") for at, each in enumerate(_filled(post, "among"))],
        "features": features,
        "better": _clean(post.get("better", "higher")),
    }
    if measure == Measure.VALUE:
        # Of other measures these inputs say nothing.
        told |= {"per": _clean(post.get("per", Per.WITH)), "unit": _clean(post.get("unit", ""))}
    return told


def _filled(post: QueryDict, part: str) -> list[dict[str, str]]:
    """The rows in which something is chosen."""
    rows = []
    for n in range(CONDITIONS_MAX + 1):
        row = {name: _clean(post.get(f"{part}{n}.{name}", "")) for name in ("what", "name", "check", "value")}
        if row["what"] or row["name"]:
            # A name that was typed is meant, whether or not "the signal named beside" was chosen.
            row["what"] = row["what"] or _NAMED
            rows.append(row)
    return rows


def _condition(row: Mapping[str, str], field: str) -> dict[str, Any]:
    what, _, which = row["what"].partition(":")
    told: dict[str, Any] = {what[:20]: row["name"] if what == _NAMED else which}
    check, value = row["check"], row["value"].strip()
    if check in {"true", "false"}:
        told["is"] = check == "true"
    elif check in {Check.AT_LEAST, Check.AT_MOST}:
        try:
            told[check] = float(value.replace(",", "").replace(" ", ""))
        except ValueError:
            raise SpecRefused(f"{field}.{check}", "is no number", "a number such as 4", value[:40]) from None
    elif check:
        told[check[:20]] = value
    return told


def _typed(condition: Mapping[str, Any]) -> dict[str, str]:
    """A condition as its inputs."""
    row = {"what": "", "name": "", "check": "", "value": ""}
    for key, value in condition.items():
        if key == _NAMED:
            row |= {"what": _NAMED, "name": str(value)}
        elif key in {"kind", "fact"}:
            row["what"] = f"{key}:{value}"
        elif key == Check.IS:
            row["check"] = "true" if value else "false"
        else:
            row |= {"check": key, "value": f"{value:.15g}" if isinstance(value, float) else str(value)}
    return row


def _rows(
    part: str, filled: Sequence[Mapping[str, str]], errors: Sequence[tuple[str, str]] = ()
) -> tuple[ConditionRow, ...]:
    wrong = {at.partition(".")[0]: words for at, words in errors}
    empty = {"what": "", "name": "", "check": "", "value": ""}
    most = min(len(filled) + 2, CONDITIONS_MAX)
    rows = [*filled, *[empty] * max(most - len(filled), 0)]
    return tuple(ConditionRow(part, n, error=wrong.get(f"{part}{n}", ""), **row) for n, row in enumerate(rows))


def _input_of(post: QueryDict, field: str) -> str:
    """The id of the input that a refusal is about."""
    part, _, rest = field.partition("[")
    if part not in {"of", "among"}:
        return part.partition(".")[0]
    number, _, inner = rest.partition("].")
    n = number.rstrip("]") or "0"
    inputs = {"name": "name", "kind": "what", "fact": "what", "": "what", "is": "check"}
    return f"{part}{n}.{inputs.get(inner, 'value')}"


def _label(field: str) -> str:
    part = field.partition("[")[0].partition(".")[0]
    words = {
        "of": "What is looked for",
        "among": "Only among",
        "features": "Features",
        "measure": "What is measured",
        "per": "The mean",
        "unit": "The unit",
        "better": "Which way is better",
        "name": "The name",
    }
    return words.get(part, part.capitalize())


def _clean(text: str) -> str:
    return text.replace("\x00", "\ufffd").replace("\r\n", "\n")[:TEXT_MAX]
