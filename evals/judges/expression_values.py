"""Values of expressions: how large they may be, and the functions and methods that work on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from evals.judges.formats import load_json
from evals.judges.patterns import BadPattern, compile_pattern, found_in

TEXT_CHARS_MAX = 2_000_000
ITEMS_MAX = 10_000
NUMBER_MAX = 1e15


class ExpressionFailed(Exception):
    """An expression that could not be run to its end on some material; the text says why."""


def too_long() -> Any:
    """Never returns: ends the run."""
    raise ExpressionFailed(f"makes a text of more than {TEXT_CHARS_MAX:,} characters or {ITEMS_MAX:,} items")


def as_text(value: object) -> str:
    """The value if it is a text; TypeError else."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def as_list(value: object) -> list[Any]:
    """The value if it is a list, the keys of an object; TypeError else."""
    if isinstance(value, dict):
        return list(value)
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def as_number(value: object) -> int | float:
    """The value if it is a number, 1 and 0 for true and false; TypeError else."""
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, int | float):
        raise TypeError("no number")
    return value


def as_whole(value: object) -> int:
    """The value if it is a whole number; TypeError else."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("no whole number")
    return value


def bounded(value: int | float) -> int | float:
    """A finite number that is not larger than numbers may be; ExpressionFailed else."""
    if not abs(value) <= NUMBER_MAX:
        raise ExpressionFailed("makes a number that is too large, or none")
    return value


def sized(value: Any) -> Any:
    """A value that is not larger than values may be."""
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        too_long()
    if isinstance(value, list | dict) and len(value) > ITEMS_MAX:
        too_long()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bounded(value)
    return value


def _sum(values: object) -> int | float:
    return sum(as_number(each) for each in as_list(values))


def _most(pick: Callable[..., Any]) -> Callable[..., Any]:
    def chosen(*values: Any) -> Any:
        given = as_list(values[0]) if len(values) == 1 else list(values)
        return pick(as_number(each) for each in given)

    return chosen


def _to_int(value: object) -> int:
    if isinstance(value, str):
        if len(value) > 20:
            raise ValueError("too long for a number")
        return int(value)
    return int(as_number(value))


def _to_float(value: object) -> float:
    if isinstance(value, str):
        if len(value) > 40:
            raise ValueError("too long for a number")
        return float(value)
    return float(as_number(value))


def _to_str(value: object) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return str(value)
    raise TypeError("only single values have a text")


def _round(value: object, digits: int = 0) -> int | float:
    if not -15 <= as_whole(digits) <= 15:
        raise ValueError("too many digits")
    return round(as_number(value), digits) if digits else round(as_number(value))


def _sorted(values: object) -> list[Any]:
    items = as_list(values)
    if all(isinstance(each, str) for each in items):
        return sorted(items)
    return sorted(as_number(each) for each in items)


def _matches(pattern: object, text: object) -> bool:
    try:
        compiled = compile_pattern(as_text(pattern))
    except BadPattern:
        raise ExpressionFailed("matches with a pattern that RE2 does not take") from None
    return found_in(compiled, as_text(text)) is not None


def _words(text: object) -> list[str]:
    return _split(as_text(text))


def _split(text: str, by: object = None) -> list[str]:
    if by is not None and not as_text(by):
        raise ValueError("nothing to split by")
    parts = text.split(as_text(by) if by is not None else None, ITEMS_MAX + 1)
    return parts if len(parts) <= ITEMS_MAX else too_long()


def _lines(text: str) -> list[str]:
    return text.splitlines() if text.count("\n") + text.count("\r") < ITEMS_MAX else too_long()


def _replace(text: str, old: object, new: object) -> str:
    old, new = as_text(old), as_text(new)
    if len(text) + text.count(old) * max(len(new) - len(old), 0) > TEXT_CHARS_MAX:
        too_long()
    return text.replace(old, new)


def _join(between: str, parts: object) -> str:
    texts = [as_text(each) for each in as_list(parts)]
    if sum(map(len, texts)) + len(between) * len(texts) > TEXT_CHARS_MAX:
        too_long()
    return between.join(texts)


# name -> the function, and how many arguments it takes at least and at most.
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "len": (lambda value: len(value) if isinstance(value, str | list | dict) else len(as_list(value)), 1, 1),
    "min": (_most(min), 1, 10),
    "max": (_most(max), 1, 10),
    "sum": (_sum, 1, 1),
    "abs": (lambda value: abs(as_number(value)), 1, 1),
    "round": (_round, 1, 2),
    "any": (lambda values: any(as_list(values)), 1, 1),
    "all": (lambda values: all(as_list(values)), 1, 1),
    "sorted": (_sorted, 1, 1),
    "int": (_to_int, 1, 1),
    "float": (_to_float, 1, 1),
    "str": (_to_str, 1, 1),
    "bool": (lambda value: bool(value), 1, 1),
    "json": (lambda text: load_json(as_text(text)), 1, 1),
    "matches": (_matches, 2, 2),
    "words": (_words, 1, 1),
    "is_finite": (lambda value: math.isfinite(as_number(value)), 1, 1),
}
# name -> whose method it is, the method, and how many arguments it takes at most.
METHODS: dict[str, tuple[type, Callable[..., Any], int]] = {
    "lower": (str, str.lower, 0),
    "upper": (str, str.upper, 0),
    "casefold": (str, str.casefold, 0),
    "strip": (str, lambda text, chars=None: text.strip(chars), 1),
    "startswith": (str, lambda text, start: text.startswith(as_text(start)), 1),
    "endswith": (str, lambda text, end: text.endswith(as_text(end)), 1),
    "count": (str, lambda text, part: text.count(as_text(part)), 1),
    "find": (str, lambda text, part: text.find(as_text(part)), 1),
    "split": (str, _split, 1),
    "splitlines": (str, _lines, 0),
    "replace": (str, _replace, 2),
    "join": (str, _join, 1),
    "isdigit": (str, str.isdigit, 0),
    "isalpha": (str, str.isalpha, 0),
    "isupper": (str, str.isupper, 0),
    "get": (dict, lambda told, key, default=None: told.get(as_text(key), default), 2),
    "keys": (dict, lambda told: list(told.keys()), 0),
    "values": (dict, lambda told: list(told.values()), 0),
}
