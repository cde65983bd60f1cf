"""What setting up may be refused for.

SetupRefused       a value that cannot be: field, message, limit
NotThere           what is to be changed is not there (any more)
GateUnproven       a judge is not proven, and nobody said why it goes to production all the same
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from evals.rubrics import RubricRefused

# Whole numbers of JSON, as the answers of REST can write them.
NUMBER_END = 2**63


class SetupRefused(Exception):
    """A value that cannot be: which field, what is wrong, what is accepted."""

    def __init__(self, field: str, message: str, limit: str = "", value: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


class NotThere(Exception):
    """What is to be changed is not there (any more)."""


class GateUnproven(Exception):
    """The judge is not proven against people, in `words`; with a reason it may go to production all the same."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)
        super().__init__(" ".join(self.words))


def clean_name(field: str, text: str, chars_max: int) -> str:
    """A name as it is kept, spaces single; SetupRefused."""
    name = " ".join(text.split())
    if not name or not name.isprintable():
        raise SetupRefused(field, "is empty" if not name else "holds characters that cannot be seen")
    if len(name) > chars_max:
        raise SetupRefused(field, "is too long", f"{chars_max} characters", f"{len(name)} characters")
    return name


def clean_reason(text: str) -> str:
    """A reason that goes to the audit log, spaces single; "" where there is none."""
    reason = " ".join(text.split())
    if len(reason) > 500:
        raise SetupRefused("reason", "is too long", "500 characters", f"{len(reason)} characters")
    if not all(c.isprintable() for c in reason):
        raise SetupRefused("reason", "holds characters that cannot be seen")
    return reason


def whole(field: str, value: int | None, low: int, high: int) -> int | None:
    """A whole number of [low, high], or None as it came; SetupRefused."""
    if value is not None and not low <= value <= high:
        raise SetupRefused(field, "is out of range", f"a whole number from {low:,} to {high:,}", str(value))
    return value


def refused_rubric(error: RubricRefused) -> SetupRefused:
    """A rubric's fault as one of ours."""
    return SetupRefused(error.field, error.message, error.limit)


def storable(field: str, value: dict[str, Any]) -> dict[str, Any]:
    """`value` as it came where it can be stored as JSON and read again as it was; SetupRefused."""
    for leaf in _leaves(value):
        if isinstance(leaf, str) and ("\x00" in leaf or any("\ud800" <= c <= "\udfff" for c in leaf)):
            raise SetupRefused(field, "holds U+0000 or half a character, which no stored text has")
        # PostgreSQL keeps 1e300 as a whole number, which then is one of 300 digits.
        if isinstance(leaf, int | float) and not abs(leaf) < NUMBER_END:
            raise SetupRefused(field, "holds a number that is too large", f"below {NUMBER_END:.3g}", str(leaf)[:40])
    return value


def _leaves(value: Any) -> Iterator[str | float]:
    """The texts, names of fields too, and numbers of a JSON value."""
    if isinstance(value, str | int | float):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
