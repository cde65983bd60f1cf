"""Bodies that hold many items, each judged alone: one object, an array, or an object with the array under its name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from telltale.lib.faults import Fault
from telltale.rest.problems import FieldError, Problem, bad_field, shown_value

# An answer that refuses everything names no more faults than this.
ERRORS_MAX = 100


def items_of(data: Any, name: str, most: int, beside: Sequence[str] = ()) -> list[Any]:
    """The 1 to `most` items of a body, unread; Problem 400 naming field and limit.

    `name`: of the field that holds the array; `beside`: fields that may stand with it and are none of the items'.
    """
    limit = f"1 to {most} {name}"
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key not in beside}
        if name in data:
            unknown = sorted(str(key) for key in data if key != name)
            if unknown:
                known = ", ".join((name, *beside))
                raise bad_field(str(shown_value(unknown[0])), "unknown field", limit=f"one of {known}")
            data = data[name]
            if not isinstance(data, list):
                raise bad_field(name, "is no array", limit=limit)
    items = data if isinstance(data, list) else [data]
    if not 1 <= len(items) <= most:
        raise bad_field(name, "has too many items" if items else "is empty", limit=limit, value=len(items))
    return items


def errors_of(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    """What is wrong with one item, as its row of the answer shows it."""
    return [_error(fault, fault.field).as_json() for fault in faults]


def none_kept(name: str, faults: Sequence[Sequence[Fault]]) -> Problem:
    """The 400 where nothing could be kept: the faults of each item in turn, each under its place in the body."""
    errors = [
        _error(fault, fault.field if len(faults) == 1 else f"{name}[{at}].{fault.field}")
        for at, each in enumerate(faults)
        for fault in each
    ]
    detail = "; ".join(f"{error.field} {error.message}" for error in errors[:5])
    return Problem(400, detail, *errors[:ERRORS_MAX])


def _error(fault: Fault, field: str) -> FieldError:
    return FieldError(field, fault.message, fault.limit or None, fault.value)
