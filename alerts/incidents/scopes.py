"""Scopes of incidents: as monitors have them, kept as lists, compared and said in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from alerts.incidents.types import DIMENSIONS, Scope

# More values than these are counted, not named; more than VALUES_MAX are not kept: the dimension says nothing then.
SHOWN_MAX = 3
VALUES_MAX = 200
_NAMES = {"prompt_name": "prompt", "prompt_version": "prompt version"}


def read(stored: Mapping[str, Any]) -> Scope:
    """A scope out of JSON: of a monitor's definition, of an incident. A single value counts as a list of one."""
    found: dict[str, tuple[str | None, ...]] = {}
    for name in DIMENSIONS:
        if name not in stored:
            continue
        told = stored[name]
        values = tuple(told) if isinstance(told, list | tuple) else (told,)
        if values and not (name == "filter" and not values[0]):
            found[name] = values
    return found


def as_json(scope: Scope) -> dict[str, list[str | None]]:
    """A scope as it is kept; equal scopes are equal JSON."""
    return {name: list(scope[name]) for name in DIMENSIONS if name in scope}


def agree(one: Scope, other: Scope) -> int | None:
    """How many dimensions two scopes share; None: they are of different parts of the project.

    Where both speak of a dimension they must have a value in common. Where neither is of the whole project they must
    share at least one.
    """
    shared = 0
    for name, values in one.items():
        if name in other:
            if not set(values) & set(other[name]):
                return None
            shared += 1
    return shared if shared or not one or not other else None


def common(scopes: Iterable[Scope]) -> Scope:
    """What all of some scopes speak of, with every value they name. Those of the whole project narrow nothing.

    Where those that narrow share no dimension, the first of them: it is not the whole project for that.
    """
    narrow = [scope for scope in scopes if scope]
    if not narrow:
        return {}
    found: dict[str, tuple[str | None, ...]] = {}
    for name in DIMENSIONS:
        if all(name in scope for scope in narrow):
            values = dict.fromkeys(value for scope in narrow for value in scope[name])
            if len(values) <= VALUES_MAX:
                found[name] = tuple(sorted(values, key=lambda value: (value is None, value or "")))
    is_apart = not any(all(name in scope for scope in narrow) for name in DIMENSIONS)
    return dict(narrow[0]) if is_apart else found


def words(scope: Scope, whole: str = "the whole project") -> str:
    """The scope in words: "feature returns, model gpt-4o or gpt-4.1"; `whole` where nothing narrows it."""
    parts = []
    for name, values in scope.items():
        if name == "filter":
            parts.append("a saved filter")
            continue
        told = ["unknown" if value is None else value for value in values[:SHOWN_MAX]]
        more = len(values) - len(told)
        parts.append(f"{_NAMES.get(name, name)} {' or '.join(told)}{f' or {more} more' if more else ''}")
    return ", ".join(parts) or whole
