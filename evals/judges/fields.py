"""Reading single settings of a judge, with errors that name the field and its limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evals.judges.material import Material
from evals.judges.verdict import DocumentScore


class ConfigRefused(ValueError):
    """A judge's settings that cannot be read: `field` as in `rules[0].pattern`, and the limit it broke, "" if none."""

    def __init__(self, field: str, message: str, limit: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule found: True or False, a number or a label of an expression; None where it cannot be told."""

    value: bool | float | str | None
    reason: str = ""
    evidence: tuple[str, ...] = ()
    documents: tuple[DocumentScore, ...] = ()


Check = Callable[[Material], Outcome]


class RuleFailed(Exception):
    """A rule that could not be run to its end; the text says why, without the material's own words."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a judge: the criterion it decides, its kind, the kind's own settings, and the check made of them."""

    criterion: str
    kind: str
    settings: Mapping[str, Any]
    check: Check = field(compare=False, repr=False)


def read_object(raw: object, where: str, names: set[str]) -> Mapping[str, Any]:
    """`raw` as an object that holds no other names."""
    if not isinstance(raw, dict):
        raise ConfigRefused(where, "must be an object.")
    for name in raw:
        if name not in names:
            field = str(name)[:60] if where == "config" else f"{where}.{str(name)[:60]}"
            raise ConfigRefused(field, "is not known here.", ", ".join(sorted(names)))
    return raw


def read_bool(raw: object, where: str) -> bool:
    """`raw` as true or false."""
    if not isinstance(raw, bool):
        raise ConfigRefused(where, "must be true or false.")
    return raw


def read_int(raw: object, where: str, low: int, high: int) -> int:
    """`raw` as a whole number from `low` to `high`."""
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise ConfigRefused(where, "must be a whole number.", f"{low:,} to {high:,}")
    if not low <= raw <= high:
        raise ConfigRefused(where, f"is {raw:,}; from {low:,} to {high:,}.", f"{low:,} to {high:,}")
    return raw


def read_number(raw: object, where: str, low: float = -1e12, high: float = 1e12) -> float:
    """`raw` as a number from `low` to `high`."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ConfigRefused(where, "must be a number.")
    if not low <= raw <= high:
        raise ConfigRefused(where, f"must be from {low:g} to {high:g}.", f"{low:g} to {high:g}")
    return raw


def read_text(raw: object, where: str, limit: int) -> str:
    """`raw` as a text that is not empty and has at most `limit` characters."""
    if not isinstance(raw, str) or not raw:
        raise ConfigRefused(where, "must be a text.")
    if len(raw) > limit:
        raise ConfigRefused(where, f"has {len(raw):,} characters; at most {limit:,}.", f"{limit:,} characters")
    return raw


def read_texts(raw: object, where: str, most: int, limit: int) -> tuple[str, ...]:
    """`raw` as a list of 1 to `most` texts."""
    if not isinstance(raw, list) or not raw:
        raise ConfigRefused(where, "must be a list with at least one text.")
    if len(raw) > most:
        raise ConfigRefused(where, f"holds {len(raw)}; at most {most}.", str(most))
    return tuple(read_text(each, f"{where}[{at}]", limit) for at, each in enumerate(raw))


def read_choice(raw: object, where: str, choices: tuple[str, ...]) -> str:
    """`raw` as one of `choices`."""
    if raw not in choices:
        raise ConfigRefused(where, f"must be one of {', '.join(choices)}.", ", ".join(choices))
    return str(raw)


WHERE = ("answer", "question", "system", "documents", "tools", "expected")


def text_at(material: Material, where: str) -> str:
    """The text of one part of the material; documents and results of tools one after the other."""
    if where == "documents":
        return "\n".join(each.text for each in material.documents)
    if where == "tools":
        return "\n".join(each.result for each in material.tools)
    return str(getattr(material, where))
